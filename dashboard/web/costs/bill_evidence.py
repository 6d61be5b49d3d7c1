"""One day of one meter: our intervals beside the bill's lines, window by window, with the causes between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from billing.agreement_days import HOUR, AgreementPeriod
from billing.agreement_facts import load_facts, reckon
from billing.bill_matching import describe_attributes
from billing.bill_source import describe_line, load_coverage
from billing.models import AgreementDay, BilledLine, Condition, Meter, MeteredInterval, MeterKind
from billing.reconciliation import Cause, Reading, WindowAgreement
from dashboard.core import money
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.agreement import BILLED, METERED, CauseLine, Numbers, nano_of, order_causes
from dashboard.web.costs.bill import name_meter, read_day
from dashboard.web.costs.intervals import format_units, interval_url
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot


@dataclass(frozen=True, slots=True)
class OwnLine:
    """One of our intervals as far as it lies in a window."""

    words: str
    evidence: str
    url: str


@dataclass(frozen=True, slots=True)
class BillLineRow:
    """One line of the bill."""

    words: str
    detail: str
    nano: Decimal


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window of the bill with what we know of it; `notes` explain its causes in words."""

    start: datetime
    end: datetime
    numbers: Numbers
    reading: str
    own: Sequence[OwnLine]
    lines: Sequence[BillLineRow]
    notes: Sequence[str]


READING_WORDS = {
    Reading.READ: "",
    Reading.LATE: "the bill is not complete yet",
    Reading.UNREAD: "the bill was not read",
}


def show_evidence(request: HttpRequest, day: str, pk: int) -> HttpResponse:
    """Show the day of a meter; 0 = the lines that match none."""
    now = timezone.now()
    with one_snapshot():
        snapshot = take_snapshot(request)
        on = read_day(day)
        meter = get_object_or_404(Meter, pk=pk) if pk else None
        stored = AgreementDay.objects.filter(day=on, meter=meter).order_by("billing_account_id").first()
        if stored is None:
            raise Http404("This day of this meter was not compared.")
        told, windows = _reckon(stored, meter, now=now)
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs_bill"),
            "day": on,
            "zone_name": stored.zone,
            "name": name_meter(meter),
            "meter": meter,
            "kind_label": MeterKind(meter.kind).label if meter else "On the bill alone",
            "numbers": told,
            "windows": windows,
            "meter_url": reverse("costs_bill_meter", args=[pk]),
            "back_url": reverse("costs_bill_day", args=[on.isoformat()]),
        }
        return render_page(request, "costs/bill/evidence.html", "costs/bill/_evidence.html", context)


def _reckon(stored: AgreementDay, meter: Meter | None, *, now: datetime) -> tuple[Numbers, list[WindowRow]]:
    """Reckon the day as it is known now, with what lies beneath. About nine queries."""
    period = _period_of(stored)
    meter_id = None if meter is None else meter.pk
    facts = load_facts(stored.billing_account_id, period, now=now, meter_id=meter_id)
    covered = load_coverage(stored.billing_account_id)
    agreement = reckon(facts, meter_id, covered=covered, now=now)
    intervals = list(
        MeteredInterval.objects.filter(meter=meter, start__lt=period.end)
        .exclude(end__lte=period.start)
        .order_by("start")
        if meter
        else []
    )
    lines = list(
        BilledLine.objects.filter(
            billing_account_id=stored.billing_account_id,
            meter=meter,
            start__gte=period.start,
            start__lt=period.end,
        ).order_by("start", "position")
    )
    rows = [
        row for one in agreement.windows if (row := _describe(one, intervals, lines, now=now)) is not None
    ]
    causes = [CauseLine(METERED, cause, nano_of(Decimal(t))) for cause, t in agreement.to_metered.items()]
    causes += [CauseLine(BILLED, cause, nano_of(Decimal(t))) for cause, t in agreement.to_billed.items()]
    numbers = Numbers(
        nano_of(Decimal(agreement.projected)),
        nano_of(Decimal(agreement.metered_low)),
        nano_of(Decimal(agreement.metered_high)),
        None if agreement.billed is None else nano_of(Decimal(agreement.billed)),
        order_causes(causes),
    )
    return numbers, rows


def _period_of(stored: AgreementDay) -> AgreementPeriod:
    start, end = stored.start.astimezone(UTC), stored.end.astimezone(UTC)
    # Windows are hours unless the bill is told by the day; load_facts and reckon cut by this width.
    is_day = BilledLine.objects.filter(
        billing_account_id=stored.billing_account_id, granularity="day", start=start, end=end
    ).exists()
    return AgreementPeriod(stored.day, stored.zone, start, end, (end - start) if is_day else HOUR)


def _describe(
    one: WindowAgreement, intervals: Sequence[MeteredInterval], lines: Sequence[BilledLine], *, now: datetime
) -> WindowRow | None:
    """Return a window as a row; None when neither side has anything in it."""
    start, end = one.window.start, one.window.end
    own = [row for row in intervals if row.start < end and (row.end or now) > start]
    found = [line for line in lines if start <= line.start < end]
    is_worth = any(row.condition != Condition.FREE for row in own)
    if not (is_worth or found or one.to_metered or one.to_billed):
        return None
    causes = [CauseLine(METERED, cause, nano_of(Decimal(t))) for cause, t in one.to_metered.items()]
    causes += [CauseLine(BILLED, cause, nano_of(Decimal(t))) for cause, t in one.to_billed.items()]
    return WindowRow(
        start=start,
        end=end,
        numbers=Numbers(
            nano_of(Decimal(one.projected)),
            nano_of(Decimal(one.metered_low)),
            nano_of(Decimal(one.metered_high)),
            None if one.billed is None else nano_of(Decimal(one.billed)),
            order_causes(causes),
        ),
        reading=READING_WORDS[one.window.reading],
        own=[_describe_own(row, start, end, now=now) for row in own],
        lines=[
            BillLineRow(
                describe_line(line),
                ", ".join(
                    part
                    for part in (
                        describe_attributes(line.attributes, line.dimensions),
                        f"credit {line.credit.lower()}" if line.credit == "CREDIT" else "",
                    )
                    if part
                ),
                line.cost * money.NANO_PER_DOLLAR,
            )
            for line in found
        ],
        notes=[one.notes[cause] for cause in Cause if cause in one.notes],
    )


def _describe_own(row: MeteredInterval, start: datetime, end: datetime, *, now: datetime) -> OwnLine:
    begins, ends = max(row.start, start), min(row.end or now, end)
    until = "24:00:00" if ends.time() == time.min else f"{ends:%H:%M:%S}"
    if row.condition == Condition.FREE:
        what = "does not bill"
    elif row.condition == Condition.UNKNOWN:
        what = "not known"
    elif row.lump_nano_usd and not row.rate_high:
        what = f"{money.format_dollars(row.lump_nano_usd)} at once"
    elif row.nano_usd_per_hour is None:
        what = f"{format_units(row)} at a price that is not known"
    else:
        what = f"{format_units(row)} at {money.format_dollars(row.nano_usd_per_hour)}/h"
    state = f", {row.state}" if row.state else ""
    words = f"{begins:%H:%M:%S}{money.EN_DASH}{until} {what}{state}"
    return OwnLine(words, row.evidence or row.get_source_display(), interval_url(row))
