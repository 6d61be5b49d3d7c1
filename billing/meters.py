"""Know every thing that can cost; sole writer of Meter (its metering columns apart: ledger.py)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from billing.models import Meter, MeterKind
from billing.skus import deployment_sku
from dashboard.accounts.models import Connection
from dashboard.mirror.models import Deployment, Project, Resource

BATCH_ROWS = 1_000
MeterKey = tuple[str, str]

_BILLING_KINDS = frozenset(
    {
        MeterKind.FINE_TUNE,
        MeterKind.BATCH,
        MeterKind.EVALUATION,
        MeterKind.CLUSTER,
        MeterKind.VOLUME,
        MeterKind.CONTAINER,
        MeterKind.RL_RESOURCE,
    }
)
# What a pass brings up to date. None of it is emptied: names stay for when the mirror's rows are gone.
_TOLD = (
    "billing_account_name", "name", "connection_id", "project_id", "endpoint_id", "deployment_id", "resource_id",
    "sub_account_id", "sub_account_name", "endpoint_name", "model", "hardware", "region", "creator", "sku",
    "gpu_count",
)  # fmt: skip


def account_of(connection: Connection) -> str:
    """Return the id under which the connection's meters are known: the organisation's, or our own until it is told."""
    return connection.organization_id or f"connection-{connection.pk}"


def ensure_meters(connection: Connection, *, now: datetime) -> dict[MeterKey, Meter]:
    """Make the meters of everything mirrored that can cost, bring them up to date, and return them by kind and id.

    What was mirrored by another connection of the same organisation stays with that one while it is there.
    """
    account = account_of(connection)
    _adopt(connection, account)
    wanted = {**_describe_deployments(connection), **_describe_resources(connection)}
    known = {(one.kind, one.remote_id): one for one in Meter.objects.filter(billing_account_id=account)}
    fresh = [
        Meter(billing_account_id=account, kind=kind, remote_id=remote_id, **told)
        for (kind, remote_id), told in wanted.items()
        if (kind, remote_id) not in known
    ]
    # What a disabled connection had is mirrored by another from then on, and metered by it.
    enabled = Connection.objects.filter(is_enabled=True).exclude(pk=connection.pk)
    others = set(enabled.values_list("pk", flat=True))
    changed: list[Meter] = []
    for key, told in wanted.items():
        meter = known.get(key)
        if meter is None or meter.connection_id in others:
            continue
        if _update(meter, told):
            changed.append(meter)
    Meter.objects.bulk_create(fresh, batch_size=BATCH_ROWS, ignore_conflicts=True)
    Meter.objects.bulk_update(changed, _TOLD, batch_size=BATCH_ROWS)
    if not fresh:
        return known
    return {(one.kind, one.remote_id): one for one in Meter.objects.filter(billing_account_id=account)}


def ensure_bill_meter(
    account_id: str,
    *,
    kind: str,
    remote_id: str,
    name: str,
    connection: Connection | None,
    model: str = "",
    project: Project | None = None,
) -> Meter:
    """Return the meter of something that only the bill tells; one that is known already stays as it is."""
    project_id = project.remote_id if project else ""
    meter, _ = Meter.objects.get_or_create(
        billing_account_id=account_id,
        kind=kind,
        remote_id=remote_id,
        defaults={
            "name": name or remote_id,
            "connection": connection,
            "billing_account_name": connection.organization_name if connection else "",
            "model": model,
            "project": project,
            "sub_account_id": project_id,
            "sub_account_name": project.name if project else "",
        },
    )
    return meter


def _adopt(connection: Connection, account: str) -> None:
    """Give the organisation's id to meters made before it was known."""
    if not connection.organization_id:
        return
    provisional = Meter.objects.filter(billing_account_id=f"connection-{connection.pk}")
    for meter in provisional:
        is_taken = Meter.objects.filter(
            billing_account_id=account, kind=meter.kind, remote_id=meter.remote_id
        )
        if not is_taken.exists():
            Meter.objects.filter(pk=meter.pk).update(billing_account_id=account)


def _update(meter: Meter, told: Mapping[str, Any]) -> bool:
    """Set what changed; what is no longer told stays as it was."""
    is_changed = False
    for name, value in told.items():
        if value not in {None, ""} and getattr(meter, name) != value:
            setattr(meter, name, value)
            is_changed = True
    return is_changed


def _describe_account(connection: Connection) -> dict[str, Any]:
    return {"connection_id": connection.pk, "billing_account_name": connection.organization_name}


def _describe_deployments(connection: Connection) -> dict[MeterKey, dict[str, Any]]:
    rows: Iterable[Deployment] = (
        Deployment.objects.filter(connection=connection)
        .select_related("endpoint__project")
        .only(
            "remote_id", "name", "model", "hardware", "generation", "gpu_count",
            "endpoint__remote_id", "endpoint__display_name", "endpoint__project__remote_id",
            "endpoint__project__name",
        )
    )  # fmt: skip
    return {
        (MeterKind.DEPLOYMENT.value, row.remote_id): {
            **_describe_account(connection),
            "name": row.name,
            "deployment_id": row.pk,
            "endpoint_id": row.endpoint_id,
            "endpoint_name": row.endpoint.display_name,
            "project_id": row.endpoint.project_id,
            "sub_account_id": row.endpoint.project.remote_id,
            "sub_account_name": row.endpoint.project.name,
            "model": row.model,
            "hardware": row.hardware,
            "sku": deployment_sku(row.generation, row.hardware),
            "gpu_count": row.gpu_count,
        }
        for row in rows
    }


def _describe_resources(connection: Connection) -> dict[MeterKey, dict[str, Any]]:
    rows = (
        Resource.objects.filter(connection=connection, kind__in=_BILLING_KINDS)
        .select_related("project")
        .only(
            "remote_id", "kind", "name", "model", "hardware", "region", "owner", "sku", "gpu_count",
            "project__remote_id", "project__name",
        )
    )  # fmt: skip
    return {
        (row.kind, row.remote_id): {
            **_describe_account(connection),
            "name": row.name,
            "resource_id": row.pk,
            "project_id": row.project_id,
            "sub_account_id": row.project.remote_id,
            "sub_account_name": row.project.name,
            "model": row.model,
            "hardware": row.hardware,
            "region": row.region,
            "creator": row.owner,
            "sku": row.sku,
            "gpu_count": row.gpu_count or None,
        }
        for row in rows
    }
