"""Write down which resources are no longer there; a part of the mirror's store."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F

from dashboard.accounts.models import Connection
from dashboard.mirror.groups import GROUP_OF
from dashboard.mirror.models import Resource, ResourceChange, ResourceKind, Source, SyncRun
from dashboard.mirror.store_absence import ABSENT_STATE

# Kind and remote id.
ResourceKey = tuple[str, str]


def mark_missing_resources(
    connection: Connection, *, missing: Iterable[ResourceKey], found: Iterable[ResourceKey], at: datetime
) -> None:
    """Remember when these were first not found, forget it of those found; a second look decides."""
    rows = Resource.objects.filter(connection=connection, absent_since=None)
    for kind, remote_ids in _by_kind(missing).items():
        rows.filter(kind=kind, remote_id__in=remote_ids, missing_since=None).update(missing_since=at)
    for kind, remote_ids in _by_kind(found).items():
        rows.filter(kind=kind, remote_id__in=remote_ids).exclude(missing_since=None).update(
            missing_since=None
        )


def mark_absent_resources(
    connection: Connection, *, absent: Iterable[ResourceKey], at: datetime
) -> dict[str, int]:
    """Mark rows absent since they were first missing, and write their last edge. Return kind -> count of rows."""
    counts: dict[str, int] = {}
    for kind, remote_ids in _by_kind(absent).items():
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
        if rows:
            counts[kind] = len(rows)
    return counts


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
