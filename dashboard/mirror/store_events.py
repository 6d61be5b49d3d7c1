"""Write the event feed, the edges in it and how far it was read; a part of the mirror's store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror import events
from dashboard.mirror.models import Deployment, Endpoint, EndpointEvent, EventCursor, Source, StateChange
from dashboard.mirror.observations import Written
from dashboard.mirror.store_rollups import refresh_rollups
from dashboard.mirror.timeline import Edge, settle
from dashboard.together_api import payloads

BATCH_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class SeenFeed:
    """The events of one endpoint read from `since` (None = from the beginning) up to `read_until`.

    `is_complete` False = the walk broke: what was read is kept, the cursor stays where it was.
    """

    endpoint: Endpoint
    bodies: Sequence[payloads.EndpointEvent]
    read_until: datetime
    is_complete: bool


@transaction.atomic
def store_feed(feed: SeenFeed) -> Written:
    """Write one endpoint's new events with the edges they tell, and move its cursor when nothing was missed."""
    hold_until_commit(Lock.MIRROR_WRITES, key=feed.endpoint.connection_id)
    deployments = {
        row.remote_id: row
        for row in Deployment.objects.filter(endpoint=feed.endpoint).defer("payload").order_by("pk")
    }
    known = set(
        EndpointEvent.objects.filter(
            endpoint=feed.endpoint, remote_id__in=[body.id for body in feed.bodies]
        ).values_list("remote_id", flat=True)
    )
    fresh = [body for body in feed.bodies if body.id not in known and body.created_at is not None]
    # Read together with what is new, because a status tells its replicas by the scaling before it.
    scalings = [body for body in feed.bodies if body.id in known and body.type == events.SCALED]
    orphans = _adopt_orphans(feed.endpoint, deployments)
    EndpointEvent.objects.bulk_create(
        [
            EndpointEvent(
                endpoint=feed.endpoint,
                deployment=deployments.get(body.deployment_id or ""),
                remote_id=body.id,
                at=body.created_at or feed.read_until,
                type=body.type,
                level=body.level,
                message=body.message or "",
                payload=body.raw,
            )
            for body in fresh
        ],
        ignore_conflicts=True,
        batch_size=BATCH_ROWS,
    )
    told = [*orphans, *fresh]
    touched_ids = {body.deployment_id for body in told}
    touched = [row for row in deployments.values() if row.remote_id in touched_ids]
    _write_edges(touched, [*scalings, *told])
    if feed.is_complete:
        _move_cursor(feed)
    if told:
        _date_states(touched)
        refresh_rollups([feed.endpoint.pk])
        live.announce(["endpoints"], ids=[feed.endpoint.pk])
    return Written(created=len(fresh))


def _adopt_orphans(endpoint: Endpoint, deployments: Mapping[str, Deployment]) -> list[payloads.EndpointEvent]:
    """Return kept events of deployments that the mirror did not know when it read them, and give them their row."""
    orphans: list[payloads.EndpointEvent] = []
    rows = EndpointEvent.objects.filter(
        endpoint=endpoint, deployment=None, payload__deploymentId__in=list(deployments)
    )
    adopted = list(rows)
    for row in adopted:
        body = payloads.EndpointEvent.parse(row.payload)
        orphans.append(body)
        row.deployment = deployments[body.deployment_id or ""]
    EndpointEvent.objects.bulk_update(adopted, ["deployment"], batch_size=BATCH_ROWS)
    return orphans


def _move_cursor(feed: SeenFeed) -> None:
    """Remember how far the feed was read; the newest event never moves back."""
    newest = max((body.created_at for body in feed.bodies if body.created_at is not None), default=None)
    before = EventCursor.objects.filter(endpoint=feed.endpoint).first()
    if before is not None and before.newest_event_at is not None:
        newest = max(newest or before.newest_event_at, before.newest_event_at)
    EventCursor.objects.update_or_create(
        endpoint=feed.endpoint, defaults={"read_until": feed.read_until, "newest_event_at": newest}
    )


def _write_edges(deployments: Sequence[Deployment], bodies: Sequence[payloads.EndpointEvent]) -> None:
    contexts = _load_contexts(deployments, bodies)
    rows: list[StateChange] = []
    for deployment in deployments:
        feed = [
            events.FeedEvent(
                id=body.id,
                at=body.created_at,
                type=body.type,
                status=body.status or "",
                new_replicas=body.new_replicas,
                message=body.message or "",
            )
            for body in bodies
            if body.deployment_id == deployment.remote_id and body.created_at is not None
        ]
        rows += [
            StateChange(
                deployment=deployment,
                at=edge.at,
                state=edge.state,
                ready_replicas=edge.ready_replicas,
                hardware=deployment.hardware,
                source=Source.EVENT,
                event_id=edge.event_id,
            )
            for edge in events.derive_edges(feed, context=contexts.get(deployment.pk))
        ]
    # The feed is read with overlap: an event that was seen before is refused by its unique constraint.
    StateChange.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH_ROWS)


def _load_contexts(
    deployments: Sequence[Deployment], bodies: Sequence[payloads.EndpointEvent]
) -> Mapping[int, events.Context]:
    """Return what was wanted before the first of these events, per deployment. One query."""
    times = [body.created_at for body in bodies if body.created_at is not None]
    if not times:
        return {}
    last_scalings = (
        EndpointEvent.objects.filter(deployment__in=deployments, type=events.SCALED, at__lt=min(times))
        .order_by("deployment_id", "-at", "-id")
        .distinct("deployment_id")
        .values_list("deployment_id", "payload__newReplicas")
    )
    return {
        pk: events.Context(desired_replicas=wanted if isinstance(wanted, int) else None)
        for pk, wanted in last_scalings
        if pk is not None
    }


def _date_states(deployments: Sequence[Deployment]) -> None:
    """Set `state_since` from the edges that are now known, where they tell it better than polling did."""
    edges: dict[int, list[Edge]] = {row.pk: [] for row in deployments}
    for change in StateChange.objects.filter(deployment__in=deployments).order_by("at", "id"):
        edges[change.deployment_id].append(
            Edge(
                at=change.at,
                state=change.state,
                ready_replicas=change.ready_replicas,
                source=change.source,
                not_before=change.not_before,
            )
        )
    for row in deployments:
        since: datetime | None = None
        for edge in reversed(settle(edges[row.pk])):
            if edge.state != row.state:
                break
            since = edge.at
        if since is not None and since != row.state_since:
            Deployment.objects.filter(pk=row.pk, state=row.state).update(state_since=since)
