"""Celery's path to the acts; the enforcer is the other one."""

import os
import threading

from celery import shared_task

from dashboard.lifecycle.reconcile import reconcile_once


@shared_task(name="lifecycle.reconcile")
def reconcile() -> None:
    """Bring due acts forward. Runs every two seconds, in several threads at once: claims keep them apart."""
    reconcile_once(f"worker-stops/{os.getpid()}/{threading.get_ident()}")
