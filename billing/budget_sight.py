"""Which budgets a person sees: those of the own teams and of their projects.

Finance and Admins see all of them. One for the whole organisation or for a tag holds the cost of several teams, which
no team is to learn from the difference (billing/costs/visibility.py), and is theirs alone.
"""

from django.db.models import Q, QuerySet

from billing.models import Budget
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import team_filter


def visible_budgets(user: User) -> "QuerySet[Budget]":
    """Return the budgets that the person may look at. No query yet."""
    if not user_may(user, Right.VIEW):
        return Budget.objects.none()
    teams = team_filter(user)
    if teams is None:
        return Budget.objects.all()
    return Budget.objects.filter(
        Q(scope=Budget.Scope.TEAM, team_id__in=teams)
        | Q(scope=Budget.Scope.PROJECT, project__team_id__in=teams)
    )
