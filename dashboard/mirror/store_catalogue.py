"""Write projects, hardware, prices and model names; a part of the mirror's store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror import catalogue
from dashboard.mirror.diff import Diff
from dashboard.mirror.models import Deployment, Endpoint, Hardware, HardwarePrice, ModelName, Project
from dashboard.mirror.observations import Observation, Written
from dashboard.mirror.readings import HardwareReading
from dashboard.mirror.store_absence import mark_absent
from dashboard.mirror.store_rollups import refresh_rollups
from dashboard.together_api import payloads

BATCH_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class SeenHardware:
    """A size to be written, with the body as received and that body's fingerprint."""

    reading: HardwareReading
    generation: str
    raw: dict[str, Any]
    fingerprint: bytes


@transaction.atomic
def store_projects(
    connection: Connection, *, seen: Sequence[payloads.Project], diff: Diff, now: datetime
) -> Written:
    """Write created and updated projects and mark what a complete listing lacks. The team is never touched."""
    changed = {item.remote_id for item in (*diff.created, *diff.updated)}
    rows = [
        Project(
            connection=connection,
            remote_id=body.id,
            name=body.name or body.slug or body.id,
            slug=body.slug,
            payload=body.raw,
            fingerprint=body.fingerprint,
            first_observed_at=now,
            observed_at=now,
            absent_since=None,
        )
        for body in seen
        if body.id in changed
    ]
    Project.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["connection", "remote_id"],
        update_fields=[
            "name", "slug", "payload", "fingerprint", "observed_at", "missing_since", "absent_since",
        ],
    )  # fmt: skip
    projects = Project.objects.filter(connection=connection, absent_since=None)
    projects.filter(remote_id__in=diff.newly_missing).update(missing_since=now)
    absent = projects.filter(remote_id__in=diff.absent_candidates).update(
        absent_since=F("missing_since"), observed_at=now
    )
    if rows or absent:
        live.announce(["projects", "endpoints"])
    return Written(created=len(diff.created), updated=len(diff.updated), absent=absent)


@transaction.atomic
def cede_projects(connection: Connection, *, remote_ids: Collection[str], now: datetime) -> Written:
    """Leave these projects, with all that is in them, to the other connection that mirrors them."""
    hold_until_commit(Lock.MIRROR_WRITES, key=connection.pk)
    written = Written()
    projects = Project.objects.select_for_update().filter(
        connection=connection, remote_id__in=remote_ids, absent_since=None
    )
    project_ids = list(projects.order_by("pk").values_list("pk", flat=True))
    if not project_ids:
        return written
    endpoints = Endpoint.objects.filter(project__in=project_ids, absent_since=None)
    observation = Observation(
        seen_before=None,
        observed_at=now,
        absent_endpoints=list(endpoints.values_list("remote_id", flat=True)),
    )
    mark_absent(connection, observation, written)
    refresh_rollups(written.endpoint_ids)
    written.absent += Project.objects.filter(pk__in=project_ids).update(absent_since=now, observed_at=now)
    live.announce(["projects", "endpoints"])
    return written


def mark_key_project(connection: Connection, *, remote_id: str | None) -> None:
    """Remember which project the key itself belongs to; None (a key of the whole organisation) marks none."""
    projects = Project.objects.filter(connection=connection)
    projects.filter(is_key_project=True).exclude(remote_id=remote_id).update(is_key_project=False)
    projects.filter(is_key_project=False, remote_id=remote_id).update(is_key_project=True)


@transaction.atomic
def store_hardware(
    connection: Connection, *, generation: str, seen: Sequence[SeenHardware], diff: Diff, now: datetime
) -> Written:
    """Write sizes of one generation and a new price row per change; `reprice` brings them to the deployments."""
    changed = {item.remote_id for item in (*diff.created, *diff.updated)}
    written = [one for one in seen if one.reading.remote_id in changed]
    rows = [
        Hardware(
            connection=connection,
            generation=generation,
            remote_id=one.reading.remote_id,
            name=one.reading.name,
            gpu_type=one.reading.gpu_type,
            gpu_count=one.reading.gpu_count,
            gpu_memory_gib=one.reading.gpu_memory_gib,
            payload=one.raw,
            fingerprint=one.fingerprint,
            first_observed_at=now,
            observed_at=now,
            absent_since=None,
        )
        for one in written
    ]
    Hardware.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["connection", "generation", "remote_id"],
        update_fields=[
            "name",
            "gpu_type",
            "gpu_count",
            "gpu_memory_gib",
            "payload",
            "fingerprint",
            "observed_at",
            "missing_since",
            "absent_since",
        ],
    )
    sizes = Hardware.objects.filter(connection=connection, generation=generation, absent_since=None)
    sizes.filter(remote_id__in=diff.newly_missing).update(missing_since=now)
    absent = sizes.filter(remote_id__in=diff.absent_candidates).update(
        absent_since=F("missing_since"), observed_at=now
    )
    _write_prices(rows, [one.reading.nano_usd_per_hour for one in written], now=now)
    return Written(created=len(diff.created), updated=len(diff.updated), absent=absent)


def _write_prices(rows: Sequence[Hardware], prices: Sequence[int | None], *, now: datetime) -> None:
    """Close the open price of each size whose price changed and open a new one; a vanished price is closed."""
    present = {
        price.hardware_id: price
        for price in HardwarePrice.objects.select_for_update().filter(hardware__in=rows, valid_until=None)
    }
    closed: list[int] = []
    opened: list[HardwarePrice] = []
    for row, nano_usd_per_hour in zip(rows, prices, strict=True):
        current = present.get(row.pk)
        if current is not None and current.nano_usd_per_hour == nano_usd_per_hour:
            continue
        if current is not None:
            closed.append(current.pk)
        if nano_usd_per_hour is not None:
            opened.append(HardwarePrice(hardware=row, nano_usd_per_hour=nano_usd_per_hour, valid_from=now))
    HardwarePrice.objects.filter(pk__in=closed).update(valid_until=now)
    HardwarePrice.objects.bulk_create(opened)


@transaction.atomic
def store_model_names(connection: Connection, *, names: Mapping[str, str]) -> int:
    """Write names of model ids; return how many were new or changed. `reprice` brings them to the deployments."""
    known = catalogue.load_model_names(connection)
    changed = {remote_id: name for remote_id, name in names.items() if name and known.get(remote_id) != name}
    if not changed:
        return 0
    ModelName.objects.bulk_create(
        [ModelName(connection=connection, remote_id=key, name=name) for key, name in changed.items()],
        update_conflicts=True,
        unique_fields=["connection", "remote_id"],
        update_fields=["name"],
    )
    return len(changed)


@transaction.atomic
def reprice(connection: Connection) -> int:
    """Give every present deployment the price, size and model name that hold now; return how many changed.

    Looks at every row each time, so that one written meanwhile with the old price is put right by the next pass.
    """
    hold_until_commit(Lock.MIRROR_WRITES, key=connection.pk)
    prices = catalogue.load_prices(connection)
    names = catalogue.load_model_names(connection)
    changed: list[Deployment] = []
    rows = Deployment.objects.filter(connection=connection, absent_since=None).only(
        "endpoint_id", "generation", "hardware", "model_id", "model", "nano_usd_per_hour", "gpu_count"
    )
    for row in rows.order_by("pk"):
        offer = prices.find(row.generation, row.hardware)
        after = (offer.nano_usd_per_hour, offer.gpu_count, names.get(row.model_id, row.model_id))
        if (row.nano_usd_per_hour, row.gpu_count, row.model) != after:
            row.nano_usd_per_hour, row.gpu_count, row.model = after
            changed.append(row)
    if not changed:
        return 0
    # Unlike Django's bulk_update, which writes a CASE per row and column, one statement for any number of rows.
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mirror_deployment AS deployment
               SET nano_usd_per_hour = new.price, gpu_count = new.gpu_count, model = new.model
              FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::text[])
                AS new (id, price, gpu_count, model)
             WHERE deployment.id = new.id
            """,
            [
                [row.pk for row in changed],
                [row.nano_usd_per_hour for row in changed],
                [row.gpu_count for row in changed],
                [row.model for row in changed],
            ],
        )
    endpoint_ids = {row.endpoint_id for row in changed}
    refresh_rollups(endpoint_ids)
    live.announce(["endpoints"], ids=endpoint_ids)
    return len(changed)
