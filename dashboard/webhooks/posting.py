"""One signed POST: no redirects, no proxies of the environment, a deadline; of the answer only the status counts."""

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from datetime import datetime

import httpx

from dashboard.webhooks.addresses import Resolve, find_address, read_target

SIGNATURE_HEADER = "X-Endpoint-Desk-Signature"
# Seconds, per phase. A worker waits for nobody longer.
TIMEOUT = httpx.Timeout(20.0, connect=5.0)


class PostError(Exception):
    """It was not taken; `sentence` says why, without the address, which may be a secret."""

    def __init__(self, sentence: str, *, retryable: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retryable = retryable


def sign(body: bytes, *, secret: str, at: datetime) -> str:
    """Return the signature header: when, and HMAC-SHA256 in hex of `<unix seconds>.<body>`."""
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    secret: str,
    now: datetime,
    allow_private: bool = False,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Send the body and return the status, which is one of 200 to 299.

    Raises AddressError for an address that is refused, and PostError when it did not arrive.
    """
    target = read_target(url)
    address = find_address(target, allow_private=allow_private, resolve=resolve)
    request_headers = {
        **headers,
        "Host": target.host if target.port == 443 else f"{target.host}:{target.port}",
        SIGNATURE_HEADER: sign(body, secret=secret, at=now),
        "User-Agent": "EndpointDesk",
    }
    pinned = httpx.URL(url).copy_with(host=address)
    try:
        with (
            httpx.Client(
                timeout=TIMEOUT, trust_env=False, verify=tls or ssl.create_default_context()
            ) as client,
            # The answer's body is not read: it could be endless.
            client.stream(
                "POST",
                pinned,
                content=body,
                headers=request_headers,
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            status = response.status_code
    except httpx.TimeoutException as error:
        raise PostError(f"{target.host} did not answer in time.", retryable=True) from error
    except httpx.HTTPError as error:
        raise PostError(
            f"{target.host} could not be reached ({type(error).__name__}).", retryable=True
        ) from error
    if not 200 <= status < 300:
        again = status >= 500 or status in {408, 425, 429}
        raise PostError(f"{target.host} answered with status {status}.", retryable=again)
    return status
