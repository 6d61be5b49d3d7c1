"""Periodic work of billing. What is due is computed from state: a tick that is lost changes nothing."""

from typing import Any

from celery import Task, shared_task
from django.utils import timezone

from billing import forecasts, ownership, passes, rules
from dashboard.accounts.models import Connection, User
from dashboard.core.locks import Lock, try_lock


@shared_task(name="billing.meter")
def meter() -> None:
    """Meter every enabled connection, then give new meters their owners."""
    for connection in Connection.objects.filter(is_enabled=True).order_by("pk"):
        passes.meter_connection(connection, now=timezone.now())
    ownership.assign_owners(now=timezone.now())


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
