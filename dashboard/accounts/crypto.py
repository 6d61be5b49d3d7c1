"""Secrets at rest: AES-256-GCM, bound to the row and field that hold them.

The associated data is ``table:pk:field``, so that a ciphertext copied into another row or column does not
decrypt (MultiFernet would decrypt it silently: shared reference, section 3). The id of the key stands in the
value: `manage.py rotate_keys` finds what the newest key has not sealed yet.
"""

import base64
import binascii
import os
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

# Bytes. 96 bits is what NIST SP 800-38D names for random nonces; 32 bytes of key make it AES-256.
NONCE_BYTES = 12
KEY_BYTES = 32
_FORMAT = "gcm1"


class CryptoError(Exception):
    """A secret could not be sealed or opened. Never retryable: the keys or the row are wrong."""

    retryable = False


class KeyConfigurationError(CryptoError):
    """FIELD_ENCRYPTION_KEYS is missing or malformed; the message says what is expected."""


class UnknownKeyError(CryptoError):
    """The value was sealed with a key that FIELD_ENCRYPTION_KEYS no longer lists."""


class TamperedError(CryptoError):
    """The value does not belong to this row and field, or was changed."""


class Place(NamedTuple):
    """Where a secret lives; part of what is authenticated."""

    table: str
    pk: int
    field: str

    def encode(self) -> bytes:
        return f"{self.table}:{self.pk}:{self.field}".encode()


@dataclass(frozen=True)
class FieldKey:
    """One key of FIELD_ENCRYPTION_KEYS."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"FieldKey(id={self.id!r})"


def read_keys() -> list[FieldKey]:
    """Return the configured keys, newest first. Raises KeyConfigurationError with one clear sentence."""
    keys = [_parse_key(item) for item in settings.FIELD_ENCRYPTION_KEYS]
    if not keys:
        raise KeyConfigurationError(
            "FIELD_ENCRYPTION_KEYS is empty: it needs at least one id:base64 pair of a 32-byte key"
        )
    if len({key.id for key in keys}) != len(keys):
        raise KeyConfigurationError("FIELD_ENCRYPTION_KEYS names one key id twice")
    return keys


def _parse_key(item: str) -> FieldKey:
    key_id, separator, encoded = item.partition(":")
    # The value itself stays out of the message: it would end in a log.
    if not separator or not key_id or not key_id.replace("-", "").replace("_", "").isalnum():
        raise KeyConfigurationError("FIELD_ENCRYPTION_KEYS must be id:base64 pairs, comma separated")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise KeyConfigurationError(f"the key {key_id} in FIELD_ENCRYPTION_KEYS is not base64") from error
    if len(secret) != KEY_BYTES:
        raise KeyConfigurationError(
            f"the key {key_id} in FIELD_ENCRYPTION_KEYS has {len(secret)} bytes, {KEY_BYTES} are needed"
        )
    return FieldKey(id=key_id, secret=secret)


def seal(plaintext: str, *, place: Place) -> str:
    """Return the text sealed with the newest key, as ``gcm1.<key id>.<base64>``."""
    key = read_keys()[0]
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(key.secret).encrypt(nonce, plaintext.encode(), place.encode())
    return f"{_FORMAT}.{key.id}.{base64.b64encode(nonce + sealed).decode()}"


def open_sealed(value: str, *, place: Place) -> str:
    """Return the plaintext. Raises UnknownKeyError, or TamperedError when the value is not of this place."""
    key_id = sealing_key_id(value)
    key = next((candidate for candidate in read_keys() if candidate.id == key_id), None)
    if key is None:
        raise UnknownKeyError(f"sealed with the key {key_id}, which FIELD_ENCRYPTION_KEYS does not list")
    try:
        content = base64.b64decode(value.split(".", 2)[2], validate=True)
        return (
            AESGCM(key.secret).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], place.encode()).decode()
        )
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise TamperedError(f"the value in {place.table}.{place.field} does not belong there") from error


def sealing_key_id(value: str) -> str:
    """Return the id of the key that sealed the value. Raises TamperedError for a value of another format."""
    parts = value.split(".", 2)
    if len(parts) != 3 or parts[0] != _FORMAT:
        raise TamperedError("the value is not a sealed secret")
    return parts[1]
