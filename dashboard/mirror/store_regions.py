"""Write regions; a part of the mirror's store."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from dashboard.accounts.models import Connection
from dashboard.mirror.models import ClusterRegion
from dashboard.mirror.observations import Written
from dashboard.together_api import payloads


@transaction.atomic
def store_regions(
    connection: Connection, changed: Sequence[payloads.ClusterRegion], *, lost: Sequence[str], now: datetime
) -> Written:
    """Write new and changed regions, and mark those that are no longer offered."""
    rows = ClusterRegion.objects.bulk_create(
        [
            ClusterRegion(
                connection=connection,
                remote_id=body.id,
                payload=body.raw,
                fingerprint=body.fingerprint,
                first_observed_at=now,
                observed_at=now,
            )
            for body in changed
        ],
        update_conflicts=True,
        unique_fields=["connection", "remote_id"],
        update_fields=["payload", "fingerprint", "observed_at", "absent_since"],
    )
    absent = ClusterRegion.objects.filter(
        connection=connection, remote_id__in=lost, absent_since=None
    ).update(absent_since=now)
    return Written(updated=len(rows), absent=absent)
