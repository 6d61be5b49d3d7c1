"""Which addresses a webhook may have: https to a public host, checked again each time with what the name resolves to.

Whoever may type an address must not reach what only this machine reaches: cloud metadata, the database, a router. The
answer to the name is the one that is connected to, so that a name cannot point elsewhere a moment later.
"""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

LONGEST_ADDRESS = 2_000
HTTPS_PORT = 443
# Of a name to addresses, as socket.getaddrinfo gives them.
Resolve = Callable[[str, int], list[str]]


class AddressError(Exception):
    """An address is refused; `sentence` says why. The same again is refused again."""

    retryable = False

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart."""

    url: str
    host: str
    port: int


def read_target(url: str) -> Target:
    """Return the address taken apart. Raises AddressError; resolves nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port or HTTPS_PORT
    except ValueError as error:
        raise AddressError("The address cannot be read.") from error
    if len(url) > LONGEST_ADDRESS or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise AddressError("The address is too long, or has a space in it.")
    if parts.scheme != "https":
        raise AddressError("The address must begin with https://.")
    if not parts.hostname:
        raise AddressError("The address names no host.")
    if parts.username is not None or parts.password is not None:
        raise AddressError(
            "A name or password in the address would be shown to others: use a path that is secret."
        )
    return Target(url, parts.hostname, port)


def find_address(target: Target, *, allow_private: bool, resolve: Resolve | None = None) -> str:
    """Return the IP address to connect to. Raises AddressError when any that the name has is not public."""
    try:
        addresses = (resolve or _resolve)(target.host, target.port)
    except OSError as error:
        raise UnresolvedError(f"The name {target.host} cannot be resolved.") from error
    if not addresses:
        raise UnresolvedError(f"The name {target.host} has no address.")
    for address in addresses:
        if not allow_private and not is_public(address):
            raise AddressError(
                f"{target.host} is an address within the own network, which webhooks may not reach."
            )
    return addresses[0]


class UnresolvedError(AddressError):
    """The name cannot be resolved now; later it may."""

    retryable = True


def is_public(address: str) -> bool:
    """Tell whether the IP address lies in the public internet, also one that is wrapped in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


# RFC 6052: an IPv4 address in the last 32 bits.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _resolve(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
