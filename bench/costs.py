"""Reading a year of costs, as ratios to the best SQL written by hand for the same figures, and their growth.

1,000 deployments, 12 months, two million intervals (bench/intervals.py), loaded with COPY under the constraints and
indexes of production. Ours and the floor (bench/cost_sql.py) take turns in the same session; medians count, and both
must give the same numbers to the last digit. Growth: the newest month, read while only that month is stored and again
beside the whole year.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bench import cost_sql
from bench.figures import Figure, report
from bench.intervals import Organisation, load_intervals, make_organisation
from bench.stage import product_stage

END = datetime(2026, 11, 1, tzinfo=UTC)
START = END - timedelta(days=365)
MONTH_START = END - timedelta(days=30)
ZONE = "Asia/Kolkata"
ROUNDS = 5
MOST_RATIO = 1.5
# A month's rows are found by an index that is one level deeper over a year; the rest is noise.
MOST_GROWTH = 1.3

Cells = dict[tuple[Any, Any], tuple[int, ...]]


def main() -> int:
    with product_stage():
        return report(measure())


@dataclass(frozen=True, slots=True)
class Reading:
    """One page's figures: ours, and the statement that gives the same."""

    name: str
    read: Callable[[], Cells]
    statement: str
    named: dict[str, Any]


def measure() -> list[Figure]:
    """Return the figures. Django is set up."""
    organisation = make_organisation(start=START, end=END)
    started = time.perf_counter()
    count = load_intervals(organisation, start=MONTH_START, end=END)
    readings = _choose(organisation)
    month = [reading for reading in readings if reading.name.startswith("month")]
    alone = {reading.name: _measure(reading)[0] for reading in month}
    count += load_intervals(organisation, start=START, end=MONTH_START)
    loaded = time.perf_counter() - started
    figures = [
        Figure("intervals", count),
        Figure("loading them, with constraints and indexes", loaded, "s"),
    ]
    for reading in readings:
        ours, floor = _measure(reading)
        figures += [
            Figure(reading.name, ours * 1_000, "ms"),
            Figure("  by hand", floor * 1_000, "ms"),
            Figure("  ratio", ours / floor, "", MOST_RATIO),
        ]
        if reading.name in alone:
            figures.append(
                Figure("  growth, 12 months stored to 1", ours / alone[reading.name], "", MOST_GROWTH)
            )
    return figures


def _choose(organisation: Organisation) -> list[Reading]:
    from billing.costs import CostFilters, CostQuery, GroupBy
    from dashboard.core.periods import Bucket, Period

    year, month, day = Period(START, END), Period(MONTH_START, END), Period(END - timedelta(days=1), END)
    kolkata = ZoneInfo(ZONE)
    endpoint = organisation.endpoints[7]
    only = CostFilters(endpoints=frozenset({str(endpoint)}))

    def reading(name: str, query: CostQuery, statement: str, **named: Any) -> Reading:
        named |= {"start": query.period.start, "end": query.period.end}
        return Reading(name, lambda: _read(query), statement, named)

    by_team = {"group_by": GroupBy.TEAM, "bucket": Bucket.DAY}
    return [
        reading("year by day and team, UTC", CostQuery(year, UTC, **by_team), cost_sql.TEAMS_BY_DAY),
        reading(
            f"year by day and team, {ZONE}",
            CostQuery(year, kolkata, **by_team),
            cost_sql.TEAMS_BY_LOCAL_DAY,
            zone=ZONE,
        ),
        reading("month by day and team, UTC", CostQuery(month, UTC, **by_team), cost_sql.TEAMS_BY_DAY),
        reading("month in one sum (overview)", CostQuery(month, UTC), cost_sql.ALL),
        reading("today in one sum (overview)", CostQuery(day, UTC), cost_sql.ALL),
        reading(
            "one endpoint's year by day",
            CostQuery(year, UTC, bucket=Bucket.DAY, filters=only),
            cost_sql.ENDPOINT_BY_DAY,
            endpoint=endpoint,
        ),
    ]


def _read(query: Any) -> Cells:
    """Return what the explorer reads: key and start of the piece to the six numbers."""
    from billing.costs import load_costs

    table = load_costs(query, now=END)
    cells = {}
    for row in table.rows:
        key = int(row.key or 0)
        if not table.periods:
            cells[key, 0] = _numbers(row.total)
        for piece, cost in zip(table.periods, row.buckets, strict=True):
            # Edge pieces begin with the period, days by hand at midnight: both are named by their end.
            if any(_numbers(cost)):
                cells[key, piece.start.astimezone(query.zone).date()] = _numbers(cost)
    return cells


def _numbers(cost: Any) -> tuple[int, ...]:
    return (cost.low, cost.high, cost.idle_low, cost.idle_high, cost.unpriced_us, cost.unknown_us)


def _read_by_hand(reading: Reading) -> Cells:
    from django.db import connection, transaction

    zone = ZoneInfo(reading.named.get("zone", "UTC"))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(reading.statement, reading.named)
        return {
            (key, place.astimezone(zone).date() if isinstance(place, datetime) else place): tuple(
                map(int, numbers)
            )
            for key, place, *numbers in cursor.fetchall()
            if any(numbers)
        }


def _measure(reading: Reading) -> tuple[float, float]:
    """Return the median seconds of ours and of the floor; exit when they differ in a single tick."""
    from django.db import connection

    with connection.cursor() as cursor:
        # A shared machine may be slow; what is asked is how much slower one of them is.
        cursor.execute("SET statement_timeout = 0")
    if reading.read() != _read_by_hand(reading):
        raise SystemExit(f"{reading.name}: not the same numbers")
    ours, floor = [], []
    for _ in range(ROUNDS):
        ours.append(_time(reading.read))
        floor.append(_time(lambda: _read_by_hand(reading)))
    return statistics.median(ours), statistics.median(floor)


def _time(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
