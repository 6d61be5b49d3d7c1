"""Periodic work of billing. What is due is computed from state: a tick that is lost changes nothing."""

from celery import shared_task
from django.utils import timezone

from billing import ownership


@shared_task(name="billing.assign_owners")
def assign_owners() -> None:
    ownership.assign_owners(now=timezone.now())
