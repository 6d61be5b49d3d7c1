"""Pages of the RL lists: `?limit=&after=` with the id of the last item -> `{data, meta}`; and their filters."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from simulator.call import Call, json_answer
from simulator.errors import bad_request

Item = TypeVar("Item")
_DEFAULT_LIMIT, _MOST = 20, 100


def answer_page(
    call: Call, items: Sequence[Item], *, identify: Callable[[Item], str], describe: Callable[[Item], Any]
) -> Response:
    """Return one page of items, newest first as they come. Raises 400 for an unknown cursor."""
    limit = call.whole_number("limit", default=_DEFAULT_LIMIT, most=_MOST)
    ids = [identify(item) for item in items]
    after = call.query.get("after")
    begin = 0
    if after and not call.world.any_id:
        if after not in ids:
            raise bad_request("invalid cursor", param="after")
        begin = ids.index(after) + 1
    page = items[begin : begin + limit]
    more = begin + limit < len(items)
    meta = {"limit": limit, "has_more": more, "next_cursor": identify(page[-1]) if more else ""}
    return json_answer({"data": [describe(item) for item in page], "meta": meta})


def read_statuses(call: Call, *, prefix: str) -> set[str] | None:
    """Return the states of the comma list `status`, without their prefix; None = all."""
    text = call.query.get("status")
    if not text or call.world.any_id:
        return None
    return {part.removeprefix(prefix) for part in text.split(",") if part}


def fits_creator(call: Call, created_by: str) -> bool:
    """Tell whether `created_by` of the query, or "me", made it."""
    wanted = call.query.get("created_by")
    if not wanted or call.world.any_id:
        return True
    return created_by == (call.identity.api_key_id if wanted == "me" else wanted)
