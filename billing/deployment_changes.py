"""Which deployments have to be metered again, and from when on; a fixed number of queries, whatever their number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection as database

from billing.deployment_facts import DELETED
from billing.metering import Condition, Use
from billing.metering_edges import BLIND_AFTER
from billing.metering_line import NOT_SEEN
from billing.metering_use import LONGEST_DELAY, LONGEST_SEAM
from billing.models import Meter, MeteringCursor
from billing.price_book import PriceBook
from billing.repricing import load_newly_priced
from dashboard.accounts.models import Connection

# A late edge may move the one before it: so much more is metered again.
BEFORE_AN_EDGE = timedelta(minutes=5)
# Rows of transactions that overlapped the last pass have smaller ids than some that it saw.
LATE_ROWS = 200
LATE_SECONDS = 30
# The feed is read again from this much before its newest event (mirror/sync_events.py): until then one may be missing.
FEED_OVERLAP = timedelta(minutes=2)
# After so long without a feed, what polling saw is posted; after so long without traffic, what ran is posted as not
# known (the traffic sync gives up after an hour). Late knowledge is a reversal and a correction then.
FEED_PATIENCE = timedelta(hours=24)
TRAFFIC_PATIENCE = timedelta(minutes=75)

_CHANGED_SQL = """
SELECT change.deployment_id, min(least(change.at, change.not_before))
  FROM mirror_statechange AS change
  JOIN mirror_deployment AS deployment ON deployment.id = change.deployment_id
 WHERE deployment.connection_id = %(connection)s AND change.id > %(change)s - %(late)s
   AND (change.id > %(change)s OR change.recorded_at > clock_timestamp() - make_interval(secs => %(seconds)s))
 GROUP BY change.deployment_id
 UNION ALL
SELECT event.deployment_id, min(event.at)
  FROM mirror_endpointevent AS event
  JOIN mirror_deployment AS deployment ON deployment.id = event.deployment_id
 WHERE deployment.connection_id = %(connection)s AND event.id > %(event)s - %(late)s AND event.type = %(deleted)s
 GROUP BY event.deployment_id
"""
_UNSETTLED_SQL = """
SELECT meter_id, start, "end", condition, evidence, use, sku, list_nano_usd_per_hour, nano_usd_per_hour, price_source
  FROM billing_meteredinterval
 WHERE NOT is_settled AND meter_id = ANY(%s)
"""
_READ_SQL = """
SELECT deployment.id, deployment.generation, endpoint.absent_since IS NULL, feed.read_until,
       (SELECT max(upper(period)) FROM mirror_trafficcoverage
         WHERE deployment_id = deployment.id AND origin <> 'unknown'),
       (SELECT max(minute) FROM mirror_trafficminute WHERE deployment_id = deployment.id AND requests > 0),
       deployment.hardware, deployment.max_replicas, deployment.remote_created_at
  FROM mirror_deployment AS deployment
  JOIN mirror_endpoint AS endpoint ON endpoint.id = deployment.endpoint_id
  LEFT JOIN mirror_eventcursor AS feed ON feed.endpoint_id = endpoint.id
 WHERE deployment.connection_id = %s
"""
# Posted long ago, when the feed had not been read for so long that nobody waited for it any more.
_NOT_SEEN_SQL = """
SELECT meter_id, start FROM billing_meteredinterval
 WHERE condition = 'unknown' AND is_settled AND evidence = %s AND meter_id = ANY(%s)
"""
_BOUNDARY_SQL = """
SELECT asked.meter_id, min(interval.start)
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (meter_id, at)
  JOIN billing_meteredinterval AS interval
    ON interval.meter_id = asked.meter_id AND (interval."end" IS NULL OR interval."end" > asked.at)
 GROUP BY asked.meter_id
"""


@dataclass(frozen=True, slots=True)
class ReadState:
    """A deployment and how far what tells of it was read; None = not at all."""

    deployment_id: int
    is_v2: bool
    has_feed: bool
    feed_until: datetime | None
    traffic_until: datetime | None
    last_request_at: datetime | None
    hardware: str
    max_replicas: int | None
    created_at: datetime | None

    def settled_until(
        self, *, looked_until: datetime | None, idle_after: timedelta, now: datetime
    ) -> datetime:
        """Return the instant up to which hardly anything can still become known: what ends before it is posted."""
        looked = now - FEED_PATIENCE if looked_until is None else looked_until - BLIND_AFTER
        if not self.is_v2:
            return max(looked, now - FEED_PATIENCE)
        if self.has_feed:
            told = now - FEED_PATIENCE
            if self.feed_until is not None:
                told = max(told, self.feed_until - FEED_OVERLAP)
        else:
            told = max(looked, now - FEED_PATIENCE)
        traffic = now - TRAFFIC_PATIENCE
        if self.traffic_until is not None:
            traffic = max(traffic, self.traffic_until - idle_after)
        return min(told, traffic, now)

    @property
    def known_until(self) -> datetime | None:
        """Return how far the event feed tells everything; None = there is none that does."""
        return self.feed_until if self.is_v2 else None

    def tells(self, at: datetime) -> bool:
        """Return True when the feed was read past an instant."""
        return self.known_until is not None and self.known_until > at


@dataclass(slots=True)
class _Unsettled:
    """What a pass has to know of the intervals of a meter that are not posted."""

    start: datetime
    is_due: bool = False


def find_mark(connection: Connection) -> tuple[int, int]:
    """Return the newest edge and event there are: the next pass looks at what comes after them. One query."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT max(id) FROM mirror_statechange), 0),"
            " coalesce((SELECT max(id) FROM mirror_endpointevent), 0)"
        )
        change, event = cursor.fetchone()
    return change, event


def load_read_states(connection: Connection) -> dict[int, ReadState]:
    """Return the connection's deployments by id. One query."""
    with database.cursor() as cursor:
        cursor.execute(_READ_SQL, [connection.pk])
        return {
            pk: ReadState(
                pk, generation == "v2", has_feed, feed, traffic,
                None if minute is None else minute + timedelta(minutes=1), hardware, most, created_at,
            )
            for pk, generation, has_feed, feed, traffic, minute, hardware, most, created_at in cursor.fetchall()
        }  # fmt: skip


def find_changed(
    connection: Connection,
    meters: Sequence[Meter],
    *,
    states: Mapping[int, ReadState],
    cursor: MeteringCursor,
    book: PriceBook,
    idle_after: timedelta,
    is_all: bool,
    now: datetime,
) -> dict[int, datetime | None]:
    """Return meter id -> from when on it has to be metered; None = from its beginning."""
    by_deployment = {meter.deployment_id: meter for meter in meters}
    by_pk = {meter.pk: meter for meter in meters}
    unsettled = _find_due(
        meters, states, cursor=cursor, book=book, idle_after=idle_after, is_all=is_all, now=now
    )
    found: dict[int, datetime | None] = {pk: one.start for pk, one in unsettled.items() if one.is_due}
    reached: dict[int, datetime] = {}
    for deployment_id, at in _load_changed(connection, cursor):
        meter = by_deployment.get(deployment_id)
        if meter is not None:
            reached[meter.pk] = min(at - BEFORE_AN_EDGE, reached.get(meter.pk, at))
    for meter_id, at in _load_not_seen(meters):
        state = states.get(by_pk[meter_id].deployment_id or 0)
        if state is not None and state.tells(at):
            reached[meter_id] = min(at, reached.get(meter_id, at))
    for meter_id, at in load_newly_priced([meter.pk for meter in meters], book=book).items():
        reached[meter_id] = min(at, reached.get(meter_id, at))
    boundaries = _find_boundaries(reached)
    for meter in meters:
        if meter.metered_from is None:
            found[meter.pk] = None
        elif meter.pk in reached:
            since = boundaries.get(meter.pk)
            # Earlier than all that is known of it: its beginning has moved.
            if since is None or reached[meter.pk] < meter.metered_from:
                found[meter.pk] = None
                continue
            first = unsettled[meter.pk].start if meter.pk in unsettled else since
            found[meter.pk] = min(since, first)
        elif meter.problem and meter.pk in unsettled:
            found[meter.pk] = unsettled[meter.pk].start
    return found


def _load_changed(connection: Connection, cursor: MeteringCursor) -> Iterable[tuple[int, datetime]]:
    parameters: dict[str, Any] = {
        "connection": connection.pk,
        "change": cursor.last_change_id,
        "event": cursor.last_event_id,
        "late": LATE_ROWS,
        "seconds": LATE_SECONDS,
        "deleted": DELETED,
    }
    with database.cursor() as database_cursor:
        database_cursor.execute(_CHANGED_SQL, parameters)
        return list(database_cursor.fetchall())


def _load_not_seen(meters: Sequence[Meter]) -> list[tuple[int, datetime]]:
    with database.cursor() as cursor:
        cursor.execute(_NOT_SEEN_SQL, [NOT_SEEN, [meter.pk for meter in meters]])
        return list(cursor.fetchall())


def _find_due(
    meters: Sequence[Meter],
    states: Mapping[int, ReadState],
    *,
    cursor: MeteringCursor,
    book: PriceBook,
    idle_after: timedelta,
    is_all: bool,
    now: datetime,
) -> dict[int, _Unsettled]:
    """Return what is not posted of each meter, and whether any of it has to be written anew."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    told = ((meter.pk, states.get(meter.deployment_id or 0)) for meter in meters)
    by_pk = {pk: state for pk, state in told if state is not None}
    settled = {
        pk: state.settled_until(looked_until=cursor.looked_until, idle_after=idle_after, now=now)
        for pk, state in by_pk.items()
    }
    found: dict[int, _Unsettled] = {}
    with database.cursor() as database_cursor:
        database_cursor.execute(_UNSETTLED_SQL, [list(by_pk)])
        rows = database_cursor.fetchall()
    for pk, start, end, condition, evidence, use, sku, *price in rows:
        one = found.setdefault(pk, _Unsettled(start, is_due=is_all))
        one.start = min(one.start, start)
        if one.is_due:
            continue
        state = by_pk[pk]
        if condition == Condition.UNKNOWN and evidence == NOT_SEEN:
            one.is_due = state.tells(start)
        if end is not None:
            one.is_due = one.is_due or end <= settled[pk]
        elif condition == Condition.BILLS:
            step = book.at(sku, now)
            one.is_due = (
                start < midnight
                or [step.list_nano, step.nano, step.source] != price
                or _has_other_use(use, start, state, idle_after=idle_after, now=now)
            )
    return found


def _has_other_use(
    use: str, start: datetime, state: ReadState, *, idle_after: timedelta, now: datetime
) -> bool:
    """Return True when what was read since says that an open interval is used otherwise than it says."""
    known = state.traffic_until
    if known is None or not state.is_v2:
        return False
    if use == Use.UNKNOWN:
        return known > start + LONGEST_SEAM and now - known <= LONGEST_DELAY
    if now - known > LONGEST_DELAY:
        return True
    last = state.last_request_at
    if use == Use.IDLE:
        return last is not None and last > start
    return known - max(start, last or start) >= idle_after


def _find_boundaries(reached: Mapping[int, datetime]) -> dict[int, datetime]:
    """Return by meter the start of the stored interval that contains the instant. One query."""
    if not reached:
        return {}
    with database.cursor() as cursor:
        cursor.execute(_BOUNDARY_SQL, [list(reached), list(reached.values())])
        return dict(cursor.fetchall())
