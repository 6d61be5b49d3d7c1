"""Walk cursor lists without trusting them (contract 1.4, faults 5 and 6)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Generic

from dashboard.together_api import page_memory
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

# An entry by its page and its place there.
Place = tuple[Page[Any], int]


@dataclass(frozen=True)
class Listing(Generic[ResourceT]):
    """All pages of a list, as far as they could be read.

    `complete` is True only when the last cursor was empty, every page was well formed and every entry had an
    identity: only then may a caller conclude that what is not in it is gone. Otherwise `incomplete_reason` is a
    sentence, and `error` the error that ended the walk, if one did. Each id is in `places` once (the last seen).
    `entries` and `raw_items` are unparsed, `items` and `malformed` parse on first use; `sightings` does not even decode
    a page that was read before.
    """

    model: type[ResourceT]
    places: Mapping[str, Place]
    anonymous_places: Sequence[Place]
    envelope: Mapping[str, Any]
    page_count: int
    complete: bool
    incomplete_reason: str | None = None
    error: ApiError | None = None

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self.places) + len(self.anonymous_places)

    @cached_property
    def entries(self) -> tuple[Any, ...]:
        """Every entry as received, secrets dropped; those without an identity come last."""
        return tuple(page.entries[place] for page, place in (*self.places.values(), *self.anonymous_places))

    @property
    def anonymous_entries(self) -> tuple[Any, ...]:
        """The entries without an identity."""
        return tuple(page.entries[place] for page, place in self.anonymous_places)

    @property
    def sightings(self) -> Iterator[tuple[str, bytes]]:
        """Identity and fingerprint (16 bytes) of each entry that has an identity."""
        return (
            (identity, page.sightings[place].fingerprint) for identity, (page, place) in self.places.items()
        )

    def find(self, identity: str) -> RawItem:
        """Return the entry of this identity, unparsed. Raises KeyError."""
        page, place = self.places[identity]
        entry: RawItem = page.entries[place]
        return entry

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
        first = page.identities[0] if page.identities else None
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

    RL lists (contract 13) keep the cursor in `meta`. `{"data": null}` is how a Go server writes an empty list. A page
    that was read before is not decoded until somebody asks for its entries.
    """
    key = page_memory.key_of(model, reply.body)
    remembered = page_memory.recall(key)
    if remembered is not None:
        return Page(
            model=model,
            entries=_UndecodedEntries(
                lambda: _decode_page(model, reply, items_key=items_key).entries,
                count=len(remembered.sightings),
            ),
            next_cursor=remembered.next_cursor,
            envelope=remembered.envelope,
            key=key,
        )
    return replace(_decode_page(model, reply, items_key=items_key), key=key)


class _UndecodedEntries(Sequence[Any]):
    """The entries of a page whose count is known already."""

    def __init__(self, decode: Callable[[], Sequence[Any]], *, count: int) -> None:
        self._decode = decode
        self._count = count

    @cached_property
    def _entries(self) -> Sequence[Any]:
        return self._decode()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self._entries[place]


def _decode_page(model: type[ResourceT], reply: Reply, *, items_key: str) -> Page[ResourceT]:
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
    pages: list[Page[ResourceT]] = []
    failure: ApiError | None = None
    while walk.next_call is not None:
        try:
            page = walk.accept((yield walk.next_call))
        except ApiError as error:
            if walk.page_count == 0:
                raise
            failure = error
            break
        pages.append(page)
    places, anonymous = _place_entries(pages)
    reason = _incomplete_reason(walk, failure=failure, anonymous_count=len(anonymous))
    return Listing(
        model=walk.model,
        places=places,
        anonymous_places=anonymous,
        envelope=pages[-1].envelope if pages else {},
        page_count=walk.page_count,
        complete=reason is None,
        incomplete_reason=reason,
        error=failure,
    )


def _place_entries(pages: Iterable[Page[ResourceT]]) -> tuple[dict[str, Place], list[Place]]:
    """Return (places of each identity once, places of entries without one); the later sighting wins."""
    by_id: dict[str, Place] = {}
    anonymous: list[Place] = []
    for page in pages:
        for place, identity in enumerate(page.identities):
            if identity is None:
                anonymous.append((page, place))
            else:
                by_id[identity] = page, place
    return by_id, anonymous


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
