"""Read the form of an upload. A journal repeats it as JSON, with the file's bytes in base64."""

import re
from base64 import b64decode, b64encode
from email.message import Message
from typing import Any, Final

import orjson

from simulator.errors import bad_request

#: The form field that carries the bytes of the file.
FILE_FIELD: Final = "file"


def read_form(raw: bytes, content_type: str) -> dict[str, Any]:
    """Return the fields by name, the file in base64. Raises 400 for anything that is neither a form nor JSON."""
    header = Message()
    header["content-type"] = content_type or "application/json"
    boundary = header.get_param("boundary")
    if header.get_content_type() == "multipart/form-data" and isinstance(boundary, str):
        return dict(_read_part(part) for part in _split(raw, boundary.encode()))
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad_request("the body must be multipart/form-data") from error
    if not isinstance(fields, dict):
        raise bad_request("the body must be multipart/form-data")
    return fields


def _split(raw: bytes, boundary: bytes) -> list[bytes]:
    """Return what stands between the boundaries, without the line ends that belong to them."""
    pieces = (b"\r\n" + raw).split(b"\r\n--" + boundary)
    return [piece.removeprefix(b"\r\n") for piece in pieces[1:] if not piece.startswith(b"--")]


def _read_part(part: bytes) -> tuple[str, str]:
    head, separator, value = part.partition(b"\r\n\r\n")
    name = re.search(rb'name="([^"]*)"', head)
    if not separator or name is None:
        raise bad_request("a part of the form has no name")
    field = name.group(1).decode()
    return field, encode_file(value) if field == FILE_FIELD else value.decode()


def encode_file(raw: bytes) -> str:
    return b64encode(raw).decode()


def decode_file(text: Any) -> bytes:
    """Return the bytes of a file field. Raises 400."""
    if not isinstance(text, str):
        raise bad_request("file is required", param=FILE_FIELD)
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise bad_request("file cannot be read", param=FILE_FIELD) from error
