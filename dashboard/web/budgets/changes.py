"""Adding and changing a budget, switching it on and off, and saying that the prices behind it are right."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from billing import budgets
from billing.models import Budget
from billing.rules import load_rules
from dashboard.accounts.audit import actor_of
from dashboard.web.budgets.effects import Effect, measure_effects
from dashboard.web.budgets.forms import BudgetForm, ThresholdRow
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

SAVE = "save"
REFUSED = 422


@dataclass(frozen=True, slots=True)
class EffectRow:
    """A threshold's fields with what it means; `effect` None for one that stops nothing."""

    fields: ThresholdRow
    words: str
    effect: Effect | None


def add(request: HttpRequest) -> HttpResponse:
    """Write a new budget; what each threshold would stop right now stands beside it before it is saved."""
    return _edit(request, None)


def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a budget."""
    return _edit(request, _find(pk))


def enable(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a budget on."""
    return _switch(request, pk, is_enabled=True)


def disable(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a budget off; its history stays."""
    return _switch(request, pk, is_enabled=False)


def confirm_prices(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that the prices are right: what waited goes on with the next pass."""
    budget = _find(pk)
    budgets.confirm_prices(budget, actor=actor_of(request), now=timezone.now())
    messages.success(request, f"{budget.name} goes on within a minute, at the prices of now")
    return redirect("budget", pk)


def _switch(request: HttpRequest, pk: int, *, is_enabled: bool) -> HttpResponse:
    budget = _find(pk)
    budgets.set_enabled(budget, is_enabled=is_enabled, actor=actor_of(request))
    messages.success(request, f"{budget.name} is switched {'on' if is_enabled else 'off; its history stays'}")
    return redirect("budget", pk)


def _edit(request: HttpRequest, budget: Budget | None) -> HttpResponse:
    form = BudgetForm(request.POST or None, budget=budget)
    if request.method != "POST":
        return _render(request, form, budget, draft=budget)
    if not form.is_valid():
        return _render(request, form, budget)
    draft = form.read_budget(user=take_snapshot(request).user)
    if request.POST.get("step") != SAVE:
        return _render(request, form, budget, draft=draft)
    saved = budgets.save_budget(
        draft, thresholds=form.read_thresholds(), exempt=form.read_exempt(), actor=actor_of(request)
    )
    messages.success(request, f"{saved.name} is saved")
    return redirect("budget", saved.pk)


def _find(pk: int) -> Budget:
    return get_object_or_404(Budget.objects.select_related("team", "project__team"), pk=pk)


def _render(
    request: HttpRequest, form: BudgetForm, budget: Budget | None, *, draft: Budget | None = None
) -> HttpResponse:
    """Show the form; `draft` is what its thresholds are weighed against, None while they cannot be."""
    snapshot = take_snapshot(request)
    effects: dict[str, Effect] = {}
    rows = list(form.rows())
    if draft is not None:
        actions = [row.threshold.action for row in rows if row.threshold is not None]
        exempt = form.read_exempt() if form.is_bound else None
        effects = measure_effects(draft, actions, user=snapshot.user, now=snapshot.now, exempt=exempt)
    name = Budget.objects.values_list("name", flat=True).get(pk=budget.pk) if budget else "Add a budget"
    context: dict[str, Any] = page_context(request, snapshot) | {
        "form": form,
        "budget": budget,
        "heading": name,
        "rows": [_weigh(row, draft, effects) for row in rows],
        "is_weighed": draft is not None,
        "zone_name": load_rules().reporting_zone,
        "action": reverse("budget_change", args=[budget.pk]) if budget else reverse("budget_add"),
        "cancel_url": reverse("budget", args=[budget.pk]) if budget else reverse("budgets"),
    }
    return render(request, "budgets/form.html", context, status=REFUSED if form.errors else 200)


def _weigh(row: ThresholdRow, draft: Budget | None, effects: dict[str, Effect]) -> EffectRow:
    if draft is None or row.threshold is None:
        return EffectRow(row, "", None)
    words = budgets.describe(row.threshold, draft)
    return EffectRow(row, words[0].upper() + words[1:], effects.get(row.threshold.action.value))
