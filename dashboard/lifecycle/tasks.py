"""Celery's path to the acts (the enforcer is the other one), and to questions about prices."""

import os
import threading

from celery import shared_task
from django.utils import timezone

from dashboard.lifecycle import budget_acts, estimates
from dashboard.lifecycle.reconcile import reconcile_once


@shared_task(name="lifecycle.reconcile")
def reconcile() -> None:
    """Bring due acts forward. Runs every two seconds, in several threads at once: claims keep them apart."""
    reconcile_once(f"worker-stops/{os.getpid()}/{threading.get_ident()}")


@shared_task(name=estimates.TASK)
def estimate_prices() -> None:
    """Ask the provider for the price estimates that people wait for. Sent with each question, and as a sweep."""
    estimates.answer_pending()


@shared_task(name="lifecycle.enforce_budgets")
def enforce_budgets() -> None:
    """Tell of what budgets reached, and ask for the stops that they want."""
    budget_acts.enforce_budgets(now=timezone.now())
