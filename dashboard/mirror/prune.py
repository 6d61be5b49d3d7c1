"""Forget what nobody reads any more. States, prices, events and traffic are never pruned here: costs rest on them."""

from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.core.locks import Lock, try_lock
from dashboard.mirror.models import MalformedPayload, SyncRun

# Runs older than this are summed up by what they wrote; the page of a connection shows the last day.
KEEP_RUNS = timedelta(days=7)
KEEP_MALFORMED = timedelta(days=30)
# Runs that never finished: their worker was killed.
ABANDONED_AFTER = timedelta(minutes=30)


def prune(*, now: datetime | None = None) -> None:
    """Delete old runs and old unreadable items, and close runs whose worker died."""
    now = now or timezone.now()
    with try_lock(Lock.PRUNE) as is_held:
        if not is_held:
            return
        SyncRun.objects.filter(outcome=SyncRun.Outcome.RUNNING, started_at__lt=now - ABANDONED_AFTER).update(
            outcome=SyncRun.Outcome.FAILED,
            finished_at=now,
            error="The worker was stopped before it finished.",
        )
        newest = (
            SyncRun.objects.order_by("connection_id", "resource", "outcome", "-started_at")
            .distinct("connection_id", "resource", "outcome")
            .values("pk")
        )
        SyncRun.objects.filter(started_at__lt=now - KEEP_RUNS).exclude(
            pk__in=list(newest.values_list("pk", flat=True))
        ).delete()
        MalformedPayload.objects.filter(last_seen_at__lt=now - KEEP_MALFORMED).delete()
