"""What happened to one resource, newest first: acts of people merged with the provider's own events."""

import heapq
from datetime import datetime, timedelta
from operator import attrgetter

from django.db.models.functions import Coalesce

from dashboard.accounts.models import AuditEvent
from dashboard.mirror.models import Resource, ResourceEvent
from dashboard.web.feed import FeedEntry, FeedPage, describe_act

_LEVEL_ICONS = {"error": "error", "legacy_error": "error", "warning": "warning", "legacy_warning": "warning"}
_EVENT_ICONS = {
    "job_complete": "check",
    "job_error": "error",
    "job_restarted": "refresh",
    "refund": "info",
    "checkpoint_save": "copy",
    "cancel_requested": "stop",
    "job_start": "play",
    "training_start": "play",
}


def read_resource_feed(resource: Resource, *, before: datetime, limit: int) -> FeedPage:
    """Return what happened to one resource before a time, newest first. Two queries.

    An event whose time nobody could read stands where the job began: its own place in the feed is kept.
    """
    start = resource.started_at or resource.remote_created_at or resource.first_observed_at
    acts = AuditEvent.objects.filter(
        target_type="resource", target_id=str(resource.pk), at__lt=before
    ).order_by("-at", "-id")[: limit + 1]
    events = (
        ResourceEvent.objects.filter(resource=resource)
        .alias(moment=Coalesce("at", start))
        .filter(moment__lt=before)
        .defer("payload")
        .order_by("-moment", "-position")[: limit + 1]
    )
    sources = (
        [describe_act(act) for act in acts],
        [describe_resource_event(event, missing_at=start) for event in events],
    )
    merged = list(heapq.merge(*sources, key=attrgetter("at"), reverse=True))
    entries = tuple(merged[:limit])
    return FeedPage(entries, entries[-1].at if len(merged) > limit else None)


def describe_resource_event(event: ResourceEvent, *, missing_at: datetime) -> FeedEntry:
    """Return a provider event as a line, in its own words."""
    words = event.type.replace("_", " ").replace(".", " ")
    text = event.message or words
    return FeedEntry(
        at=event.at or missing_at,
        icon=_LEVEL_ICONS.get(event.level.lower().removeprefix("level_"))
        or _EVENT_ICONS.get(event.type, "info"),
        subject="",
        text=text[:1].upper() + text[1:],
    )


def newest(now: datetime) -> datetime:
    """Return a time before which everything told so far lies: clocks of two machines differ."""
    return now + timedelta(minutes=5)
