"""Walk cursor lists without trusting them (contract 1.4, faults 5 and 6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Generic

from dashboard.together_api.config import MAX_PAGES
from dashboard.together_api.errors import ApiError
from dashboard.together_api.payloads.base import (
    MalformedItem,
    Page,
    RawItem,
    ResourceT,
    parse_items,
)
from dashboard.together_api.requests import ApiCall, Flow, Reply


@dataclass(frozen=True)
class Listing(Generic[ResourceT]):
    """All pages of a list, as far as they could be read.

    `complete` is True only when the last cursor was empty, every page was well formed and every entry had an
    identity: only then may a caller conclude that what is not in it is gone. Otherwise `incomplete_reason` is a
    sentence, and `error` the error that ended the walk, if one did. `raw_items` holds each id once (the last seen),
    unparsed; `items` and `malformed` parse on first use.
    """

    model: type[ResourceT]
    entries: tuple[Any, ...]
    envelope: Mapping[str, Any]
    page_count: int
    complete: bool
    incomplete_reason: str | None = None
    error: ApiError | None = None

    @cached_property
    def raw_items(self) -> tuple[RawItem, ...]:
        """The entries that are JSON objects, unparsed; parse one with `listing.model.parse(raw)`."""
        return tuple(entry for entry in self.entries if isinstance(entry, dict))

    @property
    def items(self) -> tuple[ResourceT, ...]:
        """The entries that could be read, typed."""
        return self._parsed[0]

    @property
    def malformed(self) -> tuple[MalformedItem, ...]:
        """The entries that could not be read."""
        return self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[tuple[ResourceT, ...], tuple[MalformedItem, ...]]:
        return parse_items(self.model, self.entries)


@dataclass
class PageWalk(Generic[ResourceT]):
    """The state of walking one list: which call comes next, and whether the cursors make progress.

    Pure: `next_call` is None at the end; give each reply to `accept`. `items_key` names the list in the envelope.
    Raises MalformedResponseError for a body that is no list, a cursor seen before, and a page that starts with the
    same item as an earlier one.
    """

    model: type[ResourceT]
    next_call: ApiCall | None
    max_pages: int = MAX_PAGES
    items_key: str = "data"
    page_count: int = 0
    hit_cap: bool = False
    _cursors: set[str] = field(default_factory=set)
    _first_ids: set[str] = field(default_factory=set)

    def accept(self, reply: Reply) -> Page[ResourceT]:
        """Return the page in `reply` and set `next_call`."""
        page = read_page(self.model, reply, items_key=self.items_key)
        self.page_count += 1
        self._refuse_loop(page, reply)
        self.hit_cap = page.next_cursor is not None and self.page_count >= self.max_pages
        if page.next_cursor is None or self.hit_cap:
            self.next_call = None
        else:
            self.next_call = replace(reply.call, query={**reply.call.query, "after": page.next_cursor})
        return page

    def _refuse_loop(self, page: Page[ResourceT], reply: Reply) -> None:
        first = self.model.identify(page.entries[0]) if page.entries else None
        if first is not None:
            if first in self._first_ids:
                raise reply.malformed(
                    f"paging loop: page {self.page_count} starts where an earlier one started"
                )
            self._first_ids.add(first)
        if page.next_cursor is not None:
            if page.next_cursor in self._cursors:
                raise reply.malformed(f"paging loop: page {self.page_count} repeats a cursor")
            self._cursors.add(page.next_cursor)


_CURSOR_NAMES: Final = ("next_cursor", "nextCursor")


def read_page(model: type[ResourceT], reply: Reply, *, items_key: str = "data") -> Page[ResourceT]:
    """Return the page in `reply`: a list envelope `{data: [...], next_cursor}` or a bare array.

    RL lists (contract 13) keep the cursor in `meta`. `{"data": null}` is how a Go server writes an empty list.
    """
    value = reply.json()
    if isinstance(value, list):
        return Page(model=model, entries=tuple(value), next_cursor=None, envelope={})
    if not isinstance(value, dict) or items_key not in value:
        raise reply.malformed("expected a list")
    entries = value[items_key]
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise reply.malformed("expected a list")
    meta = value["meta"] if isinstance(value.get("meta"), dict) else {}
    cursor = next((body[name] for body in (value, meta) for name in _CURSOR_NAMES if name in body), None)
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        cursor = str(cursor)
    if cursor is not None and not isinstance(cursor, str):
        raise reply.malformed("next_cursor is not text")
    envelope = {key: item for key, item in value.items() if key != items_key}
    return Page(model=model, entries=tuple(entries), next_cursor=cursor or None, envelope=envelope)


def collect(walk: PageWalk[ResourceT]) -> Flow[Listing[ResourceT]]:
    """Walk to the end and return the listing.

    An error on the first page is raised: nothing is known. An error later ends the walk with `complete=False`, so
    that what was read already still counts.
    """
    entries: list[Any] = []
    envelope: Mapping[str, Any] = {}
    failure: ApiError | None = None
    while walk.next_call is not None:
        try:
            page = walk.accept((yield walk.next_call))
        except ApiError as error:
            if walk.page_count == 0:
                raise
            failure = error
            break
        entries.extend(page.entries)
        envelope = page.envelope
    unique, anonymous_count = _unique_entries(entries, identify=walk.model.identify)
    reason = _incomplete_reason(walk, failure=failure, anonymous_count=anonymous_count)
    return Listing(
        model=walk.model,
        entries=unique,
        envelope=envelope,
        page_count=walk.page_count,
        complete=reason is None,
        incomplete_reason=reason,
        error=failure,
    )


def _unique_entries(
    entries: list[Any], *, identify: Callable[[Any], str | None]
) -> tuple[tuple[Any, ...], int]:
    """Return (entries with each identity once, count of entries without one); the later sighting wins."""
    by_id: dict[str, Any] = {}
    anonymous: list[Any] = []
    for entry in entries:
        identity = identify(entry)
        if identity is None:
            anonymous.append(entry)
        else:
            by_id[identity] = entry
    return (*by_id.values(), *anonymous), len(anonymous)


def _incomplete_reason(
    walk: PageWalk[ResourceT], *, failure: ApiError | None, anonymous_count: int
) -> str | None:
    if failure is not None:
        return failure.sentence
    if walk.hit_cap:
        return f"The list has more than {walk.max_pages} pages."
    if anonymous_count:
        return f"{anonymous_count} entries have no id."
    return None
