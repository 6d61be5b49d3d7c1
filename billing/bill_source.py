"""Spans from the bill: of meters that nothing else meters, and of the past before anything else was known.

A meter that the mirror tells never gets spans of the bill for time that is metered: deployments and resources ask for
`load_backfill` up to their own first knowledge, and `gather` leaves them out.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from django.db.models import Exists, Min, OuterRef, Q

from billing import bill_plan
from billing.amounts import TICKS_PER_NANO
from billing.bill_matching import BILL_ONLY
from billing.bill_spans import Billed, Covered, make_backfill, make_spans
from billing.ledger import Gathered, PostingResult, post_all
from billing.metering import SpanDraft
from billing.meters import account_of
from billing.models import (
    BilledLine,
    BillReading,
    Condition,
    IntervalSource,
    Meter,
    MeteredInterval,
    MeterKind,
)
from billing.reconciliation import BillLine, BillWindow, to_ticks
from billing.reconciliation_gap import sum_credits
from dashboard.accounts.models import Connection

#: Kinds that are charged at once; all others run and cost by time.
LUMPS: Final = BILL_ONLY | {MeterKind.FINE_TUNE}
MOST_WORDS: Final = 3
REASON: Final = "The provider changed its bill of this time."


def load_coverage(account_id: str) -> list[Covered]:
    """Return the stretches of the bill that were read completely, oldest first. One query."""
    rows = BillReading.objects.filter(connection__organization_id=account_id).exclude(succeeded_at=None)
    ends: dict[tuple[datetime, str], datetime] = {}
    for row in rows:
        if row.succeeded_at is None:
            continue
        start = bill_plan.start_of(row.month)
        end = bill_plan.complete_until(
            row.month,
            granularity=row.granularity,
            succeeded_at=row.succeeded_at,
            latest_window_end=row.latest_window_end,
        )
        key = (start, row.granularity)
        ends[key] = max(end, ends.get(key, end))
    return [Covered(start, end, name) for (start, name), end in sorted(ends.items()) if start < end]


def meter_bill(connection: Connection, *, now: datetime) -> PostingResult:
    """Meter what only the bill tells."""
    return post_all(gather(connection, now=now), now=now)


def gather(connection: Connection, *, now: datetime) -> Iterator[Gathered]:
    """Yield the spans of the organisation's meters that only the bill tells, those whose bill went on.

    They end where the bill is complete: what comes later is late, not unknown. The month before is written again with
    the present one, for as long as the provider may change it.
    """
    account_id = account_of(connection)
    covered = load_coverage(account_id)
    if not covered:
        return
    until = covered[-1].end
    again = bill_plan.start_of(bill_plan.month_before(bill_plan.first_of(until - timedelta(microseconds=1))))
    due = list(_find_due(account_id, until=until))
    lines = _load_windows([meter.pk for meter, _ in due], until=until)
    for meter, first in due:
        is_known = meter.metered_from is not None and meter.metered_from <= first and meter.pk in lines
        since = max(first, again) if is_known else first
        billed = [one for one in lines.get(meter.pk, []) if one.start >= since]
        spans = make_spans(
            billed,
            covered,
            since=since,
            until=until,
            is_lump=meter.kind in LUMPS,
            sku=meter.sku,
        )
        yield Gathered(meter, spans, since, until, REASON)


def _find_due(account_id: str, *, until: datetime) -> Iterator[tuple[Meter, datetime]]:
    """Yield meters that only the bill tells, with their first billed window, unless they are posted up to `until`.

    One whose lines went to another meter is told once more, without them.
    """
    metered_otherwise = MeteredInterval.objects.filter(meter=OuterRef("pk")).exclude(
        source=IntervalSource.BILL
    )
    meters = (
        Meter.objects.filter(billing_account_id=account_id)
        .filter(Q(kind__in=list(BILL_ONLY)) | Q(deployment=None, resource=None))
        .exclude(Exists(metered_otherwise))
        .annotate(first=Min("billed_lines__start"))
        .exclude(first=None, metered_from=None)
        .order_by("pk")
    )
    for meter in meters:
        if meter.first is None:
            if meter.metered_from is not None and _still_costs(meter):
                yield meter, meter.metered_from
            continue
        first: datetime = meter.first
        is_posted = meter.settled_until is not None and meter.settled_until >= until
        is_whole = meter.metered_from is not None and meter.metered_from <= first
        if first < until and not (is_posted and is_whole):
            yield meter, first


def _still_costs(meter: Meter) -> bool:
    return meter.intervals.filter(condition=Condition.BILLS).exists()


def load_backfill(firsts: Mapping[Meter, datetime]) -> dict[int, list[SpanDraft]]:
    """Return, by meter, the spans before the first time that is known otherwise; without a bill none. Three queries."""
    if not firsts:
        return {}
    covered: dict[str, list[Covered]] = {}
    windows = _load_windows([meter.pk for meter in firsts], until=max(firsts.values()))
    found: dict[int, list[SpanDraft]] = {}
    for meter, until in firsts.items():
        account_id = meter.billing_account_id
        if account_id not in covered:
            covered[account_id] = load_coverage(account_id)
        billed = [one for one in windows.get(meter.pk, []) if one.start < until]
        if spans := make_backfill(billed, covered[account_id], until=until, sku=meter.sku):
            found[meter.pk] = spans
    return found


def _load_windows(meter_ids: Iterable[int], *, until: datetime) -> dict[int, list[Billed]]:
    """Return what each meter was charged per window, oldest first. One query."""
    rows = BilledLine.objects.filter(meter__in=list(meter_ids), start__lt=until).order_by(
        "meter_id", "start", "position"
    )
    windows: dict[tuple[int, datetime, datetime], list[BilledLine]] = {}
    for row in rows.iterator(chunk_size=5_000):
        if row.meter_id is not None:
            windows.setdefault((row.meter_id, row.start, row.end), []).append(row)
    found: dict[int, list[Billed]] = {}
    for (meter_id, start, end), lines in windows.items():
        billed = Billed(
            start.astimezone(UTC), end.astimezone(UTC), sum_use(lines, start=start, end=end), _describe(lines)
        )
        found.setdefault(meter_id, []).append(billed)
    return found


def sum_use(rows: Iterable[BilledLine], *, start: datetime, end: datetime) -> int:
    """Return what the use of a window cost in whole nano-dollars, credits not taken off."""
    lines = tuple(read_line(row) for row in rows)
    ticks = sum(line.cost for line in lines) - sum_credits(BillWindow(start, end, lines=lines))
    return int((Decimal(ticks) / TICKS_PER_NANO).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def read_line(row: BilledLine) -> BillLine:
    """Return a stored line for reckoning."""
    return BillLine(to_ticks(row.cost), row.quantity, row.unit_price, row.credit)


def _describe(rows: Iterable[BilledLine]) -> str:
    """Return the lines in words: product, quantity and price."""
    words = [describe_line(row) for row in rows]
    more = f" and {len(words) - MOST_WORDS} more" if len(words) > MOST_WORDS else ""
    return "; ".join(words[:MOST_WORDS]) + more


def describe_line(row: BilledLine) -> str:
    """Return a line as ``Shared Storage, 0.0041 at $80``; what is not told is left out."""
    words = row.product_name or "a line without a name"
    if row.quantity is None or row.unit_price is None:
        return words
    return f"{words}, {_plain(row.quantity)} at ${_plain(row.unit_price)}"


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
