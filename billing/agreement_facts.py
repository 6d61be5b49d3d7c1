"""What a day's comparison needs, read for all meters of an organisation at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from fractions import Fraction
from typing import Final

from django.db.models import Q

from billing.agreement_days import AgreementPeriod, judge_window, list_windows
from billing.bill_source import read_line
from billing.bill_spans import Covered
from billing.metering import Condition, SpanDraft
from billing.models import BilledLine, BillReading, Meter, MeteredInterval, MeterKind
from billing.prices import load_price_book
from billing.reconciliation import BillLine, BillWindow, DayAgreement, Stretch, Subject
from billing.reconciliation_day import reconcile_day
from billing.skus import HOURS_PER_MONTH, Unit, unit_of
from dashboard.mirror.models import StateChange

#: Words of the provider for what starts and does not bill yet (contract 3.5, 4), without their prefix.
STARTING: Final = frozenset({"PROVISIONING", "PENDING", "STARTING"})
_DRAFT_FIELDS = tuple(one.name for one in fields(SpanDraft))


@dataclass(slots=True)
class Facts:
    """Spans and lines of a day, by meter."""

    period: AgreementPeriod
    meters: dict[int, Meter] = field(default_factory=dict)
    stretches: dict[int, list[Stretch]] = field(default_factory=dict)
    lines: dict[int | None, dict[datetime, list[BillLine]]] = field(default_factory=dict)
    known_months: frozenset[date] = frozenset()

    def meter_ids(self) -> list[int]:
        """Return the meters that have anything on the day."""
        return sorted(self.stretches.keys() | {one for one in self.lines if one is not None})


def load_facts(
    account_id: str, period: AgreementPeriod, *, now: datetime, meter_id: int | None = None
) -> Facts:
    """Return what is known of the day, of one meter if asked. Six queries at most."""
    facts = Facts(period)
    readings = BillReading.objects.filter(connection__organization_id=account_id).exclude(succeeded_at=None)
    facts.known_months = frozenset(readings.values_list("month", flat=True))
    lines = BilledLine.objects.filter(
        billing_account_id=account_id, start__gte=period.start, start__lt=period.end
    )
    intervals = MeteredInterval.objects.filter(
        meter__billing_account_id=account_id, start__lt=period.end
    ).filter(Q(end=None) | Q(end__gt=period.start))
    if meter_id is not None:
        lines, intervals = lines.filter(meter=meter_id), intervals.filter(meter=meter_id)
    for row in lines.order_by("start", "position"):
        facts.lines.setdefault(row.meter_id, {}).setdefault(row.start, []).append(read_line(row))
    spans: dict[int, list[SpanDraft]] = {}
    for interval in intervals.order_by("meter_id", "start"):
        spans.setdefault(interval.meter_id, []).append(read_span(interval))
    wanted = {*spans, *(one for one in facts.lines if one is not None)}
    facts.meters = Meter.objects.in_bulk(wanted)
    rates = _load_start_up_rates(facts.meters, spans)
    facts.stretches = {
        meter: [Stretch(span, rates.get((meter, span.start), 0)) for span in found]
        for meter, found in spans.items()
    }
    return facts


def read_span(interval: MeteredInterval) -> SpanDraft:
    """Return an interval as metering drafted it."""
    values = {name: getattr(interval, name) for name in _DRAFT_FIELDS}
    for name in ("bound_low", "bound_high"):
        values[name] = None if values[name] is None else int(values[name])
    return SpanDraft(**values)


def reckon(facts: Facts, meter_id: int | None, *, covered: Sequence[Covered], now: datetime) -> DayAgreement:
    """Return the day's three numbers of a meter, None for the lines without one."""
    lines = facts.lines.get(meter_id, {})
    windows = [
        BillWindow(
            start,
            end,
            judge_window(start, end, covered=covered, known_months=facts.known_months),
            tuple(lines.get(start, ())),
        )
        for start, end in list_windows(facts.period)
    ]
    meter = facts.meters.get(meter_id) if meter_id is not None else None
    stretches = facts.stretches.get(meter_id, []) if meter_id is not None else []
    return reconcile_day(windows, stretches, subject=describe_subject(meter), now=now)


def describe_subject(meter: Meter | None) -> Subject:
    """Return how a billed quantity compares with units: GPU-hours (contract 10), for storage months of 730 hours.

    The unit of storage is not documented; a price that comes out ten times another one is not compared.
    """
    if meter is None:
        return Subject(is_matched=False)
    unit = unit_of(meter.sku)
    if unit is Unit.REPLICA and meter.gpu_count:
        return Subject(unit_hours=Fraction(1, meter.gpu_count))
    hours = {Unit.GPU: Fraction(1), Unit.SET: Fraction(1), Unit.TIB: Fraction(HOURS_PER_MONTH)}
    return Subject(unit_hours=hours.get(unit))


def is_starting(span: SpanDraft) -> bool:
    """Return whether the span is a start-up that does not bill."""
    return span.condition == Condition.FREE and span.state.removeprefix("DEPLOYMENT_STATE_") in STARTING


def _load_start_up_rates(
    meters: Mapping[int, Meter], spans: Mapping[int, Sequence[SpanDraft]]
) -> dict[tuple[int, datetime], int]:
    """Return what each start-up would cost per hour at list price: as many replicas as were asked for, at least one.

    A price that nobody knows counts nothing: a projection has none either. Three queries where something started.
    """
    starting = [
        (meters[meter_id], span)
        for meter_id, found in spans.items()
        if meters[meter_id].kind == MeterKind.DEPLOYMENT
        for span in found
        if is_starting(span)
    ]
    if not starting:
        return {}
    book = load_price_book({span.sku or meter.sku for meter, span in starting})
    asked: dict[int, list[tuple[datetime, int]]] = {}
    rows = StateChange.objects.filter(
        deployment__in=[meter.deployment_id for meter, _ in starting], min_replicas__gt=0
    ).order_by("at", "pk")
    for deployment_id, at, replicas in rows.values_list("deployment_id", "at", "min_replicas"):
        asked.setdefault(deployment_id, []).append((at, replicas or 1))
    rates = {}
    for meter, span in starting:
        price = book.at(span.sku or meter.sku, span.start)
        changes = asked.get(meter.deployment_id or 0, [])
        replicas = next((count for at, count in reversed(changes) if at <= span.start), 1)
        rates[meter.pk, span.start] = replicas * (price.list_nano or 0)
    return rates
