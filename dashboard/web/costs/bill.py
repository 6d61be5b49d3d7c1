"""Costs > Against the bill: three numbers per day and meter, and beneath each the intervals and lines it comes from."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.core.paginator import Paginator
from django.db.models import Count, F, Func, Max, Min, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from billing.bill_matching import describe_attributes
from billing.models import AgreementCause, AgreementDay, BillAlert, BilledLine, BillingRules, Meter, MeterKind
from billing.rules import load_rules
from dashboard.core.periods import Period, PeriodName
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.agreement import (
    CauseLine,
    Numbers,
    build_agreement,
    days_of,
    make_numbers,
    nano_of,
    sum_causes,
    sum_numbers,
)
from dashboard.web.costs.asked import Question, read_question
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import Snapshot, take_snapshot

ROWS_PER_PAGE = 50
MOST_UNMATCHED = 50
PERIODS = (PeriodName.MONTH, PeriodName.LAST_MONTH)


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day of the table; `is_alert` when its unexplained gap is above the limit."""

    day: date
    numbers: Numbers
    url: str
    is_alert: bool = False


@dataclass(frozen=True, slots=True)
class MeterRow:
    """A meter of the table; None: lines that match none."""

    meter: Meter | None
    numbers: Numbers
    url: str = ""

    @property
    def name(self) -> str:
        return name_meter(self.meter)

    @property
    def kind_label(self) -> str:
        return MeterKind(self.meter.kind).label if self.meter is not None else "On the bill alone"


@dataclass(frozen=True, slots=True)
class UnmatchedRow:
    """Lines of the bill that no meter was found for, alike in all but time."""

    product_name: str
    attributes: str
    nano: Decimal
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """One segment of the period picker."""

    label: str
    url: str
    is_current: bool = False


def show_bill(request: HttpRequest) -> HttpResponse:
    """Show the comparison over a period, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        rules = load_rules()
        question = _read(request, snapshot, rules)
        period = question.query.period
        query_string = question.url_query()
        rows = list_meter_rows(period, query_string=query_string)
        context = _context(request, snapshot) | {
            "agreement": build_agreement(period, now=snapshot.now),
            "question": question,
            "periods": _list_choices(question),
            "day_rows": list_day_rows(days_of(period)),
            "page": Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page")),
            "unmatched": list_unmatched(period),
            "limit_nano": rules.unexplained_nano_usd,
            "zone_name": rules.reporting_zone,
            "query_string": query_string,
        }
        return render_page(request, "costs/bill/page.html", "costs/bill/_bill.html", context)


def show_day(request: HttpRequest, day: str) -> HttpResponse:
    """Show one day: its three numbers, and those of each meter."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        on = read_day(day)
        rows = AgreementDay.objects.filter(day=on)
        if not rows.exists():
            raise Http404("This day was not compared.")
        numbers = sum_numbers(rows, sum_causes(rows)[0])
        found = list_meters(rows)
        page = Paginator([_with_url(row, on) for row in found], ROWS_PER_PAGE).get_page(
            request.GET.get("page")
        )
        context = _context(request, snapshot) | {
            "day": on,
            "numbers": numbers,
            "page": page,
            "back_url": reverse("costs_bill"),
        }
        return render_page(request, "costs/bill/day.html", "costs/bill/_day.html", context)


def show_meter(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the days of one meter over a period; 0 = the lines that match none."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        rules = load_rules()
        question = _read(request, snapshot, rules)
        meter = get_object_or_404(Meter, pk=pk) if pk else None
        rows = days_of(question.query.period).filter(meter=meter)
        query_string = question.url_query()
        context = _context(request, snapshot) | {
            "name": name_meter(meter),
            "meter": meter,
            "kind_label": MeterKind(meter.kind).label if meter else "On the bill alone",
            "question": question,
            "day_rows": list_day_rows(rows, meter_id=pk),
            "numbers": sum_numbers(rows, sum_causes(rows)[0]),
            "back_url": f"{reverse('costs_bill')}?{query_string}",
        }
        return render_page(request, "costs/bill/meter.html", "costs/bill/_meter.html", context)


def _context(request: HttpRequest, snapshot: Snapshot) -> dict[str, object]:
    return page_context(request, snapshot) | {"cost_tabs": list_tabs(snapshot.user, current="costs_bill")}


def _read(request: HttpRequest, snapshot: Snapshot, rules: BillingRules) -> Question:
    """Return the period asked for; days are those of the reporting zone, whatever the address says."""
    given = {name: request.GET.get(name, "") for name in ("period", "from", "to")}
    return read_question(given, user=snapshot.user, now=snapshot.now, zone_default=rules.reporting_zone)


def _list_choices(question: Question) -> list[Choice]:
    labels = {PeriodName.MONTH: "This month", PeriodName.LAST_MONTH: "Last month"}
    base = reverse("costs_bill")
    return [
        Choice(
            labels[name],
            base if name is PeriodName.MONTH else f"{base}?period={name.value}",
            is_current=question.period_name is name,
        )
        for name in PERIODS
    ]


def list_day_rows(rows: QuerySet[AgreementDay], *, meter_id: int | None = None) -> list[DayRow]:
    """Return the days of the rows, newest first; with `meter_id` (0: no meter) each leads to that meter's day.

    Three queries.
    """
    sums = {
        one["day"]: one
        for one in rows.values("day")
        .annotate(
            projected=Sum("projected"),
            metered_low=Sum("metered_low"),
            metered_high=Sum("metered_high"),
            billed=Sum("billed"),
        )
        .order_by()
    }
    causes = _group_causes(rows, "agreement__day")
    alerts = set(BillAlert.objects.filter(resolved_at=None, day__in=list(sums)).values_list("day", flat=True))
    return [
        DayRow(
            day,
            make_numbers(sums[day], causes.get(day, [])),
            _day_url(day, meter_id),
            is_alert=meter_id is None and day in alerts,
        )
        for day in sorted(sums, reverse=True)
    ]


def _day_url(day: date, meter_id: int | None) -> str:
    if meter_id is None:
        return reverse("costs_bill_day", args=[day.isoformat()])
    return reverse("costs_bill_evidence", args=[day.isoformat(), meter_id])


def list_meter_rows(period: Period, *, query_string: str) -> list[MeterRow]:
    """Return the meters of the period, those with the largest gap first. Three queries.

    As the panel above: of the days that the bill covers, when it covers any.
    """
    rows = days_of(period)
    found = list_meters(rows.exclude(billed=None)) or list_meters(rows)
    return [MeterRow(row.meter, row.numbers, _meter_url(row.meter, query_string)) for row in found]


def _meter_url(meter: Meter | None, query_string: str) -> str:
    base = reverse("costs_bill_meter", args=[0 if meter is None else meter.pk])
    return f"{base}?{query_string}" if query_string else base


def list_meters(rows: QuerySet[AgreementDay]) -> list[MeterRow]:
    """Return the sums of some days by meter, those with the largest gap first. Three queries."""
    sums = list(
        rows.values("meter")
        .annotate(
            projected=Sum("projected"),
            metered_low=Sum("metered_low"),
            metered_high=Sum("metered_high"),
            billed=Sum("billed"),
        )
        .order_by()
    )
    causes = _group_causes(rows, "agreement__meter")
    meters = Meter.objects.in_bulk([one["meter"] for one in sums if one["meter"] is not None])
    found = [
        MeterRow(meters.get(one["meter"]), make_numbers(one, causes.get(one["meter"], []))) for one in sums
    ]
    told = [row for row in found if row.meter is not None or row.numbers.billed]
    return sorted(told, key=lambda row: (-row.numbers.gap_size, -row.numbers.metered_high, row.name))


def _group_causes(rows: QuerySet[AgreementDay], key: str) -> dict[object, list[CauseLine]]:
    found = (
        AgreementCause.objects.filter(agreement__in=rows)
        .values(key, "step", "cause")
        .annotate(total=Sum("ticks"))
        .order_by()
    )
    grouped: dict[object, list[CauseLine]] = {}
    for one in found:
        grouped.setdefault(one[key], []).append(CauseLine(one["step"], one["cause"], nano_of(one["total"])))
    return grouped


def list_unmatched(period: Period) -> list[UnmatchedRow]:
    """Return the lines that match nothing, alike ones together, dearest first. One query."""
    found = (
        BilledLine.objects.filter(meter=None, start__gte=period.start, start__lt=period.end)
        .values("product_name", "attributes", "dimensions")
        .annotate(total=Sum("cost"), count=Count("pk"), first=Min("start"), last=Max("end"))
        .order_by(Func(F("total"), function="ABS").desc(), "product_name")[:MOST_UNMATCHED]
    )
    return [
        UnmatchedRow(
            product_name=one["product_name"] or "Without a name",
            attributes=describe_attributes(one["attributes"], one["dimensions"]) or "no attributes",
            nano=one["total"] * 1_000_000_000,
            count=one["count"],
            first=one["first"],
            last=one["last"],
        )
        for one in found
    ]


def _with_url(row: MeterRow, day: date) -> MeterRow:
    pk = row.meter.pk if row.meter is not None else 0
    return MeterRow(row.meter, row.numbers, reverse("costs_bill_evidence", args=[day.isoformat(), pk]))


def name_meter(meter: Meter | None) -> str:
    if meter is None:
        return "Lines that match nothing"
    if meter.endpoint_name and meter.endpoint_name != meter.name:
        return f"{meter.endpoint_name}, {meter.name}"
    return meter.name


def read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Http404("That is no day.") from error
