"""For any intervals, owners, splits, zone and bucket: every sum is that of its parts, to the last tick.

Held against a plain reckoning in Python that cuts each interval at every edge there is and looks each piece up.
"""

import itertools
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.amounts import ZERO, Cost, add_costs
from billing.costs import CostFilters, CostQuery, GroupBy, list_intervals, load_costs, sum_costs
from billing.models import CostShare, CostSplit, Meter, MeteredInterval, Ownership
from dashboard.accounts.models import Team
from dashboard.core.periods import Bucket, Period, cut
from tests.cost_factories import make_meter

pytestmark = pytest.mark.django_db

ZONES = sorted(zoneinfo.available_timezones())
US = timedelta(microseconds=1)
DAY_US = 86_400_000_000
BASE = datetime(2026, 3, 1, tzinfo=UTC)
TICKS = 3_600_000_000
# Most transitions of a year lie within two weeks of these.
BASES = [BASE, datetime(2026, 10, 18, tzinfo=UTC), datetime(2011, 12, 25, tzinfo=UTC)]
PERCENTS = [["100"], ["33.33", "66.67"], ["0.01", "99.99"], ["33.33", "33.33", "33.34"], ["50", "0", "50"]]

# Any microsecond of ten days, and often one at which edges of owners, intervals and pieces meet.
moments = st.integers(0, 10 * DAY_US) | st.integers(0, 10 * 24).map(lambda hour: hour * DAY_US // 24)
fields = st.fixed_dictionaries(
    {
        "condition": st.sampled_from(["bills", "bills", "bills", "free", "unknown"]),
        "use": st.sampled_from(["busy", "idle", "unknown"]),
        "rates": st.tuples(st.integers(0, 10**13), st.integers(0, 10**13)).map(sorted),
        "is_priced": st.booleans(),
        "lump_nano_usd": st.sampled_from([0, 0, 7, -3, 10**15]),
        "rounding_us": st.sampled_from([0, 1, 59_999_999]),
    }
)
timelines = st.tuples(
    st.lists(moments, min_size=2, max_size=7, unique=True).map(sorted),
    st.lists(fields, min_size=6, max_size=6),
    st.booleans(),
)
ownerships = st.tuples(
    st.lists(moments, min_size=2, max_size=4, unique=True).map(sorted),
    st.lists(st.sampled_from([0, 1, 2, None, "gap"]), min_size=5, max_size=5),
)
splits = st.none() | st.tuples(moments, st.none() | moments, st.sampled_from(PERCENTS))


@dataclass(frozen=True)
class World:
    """What is stored, and the question's `now`."""

    teams: list[Team]
    meters: list[Meter]
    intervals: list[MeteredInterval]
    ownerships: list[Ownership]
    splits: list[CostSplit]
    now: datetime


@contextmanager
def stored(base: datetime, lines: list, owners: list, shares: list, now_us: int) -> Iterator[World]:
    with transaction.atomic():
        teams = [Team.objects.create(name=f"team {number}") for number in range(3)]
        now = base + now_us * US
        world = World(teams, [], [], [], [], now)
        for line, owned, shared in zip(lines, owners, shares, strict=False):
            meter = make_meter()
            world.meters.append(meter)
            world.intervals.extend(_intervals(meter, base, *line))
            world.ownerships.extend(_ownerships(meter, base, teams, *owned))
            if shared:
                world.splits.extend(_split(meter, base, teams, *shared))
        MeteredInterval.objects.bulk_create(world.intervals)
        Ownership.objects.bulk_create(world.ownerships)
        yield world
        transaction.set_rollback(True)


def _intervals(meter: Meter, base: datetime, edges: list, drawn: list, goes_on: bool) -> Iterator:
    for place, ((since, until), row) in enumerate(zip(itertools.pairwise(edges), drawn, strict=False)):
        is_last = place == len(edges) - 2
        if row["condition"] == "bills":
            until = min(until, since + DAY_US)
        is_priced = row["is_priced"]
        low, high = row["rates"] if is_priced and row["condition"] == "bills" else (0, 0)
        yield MeteredInterval(
            meter=meter,
            start=base + since * US,
            end=None if is_last and goes_on else base + until * US,
            condition=row["condition"],
            use=row["use"],
            nano_usd_per_hour=1 if is_priced else None,
            rate_low=low,
            rate_high=high,
            lump_nano_usd=row["lump_nano_usd"],
            rounding_us=row["rounding_us"],
            sku=f"sku {row['rounding_us']}",
            source="event",
        )


def _ownerships(meter: Meter, base: datetime, teams: list, edges: list, drawn: list) -> Iterator:
    bounds = [None, *(base + edge * US for edge in edges), None]
    for (since, until), owner in zip(itertools.pairwise(bounds), drawn, strict=False):
        if owner == "gap":
            continue
        team = None if owner is None else teams[owner]
        yield Ownership(
            meter=meter,
            valid_from=since,
            valid_until=until,
            team=team,
            team_name=team.name if team else "",
            tags={"env": f"e{owner}"},
            cost_centre=f"cc{owner}",
            source="manual",
        )


def _split(
    meter: Meter, base: datetime, teams: list, since: int, until: int | None, percents: list
) -> Iterator:
    end = None if until is None or until <= since else base + until * US
    split = CostSplit.objects.create(
        meter=meter, method="fixed", valid_from=base + since * US, valid_until=end
    )
    for team, percent in zip(teams, percents, strict=False):
        CostShare.objects.create(split=split, team=team, percent=Decimal(percent))
    yield split


def reckon(
    world: World, period: Period, edges: list[datetime]
) -> list[tuple[MeteredInterval, Period, str, Cost]]:
    """Return (interval, piece of it, team key, cost) of all that lies in the period."""
    cuts = {*edges, period.start, period.end}
    for row in (*world.ownerships, *world.splits):
        cuts |= {row.valid_from, row.valid_until} - {None}
    found = []
    for interval in world.intervals:
        end = interval.end or world.now
        if interval.condition == "free" or end <= interval.start:
            continue
        inside = sorted({interval.start, end, *(at for at in cuts if interval.start < at < end)})
        for since, until in itertools.pairwise(inside):
            if period.start <= since and until <= period.end:
                for key, cost in charge(world, interval, since, until):
                    found.append((interval, Period(since, until), key, cost))
    return found


def charge(
    world: World, interval: MeteredInterval, since: datetime, until: datetime
) -> Iterator[tuple[str, Cost]]:
    """Yield what each team bears of a piece that no edge cuts."""
    split = next(
        (
            one
            for one in world.splits
            if one.meter_id == interval.meter_id
            and one.valid_from <= since
            and (one.valid_until is None or since < one.valid_until)
        ),
        None,
    )
    if split is None:
        yield owner_of(world, interval, since), cost_of(interval, since, until, 0, 1)
        return
    before = 0
    for share in split.shares.order_by("team_id"):
        after = before + int(share.percent * 100)
        yield (
            str(share.team_id),
            cost_of(interval, since, until, before / Decimal(10_000), after / Decimal(10_000)),
        )
        before = after


def owner_of(world: World, interval: MeteredInterval, at: datetime) -> str:
    for row in world.ownerships:
        is_past = row.valid_until is not None and row.valid_until <= at
        is_ahead = row.valid_from is not None and row.valid_from > at
        if row.meter_id == interval.meter_id and not is_past and not is_ahead:
            return str(row.team_id or "")
    return ""


def cost_of(interval: MeteredInterval, since: datetime, until: datetime, first: object, last: object) -> Cost:
    """Return the whole ticks from the part `first` to `last` of a piece, counted from the interval's start."""

    def ticks(rate: int, at: datetime) -> int:
        us = (at - interval.start) // US
        if at != interval.end:
            return rate * us
        return rate * (us + interval.rounding_us) + interval.lump_nano_usd * TICKS

    def part(before: int, after: int) -> int:
        def upto(amount: int, share: object) -> int:
            whole = amount * int(share * 10_000)  # type: ignore[operator]
            return whole // 10_000 if whole >= 0 else -(-whole // 10_000)

        return upto(after, last) - upto(after, first) - upto(before, last) + upto(before, first)

    low = part(ticks(interval.rate_low, since), ticks(interval.rate_low, until))
    high = part(ticks(interval.rate_high, since), ticks(interval.rate_high, until))
    time = part((since - interval.start) // US, (until - interval.start) // US)
    idle = interval.use == "idle" and interval.condition != "unknown"
    unpriced = (
        interval.condition == "bills" and interval.nano_usd_per_hour is None and not interval.lump_nano_usd
    )
    return Cost(
        low,
        high,
        low if idle else 0,
        high if idle else 0,
        time if unpriced else 0,
        time if interval.condition == "unknown" else 0,
    )


worlds = {
    "base": st.sampled_from(BASES),
    "lines": st.lists(timelines, min_size=1, max_size=3),
    "owners": st.lists(ownerships, min_size=3, max_size=3),
    "shares": st.lists(splits, min_size=3, max_size=3),
    "now_us": moments,
    "edges": st.tuples(moments, moments).map(sorted),
    "zone": st.sampled_from(ZONES).map(zoneinfo.ZoneInfo),
}


@given(bucket=st.sampled_from(Bucket), **worlds)
@settings(max_examples=60)
def test_teams_and_pieces_are_those_of_a_plain_reckoning(
    base: datetime,
    lines: list,
    owners: list,
    shares: list,
    now_us: int,
    edges: list,
    zone: zoneinfo.ZoneInfo,
    bucket: Bucket,
) -> None:
    period = Period(base + edges[0] * US, base + edges[1] * US)
    pieces = cut(period, bucket=bucket, zone=zone)
    with stored(base, lines, owners, shares, now_us) as world:
        query = CostQuery(period, zone, GroupBy.TEAM, bucket)

        table = load_costs(query, now=world.now)

        expected: dict[tuple[str, int], Cost] = {}
        for _, piece, key, cost in reckon(world, period, [one.start for one in pieces]):
            place = next(number for number, one in enumerate(pieces) if one.start <= piece.start < one.end)
            expected[key, place] = expected.get((key, place), ZERO) + cost
        found = {
            (row.key, place): cost
            for row in table.rows
            for place, cost in enumerate(row.buckets)
            if cost != ZERO
        }
        assert found == {key: cost for key, cost in expected.items() if cost != ZERO}
        assert table.periods == pieces
        assert table.total == add_costs(table.buckets) == add_costs(expected.values())


@given(bucket=st.sampled_from(Bucket), group=st.sampled_from(GroupBy), **worlds)
@settings(max_examples=60)
def test_the_whole_is_the_same_however_it_is_cut_grouped_and_filtered(
    base: datetime,
    lines: list,
    owners: list,
    shares: list,
    now_us: int,
    edges: list,
    zone: zoneinfo.ZoneInfo,
    bucket: Bucket,
    group: GroupBy,
) -> None:
    period = Period(base + edges[0] * US, base + edges[1] * US)
    pieces = cut(period, bucket=bucket, zone=zone)
    with stored(base, lines, owners, shares, now_us) as world:
        whole = sum_costs(period, now=world.now)

        table = load_costs(CostQuery(period, zone, group, bucket, "env"), now=world.now)

        by_teams = [
            sum_costs(period, now=world.now, filters=CostFilters(teams=frozenset({key})))
            for key in ["", *(str(team.pk) for team in world.teams)]
        ]
        listed = list_intervals(CostQuery(period, zone), now=world.now, limit=1_000)
        assert add_costs(by_teams) == whole
        assert table.total == whole == add_costs(table.buckets)
        assert table.buckets == [sum_costs(piece, now=world.now) for piece in pieces]
        assert add_costs(row.cost for row in listed.rows) == whole
        assert len(listed.rows) == listed.count
        for row in table.rows:
            assert row.total == add_costs(row.buckets)
            found = load_costs(
                CostQuery(period, zone, group, None, "env", _filter(group, row.key)), now=world.now
            )
            assert found.total == row.total


def _filter(group: GroupBy, key: str) -> CostFilters:
    names = {
        GroupBy.TEAM: "teams",
        GroupBy.OWNER: "owners",
        GroupBy.PROJECT: "projects",
        GroupBy.MODEL: "models",
        GroupBy.HARDWARE: "hardware",
        GroupBy.ENDPOINT: "endpoints",
        GroupBy.KIND: "kinds",
        GroupBy.SKU: "skus",
        GroupBy.COST_CENTRE: "cost_centres",
        GroupBy.METER: "meters",
    }
    if group is GroupBy.NONE:
        return CostFilters()
    if group is GroupBy.TAG:
        return CostFilters(tags=frozenset({f"env={key}"}))
    return replace(CostFilters(), **{names[group]: frozenset({key})})
