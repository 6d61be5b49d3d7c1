"""The unowned-spend inbox: what costs and has no team, who sees it, claiming it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import Meter, Ownership
from billing.ownership import assign_owners
from billing.ownership_inbox import count_unowned
from dashboard.accounts.models import AuditEvent, Team, User
from dashboard.mirror.models import Project
from tests import factories
from tests.cost_factories import make_interval, make_meter, make_ownership
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
DAY = timedelta(days=1)
DOLLAR = 10**9


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def read(client: Client, url: str = "/costs/unowned/") -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


@pytest.fixture
def nobodys(desk: Desk) -> Project:
    """Return a project without a team."""
    return factories.make_project(connection=desk.connection, name="lonely")


def lonely(project: Project | None, name: str, *, days_ago: int = 1, hours: int = 10, **fields: Any) -> Meter:
    """Return a thing that nobody owns and that ran so many hours at $1."""
    if project is not None:
        fields |= {"project": project, "sub_account_name": project.name}
    meter = make_meter(name=name, **fields)
    start = NOW - days_ago * DAY
    make_interval(meter, start=start, end=start + timedelta(hours=hours), nano_usd_per_hour=DOLLAR)
    return meter


def running(project: Project, name: str, **fields: Any) -> Meter:
    """Return the meter of an endpoint that burns $2/h now."""
    endpoint = factories.make_endpoint(project=project, display_name=name)
    deployment = factories.make_deployment(
        endpoint=endpoint, billable_low=1, billable_high=1, nano_usd_per_hour=2 * DOLLAR
    )
    meter = make_meter(deployment=deployment, name=name, creator="mia", **fields)
    make_interval(meter, start=NOW - timedelta(hours=5), end=None, nano_usd_per_hour=2 * DOLLAR)
    return meter


def test_the_dearest_comes_first_with_its_price_per_day(nobodys: Project, finance_client: Client):
    lonely(nobodys, "past", days_ago=3, hours=20)
    lonely(nobodys, "older", days_ago=20, hours=24)
    running(nobodys, "burning")
    assign_owners(now=NOW)

    html = read(finance_client)

    assert html.index("burning") < html.index("past") < html.index("older")
    assert re.search(r"burning Endpoint.*? mia .*?lonely.*? 48\.00 a day 10\.00 10\.00", html)
    assert re.search(r"past .*? 0\.00 a day 20\.00 20\.00", html)
    assert "Last 7 days $30.00" in html
    assert "Last 30 days $54.00" in html


def test_what_cost_nothing_lately_or_has_an_owner_is_not_there(
    nobodys: Project, finance_client: Client, team: Team
):
    lonely(nobodys, "long-gone", days_ago=40)
    make_interval(
        make_meter(name="free"), start=NOW - DAY, end=None, condition="free", nano_usd_per_hour=None
    )
    make_ownership(lonely(nobodys, "owned"), team=team)

    assert "Everything has an owner" in read(finance_client)


def test_an_unknown_price_waits_in_the_inbox_too(nobodys: Project, finance_client: Client):
    meter = make_meter(name="unpriced", project=nobodys)
    make_interval(meter, start=NOW - DAY, end=NOW - DAY / 2, nano_usd_per_hour=None)

    html = read(finance_client)

    assert "unpriced" in html
    assert "price unknown" in html


def test_people_see_what_nobody_owns_in_projects_they_see(
    nobodys: Project, operator: User, finance: User, operator_client: Client, other_team: Team
):
    lonely(nobodys, "seen")
    lonely(None, "without-project")
    hidden = lonely(factories.make_project(team=other_team), "hidden")
    make_ownership(hidden)

    html = read(operator_client)

    assert "seen" in html
    assert "without-project" in html
    assert "hidden" not in html
    assert (count_unowned(operator, now=NOW), count_unowned(finance, now=NOW)) == (2, 3)


def test_one_click_claims_for_the_own_team(
    nobodys: Project, operator_client: Client, operator: User, team: Team
):
    meter = lonely(nobodys, "mine")
    other = lonely(nobodys, "other")
    assign_owners(now=NOW)

    response = operator_client.post("/costs/unowned/claim/", {"team": team.pk, "only": meter.pk})

    assert response.status_code == 302
    row = Ownership.objects.get(meter=meter)
    assert (row.team, row.source, row.valid_from) == (team, "manual", None)
    assert Ownership.objects.get(meter=other).team is None
    told = AuditEvent.objects.get(action="ownership.assigned", target_label="mine")
    assert told.actor == operator


def test_the_selected_ones_are_claimed_together(nobodys: Project, finance_client: Client, other_team: Team):
    meters = [lonely(nobodys, f"one-{number}") for number in range(3)]

    finance_client.post(
        "/costs/unowned/claim/", {"team": other_team.pk, "meter": [meter.pk for meter in meters[:2]]}
    )

    assert set(Ownership.objects.values_list("meter", "team")) == {
        (one.pk, other_team.pk) for one in meters[:2]
    }
    assert "2 things belong to Legal now" in read(finance_client)


@pytest.mark.parametrize("case", ["foreign team", "hidden", "owned meanwhile", "nothing", "nonsense"])
def test_what_may_not_be_claimed_stays(
    case: str, nobodys: Project, operator_client: Client, team: Team, other_team: Team
):
    seen = lonely(nobodys, "seen")
    hidden = lonely(factories.make_project(team=other_team), "hidden")
    owned = lonely(nobodys, "owned")
    make_ownership(owned, team=other_team)
    form: dict[str, object] = {
        "foreign team": {"team": other_team.pk, "only": seen.pk},
        "hidden": {"team": team.pk, "only": hidden.pk},
        "owned meanwhile": {"team": team.pk, "meter": [owned.pk]},
        "nothing": {"team": team.pk},
        "nonsense": {"team": "x", "only": "y"},
    }[case]

    response = operator_client.post("/costs/unowned/claim/", form)

    assert response.status_code == 302
    assert list(Ownership.objects.values_list("meter", "team")) == [(owned.pk, other_team.pk)]


def test_viewers_look_and_do_not_claim(nobodys: Project, viewer_client: Client, team: Team):
    meter = lonely(nobodys, "seen")

    html = read(viewer_client)
    response = viewer_client.post("/costs/unowned/claim/", {"team": team.pk, "only": meter.pk})

    assert "seen" in html
    assert "Claim" not in html
    assert response.status_code == 403
    assert not Ownership.objects.exists()


def test_a_stop_is_offered_to_whom_may_stop(nobodys: Project, admin_client: Client, operator_client: Client):
    meter = running(nobodys, "burning")
    link = f"/endpoints/{meter.endpoint_id}/stop/?deployment={meter.deployment_id}"

    assert link in admin_client.get("/costs/unowned/").content.decode()
    assert link not in operator_client.get("/costs/unowned/").content.decode()


@pytest.mark.parametrize("who", ["operator_client", "finance_client"])
def test_queries_do_not_grow_with_the_inbox(nobodys: Project, who: str, request: pytest.FixtureRequest):
    client: Client = request.getfixturevalue(who)

    def count() -> int:
        client.get("/costs/unowned/")
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/costs/unowned/").status_code == 200
        return len(captured)

    running(nobodys, "first")
    first = count()
    for number in range(15):
        running(nobodys, f"more-{number}")
        lonely(nobodys, f"past-{number}")

    assert count() == first
