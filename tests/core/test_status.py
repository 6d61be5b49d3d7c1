"""Words and shapes of every state that either generation of the API can name."""

import pytest

from dashboard.core import status


@pytest.mark.parametrize(
    ("state", "word", "shape"),
    [
        ("DEPLOYMENT_STATE_READY", "Running", "disc"),
        ("STARTED", "Running", "disc"),
        ("DEPLOYMENT_STATE_PROVISIONING", "Starting", "ring"),
        ("PENDING", "Starting", "ring"),
        ("STARTING", "Starting", "ring"),
        ("DEPLOYMENT_STATE_SCALING", "Scaling", "ring"),
        ("DEPLOYMENT_STATE_DEGRADED", "Degraded", "half"),
        ("DEPLOYMENT_STATE_FAILED", "Failed", "triangle"),
        ("ERROR", "Failed", "triangle"),
        ("DEPLOYMENT_STATE_STOPPING", "Stopping", "square"),
        ("STOPPING", "Stopping", "square"),
        ("DEPLOYMENT_STATE_STOPPED", "Stopped", "square"),
        ("STOPPED", "Stopped", "square"),
    ],
)
def test_each_documented_state_has_its_word_and_shape(state: str, word: str, shape: str) -> None:
    found = status.read_state(state)

    assert (found.word, found.shape) == (word, shape)


@pytest.mark.parametrize("state", ["DEPLOYMENT_STATE_HIBERNATING", "DEPLOYMENT_STATE_UNSPECIFIED", "", "42"])
def test_a_state_nobody_documented_is_unknown_and_counts_as_billing(state: str) -> None:
    assert status.read_state(state) is status.UNKNOWN
    assert status.read_state(state).may_bill


def test_values_are_unique_and_fit_their_column() -> None:
    values = [each.value for each in status.ALL]

    assert len(set(values)) == len(values)
    assert max(map(len, values)) <= 16


def test_status_is_never_told_by_colour_alone() -> None:
    shapes_by_role: dict[str, set[str]] = {}
    for each in status.ALL:
        shapes_by_role.setdefault(each.role, set()).add(each.shape)

    shared = [a & b for a in shapes_by_role.values() for b in shapes_by_role.values() if a is not b]

    assert not any(shared), "one shape in two colours"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], status.EMPTY),
        ([status.STOPPED, status.STOPPED], status.STOPPED),
        ([status.RUNNING, status.STOPPED], status.RUNNING),
        ([status.RUNNING, status.FAILED], status.DEGRADED),
        ([status.RUNNING, status.STARTING], status.SCALING),
        ([status.RUNNING, status.UNKNOWN], status.UNKNOWN),
        ([status.FAILED, status.STOPPED], status.FAILED),
        ([status.FAILED, status.STARTING], status.STARTING),
        ([status.STOPPING, status.STOPPED], status.STOPPING),
        ([status.ABSENT], status.EMPTY),
    ],
)
def test_an_endpoint_reads_like_its_most_telling_deployment(
    parts: list[status.Status], whole: status.Status
) -> None:
    assert status.roll_up(parts) is whole


def test_roll_up_never_hides_a_deployment_that_may_bill() -> None:
    of_deployments = {*status.BY_STATE.values(), status.IDLE, status.UNKNOWN}
    for first in of_deployments:
        for second in of_deployments:
            rolled = status.roll_up([first, second])

            assert rolled.may_bill or not (first.may_bill or second.may_bill) or rolled.is_moving


def test_stale_status_is_hollow_and_says_was() -> None:
    stale = status.mark_stale(status.IDLE)

    assert (stale.word, stale.shape, stale.role) == ("Was idle", "hollow", "stale")
    assert stale.may_bill
    assert status.mark_stale(status.UNKNOWN) is status.UNKNOWN
