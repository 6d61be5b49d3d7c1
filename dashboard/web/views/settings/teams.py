"""Settings > Teams: who belongs together, and which projects they own."""

from django.contrib import messages
from django.db.models import Count, ProtectedError, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from dashboard.accounts import teams
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import Team, User
from dashboard.mirror import ownership
from dashboard.mirror.models import Project
from dashboard.web.htmx import render_dialog
from dashboard.web.views.settings.forms import ProjectTeamForm, TeamForm, TeamNameForm
from dashboard.web.views.settings.leaving import leave


def list_teams(request: HttpRequest) -> HttpResponse:
    """Show teams and projects with their owner; make a team."""
    form = TeamNameForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = teams.create_team(form.cleaned_data["name"], actor=actor_of(request))
        except teams.TeamNameTakenError as error:
            form.add_error("name", str(error))
        else:
            return redirect("settings_team", pk=team.pk)
    projects = list(
        Project.objects.filter(absent_since=None)
        .select_related("team", "connection")
        .annotate(
            endpoint_count=Count("endpoint", filter=Q(endpoint__absent_since=None)),
        )
    )
    context = {
        "form": form,
        "teams": Team.objects.annotate(
            people_count=Count("people", distinct=True),
            project_count=Count("project", filter=Q(project__absent_since=None), distinct=True),
        ),
        "projects": projects,
        "unowned_count": sum(project.team_id is None for project in projects),
        "section": "teams",
    }
    return render(request, "settings/teams.html", context, status=422 if form.errors else 200)


def change_team(request: HttpRequest, pk: int) -> HttpResponse:
    """Change name and people of a team."""
    team = get_object_or_404(Team, pk=pk)
    members = User.objects.filter(teams=team)
    form = TeamForm(request.POST or None, initial={"name": team.name, "people": members})
    if request.method == "POST" and form.is_valid():
        try:
            teams.change_team(team, **form.cleaned_data, actor=actor_of(request))
        except teams.TeamNameTakenError as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, f"{team.name} is changed")
            return redirect("settings_teams")
    context = {
        "form": form,
        "team": team,
        "projects": Project.objects.filter(team=team, absent_since=None),
        "section": "teams",
    }
    return render(request, "settings/team.html", context, status=422 if form.errors else 200)


def delete_team(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what becomes unowned, and delete the team."""
    team = get_object_or_404(Team, pk=pk)
    if request.method == "POST":
        try:
            teams.delete_team(team, actor=actor_of(request))
        except ProtectedError:
            messages.error(
                request,
                f"{team.name} is not deleted: it bears a share of a cost, now or in the past. "
                "Take its people and projects away instead",
            )
        else:
            messages.success(request, f"The team {team.name} is deleted")
        return leave(request, "settings_teams")
    context = {
        "team": team,
        "projects": Project.objects.filter(team=team, absent_since=None),
        "people_count": User.objects.filter(teams=team).count(),
        "action": request.path,
        "cancel_url": reverse("settings_team", args=[pk]),
        "cancel_label": "Cancel",
    }
    return render_dialog(request, "settings/_team_delete.html", context, title=f"Delete {team.name}?")


def create_from_projects(request: HttpRequest) -> HttpResponse:
    """Make a team for each project that has none."""
    created = ownership.create_teams_from_projects(actor=actor_of(request))
    count = len(created)
    messages.success(request, f"{count} team{'' if count == 1 else 's'} made from projects")
    return redirect("settings_teams")


def assign_project(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a project to a team, or to nobody."""
    project = get_object_or_404(Project, pk=pk)
    form = ProjectTeamForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"{project.name}: this team does not exist any more")
    elif ownership.assign_team(project, form.cleaned_data["team"], actor=actor_of(request)):
        messages.success(request, f"{project.name} belongs to {project.team or 'no team'} now")
    return redirect("settings_teams")
