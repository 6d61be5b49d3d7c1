"""Why the bill of a window differs from what was metered in it: one gap, taken apart cause by cause. Pure.

What is known exactly goes first (credits, another price), then what is bounded (time nobody saw, replicas v1 does not
tell, a minute per start or stop), and each takes no more than it can account for. The rest is unexplained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from billing.amounts import TICKS_PER_NANO
from billing.metering import Condition, SpanDraft, count_us
from billing.reconciliation import NANO_PER_USD, BillWindow, Cause, Clip, Stretch, Subject, to_ticks

US_PER_HOUR: Final = 3_600_000_000
# The provider bills by the minute (contract 2): each start or stop may be rounded by up to one.
US_PER_EDGE: Final = 60_000_000
CREDIT: Final = "CREDIT"  # contract 10: applied_credit type of what was not paid for
# Two prices are the same when they differ by less than what printing them to nine decimals leaves open.
PRICE_TOLERANCE: Final = Fraction(1, 1_000_000)
# A unit that makes the price ten times another one is not the unit that we took it for.
MOST_PRICE_RATIO: Final = 10


@dataclass(slots=True)
class Room:
    """What the bounds of a day's spans can still account for: ticks up and down, by place of the span."""

    up: dict[int, int] = field(default_factory=dict)
    down: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Gap:
    """A gap while it is taken apart."""

    rest: int
    causes: dict[Cause, int] = field(default_factory=dict)
    notes: dict[Cause, str] = field(default_factory=dict)

    def take(self, cause: Cause, ticks: int, note: str = "") -> None:
        """Give `ticks` of the rest to the cause."""
        if ticks:
            self.causes[cause] = self.causes.get(cause, 0) + ticks
            self.rest -= ticks
            if note:
                self.notes[cause] = note

    def take_within(self, cause: Cause, low: int, high: int | None, note: str = "") -> int:
        """Give the cause as much of the rest as lies in `[low, high]` (None: no limit above); return how much."""
        taken = max(self.rest, min(low, 0))
        if high is not None:
            taken = min(taken, max(high, 0))
        self.take(cause, taken, note)
        return taken


def make_room(stretches: Sequence[Stretch]) -> Room:
    """Return what the bounds of the spans leave open."""
    room = Room()
    for place, stretch in enumerate(stretches):
        span = stretch.span
        if span.end is None:
            continue
        us = count_us(span.start, span.end)
        lump = span.lump_nano_usd * TICKS_PER_NANO
        if span.bound_high is not None:
            room.up[place] = max(0, int(span.bound_high) - span.rate_high * (us + span.rounding_us) - lump)
        if span.bound_low is not None:
            room.down[place] = max(0, span.rate_low * (us + span.rounding_us) + lump - int(span.bound_low))
    return room


def explain_billed(
    window: BillWindow, clips: Sequence[Clip], *, stretches: Sequence[Stretch], subject: Subject, room: Room
) -> Gap:
    """Return the gap from metered to billed of a window that was read, with its causes."""
    billed = sum(line.cost for line in window.lines)
    gap = Gap(billed - sum(clip.low for clip in clips))
    if not gap.rest:
        return gap
    if not subject.is_matched:
        gap.take(Cause.CREDIT, sum(line.cost for line in window.lines if _is_credit(line.cost, line.credit)))
        gap.take(Cause.NOT_MIRRORED, gap.rest)
        return gap
    printed = TICKS_PER_NANO * (len(window.lines) + 1)
    if abs(gap.rest) <= printed:
        gap.take(Cause.ROUNDING, gap.rest)
        return gap
    gap.take(Cause.CREDIT, sum_credits(window))
    ratio = _take_price(gap, window, clips, subject)
    if any(is_unpriced(clip.span) for clip in clips):
        gap.take_within(Cause.PRICE, 0, None, "its price was not known")
    _take_missing(gap, window, clips, stretches, room, ratio)
    ranged = sum(clip.high - clip.low for clip in clips)
    gap.take_within(
        Cause.REPLICA_MISMATCH, 0, int(ranged * ratio), "replicas above the minimum, which v1 does not tell"
    )
    _take_count(gap, window, clips, subject)
    starting = sum(clip.stretch.start_up_rate * clip.us for clip in clips)
    gap.take_within(Cause.START_UP, 0, int(starting * ratio), "start-up that we count as not billed")
    _take_edges(gap, window, stretches, ratio)
    gap.take(Cause.ROUNDING if abs(gap.rest) <= printed else Cause.UNEXPLAINED, gap.rest)
    gap.causes = {cause: ticks for cause, ticks in gap.causes.items() if ticks}
    return gap


def is_unpriced(span: SpanDraft) -> bool:
    """Return whether the span bills at a price that is not known."""
    bills = span.condition == Condition.BILLS
    return bills and span.nano_usd_per_hour is None and not span.lump_nano_usd


def _is_credit(cost: int, credit: str) -> bool:
    return cost < 0 or credit.upper() == CREDIT


def sum_credits(window: BillWindow) -> int:
    """Return what credits took off: lines below zero, and what a CREDIT line costs less than its quantity x price."""
    total = 0
    for line in window.lines:
        if line.cost < 0:
            total += line.cost
        elif line.credit.upper() == CREDIT and line.quantity is not None and line.unit_price is not None:
            full = to_ticks(line.quantity * line.unit_price)
            if full - line.cost > TICKS_PER_NANO:
                total += line.cost - full
    return total


def _take_price(gap: Gap, window: BillWindow, clips: Sequence[Clip], subject: Subject) -> Fraction:
    """Take what another price makes of the same time; return how much dearer the bill's price is, at least 1."""
    unit_us = sum(clip.span.units_low * clip.us for clip in clips if clip.span.condition == Condition.BILLS)
    most_us = sum(clip.span.units_high * clip.us for clip in clips if clip.span.condition == Condition.BILLS)
    told = [
        (line.quantity, line.unit_price)
        for line in window.lines
        if line.cost >= 0 and line.quantity and line.unit_price is not None
    ]
    if not told or not unit_us or subject.unit_hours is None:
        return Fraction(1)
    quantity = sum((Fraction(one) for one, _ in told), Fraction(0))
    full = sum((Fraction(one) * Fraction(price) for one, price in told), Fraction(0))
    per_hour = full / quantity / subject.unit_hours * NANO_PER_USD
    ours = Fraction(sum(clip.rated for clip in clips), unit_us)
    if ours and not Fraction(1, MOST_PRICE_RATIO) < per_hour / ours < MOST_PRICE_RATIO:
        return Fraction(1)
    if abs(per_hour - ours) > PRICE_TOLERANCE * max(per_hour, ours):
        same_us = min(quantity * subject.unit_hours * US_PER_HOUR, Fraction(most_us))
        note = f"billed at {_dollars(per_hour)} per unit and hour, "
        note += f"metered at {_dollars(ours)}" if ours else "which was not known"
        gap.take(Cause.PRICE, round((per_hour - ours) * same_us), note)
    # A line that costs less or more than its quantity x price, and no credit says why: a discount.
    costs = sum(line.cost for line in window.lines if line.cost >= 0 and line.credit.upper() != CREDIT)
    known = sum(
        to_ticks(line.quantity * line.unit_price)
        for line in window.lines
        if line.cost >= 0
        and line.credit.upper() != CREDIT
        and line.quantity is not None
        and line.unit_price is not None
    )
    printed = Fraction(2 * TICKS_PER_NANO * len(window.lines))
    if known and abs(costs - known) > max(known * PRICE_TOLERANCE, printed):
        gap.take(Cause.PRICE, costs - known, "a line costs another amount than its quantity x price")
    return max(Fraction(1), per_hour / ours) if ours else Fraction(1)


def _dollars(nano: Fraction) -> str:
    return f"${Decimal(round(nano)) / NANO_PER_USD:.4f}"


def _take_missing(
    gap: Gap,
    window: BillWindow,
    clips: Sequence[Clip],
    stretches: Sequence[Stretch],
    room: Room,
    ratio: Fraction,
) -> None:
    """Take what time that nobody saw, or saw between two looks, can account for."""
    covered = sum(clip.us for clip in clips)
    if covered < count_us(window.start, window.end):
        gap.take_within(Cause.MISSING_INTERVAL, 0, None, "not metered at that time")
    places = {id(stretch): place for place, stretch in enumerate(stretches)}
    for clip in clips:
        place = places[id(clip.stretch)]
        if clip.span.condition == Condition.UNKNOWN:
            note = clip.span.evidence or "nobody saw whether it ran"
            span_us = count_us(clip.span.start, clip.span.end) if clip.span.end else None
            if clip.span.bound_high is None or span_us is None:
                gap.take_within(Cause.MISSING_INTERVAL, 0, None, note)
            else:
                share = -(-int(clip.span.bound_high) * clip.us // span_us)
                gap.take_within(Cause.MISSING_INTERVAL, 0, int(share * ratio), note)
            continue
        up, down = room.up.get(place, 0), room.down.get(place, 0)
        if not up and not down:
            continue
        taken = gap.take_within(
            Cause.MISSING_INTERVAL, -int(down * ratio), int(up * ratio), "seen between two readings"
        )
        if taken > 0:
            room.up[place] = max(0, up - taken)
        elif taken < 0:
            room.down[place] = max(0, down + taken)


def _take_edges(gap: Gap, window: BillWindow, stretches: Sequence[Stretch], ratio: Fraction) -> None:
    """Take the rest when a minute for each start, stop or change of size in the window accounts for all of it."""
    steps = [
        abs(after.span.rate_high - before.span.rate_high)
        for before, after in pairwise(stretches)
        if window.start <= after.span.start <= window.end
    ]
    if stretches and window.start <= stretches[0].span.start <= window.end:
        steps.append(stretches[0].span.rate_high)
    steps = [step for step in steps if step]
    most = int(sum(steps) * US_PER_EDGE * ratio)
    noun = "start or stop" if len(steps) == 1 else "starts and stops"
    if abs(gap.rest) <= most:
        gap.take(Cause.ROUNDING, gap.rest, f"{len(steps)} {noun}, up to a minute each")


def _take_count(gap: Gap, window: BillWindow, clips: Sequence[Clip], subject: Subject) -> None:
    """Take the rest when all the window through another whole number of units was billed."""
    if not gap.rest or subject.unit_hours is None or not window.lines:
        return
    units = {(clip.span.units_low, clip.span.units_high) for clip in clips}
    bills = all(clip.span.condition == Condition.BILLS for clip in clips)
    width = window.end - window.start
    if len(units) != 1 or not bills or sum(clip.us for clip in clips) != width // timedelta(microseconds=1):
        return
    low, high = units.pop()
    quantity = sum((Fraction(line.quantity or 0) for line in window.lines if line.cost >= 0), Fraction(0))
    billed_units = quantity * subject.unit_hours * US_PER_HOUR / count_us(window.start, window.end)
    whole = round(billed_units)
    if whole and abs(billed_units - whole) <= PRICE_TOLERANCE * whole and not low <= whole <= high:
        gap.take(Cause.REPLICA_MISMATCH, gap.rest, f"{low} metered, {whole} billed")
