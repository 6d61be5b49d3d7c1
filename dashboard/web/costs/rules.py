"""Counting rules: the zone of reports, rounding, when something is idle, when a gap alerts."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from billing.rules import load_rules, save_rules
from dashboard.accounts.audit import actor_of
from dashboard.web.costs.price_forms import RulesForm
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

REFUSED = 422


def change_rules(request: HttpRequest) -> HttpResponse:
    """Show the rules with what each of them does, and change them."""
    rules = load_rules()
    form = RulesForm(request.POST or None, initial=RulesForm.describe(rules))
    if request.method == "POST" and form.is_valid():
        save_rules(form.read_rules(), actor=actor_of(request), before=rules)
        messages.success(request, "The rules hold from now on; what is posted stays as it was counted")
        return redirect("costs_rules")
    snapshot = take_snapshot(request)
    context = page_context(request, snapshot) | {
        "cost_tabs": list_tabs(snapshot.user, current="costs_prices"),
        "form": form,
    }
    return render(request, "costs/prices/rules.html", context, status=REFUSED if form.errors else 200)
