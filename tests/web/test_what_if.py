"""What was spent and what the month will cost on the overview; the what-if of an endpoint."""

from datetime import timedelta

import pytest
from django.test import Client

from billing.models import BillingRules, Condition, LedgerEntry, MeteredInterval
from dashboard.accounts.models import Team
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Endpoint
from tests import cost_factories
from tests.factories import H100_NANO_USD_PER_HOUR as H100
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
HOUR = timedelta(hours=1)
HTMX = {"HX-Request": "true"}


def meter(endpoint: Endpoint, *, team: Team | None, hours: int = 10, **fields: object) -> None:
    """Meter one H100 for the last hours, in intervals that end at midnight, and going on."""
    made = cost_factories.make_meter(deployment=endpoint.deployments.get())
    cost_factories.make_ownership(made, team=team)
    start, edge = NOW - hours * HOUR, NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    if start < edge:
        cost_factories.make_interval(made, start=start, end=edge, **fields)
    cost_factories.make_interval(made, start=max(start, edge), end=None, **fields)


def read(client: Client, url: str = "/", **headers: str) -> str:
    response = client.get(url, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def panel(html: str, identity: str) -> str:
    found = html[html.index(f'id="{identity}"') :]
    return " ".join(found[: found.index("</section>")].split())


# --- Overview ----------------------------------------------------------------------------------------------------


def test_before_anything_is_metered_it_says_so_and_no_number(desk: Desk, viewer_client: Client):
    desk.endpoint("triage")

    money = panel(read(viewer_client), "money")

    assert "Metering starts" in money
    assert "$" not in money


def test_spent_and_forecast_stand_beside_the_rate_that_they_tick_with(desk: Desk, finance_client: Client):
    meter(desk.endpoint("triage"), team=desk.team)

    money = panel(read(finance_client), "money")

    # NOW is noon on 20 November: ten hours today.
    assert ">$54.00<" in money
    assert f'data-accrue="{H100}" data-base="54000000000" data-since="{NOW.isoformat()}"' in money
    assert "November to date" in money
    assert "November, forecast" in money
    assert "the range is a guess" in money


def test_a_restricted_person_sees_the_own_teams_money_only(
    desk: Desk, viewer_client: Client, other_team: Team, admin_client: Client
):
    meter(desk.endpoint("ours"), team=desk.team)
    meter(desk.endpoint("theirs"), team=other_team)

    assert ">$54.00<" in panel(read(viewer_client), "money")
    assert ">$108.00<" in panel(read(admin_client), "money")


def test_an_unknown_price_is_said_and_never_zero(desk: Desk, finance_client: Client):
    endpoint = desk.endpoint("odd", nano_usd_per_hour=None)
    meter(endpoint, team=desk.team, nano_usd_per_hour=None)

    money = panel(read(finance_client), "money")

    assert "price unknown" in money
    assert money.count("price unknown") == 2  # today and the month; the hour has just begun
    assert "≥ <span" in money


def test_time_that_nobody_knows_makes_it_at_least(desk: Desk, finance_client: Client):
    endpoint = desk.endpoint("triage")
    meter(endpoint, team=desk.team)
    unknown = cost_factories.make_meter()
    cost_factories.make_interval(
        unknown, start=NOW - HOUR, end=None, units=0, condition=Condition.UNKNOWN, rate_low=0, rate_high=0
    )

    money = panel(read(finance_client), "money")

    assert "At least: of " in money
    assert "≥ <span" in money


def test_a_v1_range_ticks_at_both_ends(desk: Desk, finance_client: Client):
    endpoint = desk.endpoint("legacy", billable_low=1, billable_high=2)
    meter(endpoint, team=desk.team, units_high=2, rate_high=2 * H100)

    money = panel(read(finance_client), "money")

    assert f'data-accrue="{2 * H100}" data-base="108000000000"' in money
    assert "data-bare>108.00<" in money


def test_days_are_those_of_the_reporting_zone(desk: Desk, finance_client: Client):
    BillingRules.objects.create(pk=1, reporting_zone="Asia/Tokyo")
    meter(desk.endpoint("triage"), team=desk.team)

    money = panel(read(finance_client), "money")

    # In Tokyo it is 21:00: all ten hours are of today there as well, told as such.
    assert "since midnight, Asia/Tokyo" in money


def test_the_fragment_answers_htmx_and_sends_others_to_the_page(desk: Desk, finance_client: Client):
    meter(desk.endpoint("triage"), team=desk.team)

    html = read(finance_client, "/overview/money/", **HTMX)

    assert html.lstrip().startswith("<section")
    assert 'hx-get="/overview/money/"' in html
    assert finance_client.get("/overview/money/")["Location"] == "/"
    assert finance_client.post("/overview/money/").status_code == 405
    assert Client().get("/overview/money/").status_code == 302


# --- What if -----------------------------------------------------------------------------------------------------


def test_an_endpoint_tells_what_each_course_costs(desk: Desk, finance_client: Client):
    endpoint = desk.endpoint("triage")
    meter(endpoint, team=desk.team)

    found = panel(read(finance_client, f"/endpoints/{endpoint.pk}/"), "what-if")

    # 252 h are left from Friday noon; 66 of them in working hours (6 today, 6 whole days); $54 are spent.
    assert "To the end of November" in found
    for amount in ("1,361", "1,415", "356", "410", "1,004"):
        assert f">{amount}<" in found
    assert "252 h at the burn now" in found
    assert "66 h of it, Mon–Fri 08:00–18:00 UTC" in found
    assert "$54.00</span> metered this month so far" in found


def test_asked_hours_are_worked_out_without_arming_anything(desk: Desk, operator_client: Client):
    endpoint = desk.endpoint("triage")
    meter(endpoint, team=desk.team)
    query = "?day=5&day=6&start=22:00&end=06:00&zone=Europe/Berlin"
    before = (MeteredInterval.objects.count(), LedgerEntry.objects.count())

    found = panel(read(operator_client, f"/endpoints/{endpoint.pk}/{query}"), "what-if")

    # Two weekends of two nights of eight hours: 32 h.
    assert "32 h of it, Sat, Sun 22:00–06:00 Europe/Berlin" in found
    assert ">173<" in found
    assert 'value="Europe/Berlin"' in found
    assert StopAction.objects.count() == 0
    assert (MeteredInterval.objects.count(), LedgerEntry.objects.count()) == before


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?day=1&start=08:00&end=18:00&zone=Mars/Base", "is no time zone"),
        ("?day=1&start=08:00&end=18:00&zone=../etc", "is no time zone"),
        ("?start=08:00&end=18:00&zone=UTC", "This field is required"),
        ("?day=9&start=08:00&end=18:00&zone=UTC", "not one of the available choices"),
        ("?day=1&start=soon&end=18:00&zone=UTC", "Enter a valid time"),
    ],
)
def test_hours_that_make_no_sense_are_refused_beside_their_field(
    desk: Desk, finance_client: Client, query: str, words: str
):
    endpoint = desk.endpoint("triage")

    found = panel(read(finance_client, f"/endpoints/{endpoint.pk}/{query}"), "what-if")

    assert words in found
    assert "Only in working hours" not in found
    assert "Stops now" in found


def test_a_stopped_endpoint_tells_what_a_start_would_cost(desk: Desk, finance_client: Client):
    endpoint = desk.stopped("resting", min_replicas=2, max_replicas=4)

    found = panel(read(finance_client, f"/endpoints/{endpoint.pk}/"), "what-if")

    assert "it does not run" in found
    assert "$10.80/h" in found
    assert "Stays stopped" in found
    assert "Nothing that you may see is metered this month yet" in found


def test_a_v1_endpoint_keeps_its_range_and_an_unknown_price_its_words(desk: Desk, finance_client: Client):
    ranged = desk.endpoint("legacy", billable_low=1, billable_high=2)
    odd = desk.endpoint("odd", nano_usd_per_hour=None)

    assert "1,361–2,722" in panel(read(finance_client, f"/endpoints/{ranged.pk}/"), "what-if")
    unknown = panel(read(finance_client, f"/endpoints/{odd.pk}/"), "what-if")
    assert unknown.count("price unknown") >= 4


def test_what_the_provider_no_longer_lists_has_no_future(desk: Desk, finance_client: Client):
    endpoint = desk.stopped("gone", absent_since=NOW - HOUR)

    assert 'id="what-if"' not in read(finance_client, f"/endpoints/{endpoint.pk}/")


def test_a_stranger_sees_no_what_if(desk: Desk, other_operator_client: Client):
    endpoint = desk.endpoint("triage")

    assert other_operator_client.get(f"/endpoints/{endpoint.pk}/?zone=UTC").status_code == 404


def test_an_answer_to_htmx_is_the_live_part_with_the_asked_hours(desk: Desk, admin_client: Client):
    endpoint = desk.endpoint("triage")
    query = "?day=0&start=09:00&end=12:00&zone=UTC"

    html = read(admin_client, f"/endpoints/{endpoint.pk}/{query}", **HTMX)

    assert html.lstrip().startswith('<div class="ui-stack" id="endpoint"')
    assert "Mon 09:00–12:00 UTC" in " ".join(html.split())
    # What refreshes the page live asks for the same hours again.
    assert "day=0&amp;start=09:00" in html[: html.index("ui-head")]


def test_anonymous_people_are_sent_to_sign_in(desk: Desk):
    endpoint = desk.endpoint("triage")

    assert Client().get(f"/endpoints/{endpoint.pk}/?zone=UTC").status_code == 302


def test_the_owner_of_the_money_is_asked_not_the_project(
    desk: Desk, operator_client: Client, other_team: Team
):
    endpoint = desk.endpoint("shared")
    meter(endpoint, team=other_team)

    found = panel(read(operator_client, f"/endpoints/{endpoint.pk}/"), "what-if")

    assert "$54.00" not in found
    assert "Nothing that you may see is metered" in found
