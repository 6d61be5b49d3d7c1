"""Costs > Prices: everything that is priced or used, unknown prices first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from billing.burn import Burn, add_burns
from billing.price_book import EVERY_OTHER, Origin
from billing.price_list import PricedSku, load_price_list
from billing.skus import Unit, describe_sku, quote_of, unit_of
from dashboard.accounts.permissions import Right, user_may
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.chips import Chip, build_query_url
from dashboard.web.costs.price_lines import PriceLine, describe_step
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.forms import SearchForm
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

ROWS_PER_PAGE = 50
Test = Callable[[PricedSku], bool]


@dataclass(frozen=True, slots=True)
class Choice:
    """A chip: its value in the address, its words, and which SKUs it shows."""

    value: str
    label: str
    test: Test


def _family(*names: str) -> Test:
    return lambda priced: priced.sku.partition("/")[0] in names


CHOICES = (
    Choice("", "All", lambda priced: True),
    Choice("used", "In use", lambda priced: priced.is_used),
    Choice("unknown", "Price unknown", lambda priced: priced.is_unknown),
    Choice("finance", "Entered by finance", lambda priced: priced.step.origin is Origin.FINANCE),
    Choice("endpoints", "Endpoints", _family("v1", "v2")),
    Choice("compute", "Clusters and storage", _family("cluster", "volume")),
    Choice("containers", "Containers and RL", _family("container", "rl")),
    Choice("tokens", "Tokens", _family("tokens")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A SKU as the table shows it."""

    priced: PricedSku
    name: str
    quote: str
    line: PriceLine
    burn: Burn

    @property
    def is_by_use(self) -> bool:
        """True for what costs by what is sent, not by time."""
        return unit_of(self.priced.sku) is Unit.MILLION_TOKENS


@dataclass(frozen=True, slots=True)
class Strip:
    """The figures above the table, over all SKUs."""

    unknown_used: int
    unknown: int
    used: int
    entered: int
    general_discount: str
    burn: Burn


def list_prices(request: HttpRequest) -> HttpResponse:
    """Show the price list, or the live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        listed, book = load_price_list(snapshot.user, now=snapshot.now)
        rows = [
            Row(
                one,
                describe_sku(one.sku),
                quote_of(one.sku).words.removeprefix("per "),
                describe_step(one.sku, one.step, now=snapshot.now),
                _burn_of(one),
            )
            for one in listed
        ]
        search = SearchForm(request.GET).read()
        chosen = next((one for one in CHOICES if one.value == request.GET.get("show")), CHOICES[0])
        found = [row for row in rows if _matches(row, search)]
        shown = sorted((row for row in found if chosen.test(row.priced)), key=_rank)
        page = Paginator(shown, ROWS_PER_PAGE).get_page(request.GET.get("page"))
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs_prices"),
            "may_edit": user_may(snapshot.user, Right.MANAGE_COSTS),
            "every_other": EVERY_OTHER,
            "strip": _sum_up(rows, general=book.general_percent(snapshot.now)),
            "chips": _build_chips(request, found, chosen=chosen, search=search),
            "search": search,
            "chosen": chosen,
            "page": page,
            "clear_url": request.path,
        }
        return render_page(request, "costs/prices/page.html", "costs/prices/_prices.html", context)


def _matches(row: Row, search: str) -> bool:
    text = f"{row.name} {row.priced.sku}".lower()
    return all(word in text for word in search.lower().split())


def _rank(row: Row) -> tuple[bool, bool, int, str]:
    """Return the place in the list: used and unknown first, then what burns most, then the rest by name."""
    return (
        not (row.priced.is_used and row.priced.is_unknown),
        not row.priced.is_used,
        -row.burn.high,
        row.name,
    )


def _burn_of(priced: PricedSku) -> Burn:
    bounds = priced.burn
    if unit_of(priced.sku) is Unit.MILLION_TOKENS:
        return Burn()
    if bounds is None:
        return Burn(unpriced_replicas=priced.usage.units_high)
    return Burn(*bounds)


def _sum_up(rows: Sequence[Row], *, general: str) -> Strip:
    used = [row for row in rows if row.priced.is_used]
    return Strip(
        unknown_used=sum(row.priced.is_unknown for row in used),
        unknown=sum(row.priced.is_unknown for row in rows),
        used=len(used),
        entered=sum(row.priced.step.origin is Origin.FINANCE for row in rows),
        general_discount=general,
        burn=add_burns(row.burn for row in used),
    )


def _build_chips(request: HttpRequest, rows: Sequence[Row], *, chosen: Choice, search: str) -> list[Chip]:
    return [
        Chip(
            one.label,
            build_query_url(request.path, {"q": search, "show": one.value}, leave_out={}),
            sum(one.test(row.priced) for row in rows),
            is_current=one is chosen,
        )
        for one in CHOICES
    ]
