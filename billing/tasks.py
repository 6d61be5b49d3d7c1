"""Periodic work of billing. What is due is computed from state: a tick that is lost changes nothing."""

from celery import shared_task
from django.utils import timezone

from billing import ownership, passes
from dashboard.accounts.models import Connection


@shared_task(name="billing.meter")
def meter() -> None:
    """Meter every enabled connection, then give new meters their owners."""
    for connection in Connection.objects.filter(is_enabled=True).order_by("pk"):
        passes.meter_connection(connection, now=timezone.now())
    ownership.assign_owners(now=timezone.now())


@shared_task(name="billing.assign_owners")
def assign_owners() -> None:
    ownership.assign_owners(now=timezone.now())
