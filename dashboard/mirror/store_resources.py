"""Write resources, their edges and links; a part of the mirror's store. Same rules as store.py."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror.models import (
    Project,
    Resource,
    ResourceChange,
    ResourceLink,
    Source,
    UnitPrice,
)
from dashboard.mirror.observations import Written
from dashboard.mirror.resource_readings import Phase, ResourceReading
from dashboard.mirror.rows import among, insert_rows, upsert_rows
from dashboard.mirror.store_resource_absence import (
    ResourceKey,
    mark_absent_resources,
    mark_missing_resources,
)


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

    @property
    def is_empty(self) -> bool:
        """Return True when there is nothing to write."""
        return not (self.seen or self.missing or self.absent or self.found)


def store_resources(connection: Connection, observation: ResourceObservation) -> Written:
    """Write the resources of one pass, their edges and links; return what was written."""
    return store_together(connection, [observation])[0]


@transaction.atomic
def store_together(connection: Connection, observations: Sequence[ResourceObservation]) -> list[Written]:
    """Write what several passes saw, each of its own kinds, all of it or nothing; return what was written of each.

    As many statements as for one of them, but for one upsert a kind.
    """
    written = [Written() for _ in observations]
    if all(one.is_empty for one in observations):
        return written
    # Passes and acts write the same rows in either order: one at a time.
    hold_until_commit(Lock.RESOURCE_WRITES, key=connection.pk)
    kinds = _write_seen(connection, observations, written)
    for observation, counts in zip(observations, written, strict=True):
        at = observation.observed_at
        mark_missing_resources(connection, missing=observation.missing, found=observation.found, at=at)
        gone = mark_absent_resources(connection, absent=observation.absent, at=at)
        counts.absent += sum(gone.values())
        kinds |= gone.keys()
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


def _write_seen(
    connection: Connection, observations: Sequence[ResourceObservation], written: Sequence[Written]
) -> set[str]:
    """Write what was seen, and count it. Return the kinds concerned."""
    seen: dict[ResourceKey, SeenResource] = {}
    # By kind: of what pass it is, and where that is counted.
    passes: dict[str, tuple[ResourceObservation, Written]] = {}
    for observation, counts in zip(observations, written, strict=True):
        seen |= {(one.reading.kind, one.reading.remote_id): one for one in observation.seen}
        passes |= {one.reading.kind: (observation, counts) for one in observation.seen}
    if not seen:
        return set()
    previous = _lock_previous(connection, seen)
    projects = _load_projects(connection)
    is_priced = any(one.reading.sku for one in seen.values())
    prices = load_unit_prices(connection) if is_priced else {}
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in sorted(passes)}
    for key, one in seen.items():
        before = previous.get(key)
        if before is None or before.observed_at <= one.fetched_at:
            since = _find_state_since(before, one, passes[key[0]][0])
            row = _describe(connection, one, before, since, projects=projects, prices=prices)
            rows[key[0]].append(row)
    ids: dict[ResourceKey, int] = {}
    for kind, of_kind in rows.items():
        fresh = upsert_rows(
            Resource, of_kind, key=("connection_id", "kind", "remote_id"), newest_by="observed_at"
        )
        ids |= {(kind, remote_id): pk for remote_id, pk in fresh.items()}
    _write_edges(
        ids, previous, seen, seen_before={kind: one.seen_before for kind, (one, _) in passes.items()}
    )
    _write_links(ids, seen, known=ids.keys() & previous.keys())
    for key in ids:
        counts = passes[key[0]][1]
        counts.created += key not in previous
        counts.updated += key in previous
    return set(passes)


def _lock_previous(connection: Connection, seen: Collection[ResourceKey]) -> dict[ResourceKey, Resource]:
    """Return what the mirror holds of these resources, locked until the end of the transaction. One query."""
    rows = (
        Resource.objects.select_for_update()
        .filter(
            connection=connection,
            kind__in={kind for kind, _ in seen},
            remote_id__in=among(remote_id for _, remote_id in seen),
        )
        .order_by("pk")
        .only(
            "kind", "remote_id", "observed_at", "absent_since", "state", "state_since", "status", "units", "project_id",
        )
    )  # fmt: skip
    return {(row.kind, row.remote_id): row for row in rows}


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
    state_since: datetime | None,
    *,
    projects: Mapping[str | None, int],
    prices: Mapping[str, int],
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
        "state_since": state_since,
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
    ids: Mapping[ResourceKey, int],
    previous: Mapping[ResourceKey, Resource],
    seen: Mapping[ResourceKey, SeenResource],
    *,
    seen_before: Mapping[str, datetime | None],
) -> None:
    """Write an edge for each phase the provider dates, and one of our own where state or units changed without one."""
    edges: list[dict[str, Any]] = []
    for key, pk in ids.items():
        one, before = seen[key], previous.get(key)
        reading = one.reading
        edges += [_describe_phase(pk, phase, reading) for phase in reading.phases]
        is_same_state = before is not None and before.absent_since is None and before.state == reading.state
        if is_same_state and before is not None and before.units == reading.units:
            continue
        # A new state that the provider dates has its edge already; what has neither state nor units has no edges.
        if not is_same_state and (reading.state_began_at is not None or not (reading.state or reading.units)):
            continue
        bounds = [seen_before[key[0]], before.observed_at if before else reading.remote_created_at]
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


def _write_links(
    ids: Mapping[ResourceKey, int], seen: Mapping[ResourceKey, SeenResource], *, known: Iterable[ResourceKey]
) -> None:
    """Make the links of these resources those that their bodies name now. At most three statements.

    Only those of `known` can have links yet.
    """
    wanted = {
        (pk, relation, target) for key, pk in ids.items() for relation, target in seen[key].reading.links
    }
    old = ResourceLink.objects.filter(resource__in=[ids[key] for key in known])
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
