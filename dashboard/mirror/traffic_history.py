"""Read recorded traffic for sparklines, rates and sums. What was not read is unknown (None), never zero."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection as database

WINDOW = timedelta(hours=24)
BUCKETS = 48
BUCKET = WINDOW / BUCKETS
# "212 req/min" is the mean over this stretch of known minutes. Minutes, judged: long enough to be calm.
RATE_OVER = timedelta(minutes=10)

# A bucket is known when any deployment of the endpoint was read during it.
_BUCKETS_SQL = """
WITH counted AS (
    SELECT endpoint_id, floor(extract(epoch FROM half.start - %(start)s) / %(bucket_seconds)s)::int AS bucket,
           requests::float8, failed_requests::float8, input_tokens::float8, output_tokens::float8
    FROM mirror_traffichalfhour half
    WHERE endpoint_id = ANY(%(endpoints)s) AND half.start >= %(start)s AND half.start < %(end)s
), known AS (
    SELECT DISTINCT deployment.endpoint_id, bucket
    FROM mirror_deployment deployment
    JOIN mirror_trafficcoverage coverage ON coverage.deployment_id = deployment.id
    CROSS JOIN LATERAL generate_series(
        greatest(0, floor(extract(epoch FROM lower(period) - %(start)s) / %(bucket_seconds)s)::int),
        least(%(last)s, ceil(extract(epoch FROM upper(period) - %(start)s) / %(bucket_seconds)s)::int - 1)
    ) AS bucket
    WHERE deployment.endpoint_id = ANY(%(endpoints)s)
      AND origin <> 'unknown' AND period && tstzrange(%(start)s, %(end)s)
)
SELECT endpoint_id, bucket, coalesce(requests, 0), coalesce(failed_requests, 0), coalesce(input_tokens, 0),
       coalesce(output_tokens, 0), known.bucket IS NOT NULL
FROM known FULL JOIN counted USING (endpoint_id, bucket)
"""

_RATES_SQL = """
SELECT endpoint.id, coalesce(sum(traffic.requests), 0)::float8
FROM mirror_endpoint endpoint
JOIN mirror_deployment deployment ON deployment.endpoint_id = endpoint.id
LEFT JOIN mirror_trafficminute traffic ON traffic.deployment_id = deployment.id
    AND traffic.minute >= endpoint.traffic_read_until - %(over)s::interval
    AND traffic.minute < endpoint.traffic_read_until
WHERE endpoint.id = ANY(%(endpoints)s) AND endpoint.traffic_read_until IS NOT NULL
GROUP BY endpoint.id
"""


@dataclass(frozen=True, slots=True)
class TrafficDay:
    """The last 24 h of one endpoint, oldest bucket first, per bucket of 30 min; None = not known."""

    start: datetime
    requests: tuple[float | None, ...] = (None,) * BUCKETS
    failed_requests: float = 0
    input_tokens: float = 0
    output_tokens: float = 0

    @property
    def finished_requests(self) -> tuple[float | None, ...]:
        """Return the buckets without the last, which is under way: a line that ends in a dip would say less."""
        return self.requests[:-1]

    @property
    def is_known(self) -> bool:
        """True when any part of it was read."""
        return any(value is not None for value in self.requests)

    @property
    def total_requests(self) -> float:
        """Return the requests of the known parts."""
        return sum(value for value in self.requests if value is not None)


@dataclass(slots=True)
class _Sums:
    requests: list[float | None] = field(default_factory=lambda: [None] * BUCKETS)
    failed: float = 0
    input_tokens: float = 0
    output_tokens: float = 0


def load_days(endpoint_ids: Sequence[int], *, end: datetime) -> dict[int, TrafficDay]:
    """Return the 24 h before ``end`` of each endpoint that has any record, in buckets of 30 min. One query.

    Buckets are half hours of the clock: ``end`` is the end of one (`next_half_hour`), ValueError otherwise.
    """
    if end.timestamp() % BUCKET.total_seconds():
        raise ValueError(f"{end} does not end a half hour")
    start = end - WINDOW
    sums: dict[int, _Sums] = {}
    with database.cursor() as cursor:
        cursor.execute(
            _BUCKETS_SQL,
            {
                "endpoints": list(endpoint_ids),
                "start": start,
                "end": end,
                "bucket_seconds": BUCKET.total_seconds(),
                "last": BUCKETS - 1,
            },
        )
        for endpoint_id, bucket, requests, failed, tokens_in, tokens_out, is_known in cursor.fetchall():
            mine = sums.setdefault(endpoint_id, _Sums())
            # Counts outside of any coverage are a lower bound: worth drawing, unlike an unread zero.
            if is_known or requests:
                mine.requests[bucket] = requests
            mine.failed += failed
            mine.input_tokens += tokens_in
            mine.output_tokens += tokens_out
    return {
        endpoint_id: TrafficDay(start, tuple(one.requests), one.failed, one.input_tokens, one.output_tokens)
        for endpoint_id, one in sums.items()
    }


def load_rates(endpoint_ids: Sequence[int]) -> dict[int, float]:
    """Return requests per minute over the last known ten minutes; endpoints never read are left out. One query."""
    with database.cursor() as cursor:
        cursor.execute(
            _RATES_SQL, {"endpoints": list(endpoint_ids), "over": f"{RATE_OVER.total_seconds()} seconds"}
        )
        return {
            endpoint_id: requests / (RATE_OVER / timedelta(minutes=1))
            for endpoint_id, requests in cursor.fetchall()
        }


def next_half_hour(now: datetime) -> datetime:
    """Return the half hour that comes: the end of a window cut at half hours, whose last bucket is under way."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    return minute.replace(minute=minute.minute - minute.minute % 30) + BUCKET
