"""Which team owns which project; sole writer of Project.team."""

from collections.abc import Iterable

from django.db import transaction

from dashboard.accounts import audit, teams
from dashboard.accounts.models import Connection, Team
from dashboard.core import live
from dashboard.mirror.models import Project


@transaction.atomic
def assign_team(project: Project, team: Team | None, *, actor: audit.Actor) -> bool:
    """Give the project, and everything in it, to the team (None: to nobody). False when it was so already."""
    locked = Project.objects.select_for_update(of=("self",)).select_related("team").get(pk=project.pk)
    before = locked.team
    if before == team:
        return False
    Project.objects.filter(pk=project.pk).update(team=team)
    project.team = team
    audit.record(
        "project.team_assigned",
        actor=actor,
        target=project,
        detail={"before": before.name if before else None, "after": team.name if team else None},
    )
    # Who sees what changes with it: every open page reads again.
    live.announce(["endpoints"])
    return True


@transaction.atomic
def create_teams_from_projects(*, actor: audit.Actor) -> list[Team]:
    """Make one team per project that has none, with the project's name, and return the new teams.

    A project whose name is already a team's goes to that team. Running it again changes nothing.
    """
    created = []
    known = {team.name.casefold(): team for team in Team.objects.all()}
    for project in Project.objects.filter(team=None, absent_since=None).order_by("name", "pk"):
        name = (project.name or project.slug or project.remote_id)[: Team._meta.get_field("name").max_length]
        team = known.get(name.casefold())
        if team is None:
            team = teams.create_team(name, actor=actor)
            known[name.casefold()] = team
            created.append(team)
        assign_team(project, team, actor=actor)
    return created


def find_redundant_with(remote_ids: Iterable[str]) -> Connection | None:
    """Return an enabled connection when all of these projects are mirrored already; None when one is new.

    A second key that sees some known and some new projects is fine: sync_projects leaves the known ones alone.
    """
    wanted = set(remote_ids)
    projects = Project.objects.filter(
        remote_id__in=wanted, absent_since=None, connection__is_enabled=True
    ).select_related("connection")
    mirrored = {project.remote_id: project.connection for project in projects.order_by("-pk")}
    if not wanted or wanted - mirrored.keys():
        return None
    return mirrored[min(wanted)]
