"""Nobody reads another team's cost: not from a row, a total, a filter or the intervals beneath."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from billing.amounts import Cost
from billing.costs import (
    CostFilters,
    CostQuery,
    GroupBy,
    list_intervals,
    load_costs,
    sum_costs,
    visible_meters,
)
from billing.models import CostShare, CostSplit, Meter
from dashboard.accounts.models import Team, User
from dashboard.core.periods import Bucket, Period
from tests import factories
from tests.cost_factories import make_interval, make_meter, make_ownership

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 10, tzinfo=UTC)
NOW = DAY + timedelta(days=5)
HOUR = timedelta(hours=1)
WHOLE_DAY = Period(DAY, DAY + timedelta(days=1))


def hour_at(rate: int) -> Cost:
    return Cost(rate * 3_600_000_000, rate * 3_600_000_000)


@dataclass(frozen=True)
class Ledger:
    """One hour at 1: own; 10: of the other team; 100: nobody's, in no project; 1000: nobody's in the other team's."""

    own: Meter
    others: Meter
    unowned: Meter
    others_project: Meter


@pytest.fixture
def ledger(team: Team, other_team: Team) -> Ledger:
    own_project = factories.make_project(team=team)
    hidden_project = factories.make_project(team=other_team)
    made = Ledger(
        own=make_meter(project=hidden_project),
        # In a project that the team sees: its cost is another team's all the same.
        others=make_meter(project=own_project),
        unowned=make_meter(),
        others_project=make_meter(project=hidden_project),
    )
    make_ownership(made.own, team=team)
    make_ownership(made.others, team=other_team)
    meters = (made.own, made.others, made.unowned, made.others_project)
    for meter, rate in zip(meters, (1, 10, 100, 1000), strict=True):
        make_interval(meter, start=DAY, end=DAY + HOUR, nano_usd_per_hour=rate)
    return made


def test_a_team_sees_its_own_and_what_nobody_owns_where_it_may_look(viewer: User, ledger: Ledger) -> None:
    for group in GroupBy:
        table = load_costs(CostQuery(WHOLE_DAY, UTC, group, Bucket.HOUR, "env", user=viewer), now=NOW)

        assert table.total == hour_at(101), group
        assert sum(table.buckets, Cost()) == hour_at(101), group
    assert sum_costs(WHOLE_DAY, now=NOW, user=viewer) == hour_at(101)


def test_no_filter_and_no_drill_down_leads_to_another_teams_cost(
    viewer: User, other_team: Team, ledger: Ledger
) -> None:
    asked = [
        CostFilters(teams=frozenset({str(other_team.pk)})),
        CostFilters(meters=frozenset({str(ledger.others.pk)})),
        CostFilters(meters=frozenset({str(ledger.others_project.pk)})),
        CostFilters(projects=frozenset({str(ledger.others_project.project_id)}), teams=frozenset({""})),
    ]

    for filters in asked:
        assert sum_costs(WHOLE_DAY, now=NOW, filters=filters, user=viewer) == Cost()
        assert list_intervals(CostQuery(WHOLE_DAY, UTC, filters=filters, user=viewer), now=NOW).count == 0
    shown = list_intervals(CostQuery(WHOLE_DAY, UTC, user=viewer), now=NOW).rows
    assert {row.interval.meter for row in shown} == {ledger.own, ledger.unowned}


def test_who_took_over_a_meter_does_not_see_what_it_cost_before(
    viewer: User, team: Team, other_team: Team
) -> None:
    meter = make_meter()
    make_interval(meter, start=DAY, end=DAY + 2 * HOUR, nano_usd_per_hour=7)
    make_ownership(meter, team=other_team, valid_until=DAY + HOUR)
    make_ownership(meter, team=team, valid_from=DAY + HOUR)

    assert sum_costs(WHOLE_DAY, now=NOW, user=viewer) == hour_at(7)


def test_of_a_shared_meter_each_team_sees_its_part(viewer: User, team: Team, other_team: Team) -> None:
    meter = make_meter()
    make_interval(meter, start=DAY, end=DAY + HOUR, nano_usd_per_hour=100)
    make_ownership(meter, team=other_team)
    split = CostSplit.objects.create(meter=meter, method="fixed", valid_from=DAY)
    CostShare.objects.create(split=split, team=team, percent="25")
    CostShare.objects.create(split=split, team=other_team, percent="75")

    assert sum_costs(WHOLE_DAY, now=NOW, user=viewer) == hour_at(25)
    assert [row.cost for row in list_intervals(CostQuery(WHOLE_DAY, UTC, user=viewer), now=NOW).rows] == [
        hour_at(25)
    ]
    assert list(Meter.objects.filter(visible_meters(viewer))) == [meter]


def test_teams_together_with_what_nobody_owns_see_the_whole(
    viewer: User, finance: User, other_team: Team, ledger: Ledger
) -> None:
    other = factories.make_viewer(teams=(other_team,))

    assert sum_costs(WHOLE_DAY, now=NOW, user=finance) == hour_at(1111) == sum_costs(WHOLE_DAY, now=NOW)
    # What nobody owns, in no project, is seen by both.
    assert sum_costs(WHOLE_DAY, now=NOW, user=other) == hour_at(1110)


def test_somebody_without_a_team_sees_what_nobody_owns(ledger: Ledger) -> None:
    loner = factories.make_viewer(teams=())

    assert sum_costs(WHOLE_DAY, now=NOW, user=loner) == hour_at(100)


def test_who_was_shut_out_sees_nothing(viewer: User, finance: User, ledger: Ledger) -> None:
    for user in (viewer, finance):
        user.is_active = False
        user.save()

        assert sum_costs(WHOLE_DAY, now=NOW, user=user) == Cost()
        assert list_intervals(CostQuery(WHOLE_DAY, UTC, user=user), now=NOW).count == 0
        assert not Meter.objects.filter(visible_meters(user)).exists()


def test_meters_that_may_be_shown_are_those_of_the_team_and_of_visible_projects(
    viewer: User, finance: User, ledger: Ledger
) -> None:
    assert set(Meter.objects.filter(visible_meters(viewer))) == {ledger.own, ledger.others, ledger.unowned}
    assert Meter.objects.filter(visible_meters(finance)).count() == 4
