"""Load what mirror and ledger know of resources, for metering them. Few queries a batch."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from django.db import connection as database
from django.db.models import Min

from billing.metering_deployments import PostedPrice
from billing.metering_edges import BLIND_AFTER, GONE, Stretch
from billing.metering_line import NOT_SEEN
from billing.models import Meter
from billing.price_book import PriceStep
from billing.resource_edges import Change
from dashboard.mirror.models import Resource, ResourceChange, ResourceKind, Source

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# Kinds whose past before our first sight nobody dates: jobs tell their total, nodes of clusters their phases.
_UNDATED = frozenset({ResourceKind.VOLUME, ResourceKind.CONTAINER, ResourceKind.RL_RESOURCE})

# What was taken from the bill is not metered again: only what follows it.
_SINCE_SQL = """
SELECT asked.meter_id,
       greatest(min(interval.start),
                (SELECT max(billed."end") FROM billing_meteredinterval AS billed
                  WHERE billed.meter_id = asked.meter_id AND billed.source = 'bill'))
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (meter_id, late)
  JOIN billing_meteredinterval AS interval
    ON interval.meter_id = asked.meter_id
   AND (NOT interval.is_settled OR (asked.late IS NOT NULL AND interval."end" > asked.late))
 GROUP BY asked.meter_id
"""
# Edges from `since` on, and the one that was in force then: what was settled by then is not looked at again.
_CHANGES_SQL = """
SELECT change.resource_id, change.at, change.not_before, change.state, change.units, change.source
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (resource_id, since)
 CROSS JOIN LATERAL (
     SELECT * FROM mirror_resourcechange
      WHERE resource_id = asked.resource_id AND at >= coalesce(asked.since, '-infinity')
     UNION
     (SELECT * FROM mirror_resourcechange
       WHERE resource_id = asked.resource_id AND at < asked.since AND units IS NOT NULL
       ORDER BY at DESC, id DESC LIMIT 2)
 ) AS change
 ORDER BY change.resource_id, change.at, change.id
"""
# Meters whose bill begins before the first interval that was taken from it, or has one that is not posted yet.
_BILLED_BEFORE_SQL = """
SELECT billed.meter_id
  FROM (SELECT meter_id, min(start) AS start FROM billing_billedline WHERE meter_id = ANY(%s) GROUP BY meter_id)
       AS billed
  LEFT JOIN LATERAL (
      SELECT min(start) AS start, bool_or(NOT is_settled) AS is_open
        FROM billing_meteredinterval WHERE meter_id = billed.meter_id AND source = 'bill'
  ) AS taken ON true
 WHERE taken.start IS NULL OR billed.start < taken.start OR taken.is_open
"""
_POSTED_SQL = """
SELECT interval.meter_id, interval.start, interval."end", interval.sku, interval.list_nano_usd_per_hour,
       interval.nano_usd_per_hour, interval.price_source, interval.condition
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (meter_id, since)
  JOIN billing_meteredinterval AS interval ON interval.meter_id = asked.meter_id AND interval."end" > asked.since
 WHERE is_settled AND ((condition = 'bills' AND nano_usd_per_hour IS NOT NULL AND lump_nano_usd = 0
                        AND source <> 'bill')
                    OR (condition = 'unknown' AND evidence = %s))
 ORDER BY interval.meter_id, interval.start
"""


def find_since(
    meters: Mapping[int, Meter], priced: Mapping[int, datetime], *, after: int
) -> dict[int, datetime]:
    """Return by meter from when on it is metered again; those never posted are left out. `meters` by resource.

    From the first interval that is not posted, that waits for a price, or that an edge concerns which was recorded
    after the edge with the id `after`. Two queries.
    """
    rows = ResourceChange.objects.filter(resource__in=list(meters), pk__gt=after).values("resource")
    late = {
        meters[row["resource"]].pk: min(row["edge"], row["bound"] or row["edge"])
        for row in rows.annotate(edge=Min("at"), bound=Min("not_before"))
    }
    ids = [meter.pk for meter in meters.values()]
    with database.cursor() as cursor:
        cursor.execute(_SINCE_SQL, [ids, [late.get(pk) for pk in ids]])
        found: dict[int, datetime] = dict(cursor.fetchall())
    return {pk: min(start, priced.get(pk, start)) for pk, start in found.items()}


def find_firsts(resources: Sequence[Resource], meters: Mapping[int, Meter]) -> dict[int, datetime]:
    """Return, by resource, when it was first seen, where the bill tells an earlier time that is not posted yet.

    Two queries, and none of the edges when there is no such resource. The bill is imported month by month, and may
    reach further back later.
    """
    undated = [one.pk for one in resources if one.kind in _UNDATED and one.pk in meters]
    if not undated:
        return {}
    with database.cursor() as cursor:
        cursor.execute(_BILLED_BEFORE_SQL, [[meters[pk].pk for pk in undated]])
        older = {row[0] for row in cursor.fetchall()}
    candidates = [pk for pk in undated if meters[pk].pk in older]
    if not candidates:
        return {}
    rows = ResourceChange.objects.filter(resource__in=candidates).order_by("resource", "at", "pk")
    first = rows.distinct("resource").values_list("resource", "at", "not_before")
    return {pk: at for pk, at, not_before in first if not_before is None or at - not_before > BLIND_AFTER}


def load_changes(asked: Mapping[int, datetime | None]) -> dict[int, list[Change]]:
    """Return the edges by resource, from the time asked for on; None = all. One query."""
    found: dict[int, list[Change]] = {}
    with database.cursor() as cursor:
        cursor.execute(_CHANGES_SQL, [list(asked), list(asked.values())])
        for pk, at, not_before, state, units, source in cursor.fetchall():
            change = Change(at, not_before, state, 0 if state == GONE else units, source == Source.POLL)
            found.setdefault(pk, []).append(change)
    return found


def load_posted(
    meters: Iterable[Meter], since: Mapping[int, datetime]
) -> tuple[dict[int, list[PostedPrice]], dict[int, list[Stretch]]]:
    """Return by meter the prices that posted intervals were charged at, and what nobody saw. One query.

    Both stay: a price whatever the price book says now, a gap though the passes that showed it are forgotten.
    """
    prices: dict[int, list[PostedPrice]] = {}
    unseen: dict[int, list[Stretch]] = {}
    ids = [meter.pk for meter in meters]
    with database.cursor() as cursor:
        cursor.execute(_POSTED_SQL, [ids, [since.get(pk, _LONG_AGO) for pk in ids], NOT_SEEN])
        for pk, start, end, sku, listed, nano, source, condition in cursor.fetchall():
            if condition == "unknown":
                unseen.setdefault(pk, []).append((start, end))
            else:
                step = PriceStep(start, end, listed, nano, source)
                prices.setdefault(pk, []).append(PostedPrice(start, end, step, sku))
    return prices, unseen
