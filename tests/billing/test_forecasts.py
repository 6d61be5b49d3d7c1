"""Forecasts from metered intervals: whose cost, what is planned, what the cache shares."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import tasks
from billing.costs import CostFilters, GroupBy, sum_costs
from billing.forecast import Forecast
from billing.forecast_plans import PlannedChange
from billing.forecast_sources import _SOURCES, MeterPlan, load_plans, register_source
from billing.forecasts import load_forecast, load_forecasts
from billing.models import BillingRules, Meter, MeterKind
from dashboard.accounts.models import Team, User
from dashboard.core.periods import Period
from dashboard.mirror.models import ResourceKind
from tests import cost_factories, factories
from tests.factories import H100_NANO_USD_PER_HOUR as H100
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("db")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)


def run(meter: Meter, *, days: int, units: int = 1, until: datetime | None = None, **fields: object) -> None:
    """Meter whole days up to midnight, then today until `until` (None: it goes on)."""
    midnight = NOW.replace(hour=0)
    for number in range(days, 0, -1):
        start = midnight - number * DAY
        cost_factories.make_interval(meter, start=start, end=start + DAY, units=units, **fields)
    cost_factories.make_interval(meter, start=midnight, end=until, units=units, **fields)


def make_owned(team: Team | None, **fields: object) -> Meter:
    meter = cost_factories.make_meter(**fields)
    cost_factories.make_ownership(meter, team=team)
    return meter


def look(user: User | None = None, **more: object) -> Forecast:
    found = load_forecast(user=user, now=NOW, zone=UTC, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_before_the_first_interval_there_is_none() -> None:
    assert load_forecast(user=None, now=NOW, zone=UTC) is None
    assert load_forecasts(user=None, group_by=GroupBy.TEAM, now=NOW, zone=UTC) == {}


def test_what_runs_all_the_time_ends_the_month_at_its_rate() -> None:
    run(cost_factories.make_meter(), days=40)

    found = look()

    assert found.spent == sum_costs(Period(MONTH, NOW), now=NOW)
    assert found.history_days == 40
    assert abs(found.p50 - H100 * 24 * 30) < 10**9
    assert found.until == MONTH_END
    assert sum((day.p50 for day in found.by_day), Decimal(0)) == found.left


def test_people_see_the_forecast_of_what_they_may_see(
    team: Team, other_team: Team, viewer: User, finance: User
) -> None:
    run(make_owned(team), days=20)
    run(make_owned(other_team), days=20, units=3)

    assert look(finance).p50 == look().p50
    assert abs(look(viewer).p50 * 4 - look(finance).p50) < 10**10
    filtered = look(finance, filters=CostFilters(teams=frozenset({str(team.pk)})))
    assert filtered.p50 == look(viewer).p50


def test_what_is_left_of_the_rows_sums_to_the_whole(team: Team, other_team: Team) -> None:
    run(make_owned(team), days=30)
    run(make_owned(other_team), days=3, units=4)
    run(make_owned(None), days=12, units=2, until=NOW - 2 * HOUR)

    rows = load_forecasts(user=None, group_by=GroupBy.TEAM, now=NOW, zone=UTC)

    assert set(rows) == {str(team.pk), str(other_team.pk), ""}
    assert abs(sum((row.p50 for row in rows.values()), Decimal(0)) - look().p50) < 10
    for row in rows.values():
        assert row.p10 <= row.p50 <= row.p90


def test_an_unknown_price_makes_it_at_least() -> None:
    run(cost_factories.make_meter(), days=20)
    run(cost_factories.make_meter(), days=0, nano_usd_per_hour=None)

    assert look().is_at_least


def test_a_lump_in_the_very_second_is_no_burn() -> None:
    run(cost_factories.make_meter(), days=20)
    prepaid = cost_factories.make_meter(kind=MeterKind.CLUSTER)
    at = NOW - timedelta(milliseconds=500)
    cost_factories.make_interval(
        prepaid,
        start=at,
        end=at + timedelta(microseconds=1),
        nano_usd_per_hour=None,
        lump_nano_usd=20_000 * 10**9,
    )

    found = look()

    assert found.left < 3 * H100 * 252


def test_an_armed_end_lowers_it_and_a_running_job_raises_it() -> None:
    base = cost_factories.make_meter()
    run(base, days=20)
    project = factories.make_project(connection=factories.make_connection())
    rented = factories.make_resource(
        kind=ResourceKind.RL_RESOURCE, project=project, expires_at=NOW + DAY, burn=10 * H100
    )
    run(cost_factories.make_meter(resource=rented), days=20, units=10)
    job = factories.make_resource(
        kind=ResourceKind.FINE_TUNE,
        project=project,
        state="running",
        total_nano_usd=900 * 10**9,
        seconds_remaining=3600,
    )
    cost_factories.make_meter(resource=job)

    plans = load_plans(now=NOW, until=MONTH_END)
    found = look()

    assert len(plans) == 2
    expected = H100 * 252 + 10 * H100 * 24 + 900 * 10**9
    assert abs(found.left - expected) < expected // 50


def test_a_registered_source_is_asked_and_its_stops_are_believed() -> None:
    meter = cost_factories.make_meter()
    run(meter, days=20)

    def arm(now: datetime, until: datetime) -> list[MeterPlan]:
        return [MeterPlan(meter.pk, changes=(PlannedChange(now + DAY, -H100),))]

    register_source(arm)
    register_source(arm)
    try:
        found = look()
        assert _SOURCES.count(arm) == 1
    finally:
        _SOURCES.remove(arm)

    assert abs(found.left - H100 * 24) < 10**9


def test_a_plan_of_another_team_is_not_counted(team: Team, other_team: Team, viewer: User) -> None:
    mine, theirs = make_owned(team), make_owned(other_team)
    run(mine, days=20)
    run(theirs, days=20)

    def arm(now: datetime, until: datetime) -> list[MeterPlan]:
        return [MeterPlan(theirs.pk, changes=(PlannedChange(now + HOUR, -H100),))]

    before = look(viewer).left
    register_source(arm)
    try:
        found = look(viewer, until=MONTH_END + timedelta(microseconds=1))
    finally:
        _SOURCES.remove(arm)

    assert abs(found.left - before) < 10**6


def test_pages_share_one_forecast_for_some_minutes(finance: User) -> None:
    run(cost_factories.make_meter(), days=20)
    first = look(finance)
    run(cost_factories.make_meter(), days=20, units=5)

    with CaptureQueriesContext(connection) as queries:
        again = load_forecast(user=finance, now=NOW + timedelta(minutes=3), zone=UTC)

    assert again == first
    assert len(queries) <= 1


@pytest.mark.parametrize(("days", "most"), [(2, 60), (20, 3600)])
def test_a_guess_from_little_history_is_shared_for_a_minute_at_most(
    finance: User, days: int, most: int
) -> None:
    run(cost_factories.make_meter(), days=days)

    look(finance)
    load_forecasts(user=finance, group_by=GroupBy.TEAM, now=NOW, zone=UTC)
    load_forecasts(user=finance, group_by=GroupBy.METER, now=NOW, zone=UTC)

    client = cache._cache.get_client()  # type: ignore[attr-defined]  # Redis tells how long, Django does not
    left = [client.ttl(key) for key in client.scan_iter(f"{cache.key_prefix}:*forecast-*")]
    assert len(left) >= 4
    assert most // 2 < max(left) <= most


@pytest.mark.parametrize("field", ["endpoints", "projects", "meters", "teams"])
@pytest.mark.parametrize("key", ["", "abc", "9" * 5000, "gone:x", "\u0663"])
def test_a_key_that_names_no_row_is_no_error(field: str, key: str) -> None:
    meter = cost_factories.make_meter()
    run(meter, days=20)
    rented = factories.make_resource(
        kind=ResourceKind.RL_RESOURCE,
        project=factories.make_project(connection=factories.make_connection()),
        expires_at=NOW + DAY,
        burn=H100,
    )
    run(cost_factories.make_meter(resource=rented), days=20)
    found = load_forecast(user=None, now=NOW, zone=UTC, filters=CostFilters(**{field: frozenset({key})}))

    assert found is not None


def test_the_task_works_out_what_pages_ask_for(finance: User, viewer: User) -> None:
    BillingRules.objects.create(pk=1, reporting_zone="Europe/Berlin")
    run(cost_factories.make_meter(), days=2)
    now = datetime.now(UTC)
    cost_factories.make_interval(cost_factories.make_meter(), start=now - HOUR, end=None)

    tasks.refresh_forecasts()
    with CaptureQueriesContext(connection) as queries:
        found = load_forecast(user=finance, now=datetime.now(UTC), zone=ZoneInfo("Europe/Berlin"))
    assert found is not None
    assert len(queries) <= 1


def test_a_past_period_is_what_it_cost() -> None:
    run(cost_factories.make_meter(), days=40)

    found = look(since=MONTH - 10 * DAY, until=MONTH)

    assert found.p10 == found.p50 == found.p90 == H100 * 240
    assert found.by_day == ()


def test_what_burns_with_an_unknown_past_is_expected_to_go_on() -> None:
    run(cost_factories.make_meter(), days=30)
    found_late = cost_factories.make_meter(kind=MeterKind.CLUSTER)
    cost_factories.make_interval(
        found_late, start=NOW - 30 * DAY, end=NOW - HOUR, units=0, nano_usd_per_hour=None, condition="unknown"
    )
    cost_factories.make_interval(found_late, start=NOW - HOUR, end=None, units=10)

    found = look()

    assert found.is_at_least
    assert abs(found.left - 11 * H100 * 252) < H100 * 252 // 50
    # It may as well stop.
    assert found.p10 < found.p50 - H100 * 252


def test_rows_by_the_thousand_share_the_whole_by_what_they_cost_of_late() -> None:
    small, large = cost_factories.make_meter(), cost_factories.make_meter()
    run(small, days=20)
    run(large, days=20, units=3)

    rows = load_forecasts(user=None, group_by=GroupBy.METER, now=NOW, zone=UTC)

    assert set(rows) == {str(small.pk), str(large.pk)}
    assert abs(rows[str(large.pk)].left - 3 * rows[str(small.pk)].left) < 10
    assert abs(sum((row.p50 for row in rows.values()), Decimal(0)) - look().p50) < 10
