"""Periodic work of billing. What is due is computed from state: a tick that is lost changes nothing."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from celery import Task, shared_task
from django.utils import timezone

from billing import agreements, bill_alerts, bill_import, forecasts, ownership, passes, reports, rules
from billing.ledger import PostingResult
from billing.meters import account_of
from dashboard.accounts.models import Connection, User
from dashboard.core import live
from dashboard.core.locks import Lock, try_lock

# A task that waited longer for a worker is dropped: the next tick asks again. Seconds.
BILL_STALE_AFTER_SECONDS = 60


@shared_task(name="billing.meter")
def meter() -> None:
    """Meter every connection; what has lost its own is noted as not known. Open pages hear once of what changed."""
    total = PostingResult()
    for connection in Connection.objects.order_by("pk"):
        if written := passes.meter_connection(connection, now=timezone.now()):
            total.add(written)
    total.add(passes.end_orphans(now=timezone.now()))
    if not total.is_nothing:
        live.announce(["billing"])


@shared_task(name="billing.assign_owners")
def assign_owners() -> None:
    ownership.assign_owners(now=timezone.now())


@shared_task(name="billing.refresh_forecasts")
def refresh_forecasts() -> None:
    """Work out the forecasts that pages will ask for, so that no page waits for one."""
    with try_lock(Lock.FORECAST) as held:
        if held:
            users = User.objects.filter(is_active=True).order_by("pk")
            forecasts.refresh_usual(
                [None, *users], now=timezone.now(), zone=rules.reporting_zone(rules.load_rules())
            )


@shared_task(name="billing.import_bill", bind=True)
def import_bill(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    """Read what is due of the bill and reckon the days that it changed; one task per connection."""
    enabled = Connection.objects.filter(is_enabled=True).order_by("pk")
    if connection_id is not None:
        enabled = enabled.filter(pk=connection_id)
    connections = list(enabled)
    if len(connections) != 1:
        for connection in connections:
            self.apply_async(kwargs={"connection_id": connection.pk}, expires=BILL_STALE_AFTER_SECONDS)
        return
    if changed := bill_import.import_bill(connections[0]):
        _compare(account_of(connections[0]), changed=changed)


@shared_task(name="billing.compare_bill")
def compare_bill() -> None:
    """Reckon what was projected, metered and billed of the days whose ledger changed, and of today and yesterday."""
    for account_id in sorted({account_of(one) for one in Connection.objects.filter(is_enabled=True)}):
        _compare(account_id, changed=())


def _compare(account_id: str, *, changed: Iterable[datetime]) -> None:
    now = timezone.now()
    with try_lock(Lock.BILL_IMPORT) as held:  # key 0: no connection
        if held:
            bill_alerts.judge_days(
                account_id, agreements.reconcile(account_id, now=now, changed=changed), now=now
            )


@shared_task(name="billing.send_reports")
def send_reports() -> None:
    """Send the scheduled reports that are due; claimed row by row, so that two workers do not send one twice."""
    reports.send_due(now=timezone.now())
