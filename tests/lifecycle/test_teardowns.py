"""Deletions in order against the real client and a running simulator."""

import pytest

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import actions, changes
from dashboard.lifecycle.errors import UnderWayError
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import Deployment, Endpoint
from tests import factories
from tests.lifecycle.conftest import Provider, drive, is_ended, let_pass

pytestmark = pytest.mark.timeout(120)
State = StopAction.State


def delete(target: Deployment | Endpoint, actor: Actor, key: str = "delete") -> StopAction:
    return actions.request_delete(target, in_order=True, actor=actor, idempotency_key=key).action


def describe_writes(provider: Provider) -> list[str]:
    """Return what was written, in words."""
    words = []
    for one in provider.writes():
        body = one["body"] or {}
        if one["method"] == "DELETE":
            words.append("delete deployment" if "/deployments/" in one["path"] else "delete endpoint")
        elif "trafficSplit" in body:
            words.append("leave traffic")
        else:
            words.append("stop")
    return words


def test_a_running_endpoint_goes_step_by_step(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()

    action = drive(delete(deployment.endpoint, actor), until=is_ended, timeout_seconds=40)

    assert (action.state, action.last_error) == (State.OBSERVED, "")
    assert describe_writes(provider) == ["stop", "leave traffic", "delete deployment", "delete endpoint"]
    sent = list(action.steps.filter(what="sent").order_by("id").values_list("note", flat=True))
    assert [note.partition(" ")[0] for note in sent] == ["Stop", "Take", "Delete", "Delete"]
    states = list(action.steps.filter(what="seen").order_by("id").values_list("state", flat=True))
    assert states.index("DEPLOYMENT_STATE_READY") < states.index("DEPLOYMENT_STATE_STOPPED")
    deployment.endpoint.refresh_from_db()
    assert deployment.endpoint.absent_since is not None


def test_one_running_deployment_goes_and_its_endpoint_stays(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()

    action = drive(delete(deployment, actor), until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED
    assert describe_writes(provider) == ["stop", "leave traffic", "delete deployment"]
    deployment.refresh_from_db()
    assert deployment.absent_since is not None
    project = deployment.endpoint.project
    provider.simulator.call(
        "GET", f"/v2/projects/{project.remote_id}/endpoints/{deployment.endpoint.remote_id}"
    )


def test_a_running_v1_endpoint_is_stopped_and_deleted(provider: Provider, actor: Actor) -> None:
    deployment = provider.v1()

    action = drive(delete(deployment.endpoint, actor), until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED
    assert describe_writes(provider) == ["stop", "delete endpoint"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("kind", ["answer_lost", "server_error", "conflict"])
def test_trouble_on_each_write_only_delays(provider: Provider, actor: Actor, kind: str, method: str) -> None:
    deployment = provider.fresh()
    provider.simulator.add_fault(kind, method=method, times=2)

    action = drive(delete(deployment, actor), until=is_ended, timeout_seconds=60)

    assert action.state == State.OBSERVED
    deployment.refresh_from_db()
    assert deployment.absent_since is not None


def test_a_restart_by_somebody_wins(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    action = delete(deployment, actor)
    action = drive(action, until=lambda one: "down:" in str(one.made))
    provider.force(deployment.remote_id, "READY")

    action = drive(action, until=is_ended)

    assert action.state == State.SUPERSEDED
    assert provider.tell(deployment) == "READY"
    assert "DELETE" not in [one["method"] for one in provider.writes()]


def test_a_stop_that_is_not_accepted_is_told_and_not_given_up(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    action = delete(deployment, actor)
    provider.simulator.add_fault("forbidden", method="PATCH")

    reconcile_once("test/1")
    let_pass(seconds=700)
    reconcile_once("test/1")
    action.refresh_from_db()
    assert action.is_open
    assert action.escalated_at is not None
    provider.simulator.clear_faults()
    action = drive(action, until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED


@pytest.mark.django_db
def test_a_deletion_ends_what_would_run_on_and_excludes_a_start(actor: Actor) -> None:
    deployment = factories.make_deployment()
    changing = changes.request_configure(
        deployment, inactive_timeout=30, actor=actor, idempotency_key="a"
    ).action

    action = delete(deployment.endpoint, actor)

    changing.refresh_from_db()
    assert changing.state == State.SUPERSEDED
    assert action.arguments == {"in_order": True}
    with pytest.raises(UnderWayError):
        actions.request_scale(deployment, min_replicas=2, max_replicas=2, actor=actor, idempotency_key="b")
    with pytest.raises(UnderWayError):
        delete(deployment, actor, key="c")
