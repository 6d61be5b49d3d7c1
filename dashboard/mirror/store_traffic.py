"""Write traffic minutes, what was covered, and the counters behind them; a part of the mirror's store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror.models import CounterReading, TrafficCoverage, TrafficCursor
from dashboard.mirror.observations import Written
from dashboard.together_api.metrics import CounterSeries, TrafficIncrease

BATCH_ROWS = 1_000
# Evidence looks at the last minutes, lists at the last day: further back nobody asks whether a minute is known.
KNOWN_WINDOW = timedelta(hours=24)
# Between two sources a part of a minute may belong to neither; a longer hole is a hole (our choice).
LONGEST_SEAM = timedelta(minutes=1)

_COUNTS = ("requests", "failed_requests", "input_tokens", "output_tokens")
_ADD_COUNTS = "DO UPDATE SET " + ", ".join(f"{name} = known.{name} + excluded.{name}" for name in _COUNTS)
_TOLD = """unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
           AS told (deployment_id, minute, requests, failed_requests, input_tokens, output_tokens)"""
# Only names from above go into the text; every value is a parameter.
_ADD_MINUTES = f"""
INSERT INTO mirror_trafficminute AS known (deployment_id, minute, {", ".join(_COUNTS)})
SELECT * FROM {_TOLD}
    ON CONFLICT (deployment_id, minute) {_ADD_COUNTS}
"""  # noqa: S608 - see above
_ADD_HALF_HOURS = f"""
INSERT INTO mirror_traffichalfhour AS known (endpoint_id, start, {", ".join(_COUNTS)})
SELECT deployment.endpoint_id, date_bin('30 minutes', told.minute, 'epoch'),
       {", ".join(f"sum(told.{name})" for name in _COUNTS)}
  FROM {_TOLD} JOIN mirror_deployment AS deployment ON deployment.id = told.deployment_id
 GROUP BY 1, 2
    ON CONFLICT (endpoint_id, start) {_ADD_COUNTS}
"""  # noqa: S608 - see above


@dataclass(frozen=True, slots=True)
class SeenTraffic:
    """What one source told about one deployment over `[start, end)`.

    `is_covered` False = the stretch stays unread (counts, if any, are still a lower bound worth keeping).
    `last_request_before` is an upper bound of its last request; None = no request seen.
    """

    deployment_id: int
    start: datetime
    end: datetime
    minutes: Mapping[datetime, TrafficIncrease] = field(default_factory=dict)
    is_covered: bool = True
    last_request_before: datetime | None = None


@transaction.atomic
def store_traffic(
    connection: Connection, *, seen: Sequence[SeenTraffic], origin: TrafficCoverage.Origin
) -> Written:
    """Write minutes, coverage and the endpoints' summary of both. A fixed number of statements."""
    if not seen:
        return Written()
    hold_until_commit(Lock.MIRROR_WRITES, key=connection.pk)
    told = [(one.deployment_id, minute, counts) for one in seen for minute, counts in one.minutes.items()]
    add_minutes(told)
    is_unknown = origin is TrafficCoverage.Origin.UNKNOWN
    _extend_coverage([one for one in seen if one.is_covered or is_unknown], origin=origin)
    endpoint_ids = _summarize(seen)
    if endpoint_ids:
        _date_knowledge(endpoint_ids, now=max(one.end for one in seen))
        live.announce(["traffic"], ids=endpoint_ids)
    return Written(updated=len(told))


@transaction.atomic
def store_scrape(
    connection: Connection,
    *,
    seen: Sequence[SeenTraffic],
    series: Sequence[tuple[int, CounterSeries]],
    read_at: datetime,
) -> Written:
    """Write what a reading of the Prometheus text told, with its counters and cursor: all or nothing.

    Counters of series that vanished stay: an idle deployment leaves the text and comes back with the same values.
    """
    written = store_traffic(connection, seen=seen, origin=TrafficCoverage.Origin.METRICS)
    CounterReading.objects.bulk_create(
        [
            CounterReading(deployment_id=deployment_id, series=one.key, value=one.value, read_at=read_at)
            for deployment_id, one in series
        ],
        update_conflicts=True,
        unique_fields=["deployment", "series"],
        update_fields=["value", "read_at"],
        batch_size=BATCH_ROWS,
    )
    TrafficCursor.objects.update_or_create(connection=connection, defaults={"read_at": read_at})
    return written


def add_minutes(told: Sequence[tuple[int, datetime, TrafficIncrease]]) -> None:
    """Add counts to minutes (deployment id, minute, counts) and to their endpoints' half hours. Two statements.

    A minute may be told in two parts, so counts are added, never set.
    """
    if not told:
        return
    arrays: list[Any] = [
        [deployment_id for deployment_id, _, _ in told],
        [minute for _, minute, _ in told],
        *([getattr(counts, name) for _, _, counts in told] for name in _COUNTS),
    ]
    with database.cursor() as cursor:
        cursor.execute(_ADD_MINUTES, arrays)
        cursor.execute(_ADD_HALF_HOURS, arrays)


def _extend_coverage(covered: Sequence[SeenTraffic], *, origin: TrafficCoverage.Origin) -> None:
    """Lengthen the stretch that ends where the new one starts, else open a new one. Two statements."""
    if not covered:
        return
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mirror_trafficcoverage AS known
               SET period = tstzrange(lower(known.period), new.ends)
              FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS new (deployment_id, starts, ends)
             WHERE known.deployment_id = new.deployment_id AND upper(known.period) = new.starts
               AND known.origin = %s
            RETURNING new.deployment_id, new.starts
            """,
            [
                [one.deployment_id for one in covered],
                [one.start for one in covered],
                [one.end for one in covered],
                origin.value,
            ],
        )
        extended = set(cursor.fetchall())
    TrafficCoverage.objects.bulk_create(
        [
            TrafficCoverage(deployment_id=one.deployment_id, period=(one.start, one.end), origin=origin)
            for one in covered
            if (one.deployment_id, one.start) not in extended
        ],
        batch_size=BATCH_ROWS,
    )


def _summarize(seen: Sequence[SeenTraffic]) -> list[int]:
    """Move the endpoints' last request forward; return the ids of the endpoints concerned."""
    if not seen:
        return []
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mirror_endpoint AS endpoint
               SET last_request_at = greatest(endpoint.last_request_at, new.last_request_at)
              FROM (SELECT deployment.endpoint_id, max(told.last_request_at) AS last_request_at
                      FROM unnest(%s::bigint[], %s::timestamptz[]) AS told (deployment_id, last_request_at)
                      JOIN mirror_deployment AS deployment ON deployment.id = told.deployment_id
                     GROUP BY deployment.endpoint_id) AS new
             WHERE endpoint.id = new.endpoint_id
            RETURNING endpoint.id
            """,
            [[one.deployment_id for one in seen], [one.last_request_before for one in seen]],
        )
        return [row[0] for row in cursor.fetchall()]


def _date_knowledge(endpoint_ids: Sequence[int], *, now: datetime) -> None:
    """Set `traffic_read_until` of these endpoints: up to there every minute of what serves now was read. One statement.

    Read without a hole since the deployment is in its present state (a request before that says nothing about this
    run), for a day at most. NULL = not even its first minute. An idle proof rests on it: a newer reading behind a
    hole must not hide the hole.
    """
    parameters: dict[str, Any] = {
        "endpoints": list(endpoint_ids),
        "now": now,
        "window": KNOWN_WINDOW,
        "seam": LONGEST_SEAM,
    }
    with database.cursor() as cursor:
        cursor.execute(
            """
            WITH serving AS (
                SELECT id, endpoint_id,
                       greatest(%(now)s - %(window)s, remote_created_at, state_since) AS since
                  FROM mirror_deployment
                 WHERE endpoint_id = ANY(%(endpoints)s) AND absent_since IS NULL AND billable_high > 0
            ), piece AS (
                SELECT serving.id, since, lower(period) AS starts, upper(period) AS ends,
                       greatest(since, max(upper(period)) OVER (
                           PARTITION BY serving.id ORDER BY lower(period)
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS known_before
                  FROM serving JOIN mirror_trafficcoverage ON deployment_id = serving.id
                 WHERE upper(period) > since
            ), chain AS (
                SELECT id, coalesce(min(known_before) FILTER (WHERE starts > known_before + %(seam)s),
                                    max(ends)) AS read_until
                  FROM piece GROUP BY id
            ), told AS (
                SELECT serving.endpoint_id,
                       CASE WHEN bool_and(read_until > since) THEN min(read_until) END AS read_until
                  FROM serving LEFT JOIN chain USING (id) GROUP BY serving.endpoint_id
            )
            UPDATE mirror_endpoint AS endpoint SET traffic_read_until = told.read_until
              FROM told
             WHERE endpoint.id = told.endpoint_id
               AND endpoint.traffic_read_until IS DISTINCT FROM told.read_until
            """,
            parameters,
        )
