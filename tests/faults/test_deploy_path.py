"""Fault 19 on the deploy path, with real processes: whoever dies when, one endpoint and one deployment are made.

The first call is the dry run: the demo's project has an endpoint on which the provider can make it.
"""

import time

import pytest

from dashboard.lifecycle import deploys
from dashboard.lifecycle.models import StopAction
from tests.faults.conftest import ACTOR, Desk, wait_for, wait_until_ended
from tests.faults.test_stop_path import wait_for_death

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(120)]


def deploy(desk: Desk) -> StopAction:
    """Ask for a deployment under names of its own."""
    return deploys.request_deploy(
        desk.provider.project(),
        endpoint_name=f"crash-{time.monotonic_ns()}",
        min_replicas=1,
        max_replicas=1,
        actor=ACTOR,
        idempotency_key=f"{time.monotonic_ns()}",
        **desk.provider.offer(),
    ).action


def check_made_once(desk: Desk, action: StopAction) -> None:
    """One endpoint of the name, one deployment in it, all its traffic."""
    assert action.project is not None
    (endpoint,) = desk.provider.endpoints(action.project, action.target_name)
    (deployment,) = desk.provider.deployments(action.project, endpoint["id"])
    assert deployment["name"].endswith(action.arguments["deployment_name"])
    assert [one["deploymentId"] for one in endpoint["trafficSplit"]] == [deployment["id"]]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("claim", id="after the first claim"),
        pytest.param("call:2", id="before the endpoint is made"),
        pytest.param("verify:2", id="after the endpoint was made, unknown to us"),
        pytest.param("call:3", id="before the deployment is made"),
        pytest.param("verify:3", id="after the deployment was made, unknown to us"),
        pytest.param("verify:4", id="after the split was set"),
    ],
)
def test_worker_killed_during_a_deploy_and_the_enforcer_takes_over(desk: Desk, point: str) -> None:
    worker = desk.start("worker-stops", CRASH_AT=point)
    with desk.frozen("enforcer"):
        action = deploy(desk)
        until = time.monotonic() + 40
        while worker.poll() is None and time.monotonic() < until:
            desk.tick()
            time.sleep(0.7)
        wait_for_death(worker)
        action.refresh_from_db()
        assert action.is_open
        desk.forget_pace()

    action = wait_until_ended(desk, action, timeout_seconds=60)

    assert action.state == StopAction.State.OBSERVED, action.outcome
    check_made_once(desk, action)


def test_two_paths_at_once_make_one(desk: Desk) -> None:
    desk.start("worker-stops")
    action = deploy(desk)
    for _ in range(5):
        desk.tick()

    action = wait_until_ended(desk, action, timeout_seconds=60)

    assert action.state == StopAction.State.OBSERVED, action.outcome
    check_made_once(desk, action)


def test_redis_is_down_and_a_deploy_goes_on(desk: Desk) -> None:
    desk.redis.kill()
    try:
        action = wait_until_ended(desk, deploy(desk), timeout_seconds=60)
    finally:
        desk.redis.start()

    assert action.state == StopAction.State.OBSERVED, action.outcome
    check_made_once(desk, action)
    wait_for(lambda: desk.children["enforcer"].poll() is None, what="the enforcer")
