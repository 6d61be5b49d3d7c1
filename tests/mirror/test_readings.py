"""Reading bodies into columns: what bills, and what things cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.readings import (
    bound_v1_billing,
    bound_v2_billing,
    find_price_key,
    read_instance_type,
    read_v1_deployment,
    read_v1_hardware,
    read_v2_deployment,
    read_v2_endpoint,
)
from dashboard.together_api import payloads

counts = st.one_of(st.none(), st.integers(0, 50))
STATES = [
    f"DEPLOYMENT_STATE_{word}"
    for word in ["PROVISIONING", "READY", "SCALING", "DEGRADED", "FAILED", "STOPPED", "STOPPING"]
]


@pytest.mark.parametrize(
    ("state", "ready", "bounds"),
    [
        # The count is a fact whatever the state.
        ("DEPLOYMENT_STATE_READY", 2, (2, 2)),
        ("DEPLOYMENT_STATE_STOPPING", 1, (1, 1)),
        ("DEPLOYMENT_STATE_PROVISIONING", 1, (1, 1)),
        ("DEPLOYMENT_STATE_NAPPING", 0, (0, 0)),
        # Without it only some states exclude ready replicas.
        ("DEPLOYMENT_STATE_PROVISIONING", None, (0, 0)),
        ("DEPLOYMENT_STATE_STOPPED", None, (0, 0)),
        ("DEPLOYMENT_STATE_FAILED", None, (0, 0)),
        ("DEPLOYMENT_STATE_READY", None, (0, 3)),
        ("DEPLOYMENT_STATE_DEGRADED", None, (0, 3)),
        ("DEPLOYMENT_STATE_NAPPING", None, (0, 3)),
        ("", None, (0, 3)),
    ],
)
def test_v2_bills_ready_replicas_and_anything_possible_while_they_are_not_told(state, ready, bounds):
    assert bound_v2_billing(state=state, ready_replicas=ready, upper_bound=3) == bounds


@pytest.mark.parametrize(
    "state", ["DEPLOYMENT_STATE_STOPPING", "DEPLOYMENT_STATE_NAPPING", "DEPLOYMENT_STATE_READY"]
)
def test_bounds_of_zero_do_not_make_an_uncounted_replica_free(state):
    assert bound_v2_billing(state=state, ready_replicas=None, upper_bound=0) == (0, 1)


@pytest.mark.parametrize(
    ("state", "least", "most", "bounds"),
    [
        ("STARTED", 1, 3, (1, 3)),
        ("STARTED", None, None, (1, 1)),
        ("STARTED", 2, None, (2, 2)),
        ("STARTED", 3, 1, (3, 3)),
        ("HIBERNATING", 1, 2, (1, 2)),
        ("", 1, 2, (1, 2)),
        *((state, 1, 3, (0, 0)) for state in ("PENDING", "STARTING", "STOPPING", "STOPPED", "ERROR")),
    ],
)
def test_v1_bills_its_bounds_while_started_or_in_a_state_nobody_knows(state, least, most, bounds):
    assert bound_v1_billing(state=state, min_replicas=least, max_replicas=most) == bounds


@given(st.one_of(st.sampled_from(STATES), st.text()), counts, st.integers(0, 50))
def test_bounds_are_in_order(state, ready, upper_bound):
    low, high = bound_v2_billing(state=state, ready_replicas=ready, upper_bound=upper_bound)

    assert 0 <= low <= high


@given(
    st.text().filter(lambda text: text not in {"PENDING", "STARTING", "STOPPING", "STOPPED", "ERROR"}),
    counts,
    counts,
)
def test_an_unknown_v1_state_is_never_cheaper_than_started(state, least, most):
    assert bound_v1_billing(state=state, min_replicas=least, max_replicas=most) == bound_v1_billing(
        state="STARTED", min_replicas=least, max_replicas=most
    )


OFFERED = frozenset({"1xnvidia-h100-80gb", "it_h100x1", "2xNVIDIA-H100-80GB", "1x_nvidia_h100_80gb_sxm"})


@pytest.mark.parametrize(
    ("hardware", "key"),
    [
        ("1xnvidia-h100-80gb", "1xnvidia-h100-80gb"),
        ("it_h100x1", "it_h100x1"),
        ("1xH100-80GB", "1xnvidia-h100-80gb"),
        ("2xh100-80gb", "2xNVIDIA-H100-80GB"),
        ("1x_nvidia_h100_80gb_sxm", "1x_nvidia_h100_80gb_sxm"),
        ("8xb200", None),
        ("", None),
    ],
)
def test_hardware_is_found_as_the_providers_own_command_line_finds_it(hardware, key):
    assert find_price_key(hardware, offered=OFFERED) == key


@given(st.text(), st.frozensets(st.text()))
def test_a_price_key_is_always_one_that_is_offered(hardware, offered):
    key = find_price_key(hardware, offered=offered)

    assert key is None or key in offered
    if hardware in offered:
        assert key == hardware


@pytest.mark.parametrize(("cents", "nano"), [(549, 5_490_000_000), (0, 0), (None, None)])
def test_a_v2_price_is_cents_per_hour(cents, nano):
    body = payloads.InstanceType.parse({"id": "it_1", "name": "1xh100", "priceCentsPerHour": cents})

    assert read_instance_type(body).nano_usd_per_hour == nano


@pytest.mark.parametrize(
    ("cents", "nano"), [(9, 5_400_000_000), (11.0833333, 6_649_999_980), (0.1, 60_000_000), (None, None)]
)
def test_a_v1_price_is_cents_per_minute_and_exact(cents, nano):
    pricing = None if cents is None else {"cents_per_minute": cents}
    body = payloads.V1Hardware.parse({"id": "1x_h100", "pricing": pricing, "specs": {"gpu_type": "h100"}})

    assert read_v1_hardware(body).nano_usd_per_hour == nano


def test_a_deployment_that_says_next_to_nothing_is_read_all_the_same():
    reading = read_v2_deployment(payloads.Deployment.parse({"id": "dep_1"}))

    assert (reading.name, reading.state, reading.ready_replicas) == ("dep_1", "", None)
    assert (reading.billable_low, reading.billable_high) == (0, 1)


def test_a_v2_endpoint_is_called_by_the_last_part_of_its_name():
    body = payloads.Endpoint.parse({"id": "ep_1", "name": "acme-prod/support-bot", "projectId": "proj_1"})

    assert read_v2_endpoint(body).display_name == "support-bot"


def test_a_v1_endpoint_has_no_count_of_running_replicas():
    body = payloads.V1Endpoint.parse(
        {
            "id": "endpoint-1",
            "name": "acme/x",
            "state": "STARTED",
            "autoscaling": {"min_replicas": 1, "max_replicas": 4},
        }
    )

    reading = read_v1_deployment(body)

    assert (reading.ready_replicas, reading.desired_replicas) == (None, None)
    assert (reading.billable_low, reading.billable_high) == (1, 4)
