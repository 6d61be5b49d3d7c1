"""Hand what an act read to the mirror, and recall what an earlier act knew. Queries, no HTTP."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from dashboard.lifecycle.claims import Claim
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.provider import Look
from dashboard.lifecycle.verdicts import Gone, Memo, Unread
from dashboard.lifecycle.verdicts.limits import ABSENT_CONFIRMED_AFTER
from dashboard.mirror import store
from dashboard.mirror.groups import find_source
from dashboard.mirror.models import Deployment, Endpoint, Generation, Resource
from dashboard.mirror.observations import SeenDeployment, SeenEndpoint
from dashboard.mirror.readings import read_deployment, read_v2_deployment, read_v2_endpoint
from dashboard.mirror.store_resources import (
    ResourceObservation,
    SeenResource,
    record_observed_resource,
    store_resources,
)
from dashboard.together_api import payloads

_MAKERS = (StopAction.Kind.CREATE, StopAction.Kind.UPLOAD)


def reflect_look(claim: Claim, look: Look, *, fetched_at: datetime, answered_at: datetime) -> None:
    """Write the read bodies to the mirror when they tell something new; absence only when it was asked twice.

    What the bodies say was true between `fetched_at` and `answered_at`.
    """
    action = claim.action
    if isinstance(look.sight, Unread):
        return
    if isinstance(look.sight, Gone):
        _reflect_absence(action, fetched_at=fetched_at, answered_at=answered_at)
        return
    if look.resource is not None:
        _reflect_resource(claim, look.resource, fetched_at=fetched_at, answered_at=answered_at)
    elif action.kind == StopAction.Kind.SPLIT and look.endpoint is not None:
        _reflect_endpoint(action, look.endpoint, fetched_at=fetched_at)
    elif action.kind == StopAction.Kind.DEPLOY:
        _reflect_deploy(claim, look, fetched_at=fetched_at, answered_at=answered_at)
    else:
        bodies = look.deployments if look.body is None else (look.body,)
        _reflect_deployments(action, bodies, fetched_at=fetched_at, answered_at=answered_at)


def _reflect_deployments(
    action: StopAction,
    bodies: Iterable[payloads.Deployment | payloads.V1Endpoint],
    *,
    fetched_at: datetime,
    answered_at: datetime,
) -> None:
    """Write those of the bodies that differ from their rows; what has no row yet is left to the sync."""
    found = list(bodies)
    if not found:
        return
    if action.deployment is not None:
        rows = {action.deployment.remote_id: action.deployment}
    else:
        known = Deployment.objects.filter(
            endpoint=action.endpoint, remote_id__in=[body.id for body in found], absent_since=None
        )
        rows = {row.remote_id: row for row in known.select_related("endpoint", "connection")}
    for body in found:
        row = rows.get(body.id)
        if row is None:
            continue
        seen = read_deployment(body)
        mirrored = (row.state, row.ready_replicas, row.min_replicas, row.max_replicas)
        is_new = mirrored != (seen.state, seen.ready_replicas, seen.min_replicas, seen.max_replicas)
        # What a change of settings is about stands in the rest of the body.
        if action.kind == StopAction.Kind.CONFIGURE:
            is_new = is_new or bytes(row.fingerprint) != body.fingerprint
        if is_new:
            store.record_observed_deployment(row, body=body, fetched_at=fetched_at, answered_at=answered_at)


def _reflect_endpoint(action: StopAction, body: payloads.Endpoint, *, fetched_at: datetime) -> None:
    row = action.endpoint
    if row is not None and bytes(row.fingerprint) != body.fingerprint:
        seen = store.Observation(
            seen_before=row.observed_at, observed_at=fetched_at, endpoints=[_see(body, fetched_at=fetched_at)]
        )
        store.store_observation(row.connection, seen)


def _see(body: payloads.Endpoint, *, fetched_at: datetime) -> SeenEndpoint:
    return SeenEndpoint(
        reading=read_v2_endpoint(body),
        generation=Generation.V2.value,
        raw=body.raw,
        fingerprint=body.fingerprint,
        fetched_at=fetched_at,
    )


def _reflect_absence(action: StopAction, *, fetched_at: datetime, answered_at: datetime) -> None:
    first = action.absent_seen_at
    was_deleted = (
        action.kind == StopAction.Kind.DELETE and action.answered_at is not None and action.resource is None
    )
    if not was_deleted and (first is None or fetched_at - first < ABSENT_CONFIRMED_AFTER):
        return
    if action.resource is not None:
        record_observed_resource(
            action.resource,
            reading=None,
            raw={},
            fingerprint=b"",
            fetched_at=fetched_at,
            answered_at=answered_at,
        )
    elif action.deployment is not None:
        store.record_observed_deployment(
            action.deployment, body=None, fetched_at=fetched_at, answered_at=answered_at
        )
    elif action.endpoint is not None:
        gone = store.Observation(
            seen_before=action.endpoint.observed_at,
            observed_at=fetched_at,
            absent_endpoints=[action.endpoint.remote_id],
        )
        store.store_observation(action.endpoint.connection, gone)


def _reflect_resource(
    claim: Claim, body: payloads.Resource, *, fetched_at: datetime, answered_at: datetime
) -> None:
    """Write the body of the act's resource, or of what it made, which then becomes its resource."""
    action = claim.action
    made_id = _find_made_id(action, body)
    if action.kind in _MAKERS and not made_id:
        # Of that name, but somebody else's.
        return
    kind = action.resource.kind if action.resource is not None else _MADE_KINDS[type(body)]
    reading = find_source(kind).read(body)
    if action.resource is not None:
        if bytes(action.resource.fingerprint) != body.fingerprint:
            record_observed_resource(
                action.resource,
                reading=reading,
                raw=body.raw,
                fingerprint=body.fingerprint,
                fetched_at=fetched_at,
                answered_at=answered_at,
            )
        return
    if reading.project_remote_id is None and action.project is not None:
        # Bodies of volumes name no project: only the act knows for whom it was made.
        reading = replace(reading, project_remote_id=action.project.remote_id)
    seen = SeenResource(reading, body.raw, body.fingerprint, fetched_at, answered_at)
    store_resources(
        action.connection, ResourceObservation(seen_before=None, observed_at=answered_at, seen=[seen])
    )
    row = Resource.objects.filter(connection=action.connection, kind=kind, remote_id=made_id).first()
    _attach(claim, resource=row)


_MADE_KINDS: dict[type[payloads.Resource], str] = {
    payloads.Volume: "volume",
    payloads.ModelUpload: "upload",
}


def _find_made_id(action: StopAction, body: payloads.Resource) -> str:
    """Return the remote id of the body if this act may have made it, else an empty string."""
    memo = Memo.read(action.made)
    remote_id = str(getattr(body, "id", ""))
    was_sent = memo.count("create_volume") or memo.count("upload")
    return remote_id if was_sent else ""


def _reflect_deploy(claim: Claim, look: Look, *, fetched_at: datetime, answered_at: datetime) -> None:
    """Write endpoint and deployment as soon as they exist, and let the act name their rows."""
    action = claim.action
    memo = Memo.read(action.made)
    is_ours = action.endpoint is not None or memo.count("create_endpoint")
    if look.endpoint is None or not is_ours:
        return
    body = look.deployments[0] if look.deployments else None
    row = action.deployment
    is_known = action.endpoint is not None and (
        body is None or (row is not None and bytes(row.fingerprint) == body.fingerprint)
    )
    if is_known:
        return
    seen = store.Observation(
        seen_before=None,
        observed_at=fetched_at,
        endpoints=[_see(look.endpoint, fetched_at=fetched_at)],
        deployments=[]
        if body is None
        else [
            SeenDeployment(
                reading=read_v2_deployment(body),
                endpoint_remote_id=look.endpoint.id,
                generation=Generation.V2.value,
                raw=body.raw,
                fingerprint=body.fingerprint,
                fetched_at=fetched_at,
                answered_at=answered_at,
            )
        ],
    )
    connection = action.connection
    store.store_observation(connection, seen)
    endpoint = Endpoint.objects.filter(connection=connection, remote_id=look.endpoint.id).first()
    deployment = (
        None if body is None else Deployment.objects.filter(connection=connection, remote_id=body.id).first()
    )
    _attach(claim, endpoint=endpoint, deployment=deployment)


def _attach(claim: Claim, **rows: Endpoint | Deployment | Resource | None) -> None:
    """Let the act name what it made, as long as the claim holds."""
    found = {name: row for name, row in rows.items() if row is not None}
    held = StopAction.objects.filter(pk=claim.action.pk, generation=claim.generation)
    if found and held.update(**found):
        for name, row in found.items():
            setattr(claim.action, name, row)


def recall_autoscaling(action: StopAction) -> dict[str, Any]:
    """Return the scaling settings that the last stop of the deployment read before it was sent; {} when none did."""
    before = (
        StopAction.objects.filter(deployment=action.deployment, autoscaling_before__isnull=False)
        .order_by("-requested_at")
        .values_list("autoscaling_before", flat=True)
        .first()
    )
    return before or {}
