"""What a meter did, as drafts of its intervals: the form in which every module of metering gives its findings. Pure.

Deployments, resources and the bill each turn what they know into `SpanDraft`s that cover `[from, until)` without a
hole; `billing/ledger.py` writes them down. Amounts are whole ticks (billing/amounts.py), time is counted in
microseconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from billing.amounts import TICKS_PER_NANO, Cost

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)


class Condition(StrEnum):
    """Whether a span bills; values of models.Condition."""

    BILLS = "bills"
    FREE = "free"
    UNKNOWN = "unknown"


class Use(StrEnum):
    """What was done with what ran; values of models.Use."""

    BUSY = "busy"
    IDLE = "idle"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """How a span is known, best first; values of models.IntervalSource."""

    EVENT = "event"
    PHASE = "phase"
    POLL = "poll"
    BILL = "bill"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class SpanDraft:
    """The columns of models.Span; half-open `[start, end)`, UTC, `end` None = goes on.

    A span that bills at an unknown price has `nano_usd_per_hour` None and both rates 0. A span whose condition is
    unknown has both rates 0, `units_low` 0, and says in `bound_high` what it may have cost at most.
    """

    start: datetime
    end: datetime | None
    condition: str
    source: str
    state: str = ""
    units_low: int = 0
    units_high: int = 0
    sku: str = ""
    list_nano_usd_per_hour: int | None = None
    nano_usd_per_hour: int | None = None
    price_source: str = ""
    rate_low: int = 0
    rate_high: int = 0
    lump_nano_usd: int = 0
    rounding_us: int = 0
    use: str = Use.UNKNOWN
    evidence: str = ""
    start_earliest: datetime | None = None
    start_latest: datetime | None = None
    end_earliest: datetime | None = None
    end_latest: datetime | None = None
    bound_low: int | None = None
    bound_high: int | None = None


def free(start: datetime, end: datetime | None, *, state: str, source: str, evidence: str = "") -> SpanDraft:
    """Return a span that does not bill."""
    return SpanDraft(start, end, Condition.FREE.value, source, state=state, evidence=evidence)


def unknown(
    start: datetime, end: datetime | None, *, source: str = Source.ESTIMATE.value, evidence: str
) -> SpanDraft:
    """Return a span of which nobody knows whether it billed."""
    return SpanDraft(start, end, Condition.UNKNOWN.value, source, evidence=evidence)


def count_us(start: datetime, end: datetime) -> int:
    """Return whole microseconds of `[start, end)`."""
    return (end - start) // MICROSECOND


def price_span(span: SpanDraft, *, until: datetime) -> Cost:
    """Return the exact cost of a span; one that goes on is counted until `until`."""
    end = span.end or until
    length = count_us(span.start, end)
    billed = length + span.rounding_us
    lump = span.lump_nano_usd * TICKS_PER_NANO
    low, high = span.rate_low * billed + lump, span.rate_high * billed + lump
    is_idle = span.use == Use.IDLE
    is_unpriced = (
        span.condition == Condition.BILLS and span.nano_usd_per_hour is None and not span.lump_nano_usd
    )
    return Cost(
        low=low,
        high=high,
        idle_low=low if is_idle else 0,
        idle_high=high if is_idle else 0,
        unpriced_us=length if is_unpriced else 0,
        unknown_us=length if span.condition == Condition.UNKNOWN else 0,
    )


def next_midnight(at: datetime) -> datetime:
    """Return the first midnight UTC after `at`."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def list_midnights(start: datetime, end: datetime) -> list[datetime]:
    """Return the midnights UTC strictly inside `(start, end)`."""
    found: list[datetime] = []
    at = next_midnight(start)
    while at < end:
        found.append(at)
        at += DAY
    return found


def cut_at_midnight(span: SpanDraft, *, until: datetime) -> list[SpanDraft]:
    """Return the span in parts of at most a day; one that goes on is cut before `until` and its last part goes on.

    Rounding and lump stay with the last part. Raises ValueError for a span with bounds of its cost: only who made it
    can tell how they fall on its parts.
    """
    if span.bound_low is not None or span.bound_high is not None:
        raise ValueError("bounds cannot be cut")
    midnights = list_midnights(span.start, span.end or until)
    if not midnights:
        return [span]
    edges = [span.start, *midnights]
    parts = [
        replace(
            span, start=start, end=end, rounding_us=0, lump_nano_usd=0, end_earliest=None, end_latest=None
        )
        for start, end in zip(edges, midnights, strict=False)
    ]
    parts.append(replace(span, start=midnights[-1], start_earliest=None, start_latest=None))
    first, *rest = parts
    return [first, *(replace(part, start_earliest=None, start_latest=None) for part in rest)]


def check_cover(spans: Sequence[SpanDraft], *, since: datetime) -> None:
    """Raise ValueError when the spans do not follow each other from `since` on without hole and overlap."""
    position: datetime | None = since
    for span in spans:
        if span.start != position:
            raise ValueError(f"a span begins at {span.start}, expected {position}")
        if span.end is not None and span.end <= span.start:
            raise ValueError(f"a span ends at {span.end}, before it begins at {span.start}")
        position = span.end


def join_equal(spans: Iterable[SpanDraft]) -> list[SpanDraft]:
    """Return the spans with neighbours joined that bill nothing and say the same."""
    joined: list[SpanDraft] = []
    for span in spans:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.condition != Condition.BILLS
            and last.bound_high is None
            and last.end == span.start
            and replace(last, end=span.end) == replace(span, start=last.start)
        ):
            joined[-1] = replace(last, end=span.end)
        else:
            joined.append(span)
    return joined
