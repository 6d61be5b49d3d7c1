"""What has to be written so that the ledger says what metering found: data in, data out. Pure.

What is not posted is replaced as it stands. What is posted changes only where it counts, and then by a reversal and a
correction; a better reason for the same amount changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from billing.metering import Condition, SpanDraft

# Evidence and bounds may become better known; a posting is not taken back for that.
_COSMETIC = frozenset(
    {"evidence", "source", "state", "price_source", "start_earliest", "start_latest", "end_earliest", "end_latest",
     "bound_low", "bound_high"}
)  # fmt: skip
_COUNTING = tuple(one.name for one in fields(SpanDraft) if one.name not in _COSMETIC)


@dataclass(frozen=True, slots=True)
class KnownSpan:
    """An interval as it is stored; `pk` of MeteredInterval."""

    pk: int
    draft: SpanDraft
    is_settled: bool


@dataclass(frozen=True, slots=True)
class NewSpan:
    """An interval to be stored; a correction takes the place of something that was posted."""

    draft: SpanDraft
    is_settled: bool
    is_correction: bool = False

    @property
    def is_posted(self) -> bool:
        """True when it gets an entry: it is settled, and there is something to pay or to ask."""
        return self.is_settled and has_entry(self.draft)


@dataclass(slots=True)
class Plan:
    """What to do with one meter's intervals: delete, settle as they are, insert; deleted settled ones are reversed."""

    deleted: list[KnownSpan] = field(default_factory=list)
    settled: list[KnownSpan] = field(default_factory=list)
    inserted: list[NewSpan] = field(default_factory=list)

    @property
    def reversed(self) -> list[KnownSpan]:
        """Return the deleted ones whose entries are taken back."""
        return [one for one in self.deleted if one.is_settled and has_entry(one.draft)]

    @property
    def is_priced(self) -> bool:
        """True when entries are taken back for one reason: they had no price, and one is known now."""
        priced = {new.draft.start for new in self.inserted if _has_price(new.draft)}
        return all(one.draft.start in priced and not _has_price(one.draft) for one in self.reversed)

    @property
    def is_empty(self) -> bool:
        """True when nothing has to be written."""
        return not (self.deleted or self.settled or self.inserted)


def _has_price(draft: SpanDraft) -> bool:
    return draft.nano_usd_per_hour is not None or bool(draft.lump_nano_usd)


def has_entry(draft: SpanDraft) -> bool:
    """Return True when a settled span is posted: what is free has nothing to post."""
    return draft.condition != Condition.FREE


def plan_posting(
    known: Sequence[KnownSpan], drafts: Sequence[SpanDraft], *, since: datetime, settled_until: datetime
) -> Plan:
    """Compare what is stored from `since` on with the drafts, which begin there; both in order of time.

    A stored interval that reaches over `since` is cut there, its first part stays as it was. A draft that ends by
    `settled_until` is settled.
    """
    plan = Plan()
    by_start = {one.draft.start: one for one in known}
    kept: set[int] = set()
    wanted = [*_keep_heads(known, since), *_keep_known(known, drafts)]
    for draft in wanted:
        is_settled = draft.end is not None and draft.end <= settled_until
        old = by_start.get(draft.start)
        if old is not None and _says_same(old, draft):
            kept.add(old.pk)
            if is_settled and not old.is_settled:
                plan.settled.append(old)
            continue
        plan.inserted.append(NewSpan(draft, is_settled))
    plan.deleted = [one for one in known if one.pk not in kept]
    lost = [one for one in plan.deleted if one.is_settled]
    plan.inserted = [
        replace(new, is_correction=any(_overlaps(one.draft, new.draft) for one in lost))
        for new in plan.inserted
    ]
    return plan


def _keep_heads(known: Sequence[KnownSpan], since: datetime) -> list[SpanDraft]:
    """Return the parts before `since` of intervals that reach over it; rounding, lump and bounds went with the rest."""
    return [
        replace(
            one.draft,
            end=since,
            rounding_us=0,
            lump_nano_usd=0,
            end_earliest=None,
            end_latest=None,
            bound_low=None,
            bound_high=None,
        )
        for one in known
        if one.draft.start < since and (one.draft.end is None or one.draft.end > since)
    ]


def _keep_known(known: Sequence[KnownSpan], drafts: Sequence[SpanDraft]) -> list[SpanDraft]:
    """Return the drafts with posted knowledge put back where they know nothing.

    What was once seen and posted does not become unknown because its evidence is no longer told: a feed forgets, and
    another connection begins with an empty mirror.
    """
    certain = [one.draft for one in known if one.is_settled and one.draft.condition != Condition.UNKNOWN]
    wanted: list[SpanDraft] = []
    for draft in drafts:
        inside = [one for one in certain if draft.condition == Condition.UNKNOWN and _is_inside(one, draft)]
        position = draft.start
        for one in inside:
            if position < one.start:
                wanted.append(_unbounded(draft, position, one.start))
            wanted.append(one)
            position = one.end or position
        if not inside:
            wanted.append(draft)
        elif draft.end is None or position < draft.end:
            wanted.append(_unbounded(draft, position, draft.end))
    return wanted


def _is_inside(one: SpanDraft, other: SpanDraft) -> bool:
    return one.end is not None and other.start <= one.start and (other.end is None or one.end <= other.end)


def _unbounded(draft: SpanDraft, start: datetime, end: datetime | None) -> SpanDraft:
    return replace(draft, start=start, end=end, bound_low=None, bound_high=None)


def _says_same(old: KnownSpan, draft: SpanDraft) -> bool:
    if not old.is_settled:
        return old.draft == draft
    return _counting(old.draft) == _counting(draft)


def _counting(draft: SpanDraft) -> tuple[object, ...]:
    return tuple(getattr(draft, name) for name in _COUNTING)


def _overlaps(one: SpanDraft, other: SpanDraft) -> bool:
    return (other.end is None or one.start < other.end) and (one.end is None or other.start < one.end)
