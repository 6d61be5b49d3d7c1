"""The canary task: proves that a queue is worked on."""

from celery import shared_task

from dashboard.core import heartbeats


@shared_task(name="core.beat_heart")
def beat_heart(*, name: str) -> None:
    """Write the heartbeat of the worker that took this task from its queue."""
    heartbeats.beat(name)
