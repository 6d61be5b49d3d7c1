"""Opaque ids that are the same for the same seed."""

from hashlib import blake2b
from uuid import UUID

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"


def derive_number(*parts: object) -> int:
    """Return 64 bits that depend on every part."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def derive_id(prefix: str, *parts: object) -> str:
    """Return `<prefix>_` and ten characters that depend on every part."""
    number = derive_number(prefix, *parts)
    letters = []
    for _ in range(10):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(letters)}"


def derive_uuid(*parts: object) -> str:
    """Return a version-4 shaped uuid that depends on every part."""
    text = "\x1f".join(map(str, parts))
    return str(UUID(bytes=blake2b(text.encode(), digest_size=16).digest(), version=4))


def derive_etag(resource_id: str, version: int) -> str:
    """Return the version tag of one write of one resource."""
    return f"W{derive_number(resource_id, version) & 0xFFFFFF:06x}"
