"""Hand what an act read to the mirror, and recall what an earlier act knew. Queries, no HTTP."""

from datetime import datetime
from typing import Any

from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.provider import Look
from dashboard.lifecycle.verdicts import Gone, Seen
from dashboard.lifecycle.verdicts.limits import ABSENT_CONFIRMED_AFTER
from dashboard.mirror import store


def reflect_look(action: StopAction, look: Look, *, fetched_at: datetime) -> None:
    """Write the read body to the mirror when it tells something new; absence only when it was asked twice."""
    deployment = action.deployment
    if isinstance(look.sight, Gone):
        _reflect_absence(action, fetched_at=fetched_at)
        return
    if deployment is None or look.body is None or not isinstance(look.sight, Seen):
        return
    mirrored = (
        deployment.state, deployment.ready_replicas, deployment.min_replicas, deployment.max_replicas
    )  # fmt: skip
    seen = look.sight
    if mirrored != (seen.state, seen.ready_replicas, seen.min_replicas, seen.max_replicas):
        store.record_observed_deployment(deployment, body=look.body, fetched_at=fetched_at)


def _reflect_absence(action: StopAction, *, fetched_at: datetime) -> None:
    first = action.absent_seen_at
    was_deleted = action.kind == StopAction.Kind.DELETE and action.answered_at is not None
    if not was_deleted and (first is None or fetched_at - first < ABSENT_CONFIRMED_AFTER):
        return
    if action.deployment is not None:
        store.record_observed_deployment(action.deployment, body=None, fetched_at=fetched_at)
    else:
        gone = store.Observation(
            seen_before=action.endpoint.observed_at,
            observed_at=fetched_at,
            absent_endpoints=[action.endpoint.remote_id],
        )
        store.store_observation(action.endpoint.connection, gone)


def recall_autoscaling(action: StopAction) -> dict[str, Any]:
    """Return the scaling settings that the last stop of the deployment read before it was sent; {} when none did."""
    before = (
        StopAction.objects.filter(deployment=action.deployment, autoscaling_before__isnull=False)
        .order_by("-requested_at")
        .values_list("autoscaling_before", flat=True)
        .first()
    )
    return before or {}
