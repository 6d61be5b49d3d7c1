"""The page of one price: what it was and is, who entered what, and the forms that enter and end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from billing.models import Discount, PriceEntry
from billing.price_book import EVERY_OTHER
from billing.price_entries import (
    PriceRefusedError,
    Validity,
    end_entry,
    enter_discount,
    enter_price,
    filter_sku,
)
from billing.price_list import PricedSku, is_known, load_priced_sku
from billing.skus import describe_sku, quote_of
from dashboard.accounts.audit import actor_of
from dashboard.accounts.permissions import Right, user_may
from dashboard.core import durations
from dashboard.web.costs.price_forms import DiscountForm, PriceForm
from dashboard.web.costs.price_lines import PriceLine, describe_step, format_price
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

REFUSED = 422
GENERAL = "General discount"
Entry = TypeVar("Entry", PriceEntry, Discount)


@dataclass(frozen=True, slots=True)
class EntryLine:
    """What somebody entered; `may_end` while it holds or is to come."""

    row: PriceEntry | Discount
    text: str
    may_end: bool
    is_to_come: bool


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of the page; one that was refused is bound."""

    price: PriceForm
    discount: DiscountForm


def show(request: HttpRequest, sku: str) -> HttpResponse:
    """Show the price with its history."""
    return _render(request, sku)


def enter(request: HttpRequest, sku: str) -> HttpResponse:
    """Enter a price for a SKU."""
    if sku == EVERY_OTHER:
        raise Http404("one price of everything else makes no sense")
    priced, now = _find(request, sku)
    form = PriceForm(request.POST, quote=quote_of(sku), discount=_discount_of(priced))
    if form.is_valid():
        validity = Validity(sku, form.cleaned_data["valid_from"] or now, form.cleaned_data["note"])
        try:
            enter_price(validity, nano_usd=form.read_nano(), actor=actor_of(request))
        except PriceRefusedError as error:
            form.add_error("valid_from", _say(error))
        else:
            messages.success(request, f"The price of {describe_sku(sku)} is entered")
            return redirect("costs_prices_sku", sku=sku)
    return _render(request, sku, price=form)


def discount(request: HttpRequest, sku: str) -> HttpResponse:
    """Enter a discount for a SKU, or for all others."""
    _, now = _find(request, sku)
    form = DiscountForm(request.POST)
    if form.is_valid():
        validity = Validity(sku, form.cleaned_data["valid_from"] or now, form.cleaned_data["note"])
        try:
            enter_discount(validity, percent=form.cleaned_data["percent"], actor=actor_of(request))
        except PriceRefusedError as error:
            form.add_error("valid_from", _say(error))
        else:
            messages.success(request, f"The discount of {_name(sku)} is entered")
            return redirect("costs_prices_sku", sku=sku)
    return _render(request, sku, discount=form)


def end_price(request: HttpRequest, pk: int) -> HttpResponse:
    """End a price now, or withdraw one that is to come."""
    return _end(request, get_object_or_404(PriceEntry, pk=pk))


def end_discount(request: HttpRequest, pk: int) -> HttpResponse:
    """End a discount now, or withdraw one that is to come."""
    return _end(request, get_object_or_404(Discount, pk=pk))


def _end(request: HttpRequest, entry: PriceEntry | Discount) -> HttpResponse:
    try:
        end_entry(entry, at=timezone.now(), actor=actor_of(request))
    except PriceRefusedError as error:
        messages.error(request, _say(error))
    else:
        messages.success(request, f"It ended; {_name(entry.sku)} costs what is known otherwise")
    return redirect("costs_prices_sku", sku=entry.sku)


def _say(error: PriceRefusedError) -> str:
    """Return why it was refused, with the earliest moment that would do."""
    if error.earliest is None:
        return error.sentence
    return f"{error.sentence} The earliest is {durations.format_absolute(error.earliest)}."


def _name(sku: str) -> str:
    return "everything else" if sku == EVERY_OTHER else describe_sku(sku)


def _find(request: HttpRequest, sku: str) -> tuple[PricedSku, datetime]:
    """Return the SKU; 404 for one that is neither used nor priced."""
    snapshot = take_snapshot(request)
    priced, book = load_priced_sku(sku, user=snapshot.user, now=snapshot.now)
    if not is_known(priced, book):
        raise Http404(f"{sku} is neither used nor priced")
    return priced, snapshot.now


def _discount_of(priced: PricedSku) -> str:
    percent = priced.step.percent
    return f"{percent.normalize():f}%" if percent else ""


def _render(
    request: HttpRequest, sku: str, *, price: PriceForm | None = None, discount: DiscountForm | None = None
) -> HttpResponse:
    snapshot = take_snapshot(request)
    now = snapshot.now
    priced, book = load_priced_sku(sku, user=snapshot.user, now=now)
    if not is_known(priced, book):
        raise Http404(f"{sku} is neither used nor priced")
    forms = Forms(
        price=price or PriceForm(quote=quote_of(sku), discount=_discount_of(priced)),
        discount=discount or DiscountForm(),
    )
    context: dict[str, Any] = page_context(request, snapshot) | {
        "cost_tabs": list_tabs(snapshot.user, current="costs_prices"),
        "may_edit": user_may(snapshot.user, Right.MANAGE_COSTS),
        "sku": sku,
        "name": GENERAL if sku == EVERY_OTHER else describe_sku(sku),
        "is_general": sku == EVERY_OTHER,
        "general_percent": book.general_percent(now),
        "quote": quote_of(sku).words,
        "priced": priced,
        "line": describe_step(sku, priced.step, now=now),
        "history": _list_history(sku, book.timeline(sku), now=now),
        "prices": _list_entries(PriceEntry.objects.all(), sku, now=now),
        "discounts": _list_entries(Discount.objects.all(), sku, now=now),
        "forms": forms,
    }
    has_errors = forms.price.errors or forms.discount.errors
    return render(request, "costs/prices/one.html", context, status=REFUSED if has_errors else 200)


def _list_history(sku: str, timeline: Sequence[Any], *, now: datetime) -> list[PriceLine]:
    """Return the steps, newest first."""
    lines = [describe_step(sku, step, now=now) for step in timeline]
    return lines[::-1]


def _list_entries(rows: "QuerySet[Entry]", sku: str, *, now: datetime) -> list[EntryLine]:
    """Return what was entered for the SKU, newest first."""
    found = filter_sku(rows, sku).select_related("entered_by").order_by("-valid_from", "-pk")
    return [
        EntryLine(
            row=row,
            text=f"${format_price(row.nano_usd, quote_of(sku))}"
            if isinstance(row, PriceEntry)
            else f"{row.percent.normalize():f}%",
            may_end=row.valid_until is None or row.valid_until > now,
            is_to_come=row.valid_from > now,
        )
        for row in found
    ]
