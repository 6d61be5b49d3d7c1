"""Whose cost a person sees: that of the own teams, and what nobody owns in projects that the person sees.

Admin and Finance see everything. What another team owns stays hidden also where its project is seen: a total must not
tell one team what another one spent. With a cost split each team sees its share.
"""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from billing.models import CostShare, Ownership
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import project_filter, team_filter


@dataclass(frozen=True, slots=True)
class Sight:
    """The teams whose cost is seen, None = all; and whether what nobody owns is."""

    team_ids: list[int] | None
    sees_unowned: bool


def find_sight(user: User | None) -> Sight:
    """Return what the user sees; None stands for a task, which sees everything. At most one query."""
    if user is None:
        return Sight(None, True)
    if not user_may(user, Right.VIEW):
        return Sight([], False)
    teams = team_filter(user)
    return Sight(None if teams is None else sorted(teams), True)


def visible_meters(user: User) -> Q:
    """Return the condition under which a meter may be shown; its cost is shown by `billing.costs` alone.

    The user's team owned it at some time or has a share in it, or its project is visible.
    """
    projects = project_filter(user, path="project__")
    if not user_may(user, Right.VIEW) or user_may(user, Right.SEE_ALL_PROJECTS):
        return projects
    teams = team_filter(user)
    owned = Ownership.objects.filter(meter=OuterRef("pk"), team_id__in=teams)
    shared = CostShare.objects.filter(split__meter=OuterRef("pk"), team_id__in=teams)
    return projects | Q(Exists(owned)) | Q(Exists(shared))
