"""Write resources, their edges and links; a part of the mirror's store. Same rules as store.py."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror.groups import GROUP_OF
from dashboard.mirror.models import (
    Project,
    Resource,
    ResourceChange,
    ResourceKind,
    ResourceLink,
    Source,
    SyncRun,
    UnitPrice,
)
from dashboard.mirror.observations import Written
from dashboard.mirror.resource_readings import Phase, ResourceReading
from dashboard.mirror.rows import among, insert_rows, upsert_rows
from dashboard.mirror.store_absence import ABSENT_STATE

# Kind and remote id.
ResourceKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SeenResource:
    """A resource to be written, with its body and that body's fingerprint.

    What the body says was true between `fetched_at` (just before it was asked for) and `answered_at`. `listed_by` is
    the project that listed it, whatever the body says; empty: the listing went over all of them.
    """

    reading: ResourceReading
    raw: dict[str, Any]
    fingerprint: bytes
    fetched_at: datetime
    answered_at: datetime
    listed_by: str = ""


@dataclass(frozen=True, slots=True)
class ResourceObservation:
    """What one pass saw and has to write; `missing`, `absent` and `found` as in observations.Observation."""

    seen_before: datetime | None
    observed_at: datetime
    seen: Sequence[SeenResource] = ()
    missing: Sequence[ResourceKey] = ()
    absent: Sequence[ResourceKey] = ()
    found: Sequence[ResourceKey] = ()


@transaction.atomic
def store_resources(connection: Connection, observation: ResourceObservation) -> Written:
    """Write the resources of one pass, their edges and links; return what was written."""
    written = Written()
    if not (observation.seen or observation.missing or observation.absent or observation.found):
        return written
    # Passes and acts write the same rows in either order: one at a time.
    hold_until_commit(Lock.RESOURCE_WRITES, key=connection.pk)
    kinds = {one.reading.kind for one in observation.seen}
    for kind in sorted(kinds):
        seen = {one.reading.remote_id: one for one in observation.seen if one.reading.kind == kind}
        _upsert_kind(connection, kind, seen, observation, written)
    _mark_missing(connection, observation)
    kinds |= _mark_absent(connection, observation, written)
    if kinds:
        live.announce(["resources", *kinds])
    return written


def record_observed_resource(
    resource: Resource,
    *,
    reading: ResourceReading | None,
    raw: dict[str, Any],
    fingerprint: bytes,
    fetched_at: datetime,
    answered_at: datetime,
) -> Written:
    """Write one resource that someone just read (an act that observes its effect).

    `reading` None = the provider says 404; the caller has made sure of that (asked twice).
    """
    key = (resource.kind, resource.remote_id)
    return store_resources(
        resource.connection,
        ResourceObservation(
            seen_before=resource.observed_at,
            observed_at=answered_at,
            seen=[]
            if reading is None
            else [SeenResource(reading, raw, fingerprint, fetched_at, answered_at)],
            absent=[key] if reading is None else [],
        ),
    )


def load_unit_prices(connection: Connection) -> dict[str, int]:
    """Return sku -> nano-dollars per unit and hour, as of now. One query."""
    rows = UnitPrice.objects.filter(connection=connection, valid_until=None)
    return dict(rows.values_list("sku", "nano_usd_per_hour"))


def _upsert_kind(
    connection: Connection,
    kind: str,
    seen: Mapping[str, SeenResource],
    observation: ResourceObservation,
    written: Written,
) -> None:
    projects = _load_projects(connection)
    is_priced = any(one.reading.sku for one in seen.values())
    prices = load_unit_prices(connection) if is_priced else {}
    previous = {
        row.remote_id: row
        for row in Resource.objects.select_for_update()
        .filter(connection=connection, kind=kind, remote_id__in=among(seen))
        .order_by("pk")
        .only(
            "remote_id",
            "observed_at",
            "absent_since",
            "state",
            "state_since",
            "status",
            "units",
            "project_id",
        )
    }
    rows = []
    for remote_id, one in seen.items():
        before = previous.get(remote_id)
        if before is not None and before.observed_at > one.fetched_at:
            continue
        rows.append(
            _describe(connection, one, before, projects=projects, prices=prices, observation=observation)
        )
    ids = upsert_rows(Resource, rows, key=("connection_id", "kind", "remote_id"), newest_by="observed_at")
    _write_edges(ids, previous, seen, observation)
    _write_links(ids, seen, known=ids.keys() & previous.keys())
    written.created += len(ids.keys() - previous.keys())
    written.updated += len(ids.keys() & previous.keys())


def _load_projects(connection: Connection) -> dict[str | None, int]:
    """Return remote id -> id; None -> the key's own project, where everything goes that names none or a foreign one."""
    ordered = Project.objects.filter(connection=connection).order_by("absent_since", "-is_key_project", "pk")
    rows = list(ordered.values_list("remote_id", "pk", "is_key_project"))
    projects: dict[str | None, int] = {remote_id: pk for remote_id, pk, _ in rows}
    homes = [pk for _, pk, is_key_project in rows if is_key_project] or [pk for _, pk, _ in rows]
    if homes:
        projects[None] = homes[0]
    return projects


def _describe(
    connection: Connection,
    seen: SeenResource,
    before: Resource | None,
    *,
    projects: Mapping[str | None, int],
    prices: Mapping[str, int],
    observation: ResourceObservation,
) -> dict[str, Any]:
    reading = seen.reading
    price = prices.get(reading.sku) if reading.sku else None
    named = seen.listed_by or reading.project_remote_id
    project = None if named is None else projects.get(named)
    if project is None:
        # What names none stays where it is: an act may have told whose it is.
        project = before.project_id if before is not None else projects[None]
    return {
        "connection_id": connection.pk,
        "kind": reading.kind,
        "remote_id": reading.remote_id,
        "project_id": project,
        "name": reading.name or reading.remote_id,
        "model": reading.model,
        "hardware": reading.hardware,
        "region": reading.region,
        "owner": reading.owner,
        "variety": reading.variety,
        "state": reading.state,
        "state_message": reading.state_message,
        "state_since": _find_state_since(before, seen, observation),
        "status": reading.status.value,
        "remote_created_at": reading.remote_created_at,
        "remote_updated_at": reading.remote_updated_at,
        "started_at": reading.started_at,
        "finished_at": reading.finished_at,
        "expires_at": reading.expires_at,
        "progress": reading.progress,
        "seconds_remaining": reading.seconds_remaining,
        "size_bytes": reading.size_bytes,
        "tokens": reading.tokens,
        "total_nano_usd": reading.total_nano_usd,
        "gpu_count": reading.gpu_count,
        "units": reading.units,
        "sku": reading.sku,
        "nano_usd_per_unit_hour": price,
        "burn": reading.units * price if price is not None else 0,
        "unpriced_units": reading.units if price is None else 0,
        "payload": seen.raw,
        "fingerprint": seen.fingerprint,
        "first_observed_at": seen.fetched_at,
        "observed_at": seen.fetched_at,
        "missing_since": None,
        "absent_since": None,
    }


def _find_state_since(
    before: Resource | None, seen: SeenResource, observation: ResourceObservation
) -> datetime | None:
    """Return since when the present state holds: the provider's phase, else our own sight; None for a first sight."""
    reading = seen.reading
    if reading.state_began_at is not None:
        return reading.state_began_at
    if before is None:
        return None if observation.seen_before is None else seen.answered_at
    if before.state == reading.state and before.absent_since is None:
        return before.state_since
    return seen.answered_at


def _write_edges(
    ids: Mapping[str, int],
    previous: Mapping[str, Resource],
    seen: Mapping[str, SeenResource],
    observation: ResourceObservation,
) -> None:
    """Write an edge for each phase the provider dates, and one of our own where state or units changed without one."""
    edges: list[dict[str, Any]] = []
    for remote_id, pk in ids.items():
        one, before = seen[remote_id], previous.get(remote_id)
        reading = one.reading
        edges += [_describe_phase(pk, phase, reading) for phase in reading.phases]
        is_same_state = before is not None and before.absent_since is None and before.state == reading.state
        if is_same_state and before is not None and before.units == reading.units:
            continue
        # A new state that the provider dates has its edge already; what has neither state nor units has no edges.
        if not is_same_state and (reading.state_began_at is not None or not (reading.state or reading.units)):
            continue
        bounds = [observation.seen_before, before.observed_at if before else reading.remote_created_at]
        edges.append(
            {
                "resource_id": pk,
                "at": one.answered_at,
                "not_before": max(
                    (bound for bound in bounds if bound is not None and bound <= one.answered_at),
                    default=None,
                ),
                "state": reading.state,
                "units": reading.units,
                "source": Source.POLL.value,
                "phase_key": "",
            }
        )
    # A body tells all its phases every time: those that have their edge are left out.
    insert_rows(ResourceChange, edges, skips_known=True)


def _describe_phase(pk: int, phase: Phase, reading: ResourceReading) -> dict[str, Any]:
    """Return the edge of a phase; the units are known only of the one that holds now."""
    is_present = phase.state == reading.state and phase.at == reading.state_began_at
    return {
        "resource_id": pk,
        "at": phase.at,
        "not_before": None,
        "state": phase.state,
        "units": reading.units if is_present else None,
        "source": Source.PHASE.value,
        "phase_key": phase.key,
    }


def _write_links(ids: Mapping[str, int], seen: Mapping[str, SeenResource], *, known: Iterable[str]) -> None:
    """Make the links of these resources those that their bodies name now. At most three statements.

    Only those of `known` can have links yet.
    """
    wanted = {
        (pk, relation, target)
        for remote_id, pk in ids.items()
        for relation, target in seen[remote_id].reading.links
    }
    old = ResourceLink.objects.filter(resource__in=[ids[remote_id] for remote_id in known])
    present = {
        (pk, relation, target): link_id
        for link_id, pk, relation, target in old.values_list("id", "resource_id", "relation", "target")
    }
    lost = [pk for key, pk in present.items() if key not in wanted]
    if lost:
        ResourceLink.objects.filter(pk__in=lost).delete()
    insert_rows(
        ResourceLink,
        [
            {"resource_id": pk, "relation": relation, "target": target}
            for pk, relation, target in sorted(wanted - present.keys())
        ],
    )


def _mark_missing(connection: Connection, observation: ResourceObservation) -> None:
    rows = Resource.objects.filter(connection=connection, absent_since=None)
    for kind, remote_ids in _by_kind(observation.missing).items():
        rows.filter(kind=kind, remote_id__in=remote_ids, missing_since=None).update(
            missing_since=observation.observed_at
        )
    for kind, remote_ids in _by_kind(observation.found).items():
        rows.filter(kind=kind, remote_id__in=remote_ids).exclude(missing_since=None).update(
            missing_since=None
        )


def _mark_absent(connection: Connection, observation: ResourceObservation, written: Written) -> set[str]:
    """Mark rows absent since they were first missing, and write their last edge. Return the kinds concerned."""
    at = observation.observed_at
    kinds: set[str] = set()
    for kind, remote_ids in _by_kind(observation.absent).items():
        rows = list(
            Resource.objects.select_for_update()
            .filter(connection=connection, kind=kind, remote_id__in=remote_ids, absent_since=None)
            .filter(observed_at__lte=at)
            .order_by("pk")
            .defer("payload")
        )
        bounds = _find_bounds(connection, kind, {row.missing_since or at for row in rows})
        ResourceChange.objects.bulk_create(
            [
                ResourceChange(
                    resource=row,
                    at=row.missing_since or at,
                    # It was there when its last content came, and in the complete pass before it was missed.
                    not_before=min(
                        max(row.observed_at, bounds.get(row.missing_since or at, row.observed_at)),
                        row.missing_since or at,
                    ),
                    state=ABSENT_STATE,
                    units=0,
                    source=Source.POLL,
                )
                for row in rows
            ]
        )
        Resource.objects.filter(pk__in=[row.pk for row in rows]).update(
            absent_since=F("missing_since"), observed_at=at, units=0, burn=0, unpriced_units=0
        )
        Resource.objects.filter(pk__in=[row.pk for row in rows], absent_since=None).update(absent_since=at)
        written.absent += len(rows)
        if rows:
            kinds.add(kind)
    return kinds


def _find_bounds(connection: Connection, kind: str, times: Iterable[datetime]) -> dict[datetime, datetime]:
    """Return, per time of an absence, when the last complete pass before it began. One query per time, of which there
    is one as a rule."""
    runs = SyncRun.objects.filter(
        connection=connection,
        resource=GROUP_OF[ResourceKind(kind)].run,
        outcome=SyncRun.Outcome.COMPLETE,
    )
    found = {
        at: runs.filter(finished_at__lt=at)
        .order_by("-finished_at")
        .values_list("started_at", flat=True)
        .first()
        for at in times
    }
    return {at: bound for at, bound in found.items() if bound is not None}


def _by_kind(keys: Iterable[ResourceKey]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for kind, remote_id in keys:
        grouped.setdefault(kind, []).append(remote_id)
    return grouped
