"""Meter the connection's clusters, volumes, containers, RL resources and fine-tunes that may have changed.

Batches and evaluations have no meter of their own: tokens are billed, and only the bill tells them (bill_source.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from billing.bill_source import load_backfill
from billing.ledger import Gathered, PostingResult, note_problem, post_all
from billing.metering import SpanDraft
from billing.metering_deployments import PostedPrice
from billing.metering_edges import Edge, Stretch, find_blind
from billing.meters import ensure_meters
from billing.models import Meter, MeteringCursor
from billing.price_book import PriceBook
from billing.prices import load_price_book
from billing.repricing import load_newly_priced
from billing.resource_edges import Change, list_cluster, list_polled, list_volume, steady
from billing.resource_facts import find_firsts, find_since, load_changes, load_posted
from billing.resource_metering import (
    Job,
    Life,
    charge_term,
    cut_before,
    insert_lump,
    meter_fine_tune,
    meter_resource,
    put_before,
    read_term,
)
from billing.sight import find_gaps
from dashboard.accounts.models import Connection
from dashboard.core import resource_states
from dashboard.mirror.groups import GROUP_OF
from dashboard.mirror.models import Resource, ResourceChange, ResourceKind, SyncRun
from dashboard.together_api import payloads

KINDS = (
    ResourceKind.CLUSTER,
    ResourceKind.VOLUME,
    ResourceKind.CONTAINER,
    ResourceKind.RL_RESOURCE,
    ResourceKind.FINE_TUNE,
)
# What is older is posted: a listing, or a late phase of one, is in by then (our choice).
SETTLE = timedelta(minutes=15)
# So long after it ended a resource is looked at again, for what the provider tells late.
TAIL = timedelta(hours=1)
BATCH = 100
_TIB = 2**40


@dataclass(slots=True)
class _Pass:
    """What all meters of a pass share."""

    book: PriceBook
    now: datetime
    looks: Mapping[str, datetime]
    last_change_id: int
    firsts: Mapping[int, datetime]
    blind: Sequence[Stretch] = ()
    changes: Mapping[int, list[Change]] = field(default_factory=dict)
    posted: Mapping[int, list[PostedPrice]] = field(default_factory=dict)
    unseen: Mapping[int, list[Stretch]] = field(default_factory=dict)
    bodies: Mapping[int, Any] = field(default_factory=dict)


def meter_resources(connection: Connection, *, now: datetime) -> PostingResult:
    """Meter what may have changed and post it; only then remember which edges were taken in."""
    cursor, _ = MeteringCursor.objects.get_or_create(connection=connection)
    newest = ResourceChange.objects.filter(resource__connection=connection).aggregate(pk=Max("pk"))["pk"]
    result = post_all(gather(connection, last_change_id=cursor.last_resource_change_id, now=now), now=now)
    MeteringCursor.objects.filter(pk=cursor.pk).update(last_resource_change_id=newest or 0)
    return result


def gather(connection: Connection, *, last_change_id: int, now: datetime) -> Iterator[Gathered]:
    """Yield what has to be posted of the connection's resources; what ended long ago is left alone."""
    meters = {
        meter.resource_id: meter
        for (kind, _), meter in ensure_meters(connection, now=now).items()
        if kind in KINDS and meter.resource_id and meter.connection_id == connection.pk
    }
    book = load_price_book(connection_ids=[connection.pk])
    priced = load_newly_priced([meter.pk for meter in meters.values()], book=book)
    resources = list(
        Resource.objects.filter(pk__in=list(meters), kind__in=KINDS).defer("payload").order_by("pk")
    )
    firsts = find_firsts(resources, meters)
    due = [one for one in resources if one.pk in firsts or _is_due(one, meters[one.pk], priced)]
    here = _Pass(book, now, _load_looks(connection), last_change_id, firsts)
    if any(one.kind == ResourceKind.CONTAINER for one in due):
        here.blind = _load_blind(connection, now=now)
    for place in range(0, len(due), BATCH):
        batch = due[place : place + BATCH]
        yield from _meter(here, batch, {one.pk: meters[one.pk] for one in batch}, priced)


def _is_due(resource: Resource, meter: Meter, priced: Mapping[int, datetime]) -> bool:
    """Return False for what is over and posted, and has nothing new."""
    if meter.metered_from is None or meter.settled_until is None or meter.pk in priced:
        return True
    is_there = resource.absent_since is None
    if is_there and (resource.units or resource.kind == ResourceKind.CONTAINER):
        return True
    if is_there and resource_states.read_state(resource.kind, resource.state).is_moving:
        return True
    return is_recent(resource, meter)


def is_recent(resource: Resource, meter: Meter) -> bool:
    """Tell whether the resource's content changed since little before what is posted."""
    return meter.settled_until is None or resource.observed_at > meter.settled_until - TAIL


def _load_looks(connection: Connection) -> dict[str, datetime]:
    """Return when the last complete pass over each kind began. One query."""
    rows = (
        SyncRun.objects.filter(
            connection=connection,
            resource__in=[GROUP_OF[kind].run for kind in KINDS],
            outcome=SyncRun.Outcome.COMPLETE,
        )
        .values("resource")
        .annotate(at=Max("started_at"))
    )
    looks = {row["resource"]: row["at"] for row in rows}
    return {kind.value: at for kind in KINDS if (at := looks.get(GROUP_OF[kind].run))}


def _load_blind(connection: Connection, *, now: datetime) -> list[Stretch]:
    """Return when nobody looked at containers, as far as the passes are remembered (mirror/prune.py)."""
    runs = SyncRun.objects.filter(
        connection=connection,
        resource=GROUP_OF[ResourceKind.CONTAINER].run,
        outcome=SyncRun.Outcome.COMPLETE,
        started_at__lte=now,
    )
    gaps = find_gaps(runs.values_list("started_at", flat=True), looked_until=None, now=now)
    return find_blind(gaps, known_until=None, now=now)


def _meter(
    here: _Pass, resources: Sequence[Resource], meters: Mapping[int, Meter], priced: Mapping[int, datetime]
) -> Iterator[Gathered]:
    """Meter a batch; one that cannot be metered is noted on it and skipped."""
    since = find_since(meters, priced, after=here.last_change_id)
    firsts = {one.pk: here.firsts[one.pk] for one in resources if one.pk in here.firsts}
    past = load_backfill({meters[pk]: at for pk, at in firsts.items()})
    for resource in resources:
        meter = meters[resource.pk]
        has_news = resource.kind == ResourceKind.CLUSTER and is_recent(resource, meter)
        if has_news or meter.pk in past:
            since.pop(meter.pk, None)
    here.changes = load_changes({pk: since.get(meter.pk) for pk, meter in meters.items()})
    here.posted, here.unseen = load_posted(meters.values(), since)
    clusters = [one.pk for one in resources if one.kind == ResourceKind.CLUSTER]
    here.bodies = dict(Resource.objects.filter(pk__in=clusters).values_list("pk", "payload"))
    for resource in resources:
        meter = meters[resource.pk]
        try:
            spans = _meter_one(here, meter, resource, since.get(meter.pk))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            note_problem(meter, error)
            continue
        if meter.pk in past:
            spans = put_before(past[meter.pk], spans, first=firsts[resource.pk])
        if spans:
            settled_until = min(here.now - SETTLE, here.looks.get(resource.kind, resource.observed_at))
            yield Gathered(meter, spans, spans[0].start, settled_until)


def _meter_one(here: _Pass, meter: Meter, resource: Resource, since: datetime | None) -> list[SpanDraft]:
    if resource.kind == ResourceKind.FINE_TUNE:
        spans = meter_fine_tune(_read_job(resource))
        return spans if since is None else cut_before(spans, since)
    body = None
    changes = here.changes.get(resource.pk, [])
    edges: list[Edge]
    if resource.kind == ResourceKind.CLUSTER:
        body = payloads.Cluster.parse(here.bodies[resource.pk])
        edges = list_cluster(changes, body=body, sku=resource.sku)
    elif resource.kind == ResourceKind.VOLUME:
        edges = list_volume(changes, sku=resource.sku, size_tib=(resource.size_bytes or 0) // _TIB)
    elif resource.kind == ResourceKind.RL_RESOURCE:
        edges = steady(list_polled(changes, sku=resource.sku))
    else:
        edges = list_polled(changes, sku=resource.sku)
    life = Life(
        edges=edges,
        unit=resource.unit,
        created_at=resource.remote_created_at,
        blind=[*here.blind, *here.unseen.get(meter.pk, [])]
        if resource.kind == ResourceKind.CONTAINER
        else (),
        posted=here.posted.get(meter.pk, []),
    )
    spans = meter_resource(life, prices=here.book, now=here.now, since=since)
    term = read_term(body) if body is not None else None
    if term is None:
        return spans
    return insert_lump(spans, charge_term(term, prices=here.book))


def _read_job(resource: Resource) -> Job:
    return Job(
        state=resource.state,
        created_at=resource.remote_created_at or resource.first_observed_at,
        seen_at=resource.observed_at,
        finished_at=resource.finished_at,
        total_nano_usd=resource.total_nano_usd,
        gone_at=resource.absent_since,
    )
