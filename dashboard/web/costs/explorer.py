"""The cost explorer: what was spent, by whom, on what, and what the month will cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from billing.amounts import Cost, to_nano
from billing.costs import NO_FILTERS, CostRow, CostTable, GroupBy, load_costs, sum_costs
from billing.forecast import Forecast
from billing.forecasts import load_forecast, load_forecasts
from billing.models import Meter, Use
from billing.rules import load_rules
from dashboard.accounts.permissions import Right, user_may
from dashboard.core import money
from dashboard.core.periods import Period, PeriodName
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.budgets.strip import find_share
from dashboard.web.costs import bars
from dashboard.web.costs.agreement import Agreement, build_agreement
from dashboard.web.costs.asked import Question, list_zones, parameter_of, read_question
from dashboard.web.costs.choices import build_choices
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

ROWS_PER_PAGE = 50
# A change above this is marked (design language, "Numbers").
MARKED_CHANGE_PERCENT = 25
SORTS = ("label", "spent", "before", "change", "idle")
DEFAULT_SORT = "-spent"
# Before a cost of less than a cent a percentage says nothing.
LEAST_COMPARED_NANO = 10_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: a group, what it cost, and the same of the period before (None: nothing to compare)."""

    key: str
    label: str
    total: Cost
    before: Cost | None
    share_percent: float
    colour: str
    url: str
    intervals_url: str

    @property
    def change(self) -> int | None:
        """Upper bound now less upper bound before, in ticks."""
        return None if self.before is None else self.total.high - self.before.high

    @property
    def change_percent(self) -> float | None:
        """Change in per cent of before; None when before was nothing to speak of."""
        if self.before is None or self.before.nano_high < LEAST_COMPARED_NANO:
            return None
        return 100 * (self.total.high - self.before.high) / self.before.high

    @property
    def change_words(self) -> str:
        """The change, signed: `+4,836.41`."""
        return "" if self.change is None else money.format_change(to_nano(self.change))

    @property
    def is_marked(self) -> bool:
        """True when it grew so much that somebody should look."""
        percent = self.change_percent
        return percent is not None and percent > MARKED_CHANGE_PERCENT


def show_costs(request: HttpRequest) -> HttpResponse:
    """Show the explorer, or its live part."""
    now = timezone.now()
    with one_snapshot():
        snapshot = take_snapshot(request)
        question = read_question(
            request.GET, user=snapshot.user, now=now, zone_default=load_rules().reporting_zone
        )
        table = load_costs(question.query, now=now)
        before = load_costs(replace(question.query, period=question.previous, bucket=None), now=now)
        forecast, forecasts = find_forecasts(question, now=now)
        sort = read_sort(request.GET.get("sort", ""))
        rows = sort_rows(build_rows(question, table, before), sort=sort)
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs"),
            "question": question,
            "zones": sorted(list_zones()),
            "choices": build_choices(question, user=snapshot.user),
            "sort": sort,
            "page": Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page")),
            "total": Row("", "Total", table.total, before.total, 100.0, "", "", intervals_url(question)),
            "idle_percent": percent_of(table.total.idle_high, table.total.high),
            "unseen_percent": percent_of(find_unseen(question, now=now).high, table.total.high),
            "budget_share": find_share(question, table.total),
            "per_day": average_per_day(question, table.total, now=now),
            "forecast": forecast,
            "forecasts": forecasts,
            "forecast_range": bars.lay_out_range(forecast) if forecast else None,
            "chart": bars.build_chart(question, table, forecast=forecast, now=now),
            "figures": bars.build_figures(question, table, now=now),
            "query_string": question.url_query(),
            "may_manage": user_may(snapshot.user, Right.MANAGE_COSTS),
            "agreement": find_agreement(question, now=now),
            "bill_url": reverse("costs_bill"),
            "is_metered": Meter.objects.exists(),
        }
        return render_page(request, "costs/explorer/page.html", "costs/explorer/_explorer.html", context)


def find_agreement(question: Question, *, now: datetime) -> Agreement | None:
    """Return whether the numbers agree: of the whole organisation, so not for a part of it, nor for who sees a part."""
    user = question.query.user
    if user is None or not user_may(user, Right.SEE_ALL_PROJECTS) or question.query.filters != NO_FILTERS:
        return None
    return build_agreement(question.query.period, now=now)


def find_unseen(question: Question, *, now: datetime) -> Cost:
    """Return the part of the cost that ran while nobody knows whether there were requests. Three queries."""
    query = question.query
    filters = replace(query.filters, uses=frozenset({Use.UNKNOWN.value}))
    return sum_costs(query.period, now=now, filters=filters, user=query.user)


def find_forecasts(question: Question, *, now: datetime) -> tuple[Forecast | None, Mapping[str, Forecast]]:
    """Return the forecast of the month and those of its rows; nothing for any other period."""
    query = question.query
    if question.period_name is not PeriodName.MONTH:
        return None, {}
    whole = load_forecast(user=query.user, filters=query.filters, now=now, zone=query.zone)
    if query.group_by is GroupBy.NONE or whole is None:
        return whole, {}
    rows = load_forecasts(
        user=query.user, group_by=query.group_by, filters=query.filters, now=now, zone=query.zone
    )
    return whole, rows


def average_per_day(question: Question, total: Cost, *, now: datetime) -> str:
    """Return what a day cost on average, in dollars; of a period that goes on, what is past counts."""
    period = question.query.period
    past = min(period.end, now) - period.start
    if past <= timedelta(0):
        return "no data"
    low, high = (
        to_nano(ticks) * 86_400_000_000 / (past // timedelta(microseconds=1))
        for ticks in (total.low, total.high)
    )
    return money.format_range(low, high, currency=True)


def build_rows(question: Question, table: CostTable, before: CostTable) -> list[Row]:
    """Return the rows as the table prints them, dearest first; what cost something only before is there too."""
    earlier = {row.key: row.total for row in before.rows}
    present = {row.key for row in table.rows}
    gone = [replace(row, total=Cost(), buckets=[]) for row in before.rows if row.key not in present]
    colours = bars.colours_of(table)
    return [
        Row(
            key=row.key,
            label=row.label,
            total=row.total,
            before=earlier.get(row.key, Cost()),
            share_percent=percent_of(row.total.high, table.total.high),
            colour=colours.get(row.key, ""),
            url=narrowed_url(question, row),
            intervals_url=intervals_url(question, row),
        )
        for row in [*table.rows, *gone]
    ]


def narrowed_url(question: Question, row: CostRow) -> str:
    """Return the explorer for this row alone, grouped by what lies beneath; empty at the bottom."""
    group = question.query.group_by
    parameter = parameter_of(group)
    if not parameter or group is GroupBy.METER:
        return ""
    beneath = GroupBy.METER if group in {GroupBy.ENDPOINT, GroupBy.SKU} else GroupBy.ENDPOINT
    value = f"{question.query.tag_key}={row.key}" if group is GroupBy.TAG else row.key or "-"
    return (
        f"{reverse('costs')}?{question.url_query(**{'group': beneath.value, 'tag': '', parameter: [value]})}"
    )


def intervals_url(question: Question, row: CostRow | None = None, *, within: Period | None = None) -> str:
    """Return the intervals beneath a row, a bar, or both; without either beneath everything."""
    changes: dict[str, str | list[str]] = {}
    group = question.query.group_by
    parameter = parameter_of(group)
    if row is not None and parameter:
        value = f"{question.query.tag_key}={row.key}" if group is GroupBy.TAG else row.key or "-"
        changes[parameter] = [value]
    if within is not None:
        changes |= {"start": within.start.isoformat(), "end": within.end.isoformat()}
    return f"{reverse('costs_intervals')}?{question.url_query(**changes)}"


def read_sort(text: str) -> str:
    """Return the order asked for, or dearest first."""
    return text if text.removeprefix("-") in SORTS else DEFAULT_SORT


def sort_rows(rows: Sequence[Row], *, sort: str) -> list[Row]:
    """Return the rows in that order; rows of equal value by name."""
    key = sort.removeprefix("-")
    by_name = sorted(rows, key=lambda row: row.label.casefold())
    if key == "label":
        return by_name[::-1] if sort.startswith("-") else by_name
    values = {
        "spent": lambda row: row.total.high,
        "before": lambda row: row.before.high if row.before else 0,
        "change": lambda row: row.change or 0,
        "idle": lambda row: row.total.idle_high,
    }
    return sorted(by_name, key=values[key], reverse=sort.startswith("-"))


def percent_of(part: int, whole: int) -> float:
    """Return how many per cent of the whole a part is; 0 of nothing."""
    return 100 * part / whole if whole else 0.0
