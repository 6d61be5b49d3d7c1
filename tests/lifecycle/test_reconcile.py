"""Acts against the real client and a running simulator: what it says is true is the truth."""

import threading

import pytest

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle import actions
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import Deployment, StateChange
from tests.lifecycle.conftest import Provider, drive, is_ended, let_pass

pytestmark = pytest.mark.timeout(90)
State = StopAction.State


def stop(deployment: Deployment, actor: Actor) -> StopAction:
    return actions.request_stop(deployment, actor=actor, idempotency_key=f"stop-{deployment.pk}").action


def steps_of(action: StopAction) -> list[str]:
    return list(action.steps.order_by("id").values_list("what", flat=True))


def test_stop_v2_is_done_when_read_back(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")

    action = drive(stop(deployment, actor), until=is_ended)

    assert action.state == State.OBSERVED
    assert provider.tell(deployment) == "STOPPED"
    assert len(provider.writes(deployment)) == 1
    deployment.refresh_from_db()
    assert deployment.state == "DEPLOYMENT_STATE_STOPPED"
    assert deployment.endpoint.__class__.objects.get(pk=deployment.endpoint_id).status == "stopped"
    assert StateChange.objects.filter(deployment=deployment, state="DEPLOYMENT_STATE_STOPPED").count() == 1
    what = steps_of(action)
    assert what[:5] == ["requested", "claimed", "seen", "sent", "answered"]
    assert what[-2:] == ["seen", "done"]
    assert action.steps.filter(what=ActionStep.What.ANSWERED).get().provider_request_id.startswith("req-")
    events = list(
        AuditEvent.objects.filter(target_id=str(deployment.endpoint_id)).values_list("action", flat=True)
    )
    assert sorted(events) == ["endpoint.stop_observed", "endpoint.stop_requested"]


def test_stop_v1_is_done_when_read_back(provider: Provider, actor: Actor) -> None:
    deployment = provider.v1()

    action = drive(stop(deployment, actor), until=is_ended)

    assert action.state == State.OBSERVED
    assert provider.tell(deployment) == "STOPPED"


def test_what_was_stopped_before_costs_no_call(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    action = stop(deployment, actor)
    provider.force(deployment.remote_id, "STOPPED")

    action = drive(action, until=is_ended)

    assert (action.state, action.sent_at) == (State.OBSERVED, None)
    assert provider.writes() == []


def test_start_brings_bounds_and_scaling_settings_back(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("support-triage-70b")
    drive(stop(deployment, actor), until=is_ended)
    deployment.refresh_from_db()

    action = actions.request_start(
        deployment, min_replicas=1, max_replicas=2, actor=actor, idempotency_key="start"
    ).action
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert provider.tell(deployment) in {"READY", "SCALING"}
    sent = provider.writes(deployment)[-1]["body"]["autoscaling"]
    assert (sent["minReplicas"], sent["maxReplicas"]) == (1, 2)
    assert sent["scaleDownWindow"] == "300s"


def test_start_of_v1_is_refused_in_words(provider: Provider, actor: Actor) -> None:
    deployment = provider.v1()
    provider.force(deployment.remote_id, "STOPPED")
    Deployment.objects.filter(pk=deployment.pk).update(state="STOPPED")

    action = actions.request_start(
        deployment, min_replicas=1, max_replicas=1, actor=actor, idempotency_key="start"
    ).action
    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert action.outcome.startswith("The provider no longer starts v1 endpoints")


def test_scale_changes_the_bounds(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")

    action = actions.request_scale(
        deployment, min_replicas=2, max_replicas=2, actor=actor, idempotency_key="scale"
    ).action
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    deployment.refresh_from_db()
    assert (deployment.min_replicas, deployment.max_replicas, deployment.ready_replicas) == (2, 2, 2)


def test_delete_leaves_the_split_then_deletes(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("research-kimi-k2")
    provider.force(deployment.remote_id, "STOPPED")
    Deployment.objects.filter(pk=deployment.pk).update(state="DEPLOYMENT_STATE_STOPPED")

    action = drive(
        actions.request_delete(deployment, actor=actor, idempotency_key="delete").action, until=is_ended
    )

    assert action.state == State.OBSERVED
    assert [one["method"] for one in provider.writes()] == ["PATCH", "DELETE"]
    assert provider.writes()[0]["body"]["trafficSplit"] == []
    deployment.refresh_from_db()
    assert deployment.absent_since is not None


def test_delete_of_a_v1_endpoint_and_of_a_whole_v2_endpoint(provider: Provider, actor: Actor) -> None:
    legacy, modern = provider.v1(), provider.v2("research-deepseek-v31")
    for deployment, state in ((legacy, "STOPPED"), (modern, "DEPLOYMENT_STATE_STOPPED")):
        provider.force(deployment.remote_id, "STOPPED")
        Deployment.objects.filter(pk=deployment.pk).update(state=state)
    acts = [
        actions.request_delete(one.endpoint, actor=actor, idempotency_key=f"delete-{one.pk}").action
        for one in (legacy, modern)
    ]

    acts = [drive(action, until=is_ended) for action in acts]

    assert [action.state for action in acts] == [State.OBSERVED, State.OBSERVED]
    assert {one["method"] for one in provider.writes()} == {"DELETE"}
    for deployment in (legacy, modern):
        deployment.endpoint.refresh_from_db()
        assert deployment.endpoint.absent_since is not None


def test_delete_of_an_endpoint_that_was_started_meanwhile_is_refused(
    provider: Provider, actor: Actor
) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    Deployment.objects.filter(pk=deployment.pk).update(state="DEPLOYMENT_STATE_STOPPED")

    action = drive(
        actions.request_delete(deployment.endpoint, actor=actor, idempotency_key="delete").action,
        until=is_ended,
    )

    assert action.state == State.REFUSED
    assert "Stop them first" in action.outcome
    assert provider.writes() == []


def test_accepted_without_effect_is_sent_again_after_a_minute(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    provider.simulator.add_fault("stop_ignored", method="PATCH", times=1)
    action = drive(stop(deployment, actor), until=lambda one: one.answered_at is not None)

    let_pass(seconds=30)
    reconcile_once("test/1")
    assert len(provider.writes(deployment)) == 1
    assert StopAction.objects.get(pk=action.pk).state == State.SENT
    let_pass(seconds=31)
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert len(provider.writes(deployment)) == 2
    assert provider.tell(deployment) == "STOPPED"


def test_lost_answer_is_no_error_and_no_second_stop(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    provider.simulator.add_fault("answer_lost", method="PATCH", times=1)

    action = drive(stop(deployment, actor), until=is_ended)

    assert (action.state, action.last_error) == (State.OBSERVED, "")
    assert len(provider.writes(deployment)) == 1


def test_deleted_meanwhile_is_gone_after_two_404_30_s_apart(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("legal-draft-8b-ft-v4")
    action = stop(deployment, actor)
    provider.simulator.admin("DELETE", f"/deployments/{deployment.remote_id}")

    reconcile_once("test/1")
    first = StopAction.objects.get(pk=action.pk)
    assert (first.state, first.absent_seen_at is not None) == (State.REQUESTED, True)
    let_pass(seconds=31)
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert action.outcome.startswith("Gone")
    deployment.refresh_from_db()
    assert deployment.absent_since is not None


@pytest.mark.parametrize("kind", ["rate_limit", "html_ok", "html_error", "server_error", "reset"])
def test_passing_trouble_on_every_call_only_delays(provider: Provider, actor: Actor, kind: str) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    action = stop(deployment, actor)
    provider.simulator.add_fault(kind, route="/v2/*")

    for _ in range(3):
        reconcile_once("test/1")
        let_pass(seconds=31)
    troubled = StopAction.objects.get(pk=action.pk)
    assert troubled.is_open
    assert troubled.last_error
    provider.simulator.clear_faults()
    action = drive(troubled, until=is_ended)

    assert action.state == State.OBSERVED
    assert provider.tell(deployment) == "STOPPED"


def test_revoked_key_stays_open_alarms_and_resumes(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    action = stop(deployment, actor)
    provider.simulator.admin("DELETE", "/keys/sim-key")
    try:
        reconcile_once("test/1")
        alarmed = StopAction.objects.get(pk=action.pk)
        assert (alarmed.state, alarmed.escalated_at is not None) == (State.REQUESTED, True)
        assert "key was refused" in alarmed.last_error
        assert AuditEvent.objects.filter(action="endpoint.stop_escalated").count() == 1
    finally:
        provider.simulator.admin("POST", "/keys", key="sim-key", project="fernhill-support")

    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert AuditEvent.objects.filter(action="endpoint.stop_escalated").count() == 1


def test_failed_teardown_is_an_alarm_and_stays_open(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("evals-judge-32b")
    provider.simulator.add_fault("stop_fails", method="PATCH", times=1)

    action = drive(stop(deployment, actor), until=lambda one: one.escalated_at is not None)

    assert action.is_open
    assert "a person has to look" in action.last_error
    ended = actions.cancel_action(action, actor=actor)
    assert ended.state == State.CANCELLED


def test_restarted_by_somebody_is_not_stopped_again(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    provider.simulator.add_fault("stop_endless", method="PATCH", times=1)
    action = drive(stop(deployment, actor), until=lambda one: one.effect_seen_at is not None)
    provider.force(deployment.remote_id, "READY")

    action = drive(action, until=is_ended)

    assert action.state == State.SUPERSEDED
    assert len(provider.writes(deployment)) == 1
    assert provider.tell(deployment) == "READY"


def test_stale_etag_is_read_again(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    provider.simulator.add_fault("conflict", method="PATCH", times=2)

    action = drive(stop(deployment, actor), until=is_ended)

    assert action.state == State.OBSERVED
    assert len(provider.writes(deployment)) == 3


def test_two_callers_send_one_stop(provider: Provider, actor: Actor) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    action = stop(deployment, actor)

    def call(number: int) -> None:
        from django.db import connection

        for _ in range(5):
            reconcile_once(f"test/{number}")
        connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drive(action, until=is_ended)

    assert len(provider.writes(deployment)) == 1
