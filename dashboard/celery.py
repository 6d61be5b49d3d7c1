"""The Celery application, its queues and the one table of periodic work.

A beat entry expires before its next run, so that an outage leaves no backlog: the next tick computes from
state anyway. Due times of stops are rows in PostgreSQL, never an eta.
"""

import os

from celery import Celery
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("dashboard")
app.set_default()  # for every thread: web views run in threads that would otherwise see an unconfigured app
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in ("stops", "sync", "mail", "default")]
app.autodiscover_tasks(
    ["dashboard.core", "dashboard.accounts", "dashboard.mirror", "billing", "dashboard.lifecycle"]
)


def every(seconds: float, task: str, *, queue: str, **kwargs: object) -> dict[str, object]:
    """Return a beat entry that is dropped when no worker took it before the next one."""
    return {
        "task": task,
        "schedule": seconds,
        "kwargs": kwargs,
        "options": {"expires": seconds, "queue": queue},
    }


app.conf.beat_schedule = {
    # Canaries: a live process proves nothing, a row written through its queue does (core/heartbeats.py).
    "canary-stops": every(15, "core.beat_heart", queue="stops", name="worker-stops"),
    "canary-sync": every(15, "core.beat_heart", queue="sync", name="worker-sync"),
    "reconcile": every(2, "lifecycle.reconcile", queue="stops"),
    "sync-endpoints": every(30, "mirror.sync_endpoints", queue="sync"),
    "sync-in-transition": every(5, "mirror.sync_in_transition", queue="sync"),
    "sync-events": every(60, "mirror.sync_events", queue="sync"),
    "sync-traffic": every(60, "mirror.sync_traffic", queue="sync"),
    "sync-hardware": every(300, "mirror.sync_hardware", queue="sync"),
    # What runs or moves every half minute, what lies around every two (our choice; contract 16 knows no limits).
    **{
        f"sync-resources-{seconds}": every(seconds, "mirror.sync_groups", queue="sync", names=names)
        for seconds, names in {
            30: ["fine_tunes", "batches", "uploads", "clusters", "containers"],
            60: ["evaluations", "volumes", "rl"],
            120: ["files", "models"],
        }.items()
    },
    "sync-details": every(15, "mirror.sync_details", queue="sync"),
    "sync-model-catalogue": every(900, "mirror.sync_model_catalogue", queue="sync"),
    "sync-regions": every(3600, "mirror.sync_regions", queue="sync"),
    "sync-unit-prices": every(60, "mirror.sync_unit_prices", queue="sync"),
    "sync-projects": every(300, "mirror.sync_projects", queue="sync"),
    # Which months are due is computed inside (billing/bill_plan.py).
    "import-bill": every(60, "billing.import_bill", queue="sync"),
    "compare-bill": every(600, "billing.compare_bill", queue="sync"),
    "meter": every(60, "billing.meter", queue="sync"),
    # Questions whose own message was lost (lifecycle/estimates.py).
    "estimate-prices": every(15, "lifecycle.estimate_prices", queue="default"),
    # Who owns what is metered: new things, changed rules, teams that go.
    "assign-owners": every(60, "billing.assign_owners", queue="default"),
    # Pages share a forecast for ten minutes (billing/forecasts.py).
    "refresh-forecasts": every(300, "billing.refresh_forecasts", queue="default"),
    # Due times are rows (billing/reports.py).
    "send-reports": every(60, "billing.send_reports", queue="default"),
    "enforce-budgets": every(60, "lifecycle.enforce_budgets", queue="stops"),
    "prune": every(3600, "mirror.prune", queue="sync"),
}
