"""Adding, changing, moving and retiring a rule of ownership; each shows what would change hands before it is saved."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from billing.models import OwnershipRule
from billing.ownership_changes import (
    RuleDraft,
    RuleGoneError,
    add_rule,
    change_rule,
    move_rule,
    replace_in,
    retire_rule,
)
from billing.ownership_facts import load_rules
from dashboard.accounts.audit import actor_of
from dashboard.web.costs.owner_forms import RuleForm
from dashboard.web.costs.owner_previews import RulePreview, build_preview, load_meter_costs
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_dialog
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot
from dashboard.web.views.settings.leaving import leave

SAVE = "save"
REFUSED = 422


def add(request: HttpRequest) -> HttpResponse:
    """Write a new rule: look at what it would move, then save it as the last one."""
    form = RuleForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _render(request, form)
    draft = form.read_draft()
    if request.POST.get("step") != SAVE:
        return _render(request, form, shown=_preview(draft, pk=None))
    rule = add_rule(draft, actor=actor_of(request), now=timezone.now())
    messages.success(request, f"The rule {rule.name} holds from now on")
    return redirect("costs_owners")


def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a rule: look at what that would move, then save it."""
    rule = get_object_or_404(OwnershipRule, pk=pk, retired_at=None)
    form = RuleForm(request.POST or None, rule=rule)
    if request.method != "POST" or not form.is_valid():
        return _render(request, form, rule=rule)
    draft = form.read_draft()
    if request.POST.get("step") != SAVE:
        return _render(request, form, rule=rule, shown=_preview(draft, pk=pk))
    try:
        change_rule(pk, draft, actor=actor_of(request), now=timezone.now())
    except RuleGoneError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The rule {draft.name} is changed from now on")
    return redirect("costs_owners")


def move(request: HttpRequest, pk: int) -> HttpResponse:
    """Move a rule one place up or down."""
    by = 1 if request.POST.get("direction") == "down" else -1
    try:
        moved = move_rule(pk, by=by, actor=actor_of(request), now=timezone.now())
    except RuleGoneError as error:
        messages.error(request, str(error))
    else:
        if not moved:
            messages.info(request, f"It is the {'last' if by > 0 else 'first'} rule already")
    return redirect("costs_owners")


def retire(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a rule's retirement would move, and retire it."""
    rule = get_object_or_404(OwnershipRule, pk=pk, retired_at=None)
    if request.method == "POST":
        try:
            retire_rule(pk, actor=actor_of(request), now=timezone.now())
        except RuleGoneError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"The rule {rule.name} is retired; history goes on naming it")
        return leave(request, "costs_owners")
    rules = load_rules()
    context = {
        "rule": rule,
        "preview": build_preview(
            rules, [one for one in rules if one.pk != pk], costs=load_meter_costs(now=timezone.now())
        ),
        "action": reverse("costs_owners_rule_retire", args=[pk]),
        "cancel_url": reverse("costs_owners"),
        "cancel_label": "Keep it",
    }
    return render_dialog(request, "costs/owners/_rule_retire.html", context, title=f"Retire {rule.name}?")


def _preview(draft: RuleDraft, *, pk: int | None) -> RulePreview:
    rules = load_rules()
    after = replace_in(rules, draft.as_rule(pk=pk))
    return build_preview(rules, after, costs=load_meter_costs(now=timezone.now()))


def _render(
    request: HttpRequest,
    form: RuleForm,
    *,
    rule: OwnershipRule | None = None,
    shown: RulePreview | None = None,
) -> HttpResponse:
    snapshot = take_snapshot(request)
    context: dict[str, Any] = page_context(request, snapshot) | {
        "cost_tabs": list_tabs(snapshot.user, current="costs_owners"),
        "form": form,
        "rule": rule,
        "preview": shown,
        "action": reverse("costs_owners_rule", args=[rule.pk]) if rule else reverse("costs_owners_rule_add"),
    }
    return render(request, "costs/owners/rule.html", context, status=REFUSED if form.errors else 200)
