"""Keep what could not be read; a part of the mirror's store."""

from collections.abc import Iterable
from datetime import datetime

from dashboard.accounts.models import Connection
from dashboard.mirror.models import MalformedPayload
from dashboard.together_api import payloads


def keep_malformed(
    connection: Connection, *, resource: str, items: Iterable[payloads.MalformedItem], now: datetime
) -> int:
    """Keep items that could not be read, once per distinct body; return how many there were."""
    rows = {
        payloads.fingerprint(item.raw): MalformedPayload(
            connection=connection,
            resource=resource,
            remote_id=item.id or "",
            fingerprint=payloads.fingerprint(item.raw),
            payload=item.raw,
            error=item.error,
            first_seen_at=now,
            last_seen_at=now,
        )
        for item in items
    }
    MalformedPayload.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["connection", "resource", "fingerprint"],
        update_fields=["last_seen_at", "error"],
    )
    return len(rows)
