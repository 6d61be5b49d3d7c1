"""Requests: what is written, what is refused, what a repeated click gets."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle import actions
from dashboard.lifecycle.errors import (
    ActionError,
    GoneError,
    InvalidBoundsError,
    KeyReusedError,
    NotFittingError,
    TooLateError,
    UnderWayError,
)
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.mirror.models import Deployment
from tests import factories

pytestmark = pytest.mark.django_db
State = StopAction.State
PRICE = factories.H100_NANO_USD_PER_HOUR


def make_stopped(**fields: object) -> Deployment:
    state = {"state": "DEPLOYMENT_STATE_STOPPED", "ready_replicas": 0, "billable_low": 0, "billable_high": 0}
    return factories.make_deployment(**(state | {"min_replicas": 0, "max_replicas": 0} | fields))


def stop(deployment: Deployment, actor: Actor, key: str = "stop") -> actions.Requested:
    return actions.request_stop(deployment, actor=actor, idempotency_key=key)


def start(
    deployment: Deployment, actor: Actor, *, low: int = 1, high: int = 2, key: str = "start"
) -> actions.Requested:
    return actions.request_start(
        deployment, min_replicas=low, max_replicas=high, actor=actor, idempotency_key=key
    )


def scale(
    deployment: Deployment, actor: Actor, *, low: int = 2, high: int = 4, key: str = "scale"
) -> actions.Requested:
    return actions.request_scale(
        deployment, min_replicas=low, max_replicas=high, actor=actor, idempotency_key=key
    )


def mark_sent(action: StopAction) -> None:
    StopAction.objects.filter(pk=action.pk).update(state=State.SENT, sent_at=action.requested_at)


def test_stop_writes_act_step_and_audit_row() -> None:
    user = factories.make_operator(name="Oda Operator")
    deployment = factories.make_deployment(billable_low=2, billable_high=2)

    requested = actions.request_stop(
        deployment, actor=Actor.for_person(user), idempotency_key="form-1", reason="not used today"
    )

    action = requested.action
    assert requested.created
    assert (action.state, action.requested_by, action.origin) == (State.REQUESTED, user, "person")
    assert (action.burn_low_at_request, action.burn_high_at_request) == (2 * PRICE, 2 * PRICE)
    assert list(action.steps.values_list("what", "note")) == [
        (ActionStep.What.REQUESTED, "By Oda Operator: not used today")
    ]
    event = AuditEvent.objects.get(action="endpoint.stop_requested")
    assert (event.actor, event.target_id) == (user, str(deployment.endpoint_id))
    assert event.detail["number"] == action.number == f"R-{action.pk:05}"


def test_unknown_price_is_not_zero(actor: Actor) -> None:
    action = stop(factories.make_deployment(nano_usd_per_hour=None), actor).action

    assert (action.burn_low_at_request, action.burn_high_at_request) == (None, None)


def test_start_states_what_its_bounds_will_cost(actor: Actor) -> None:
    action = start(make_stopped(), actor, low=1, high=3).action

    assert (action.burn_low_at_request, action.burn_high_at_request) == (PRICE, 3 * PRICE)


def test_same_form_twice_is_one_act(actor: Actor) -> None:
    deployment = factories.make_deployment()
    first = stop(deployment, actor, key="form-1")

    second = stop(deployment, actor, key="form-1")

    assert (second.action, second.created) == (first.action, False)
    assert AuditEvent.objects.filter(action="endpoint.stop_requested").count() == 1


def test_another_form_joins_the_open_act(actor: Actor) -> None:
    deployment = factories.make_deployment()
    first = stop(deployment, actor, key="form-1")

    second = stop(deployment, actor, key="form-2")

    assert (second.action, second.created) == (first.action, False)


def test_a_form_of_another_act_is_refused(actor: Actor) -> None:
    stop(factories.make_deployment(), actor, key="form-1")

    with pytest.raises(KeyReusedError):
        stop(factories.make_deployment(), actor, key="form-1")

    assert StopAction.objects.count() == 1


@pytest.mark.parametrize("state", ["DEPLOYMENT_STATE_STOPPED", "DEPLOYMENT_STATE_FAILED"])
def test_what_is_at_rest_is_not_stopped(actor: Actor, state: str) -> None:
    with pytest.raises(NotFittingError, match="bills nothing"):
        stop(factories.make_deployment(state=state), actor)

    assert not StopAction.objects.exists()
    assert not AuditEvent.objects.exists()


def test_what_is_gone_is_not_stopped(actor: Actor) -> None:
    with pytest.raises(GoneError):
        stop(factories.make_deployment(absent_since=factories.NOW), actor)


def test_an_unknown_state_can_be_stopped(actor: Actor) -> None:
    assert stop(factories.make_deployment(state="DEPLOYMENT_STATE_HOVERING"), actor).created


@pytest.mark.parametrize(("low", "high", "field"), [(0, 1, "min_replicas"), (2, 1, "max_replicas")])
def test_bounds_that_make_no_sense_name_their_field(actor: Actor, low: int, high: int, field: str) -> None:
    with pytest.raises(InvalidBoundsError) as caught:
        start(make_stopped(), actor, low=low, high=high)

    assert caught.value.field == field


def test_start_refuses_what_failed_and_what_runs(actor: Actor) -> None:
    with pytest.raises(NotFittingError, match="final at the provider"):
        start(factories.make_deployment(state="DEPLOYMENT_STATE_FAILED"), actor)
    with pytest.raises(NotFittingError, match="is running already"):
        start(factories.make_deployment(), actor)


def test_start_may_wait_for_a_stop_to_end(actor: Actor) -> None:
    assert start(factories.make_deployment(state="DEPLOYMENT_STATE_STOPPING"), actor).created


@pytest.mark.parametrize("is_sent", [False, True])
def test_start_supersedes_an_open_stop_in_words(actor: Actor, is_sent: bool) -> None:
    deployment = factories.make_deployment()
    stopping = stop(deployment, actor).action
    if is_sent:
        mark_sent(stopping)

    started = start(deployment, actor).action

    stopping.refresh_from_db()
    assert (stopping.state, started.state) == (State.SUPERSEDED, State.REQUESTED)
    when = "after" if is_sent else "before"
    assert stopping.outcome == f"Oda Operator asked for a start {when} it was sent"
    assert AuditEvent.objects.filter(action="endpoint.stop_superseded").count() == 1


def test_stop_supersedes_an_open_start(actor: Actor) -> None:
    deployment = make_stopped()
    starting = start(deployment, actor).action
    Deployment.objects.filter(pk=deployment.pk).update(state="DEPLOYMENT_STATE_PROVISIONING")

    stop(deployment, actor)

    starting.refresh_from_db()
    assert starting.state == State.SUPERSEDED


def test_other_bounds_replace_an_open_scale(actor: Actor) -> None:
    deployment = factories.make_deployment()
    first = scale(deployment, actor, low=2, high=4, key="a").action

    again = scale(deployment, actor, low=2, high=4, key="b")
    other = scale(deployment, actor, low=3, high=4, key="c")

    assert (again.action, again.created) == (first, False)
    assert other.created
    first.refresh_from_db()
    assert first.state == State.SUPERSEDED


def test_scale_refuses_rest_same_bounds_and_an_open_stop(actor: Actor) -> None:
    with pytest.raises(NotFittingError, match="only what runs"):
        scale(make_stopped(), actor)
    deployment = factories.make_deployment(min_replicas=2, max_replicas=4)
    with pytest.raises(NotFittingError, match="has these bounds already"):
        scale(deployment, actor)
    stop(deployment, actor)
    with pytest.raises(UnderWayError):
        scale(deployment, actor, low=3)


def test_endpoint_stop_is_one_act_per_running_deployment(actor: Actor) -> None:
    endpoint = factories.make_endpoint()
    running = {factories.make_deployment(endpoint=endpoint).pk for _ in range(2)}
    make_stopped(endpoint=endpoint)
    factories.make_deployment(endpoint=endpoint, absent_since=factories.NOW)

    requested = actions.request_stop_of_endpoint(endpoint, actor=actor, idempotency_key="bulk")

    assert {one.action.deployment_id for one in requested} == running
    assert all(one.created for one in requested)


def test_endpoint_stop_with_nothing_running_is_refused(actor: Actor) -> None:
    endpoint = make_stopped().endpoint

    with pytest.raises(NotFittingError):
        actions.request_stop_of_endpoint(endpoint, actor=actor, idempotency_key="bulk")


def test_delete_needs_rest(actor: Actor) -> None:
    deployment = factories.make_deployment()
    with pytest.raises(NotFittingError, match="must be stopped first"):
        actions.request_delete(deployment, actor=actor, idempotency_key="a")
    with pytest.raises(NotFittingError, match="must be stopped first"):
        actions.request_delete(deployment.endpoint, actor=actor, idempotency_key="b")

    stopped = make_stopped()
    action = actions.request_delete(stopped, actor=actor, idempotency_key="c").action

    assert action.deployment == stopped
    with pytest.raises(UnderWayError):
        start(stopped, actor)


def test_delete_of_a_v1_deployment_is_that_of_its_endpoint(actor: Actor) -> None:
    deployment = factories.make_v1_endpoint(state="STOPPED")

    action = actions.request_delete(deployment, actor=actor, idempotency_key="a").action

    assert (action.endpoint, action.deployment) == (deployment.endpoint, None)


def test_cancel_before_sending(actor: Actor) -> None:
    action = stop(factories.make_deployment(), actor).action

    cancelled = actions.cancel_action(action, actor=actor)

    assert (cancelled.state, cancelled.outcome) == (State.CANCELLED, "Cancelled by Oda Operator")
    assert AuditEvent.objects.filter(action="endpoint.stop_cancelled").count() == 1


def test_cancel_after_sending_is_too_late_and_changes_nothing(actor: Actor) -> None:
    action = stop(factories.make_deployment(), actor).action
    mark_sent(action)

    with pytest.raises(TooLateError, match="sent to the provider already"):
        actions.cancel_action(action, actor=actor)

    action.refresh_from_db()
    assert action.state == State.SENT
    assert not AuditEvent.objects.filter(action="endpoint.stop_cancelled").exists()


def test_send_again_brings_the_next_attempt_forward(actor: Actor) -> None:
    action = stop(factories.make_deployment(), actor).action
    mark_sent(action)
    StopAction.objects.filter(pk=action.pk).update(last_sent_at=action.requested_at, failures=9)

    action = actions.send_again(action, actor=actor)

    assert (action.last_sent_at, action.failures, action.state) == (None, 0, State.SENT)
    assert AuditEvent.objects.filter(action="endpoint.stop_sent_again").count() == 1
    actions.cancel_action(stop(factories.make_deployment(), actor, key="b").action, actor=actor)
    ended = StopAction.objects.get(state=State.CANCELLED)
    with pytest.raises(TooLateError):
        actions.send_again(ended, actor=actor)


def test_every_refusal_is_one_sentence() -> None:
    for kind in ActionError.__subclasses__():
        assert kind("Something", field="x").sentence == "Something"
        assert kind.retryable is False


@pytest.mark.django_db(transaction=True)
def test_two_people_press_stop_at_once(actor: Actor) -> None:
    deployment = factories.make_deployment()
    gate = threading.Barrier(6)

    def press(number: int) -> bool:
        try:
            connection.ensure_connection()
            gate.wait()
            return stop(deployment, actor, key=f"form-{number % 3}").created
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=6) as pool:
        created = list(pool.map(press, range(6)))

    assert created.count(True) == 1
    assert StopAction.objects.count() == 1
    assert AuditEvent.objects.filter(action="endpoint.stop_requested").count() == 1


@pytest.mark.django_db(transaction=True)
def test_stop_and_start_pressed_at_once_leave_one_open(actor: Actor) -> None:
    deployment = factories.make_deployment(state="DEPLOYMENT_STATE_STOPPING")
    gate = threading.Barrier(2)

    def press(request: object) -> None:
        try:
            connection.ensure_connection()
            gate.wait()
            request(deployment, actor)  # type: ignore[operator]
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(press, [stop, start]))

    assert StopAction.objects.filter(state=State.REQUESTED).count() == 1
    assert StopAction.objects.filter(state=State.SUPERSEDED).count() == 1
