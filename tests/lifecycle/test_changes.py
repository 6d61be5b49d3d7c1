"""Settings and traffic splits against the real client and a running simulator."""

from typing import Any

import pytest

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import actions, changes
from dashboard.lifecycle.errors import (
    ActionError,
    InvalidBoundsError,
    InvalidValueError,
    NotFittingError,
    UnderWayError,
)
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import Deployment
from tests import factories
from tests.lifecycle.conftest import Provider, drive, is_ended, let_pass

pytestmark = pytest.mark.timeout(90)
State = StopAction.State


def configure(deployment: Deployment, actor: Actor, key: str = "configure", **settings: Any) -> StopAction:
    return changes.request_configure(deployment, actor=actor, idempotency_key=key, **settings).action


def read_body(provider: Provider, deployment: Deployment) -> dict[str, Any]:
    endpoint = deployment.endpoint
    path = f"/v2/projects/{endpoint.project.remote_id}/endpoints/{endpoint.remote_id}"
    return dict(provider.simulator.call("GET", f"{path}/deployments/{deployment.remote_id}"))


def read_split(provider: Provider, deployment: Deployment) -> dict[str, float]:
    endpoint = deployment.endpoint
    path = f"/v2/projects/{endpoint.project.remote_id}/endpoints/{endpoint.remote_id}"
    return {
        one["deploymentId"]: one["weight"] for one in provider.simulator.call("GET", path)["trafficSplit"]
    }


def test_settings_are_done_when_read_back_and_the_rest_stays(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    before = read_body(provider, deployment)["autoscaling"]

    action = configure(
        deployment, actor, autoscaling={"scaleUpWindow": "90s"}, inactive_timeout=45, max_concurrent=16
    )
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    body = read_body(provider, deployment)
    assert body["autoscaling"] == before | {"scaleUpWindow": "90s"}
    assert (body["inactiveTimeout"], body["maxConcurrentRequestsPerReplica"]) == (45, "16")
    deployment.refresh_from_db()
    assert deployment.inactive_timeout_minutes == 45
    (write,) = provider.writes()
    assert "etag" in write["body"]


def test_what_is_so_already_is_done_without_a_call(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    assert read_body(provider, deployment)["autoscaling"]["scaleDownWindow"] == "300s"

    # The same time in another spelling.
    action = drive(configure(deployment, actor, autoscaling={"scaleDownWindow": "5m"}), until=is_ended)

    assert (action.state, provider.writes()) == (State.OBSERVED, [])


def test_bounds_with_windows_change_together(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    wanted = {"minReplicas": 2, "maxReplicas": 3, "scaleDownWindow": "60s"}

    action = drive(configure(deployment, actor, autoscaling=wanted), until=is_ended)

    assert action.state == State.OBSERVED
    block = read_body(provider, deployment)["autoscaling"]
    assert {name: block[name] for name in wanted} == wanted


def test_scaling_metrics_are_compared_as_a_set(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    metrics = [{"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}]

    action = drive(configure(deployment, actor, autoscaling={"scalingMetrics": metrics}), until=is_ended)

    assert action.state == State.OBSERVED
    assert read_body(provider, deployment)["autoscaling"]["scalingMetrics"][0]["target"] == 8


def test_a_change_by_somebody_meanwhile_is_read_again(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    action = configure(deployment, actor, inactive_timeout=40)
    provider.simulator.add_fault("conflict", method="PATCH", times=1)

    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert action.steps.filter(what="failed").count() == 1
    assert read_body(provider, deployment)["inactiveTimeout"] == 40


def test_what_the_provider_caps_ends_with_what_it_holds(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    drive(configure(deployment, actor, max_concurrent=16), until=is_ended)
    action = configure(deployment, actor, key="b", max_concurrent=5000)

    for _ in range(6):
        reconcile_once("test/1")
        let_pass(seconds=61)
    action.refresh_from_db()

    assert action.state == State.REFUSED
    assert "the provider holds" in action.outcome


def test_a_stopped_deployment_takes_a_timeout_and_stays_stopped(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()
    provider.force(deployment.remote_id, "STOPPED")
    Deployment.objects.filter(pk=deployment.pk).update(state="DEPLOYMENT_STATE_STOPPED")

    action = configure(deployment, actor, inactive_timeout=35, autoscaling={"scaleUpWindow": "70s"})
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert provider.tell(deployment) == "STOPPED"


def test_v1_takes_bounds_and_timeout(provider: Provider, actor: Actor) -> None:
    deployment = provider.v1()

    action = configure(
        deployment, actor, inactive_timeout=10, autoscaling={"minReplicas": 2, "maxReplicas": 3}
    )
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    body = provider.simulator.call("GET", f"/v1/endpoints/{deployment.remote_id}")
    assert (body["inactive_timeout"], body["autoscaling"]) == (10, {"min_replicas": 2, "max_replicas": 3})


def test_a_split_is_done_when_read_back(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()

    action = changes.request_split(
        deployment.endpoint, weights={deployment.pk: 0.5}, actor=actor, idempotency_key="split"
    ).action
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert read_split(provider, deployment) == {deployment.remote_id: 0.5}


def test_an_empty_split_is_applied(provider: Provider, actor: Actor) -> None:
    deployment = provider.fresh()

    action = changes.request_split(
        deployment.endpoint, weights={}, actor=actor, idempotency_key="split"
    ).action
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    assert read_split(provider, deployment) == {}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("settings", "error", "field"),
    [
        ({}, InvalidValueError, ""),
        ({"inactive_timeout": 20}, InvalidValueError, "inactive_timeout"),
        ({"inactive_timeout": 1441}, InvalidValueError, "inactive_timeout"),
        ({"max_concurrent": 0}, InvalidValueError, "max_concurrent"),
        ({"autoscaling": {"minReplicas": 0, "maxReplicas": 1}}, InvalidBoundsError, "min_replicas"),
        ({"autoscaling": {"minReplicas": 1}}, InvalidBoundsError, "max_replicas"),
        ({"autoscaling": {"scaleUpWindow": "1 hour"}}, InvalidValueError, "scale_up_window"),
        ({"autoscaling": {"speed": 1}}, InvalidValueError, ""),
    ],
)
def test_settings_that_make_no_sense_name_their_field(
    actor: Actor, settings: dict[str, Any], error: type[ActionError], field: str
) -> None:
    with pytest.raises(error) as caught:
        configure(factories.make_deployment(), actor, **settings)

    assert caught.value.field == field
    assert not StopAction.objects.exists()


@pytest.mark.django_db
def test_what_does_not_fit_the_state_is_refused(actor: Actor) -> None:
    bounds = {"minReplicas": 1, "maxReplicas": 2}
    with pytest.raises(NotFittingError, match="start it"):
        configure(factories.make_deployment(state="DEPLOYMENT_STATE_STOPPED"), actor, autoscaling=bounds)
    with pytest.raises(NotFittingError, match="has failed"):
        configure(factories.make_deployment(state="DEPLOYMENT_STATE_FAILED"), actor, inactive_timeout=30)
    with pytest.raises(NotFittingError, match="v1"):
        configure(factories.make_v1_endpoint(), actor, max_concurrent=3)
    deployment = factories.make_deployment()
    actions.request_stop(deployment, actor=actor, idempotency_key="stop")
    with pytest.raises(UnderWayError):
        configure(deployment, actor, autoscaling=bounds)


@pytest.mark.django_db
def test_other_settings_replace_open_ones_and_the_same_join_them(actor: Actor) -> None:
    deployment = factories.make_deployment()
    first = configure(deployment, actor, key="a", inactive_timeout=30)

    again = changes.request_configure(deployment, inactive_timeout=30, actor=actor, idempotency_key="b")
    other = configure(deployment, actor, key="c", inactive_timeout=60)

    assert (again.action, again.created) == (first, False)
    first.refresh_from_db()
    assert (first.state, other.state) == (State.SUPERSEDED, State.REQUESTED)


@pytest.mark.django_db
def test_a_split_refuses_strangers_failures_and_all_zero(actor: Actor) -> None:
    deployment = factories.make_deployment()
    endpoint = deployment.endpoint
    failed = factories.make_deployment(endpoint=endpoint, state="DEPLOYMENT_STATE_FAILED")
    stranger = factories.make_deployment()
    for weights in ({deployment.pk: -1.0}, {stranger.pk: 1.0}, {failed.pk: 1.0}, {deployment.pk: 0.0}):
        with pytest.raises(InvalidValueError) as caught:
            changes.request_split(endpoint, weights=weights, actor=actor, idempotency_key="a")
        assert caught.value.field == "weights"
    v1 = factories.make_v1_endpoint().endpoint
    with pytest.raises(NotFittingError):
        changes.request_split(v1, weights={}, actor=actor, idempotency_key="b")
    assert not StopAction.objects.exists()


@pytest.mark.django_db
def test_a_later_scale_ends_open_bounds_and_leaves_a_timeout(actor: Actor) -> None:
    deployment, other = factories.make_deployment(), factories.make_deployment()
    bounds = configure(deployment, actor, key="a", autoscaling={"minReplicas": 2, "maxReplicas": 3})
    timeout = configure(other, actor, key="b", inactive_timeout=30)

    for one in (deployment, other):
        actions.request_scale(
            one, min_replicas=4, max_replicas=4, actor=actor, idempotency_key=f"scale-{one.pk}"
        )

    bounds.refresh_from_db()
    timeout.refresh_from_db()
    assert (bounds.state, timeout.state) == (State.SUPERSEDED, State.REQUESTED)
