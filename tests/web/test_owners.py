"""The owners pages: rules with a dry run, things with their owner, one thing's history, tags and splits."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import CostSplit, Meter, Ownership, OwnershipRule, Statement
from billing.ownership import assign_owners
from billing.ownership_changes import RuleDraft, add_rule
from billing.ownership_splits import set_split
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, Team, User
from dashboard.mirror.models import ResourceKind
from tests.cost_factories import make_interval, make_meter
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
DAY = timedelta(days=1)
DOLLAR = 10**9


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def read(client: Client, url: str, **headers: str) -> str:
    response = client.get(url, headers=headers)
    assert response.status_code == 200
    return words(response.content.decode())


def metered(desk: Desk, name: str, *, hours: int = 10, **fields: Any) -> Meter:
    """Return the meter of an endpoint that ran so many hours at $1."""
    endpoint = desk.endpoint(name)
    meter = make_meter(deployment=endpoint.deployments.get(), **fields)
    make_interval(meter, start=NOW - DAY, end=NOW - DAY + timedelta(hours=hours), nano_usd_per_hour=DOLLAR)
    return meter


@pytest.fixture
def actor(finance: User) -> Actor:
    return Actor.for_person(finance)


@pytest.fixture
def owned(desk: Desk) -> Desk:
    for name in ("prod-chat", "prod-embed", "lab"):
        metered(desk, name)
    assign_owners(now=NOW - DAY)
    return desk


def rule_form(team: Team, /, **fields: Any) -> dict[str, Any]:
    return {"name": "Prod", "name_pattern": "prod-*", "team": team.pk, "step": "preview"} | fields


# --- The list -------------------------------------------------------------------------------------------------------


def test_the_list_says_what_each_source_owns_and_what_that_cost(
    owned: Desk, finance_client: Client, other_team: Team, actor: Actor
):
    add_rule(
        RuleDraft("Prod", name_pattern="prod-*", team=other_team, tags={"env": "prod"}), actor=actor, now=NOW
    )

    html = read(finance_client, "/costs/owners/")

    assert "1 Prod name like prod-* Legal env=prod 2 20.00" in html
    assert "Its project’s team where no rule gives it to a team 1 10.00" in html
    assert "lab" not in read(finance_client, f"/costs/owners/?rule={OwnershipRule.objects.get().pk}")


@pytest.mark.parametrize(
    ("query", "found"),
    [("?q=embed", True), ("?q=chat", False), ("?q=legal", False), ("?source=manual", False)],
)
def test_things_are_searched(owned: Desk, finance_client: Client, query: str, found: bool):
    html = read(finance_client, f"/costs/owners/{query}")

    assert ("prod-embed" in html) is found
    assert ("Nothing matches" in html) is (query not in ("?q=embed", "?q=chat"))


@pytest.mark.parametrize("who", ["viewer_client", "operator_client"])
def test_rules_are_for_finance_and_admins(owned: Desk, who: str, request: pytest.FixtureRequest):
    client: Client = request.getfixturevalue(who)

    assert client.get("/costs/owners/").status_code == 403


def test_queries_of_the_list_do_not_grow(owned: Desk, finance_client: Client, other_team: Team, actor: Actor):
    def count() -> int:
        finance_client.get("/costs/owners/")
        with CaptureQueriesContext(connection) as captured:
            assert finance_client.get("/costs/owners/").status_code == 200
        return len(captured)

    first = count()
    for number in range(20):
        metered(owned, f"more-{number}")
        add_rule(
            RuleDraft(f"rule {number}", name_pattern=f"x{number}", team=other_team), actor=actor, now=NOW
        )

    # One more: rules look for the people who decided, which projects never do.
    assert count() <= first + 1


# --- Rules ----------------------------------------------------------------------------------------------------------


def test_a_preview_says_what_would_change_hands_and_saves_nothing(
    owned: Desk, finance_client: Client, team: Team, other_team: Team
):
    response = finance_client.post("/costs/owners/rules/add/", rule_form(other_team))

    html = words(response.content.decode())
    assert "2 endpoints, $20.00 of the last 30 days, would move from Search to Legal" in html
    assert "prod-chat Endpoint Search" in html or "Endpoint" in html
    assert not OwnershipRule.objects.exists()
    assert set(Ownership.objects.values_list("team", flat=True)) == {team.pk}


def test_saving_a_rule_moves_what_it_matches(owned: Desk, finance_client: Client, other_team: Team):
    response = finance_client.post(
        "/costs/owners/rules/add/", rule_form(other_team, step="save", tags="env = prod")
    )

    assert response.status_code == 302
    moved = Ownership.objects.filter(valid_until=None, team=other_team)
    assert moved.count() == 2
    assert {str(row.tags) for row in moved} == {"{'env': 'prod'}"}
    assert AuditEvent.objects.filter(action="ownership.rule_added").count() == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "This field is required"),
        ({"team": ""}, "as it is the rule does nothing"),
        ({"team": "", "tags": "a=b", "cost_centre": "1"}, "A cost centre needs a team"),
        ({"tags": "just words"}, "Line 1: write key=value."),
        ({"tags": "a=b\n\na=c"}, "Line 3: a stands there twice."),
        ({"kind": "no such kind"}, "Select a valid choice"),
        ({"project": "no such project"}, "Select a valid choice"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_at_its_field(
    owned: Desk, finance_client: Client, other_team: Team, fields: dict[str, str], message: str
):
    response = finance_client.post("/costs/owners/rules/add/", rule_form(other_team, step="save", **fields))

    assert response.status_code == 422
    assert message in words(response.content.decode())
    assert not OwnershipRule.objects.exists()


def test_rules_are_changed_moved_and_retired(
    owned: Desk, finance_client: Client, team: Team, other_team: Team, actor: Actor
):
    first = add_rule(RuleDraft("all", team=team), actor=actor, now=NOW - DAY)
    second = add_rule(RuleDraft("prod", name_pattern="prod-*", team=other_team), actor=actor, now=NOW - DAY)

    finance_client.post(f"/costs/owners/rules/{second.pk}/move/", {"direction": "up"})
    assert Ownership.objects.filter(valid_until=None, team=other_team).count() == 2

    changed = rule_form(other_team, name="chat", name_pattern="*chat", step="save")
    finance_client.post(f"/costs/owners/rules/{second.pk}/", changed)
    assert Ownership.objects.filter(valid_until=None, team=other_team).count() == 1

    shown = read(finance_client, f"/costs/owners/rules/{second.pk}/retire/")
    assert "1 endpoint, $10.00 of the last 30 days, would move from Legal to Search" in shown
    finance_client.post(f"/costs/owners/rules/{second.pk}/retire/")
    assert not Ownership.objects.filter(valid_until=None, team=other_team).exists()
    assert OwnershipRule.objects.get(retired_at=None) == first
    assert finance_client.get(f"/costs/owners/rules/{second.pk}/").status_code == 404


# --- One thing ------------------------------------------------------------------------------------------------------


def assign_form(team: Team | None, /, **fields: Any) -> dict[str, Any]:
    return {"team": team.pk if team else "", "owner": "Ada", "since": "now"} | fields


def test_an_assignment_by_hand_shows_in_the_history(owned: Desk, finance_client: Client, other_team: Team):
    meter = Meter.objects.get(endpoint__display_name="lab")

    response = finance_client.post(
        f"/costs/owners/{meter.pk}/assign/",
        assign_form(other_team, cost_centre="4711", tags="app=chat", since="date", since_date="2026-11-02"),
    )

    assert response.status_code == 302
    html = read(finance_client, f"/costs/owners/{meter.pk}/")
    assert "Legal by hand, Fina Finance" in html
    assert "4711 app=chat" in html
    row = Ownership.objects.get(meter=meter, valid_until=None)
    assert row.valid_from is not None
    assert row.valid_from.isoformat() == "2026-11-02T00:00:00+00:00"


def test_a_closed_month_is_refused_with_the_day_that_is_open(
    owned: Desk, finance_client: Client, team: Team, other_team: Team
):
    meter = Meter.objects.get(endpoint__display_name="lab")
    Statement.objects.create(
        month="2026-10-01", zone="UTC", team_key="", team_name="", body={}, sha256="0" * 64, posted_until=NOW
    )

    form = assign_form(other_team, since="date", since_date="2026-10-20")
    response = finance_client.post(f"/costs/owners/{meter.pk}/assign/", form)

    assert response.status_code == 422
    assert "Assign it from 1 November 2026 on, or later." in words(response.content.decode())
    assert Ownership.objects.get(meter=meter).team == team


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"since": "date"}, "Choose the day."),
        ({"since": "date", "since_date": "2030-01-01"}, "lies in the future"),
        ({"since": "whenever"}, "Select a valid choice"),
        ({"team": "999999"}, "Select a valid choice"),
        ({"team": "", "cost_centre": "1"}, "A cost centre needs a team"),
        ({"tags": "=x"}, "Line 1: write key=value."),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(
    owned: Desk, finance_client: Client, other_team: Team, fields: dict[str, str], message: str
):
    meter = Meter.objects.get(endpoint__display_name="lab")
    before = list(Ownership.objects.values())

    response = finance_client.post(f"/costs/owners/{meter.pk}/assign/", assign_form(other_team, **fields))

    assert response.status_code == 422
    assert message in words(response.content.decode())
    assert list(Ownership.objects.values()) == before


@pytest.mark.parametrize(
    ("who", "page", "assign", "tag"),
    [
        ("viewer_client", 200, 403, 403),
        ("operator_client", 200, 403, 302),
        ("other_operator_client", 404, 403, 404),
        ("finance_client", 200, 302, 302),
    ],
)
def test_who_may_see_assign_and_tag(
    owned: Desk,
    team: Team,
    who: str,
    page: int,
    assign: int,
    tag: int,
    request: pytest.FixtureRequest,
):
    client: Client = request.getfixturevalue(who)
    meter = Meter.objects.get(endpoint__display_name="lab")
    url = f"/costs/owners/{meter.pk}/"

    assert client.get(url).status_code == page
    assert client.post(f"{url}tags/", {"tags": "env=lab"}).status_code == tag
    assert (Ownership.objects.get(meter=meter, valid_until=None).tags == {"env": "lab"}) is (tag == 302)
    assert client.post(f"{url}assign/", assign_form(team)).status_code == assign


def test_an_operator_does_not_tag_what_another_team_owns(
    owned: Desk, operator_client: Client, finance_client: Client, other_team: Team
):
    meter = Meter.objects.get(endpoint__display_name="lab")
    finance_client.post(f"/costs/owners/{meter.pk}/assign/", assign_form(other_team))

    response = operator_client.post(f"/costs/owners/{meter.pk}/tags/", {"tags": "env=mine"})

    assert response.status_code == 403
    assert Ownership.objects.get(meter=meter, valid_until=None).tags == {}


def test_a_split_is_set_and_ended(owned: Desk, finance_client: Client, team: Team, other_team: Team):
    meter = Meter.objects.get(endpoint__display_name="lab")
    url = f"/costs/owners/{meter.pk}/split/"
    shares = {f"share_{team.pk}": "33.34", f"share_{other_team.pk}": "66.66"}

    assert finance_client.post(url, {"method": "fixed"} | shares).status_code == 302
    html = read(finance_client, f"/costs/owners/{meter.pk}/")
    assert "Legal 66.66 %" in html
    assert finance_client.post(f"{url}end/").status_code == 302
    assert not CostSplit.objects.filter(valid_until=None).exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("50", "40"), "The shares sum to 90.00 %; they must make 100.00 %."),
        (("100", ""), "A split needs two teams or more."),
        (("50.001", "49.999"), "no more than 2 decimal places"),
        (("-1", "101"), "greater than or equal to 0.01"),
        (("", ""), "The shares sum to 0.00 %"),
    ],
)
def test_shares_that_make_no_whole_are_refused(
    owned: Desk, finance_client: Client, team: Team, other_team: Team, parts: tuple[str, str], message: str
):
    meter = Meter.objects.get(endpoint__display_name="lab")
    form = {"method": "fixed", f"share_{team.pk}": parts[0], f"share_{other_team.pk}": parts[1]}

    response = finance_client.post(f"/costs/owners/{meter.pk}/split/", form)

    assert response.status_code == 422
    assert message in words(response.content.decode())
    assert not CostSplit.objects.exists()


def test_a_split_by_usage_needs_two_teams(owned: Desk, finance_client: Client, team: Team, other_team: Team):
    meter = Meter.objects.get(endpoint__display_name="lab")
    url = f"/costs/owners/{meter.pk}/split/"

    refused = finance_client.post(url, {"method": "usage", "teams": [team.pk]})
    finance_client.post(url, {"method": "usage", "teams": [team.pk, other_team.pk]})

    assert refused.status_code == 422
    assert "A split needs two teams or more." in words(refused.content.decode())
    assert CostSplit.objects.get().method == "usage"


# --- Pages of what is owned -------------------------------------------------------------------------------------------


def test_the_endpoint_names_who_owns_its_cost(
    owned: Desk, viewer_client: Client, other_team: Team, actor: Actor
):
    meter = Meter.objects.get(endpoint__display_name="prod-chat")
    before = read(viewer_client, f"/endpoints/{meter.endpoint_id}/")
    add_rule(RuleDraft("Prod", name_pattern="prod-*", team=other_team), actor=actor, now=NOW)

    after = read(viewer_client, f"/endpoints/{meter.endpoint_id}/")

    assert "Cost owned by Search (its project’s team)" in before
    assert "Cost owned by Legal (rule “Prod”)" in after


def test_a_resource_names_who_owns_its_cost(desk: Desk, viewer_client: Client):
    cluster = desk.resource(ResourceKind.CLUSTER, "train")
    assert "Cost owned by" not in read(viewer_client, f"/clusters/{cluster.pk}/")
    make_meter(resource=cluster)
    assign_owners(now=NOW)

    assert "Cost owned by Search (its project’s team)" in read(viewer_client, f"/clusters/{cluster.pk}/")


def test_a_team_that_bears_a_share_is_not_deleted(
    owned: Desk, admin_client: Client, team: Team, other_team: Team, actor: Actor
):
    meter = Meter.objects.get(endpoint__display_name="lab")
    shares = dict.fromkeys((team, other_team))
    set_split(meter, method=CostSplit.Method.USAGE, shares=shares, actor=actor, now=NOW)

    response = admin_client.post(f"/settings/teams/{other_team.pk}/delete/", follow=True)

    assert "Legal is not deleted: it bears a share of a cost" in words(response.content.decode())
    assert Team.objects.filter(pk=other_team.pk).exists()
    assert not AuditEvent.objects.filter(action="team.deleted").exists()
