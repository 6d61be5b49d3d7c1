"""The resource that a page or an act is about: found among what the person sees."""

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from dashboard.accounts.models import User
from dashboard.accounts.visibility import may_operate
from dashboard.mirror.models import Resource
from dashboard.mirror.resource_querysets import visible_resources


def find_resource(request: HttpRequest, pk: int, *, kinds: Sequence[str]) -> Resource:
    """Return the resource of one of these kinds if the person sees it; Http404 otherwise. One query.

    Project, team and connection are loaded; the payload is not.
    """
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    found = visible_resources(request.user, kinds).select_related("project__team", "connection")
    resource = found.filter(pk=pk).first()
    if resource is None:
        raise Http404("no such resource, or not one of your teams'")
    return resource


def find_operable_resource(request: HttpRequest, pk: int, *, kinds: Sequence[str]) -> Resource:
    """Return the resource if the person may act on it. Http404 when not seen, PermissionDenied when only seen."""
    resource = find_resource(request, pk, kinds=kinds)
    assert isinstance(request.user, User)  # noqa: S101 - as above
    if not may_operate(request.user, team_id=resource.project.team_id):
        team = resource.project.team
        owner = f"the team {team.name}" if team else "nobody yet, so only Admins act on it"
        raise PermissionDenied(f"{resource.name} belongs to {owner}")
    return resource
