"""Write down what is no longer there; a part of the mirror's store."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from dashboard.accounts.models import Connection
from dashboard.mirror.models import Deployment, Endpoint, Source, StateChange, SyncRun
from dashboard.mirror.observations import Observation, Written

# State word of an edge that says "no longer there"; no provider state is spelled like this.
ABSENT_STATE = "ABSENT"


def mark_missing(connection: Connection, observation: Observation) -> None:
    """Remember when these were first not found, forget it of those found; a second look decides."""
    at = observation.observed_at
    for model, missing, found in (
        (Endpoint, observation.missing_endpoints, observation.found_endpoints),
        (Deployment, observation.missing_deployments, observation.found_deployments),
    ):
        rows = model.objects.filter(connection=connection, absent_since=None)
        if missing:
            rows.filter(remote_id__in=missing, missing_since=None).update(missing_since=at)
        if found:
            rows.filter(remote_id__in=found).exclude(missing_since=None).update(missing_since=None)


def mark_absent(connection: Connection, observation: Observation, written: Written) -> None:
    """Mark rows absent since they were first missing, an absent endpoint with all that is in it, and write the edges.

    A row that was seen after this observation stays.
    """
    if not observation.absent_endpoints and not observation.absent_deployments:
        return
    at = observation.observed_at
    endpoints = {
        row.pk: row
        for row in Endpoint.objects.select_for_update()
        .filter(connection=connection, remote_id__in=observation.absent_endpoints)
        .filter(absent_since=None, observed_at__lte=at)
        .order_by("pk")
        .defer("payload")
    }
    deployments = list(
        Deployment.objects.select_for_update(of=("self",))
        .select_related("endpoint")
        .filter(connection=connection, absent_since=None, observed_at__lte=at)
        .filter(Q(remote_id__in=observation.absent_deployments) | Q(endpoint_id__in=list(endpoints)))
        .order_by("pk")
        .defer("payload", "endpoint__payload")
    )
    for endpoint in endpoints.values():
        endpoint.absent_since = endpoint.missing_since or at
        endpoint.observed_at = at
    gone_at = {
        row.pk: row.missing_since or _absence_of(endpoints.get(row.endpoint_id)) or at for row in deployments
    }
    bounds = _find_bounds(connection, gone_at.values())
    StateChange.objects.bulk_create(
        [
            StateChange(
                deployment=row,
                at=gone_at[row.pk],
                # It was certainly there when its last content came, and in the complete pass before it was missed.
                not_before=min(
                    max(row.observed_at, bounds[gone_at[row.pk]] or row.observed_at), gone_at[row.pk]
                ),
                state=ABSENT_STATE,
                ready_replicas=0,
                source=Source.POLL,
            )
            for row in deployments
        ]
    )
    for row in deployments:
        row.absent_since, row.observed_at = gone_at[row.pk], at
    Endpoint.objects.bulk_update(endpoints.values(), ["absent_since", "observed_at"], batch_size=500)
    Deployment.objects.bulk_update(deployments, ["absent_since", "observed_at"], batch_size=500)
    written.absent += len(endpoints) + len(deployments)
    written.endpoint_ids.update(endpoints, (row.endpoint_id for row in deployments))


def _absence_of(endpoint: Endpoint | None) -> datetime | None:
    return None if endpoint is None else endpoint.absent_since


def _find_bounds(connection: Connection, times: Iterable[datetime]) -> dict[datetime, datetime | None]:
    """Return, per time of an absence, when the last complete pass before it began. One query per time, of which
    there is one as a rule."""
    return {
        at: SyncRun.objects.filter(
            connection=connection,
            resource=SyncRun.Resource.ENDPOINTS,
            outcome=SyncRun.Outcome.COMPLETE,
            finished_at__lt=at,
        )
        .order_by("-finished_at")
        .values_list("started_at", flat=True)
        .first()
        for at in set(times)
    }
