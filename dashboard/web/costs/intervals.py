"""Beneath every number of the explorer: the intervals that it is made of, and beneath each of them its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from billing.amounts import TICKS_PER_NANO, Cost
from billing.costs import (
    CostFilters,
    CostQuery,
    GroupBy,
    IntervalRow,
    list_intervals,
    load_costs,
    visible_meters,
)
from billing.models import BilledLine, Condition, LedgerEntry, Meter, MeteredInterval, MeterKind
from billing.rules import load_rules
from billing.skus import describe_sku
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core import money, period_words
from dashboard.core.periods import Period
from dashboard.mirror.models import ResourceChange, StateChange
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.asked import Question, read_question
from dashboard.web.costs.choices import list_chosen
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.resources.addresses import address_of_resource, resolve
from dashboard.web.snapshot import take_snapshot

ROWS_PER_PAGE = 50
MOST_EDGES = 20
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One interval as the list prints it: what of it lies in the period and is borne by one team."""

    row: IntervalRow
    url: str

    @property
    def interval(self) -> MeteredInterval:
        return self.row.interval

    @property
    def label(self) -> str:
        """The endpoint's name with its deployment's, or the resource's name."""
        meter = self.interval.meter
        if meter.endpoint_name and meter.endpoint_name != meter.name:
            return f"{meter.endpoint_name}, {meter.name}"
        return meter.name

    @property
    def is_lump(self) -> bool:
        """True for what was charged at once."""
        return bool(self.interval.lump_nano_usd) and not self.interval.rate_high

    @property
    def units(self) -> str:
        return format_units(self.interval)

    @property
    def is_unpriced(self) -> bool:
        return self.row.cost.unpriced_us > 0


class Lines:
    """The intervals of a query as Django's Paginator reads them: their count, and one slice."""

    def __init__(self, query: CostQuery, *, now: datetime) -> None:
        self._query, self._now = query, now

    def __len__(self) -> int:
        return list_intervals(self._query, now=self._now, limit=0).count

    def __getitem__(self, wanted: slice) -> list[Line]:
        offset = wanted.start or 0
        page = list_intervals(self._query, now=self._now, offset=offset, limit=wanted.stop - offset)
        return [Line(row, interval_url(row.interval)) for row in page.rows]


def paginate(lines: Lines, *, page: str | None) -> Page[Line]:
    """Return the page of that number, the nearest one for nonsense."""
    return Paginator(cast("Sequence[Line]", lines), ROWS_PER_PAGE).get_page(page)


def show_intervals(request: HttpRequest) -> HttpResponse:
    """Show what a number of the explorer is made of, newest first."""
    now = timezone.now()
    with one_snapshot():
        snapshot = take_snapshot(request)
        question = read_question(
            request.GET, user=snapshot.user, now=now, zone_default=load_rules().reporting_zone
        )
        within = read_within(request.GET, question)
        query = replace(question.query, period=within, bucket=None)
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs"),
            "question": question,
            "within_label": period_words.describe_period(within, zone=query.zone, now=now),
            "total": load_costs(replace(query, group_by=GroupBy.NONE), now=now).total,
            "page": paginate(Lines(query, now=now), page=request.GET.get("page")),
            "chosen": list_chosen(question, path=reverse("costs_intervals")),
            "back_url": f"{reverse('costs')}?{question.url_query()}",
            "export_url": f"{resolve('costs_export')}?{question.url_query()}",
        }
        return render_page(request, "costs/intervals/page.html", "costs/intervals/_intervals.html", context)


def interval_url(interval: MeteredInterval) -> str:
    """Return the evidence page of an interval; by its start, because what is not settled is written anew."""
    return reverse("costs_interval", args=[interval.meter_id, interval.start.isoformat()])


def read_within(params: QueryDict, question: Question) -> Period:
    """Return the bar that was opened, cut to the period of the question; the whole period without one."""
    period = question.query.period
    start, end = read_instant(params.get("start", "")), read_instant(params.get("end", ""))
    if start is None or end is None:
        return period
    start, end = max(start, period.start), min(end, period.end)
    return Period(start, end) if start < end else period


def read_instant(text: str) -> datetime | None:
    """Return the instant in UTC, for PostgreSQL refuses some offsets that Python takes; None for nonsense."""
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Factors:
    """How the cost of one interval comes about: units x price x hours, plus what was charged at once."""

    cost: Cost
    hours: Decimal
    rounding: timedelta
    is_lump: bool


def show_interval(request: HttpRequest, pk: int, moment: str) -> HttpResponse:
    """Show one interval of a meter down to its evidence: the one that holds the moment."""
    now = timezone.now()
    with one_snapshot():
        snapshot = take_snapshot(request)
        meter = get_object_or_404(
            Meter.objects.filter(visible_meters(snapshot.user)).select_related(
                "deployment", "resource", "endpoint", "project__team", "connection"
            ),
            pk=pk,
        )
        interval = find_interval(meter, moment)
        if not is_borne_by(snapshot.user, interval, now=now):
            raise Http404
        end = interval.end or now
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs"),
            "meter": meter,
            "interval": interval,
            "end": end,
            "factors": work_out(interval, now=now),
            "sku_name": describe_sku(interval.sku) if interval.sku else "",
            "subject_url": find_subject_url(meter),
            "owner_url": resolve("costs_owner", meter.pk),
            "price_url": resolve("costs_prices_sku", interval.sku) if interval.sku else "",
            "edges": list_edges(meter, start=interval.start, end=end),
            "postings": list(
                LedgerEntry.objects.filter(meter=meter, start__lt=end, end__gt=interval.start).order_by(
                    "posted_at", "pk"
                )
            ),
            "billed": list(
                BilledLine.objects.filter(meter=meter, start__lt=end, end__gt=interval.start).order_by(
                    "granularity", "start", "position"
                )[:MOST_EDGES]
            ),
            "previous_url": neighbour_url(meter, interval.start - MICROSECOND),
            "next_url": neighbour_url(meter, interval.end) if interval.end else "",
            "units": format_units(interval),
            "bound": find_bound(interval),
        }
        return render_page(request, "costs/intervals/one.html", "costs/intervals/_one.html", context)


def is_borne_by(user: User, interval: MeteredInterval, *, now: datetime) -> bool:
    """Tell whether some of the interval's cost is the person's to see. Up to six queries."""
    if user_may(user, Right.SEE_ALL_PROJECTS):
        return True
    end = interval.end or now
    if interval.start >= end or interval.condition == Condition.FREE:
        return False
    query = CostQuery(
        period=Period(interval.start, end),
        zone=UTC,
        filters=CostFilters(meters=frozenset({str(interval.meter_id)})),
        user=user,
    )
    return list_intervals(query, now=now, limit=1).count > 0


def find_interval(meter: Meter, moment: str) -> MeteredInterval:
    """Return the interval of the meter that holds the moment. Raises Http404."""
    at = read_instant(moment)
    if at is None:
        raise Http404
    found = MeteredInterval.objects.filter(meter=meter, start__lte=at).order_by("-start").first()
    if found is None or (found.end is not None and found.end <= at):
        raise Http404
    return found


def neighbour_url(meter: Meter, at: datetime) -> str:
    """Return the page of the interval that holds the moment; empty when there is none."""
    found = MeteredInterval.objects.filter(meter=meter, start__lte=at).order_by("-start").first()
    if found is None or (found.end is not None and found.end <= at):
        return ""
    return interval_url(found)


def work_out(interval: MeteredInterval, *, now: datetime) -> Factors:
    """Return the factors of the interval's cost until now, exact."""
    length = (interval.end or now) - interval.start
    microseconds = length // MICROSECOND + interval.rounding_us
    lump = interval.lump_nano_usd * TICKS_PER_NANO
    is_idle = interval.use == "idle"
    low, high = (rate * microseconds + lump for rate in (interval.rate_low, interval.rate_high))
    return Factors(
        cost=Cost(
            low=low,
            high=high,
            idle_low=low if is_idle else 0,
            idle_high=high if is_idle else 0,
            unpriced_us=microseconds
            if interval.condition == Condition.BILLS
            and interval.nano_usd_per_hour is None
            and not interval.lump_nano_usd
            else 0,
            unknown_us=microseconds if interval.condition == Condition.UNKNOWN else 0,
        ),
        hours=Decimal(length // MICROSECOND) / 3_600_000_000,
        rounding=timedelta(microseconds=interval.rounding_us),
        is_lump=bool(interval.lump_nano_usd),
    )


@dataclass(frozen=True, slots=True)
class SeenEdge:
    """One recorded change of state around an interval."""

    at: datetime
    not_before: datetime | None
    state: str
    units: int | None
    source: str
    reference: str


def list_edges(meter: Meter, *, start: datetime, end: datetime) -> list[SeenEdge]:
    """Return the recorded edges inside the interval and the two that enclose it, oldest first. Three queries."""
    if meter.deployment_id is not None:
        rows = StateChange.objects.filter(deployment_id=meter.deployment_id)
        units, reference = "ready_replicas", "event_id"
    elif meter.resource_id is not None:
        rows = ResourceChange.objects.filter(resource_id=meter.resource_id)  # type: ignore[assignment]
        units, reference = "units", "phase_key"
    else:
        return []
    before = rows.filter(at__lt=start).order_by("-at", "-id")[:1]
    during = rows.filter(at__gte=start, at__lte=end).order_by("at", "id")[:MOST_EDGES]
    after = rows.filter(at__gt=end).order_by("at", "id")[:1]
    return [
        SeenEdge(
            at=row.at,
            not_before=row.not_before,
            state=row.state,
            units=getattr(row, units),
            source=row.get_source_display(),
            reference=getattr(row, reference),
        )
        for row in (*before, *during, *after)
    ]


def find_subject_url(meter: Meter) -> str:
    """Return the page of what was metered; empty when the mirror does not hold it any more."""
    if meter.kind == MeterKind.DEPLOYMENT:
        return resolve("endpoint", meter.endpoint_id) if meter.endpoint_id else ""
    if meter.resource is None:
        return ""
    return address_of_resource(meter.resource)


def find_bound(interval: MeteredInterval) -> Cost | None:
    """Return between what costs the truth lies, where not every edge is exact; None where all are."""
    if interval.bound_low is None or interval.bound_high is None:
        return None
    return Cost(int(interval.bound_low), int(interval.bound_high))


def format_units(interval: MeteredInterval) -> str:
    """Return the units in words: ``2``, ``1–3``."""
    if interval.units_low == interval.units_high:
        return str(interval.units_high)
    return f"{interval.units_low}{money.EN_DASH}{interval.units_high}"
