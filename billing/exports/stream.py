"""The row stream of all exports: lines straight from a server-side cursor, a few thousand at a time in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from psycopg import rows

from billing.costs import NO_FILTERS, CostFilters, CostQuery, GroupBy
from billing.costs.held import filter_parameters, load_gaps, write_held
from billing.costs.splits import FOR_EVER, part_parameters
from billing.costs.sums import load_parts
from billing.costs.visibility import find_sight
from billing.exports.lines import Basis, Grain, Line
from billing.exports.segments import ClosedMonth, Segment, cut_segments
from billing.exports.source import Query, select_billed, select_corrections, select_intervals
from billing.models import Statement
from dashboard.accounts.models import User
from dashboard.core.periods import Bucket, Period, add_months, cut, days_between

LINES_PER_FETCH = 2_000
# Seconds. Sorting a year takes longer than a page may; a reader who pauses longer than this has gone.
STATEMENT_SECONDS = 600
PAUSE_SECONDS = 300
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of a period, narrowed, as `user` may see them (None: everything, for tasks)."""

    period: Period
    basis: Basis = Basis.ESTIMATE
    grain: Grain = Grain.INTERVAL
    filters: CostFilters = NO_FILTERS
    user: User | None = None
    # FOCUS: closed months as they were closed, and what was corrected since as lines of their own.
    with_corrections: bool = False
    # Days are cut by the clocks of this zone; FOCUS wants UTC.
    zone: tzinfo = UTC


def stream_lines(wanted: Wanted, *, now: datetime) -> Iterator[Line]:
    """Yield the lines in order of time, corrections last. One transaction per statement, open until its last line."""
    for query in plan_queries(wanted, now=now):
        yield from read_lines(query)


def plan_queries(wanted: Wanted, *, now: datetime) -> list[Query]:
    """Return what is to be asked for the lines. Up to five queries."""
    period, sight = wanted.period, find_sight(wanted.user)
    if period.is_empty or (sight.team_ids == [] and not sight.sees_unowned):
        return []
    held = build_held(wanted, now=now)
    narrowed = "p.sku = ANY(%(skus)s)" if wanted.filters.skus else "TRUE"
    if wanted.basis is Basis.BILLED:
        # The lines of the bill have no SKU of their own.
        narrowed = "m.sku = ANY(%(skus)s)" if wanted.filters.skus else "TRUE"
        sees_unmatched = sight.team_ids is None and wanted.filters == NO_FILTERS
        return [
            select_billed(
                start=period.start, end=period.end, held=held, wanted=narrowed, sees_unmatched=sees_unmatched
            )
        ]
    narrowed = narrowed.replace("p.sku", "h.sku")
    closed = list_closed_months() if wanted.with_corrections else []
    segments = cut_segments(period, closed=closed)
    edges = _cut([period], wanted)
    queries = [select_intervals(segments, edges=edges, held=held, wanted=narrowed, now=now)]
    if closed:
        queries.append(
            select_corrections(
                [Segment(month.period.start, month.period.end, month.posted_until) for month in closed],
                posted_from=period.start,
                posted_until=min(period.end, now),
                edges=_cut([month.period for month in closed], wanted),
                held=held,
                wanted=narrowed,
            )
        )
    return queries


def stream_month(
    period: Period, *, posted_until: datetime | None, user: User | None = None, now: datetime
) -> Iterator[Line]:
    """Yield what a month cost, one line per meter, team, price and use, for the month as a whole.

    `posted_until` None: as is known best, for a month that is open; else what was posted before.
    """
    held = build_held(Wanted(period, user=user), now=now)
    segment = Segment(period.start, period.end, posted_until)
    query = select_intervals([segment], edges=[period.start, period.end], held=held, wanted="TRUE", now=now)
    yield from read_lines(query)


def stream_corrections(
    closed: Sequence[ClosedMonth],
    *,
    posted_from: datetime,
    posted_until: datetime,
    user: User | None = None,
    now: datetime,
) -> Iterator[Line]:
    """Yield what was posted within a stretch of time for months closed before; one line per month, reason and meter."""
    if not closed:
        return
    whole = Period(closed[0].period.start, closed[-1].period.end)
    held = build_held(Wanted(whole, user=user), now=now)
    query = select_corrections(
        [Segment(month.period.start, month.period.end, month.posted_until) for month in closed],
        edges=sorted({edge for month in closed for edge in (month.period.start, month.period.end)}),
        posted_from=posted_from,
        posted_until=posted_until,
        held=held,
        wanted="TRUE",
    )
    yield from read_lines(query)


def _cut(stretches: Sequence[Period], wanted: Wanted) -> list[datetime]:
    """Return the edges of the charge periods within the stretches, which are in order; none for whole intervals."""
    if wanted.grain is Grain.INTERVAL:
        return []
    bucket = Bucket(wanted.grain.value)
    pieces = [piece for stretch in stretches for piece in cut(stretch, bucket=bucket, zone=wanted.zone)]
    return sorted({edge for piece in pieces for edge in (piece.start, piece.end)})


def build_held(wanted: Wanted, *, now: datetime) -> Query:
    """Return who is charged for what, narrowed to filters and to what the person may see, as the explorer has it."""
    sight = find_sight(wanted.user)
    # Corrections are of months before the period: who is charged is told for all time.
    query = CostQuery(
        Period(_EVER, FOR_EVER), UTC, group_by=GroupBy.TEAM, filters=wanted.filters, user=wanted.user
    )
    # The bill's lines stay whole.
    parts = [] if wanted.basis is Basis.BILLED else load_parts(wanted.period, now=now)
    params = {
        "seen_teams": sight.team_ids,
        "sees_unowned": sight.sees_unowned,
        "start": query.period.start,
        "end": query.period.end,
        **filter_parameters(query),
        **part_parameters(parts),
        **load_gaps(query),
    }
    return Query(write_held(query, by_owner=True, has_splits=bool(parts)), params)


def list_closed_months() -> list[ClosedMonth]:
    """Return the months that finance closed, oldest first. One query."""
    months = Statement.objects.order_by("month").values_list("month", "zone", "posted_until").distinct()
    return [
        ClosedMonth(month, month_period(month, zone=ZoneInfo(name)), until) for month, name, until in months
    ]


def month_period(first: date, *, zone: tzinfo) -> Period:
    """Return the month that begins on `first` by the clocks of the zone."""
    return days_between(first, add_months(first, 1) - timedelta(days=1), zone=zone)


def read_lines(query: Query) -> Iterator[Line]:
    """Yield what the query selects through a cursor on the server, so that memory stays flat."""
    with transaction.atomic():
        with connection.cursor() as settings:
            settings.execute(
                f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s';"
                f" SET LOCAL idle_in_transaction_session_timeout = '{PAUSE_SECONDS}s'"
            )
        with connection.connection.cursor(name="export", row_factory=rows.tuple_row) as cursor:
            cursor.itersize = LINES_PER_FETCH
            cursor.execute(query.text, query.params)
            yield from map(Line._make, cursor)
