"""Starts over a budget: without the tick nothing is requested, whatever door they come through."""

import uuid
from typing import Any

import pytest
from django.test import Client

from billing import budgets
from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, Team
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Endpoint
from tests import factories, model_factories
from tests.web.conftest import Desk
from tests.web.test_budgets import DOLLAR, spend, words

pytestmark = pytest.mark.usefixtures("frozen")
ASK = Threshold(50, Basis.ACTUAL, Action.CONFIRM_STARTS)


def guard(name: str = "Research", *, dollars: int = 97, team: Team | None = None) -> Budget:
    """Write a budget of which $100 are spent that wants to be asked from half of it on."""
    scope = Budget.Scope.TEAM if team else Budget.Scope.ORGANISATION
    budget = Budget(name=name, scope=scope, team=team, nano_usd=dollars * DOLLAR)
    return budgets.save_budget(budget, thresholds=[ASK], exempt=(), actor=Actor.for_process("test"))


@pytest.fixture
def over(desk: Desk) -> Budget:
    spend(desk.endpoint("support"))
    return guard(team=desk.team)


def bounds(endpoint: Endpoint, **changes: Any) -> dict[str, Any]:
    deployment = endpoint.deployments.get()
    return {
        "key": str(uuid.uuid4()),
        "deployment": deployment.pk,
        "min_replicas": 1,
        "max_replicas": 3,
    } | changes


def acts() -> list[str]:
    return list(StopAction.objects.values_list("kind", flat=True))


def test_a_start_over_a_budget_asks_and_sends_nothing_without_the_tick(
    desk: Desk, over: Budget, operator_client: Client
) -> None:
    endpoint = desk.stopped("voice")
    url = f"/endpoints/{endpoint.pk}/start/"

    shown = operator_client.get(url)
    refused = operator_client.post(url, bounds(endpoint))

    assert "Start although budget Research is at 103%" in words(shown.content.decode())
    assert refused.status_code == 422
    assert "Nothing was sent. Tick it to start over the budget: Research." in words(refused.content.decode())
    assert acts() == []
    assert not AuditEvent.objects.filter(action="endpoint.start_requested").exists()


def test_with_the_tick_it_is_asked_for_and_the_receipt_and_the_audit_name_the_budget(
    desk: Desk, over: Budget, operator_client: Client
) -> None:
    endpoint = desk.stopped("voice")

    operator_client.post(f"/endpoints/{endpoint.pk}/start/", bounds(endpoint, over_budget=[over.pk]))

    action = StopAction.objects.get()
    assert action.kind == "start"
    assert action.reason == "Although budget Research is at 103%"
    event = AuditEvent.objects.get(action="endpoint.start_requested")
    assert "Although budget Research is at 103%" in event.detail["reason"]


def test_a_budget_reached_since_the_form_was_opened_is_asked_about_too(
    desk: Desk, over: Budget, operator_client: Client
) -> None:
    endpoint = desk.stopped("voice")
    guard("Everything", dollars=100)

    response = operator_client.post(
        f"/endpoints/{endpoint.pk}/start/", bounds(endpoint, over_budget=[over.pk])
    )

    assert response.status_code == 422
    assert "over the budget: Everything." in words(response.content.decode())
    assert acts() == []


def test_a_tick_for_a_budget_that_is_not_over_any_more_does_no_harm(
    desk: Desk, over: Budget, operator_client: Client
) -> None:
    endpoint = desk.stopped("voice")
    budgets.set_enabled(over, is_enabled=False, actor=Actor.for_process("test"))

    operator_client.post(f"/endpoints/{endpoint.pk}/start/", bounds(endpoint, over_budget=[over.pk]))

    assert acts() == ["start"]
    assert StopAction.objects.get().reason == ""


@pytest.mark.parametrize("door", ["scale", "settings"])
def test_more_replicas_ask_and_fewer_do_not(
    desk: Desk, over: Budget, operator_client: Client, door: str
) -> None:
    endpoint = desk.endpoint("voice", min_replicas=1, max_replicas=2)
    url = f"/endpoints/{endpoint.pk}/{door}/"

    refused = operator_client.post(url, bounds(endpoint, max_replicas=3))
    assert refused.status_code == 422
    assert "Scale although budget Research is at 103%" in words(refused.content.decode())
    assert acts() == []

    fewer = operator_client.post(url, bounds(endpoint, max_replicas=1))
    assert fewer.status_code == 302
    more = operator_client.post(url, bounds(endpoint, max_replicas=3, over_budget=[over.pk]))
    assert more.status_code == 302
    assert StopAction.objects.order_by("-pk")[0].reason == "Although budget Research is at 103%"


def test_a_deploy_asks_at_the_last_step_and_creates_nothing_without_the_tick(
    desk: Desk, over: Budget, operator_client: Client
) -> None:
    model = model_factories.make_catalogue_model(connection=desk.connection, name="Qwen/Qwen3-32B")
    hardware = factories.make_hardware(connection=desk.connection)
    model_factories.make_config(model=model, hardware=hardware, remote_id="cr_1")
    values = {
        "model": "Qwen/Qwen3-32B",
        "project": desk.project.pk,
        "endpoint": "new",
        "endpoint_name": "qwen",
        "config": "cr_1",
        "min_replicas": 1,
        "max_replicas": 1,
        "inactive_timeout": 60,
        "weight": 1,
    }

    shown = operator_client.get("/deploy/", values | {"step": "review"})
    refused = operator_client.post("/deploy/", values | {"key": str(uuid.uuid4())})

    assert "Deploy although budget Research is at 103%" in words(shown.content.decode())
    assert refused.status_code == 422
    assert "Tick it to deploy over the budget: Research." in words(refused.content.decode())
    assert acts() == []

    sent = values | {"key": str(uuid.uuid4()), "over_budget": [over.pk]}
    assert operator_client.post("/deploy/", sent).status_code == 302
    assert StopAction.objects.get().reason == "Although budget Research is at 103%"


def test_a_budget_that_would_stop_it_again_says_so(desk: Desk, operator_client: Client) -> None:
    spend(desk.endpoint("support"))
    budget = guard(team=desk.team)
    stop = Threshold(100, Basis.ACTUAL, Action.STOP_ALL)
    budgets.save_budget(budget, thresholds=[ASK, stop], exempt=(), actor=Actor.for_process("test"))
    endpoint = desk.stopped("voice")

    html = words(operator_client.get(f"/endpoints/{endpoint.pk}/start/").content.decode())

    assert "Start although budget Research is at 103% and stops all endpoints" in html


def test_another_teams_budget_asks_nobody_here(desk: Desk, over: Budget, admin_client: Client) -> None:
    other = factories.make_team("research")
    project = factories.make_project(connection=desk.connection, team=other, name="lab")
    endpoint = Desk(desk.connection, project, other).stopped("voice")

    assert "although budget" not in words(
        admin_client.get(f"/endpoints/{endpoint.pk}/start/").content.decode()
    )
    admin_client.post(f"/endpoints/{endpoint.pk}/start/", bounds(endpoint))

    assert acts() == ["start"]
