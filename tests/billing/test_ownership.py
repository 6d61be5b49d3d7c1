"""Ownership in the database: history without overlap, assignments by hand, teams that go."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import ProtectedError

from billing.models import CostShare, CostSplit, Meter, Ownership, Statement
from billing.ownership import OwnershipRefusedError, assign_by_hand, assign_owners, claim, retag
from billing.ownership_changes import RuleDraft, RuleGoneError, add_rule, change_rule, move_rule, retire_rule
from billing.ownership_splits import SplitRefusedError, end_split, set_split
from dashboard.accounts import teams
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, Team, User
from dashboard.mirror import ownership as project_ownership
from tests import factories
from tests.cost_factories import make_meter, make_ownership
from tests.factories import NOW

pytestmark = pytest.mark.django_db
LATER, MUCH_LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)


@pytest.fixture
def actor(finance: User) -> Actor:
    return Actor.for_person(finance)


@pytest.fixture
def meter(team: Team) -> Meter:
    """Return what a project of the team runs."""
    endpoint = factories.make_endpoint(project=factories.make_project(team=team, name="search"))
    return make_meter(deployment=factories.make_deployment(endpoint=endpoint))


def give(meter: Meter, team: Team | None, *, actor: Actor, **fields: Any) -> Ownership:
    defaults: dict[str, Any] = {
        "owner": "",
        "cost_centre": "",
        "tags": {},
        "valid_from": NOW,
        "now": NOW,
    }
    return assign_by_hand(meter, team=team, actor=actor, **(defaults | fields))


def history(meter: Meter) -> list[tuple[str, str, datetime | None, datetime | None]]:
    rows = Ownership.objects.filter(meter=meter)
    told = [(row.team_name, row.source, row.valid_from, row.valid_until) for row in rows]
    return sorted(told, key=lambda row: row[2] or datetime.min.replace(tzinfo=UTC))


def close_month(month: date, *, zone: str = "UTC") -> None:
    Statement.objects.create(
        month=month, zone=zone, team_key="", team_name="", body={}, sha256="0" * 64, posted_until=NOW
    )


# --- Following rules, projects and teams ----------------------------------------------------------------------------


def test_the_first_ownership_reaches_back_for_ever(meter: Meter, team: Team):
    assert assign_owners(now=NOW) == 1

    assert history(meter) == [(team.name, "project", None, None)]


def test_what_nobody_owns_has_a_row_too():
    meter = make_meter()

    assign_owners(now=NOW)

    assert history(meter) == [("", "nobody", None, None)]


def test_a_second_pass_changes_nothing_and_says_nothing(meter: Meter):
    assign_owners(now=NOW)
    before = list(Ownership.objects.values())
    told = AuditEvent.objects.count()

    assert assign_owners(now=LATER) == 0

    assert list(Ownership.objects.values()) == before
    assert AuditEvent.objects.count() == told


def test_a_project_that_goes_to_another_team_takes_its_things_along(
    meter: Meter, team: Team, other_team: Team, actor: Actor
):
    assign_owners(now=NOW)
    assert meter.project is not None
    project_ownership.assign_team(meter.project, other_team, actor=actor)

    assert assign_owners(now=LATER) == 1

    assert history(meter) == [
        (team.name, "project", None, LATER),
        (other_team.name, "project", LATER, None),
    ]


def test_a_team_that_is_deleted_leaves_its_name_in_history_and_nobody_from_then_on(
    meter: Meter, team: Team, actor: Actor
):
    name = team.name
    assign_owners(now=NOW)
    teams.delete_team(team, actor=actor)

    assign_owners(now=LATER)
    again = assign_owners(now=MUCH_LATER)

    assert history(meter) == [(name, "project", None, LATER), ("", "nobody", LATER, None)]
    assert again == 0


def test_what_a_deleted_team_was_given_does_not_slip_to_another_one(
    meter: Meter, other_team: Team, actor: Actor
):
    name = other_team.name
    give(meter, other_team, actor=actor, valid_from=None)
    teams.delete_team(other_team, actor=actor)

    assign_owners(now=LATER)
    again = assign_owners(now=MUCH_LATER)

    assert history(meter) == [(name, "manual", None, LATER), ("", "manual", LATER, None)]
    assert again == 0


def test_a_rule_of_a_deleted_team_gives_nothing_to_the_next(meter: Meter, other_team: Team, actor: Actor):
    add_rule(RuleDraft("all", team=other_team), actor=actor, now=NOW)
    add_rule(RuleDraft("rest", team=factories.make_team("Third")), actor=actor, now=NOW)
    teams.delete_team(other_team, actor=actor)

    assign_owners(now=LATER)

    row = Ownership.objects.get(meter=meter, valid_until=None)
    assert (row.team_id, row.source) == (None, "nobody")
    assert row.rule is not None
    assert row.rule.name == "all"


def test_a_team_that_is_renamed_is_followed_without_a_change_of_hands(meter: Meter, team: Team, actor: Actor):
    assign_owners(now=NOW)
    teams.change_team(team, name="Finders", people=[], actor=actor)

    assert assign_owners(now=LATER) == 0

    assert history(meter) == [("Finders", "project", None, None)]


def test_two_changes_at_one_moment_leave_one_row(meter: Meter, team: Team, other_team: Team, actor: Actor):
    assign_owners(now=NOW)
    first = add_rule(RuleDraft("a", team=other_team), actor=actor, now=LATER)
    retire_rule(first.pk, actor=actor, now=LATER)

    assert history(meter) == [(team.name, "project", None, LATER), (team.name, "project", LATER, None)]


def test_a_thing_whose_ownership_ended_goes_on_from_there(meter: Meter, team: Team, other_team: Team):
    make_ownership(meter, team=other_team, valid_until=NOW)

    assign_owners(now=LATER)

    assert history(meter) == [(other_team.name, "manual", None, NOW), (team.name, "project", NOW, None)]


# --- Rules ----------------------------------------------------------------------------------------------------------


def test_a_rule_takes_effect_at_once_and_ends_with_its_retirement(
    meter: Meter, team: Team, other_team: Team, actor: Actor
):
    assign_owners(now=NOW)
    draft = RuleDraft("dear", kind="deployment", team=other_team, cost_centre="4711", tags={"env": "prod"})
    rule = add_rule(draft, actor=actor, now=LATER)
    held = Ownership.objects.get(meter=meter, valid_until=None)
    retire_rule(rule.pk, actor=actor, now=MUCH_LATER)

    assert (held.cost_centre, held.tags, held.rule_id) == ("4711", {"env": "prod"}, rule.pk)
    assert history(meter) == [
        (team.name, "project", None, LATER),
        (other_team.name, "rule", LATER, MUCH_LATER),
        (team.name, "project", MUCH_LATER, None),
    ]
    told = AuditEvent.objects.filter(action__startswith="ownership.rule")
    assert {event.action for event in told} == {"ownership.rule_added", "ownership.rule_retired"}
    assert {event.detail["team"] for event in told} == {other_team.name}


def test_the_order_decides(meter: Meter, team: Team, other_team: Team, actor: Actor):
    add_rule(RuleDraft("first", team=team), actor=actor, now=NOW)
    second = add_rule(RuleDraft("second", team=other_team), actor=actor, now=NOW)

    assert move_rule(second.pk, by=-1, actor=actor, now=LATER)
    assert not move_rule(second.pk, by=-1, actor=actor, now=LATER)

    assert Ownership.objects.get(meter=meter, valid_until=None).team == other_team


def test_a_retired_rule_cannot_be_changed(team: Team, actor: Actor):
    rule = add_rule(RuleDraft("old", team=team), actor=actor, now=NOW)
    retire_rule(rule.pk, actor=actor, now=NOW)

    for act in (
        lambda: change_rule(rule.pk, RuleDraft("new", team=team), actor=actor, now=LATER),
        lambda: retire_rule(rule.pk, actor=actor, now=LATER),
        lambda: move_rule(rule.pk, by=1, actor=actor, now=LATER),
    ):
        with pytest.raises(RuleGoneError):
            act()


def test_a_rule_about_a_project_does_not_widen_when_the_project_is_gone(
    meter: Meter, other_team: Team, actor: Actor
):
    project = factories.make_project(name="gone")
    mine = make_meter(project=project, sub_account_id=project.remote_id)
    draft = RuleDraft("of the project", project_id=project.remote_id, team=other_team)
    rule = add_rule(draft, actor=actor, now=NOW)
    project.delete()

    assign_owners(now=LATER)
    rule.refresh_from_db()

    assert (rule.project, rule.project_name) == (None, "gone")
    assert Ownership.objects.get(meter=mine, valid_until=None).team == other_team
    assert Ownership.objects.get(meter=meter, valid_until=None).team != other_team


# --- By hand --------------------------------------------------------------------------------------------------------


def test_an_assignment_by_hand_reaches_back_and_history_before_it_stays(
    meter: Meter, team: Team, other_team: Team, actor: Actor
):
    assign_owners(now=NOW - timedelta(days=9))
    since = NOW - timedelta(days=3)

    give(meter, other_team, actor=actor, valid_from=since, owner="Ada", cost_centre="4711", tags={"a": "b"})

    assert history(meter) == [(team.name, "project", None, since), (other_team.name, "manual", since, None)]
    told = AuditEvent.objects.get(action="ownership.assigned", target_label=meter.name)
    assert told.detail["before"][0]["team"] == team.name
    assert assign_owners(now=LATER) == 0


def test_a_later_assignment_that_reaches_further_back_replaces_what_came_between(
    meter: Meter, team: Team, other_team: Team, actor: Actor
):
    give(meter, other_team, actor=actor, valid_from=NOW - timedelta(days=2))
    give(meter, team, actor=actor, valid_from=None)

    assert history(meter) == [(team.name, "manual", None, None)]


def test_the_future_is_refused(meter: Meter, team: Team, actor: Actor):
    with pytest.raises(OwnershipRefusedError, match="lies in the future"):
        give(meter, team, actor=actor, valid_from=LATER)

    assert not Ownership.objects.exists()


@pytest.mark.parametrize(
    ("valid_from", "metered_from", "is_refused"),
    [
        (None, datetime(2026, 9, 1, tzinfo=UTC), True),
        (None, datetime(2026, 11, 3, tzinfo=UTC), False),
        (datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC), True),
        (datetime(2026, 10, 31, 14, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC), False),
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC), False),
    ],
)
def test_closed_months_do_not_change(
    meter: Meter,
    team: Team,
    actor: Actor,
    valid_from: datetime | None,
    metered_from: datetime,
    is_refused: bool,
):
    close_month(date(2026, 9, 1))
    # In Auckland November begins on 31 October at 11:00 UTC.
    close_month(date(2026, 10, 1), zone="Pacific/Auckland")
    meter.metered_from = metered_from

    if is_refused:
        with pytest.raises(OwnershipRefusedError, match="before 1 November 2026 are closed"):
            give(meter, team, actor=actor, valid_from=valid_from)
    else:
        give(meter, team, actor=actor, valid_from=valid_from)

    assert Ownership.objects.exists() is not is_refused


def test_without_a_team_the_rules_decide_again_and_tags_stay(
    meter: Meter, team: Team, other_team: Team, actor: Actor
):
    give(meter, other_team, actor=actor, valid_from=None, tags={"env": "prod"})

    give(meter, None, actor=actor, valid_from=LATER, now=LATER, tags={"env": "prod"}, cost_centre="lost")

    row = Ownership.objects.get(meter=meter, valid_until=None)
    assert (row.team, row.source, row.tags, row.cost_centre) == (team, "project", {"env": "prod"}, "")
    assert assign_owners(now=MUCH_LATER) == 0


def test_tags_by_hand_outlive_a_change_of_rules(meter: Meter, other_team: Team, actor: Actor):
    assign_owners(now=NOW)
    retag(meter, tags={"env": "prod"}, actor=actor, now=NOW)
    rule = add_rule(RuleDraft("r", team=other_team, tags={"env": "dev", "app": "x"}), actor=actor, now=LATER)
    during = Ownership.objects.get(meter=meter, valid_until=None)
    retire_rule(rule.pk, actor=actor, now=MUCH_LATER)
    after = Ownership.objects.get(meter=meter, valid_until=None)

    assert (during.team, during.tags) == (other_team, {"env": "prod", "app": "x"})
    assert after.tags == {"env": "prod"}


# --- Claims ---------------------------------------------------------------------------------------------------------


def test_a_claim_reaches_back_to_where_nobody_began_to_own_it(team: Team, other_team: Team, actor: Actor):
    meter = make_meter()
    make_ownership(meter, team=other_team, valid_until=NOW)
    make_ownership(meter, valid_from=NOW)

    given = claim([meter], team=team, actor=actor)

    assert [row.team for row in given] == [team]
    assert history(meter) == [(other_team.name, "manual", None, NOW), (team.name, "manual", NOW, None)]


def test_a_claim_stops_at_closed_months(team: Team, actor: Actor):
    meter = make_meter(metered_from=datetime(2026, 8, 1, tzinfo=UTC))
    assign_owners(now=NOW)
    close_month(date(2026, 10, 1))

    claim([meter], team=team, actor=actor)

    november = datetime(2026, 11, 1, tzinfo=UTC)
    assert history(meter) == [("", "nobody", None, november), (team.name, "manual", november, None)]


def test_what_has_an_owner_meanwhile_is_not_claimed(meter: Meter, team: Team, other_team: Team, actor: Actor):
    assign_owners(now=NOW)

    assert claim([meter], team=other_team, actor=actor) == []

    assert history(meter) == [(team.name, "project", None, None)]


def test_a_team_with_a_share_in_a_cost_stays(meter: Meter, team: Team, other_team: Team, actor: Actor):
    set_split(
        meter,
        method=CostSplit.Method.FIXED,
        shares={team: Decimal(40), other_team: Decimal(60)},
        actor=actor,
        now=NOW,
    )

    with pytest.raises(ProtectedError):
        teams.delete_team(team, actor=actor)


# --- Splits ---------------------------------------------------------------------------------------------------------


def test_a_new_split_ends_the_one_before(meter: Meter, team: Team, other_team: Team, actor: Actor):
    fixed, usage = CostSplit.Method.FIXED, CostSplit.Method.USAGE
    shares = {team: Decimal("33.34"), other_team: Decimal("66.66")}
    set_split(meter, method=fixed, shares=shares, actor=actor, now=NOW)
    set_split(meter, method=usage, shares=dict.fromkeys(shares), actor=actor, now=LATER)
    assert end_split(meter, actor=actor, now=MUCH_LATER)
    assert not end_split(meter, actor=actor, now=MUCH_LATER)

    rows = CostSplit.objects.order_by("valid_from").values_list("method", "valid_from", "valid_until")
    assert list(rows) == [("fixed", NOW, LATER), ("usage", LATER, MUCH_LATER)]
    parts = CostShare.objects.filter(split__method="fixed").values_list("percent", flat=True)
    assert sum(part or 0 for part in parts) == 100
    assert set(CostShare.objects.filter(split__method="usage").values_list("percent", flat=True)) == {None}
    assert AuditEvent.objects.filter(action="cost.split_changed", target_label=meter.name).count() == 3


@pytest.mark.parametrize(
    ("percents", "message"),
    [
        (["50", "49.99"], "sum to 99.99 %"),
        (["100", "0"], "above 0 %"),
        (["150", "-50"], "above 0 %"),
        (["100"], "two teams"),
    ],
)
def test_shares_that_make_no_split_are_refused(
    meter: Meter, team: Team, other_team: Team, actor: Actor, percents: list[str], message: str
):
    shares: dict[Team, Decimal | None] = {
        one: Decimal(part) for one, part in zip((team, other_team), percents, strict=False)
    }

    with pytest.raises(SplitRefusedError, match=message):
        set_split(meter, method=CostSplit.Method.FIXED, shares=shares, actor=actor, now=NOW)

    assert not CostSplit.objects.exists()
