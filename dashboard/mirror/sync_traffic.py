"""Mirror requests and tokens per minute of one connection.

Where the organisation's Prometheus text is enabled one reading a minute covers everything that runs. Elsewhere,
and for stretches that no reading bounds closely (the first day, an outage of ours), analytics of single
deployments are asked, a limited number per pass. v1 endpoints have no traffic signal at all.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch, store_traffic
from dashboard.mirror.fetch import Answer
from dashboard.mirror.minutes import (
    LONGEST_SPREAD,
    NOTHING,
    find_gaps,
    floor_minute,
    read_window,
    spread,
)
from dashboard.mirror.models import (
    CounterReading,
    Deployment,
    Generation,
    SyncRun,
    TrafficCoverage,
    TrafficCursor,
)
from dashboard.mirror.runs import Tally, record_run
from dashboard.mirror.session import Clock, Session, open_session
from dashboard.mirror.store_traffic import SeenTraffic
from dashboard.together_api import payloads
from dashboard.together_api.client import AsyncTogetherClient
from dashboard.together_api.errors import ApiError, is_not_enabled
from dashboard.together_api.metrics import MetricsSnapshot, TrafficIncrease, count_increases

# How far back the first reading of a deployment goes: what lists and evidence show.
FIRST_WINDOW = timedelta(hours=24)
# Analytics are asked up to this long ago: how late they count is not documented (our choice).
ANALYTICS_LAG = timedelta(minutes=1)
# Calls for analytics per pass; the rest waits for the next minute.
MOST_ANALYTICS = 60
# A stretch that analytics did not tell this long after its end is written down as unknown (our choice).
GIVEN_UP_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Running:
    """A v2 deployment that may serve requests."""

    pk: int
    remote_id: str
    endpoint_remote_id: str
    project_remote_id: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Whole minutes `[start, end)` of a deployment that nobody has read yet."""

    deployment: Running
    start: datetime
    end: datetime


def sync_traffic(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Read the traffic of what runs, as one recorded run."""
    with record_run(connection, SyncRun.Resource.TRAFFIC, clock=clock) as recorded:
        if recorded is None:
            return
        _, tally = recorded
        running = _load_running(connection)
        tally.seen = len(running)
        with open_session(connection, clock=clock) as session:
            snapshot = _read_metrics(connection, session, tally)
            if snapshot is not None:
                _store_snapshot(connection, snapshot, running, tally)
            # Where a scrape covers the present, analytics are asked for what lies before it.
            limit = clock() - ANALYTICS_LAG if snapshot is None else snapshot.fetched_at
            _fill_gaps(connection, session, tally, running, limit=limit)


def _load_running(connection: Connection) -> list[Running]:
    """Return the deployments that may serve now. One query."""
    rows = Deployment.objects.filter(
        connection=connection, generation=Generation.V2, absent_since=None, billable_high__gt=0
    ).values_list(
        "pk", "remote_id", "endpoint__remote_id", "endpoint__project__remote_id", "remote_created_at"
    )
    return [Running(*row) for row in rows]


def _read_metrics(connection: Connection, session: Session, tally: Tally) -> Answer[MetricsSnapshot] | None:
    """Return the Prometheus snapshot, None where the organisation does not have it or it cannot be read."""
    if not connection.organization_id:
        return None
    answers = session.run(
        fetch.gather(
            {"metrics": lambda: session.client.get_metrics(connection.organization_id)}, clock=session.clock
        )
    )
    answer = answers["metrics"]
    if answer.value is not None:
        return answer
    if isinstance(answer.error, ApiError) and not is_not_enabled(answer.error):
        tally.report(answer.error.sentence)
    return None


def _store_snapshot(
    connection: Connection, answer: Answer[MetricsSnapshot], running: Sequence[Running], tally: Tally
) -> None:
    """Turn counters into minutes since the last reading; the first reading is only a base line.

    That holds for each deployment by itself: what its counters held when the mirror first met it may be hours of
    traffic. Its stretch stays unread here, and analytics tell its minutes.
    """
    snapshot, read_at = answer.value, answer.fetched_at
    if snapshot is None:
        return
    ids = {one.remote_id: one.pk for one in running} | dict(
        Deployment.objects.filter(connection=connection, remote_id__in=snapshot.deployments).values_list(
            "remote_id", "pk"
        )
    )
    previous = dict(
        CounterReading.objects.filter(deployment__connection=connection).values_list("series", "value")
    )
    series = [
        (ids[one.deployment_id], one)
        for one in snapshot.series
        if one.deployment_id in ids and previous.get(one.key) != one.value
    ]
    before = TrafficCursor.objects.filter(connection=connection).values_list("read_at", flat=True).first()
    seen: list[SeenTraffic] = []
    if before is not None and before < read_at:
        increases = count_increases(snapshot, previous=previous)
        serving = {ids[remote_id]: increase for remote_id, increase in increases.items() if remote_id in ids}
        strangers = set(
            Deployment.objects.filter(connection=connection, first_observed_at__gt=before).values_list(
                "pk", flat=True
            )
        )
        seen = [
            _bound_increase(pk, serving.get(pk, NOTHING), start=before, end=read_at)
            for pk in sorted({one.pk for one in running} | set(serving))
            if pk not in serving or pk not in strangers
        ]
    tally.add_written(store_traffic.store_scrape(connection, seen=seen, series=series, read_at=read_at))


def _bound_increase(pk: int, increase: TrafficIncrease, *, start: datetime, end: datetime) -> SeenTraffic:
    """Return what a counter's increase between two readings tells.

    None at all covers the stretch however long it was. Something over a long stretch is left to analytics, which
    know the minutes; until then only an upper bound of the last request is kept.
    """
    if increase == NOTHING:
        return SeenTraffic(pk, start, end)
    last = end if increase.requests else None
    if end - start > LONGEST_SPREAD:
        return SeenTraffic(pk, start, end, is_covered=False, last_request_before=last)
    return SeenTraffic(
        pk, start, end, minutes=spread(increase, start=start, end=end), last_request_before=last
    )


def _fill_gaps(
    connection: Connection, session: Session, tally: Tally, running: Sequence[Running], *, limit: datetime
) -> None:
    """Ask analytics for stretches of the last day that nothing covers; a limited number per pass."""
    gaps = _find_gaps(running, limit=limit)
    calls = {gap: _describe_call(session.client, gap) for gap in gaps[:MOST_ANALYTICS]}
    answers = session.run(fetch.gather(calls, clock=session.clock))
    told: list[SeenTraffic] = []
    untold: list[SeenTraffic] = []
    for gap, answer in answers.items():
        if answer.value is None:
            tally.report_error(answer.error)
            continue
        reading = read_window(answer.value, start=gap.start, end=gap.end)
        if reading.is_whole:
            told.append(
                SeenTraffic(
                    deployment_id=gap.deployment.pk,
                    start=gap.start,
                    end=gap.end,
                    minutes=reading.minutes,
                    last_request_before=reading.last_request_before,
                )
            )
        elif answer.fetched_at - gap.end > GIVEN_UP_AFTER:
            untold.append(
                SeenTraffic(
                    deployment_id=gap.deployment.pk,
                    start=gap.start,
                    end=gap.end,
                    is_covered=False,
                    # Unknown means active: there may have been a request until its very end.
                    last_request_before=gap.end,
                )
            )
    tally.add_written(
        store_traffic.store_traffic(connection, seen=told, origin=TrafficCoverage.Origin.ANALYTICS)
    )
    tally.add_written(
        store_traffic.store_traffic(connection, seen=untold, origin=TrafficCoverage.Origin.UNKNOWN)
    )


def _find_gaps(running: Sequence[Running], *, limit: datetime) -> list[Gap]:
    """Return what nobody has read of the last day: up to the present first, longest unread first, then the past,
    newest first. One query.

    Longest unread first, because with more running deployments than calls per pass the others would never be read.
    """
    start = floor_minute(limit - FIRST_WINDOW)
    covered: dict[int, list[tuple[datetime, datetime]]] = {one.pk: [] for one in running}
    for pk, period in TrafficCoverage.objects.filter(
        deployment__in=list(covered), period__endswith__gt=start
    ).values_list("deployment_id", "period"):
        covered[pk].append((period.lower, period.upper))
    gaps = [
        Gap(one, begins, ends)
        for one in running
        for begins, ends in find_gaps(covered[one.pk], start=max(start, one.created_at or start), end=limit)
    ]
    present = floor_minute(limit)
    return sorted(gaps, key=lambda gap: (gap.end < present, -gap.end.timestamp(), gap.start))


def _describe_call(client: AsyncTogetherClient, gap: Gap) -> Callable[[], Awaitable[payloads.Analytics]]:
    return lambda: client.get_analytics(
        gap.deployment.project_remote_id,
        gap.deployment.endpoint_remote_id,
        start=gap.start,
        end=gap.end,
        granularity="1m",
        include_time_series=True,
        deployment_id=gap.deployment.remote_id,
    )
