"""Mirror the event feeds of one connection, and with the first reading its past.

Feeds are per endpoint: reading a thousand of them every minute would be a thousand calls. So a feed is read when
the mirror saw its endpoint change, when it was never read, and now and then in rotation.
"""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch, store_events
from dashboard.mirror.models import Deployment, Endpoint, Generation, SyncRun
from dashboard.mirror.runs import record_run
from dashboard.mirror.session import Clock, open_session
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.together_api import payloads
from dashboard.together_api.client import AsyncTogetherClient
from dashboard.together_api.pagination import Listing

CADENCE_SECONDS = 60
# A feed nothing else asks for is read every 10 passes: short scale-ups between two polls are found there.
SLOTS = 10
# Feeds read per pass, the longest unread first; a thousand new endpoints take five passes.
MOST_FEEDS = 200
# Read again from this much before the newest event known, and a changed endpoint's feed again until this much after the
# change: events may arrive late (our choice; no promise is documented).
OVERLAP = timedelta(minutes=2)


def sync_events(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Read the feeds that may have something new, as one recorded run."""
    with record_run(connection, SyncRun.Resource.EVENTS, clock=clock) as recorded:
        if recorded is None:
            return
        run, tally = recorded
        endpoints = _choose_endpoints(connection, now=run.started_at)
        with open_session(connection, clock=clock) as session:
            calls = {endpoint.pk: _describe_call(session.client, endpoint) for endpoint in endpoints}
            answers = session.run(fetch.gather(calls, clock=clock))
        for endpoint in endpoints:
            answer = answers[endpoint.pk]
            if answer.value is None:
                tally.report_error(answer.error)
                continue
            listing = answer.value
            tally.seen += len(listing.items)
            tally.note_malformed(
                keep_malformed(connection, resource="events", items=listing.malformed, now=run.started_at)
            )
            if listing.incomplete_reason:
                tally.report(listing.incomplete_reason)
            feed = store_events.SeenFeed(
                endpoint=endpoint,
                bodies=listing.items,
                read_until=answer.fetched_at,
                is_complete=listing.complete,
            )
            tally.add_written(store_events.store_feed(feed))
        if connection.backfilled_at is None and not _has_unread(connection):
            Connection.objects.filter(pk=connection.pk, backfilled_at=None).update(backfilled_at=clock())


def _choose_endpoints(connection: Connection, *, now: datetime) -> Sequence[Endpoint]:
    """Return the feeds of this pass: never read, changed lately (longest unread first), this tick's share."""
    changed_since = Deployment.objects.filter(
        endpoint=OuterRef("pk"), observed_at__gt=OuterRef("event_cursor__read_until") - OVERLAP
    )
    candidates = (
        Endpoint.objects.filter(connection=connection, generation=Generation.V2, absent_since=None)
        .select_related("project", "event_cursor")
        .defer("payload")
        .annotate(has_changed=Exists(changed_since))
    )
    urgent = list(
        candidates.filter(
            Q(event_cursor=None)
            | Q(has_changed=True)
            | Q(observed_at__gt=F("event_cursor__read_until") - OVERLAP)
        ).order_by(F("event_cursor__read_until").asc(nulls_first=True))[:MOST_FEEDS]
    )
    tick = int(now.timestamp()) // CADENCE_SECONDS
    chosen = {endpoint.pk for endpoint in urgent}
    due = [
        pk
        for pk, remote_id in candidates.values_list("pk", "remote_id")
        if pk not in chosen and zlib.crc32(remote_id.encode()) % SLOTS == tick % SLOTS
    ]
    return [*urgent, *candidates.filter(pk__in=due[: MOST_FEEDS - len(urgent)])]


def _describe_call(
    client: AsyncTogetherClient, endpoint: Endpoint
) -> Callable[[], Awaitable[Listing[payloads.EndpointEvent]]]:
    cursor = getattr(endpoint, "event_cursor", None)
    newest = None if cursor is None else cursor.newest_event_at
    since = None if newest is None else newest - OVERLAP
    return lambda: client.list_events(endpoint.project.remote_id, endpoint.remote_id, since=since)


def _has_unread(connection: Connection) -> bool:
    return Endpoint.objects.filter(
        connection=connection, generation=Generation.V2, absent_since=None, event_cursor=None
    ).exists()
