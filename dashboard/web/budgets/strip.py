"""What part of a budget the explorer's total is: said only where the two mean the same thing."""

from dataclasses import dataclass, replace

from django.urls import reverse

from billing.amounts import Cost
from billing.budget_rules import format_limit
from billing.budget_sight import visible_budgets
from billing.costs import NO_FILTERS
from billing.models import Budget
from dashboard.accounts.permissions import Right, user_may
from dashboard.core.periods import PeriodName
from dashboard.web.costs.asked import Question


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """`54.7% of $70,000`, with the budget's page."""

    words: str
    url: str


def find_share(question: Question, total: Cost) -> BudgetShare | None:
    """Return the total as a part of the tightest monthly budget for it; None without one.

    The month to date in the reporting zone, of the whole organisation or of one team, and nothing else filtered. At
    most one query.
    """
    query = question.query
    if question.period_name is not PeriodName.MONTH or question.zone_name != question.zone_default:
        return None
    if query.user is None or replace(query.filters, teams=frozenset()) != NO_FILTERS:
        return None
    found = visible_budgets(query.user).filter(is_enabled=True, cycle=Budget.Cycle.MONTHLY)
    if not query.filters.teams:
        if not user_may(query.user, Right.SEE_ALL_PROJECTS):
            return None
        found = found.filter(scope=Budget.Scope.ORGANISATION)
    else:
        team = next(iter(query.filters.teams))
        if len(query.filters.teams) != 1 or not team.isdecimal():
            return None
        found = found.filter(scope=Budget.Scope.TEAM, team_id=int(team))
    budget = found.order_by("nano_usd", "pk").first()
    if budget is None:
        return None
    percent = total.nano_low * 100 / budget.nano_usd
    words = f"{percent:,.1f}% of {format_limit(budget.nano_usd)}"
    return BudgetShare(words, reverse("budget", args=[budget.pk]))
