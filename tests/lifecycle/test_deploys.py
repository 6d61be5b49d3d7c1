"""Deploys against the real client and a running simulator: one thing is made, whatever answers are lost."""

import itertools
import threading
from typing import Any

import pytest
from django.db import connection

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle import actions, deploys, receipts
from dashboard.lifecycle.errors import (
    InvalidBoundsError,
    InvalidValueError,
    NotFittingError,
    TooLateError,
    UnderWayError,
)
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import Endpoint
from tests import factories
from tests.lifecycle.conftest import Provider, drive, is_ended, let_pass

pytestmark = pytest.mark.timeout(120)
State = StopAction.State
_numbers = itertools.count(1)


def deploy(provider: Provider, actor: Actor, **fields: Any) -> StopAction:
    """Ask for a deployment under names of its own."""
    number = next(_numbers)
    asked: dict[str, Any] = {
        "endpoint_name": f"bot-{number}",
        "deployment_name": "blue",
        "min_replicas": 1,
        "max_replicas": 2,
        "nano_usd_per_hour": 5_490_000_000,
        "idempotency_key": f"deploy-{number}",
        "actor": actor,
        **provider.offer(),
        **fields,
    }
    if asked.get("endpoint") is not None:
        del asked["endpoint_name"]
    project = asked.pop("project", None) or provider.project()
    return deploys.request_deploy(project, **asked).action


def made(provider: Provider, action: StopAction) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the one endpoint and the one deployment that the act made; more or less than one is an error."""
    assert action.project is not None
    (endpoint,) = provider.endpoints(action.project, action.target_name)
    own = [
        one
        for one in provider.deployments(action.project, endpoint["id"])
        if one["name"].endswith(f"/{action.arguments['deployment_name']}")
    ]
    (deployment,) = own
    return endpoint, deployment


def posts(provider: Provider) -> list[str]:
    """Return the last part of the path of each POST that was answered, in order."""
    return [one["path"].rsplit("/", 1)[-1] for one in provider.writes() if one["method"] == "POST"]


def test_a_deploy_rehearses_creates_routes_and_waits_for_ready(provider: Provider, actor: Actor) -> None:
    action = deploy(provider, actor, inactive_timeout=60, autoscaling={"scaleDownWindow": "120s"})

    action = drive(action, until=is_ended)

    assert (action.state, action.last_error) == (State.OBSERVED, "")
    endpoint, deployment = made(provider, action)
    assert endpoint["trafficSplit"] == [{"deploymentId": deployment["id"], "weight": 1}]
    assert deployment["status"]["state"] == "DEPLOYMENT_STATE_READY"
    assert (deployment["inactiveTimeout"], deployment["autoscaling"]["scaleDownWindow"]) == (60, "120s")
    writes = [(one["method"], one["path"].rsplit("/", 1)[-1]) for one in provider.writes()]
    assert writes == [
        ("POST", "deployments"),
        ("POST", "endpoints"),
        ("POST", "deployments"),
        ("PATCH", endpoint["id"]),
    ]
    sent = list(action.steps.filter(what="sent").order_by("id").values_list("note", flat=True))
    assert [note.partition(":")[0] for note in sent] == [
        "Dry run",
        "Create the endpoint",
        "Create the deployment",
        "Set the traffic split",
    ]
    states = list(action.steps.filter(what="seen").order_by("id").values_list("state", flat=True))
    assert "DEPLOYMENT_STATE_PROVISIONING" in states
    assert states[-1] == "DEPLOYMENT_STATE_READY"
    # The mirror and the act know what was made without waiting for a sync.
    assert action.endpoint is not None
    assert action.deployment is not None
    assert action.endpoint.remote_id == endpoint["id"]
    assert action.deployment.state == "DEPLOYMENT_STATE_READY"
    assert (action.burn_low_at_request, action.burn_high_at_request) == (5_490_000_000, 10_980_000_000)


def test_wish_and_end_are_audited(provider: Provider, actor: Actor) -> None:
    action = drive(deploy(provider, actor), until=is_ended)

    events = list(AuditEvent.objects.order_by("at").values_list("action", "target_type"))

    assert events == [("endpoint.deploy_requested", "project"), ("endpoint.deploy_observed", "endpoint")]
    assert AuditEvent.objects.filter(detail__number=action.number).count() == 2


def test_a_refused_dry_run_ends_it_before_anything_is_made(provider: Provider, actor: Actor) -> None:
    action = deploy(provider, actor, config="projects/proj_together/configs/cr_unknown")

    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert action.outcome.startswith("The dry run was refused")
    assert "cr_unknown" in action.outcome
    assert action.outcome.endswith("Nothing was made")
    assert action.project is not None
    assert provider.endpoints(action.project, action.target_name) == []
    assert action.sent_at is None


def test_a_name_that_exists_at_the_provider_is_refused(provider: Provider, actor: Actor) -> None:
    project = provider.project()
    provider.simulator.call("POST", f"/v2/projects/{project.remote_id}/endpoints", {"name": "taken-1"})
    provider.simulator.admin("DELETE", "/requests")

    action = drive(deploy(provider, actor, endpoint_name="taken-1"), until=is_ended)

    assert action.state == State.REFUSED
    assert "exists already" in action.outcome
    assert provider.writes() == []


def test_into_an_existing_endpoint_others_keep_their_traffic(provider: Provider, actor: Actor) -> None:
    other = provider.v2("docs-qa-gpt-oss-120b")
    other.endpoint.display_name = "docs-qa-gpt-oss-120b"
    other.endpoint.save(update_fields=["display_name"])
    project = other.endpoint.project

    action = deploy(provider, actor, project=project, endpoint=other.endpoint, weight=0.25)
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert project is not None
    endpoint, deployment = made(provider, action)
    weights = {one["deploymentId"]: one["weight"] for one in endpoint["trafficSplit"]}
    assert weights[deployment["id"]] == 0.25
    assert weights[other.remote_id] == 1
    # Not before it could answer: whoever asks now is not sent to what is still starting.
    seen = list(action.steps.order_by("id").values_list("what", "state", "note"))
    split = next(index for index, step in enumerate(seen) if step[2].startswith("Set the traffic split"))
    assert "DEPLOYMENT_STATE_READY" in [state for what, state, _ in seen[:split] if what == "seen"]


def test_without_weight_it_gets_no_traffic(provider: Provider, actor: Actor) -> None:
    action = drive(deploy(provider, actor, weight=None), until=is_ended)

    assert action.state == State.OBSERVED
    endpoint, _ = made(provider, action)
    assert endpoint["trafficSplit"] == []
    assert "no traffic" in action.outcome


@pytest.mark.parametrize("kind", ["answer_lost", "timeout", "server_error", "cut_body"])
@pytest.mark.parametrize(
    ("method", "route", "skip"),
    [
        pytest.param("POST", "*/endpoints", 0, id="create endpoint"),
        pytest.param("POST", "*/deployments", 0, id="dry run"),
        pytest.param("POST", "*/deployments", 1, id="create deployment"),
        pytest.param("PATCH", "*/endpoints/*", 0, id="split"),
    ],
)
def test_a_lost_answer_never_makes_a_second_thing(
    provider: Provider, actor: Actor, kind: str, method: str, route: str, skip: int
) -> None:
    extra = {"delay_seconds": 0.1} if kind == "timeout" else {}
    provider.simulator.add_fault(kind, method=method, route=route, skip=skip, times=1, **extra)

    action = drive(deploy(provider, actor), until=is_ended, timeout_seconds=60)

    assert (action.state, action.last_error) == (State.OBSERVED, "")
    endpoint, deployment = made(provider, action)
    assert endpoint["trafficSplit"] == [{"deploymentId": deployment["id"], "weight": 1}]
    assert len(provider.deployments(action.project, endpoint["id"])) == 1  # type: ignore[arg-type]


def test_every_answer_lost_for_a_while_makes_one(provider: Provider, actor: Actor) -> None:
    provider.simulator.add_fault("answer_lost", method="POST", times=3)

    action = drive(deploy(provider, actor), until=is_ended, timeout_seconds=60)

    assert action.state == State.OBSERVED
    made(provider, action)


def test_a_list_that_breaks_off_proves_nothing(provider: Provider, actor: Actor) -> None:
    action = deploy(provider, actor)
    provider.simulator.add_fault("html_ok", method="GET", route="*/endpoints", times=2)

    reconcile_once("test/1")
    waiting = StopAction.objects.get(pk=action.pk)
    assert waiting.is_open
    assert waiting.last_error
    assert provider.writes() == []
    action = drive(waiting, until=is_ended)

    assert action.state == State.OBSERVED


def test_two_workers_at_once_make_one(provider: Provider, actor: Actor) -> None:
    action = deploy(provider, actor)
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            reconcile_once(f"test/{number}", is_stopping=stop.is_set)
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2, 5)]
    for thread in threads:
        thread.start()
    try:
        action = drive(action, until=is_ended, timeout_seconds=60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert action.state == State.OBSERVED
    endpoint, _ = made(provider, action)
    assert len(provider.deployments(action.project, endpoint["id"])) == 1  # type: ignore[arg-type]


def test_a_failed_start_ends_it_with_the_providers_words(provider: Provider, actor: Actor) -> None:
    action = drive(deploy(provider, actor), until=lambda one: one.deployment is not None)
    assert action.deployment is not None
    provider.force(action.deployment.remote_id, "FAILED", message="out of memory")

    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert "out of memory" in action.outcome
    assert "costs nothing" in action.outcome


def test_stopped_by_somebody_while_it_starts_is_not_started_again(provider: Provider, actor: Actor) -> None:
    action = drive(deploy(provider, actor), until=lambda one: one.deployment is not None)
    assert action.deployment is not None
    provider.force(action.deployment.remote_id, "STOPPED")
    sent = len(posts(provider))

    action = drive(action, until=is_ended)

    assert action.state == State.SUPERSEDED
    assert len(posts(provider)) == sent


def test_a_stop_asked_for_here_ends_the_deploy(provider: Provider, actor: Actor) -> None:
    action = drive(deploy(provider, actor), until=lambda one: one.deployment is not None)
    assert action.deployment is not None

    stopping = actions.request_stop(action.deployment, actor=actor, idempotency_key="stop").action
    stopping = drive(stopping, until=is_ended)

    action.refresh_from_db()
    assert (action.state, stopping.state) == (State.SUPERSEDED, State.OBSERVED)
    assert provider.tell(action.deployment) == "STOPPED"


def test_taken_back_before_it_is_sent_nothing_is_made(provider: Provider, actor: Actor) -> None:
    action = deploy(provider, actor)

    actions.cancel_action(action, actor=actor)
    reconcile_once("test/1")

    assert provider.writes() == []
    with pytest.raises(TooLateError):
        deploys.request_undo(action, actor=actor, idempotency_key="undo")


def test_undo_deletes_what_was_made_in_order(provider: Provider, actor: Actor) -> None:
    action = drive(deploy(provider, actor), until=lambda one: one.deployment is not None)
    with pytest.raises(TooLateError):
        actions.cancel_action(action, actor=actor)

    undo = deploys.request_undo(action, actor=actor, idempotency_key="undo").action
    undo = drive(undo, until=is_ended, timeout_seconds=40)

    action.refresh_from_db()
    assert (action.state, undo.state) == (State.SUPERSEDED, State.OBSERVED)
    assert action.project is not None
    assert provider.endpoints(action.project, action.target_name) == []
    assert Endpoint.objects.get(pk=action.endpoint_id).absent_since is not None


def test_quota_for_ten_minutes_ends_it_and_says_what_exists(provider: Provider, actor: Actor) -> None:
    provider.simulator.add_fault("gpu_quota", method="POST", route="*/deployments", skip=1)
    action = drive(deploy(provider, actor), until=lambda one: bool(one.last_error))

    let_pass(seconds=601)
    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert action.outcome.startswith("Not accepted within 10 min")
    assert action.outcome.endswith("was made and is empty; it costs nothing")
    assert receipts.read_receipt(action.public_id, now=action.requested_at).may_be_undone
    provider.simulator.clear_faults()
    undo = deploys.request_undo(action, actor=actor, idempotency_key="undo").action
    assert drive(undo, until=is_ended, timeout_seconds=40).state == State.OBSERVED


@pytest.mark.django_db
def test_names_are_on_the_row_before_any_call(actor: Actor) -> None:
    requested = deploys.request_deploy(
        factories.make_project(),
        endpoint_name="bot",
        model="projects/p/models/m",
        config="projects/p/configs/c",
        min_replicas=1,
        max_replicas=1,
        actor=actor,
        idempotency_key="a",
    )

    want = requested.action.arguments
    assert want["endpoint_name"] == requested.action.target_name == "bot"
    assert want["deployment_name"] == f"bot-{requested.action.public_id.hex[:6]}"
    # Unknown is never zero.
    assert requested.action.burn_low_at_request is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"endpoint_name": "two words"}, InvalidValueError, "endpoint_name"),
        ({"endpoint_name": ""}, InvalidValueError, "endpoint_name"),
        ({"deployment_name": "a/b"}, InvalidValueError, "deployment_name"),
        ({"model": ""}, InvalidValueError, "model"),
        ({"config": ""}, InvalidValueError, "config"),
        ({"min_replicas": 0}, InvalidBoundsError, "min_replicas"),
        ({"max_replicas": 0}, InvalidBoundsError, "max_replicas"),
        ({"inactive_timeout": 5}, InvalidValueError, "inactive_timeout"),
        ({"max_concurrent": 0}, InvalidValueError, "max_concurrent"),
        ({"weight": -1.0}, InvalidValueError, "weight"),
        ({"autoscaling": {"scaleDownWindow": "soon"}}, InvalidValueError, "scale_down_window"),
        (
            {"autoscaling": {"scalingMetrics": [{"name": "x", "target": 1}]}},
            InvalidValueError,
            "scaling_metrics",
        ),
    ],
)
def test_what_makes_no_sense_names_its_field(
    actor: Actor, fields: dict[str, Any], error: type[InvalidValueError], field: str
) -> None:
    asked: dict[str, Any] = {
        "endpoint_name": "bot", "model": "m", "config": "c", "min_replicas": 1, "max_replicas": 1,
    }  # fmt: skip
    with pytest.raises(error) as caught:
        deploys.request_deploy(factories.make_project(), actor=actor, idempotency_key="a", **(asked | fields))

    assert caught.value.field == field
    assert not StopAction.objects.exists()


@pytest.mark.django_db
def test_a_name_known_here_or_being_made_is_refused_at_once(actor: Actor) -> None:
    there = factories.make_endpoint(display_name="bot")
    asked: dict[str, Any] = {
        "model": "m",
        "config": "c",
        "min_replicas": 1,
        "max_replicas": 1,
        "actor": actor,
    }

    with pytest.raises(NotFittingError) as caught:
        deploys.request_deploy(there.project, endpoint_name="bot", idempotency_key="a", **asked)
    assert caught.value.field == "endpoint_name"
    first = deploys.request_deploy(there.project, endpoint_name="new", idempotency_key="b", **asked)
    again = deploys.request_deploy(there.project, endpoint_name="new", idempotency_key="b", **asked)
    assert (again.action, again.created) == (first.action, False)
    with pytest.raises(UnderWayError):
        deploys.request_deploy(there.project, endpoint_name="new", idempotency_key="c", **asked)
    into = deploys.request_deploy(there.project, endpoint=there, idempotency_key="d", **asked)
    assert into.created
    with pytest.raises(UnderWayError):
        deploys.request_deploy(there.project, endpoint=there, idempotency_key="e", **asked)
