"""The pages of budgets: what is spent of them, what their thresholds would do, who sees and changes them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing import budgets
from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget, BudgetCrossing, Meter
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, Team
from dashboard.lifecycle import budget_acts
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Endpoint
from tests import cost_factories, factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
DOLLAR = 10**9
ACTOR = Actor.for_process("test")
TELL = Threshold(50, Basis.ACTUAL, Action.NOTIFY)
DRAIN = Threshold(80, Basis.ACTUAL, Action.DRAIN_IDLE)
STOP = Threshold(100, Basis.ACTUAL, Action.STOP_ALL)


@pytest.fixture(autouse=True)
def in_process_mail(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def words(html: str) -> str:
    return re.sub(r" (?=[,.;:])", "", " ".join(re.sub(r"<[^>]+>", " ", html).split()))


def read(client: Client, url: str, **headers: str) -> str:
    response = client.get(url, headers=headers)
    assert response.status_code == 200
    return words(response.content.decode())


def spend(endpoint: Endpoint, *, hours: float = 10, dollars: int = 10, team: Team | None = None) -> Meter:
    meter = cost_factories.make_meter(deployment=endpoint.deployments.get())
    cost_factories.make_ownership(meter, team=team or endpoint.project.team)
    start = NOW - timedelta(hours=hours)
    cost_factories.make_interval(meter, start=start, end=NOW, nano_usd_per_hour=dollars * DOLLAR)
    return meter


def make_budget(
    name: str = "Search",
    *thresholds: Threshold,
    dollars: int = 200,
    team: Team | None = None,
    exempt: tuple[Meter, ...] = (),
    **fields: Any,
) -> Budget:
    scope = Budget.Scope.TEAM if team else Budget.Scope.ORGANISATION
    budget = Budget(**({"name": name, "scope": scope, "team": team, "nano_usd": dollars * DOLLAR} | fields))
    return budgets.save_budget(budget, thresholds=thresholds, exempt=exempt, actor=ACTOR)


def form(**changes: Any) -> dict[str, Any]:
    rows = {
        f"{name}_{n}": value
        for n in range(1, 7)
        for name, value in (("basis", "actual"), ("action", "notify"))
    }
    return (
        rows
        | {
            "name": "Research",
            "scope": "organisation",
            "cycle": "monthly",
            "amount": "70000",
            "percent_1": "80",
        }
        | changes
    )


# --- The list -------------------------------------------------------------------------------------------------------


def test_the_list_says_what_is_spent_and_what_comes_next(desk: Desk, finance_client: Client) -> None:
    spend(desk.idle("docs-qa"))
    make_budget("Search", DRAIN, team=desk.team)

    html = read(finance_client, "/budgets/")

    assert "$100.00 of $200, 50.0%" in html
    assert "At $160 spent: stop idle endpoints of" in html
    assert "Below its thresholds" in html


def test_held_and_crossed_ones_come_first_and_switched_off_ones_last(
    desk: Desk, finance_client: Client
) -> None:
    spend(desk.idle("docs-qa"))
    off = make_budget("A off", TELL)
    budgets.set_enabled(off, is_enabled=False, actor=ACTOR)
    make_budget("B below", TELL, dollars=1_000)
    make_budget("C crossed", TELL, dollars=150)

    html = read(finance_client, "/budgets/")

    assert html.index("C crossed") < html.index("B below") < html.index("A off")
    assert "50% crossed" in html
    assert "Switched off" in html


def test_without_a_budget_one_act_is_offered_to_who_may(
    desk: Desk, finance_client: Client, operator_client: Client
) -> None:
    assert "No budget yet" in read(finance_client, "/budgets/")
    assert "No budget for your teams" in read(operator_client, "/budgets/")


def test_the_fragment_comes_alone(desk: Desk, finance_client: Client) -> None:
    html = finance_client.get("/budgets/", headers={"HX-Request": "true"}).content.decode()

    assert '<div class="ui-stack" id="budgets"' in html
    assert "<html" not in html


def test_a_budget_more_costs_the_list_one_query(desk: Desk, finance_client: Client) -> None:
    def count() -> int:
        finance_client.get("/budgets/")  # forecasts are cached
        with CaptureQueriesContext(connection) as captured:
            finance_client.get("/budgets/")
        return len(captured)

    spend(desk.idle("docs-qa"))
    for number in range(2):
        make_budget(f"Few {number}", TELL, team=factories.make_team(f"few {number}"))
    first = count()
    for number in range(10):
        make_budget(f"More {number}", TELL, team=factories.make_team(f"more {number}"))

    assert count() == first + 10


# --- Who sees what --------------------------------------------------------------------------------------------------


def test_teams_see_their_own_and_change_none(desk: Desk, operator_client: Client) -> None:
    other = factories.make_team("research")
    own = make_budget("Ours", DRAIN, team=desk.team)
    whole = make_budget("Everything", TELL)
    theirs = make_budget("Theirs", DRAIN, team=other)
    make_budget("Tagged", TELL, scope=Budget.Scope.TAG, tag="env=prod")

    html = read(operator_client, "/budgets/")

    assert "Ours" in html
    assert "Everything" not in html
    assert "Theirs" not in html
    assert "Tagged" not in html
    assert "Add a budget" not in html
    assert "Switch off" not in read(operator_client, f"/budgets/{own.pk}/")
    assert operator_client.get(f"/budgets/{theirs.pk}/").status_code == 404
    assert operator_client.get(f"/budgets/{whole.pk}/").status_code == 404
    for path in ("change/", "off/", "prices/"):
        assert operator_client.post(f"/budgets/{own.pk}/{path}", form()).status_code == 403
    own.refresh_from_db()
    assert own.is_enabled
    assert own.name == "Ours"


# --- One budget -----------------------------------------------------------------------------------------------------


def test_a_threshold_names_what_it_would_stop_right_now(desk: Desk, finance_client: Client) -> None:
    spend(desk.idle("docs-qa"), hours=1)
    spend(desk.endpoint("busy"), hours=1)
    exempt = spend(desk.endpoint("status-page"), hours=1)
    budget = make_budget("Search", DRAIN, STOP, team=desk.team, exempt=(exempt,))

    html = read(finance_client, f"/budgets/{budget.pk}/")

    assert re.search(r"Stop idle endpoints of Search Right now that is 1: docs-qa, [\w-]+, \$5.40/h", html)
    assert re.search(r"Right now that is 2: busy, [\w-]+; docs-qa, [\w-]+, \$10.80/h", html)
    assert "Never stopped: status-page" in html


def test_a_crossing_leads_to_the_receipts_of_its_acts(desk: Desk, finance_client: Client) -> None:
    spend(desk.idle("docs-qa"))
    budget = make_budget("Search", DRAIN, dollars=100)
    budget_acts.enforce_budgets(now=NOW)

    response = finance_client.get(f"/budgets/{budget.pk}/").content.decode()

    action = StopAction.objects.get()
    assert f'href="/actions/{action.public_id}/"' in response
    assert "$100.00 spent" in words(response)


def test_held_acts_say_why_and_go_on_once_the_prices_are_confirmed(
    desk: Desk, finance_client: Client
) -> None:
    endpoint = desk.endpoint("support")
    hardware = factories.make_hardware(connection=desk.connection, name=endpoint.deployments.get().hardware)
    rose_at = NOW - timedelta(hours=2)
    price = hardware.prices.get()
    type(price).objects.filter(pk=price.pk).update(valid_from=NOW - timedelta(days=60), valid_until=rose_at)
    type(price).objects.create(hardware=hardware, nano_usd_per_hour=540 * DOLLAR, valid_from=rose_at)
    spend(endpoint, hours=2, dollars=540)
    budget = make_budget("Search", STOP)

    html = read(finance_client, f"/budgets/{budget.pk}/")
    assert "Nothing is stopped for this budget:" in html
    assert "to $540.00" in html
    assert "The prices are right: go on" in html

    assert finance_client.post(f"/budgets/{budget.pk}/prices/").status_code == 302

    assert "Nothing is stopped for this budget:" not in read(finance_client, f"/budgets/{budget.pk}/")
    assert AuditEvent.objects.filter(action="budget.prices_confirmed").count() == 1
    assert budget_acts.enforce_budgets(now=NOW) == 1


def test_a_budget_is_switched_off_and_on_and_keeps_its_history(desk: Desk, finance_client: Client) -> None:
    spend(desk.endpoint("support"))
    budget = make_budget("Search", TELL, dollars=100)
    budget_acts.enforce_budgets(now=NOW)

    finance_client.post(f"/budgets/{budget.pk}/off/")
    html = read(finance_client, f"/budgets/{budget.pk}/")

    assert "switched off" in html
    assert "Told the people" in html
    finance_client.post(f"/budgets/{budget.pk}/on/")
    budget.refresh_from_db()
    assert budget.is_enabled
    assert BudgetCrossing.objects.count() == 1


# --- The form -------------------------------------------------------------------------------------------------------


def test_a_budget_is_added_as_it_was_filled_in(desk: Desk, finance_client: Client) -> None:
    spend(desk.idle("docs-qa"), hours=1)
    sent = form(
        scope="team", team=desk.team.pk, percent_2="100", action_2="stop-all", exempt="DOCS-QA\n", step="save"
    )

    response = finance_client.post("/budgets/add/", sent)

    budget = Budget.objects.get()
    assert response.headers["Location"] == f"/budgets/{budget.pk}/"
    assert (budget.name, budget.team, budget.nano_usd) == ("Research", desk.team, 70_000 * DOLLAR)
    assert [(one.percent, one.action) for one in budget.thresholds.all()] == [
        (80, "notify"),
        (100, "stop-all"),
    ]
    assert [meter.endpoint_name for meter in budget.exempt.all()] == ["docs-qa"]


def test_what_it_would_do_is_shown_and_nothing_is_saved(desk: Desk, finance_client: Client) -> None:
    spend(desk.idle("docs-qa"), hours=1)
    spend(desk.endpoint("busy"), hours=1)

    html = words(
        finance_client.post("/budgets/add/", form(action_1="drain-idle", step="weigh")).content.decode()
    )

    assert "At $56,000 spent: stop idle endpoints of the whole organisation." in html
    assert re.search(r"Right now that is 1: docs-qa, [\w-]+, \$5.40/h\.", html)
    assert not Budget.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "This field is required"),
        ({"amount": "0"}, "greater than or equal to 0.01"),
        ({"amount": "12.345"}, "no more than 2 decimal places"),
        ({"scope": "team"}, "Choose the team."),
        ({"scope": "project"}, "Choose the project."),
        ({"scope": "tag", "tag": "prod"}, "Write key=value."),
        ({"cycle": "custom"}, "Choose the day."),
        (
            {"cycle": "custom", "starts_on": "2026-11-20", "ends_on": "2026-11-19"},
            "It lies before the first day.",
        ),
        ({"basis_1": "forecast", "action_1": "stop-all"}, "a forecast may be wrong"),
        ({"percent_2": "80"}, "It stands there twice."),
        ({"percent_1": "0"}, "greater than or equal to 1"),
        ({"exempt": "no-such-thing"}, "No endpoint or deployment has the name no-such-thing."),
    ],
)
def test_what_makes_no_sense_comes_back_with_its_reason(
    desk: Desk, finance_client: Client, changes: dict[str, Any], message: str
) -> None:
    response = finance_client.post("/budgets/add/", form(step="save", **changes))

    assert response.status_code == 422
    assert message in words(response.content.decode())
    assert not Budget.objects.exists()


def test_no_two_budgets_have_one_name(desk: Desk, finance_client: Client) -> None:
    make_budget("Research")

    response = finance_client.post("/budgets/add/", form(step="save"))

    assert response.status_code == 422
    assert "Another budget has this name." in words(response.content.decode())


def test_a_change_keeps_what_the_form_showed(desk: Desk, finance_client: Client) -> None:
    exempt = spend(desk.endpoint("status-page"), hours=1)
    budget = make_budget("Search", DRAIN, STOP, team=desk.team, exempt=(exempt,), dollars=500)

    shown = finance_client.get(f"/budgets/{budget.pk}/change/")
    fields = shown.context["form"]
    sent = {name: fields[name].value() for name in fields.fields if fields[name].value() is not None}
    finance_client.post(f"/budgets/{budget.pk}/change/", sent | {"amount": "600", "step": "save"})

    budget.refresh_from_db()
    assert budget.nano_usd == 600 * DOLLAR
    assert budget.team == desk.team
    assert [one.percent for one in budget.thresholds.all()] == [80, 100]
    assert list(budget.exempt.all()) == [exempt]
    assert "At $400 spent: stop idle endpoints" in words(shown.content.decode())


def test_anonymous_people_are_sent_to_sign_in(desk: Desk) -> None:
    assert Client().get("/budgets/").status_code == 302


# --- The explorer's strip -------------------------------------------------------------------------------------------


def test_the_explorer_says_what_part_of_the_budget_is_spent(
    desk: Desk, finance_client: Client, operator_client: Client
) -> None:
    spend(desk.idle("docs-qa"))
    make_budget("Everything", dollars=400)
    make_budget("Search", dollars=200, team=desk.team)
    make_budget("Looser", dollars=900, team=desk.team)

    assert "25.0% of $400" in read(finance_client, "/costs/")
    assert "50.0% of $200" in read(finance_client, f"/costs/?team={desk.team.pk}")
    assert "50.0% of $200" in read(operator_client, f"/costs/?team={desk.team.pk}")


@pytest.mark.parametrize(
    "query", ["period=last-month", "zone=Asia/Tokyo", "kind=deployment", "team={team}&team=-", "team=-"]
)
def test_what_the_budget_does_not_mean_is_not_held_against_it(
    desk: Desk, finance_client: Client, query: str
) -> None:
    spend(desk.idle("docs-qa"))
    make_budget("Everything", dollars=400)
    make_budget("Search", dollars=200, team=desk.team)

    html = read(finance_client, f"/costs/?{query.format(team=desk.team.pk)}")

    assert "% of $400" not in html
    assert "% of $200" not in html
