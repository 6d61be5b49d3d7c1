"""Budgets: the list, held and crossed ones first, and one with its thresholds and what they did."""

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse

from billing import budgets
from billing.budget_sight import visible_budgets
from billing.models import Budget
from billing.rules import load_rules, reporting_zone
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.budgets.effects import measure_effects
from dashboard.web.budgets.history import load_history
from dashboard.web.budgets.lines import build_line, build_lines, list_thresholds
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot


def list_budgets(request: HttpRequest) -> HttpResponse:
    """Show the budgets, or the live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        zone = reporting_zone(load_rules())
        found = budgets.load_statuses(_with_parts(snapshot.user), now=snapshot.now, zone=zone)
        context = page_context(request, snapshot) | {
            "lines": build_lines(found, now=snapshot.now, zone=zone),
            "zone_name": str(zone),
            "may_edit": user_may(snapshot.user, Right.MANAGE_COSTS),
        }
        return render_page(request, "budgets/page.html", "budgets/_list.html", context)


def show_budget(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one budget, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        user, now = snapshot.user, snapshot.now
        budget = find_budget(user, pk)
        zone = reporting_zone(load_rules())
        found = budgets.load_status(budget, now=now, zone=zone)
        context = page_context(request, snapshot) | {
            "budget": budget,
            "line": build_line(found, now=now, zone=zone),
            "status": found,
            "thresholds": list_thresholds(found, now=now),
            "effects": measure_effects(budget, [one.action for one in found.thresholds], user=user, now=now),
            "exempt": budget.exempt.order_by("endpoint_name", "name"),
            "history": load_history(budget, user=user),
            "zone_name": str(zone),
            "may_edit": user_may(user, Right.MANAGE_COSTS),
            "sees_all": user_may(user, Right.SEE_ALL_PROJECTS),
        }
        return render_page(request, "budgets/one.html", "budgets/_one.html", context)


def find_budget(user: User, pk: int) -> Budget:
    """Return a budget that the person sees. Raises Http404."""
    found = _with_parts(user).filter(pk=pk).first()
    if found is None:
        raise Http404("no such budget, or not one of your teams'")
    return found


def _with_parts(user: User) -> "QuerySet[Budget]":
    found = visible_budgets(user).select_related("team", "project__team", "created_by")
    return found.prefetch_related("thresholds")
