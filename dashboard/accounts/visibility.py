"""Which projects a person sees, and on which a person may act.

Admin and Finance see everything. Viewer and Operator see the projects of their teams and those without a
team: spend that nobody owns must be seen to be claimed.
"""

from django.db.models import Q, QuerySet

from dashboard.accounts.models import Membership, Team, User
from dashboard.accounts.permissions import Right, user_may


def team_filter(user: User) -> "QuerySet[Membership, int] | None":
    """Return the ids of the teams whose projects the user sees (a subquery), or None for all projects."""
    if user_may(user, Right.SEE_ALL_PROJECTS):
        return None
    return Membership.objects.filter(user=user).values_list("team_id", flat=True)


def project_filter(user: User, *, path: str = "") -> Q:
    """Return the condition under which a project is visible; no query of its own.

    `path` leads from the filtered model to the project, e.g. ``project__`` or ``endpoint__project__``. An
    inactive or anonymous user sees nothing.
    """
    if not user_may(user, Right.VIEW):
        return Q(pk__in=[])
    teams = team_filter(user)
    if teams is None:
        return Q()
    return Q(**{f"{path}team_id__in": teams}) | Q(**{f"{path}team_id": None})


def may_operate(user: User, *, team_id: int | None) -> bool:
    """Tell whether the user may stop, start, scale or delete what the team owns. At most one query.

    What nobody owns is operated by Admins only: an Operator acts within the own teams.
    """
    if not user_may(user, Right.OPERATE):
        return False
    if user_may(user, Right.OPERATE_EVERYWHERE):
        return True
    return team_id is not None and Membership.objects.filter(user=user, team_id=team_id).exists()


def operable_team_ids(user: User) -> frozenset[int] | None:
    """Return the teams on whose resources the user may act, for a whole page at once; None for all. One query."""
    if not user_may(user, Right.OPERATE):
        return frozenset()
    if user_may(user, Right.OPERATE_EVERYWHERE):
        return None
    return frozenset(Team.objects.filter(people=user).values_list("pk", flat=True))
