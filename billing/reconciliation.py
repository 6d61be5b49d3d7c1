"""What a meter cost on a day, three times, and why the three differ. Pure.

Projected is our state history at list price, start-up included, as anybody would have reckoned; metered is the ledger:
ready time only, contracted price, rounding; billed is what the provider's lines say. Each gap is split into named
causes that sum to it exactly (whole ticks, billing/amounts.py); what no cause explains is called unexplained.

Where the provider does not tell how many replicas ran (v1), metered is a range; gaps are reckoned from its low end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from billing.amounts import TICKS_PER_NANO
from billing.metering import Condition, Source, SpanDraft, count_us

NANO_PER_USD = 1_000_000_000
TICKS_PER_USD = TICKS_PER_NANO * NANO_PER_USD


class Cause(StrEnum):
    """Why two numbers differ."""

    START_UP = "start-up"
    ROUNDING = "rounding"
    PRICE = "price"
    MISSING_INTERVAL = "missing-interval"
    REPLICA_MISMATCH = "replica-mismatch"
    CREDIT = "credit"
    LAG = "lag"
    NOT_MIRRORED = "not-mirrored"
    UNEXPLAINED = "unexplained"


class Reading(StrEnum):
    """Whether a window of the bill was read."""

    READ = "read"
    LATE = "late"  # the provider is not done with it
    UNREAD = "unread"  # not offered, failed, or older than the bill goes


@dataclass(frozen=True, slots=True)
class BillLine:
    """A line of the bill: cost in ticks, quantity in the product's unit, price in USD; None: not told."""

    cost: int
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    credit: str = ""


@dataclass(frozen=True, slots=True)
class BillWindow:
    """The meter's lines of `[start, end)`; only a window that was read says that there are no others."""

    start: datetime
    end: datetime
    reading: Reading = Reading.READ
    lines: tuple[BillLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A metered span; `start_up_rate` is what its start-up would cost at list price, nano-dollars per hour."""

    span: SpanDraft
    start_up_rate: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared. `unit_hours` is how many unit-hours one billed quantity is: 1/8 where a replica has 8 GPUs and
    the bill counts GPU-hours; None where the bill's unit is not known. Not matched: lines without a meter.
    """

    is_matched: bool = True
    unit_hours: Fraction | None = None


Causes = Mapping[Cause, int]


@dataclass(frozen=True, slots=True)
class WindowAgreement:
    """The numbers of one window in ticks; `billed` None where the window was not read. `notes` say more of a cause."""

    window: BillWindow
    projected: int
    metered_low: int
    metered_high: int
    billed: int | None
    to_metered: Causes
    to_billed: Causes
    notes: Mapping[Cause, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DayAgreement:
    """The sums of a day's windows. `billed` None: none of them was read, and there is no gap to it."""

    projected: int
    metered_low: int
    metered_high: int
    billed: int | None
    to_metered: Causes
    to_billed: Causes
    windows: tuple[WindowAgreement, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to tell of the day."""
        return not (
            self.projected
            or self.metered_high
            or self.billed
            or any(one.window.lines for one in self.windows)
        )

    @property
    def unexplained(self) -> int:
        return self.to_billed.get(Cause.UNEXPLAINED, 0)


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of a stretch within a window, priced; amounts in ticks, `us` in microseconds."""

    stretch: Stretch
    start: datetime
    end: datetime
    us: int
    projected: int
    low: int
    high: int
    rated: int  # of `low`, what time costs: without rounding and lump

    @property
    def span(self) -> SpanDraft:
        return self.stretch.span


def to_ticks(usd: Decimal) -> int:
    """Return dollars as ticks: exact to eighteen decimals."""
    return int(Fraction(usd) * TICKS_PER_USD)


def clip_stretches(stretches: Sequence[Stretch], window: BillWindow, *, now: datetime) -> list[Clip]:
    """Return the parts of the stretches within the window; rounding and lump fall on a span's last microsecond."""
    clips = []
    for stretch in stretches:
        span = stretch.span
        start, end = max(span.start, window.start), min(span.end or now, window.end)
        if start < end:
            clips.append(_price(stretch, start, end))
    return clips


def _price(stretch: Stretch, start: datetime, end: datetime) -> Clip:
    span, us = stretch.span, count_us(start, end)
    has_last = span.end is not None and span.end <= end
    rounding_us = span.rounding_us if has_last else 0
    lump = span.lump_nano_usd * TICKS_PER_NANO if has_last else 0
    rated = span.rate_low * us
    low = rated + span.rate_low * rounding_us + lump
    high = span.rate_high * (us + rounding_us) + lump
    if span.source == Source.BILL:
        projected = 0
    elif span.condition == Condition.FREE:
        projected = stretch.start_up_rate * us
    elif span.list_nano_usd_per_hour is None:
        projected = rated + lump
    else:
        projected = span.units_low * span.list_nano_usd_per_hour * us + lump
    return Clip(stretch, start, end, us, projected, low, high, rated)


def explain_metered(clips: Sequence[Clip]) -> dict[Cause, int]:
    """Return why what was metered differs from what was projected."""
    causes: dict[Cause, int] = {}
    for clip in clips:
        gap = clip.low - clip.projected
        span = clip.span
        if span.source == Source.BILL:
            add_cause(causes, Cause.NOT_MIRRORED, gap)
        elif span.condition == Condition.FREE:
            add_cause(causes, Cause.START_UP, -clip.projected)
            add_cause(causes, Cause.ROUNDING, clip.low)
        else:
            lump = span.lump_nano_usd * TICKS_PER_NANO if span.end is not None and span.end <= clip.end else 0
            rounding = clip.low - clip.rated - lump
            add_cause(causes, Cause.ROUNDING, rounding)
            add_cause(causes, Cause.PRICE, gap - rounding)
    return {cause: ticks for cause, ticks in causes.items() if ticks}


def add_cause(causes: dict[Cause, int], cause: Cause, ticks: int) -> None:
    """Add to a cause; nothing added leaves no trace."""
    if ticks:
        causes[cause] = causes.get(cause, 0) + ticks


def sum_causes(parts: Sequence[Causes]) -> dict[Cause, int]:
    """Return the sums by cause; what cancels out is left out."""
    total: dict[Cause, int] = {}
    for part in parts:
        for cause, ticks in part.items():
            add_cause(total, cause, ticks)
    return {cause: ticks for cause, ticks in total.items() if ticks}
