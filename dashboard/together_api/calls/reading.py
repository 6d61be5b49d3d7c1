"""How replies become payloads, shared by all calls."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dashboard.together_api.config import MAX_PAGES
from dashboard.together_api.pagination import Listing, PageWalk, collect
from dashboard.together_api.payloads.base import ResourceT, describe
from dashboard.together_api.requests import ApiCall, Flow, Reply


def read_one(model: type[ResourceT], reply: Reply) -> ResourceT:
    """Return the single payload in `reply`; raises MalformedResponseError."""
    raw = reply.json_object()
    try:
        return model.parse(raw)
    except ValidationError as error:
        raise reply.malformed(describe(error)) from error


def fetch_one(model: type[ResourceT], call: ApiCall) -> Flow[ResourceT]:
    """Return the payload that answers `call`."""
    return read_one(model, (yield call))


def fetch_all(
    model: type[ResourceT],
    call: ApiCall,
    *,
    max_pages: int = MAX_PAGES,
    items_key: str = "data",
) -> Flow[Listing[ResourceT]]:
    """Return all pages that start with `call`; `items_key` names the list in the envelope."""
    return (
        yield from collect(PageWalk(model=model, next_call=call, max_pages=max_pages, items_key=items_key))
    )


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` without the keys that were not given."""
    return {key: value for key, value in values.items() if value is not None}
