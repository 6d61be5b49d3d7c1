"""Meter the deployments whose cost may have changed since the last pass.

A meter is metered again when an edge of it was recorded, when something of it can be posted, when its open interval
has to be cut (midnight, price, use), and when the stretches that nobody looked at have changed. Of what stands still
nothing is read but one row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from billing import deployment_changes
from billing.bill_source import load_backfill
from billing.deployment_changes import ReadState
from billing.deployment_facts import Life, Subject, load_lives, load_posted_prices, load_traffic
from billing.ledger import Gathered, PostingResult, note_problem, post_all
from billing.metering import Condition, SpanDraft
from billing.metering_deployments import Facts, PostedPrice, meter_deployment
from billing.metering_edges import find_blind
from billing.metering_line import BEFORE_FIRST
from billing.metering_use import Traffic
from billing.meters import ensure_meters
from billing.models import BillingRules, BillReading, Meter, MeteredInterval, MeteringCursor, MeterKind
from billing.price_book import PriceBook
from billing.prices import load_price_book
from billing.resource_metering import put_before
from billing.rules import load_rules
from billing.sight import Gap, load_gaps, note_gaps
from dashboard.accounts.models import Connection
from dashboard.mirror.models import Generation

BATCH = 100


@dataclass(slots=True)
class Pass:
    """What all meters of a pass share."""

    connection: Connection
    cursor: MeteringCursor
    book: PriceBook
    rules: BillingRules
    now: datetime
    states: Mapping[int, ReadState] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()

    @property
    def idle_after(self) -> timedelta:
        return timedelta(minutes=self.rules.idle_after_minutes)


def meter_deployments(connection: Connection, *, now: datetime) -> PostingResult:
    """Meter what changed and post it.

    Only then is it remembered as taken in: a pass that dies loses nothing.
    """
    cursor, _ = MeteringCursor.objects.get_or_create(connection=connection)
    mark = deployment_changes.find_mark(connection)
    result = post_all(gather(connection, cursor, now=now), now=now)
    cursor.passed_at = now
    cursor.last_change_id, cursor.last_event_id = mark
    cursor.save()
    return result


def gather(connection: Connection, cursor: MeteringCursor, *, now: datetime) -> Iterator[Gathered]:
    """Yield what has to be posted of the connection's deployments."""
    meters = [
        meter
        for (kind, _), meter in ensure_meters(connection, now=now).items()
        if kind == MeterKind.DEPLOYMENT and meter.deployment_id and meter.connection_id == connection.pk
    ]
    here = Pass(connection, cursor, load_price_book(connection_ids=[connection.pk]), load_rules(), now)
    has_new_gaps = note_gaps(connection, cursor, now=now)
    here.states = deployment_changes.load_read_states(connection)
    here.gaps = load_gaps(connection)
    changed = deployment_changes.find_changed(
        connection,
        meters,
        states=here.states,
        cursor=cursor,
        book=here.book,
        idle_after=here.idle_after,
        is_all=has_new_gaps,
        now=now,
    )
    changed |= dict.fromkeys(_find_newly_billed(here, meters))
    wanted = [meter for meter in meters if meter.pk in changed and meter.deployment_id in here.states]
    for place in range(0, len(wanted), BATCH):
        yield from _meter(here, wanted[place : place + BATCH], changed)


def _meter(here: Pass, meters: Sequence[Meter], since: Mapping[int, datetime | None]) -> Iterator[Gathered]:
    """Meter a batch; one that cannot be metered is noted on it and skipped.

    Of what nobody knows before the first edge the bill may tell the hours.
    """
    subjects = [_describe(here, meter, since[meter.pk]) for meter in meters]
    lives = load_lives(subjects, is_whole=here.rules.rounding != BillingRules.Rounding.EXACT)
    traffic = load_traffic(subjects, idle_after=here.idle_after)
    posted = load_posted_prices(subjects)
    found: dict[int, list[SpanDraft]] = {}
    for meter, subject in zip(meters, subjects, strict=True):
        pk = subject.deployment_id
        try:
            found[meter.pk] = _meter_one(here, subject, lives[pk], traffic.get(pk), posted.get(meter.pk, []))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            note_problem(meter, error)
    firsts = {meter: first for meter in meters if (first := _find_first(found.get(meter.pk, [])))}
    past = load_backfill(firsts)
    for meter in meters:
        spans = found.get(meter.pk, [])
        if meter.pk in past:
            spans = put_before(past[meter.pk], spans, first=firsts[meter])
        if spans:
            state = here.states[meter.deployment_id or 0]
            settled_until = state.settled_until(
                looked_until=here.cursor.looked_until, idle_after=here.idle_after, now=here.now
            )
            yield Gathered(meter, spans, spans[0].start, settled_until)


def _find_first(spans: Sequence[SpanDraft]) -> datetime | None:
    """Return the first edge of spans that begin with a time before it; None = they do not."""
    return spans[0].end if spans and spans[0].evidence == BEFORE_FIRST else None


def _find_newly_billed(here: Pass, meters: Sequence[Meter]) -> list[int]:
    """Return the meters whose past is not known and whose bill has changed since the last pass. Two queries."""
    readings = BillReading.objects.filter(connection__organization_id=here.connection.organization_id)
    if here.cursor.passed_at is not None:
        readings = readings.filter(changed_at__gt=here.cursor.passed_at)
    if not here.connection.organization_id or not readings.exists():
        return []
    rows = MeteredInterval.objects.filter(
        meter__in=meters, condition=Condition.UNKNOWN.value, evidence=BEFORE_FIRST
    )
    return list(rows.values_list("meter_id", flat=True).distinct())


def _describe(here: Pass, meter: Meter, since: datetime | None) -> Subject:
    state = here.states[meter.deployment_id or 0]
    return Subject(
        deployment_id=state.deployment_id,
        meter_id=meter.pk,
        generation=Generation.V2.value if state.is_v2 else Generation.V1.value,
        hardware=state.hardware,
        max_replicas=state.max_replicas,
        since=since,
    )


def _meter_one(
    here: Pass, subject: Subject, life: Life, traffic: Traffic | None, posted: Sequence[PostedPrice]
) -> list[SpanDraft]:
    state = here.states[subject.deployment_id]
    facts = Facts(
        edges=life.edges,
        created_at=state.created_at,
        blind=find_blind(here.gaps, known_until=state.known_until, now=here.now),
        traffic=traffic,
        ceiling=life.ceiling,
        rounding=here.rules.rounding,
        idle_after=here.idle_after,
        posted=posted,
    )
    return meter_deployment(facts, prices=here.book, now=here.now, since=subject.since)
