"""What a forecast is made from, read from the metered intervals: hours, burn, plans."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, tzinfo

from django.db.models import Exists, OuterRef, Q

from billing.amounts import TICKS_PER_NANO, Cost
from billing.costs import CostFilters, CostQuery, GroupBy, load_costs, visible_meters
from billing.costs.visibility import find_sight
from billing.forecast_history import HOUR, HOURS_PER_DAY, MOST_DAYS, HourCost
from billing.forecast_plans import PlannedCharge, PlannedCourse
from billing.forecast_rows import Burning
from billing.forecast_sources import MeterPlan, load_plans
from billing.models import Meter, MeteredInterval, MeterKind, Ownership
from dashboard.accounts.models import User
from dashboard.core.periods import Bucket, Period

# What is charged at once when it ends; everything else burns.
LUMP_KINDS = frozenset(
    kind.value for kind in (MeterKind.FINE_TUNE, MeterKind.BATCH, MeterKind.EVALUATION, MeterKind.SERVERLESS)
)
BURNING_KINDS = frozenset(MeterKind.values) - LUMP_KINDS
_MICROSECONDS = 1_000_000
_SECOND = timedelta(seconds=1)
# Beyond this share of the last weeks unknown, a thing's hours say nothing about its future.
_JUDGED, _MOST_UNKNOWN = timedelta(days=28), 0.2
# Field of CostFilters -> column of Meter that it is held against.
_COLUMNS = {
    "projects": "project_id",
    "models": "model",
    "hardware": "hardware",
    "endpoints": "endpoint_id",
    "kinds": "kind",
    "skus": "sku",
    "meters": "pk",
}
# Columns with a number in them, or none.
_NUMBERED = frozenset({"project_id", "endpoint_id", "pk"})
# What PostgreSQL's bigint holds for sure.
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose cost, of what, over which period, in which zone's days. User None = everything."""

    user: User | None
    filters: CostFilters
    period: Period
    zone: tzinfo

    def describe(self) -> str:
        """Return what tells this scope from others; people who see the same have the same. At most one query."""
        wanted = [(one.name, sorted(getattr(self.filters, one.name))) for one in fields(self.filters)]
        return repr((find_sight(self.user), wanted, self.period, str(self.zone)))


def load_hours(
    scope: Scope, *, now: datetime, group_by: GroupBy = GroupBy.NONE
) -> Mapping[str, list[HourCost]]:
    """Return what the full hours of the last eight weeks cost, by key; without cost = left out. Four queries."""
    edge = _full_hour(now)
    period = Period(edge - MOST_DAYS * HOURS_PER_DAY * HOUR, edge)
    every = _load_nano(scope, period, now=now, group_by=group_by)
    lump_filters = _narrow(scope.filters, kinds=LUMP_KINDS)
    lumps: Mapping[str, dict[datetime, int]] = {}
    if lump_filters is not None:
        lumps = _load_nano(replace(scope, filters=lump_filters), period, now=now, group_by=group_by)
    for key, prepaid in _load_prepaid(scope, period, now=now, group_by=group_by).items():
        for start, nano in prepaid.items():
            every[key][start] = max(0, every[key][start] - nano)
    return {
        key: [
            HourCost(start, nano, min(nano, lumps.get(key, {}).get(start, 0)))
            for start, nano in hours.items()
        ]
        for key, hours in every.items()
    }


def _load_prepaid(
    scope: Scope, period: Period, *, now: datetime, group_by: GroupBy
) -> dict[str, dict[datetime, int]]:
    """Return the hours in which terms were paid in advance (reserved clusters): that says nothing about other days.

    One query where nothing was, else about three.
    """
    paid = MeteredInterval.objects.filter(
        start__gte=period.start, start__lt=period.end, lump_nano_usd__gt=0, meter__kind__in=BURNING_KINDS
    )
    hours: set[datetime] = set()
    meters: set[str] = set()
    for meter_id, start in paid.values_list("meter_id", "start"):
        meters.add(str(meter_id))
        hours.add(_full_hour(start))
    filters = _narrow(scope.filters, meters=frozenset(meters)) if meters else None
    if filters is None:
        return {}
    costs = _load_nano(replace(scope, filters=filters), period, now=now, group_by=group_by)
    return {
        key: {start: nano for start, nano in found.items() if start in hours} for key, found in costs.items()
    }


def load_burning(scope: Scope, *, now: datetime, group_by: GroupBy = GroupBy.NONE) -> Mapping[str, Burning]:
    """Return what each key burns now: the cost of a second, the lesser of two lest a lump fell into one.

    Four queries.
    """
    filters = _narrow(scope.filters, kinds=BURNING_KINDS)
    if filters is None:
        return {}
    found: defaultdict[str, list[Cost]] = defaultdict(list)
    for number in (0, 2):
        period = Period(now - (number + 1) * _SECOND, now - number * _SECOND)
        query = CostQuery(period, UTC, group_by=group_by, filters=filters, user=scope.user)
        for row in load_costs(query, now=now).rows:
            found[row.key].append(row.total)
    return {
        key: Burning(
            min((one.low + one.high) // 2 for one in costs) // _MICROSECONDS,
            is_complete=costs[0].is_complete,
        )
        for key, costs in found.items()
    }


def load_planned(scope: Scope, *, now: datetime) -> tuple[list[PlannedCourse], list[PlannedCharge]]:
    """Return what is known to come within the scope. Two queries without plans, else about ten.

    What burns and whose past is mostly unknown is expected to go on: its hours would count as hours without cost.
    """
    by_meter = {str(plan.meter_id): plan for plan in load_plans(now=now, until=scope.period.end)}
    seen = set(_find_in_scope(scope, by_meter, now=now)) if by_meter else set()
    charges = [one for key in seen for one in by_meter[key].charges]
    unproven = _find_unproven(scope, now=now)
    changing = frozenset(key for key in seen if by_meter[key].changes) | unproven
    by_meter |= {key: MeterPlan(int(key)) for key in unproven - by_meter.keys()}
    narrowed = _narrow(scope.filters, meters=changing) if changing else None
    if narrowed is None:
        return [], charges
    those = replace(scope, filters=narrowed)
    hours = load_hours(those, now=now, group_by=GroupBy.METER)
    burning = load_burning(those, now=now, group_by=GroupBy.METER)
    return [
        _take_course(by_meter[key], burning.get(key, Burning()).nano, hours.get(key, ())) for key in changing
    ], charges


def _find_unproven(scope: Scope, *, now: datetime) -> frozenset[str]:
    """Return the meters of which nobody knows for much of the last weeks whether they billed."""
    period = Period(now - _JUDGED, now)
    query = CostQuery(period, UTC, group_by=GroupBy.METER, filters=scope.filters, user=scope.user)
    limit = _MOST_UNKNOWN * (_JUDGED / timedelta(microseconds=1))
    return frozenset(row.key for row in load_costs(query, now=now).rows if row.total.unknown_us > limit)


def _take_course(plan: MeterPlan, burn: int, hours: Iterable[HourCost]) -> PlannedCourse:
    return PlannedCourse(nano_usd_per_hour=burn, changes=plan.changes, history=tuple(hours))


def _load_nano(
    scope: Scope, period: Period, *, now: datetime, group_by: GroupBy
) -> dict[str, dict[datetime, int]]:
    query = CostQuery(
        period, UTC, group_by=group_by, bucket=Bucket.HOUR, filters=scope.filters, user=scope.user
    )
    table = load_costs(query, now=now)
    return {
        row.key: {
            piece.start: (cost.low + cost.high) // (2 * TICKS_PER_NANO)
            for piece, cost in zip(table.periods, row.buckets, strict=True)
            if cost.high
        }
        for row in table.rows
    }


def _narrow(filters: CostFilters, **more: frozenset[str]) -> CostFilters | None:
    """Return the filters with further keys wanted; None when nothing can meet both."""
    for name, keys in more.items():
        present: frozenset[str] = getattr(filters, name)
        wanted = present & keys if present else keys
        if not wanted:
            return None
        filters = replace(filters, **{name: wanted})
    return filters


def _find_in_scope(scope: Scope, by_meter: Mapping[str, MeterPlan], *, now: datetime) -> list[str]:
    """Return those meters that count for the scope as they are owned now; a split counts for its owner. One query."""
    found = Meter.objects.filter(pk__in=[plan.meter_id for plan in by_meter.values()])
    if scope.user is not None:
        found = found.filter(visible_meters(scope.user))
    for name, column in _COLUMNS.items():
        if keys := getattr(scope.filters, name):
            found = found.filter(_among(column, keys))
    owned = Ownership.objects.filter(
        Q(valid_from=None) | Q(valid_from__lte=now),
        Q(valid_until=None) | Q(valid_until__gt=now),
        meter=OuterRef("pk"),
    )
    filters = scope.filters
    if filters.teams:
        mine = Exists(owned.filter(team_id__in=_numbers(filters.teams)))
        nobody = ~Exists(owned.filter(team__isnull=False)) if "" in filters.teams else Q(pk=None)
        found = found.filter(mine | nobody)
    if filters.owners:
        found = found.filter(Exists(owned.filter(owner__in=filters.owners)))
    if filters.cost_centres:
        found = found.filter(Exists(owned.filter(cost_centre__in=filters.cost_centres)))
    for tag in filters.tags:
        name, _, value = tag.partition("=")
        found = found.filter(Exists(owned.filter(tags__contains={name: value})))
    return [str(pk) for pk in found.values_list("pk", flat=True)]


def _among(column: str, keys: Iterable[str]) -> Q:
    """Return the condition that the column holds one of the keys; an empty key stands for no number."""
    if column not in _NUMBERED:
        return Q(**{f"{column}__in": list(keys)})
    nothing = Q(**{f"{column}__isnull": True}) if "" in keys else Q(pk__in=[])
    return Q(**{f"{column}__in": _numbers(keys)}) | nothing


def _numbers(keys: Iterable[str]) -> list[int]:
    """Return the primary keys among the keys; what is none, an address may hold anything, names no row."""
    return [int(key) for key in keys if key.isascii() and key.isdecimal() and len(key) <= _MOST_DIGITS]


def _full_hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
