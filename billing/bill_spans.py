"""Turn billed windows into spans, for what nothing else can meter and for the past before our first knowledge. Pure.

What is charged by use (tokens, jobs) is one lump on the last microsecond of its window, because nobody knows when in
it; what runs is a rate over the window, which costs exactly what was billed. A window that was read and names nothing
says that nothing was billed; what was not read stays unknown. Credits are no part of it: a span tells what use cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from billing.metering import MICROSECOND, Condition, Source, SpanDraft, free, join_equal, unknown

HOUR: Final = timedelta(hours=1)
NOT_BILLED: Final = "The bill of this time was read and names no charge."
NOT_READ: Final = "The bill of this time could not be read."


@dataclass(frozen=True, slots=True)
class Billed:
    """What a meter was charged in a window, nano-dollars, credits not taken off; `words` name the products."""

    start: datetime
    end: datetime
    nano_usd: int
    words: str


@dataclass(frozen=True, slots=True)
class Covered:
    """A stretch of the bill that was read completely, in windows of a granularity."""

    start: datetime
    end: datetime
    granularity: str


def make_spans(
    billed: Sequence[Billed],
    covered: Sequence[Covered],
    *,
    since: datetime,
    until: datetime,
    is_lump: bool,
    sku: str = "",
) -> list[SpanDraft]:
    """Return spans that cover `[since, until)` without a hole. `billed` in order, a window once, within the two."""
    spans: list[SpanDraft] = []
    position = since
    for window in billed:
        if window.start > position:
            spans += _fill(position, window.start, covered)
        spans += _lump(window, sku) if is_lump else _rate(window, sku)
        position = window.end
    if position < until:
        spans += _fill(position, until, covered)
    return _join_days(join_equal(spans))


def make_backfill(
    billed: Sequence[Billed], covered: Sequence[Covered], *, until: datetime, sku: str = ""
) -> list[SpanDraft]:
    """Return the spans from the first billed window to `until`, the first thing that is known otherwise.

    The window in which `until` lies is billed partly before and partly after it: before, it counts like the window
    before it when both cost the same, else it is unknown.
    """
    whole = [window for window in billed if window.end <= until]
    if not whole:
        return []
    spans = make_spans(whole, covered, since=whole[0].start, until=whole[-1].end, is_lump=False, sku=sku)
    cut = next((window for window in billed if window.start < until < window.end), None)
    if cut is None:
        return spans + (_fill(whole[-1].end, until, covered) if whole[-1].end < until else [])
    if whole[-1].end < cut.start:
        spans += _fill(whole[-1].end, cut.start, covered)
    if whole[-1].end == cut.start and whole[-1].nano_usd == cut.nano_usd and cut.end - cut.start == HOUR:
        alike = _rate(replace(cut, words=f"{cut.words}, which cost as much as the hour before"), sku)
        return [*spans, *(replace(one, end=until, lump_nano_usd=0) for one in alike)]
    note = f"{_name(cut)} was billed, and how much of it before {until:%H:%M:%S} is not told."
    return [*spans, unknown(cut.start, until, source=Source.BILL.value, evidence=note)]


def _fill(start: datetime, end: datetime, covered: Sequence[Covered]) -> list[SpanDraft]:
    """Return free spans where the bill was read, unknown ones where it was not."""
    spans: list[SpanDraft] = []
    position = start
    for one in covered:
        begins, ends = max(position, one.start), min(end, one.end)
        if begins >= ends:
            continue
        if begins > position:
            spans.append(unknown(position, begins, source=Source.BILL.value, evidence=NOT_READ))
        spans.append(free(begins, ends, state="", source=Source.BILL.value, evidence=NOT_BILLED))
        position = ends
    if position < end:
        spans.append(unknown(position, end, source=Source.BILL.value, evidence=NOT_READ))
    return spans


def _lump(window: Billed, sku: str) -> list[SpanDraft]:
    at = window.end - MICROSECOND
    quiet = free(window.start, at, state="", source=Source.BILL.value, evidence=NOT_BILLED)
    if not window.nano_usd:
        return [replace(quiet, end=window.end)]
    charge = SpanDraft(
        at,
        window.end,
        Condition.BILLS.value,
        Source.BILL.value,
        sku=sku,
        lump_nano_usd=window.nano_usd,
        price_source="The bill.",
        evidence=f"{_name(window)}.",
    )
    return [quiet, charge]


def _rate(window: Billed, sku: str) -> list[SpanDraft]:
    if window.nano_usd <= 0:
        quiet = free(window.start, window.end, state="", source=Source.BILL.value, evidence=NOT_BILLED)
        return [quiet] if not window.nano_usd else _lump(window, sku)
    hours = (window.end - window.start) // HOUR
    rate, rest = divmod(window.nano_usd, hours)
    return [
        SpanDraft(
            window.start,
            window.end,
            Condition.BILLS.value,
            Source.BILL.value,
            units_low=1,
            units_high=1,
            sku=sku,
            list_nano_usd_per_hour=rate,
            nano_usd_per_hour=rate,
            price_source="What the hour cost by the bill."
            if hours == 1
            else "What the day cost by the bill.",
            rate_low=rate,
            rate_high=rate,
            lump_nano_usd=rest,
            evidence=f"{_name(window)}.",
        )
    ]


def _name(window: Billed) -> str:
    if window.end - window.start == HOUR:
        return f"Billed hour of {window.start:%Y-%m-%d %H:%M} UTC: {window.words}"
    return f"Billed day {window.start:%Y-%m-%d} UTC: {window.words}"


def _join_days(spans: Sequence[SpanDraft]) -> list[SpanDraft]:
    """Join neighbours of one rate within a day of UTC: 24 equal hours are one span."""
    joined: list[SpanDraft] = list(spans[:1])
    for _, span in pairwise(spans):
        last = joined[-1]
        if (
            span.rate_low
            and last.rate_low == span.rate_low
            and last.condition == span.condition == Condition.BILLS
            and not last.lump_nano_usd
            and not span.lump_nano_usd
            and last.end == span.start
            and last.start.date() == span.start.date()
            and last.sku == span.sku
        ):
            joined[-1] = replace(last, end=span.end, evidence=_extend(last, span))
        else:
            joined.append(span)
    return joined


def _extend(last: SpanDraft, span: SpanDraft) -> str:
    words = span.evidence.partition(" UTC: ")[2]
    end = "24:00" if span.end is not None and span.end.hour == 0 else f"{span.end:%H:%M}"
    return f"Billed hours of {last.start:%Y-%m-%d %H:%M}\N{EN DASH}{end} UTC, each the same: {words}"
