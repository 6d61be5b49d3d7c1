"""Cursor pages: `?limit=&after=` -> `{object, data, next_cursor}`; a cursor holds for its own filters only."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from starlette.responses import Response

from simulator.call import Call, json_answer
from simulator.errors import bad_request
from simulator.identifiers import derive_number

Item = TypeVar("Item")
#: What a list without members is cut from.
NO_ITEMS: tuple[str, ...] = ()
DEFAULT_LIMIT = 50
#: Query parameters that a cursor does not depend on.
_NOT_FILTERS = frozenset({"after", "limit"})


def _fingerprint(call: Call) -> str:
    filters = sorted((name, value) for name, value in call.query.items() if name not in _NOT_FILTERS)
    return f"{derive_number(filters, sorted(call.path.items())) & 0xFFFFFFFF:08x}"


def encode_cursor(call: Call, key: Sequence[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps([_fingerprint(call), *key])).decode().rstrip("=")


def decode_cursor(call: Call) -> tuple[Any, ...] | None:
    """Return the sort key after which the page begins; None = at the start. Raises 400."""
    text = call.query.get("after")
    if not text:
        return None
    try:
        fingerprint, *key = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError) as error:
        if call.world.any_id:
            return None
        raise bad_request("invalid cursor", param="after") from error
    if fingerprint != _fingerprint(call):
        raise bad_request("cursor does not belong to these filters", param="after")
    return tuple(key)


def cut_page(
    call: Call, items: Sequence[Item], *, key: Callable[[Item], tuple[Any, ...]], most: int = 500
) -> tuple[Sequence[Item], str | None]:
    """Return one page of items sorted by `key` (ascending) and the next cursor.

    The position is a sort key, not an offset: what is deleted or added meanwhile moves nothing.
    """
    limit = call.whole_number("limit", default=DEFAULT_LIMIT, most=most)
    after = decode_cursor(call)
    begin = 0 if after is None else bisect_right(items, after, key=key)
    page = items[begin : begin + limit]
    more = begin + limit < len(items)
    return page, encode_cursor(call, key(page[-1])) if more and page else None


def list_answer(items: Sequence[Any], next_cursor: str | None, **extra: Any) -> Response:
    return json_answer({"object": "list", **extra, "data": list(items), "next_cursor": next_cursor})


def list_answer_encoded(items: Sequence[bytes], next_cursor: str | None) -> Response:
    """Return a list of items that are encoded already."""
    cursor = orjson.dumps(next_cursor)
    return json_answer(b'{"object":"list","data":[' + b",".join(items) + b'],"next_cursor":' + cursor + b"}")
