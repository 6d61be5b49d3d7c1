"""Write the mirror: the sole writer of its tables (Project.team apart: ownership.py).

This module writes endpoints, deployments and their edges; `store_*.py` are its other parts. Each function is one
transaction with a fixed number of statements, whatever the number of rows, and announces what it changed when the
transaction commits. An observation never overwrites a later one: a listing that took twenty seconds must not undo
what a quick look saw meanwhile.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror import catalogue
from dashboard.mirror.models import Deployment, Endpoint, Generation, Project, Source, StateChange
from dashboard.mirror.observations import Observation, SeenDeployment, SeenEndpoint, Written
from dashboard.mirror.readings import read_deployment
from dashboard.mirror.rows import among, insert_rows, upsert_rows
from dashboard.mirror.store_absence import mark_absent, mark_missing
from dashboard.mirror.store_rollups import refresh_rollups
from dashboard.together_api import payloads

# Written by the roll-up: an insert gives them a value, an update leaves them alone.
_ROLLUP_COLUMNS = (
    "model", "hardware", "status", "deployment_count", "gpu_count", "burn_low", "burn_high", "unpriced_replicas",
)  # fmt: skip


@transaction.atomic
def store_observation(connection: Connection, observation: Observation) -> Written:
    """Write endpoints, deployments, edges and roll-ups of one pass; return what was written."""
    if observation.is_empty:
        return Written()
    # Passes and acts write the same endpoints and deployments, parents and children in either order: one at a time.
    hold_until_commit(Lock.MIRROR_WRITES, key=connection.pk)
    written = Written()
    endpoint_ids = _upsert_endpoints(connection, observation, written)
    _upsert_deployments(connection, observation, endpoint_ids, written)
    mark_missing(connection, observation)
    mark_absent(connection, observation, written)
    if written.endpoint_ids:
        refresh_rollups(written.endpoint_ids)
        live.announce(["endpoints"], ids=written.endpoint_ids)
    return written


def record_observed_deployment(
    deployment: Deployment,
    *,
    body: payloads.Deployment | payloads.V1Endpoint | None,
    fetched_at: datetime,
    answered_at: datetime | None = None,
) -> Written:
    """Write one deployment that someone just read (an act that observes its effect); None = the provider says 404.

    `fetched_at` is the time just before the read was sent, `answered_at` that of its answer (None = not known, the
    same). The caller has made sure of a 404 (asked twice).
    """
    observation = Observation(
        seen_before=deployment.observed_at,
        observed_at=fetched_at,
        deployments=[]
        if body is None
        else [_see(deployment, body, fetched_at=fetched_at, answered_at=answered_at)],
        absent_deployments=[deployment.remote_id] if body is None else [],
    )
    return store_observation(deployment.connection, observation)


def _see(
    deployment: Deployment,
    body: payloads.Deployment | payloads.V1Endpoint,
    *,
    fetched_at: datetime,
    answered_at: datetime | None,
) -> SeenDeployment:
    reading = read_deployment(body)
    return SeenDeployment(
        reading=reading,
        endpoint_remote_id=deployment.endpoint.remote_id,
        generation=deployment.generation,
        raw=body.raw,
        fingerprint=body.fingerprint,
        fetched_at=fetched_at,
        answered_at=answered_at or fetched_at,
    )


def _upsert_endpoints(connection: Connection, observation: Observation, written: Written) -> dict[str, int]:
    """Write the endpoints; return remote id -> id of every endpoint the observation mentions."""
    # An item on two pages or in two projects at once would be written twice by one statement, which PostgreSQL refuses.
    listed = {seen.reading.remote_id: seen for seen in observation.endpoints}
    projects = dict(
        Project.objects.filter(
            connection=connection,
            remote_id__in={seen.reading.project_remote_id for seen in listed.values()},
        ).values_list("remote_id", "id")
    )
    mentioned = {*listed, *(seen.endpoint_remote_id for seen in observation.deployments)}
    known = dict(
        Endpoint.objects.filter(connection=connection, remote_id__in=among(mentioned)).values_list(
            "remote_id", "id"
        )
    )
    ids = upsert_rows(
        Endpoint,
        [_describe_endpoint(connection, seen, projects) for seen in listed.values()],
        key=("connection_id", "remote_id"),
        insert_only=_ROLLUP_COLUMNS,
    )
    written.created += len(ids.keys() - known.keys())
    written.updated += len(ids.keys() & known.keys())
    written.endpoint_ids.update(ids.values())
    return known | ids


def _describe_endpoint(
    connection: Connection, seen: SeenEndpoint, projects: Mapping[str, int]
) -> dict[str, Any]:
    reading = seen.reading
    return {
        "connection_id": connection.pk,
        "remote_id": reading.remote_id,
        "project_id": projects[reading.project_remote_id],
        "generation": seen.generation,
        "name": reading.name,
        "display_name": reading.display_name,
        "endpoint_type": reading.endpoint_type,
        "visibility": reading.visibility,
        "etag": reading.etag,
        "remote_created_at": reading.remote_created_at,
        "remote_updated_at": reading.remote_updated_at,
        "payload": seen.raw,
        "fingerprint": seen.fingerprint,
        "first_observed_at": seen.fetched_at,
        "observed_at": seen.fetched_at,
        "missing_since": None,
        "absent_since": None,
        # The roll-up writes these in the same transaction.
        "model": "",
        "hardware": "",
        "status": "unknown",
        "deployment_count": 0,
        "gpu_count": 0,
        "burn_low": 0,
        "burn_high": 0,
        "unpriced_replicas": 0,
    }


def _upsert_deployments(
    connection: Connection, observation: Observation, endpoint_ids: Mapping[str, int], written: Written
) -> None:
    if not observation.deployments:
        return
    latest = {seen.reading.remote_id: seen for seen in observation.deployments}
    previous = _lock_previous(connection, latest)
    prices = catalogue.load_prices(connection)
    names = catalogue.load_model_names(connection)
    rows: dict[str, dict[str, Any]] = {}
    for remote_id, seen in latest.items():
        before = previous.get(remote_id)
        if before is not None and before.observed_at > seen.fetched_at:
            continue
        offer = prices.find(seen.generation, seen.reading.hardware)
        rows[remote_id] = {
            **_describe_deployment(connection, seen, endpoint_ids[seen.endpoint_remote_id]),
            "nano_usd_per_hour": offer.nano_usd_per_hour,
            "gpu_count": offer.gpu_count,
            "model": names.get(seen.reading.model_id, seen.reading.model_id),
            "state_since": _find_state_since(before, seen, observation),
        }
    ids = upsert_rows(
        Deployment, list(rows.values()), key=("connection_id", "remote_id"), newest_by="observed_at"
    )
    changed = [latest[remote_id] for remote_id in ids if _is_edge(previous.get(remote_id), latest[remote_id])]
    insert_rows(
        StateChange,
        [
            _describe_edge(
                ids[seen.reading.remote_id], previous.get(seen.reading.remote_id), seen, observation
            )
            for seen in changed
        ],
    )
    written.created += len(ids.keys() - previous.keys())
    written.updated += len(ids.keys() & previous.keys())
    written.endpoint_ids.update(rows[remote_id]["endpoint_id"] for remote_id in ids)
    written.endpoint_ids.update(previous[remote_id].endpoint_id for remote_id in ids.keys() & previous.keys())


def _lock_previous(connection: Connection, remote_ids: Collection[str]) -> dict[str, Deployment]:
    """Return what the mirror holds of these deployments, locked until the end of the transaction. One query."""
    rows = (
        Deployment.objects.select_for_update()
        .filter(connection=connection, remote_id__in=among(remote_ids))
        .order_by("pk")
        .only(
            "remote_id", "endpoint_id", "observed_at", "absent_since", "state", "state_since",
            "ready_replicas", "min_replicas", "max_replicas", "hardware",
        )
    )  # fmt: skip
    return {row.remote_id: row for row in rows}


def _describe_deployment(connection: Connection, seen: SeenDeployment, endpoint_id: int) -> dict[str, Any]:
    reading = seen.reading
    return {
        "connection_id": connection.pk,
        "remote_id": reading.remote_id,
        "endpoint_id": endpoint_id,
        "generation": seen.generation,
        "name": reading.name,
        "model_id": reading.model_id,
        "hardware": reading.hardware,
        "state": reading.state,
        "state_message": reading.state_message,
        "min_replicas": reading.min_replicas,
        "max_replicas": reading.max_replicas,
        "desired_replicas": reading.desired_replicas,
        "ready_replicas": reading.ready_replicas,
        "billable_low": reading.billable_low,
        "billable_high": reading.billable_high,
        "traffic_share": reading.traffic_share,
        "traffic_mode": reading.traffic_mode,
        "inactive_timeout_minutes": reading.inactive_timeout_minutes,
        "etag": reading.etag,
        "remote_created_at": reading.remote_created_at,
        "remote_updated_at": reading.remote_updated_at,
        "payload": seen.raw,
        "fingerprint": seen.fingerprint,
        "first_observed_at": seen.fetched_at,
        "observed_at": seen.fetched_at,
        "missing_since": None,
        "absent_since": None,
    }


def _describe_edge(
    deployment_id: int, before: Deployment | None, seen: SeenDeployment, observation: Observation
) -> dict[str, Any]:
    reading = seen.reading
    return {
        "deployment_id": deployment_id,
        "at": seen.answered_at,
        "not_before": _find_bound(before, seen, observation),
        "state": reading.state,
        "ready_replicas": reading.ready_replicas,
        "min_replicas": reading.min_replicas,
        "max_replicas": reading.max_replicas,
        "hardware": reading.hardware,
        "source": Source.POLL.value,
        "event_id": "",
    }


def _is_edge(before: Deployment | None, seen: SeenDeployment) -> bool:
    """Return True when something that metering or the timeline reads has changed."""
    if before is None or before.absent_since is not None:
        return True
    reading = seen.reading
    return (
        before.state,
        before.ready_replicas,
        before.min_replicas,
        before.max_replicas,
        before.hardware,
    ) != (
        reading.state,
        reading.ready_replicas,
        reading.min_replicas,
        reading.max_replicas,
        reading.hardware,
    )


def _find_state_since(
    before: Deployment | None, seen: SeenDeployment, observation: Observation
) -> datetime | None:
    """Return since when the present state holds; None for a first sight, whose past the events will tell."""
    if before is None:
        return None if observation.seen_before is None else seen.answered_at
    if before.state == seen.reading.state and before.absent_since is None:
        return before.state_since
    return seen.answered_at


def _find_bound(before: Deployment | None, seen: SeenDeployment, observation: Observation) -> datetime | None:
    """Return the earliest time the edge can have happened; None = no bound known.

    After the content that it replaces, and after the last complete pass, which would have shown it: all but a v1
    endpoint's bounds and hardware, which its listing does not carry and which are read less often.
    """
    reading = seen.reading
    if before is None:
        bounds = [observation.seen_before, reading.remote_created_at]
    elif seen.generation == Generation.V1 and before.absent_since is None and before.state == reading.state:
        bounds = [before.observed_at]
    else:
        bounds = [observation.seen_before, before.observed_at]
    return max((bound for bound in bounds if bound is not None and bound <= seen.answered_at), default=None)
