"""Acts on own models: import one from Hugging Face or a presigned address, delete one.

A view checks rights, asks lifecycle, and renders. Nothing here talks to the provider.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from dashboard.accounts.audit import actor_of
from dashboard.lifecycle import resource_acts
from dashboard.lifecycle.errors import ActionError
from dashboard.lifecycle.makings import request_upload
from dashboard.mirror.models import CatalogueModel, Project, ResourceKind
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.deploy.choices import list_projects
from dashboard.web.forms import ActForm
from dashboard.web.htmx import render_dialog
from dashboard.web.models.forms import UploadForm
from dashboard.web.models.rows import build_model_rows
from dashboard.web.page import page_context
from dashboard.web.resources.targets import find_operable_resource
from dashboard.web.snapshot import take_snapshot
from dashboard.web.views.actions import CONFLICT, REFUSED, finish_act


def upload_model(request: HttpRequest) -> HttpResponse:
    """Ask where the weights lie, and ask for the import; address and token are never shown again."""
    snapshot = take_snapshot(request)
    projects = list_projects(snapshot.user)
    initial = {"key": ActForm.new_key(), "base_model": request.GET.get("base", ""), "model_type": "model"}
    form = UploadForm(request.POST or None, projects=projects, initial=initial)
    if request.method == "POST" and form.is_valid():
        project = next(one for one in projects if one.pk == form.cleaned_data["project"])
        base_id = _find_base(project, form.cleaned_data["base_model"])
        if not base_id:
            form.add_error("base_model", "The catalogue does not know this model: take a name from the list.")
        else:
            try:
                made = request_upload(
                    project,
                    **form.arguments(),
                    base_model_id=base_id,
                    actor=actor_of(request),
                    idempotency_key=form.read_key(),
                )
            except ActionError as error:
                field = "base_model" if error.field == "base_model_id" else error.field
                form.add_error(field if field in form.fields else None, error.sentence)
            else:
                return redirect("action", made.action.public_id)
    with one_snapshot():
        context = page_context(request, snapshot) | {
            "form": form,
            "projects": projects,
            "bases": _list_bases(projects),
        }
        return render(request, "models/upload.html", context, status=REFUSED if form.errors else 200)


def delete_model(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and ask for the deletion of an own model; endpoints that serve it are named."""
    resource = find_operable_resource(request, pk, kinds=(ResourceKind.MODEL,))
    snapshot = take_snapshot(request)
    form = ActForm(request.POST or None)
    error = ""
    if request.method == "POST" and form.is_valid():
        try:
            made = resource_acts.request_delete_resource(
                resource, actor=actor_of(request), idempotency_key=form.read_key()
            )
        except ActionError as refusal:
            error = refusal.sentence
        else:
            return finish_act(request, [made], verb="Delete", name=resource.name)
    elif request.method == "POST":
        error = "Open the form again."
    context = {
        "model": build_model_rows([resource], user=snapshot.user, now=snapshot.now)[0],
        "error": error,
        "key": request.POST.get("key") or ActForm.new_key(),
        "action": request.get_full_path(),
        "cancel_url": reverse("model", args=[pk]),
        "cancel_label": "Keep it",
    }
    return render_dialog(
        request, "models/_confirm_delete.html", context, title="Delete", status=CONFLICT if error else 200
    )


def _list_bases(projects: list[Project]) -> list[str]:
    """Return the names that a base may have. One query."""
    rows = CatalogueModel.objects.filter(
        connection__in={one.connection_id for one in projects},
        origin=CatalogueModel.Origin.SUPPORTED,
        absent_since=None,
    )
    return list(rows.order_by("name").values_list("name", flat=True).distinct())


def _find_base(project: Project, name: str) -> str:
    """Return the id of the catalogue's model of that name or id, empty when there is none. One query."""
    rows = CatalogueModel.objects.filter(
        connection_id=project.connection_id, origin=CatalogueModel.Origin.SUPPORTED, absent_since=None
    )
    known = dict(rows.values_list("name", "remote_id"))
    return known.get(name) or (name if name in known.values() else "")
