"""Take a deploy back after it was sent: what it made is stopped and deleted in order."""

import uuid

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import User
from dashboard.accounts.visibility import may_operate, project_filter
from dashboard.lifecycle import deploys
from dashboard.lifecycle.errors import ActionError
from dashboard.lifecycle.models import StopAction
from dashboard.web.forms import ActForm
from dashboard.web.htmx import render_dialog
from dashboard.web.views.actions import CONFLICT, finish_act


def undo_deploy(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Ask before deleting what a deploy made, then ask for its deletion."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    visible = StopAction.objects.filter(project_filter(request.user, path="project__"))
    action = get_object_or_404(
        visible.filter(kind=StopAction.Kind.DEPLOY).select_related("project", "endpoint", "deployment"),
        public_id=public_id,
    )
    if not may_operate(request.user, team_id=action.project.team_id if action.project else None):
        raise PermissionDenied(f"{action.title} belongs to another team")
    error = ""
    form = ActForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = deploys.request_undo(action, actor=actor_of(request), idempotency_key=form.read_key())
        except ActionError as refusal:
            error = refusal.sentence
        else:
            return finish_act(request, [made], verb="Delete", name=action.title)
    context = {
        "undone": action,
        "error": error,
        "key": request.POST.get("key") or ActForm.new_key(),
        "action": request.get_full_path(),
        "cancel_url": reverse("action", args=[public_id]),
        "cancel_label": "Keep it",
    }
    return render_dialog(
        request, "actions/_confirm_undo.html", context, title="Undo", status=CONFLICT if error else 200
    )
