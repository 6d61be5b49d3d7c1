"""Sum up an endpoint from its present deployments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dashboard.core import status


class DeploymentFacts(NamedTuple):
    """The columns of a deployment that its endpoint's summary needs; a tuple, because a first pass makes thousands."""

    state: str
    model: str
    hardware: str
    desired_replicas: int | None
    ready_replicas: int | None
    billable_low: int
    billable_high: int
    nano_usd_per_hour: int | None
    gpu_count: int | None
    state_since: datetime | None


@dataclass(frozen=True, slots=True)
class Rollup:
    """The summary columns of mirror.Endpoint."""

    status: str
    status_since: datetime | None
    model: str
    hardware: str
    deployment_count: int
    ready_replicas: int | None
    desired_replicas: int | None
    gpu_count: int
    burn_low: int
    burn_high: int
    unpriced_replicas: int


def sum_up(deployments: Sequence[DeploymentFacts]) -> Rollup:
    """Return the summary; an endpoint without deployments costs nothing."""
    statuses = [status.read_state(deployment.state) for deployment in deployments]
    overall = status.roll_up(statuses)
    since = [
        deployment.state_since
        for deployment, value in zip(deployments, statuses, strict=True)
        if value == overall and deployment.state_since is not None
    ]
    # The deployment that costs most names model and hardware; ties go to the first by order of creation.
    leading = max(deployments, key=lambda one: one.billable_high * (one.nano_usd_per_hour or 0), default=None)
    return Rollup(
        status=overall.value,
        status_since=min(since) if since else None,
        model=leading.model if leading else "",
        hardware=leading.hardware if leading else "",
        deployment_count=len(deployments),
        ready_replicas=_sum_known([deployment.ready_replicas for deployment in deployments]),
        desired_replicas=_sum_known([deployment.desired_replicas for deployment in deployments]),
        gpu_count=sum(deployment.billable_high * (deployment.gpu_count or 0) for deployment in deployments),
        burn_low=sum(
            one.billable_low * one.nano_usd_per_hour for one in deployments if one.nano_usd_per_hour
        ),
        burn_high=sum(
            one.billable_high * one.nano_usd_per_hour for one in deployments if one.nano_usd_per_hour
        ),
        unpriced_replicas=sum(one.billable_high for one in deployments if one.nano_usd_per_hour is None),
    )


def _sum_known(counts: Sequence[int | None]) -> int | None:
    """Return the sum, or None when any count is not told: a sum of guesses is no fact."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
