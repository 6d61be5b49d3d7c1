"""Load what the mirror knows of deployments, for metering: edges, events of their end, traffic. Few queries a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection as database

from billing.metering_deployments import PostedPrice
from billing.metering_edges import GONE, Edge, Stretch
from billing.metering_use import Traffic
from billing.price_book import PriceStep
from billing.skus import deployment_sku
from dashboard.mirror.models import Generation
from dashboard.mirror.readings import bound_v1_billing, bound_v2_billing

# Context before the instant from which something is metered: what is in force there was settled by then.
CONTEXT = timedelta(days=1)
DELETED = "deployment.deleted"

_EDGES_SQL = """
SELECT change.deployment_id, change.at, change.not_before, change.state, change.ready_replicas, change.min_replicas,
       change.max_replicas, change.hardware, change.source, change.event_id
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (deployment_id, since)
 CROSS JOIN LATERAL (
     SELECT * FROM mirror_statechange
      WHERE deployment_id = asked.deployment_id AND at >= coalesce(asked.since, '-infinity')
     UNION
     (SELECT * FROM mirror_statechange
       WHERE deployment_id = asked.deployment_id AND at < asked.since AND source <> 'poll'
       ORDER BY at DESC, id DESC LIMIT 1)
     UNION
     (SELECT * FROM mirror_statechange
       WHERE deployment_id = asked.deployment_id AND at < asked.since AND source = 'poll'
       ORDER BY at DESC, id DESC LIMIT 1)
 ) AS change
 ORDER BY change.deployment_id, change.at, change.id
"""
_DELETED_SQL = """
SELECT deployment_id, at, remote_id FROM mirror_endpointevent
 WHERE deployment_id = ANY(%s) AND type = %s
"""
# Minutes with a request, joined where fewer than `idle` lie between them.
_BUSY_SQL = """
WITH minutes AS (
    SELECT traffic.deployment_id, minute,
           minute - lag(minute) OVER (PARTITION BY traffic.deployment_id ORDER BY minute) AS step
      FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS asked (deployment_id, since)
      JOIN mirror_trafficminute AS traffic
        ON traffic.deployment_id = asked.deployment_id AND traffic.minute >= asked.since
     WHERE requests > 0
), islands AS (
    SELECT deployment_id, minute,
           count(*) FILTER (WHERE step >= %(idle)s::interval + interval '1 minute')
               OVER (PARTITION BY deployment_id ORDER BY minute) AS island
      FROM minutes
)
SELECT deployment_id, min(minute), max(minute) + interval '1 minute'
  FROM islands GROUP BY deployment_id, island ORDER BY deployment_id, island
"""
_POSTED_SQL = """
SELECT interval.meter_id, interval.start, interval."end", interval.sku, interval.list_nano_usd_per_hour,
       interval.nano_usd_per_hour, interval.price_source
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (meter_id, since)
  JOIN billing_meteredinterval AS interval ON interval.meter_id = asked.meter_id AND interval."end" > asked.since
 WHERE is_settled AND condition = 'bills' AND nano_usd_per_hour IS NOT NULL AND lump_nano_usd = 0
 ORDER BY interval.meter_id, interval.start
"""
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_KNOWN_SQL = """
SELECT coverage.deployment_id, lower(period), upper(period)
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (deployment_id, since)
  JOIN mirror_trafficcoverage AS coverage ON coverage.deployment_id = asked.deployment_id
 WHERE origin <> 'unknown' AND upper(period) > asked.since
 ORDER BY coverage.deployment_id, lower(period)
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A deployment to be metered from `since` on; None = from its beginning."""

    deployment_id: int
    meter_id: int
    generation: str
    hardware: str
    max_replicas: int | None
    since: datetime | None


class Change(NamedTuple):
    """A row of mirror.StateChange."""

    at: datetime
    not_before: datetime | None
    state: str
    ready_replicas: int | None
    min_replicas: int | None
    max_replicas: int | None
    hardware: str
    source: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Life:
    """The edges of a deployment, and how many replicas may have billed where nobody looked."""

    edges: Sequence[Edge]
    ceiling: int


def load_lives(subjects: Sequence[Subject], *, is_whole: bool) -> dict[int, Life]:
    """Return by deployment its edges from a day before `since` on, with what was in force then. Two queries.

    `is_whole`: all of them, since a replica run is rounded as a whole.
    """
    ids = [one.deployment_id for one in subjects]
    begins = [None if is_whole or one.since is None else one.since - CONTEXT for one in subjects]
    told: dict[int, list[Change]] = {}
    with database.cursor() as cursor:
        cursor.execute(_EDGES_SQL, [ids, begins])
        for pk, *row in cursor.fetchall():
            told.setdefault(pk, []).append(Change(*row))
        cursor.execute(_DELETED_SQL, [ids, DELETED])
        deleted = {pk: (at, name) for pk, at, name in cursor.fetchall()}
    return {
        one.deployment_id: read_life(
            told.get(one.deployment_id, []), subject=one, deleted=deleted.get(one.deployment_id)
        )
        for one in subjects
    }


def read_life(
    changes: Sequence[Change], *, subject: Subject, deleted: tuple[datetime, str] | None = None
) -> Life:
    """Return the edges that metering understands; `deleted` is the time and id of the event that ended it. Pure."""
    counts = [
        count for one in changes for count in (one.max_replicas, one.ready_replicas) if count is not None
    ]
    ceiling = max([*counts, subject.max_replicas or 0, 1])
    edges = [
        Edge(
            at=one.at,
            state=one.state,
            low=low,
            high=high,
            source=one.source,
            not_before=one.not_before,
            sku=deployment_sku(subject.generation, one.hardware or subject.hardware),
            name=one.event_id,
        )
        for one in changes
        for low, high in [_bound(one, subject.generation, ceiling)]
        # What the event says ends it, the listing that lacks it only repeats.
        if not (deleted and one.state == GONE)
    ]
    if deleted is not None:
        at, name = deleted
        edges = [edge for edge in edges if edge.at <= at]
        edges.append(Edge(at, GONE, 0, 0, name=name, sku=edges[-1].sku if edges else ""))
    return Life(edges, ceiling)


def _bound(change: Change, generation: str, ceiling: int) -> tuple[int, int]:
    if change.state == GONE:
        return 0, 0
    if generation == Generation.V1:
        return bound_v1_billing(
            state=change.state, min_replicas=change.min_replicas, max_replicas=change.max_replicas
        )
    return bound_v2_billing(state=change.state, ready_replicas=change.ready_replicas, upper_bound=ceiling)


def load_traffic(subjects: Sequence[Subject], *, idle_after: timedelta) -> dict[int, Traffic]:
    """Return by v2 deployment what is known of its requests around and after `since`. Two queries."""
    asked = {
        one.deployment_id: (one.since or _LONG_AGO) - 2 * idle_after
        for one in subjects
        if one.generation == Generation.V2
    }
    known: dict[int, list[Stretch]] = {}
    busy: dict[int, list[Stretch]] = {}
    ids, sinces = list(asked), list(asked.values())
    parameters: dict[str, Any] = {"ids": ids, "since": sinces, "idle": idle_after}
    with database.cursor() as cursor:
        cursor.execute(_KNOWN_SQL, [ids, sinces])
        for pk, start, end in cursor.fetchall():
            known.setdefault(pk, []).append((start, end))
        cursor.execute(_BUSY_SQL, parameters)
        for pk, start, end in cursor.fetchall():
            busy.setdefault(pk, []).append((start, end))
    return {pk: Traffic(since, known.get(pk, []), busy.get(pk, [])) for pk, since in asked.items()}


def load_posted_prices(subjects: Sequence[Subject]) -> dict[int, list[PostedPrice]]:
    """Return by meter the known prices at which its posted intervals from `since` on were charged. One query."""
    found: dict[int, list[PostedPrice]] = {}
    with database.cursor() as cursor:
        cursor.execute(
            _POSTED_SQL,
            [
                [one.meter_id for one in subjects],
                [one.since or _LONG_AGO for one in subjects],
            ],
        )
        for meter_id, start, end, sku, listed, nano, source in cursor.fetchall():
            step = PriceStep(start, end, listed, nano, source)
            found.setdefault(meter_id, []).append(PostedPrice(start, end, step, sku))
    return found
