"""What a million tokens cost on each endpoint, busy and all-in, and from which traffic on it beats serverless."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from billing.costs.break_even import BreakEven, TokenPrice, UnitCost, break_even
from billing.costs.unit_costs import load_serverless_prices, load_unit_costs
from billing.rules import load_rules
from dashboard.core import period_words
from dashboard.core.periods import PeriodName
from dashboard.mirror.models import Endpoint
from dashboard.mirror.querysets import one_snapshot, visible_endpoints
from dashboard.web.chips import Chip
from dashboard.web.costs.asked import DEFAULT_PERIOD, Question, read_question
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

PERIODS = (PeriodName.TODAY, PeriodName.SEVEN_DAYS, PeriodName.THIRTY_DAYS, PeriodName.MONTH)


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint: what its tokens cost, and what serverless asks for the same mix (None: not offered, no token)."""

    endpoint: Endpoint
    url: str
    unit: UnitCost
    price: TokenPrice | None
    even: BreakEven | None

    @property
    def serverless(self) -> Decimal | None:
        """Nano-dollars per million tokens of the mix that was seen."""
        return None if self.even is None else self.even.serverless_nano_per_million

    @property
    def is_cheaper(self) -> bool | None:
        """True when the endpoint's tokens cost less, all-in, than serverless would; None when that is not known."""
        if self.unit.all_in is None or self.serverless is None:
            return None
        return self.unit.all_in[1] < self.serverless

    @property
    def even_words(self) -> str:
        """From which traffic on the endpoint is cheaper: `from 1,240 requests or 2.1M tokens an hour`."""
        if self.even is None:
            return ""
        tokens = f"{format_count(self.even.tokens_per_hour)} tokens an hour"
        if self.even.requests_per_hour is None:
            return f"from {tokens}"
        return f"from {format_count(self.even.requests_per_hour)} requests or {tokens}"


def show_units(request: HttpRequest) -> HttpResponse:
    """Show the unit costs of a period."""
    now = timezone.now()
    with one_snapshot():
        snapshot = take_snapshot(request)
        question = read_question(
            request.GET, user=snapshot.user, now=now, zone_default=load_rules().reporting_zone
        )
        units = load_unit_costs(question.query, now=now)
        endpoints = visible_endpoints(snapshot.user).filter(pk__in=[int(key) for key in units])
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs_units"),
            "question": question,
            "periods": list(list_periods(question)),
            "rows": build_rows(list(endpoints), units),
        }
        return render_page(request, "costs/units/page.html", "costs/units/_units.html", context)


def list_periods(question: Question) -> Iterable[Chip]:
    """Yield the periods of the page's bar."""
    for name in PERIODS:
        label = period_words.describe_name(name, now=question.now, zone=question.query.zone)
        changed = question.url_query(period="" if name is DEFAULT_PERIOD else name.value)
        yield Chip(label, f"{reverse('costs_units')}?{changed}", None, question.period_name is name)


def build_rows(endpoints: Iterable[Endpoint], units: dict[str, UnitCost]) -> list[Row]:
    """Return the rows, dearest first. One query for all prices."""
    found = list(endpoints)
    prices = load_serverless_prices(endpoint.model for endpoint in found)
    rows = []
    for endpoint in found:
        unit, price = units[str(endpoint.pk)], prices.get(endpoint.model)
        even = (
            break_even(nano_per_hour=endpoint.burn_high, traffic=unit.traffic, price=price)
            if price is not None and endpoint.burn_high
            else None
        )
        rows.append(Row(endpoint, reverse("endpoint", args=[endpoint.pk]), unit, price, even))
    return sorted(rows, key=lambda row: (-row.unit.total.high, row.endpoint.display_name))


def format_count(value: Decimal) -> str:
    """Return a count for a sentence: `840`, `12,400`, `2.1M`."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:,.1f}M"
    return f"{value:,.0f}"
