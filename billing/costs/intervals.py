"""The intervals beneath a number: what stands behind a bar or a row, each clipped to the period and priced."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from billing.amounts import TICKS_PER_NANO, Cost
from billing.costs.held import filter_parameters, list_meters, load_gaps, write_held
from billing.costs.labels import load_labels
from billing.costs.queries import CostQuery, GroupBy
from billing.costs.slices import write_slices
from billing.costs.splits import part_parameters
from billing.costs.sums import load_parts
from billing.costs.visibility import find_sight
from billing.models import Condition, MeteredInterval, Span, Use
from dashboard.core.periods import Period

_MICROSECOND = timedelta(microseconds=1)
_COUNT = "SELECT count(*) FROM slice"
_ROWS = """SELECT id, key, since, until, {part} FROM slice
ORDER BY since DESC, id DESC, 5 LIMIT %(limit)s OFFSET %(offset)s"""


@dataclass(frozen=True, slots=True)
class Part:
    """A team bears `(part_from, part_to]` of `whole` parts; how remainders fall: billing/costs/splits.py."""

    part_from: int = 0
    part_to: int = 1
    whole: int = 1

    @property
    def is_whole(self) -> bool:
        return self.part_to - self.part_from == self.whole


WHOLE = Part()


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One interval (`interval.meter` is loaded) within the period and one owner's time, and what it cost there."""

    interval: MeteredInterval
    period: Period
    cost: Cost
    team_key: str
    team_label: str
    part: Part


@dataclass(frozen=True, slots=True)
class IntervalPage:
    """Rows of a page, newest first, and how many there are in all."""

    rows: list[IntervalRow]
    count: int


def list_intervals(query: CostQuery, *, now: datetime, offset: int = 0, limit: int = 50) -> IntervalPage:
    """Return the intervals that add up to the query's total; grouping and bucket do not matter. Up to twelve queries.

    To open a row or a bar, filter by its key and take its piece as the period.
    """
    query = replace(query, group_by=GroupBy.TEAM, bucket=None)
    sight = find_sight(query.user)
    if query.period.is_empty or (sight.team_ids == [] and not sight.sees_unowned):
        return IntervalPage([], 0)
    parts = load_parts(query.period, now=now)
    meters = list_meters(query)
    if meters == []:
        return IntervalPage([], 0)
    held = write_held(query, by_owner=True, has_splits=bool(parts))
    slices = write_slices(query, by_owner=True, has_splits=bool(parts), of_meters=meters is not None)
    statement = f"WITH {held},\n{slices}\n"
    part = "part_from, part_to, whole" if parts else "0, 1, 1"
    named: dict[str, Any] = {
        "seen_teams": sight.team_ids,
        "sees_unowned": sight.sees_unowned,
        "now": now,
        "only": meters,
        "start": query.period.start,
        "end": query.period.end,
        "offset": offset,
        "limit": limit,
        **filter_parameters(query),
        **part_parameters(parts),
        **load_gaps(query),
    }
    with connection.cursor() as cursor:
        cursor.execute(statement + _COUNT, named)
        count = cursor.fetchone()[0]
        cursor.execute(statement + _ROWS.format(part=part), named)
        found = cursor.fetchall()
    intervals = MeteredInterval.objects.select_related("meter").in_bulk({row[0] for row in found})
    labels = load_labels(GroupBy.TEAM, {row[1] for row in found})
    rows = []
    for pk, key, since, until, *borne in found:
        shared, period = Part(*map(int, borne)), Period(since, until)
        cost = price_slice(intervals[pk], period, part=shared)
        rows.append(IntervalRow(intervals[pk], period, cost, key, labels[key], shared))
    return IntervalPage(rows, count)


def price_slice(span: Span, period: Period, *, part: Part = WHOLE) -> Cost:
    """Return what a team bears of a span's cost within `period`, as billing/costs/slices.py does."""
    since, until = (period.start - span.start) // _MICROSECOND, (period.end - span.start) // _MICROSECOND
    has_ended = period.end == span.end
    billed_until = until + (span.rounding_us if has_ended else 0)
    lump = span.lump_nano_usd * TICKS_PER_NANO if has_ended else 0

    def share(before: int, after: int) -> int:
        return _share(after, part) - _share(before, part)

    low = share(span.rate_low * since, span.rate_low * billed_until + lump)
    high = share(span.rate_high * since, span.rate_high * billed_until + lump)
    is_unknown = span.condition == Condition.UNKNOWN
    is_idle = span.use == Use.IDLE and not is_unknown
    is_unpriced = (
        span.condition == Condition.BILLS and span.nano_usd_per_hour is None and not span.lump_nano_usd
    )
    time = share(since, until)
    return Cost(
        low,
        high,
        low if is_idle else 0,
        high if is_idle else 0,
        time if is_unpriced else 0,
        time if is_unknown else 0,
    )


def _share(amount: int, part: Part) -> int:
    return _divide(amount * part.part_to, part.whole) - _divide(amount * part.part_from, part.whole)


def _divide(amount: int, whole: int) -> int:
    """Return the quotient without its fraction, as PostgreSQL's div does: towards zero."""
    return amount // whole if amount >= 0 else -(-amount // whole)
