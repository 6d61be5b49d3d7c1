"""Add up costs by key and piece of a period: one statement over the intervals, whatever is asked.

`read_cells` is the only place that adds; tables and totals are put together from its cells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from billing.amounts import ZERO, Cost, add_costs
from billing.costs.held import filter_parameters, list_meters, load_gaps, needs_owners, write_held
from billing.costs.labels import load_labels
from billing.costs.queries import NO_FILTERS, CostFilters, CostQuery, CostRow, CostTable, GroupBy
from billing.costs.slices import write_cells, write_slices
from billing.costs.splits import SharePart, cut_parts, load_splits, part_parameters
from billing.costs.visibility import find_sight
from dashboard.core.periods import Period, cut

# Up to here starting a second process takes longer than reading alone.
_SHORT = timedelta(days=8)
_ALONE = "; SET LOCAL max_parallel_workers_per_gather = 0"
# A year by day has some 100,000 sums of one rate each: in memory and by hash. The planner takes two stretches that must
# overlap for rarer than they are, and would sort.
_SETTINGS = "SET LOCAL work_mem = '64MB'; SET LOCAL enable_sort = off"


@dataclass(frozen=True, slots=True)
class Cell:
    """The cost of one key in one piece; `place` counts the pieces from 0."""

    key: str
    place: int
    cost: Cost


def load_costs(query: CostQuery, *, now: datetime) -> CostTable:
    """Return what the query asks for, dearest row first. Up to twelve queries.

    What goes on is counted up to `now`. Key `""` is what nobody owns, or what the provider does not tell.
    """
    periods = cut(query.period, bucket=query.bucket, zone=query.zone) if query.bucket else []
    pieces = periods or [query.period]
    by_key: dict[str, list[Cost]] = {}
    for cell in read_cells(query, pieces, now=now):
        costs = by_key.setdefault(cell.key, [ZERO] * len(pieces))
        costs[cell.place] += cell.cost
    labels = load_labels(query.group_by, by_key)
    rows = [
        CostRow(key, labels[key], add_costs(costs), costs if periods else []) for key, costs in by_key.items()
    ]
    rows.sort(key=lambda row: (-row.total.high, -row.total.low, row.label, row.key))
    columns = [add_costs(row.buckets[place] for row in rows) for place in range(len(periods))]
    return CostTable(rows, add_costs(row.total for row in rows), columns, periods)


def sum_costs(
    period: Period, *, now: datetime, filters: CostFilters = NO_FILTERS, user: object = None
) -> Cost:
    """Return what the period cost up to `now`, as the user may see it (None: all). Up to twelve queries."""
    query = CostQuery(period, UTC, filters=filters, user=user)  # type: ignore[arg-type]
    return add_costs(cell.cost for cell in read_cells(query, [period], now=now))


def read_cells(query: CostQuery, pieces: list[Period], *, now: datetime) -> list[Cell]:
    """Return the cost of each key in each of the pieces, which follow each other without a hole.

    Two queries; three more where whose cost it is matters, four more where a cost is split by usage, one each for
    the user's teams and for the meters of a filter.
    """
    sight = find_sight(query.user)
    if query.period.is_empty or (sight.team_ids == [] and not sight.sees_unowned):
        return []
    by_owner = needs_owners(query, is_restricted=sight.team_ids is not None)
    parts = load_parts(query.period, now=now) if by_owner else []
    named: dict[str, Any] = {
        "seen_teams": sight.team_ids,
        "sees_unowned": sight.sees_unowned,
        "now": now,
        **filter_parameters(query),
    }
    return _read(query, pieces, parts, named, by_owner=by_owner)


def load_parts(period: Period, *, now: datetime) -> list[SharePart]:
    splits = load_splits(period)

    def load_spent(by_usage: frozenset[int]) -> Mapping[int, int]:
        fixed = cut_parts([one for one in splits if one.meter_id not in by_usage], load_spent=lambda _: {})
        query = CostQuery(period, UTC, group_by=GroupBy.TEAM)
        named = {"seen_teams": None, "sees_unowned": True, "now": now, **filter_parameters(query)}
        cells = _read(query, [period], fixed, named, by_owner=True, without=by_usage)
        return {int(cell.key): cell.cost.high for cell in cells if cell.key.isdecimal()}

    return cut_parts(splits, load_spent=load_spent) if splits else []


def _read(
    query: CostQuery,
    pieces: list[Period],
    parts: list[SharePart],
    named: dict[str, Any],
    *,
    by_owner: bool,
    without: frozenset[int] = frozenset(),
) -> list[Cell]:
    meters = list_meters(query)
    if meters == []:
        return []
    held = write_held(query, by_owner=by_owner, has_splits=bool(parts))
    slices = write_slices(
        query,
        by_owner=by_owner,
        has_splits=bool(parts),
        of_meters=meters is not None,
        spares=bool(without),
    )
    statement = f"WITH {held},\n{slices}{write_cells(is_cut=len(pieces) > 1, has_splits=bool(parts))}"
    gaps = load_gaps(query) if by_owner else {}
    edges = [*(piece.start for piece in pieces), pieces[-1].end]
    named |= (
        part_parameters(parts)
        | gaps
        | {
            "start": query.period.start,
            "end": query.period.end,
            "only": meters,
            "numbers": _write_array(str(place + 1) for place in range(len(pieces))),
            "edges": _write_array(edge.isoformat() for edge in edges),
            "without": sorted(without),
        }
    )
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        is_short = meters is not None or query.period.duration <= _SHORT
        cursor.execute(_SETTINGS + (_ALONE if is_short else ""))
        cursor.execute(statement, named)
        return [Cell(row[0], row[1], Cost(*map(int, row[2:]))) for row in cursor.fetchall()]


def _write_array(values: Iterable[str]) -> str:
    """Return an array as PostgreSQL reads it: the edges of a year stand in the statement several times."""
    return "{" + ",".join(values) + "}"
