"""Summing up an endpoint from its deployments."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.rollup import DeploymentFacts, sum_up

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def facts(
    state: str = "READY",
    *,
    ready: int | None = 1,
    low: int = 1,
    high: int = 1,
    price: int | None = 5_400_000_000,
    gpus: int | None = 1,
    since: datetime | None = NOW,
    model: str = "m",
) -> DeploymentFacts:
    return DeploymentFacts(state, model, "1xh100", ready, ready, low, high, price, gpus, since)


some_facts = st.builds(
    facts,
    st.sampled_from(["READY", "STOPPED", "STOPPING", "FAILED", "DEPLOYMENT_STATE_NAPPING"]),
    ready=st.one_of(st.none(), st.integers(0, 9)),
    low=st.integers(0, 4),
    high=st.integers(4, 9),
    price=st.one_of(st.none(), st.integers(0, 10**11)),
    gpus=st.one_of(st.none(), st.integers(1, 8)),
)


@given(st.lists(some_facts, max_size=6))
def test_burn_is_the_sum_of_what_has_a_price_and_the_rest_is_counted(deployments):
    total = sum_up(deployments)

    priced = [one for one in deployments if one.nano_usd_per_hour is not None]
    assert total.burn_low == sum(one.billable_low * one.nano_usd_per_hour for one in priced)
    assert total.burn_high == sum(one.billable_high * one.nano_usd_per_hour for one in priced)
    assert total.burn_low <= total.burn_high
    assert total.unpriced_replicas == sum(
        one.billable_high for one in deployments if one.nano_usd_per_hour is None
    )
    assert total.deployment_count == len(deployments)


@given(st.lists(some_facts, min_size=1, max_size=6))
def test_a_sum_of_replicas_is_told_only_when_each_is(deployments):
    total = sum_up(deployments)

    told = [one.ready_replicas for one in deployments]
    assert total.ready_replicas == (None if None in told else sum(told))


def test_an_unknown_price_is_never_zero():
    total = sum_up([facts(price=None, low=2, high=3)])

    assert (total.burn_low, total.burn_high, total.unpriced_replicas) == (0, 0, 3)


def test_an_endpoint_without_deployments_costs_nothing_and_says_so():
    total = sum_up([])

    assert (total.status, total.status_since, total.burn_high, total.ready_replicas) == ("empty", None, 0, 0)


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["READY", "STOPPED"], "running"),
        (["READY", "FAILED"], "degraded"),
        (["STOPPED", "DEPLOYMENT_STATE_NAPPING"], "unknown"),
        (["STOPPED", "STOPPED"], "stopped"),
        (["PROVISIONING", "STOPPED"], "starting"),
    ],
)
def test_what_may_cost_or_needs_a_person_names_the_whole(states, status):
    assert sum_up([facts(state) for state in states]).status == status


def test_the_status_holds_since_the_first_deployment_that_has_it():
    earlier = NOW - timedelta(hours=2)
    deployments = [
        facts(),
        facts(since=earlier),
        facts("STOPPED", since=NOW - timedelta(days=9)),
        facts(since=None),
    ]

    assert sum_up(deployments).status_since == earlier


def test_the_dearest_deployment_names_model_and_hardware():
    assert (
        sum_up([facts(model="small"), facts(model="big", high=3), facts(model="none", price=None)]).model
        == "big"
    )
