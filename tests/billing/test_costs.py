"""Costs by team, period and piece: who is charged, what is clipped, what is counted beside the money."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from billing.amounts import Cost
from billing.costs import CostFilters, CostQuery, GroupBy, list_intervals, load_costs, sum_costs
from billing.models import CostShare, CostSplit, Meter, MeteredInterval
from dashboard.accounts.models import Team
from dashboard.core.periods import Bucket, Period
from tests import factories
from tests.cost_factories import make_interval, make_meter, make_ownership

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 10, tzinfo=UTC)
NOW = DAY + timedelta(days=5)
HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
TICKS_PER_NANO = 3_600_000_000
WHOLE_DAY = Period(DAY, DAY + timedelta(days=1))


def hours(count: float, *, rate: int) -> Cost:
    ticks = int(count * HOUR_US) * rate
    return Cost(ticks, ticks)


def make_split(meter: Meter, shares: dict[Team, str | None], **fields: object) -> CostSplit:
    method = "usage" if None in shares.values() else "fixed"
    split = CostSplit.objects.create(meter=meter, method=method, **({"valid_from": DAY} | fields))
    for team, percent in shares.items():
        CostShare.objects.create(split=split, team=team, percent=percent)
    return split


def rows_of(query: CostQuery) -> list[tuple[str, Cost]]:
    return [(row.label, row.total) for row in load_costs(query, now=NOW).rows]


def by_team(period: Period = WHOLE_DAY) -> CostQuery:
    return CostQuery(period, UTC, GroupBy.TEAM)


def test_an_interval_is_cut_where_its_owner_changed_dearest_row_first(team: Team, other_team: Team) -> None:
    meter = make_meter()
    make_interval(meter, start=DAY, end=DAY + 6 * HOUR, nano_usd_per_hour=100)
    make_ownership(meter, team=team, valid_until=DAY + HOUR)
    make_ownership(meter, team=other_team, valid_from=DAY + 3 * HOUR)

    rows = rows_of(by_team())

    assert rows == [
        (other_team.name, hours(3, rate=100)),
        ("Unowned", hours(2, rate=100)),
        (team.name, hours(1, rate=100)),
    ]


def test_a_team_that_is_gone_keeps_its_name(team: Team) -> None:
    meter = make_meter()
    make_interval(meter, start=DAY, end=DAY + HOUR, nano_usd_per_hour=100)
    make_ownership(meter, team=team)
    name = team.name
    team.delete()

    row = load_costs(by_team(), now=NOW).rows[0]

    assert (row.key, row.label) == (f"gone:{name}", name)
    assert sum_costs(WHOLE_DAY, now=NOW, filters=CostFilters(teams=frozenset({row.key}))) == hours(
        1, rate=100
    )


def test_what_goes_on_counts_up_to_now_and_not_what_falls_on_its_end() -> None:
    make_interval(
        make_meter(), start=DAY, end=None, nano_usd_per_hour=100, rounding_us=HOUR_US, lump_nano_usd=7
    )

    assert sum_costs(WHOLE_DAY, now=DAY + HOUR) == hours(1, rate=100)
    assert sum_costs(WHOLE_DAY, now=DAY - HOUR) == Cost()
    assert sum_costs(WHOLE_DAY, now=NOW) == hours(24, rate=100)


def test_rounding_and_lump_fall_on_the_last_microsecond() -> None:
    end = DAY + 2 * HOUR
    make_interval(
        make_meter(), start=DAY, end=end, nano_usd_per_hour=100, rounding_us=HOUR_US, lump_nano_usd=7
    )
    last = end - timedelta(microseconds=1)

    assert sum_costs(Period(DAY, last), now=NOW).low == 100 * (2 * HOUR_US - 1)
    assert sum_costs(Period(last, end), now=NOW).low == 100 * (1 + HOUR_US) + 7 * TICKS_PER_NANO
    assert sum_costs(Period(end, NOW), now=NOW) == Cost()


def test_what_began_long_before_the_period_is_found() -> None:
    long_ago = DAY - timedelta(days=40)
    make_interval(make_meter(), start=long_ago, end=None, nano_usd_per_hour=100)
    make_interval(make_meter(), start=long_ago, end=NOW, nano_usd_per_hour=None, condition="unknown")

    cost = sum_costs(WHOLE_DAY, now=NOW)

    assert cost == hours(24, rate=100) + Cost(unknown_us=24 * HOUR_US)


def test_ranges_idle_unpriced_and_unknown_stay_apart() -> None:
    meter = make_meter()
    span = {"meter": meter, "nano_usd_per_hour": 100}
    make_interval(start=DAY, end=DAY + HOUR, rate_low=100, rate_high=300, use="idle", **span)
    make_interval(meter, start=DAY + HOUR, end=DAY + 2 * HOUR, nano_usd_per_hour=None)
    make_interval(
        meter, start=DAY + 2 * HOUR, end=DAY + 3 * HOUR, nano_usd_per_hour=None, condition="unknown"
    )
    make_interval(start=DAY + 3 * HOUR, end=DAY + 4 * HOUR, condition="free", **span)

    cost = sum_costs(WHOLE_DAY, now=NOW)

    assert cost == Cost(
        low=100 * HOUR_US,
        high=300 * HOUR_US,
        idle_low=100 * HOUR_US,
        idle_high=300 * HOUR_US,
        unpriced_us=HOUR_US,
        unknown_us=HOUR_US,
    )


def test_a_charge_at_once_of_a_known_amount_is_not_unpriced() -> None:
    at = DAY + HOUR
    make_interval(
        make_meter(),
        start=at,
        end=at + timedelta(microseconds=1),
        units=0,
        nano_usd_per_hour=None,
        lump_nano_usd=5,
    )

    assert sum_costs(WHOLE_DAY, now=NOW) == Cost(5 * TICKS_PER_NANO, 5 * TICKS_PER_NANO)


def test_rates_beyond_machine_integers_are_exact() -> None:
    rate = 2**62
    for _ in range(3):
        make_interval(make_meter(), start=DAY, end=DAY + 24 * HOUR, nano_usd_per_hour=rate)

    assert sum_costs(WHOLE_DAY, now=NOW) == hours(3 * 24, rate=rate)


def test_fixed_shares_sum_to_the_whole_to_the_tick(team: Team, other_team: Team) -> None:
    third = factories.make_team("Docs")
    meter = make_meter()
    make_ownership(meter, team=team)
    make_interval(meter, start=DAY, end=DAY + timedelta(microseconds=1), nano_usd_per_hour=100)
    make_split(meter, {team: "33.33", other_team: "33.33", third: "33.34"})

    rows = rows_of(by_team())

    # 33.33, 66.66 and 100 of 100 ticks, less what those before got: the last bears the remainder.
    assert dict(rows) == {
        team.name: Cost(33, 33),
        other_team.name: Cost(33, 33),
        third.name: Cost(34, 34),
    }


def test_shares_by_usage_follow_what_each_team_spent_otherwise(team: Team, other_team: Team) -> None:
    for owner, rate in ((team, 300), (other_team, 100)):
        meter = make_meter()
        make_ownership(meter, team=owner)
        make_interval(meter, start=DAY, end=DAY + HOUR, nano_usd_per_hour=rate)
    shared = make_meter()
    # Its owner's own part is not counted as spent otherwise.
    make_ownership(shared, team=other_team)
    make_interval(shared, start=DAY, end=DAY + HOUR, nano_usd_per_hour=1_000)
    make_split(shared, {team: None, other_team: None})

    rows = rows_of(by_team())

    assert rows == [(team.name, hours(1, rate=1_050)), (other_team.name, hours(1, rate=350))]


def test_shares_by_usage_are_equal_where_nobody_spent_anything(team: Team, other_team: Team) -> None:
    shared = make_meter()
    make_interval(shared, start=DAY, end=DAY + HOUR, nano_usd_per_hour=1_000)
    make_split(shared, {team: None, other_team: None})

    assert {cost for _, cost in rows_of(by_team())} == {hours(1, rate=500)}


def test_a_split_holds_only_in_its_time_and_ends_with_the_next(team: Team, other_team: Team) -> None:
    meter = make_meter()
    make_interval(meter, start=DAY, end=DAY + 4 * HOUR, nano_usd_per_hour=100)
    make_split(meter, {team: "100"}, valid_from=DAY + HOUR, valid_until=DAY + 3 * HOUR)
    make_split(meter, {other_team: "100"}, valid_from=DAY + 2 * HOUR, valid_until=DAY + 3 * HOUR)

    assert dict(rows_of(by_team())) == {
        "Unowned": hours(2, rate=100),
        team.name: hours(1, rate=100),
        other_team.name: hours(1, rate=100),
    }


@pytest.mark.parametrize(
    ("group", "labels"),
    [
        (GroupBy.KIND, ["GPU cluster", "Endpoint"]),
        (GroupBy.MODEL, ["No model", "Qwen/Qwen3-8B"]),
        (GroupBy.ENDPOINT, ["Not an endpoint", "search-prod"]),
        (GroupBy.PROJECT, ["gone-project", "Search project"]),
        (GroupBy.TAG, ["prod", "Not tagged"]),
        (GroupBy.COST_CENTRE, ["CC-7", "No cost centre"]),
        (GroupBy.OWNER, ["Ines", "No owner"]),
        (GroupBy.METER, ["train-a", "replicas"]),
        (GroupBy.NONE, ["All costs"]),
    ],
)
def test_rows_are_called_by_name_also_when_the_mirror_lost_it(group: GroupBy, labels: list[str]) -> None:
    project = factories.make_project(name="Search project")
    endpoint = factories.make_endpoint(project=project, display_name="search-prod")
    one = make_meter(
        kind="deployment", project=project, endpoint=endpoint, model="Qwen/Qwen3-8B", name="replicas"
    )
    other = make_meter(
        kind="cluster", name="train-a", sub_account_id="proj_gone", sub_account_name="gone-project"
    )
    make_ownership(other, tags={"env": "prod"}, cost_centre="CC-7", owner="Ines")
    make_interval(one, start=DAY, end=DAY + HOUR, nano_usd_per_hour=1)
    make_interval(other, start=DAY, end=DAY + HOUR, nano_usd_per_hour=2)

    rows = load_costs(CostQuery(WHOLE_DAY, UTC, group, tag_key="env"), now=NOW).rows

    assert [row.label for row in rows] == labels


def test_filters_hold_together_and_each_takes_any_of_its_keys(team: Team) -> None:
    one, other = make_meter(kind="cluster", model="a"), make_meter(kind="volume", model="a")
    for meter in (one, other, make_meter(kind="cluster", model="b")):
        make_interval(meter, start=DAY, end=DAY + HOUR, nano_usd_per_hour=100)
    make_ownership(one, team=team, tags={"env": "prod"})

    def found(**keys: set[str]) -> Cost:
        filters = CostFilters(**{name: frozenset(values) for name, values in keys.items()})
        return sum_costs(WHOLE_DAY, now=NOW, filters=filters)

    assert found(kinds={"cluster", "volume"}) == hours(3, rate=100)
    assert found(kinds={"cluster"}, models={"a"}) == hours(1, rate=100)
    assert found(kinds={"volume"}, models={"b"}) == Cost()
    assert found(teams={str(team.pk)}) == found(tags={"env=prod"}) == hours(1, rate=100)
    assert found(teams={""}, kinds={"cluster"}) == hours(1, rate=100)
    assert found(tags={"env=prod", "env="}) == hours(3, rate=100)
    assert found(models={"a' OR TRUE --"}) == Cost()


def test_intervals_beneath_a_number_add_up_to_it_page_by_page(team: Team) -> None:
    meter = make_meter()
    make_ownership(meter, team=team, valid_from=DAY + HOUR)
    for place in range(3):
        start = DAY + place * 2 * HOUR
        make_interval(meter, start=start, end=start + 2 * HOUR, nano_usd_per_hour=100)
    query = CostQuery(WHOLE_DAY, UTC)

    pages = [list_intervals(query, now=NOW, offset=offset, limit=3) for offset in (0, 3, 6)]

    assert [page.count for page in pages] == [4, 4, 4]
    rows = [row for page in pages for row in page.rows]
    assert [(row.period.start, row.team_label) for row in rows] == [
        (DAY + 4 * HOUR, team.name),
        (DAY + 2 * HOUR, team.name),
        (DAY + HOUR, team.name),
        (DAY, "Unowned"),
    ]
    assert sum((row.cost for row in rows), Cost()) == hours(6, rate=100)
    assert {row.interval.meter for row in rows} == {meter}


def test_nothing_costs_nothing() -> None:
    table = load_costs(CostQuery(WHOLE_DAY, UTC, GroupBy.TEAM, Bucket.HOUR), now=NOW)

    assert (table.rows, table.total, table.buckets) == ([], Cost(), [Cost()] * 24)
    assert load_costs(CostQuery(Period(DAY, DAY), UTC, bucket=Bucket.DAY), now=NOW).rows == []
    assert list_intervals(CostQuery(Period(DAY, DAY), UTC), now=NOW).count == 0


def test_queries_do_not_grow_with_what_is_read(team: Team, django_db_blocker: object) -> None:
    from django.db import connection

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            load_costs(CostQuery(WHOLE_DAY, UTC, GroupBy.TEAM, Bucket.HOUR), now=NOW)
        return len(queries)

    make_interval(make_meter(), start=DAY, end=DAY + HOUR)
    before = count()
    for _ in range(5):
        meter = make_meter()
        make_ownership(meter, team=team)
        make_interval(meter, start=DAY, end=DAY + HOUR)

    assert (before, count()) == (4, 5)
    assert MeteredInterval.objects.count() == 6
