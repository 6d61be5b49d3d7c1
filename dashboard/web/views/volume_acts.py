"""Acts on shared volumes: make one, let one grow, delete one. All of them are for Admins."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.audit import actor_of
from dashboard.core import status
from dashboard.lifecycle import charges, resource_acts
from dashboard.lifecycle.errors import ActionError
from dashboard.mirror.models import ClusterRegion, Project, Resource, ResourceKind, SyncRun
from dashboard.web.compute.forms import CreateVolumeForm, ResizeVolumeForm, rate_for
from dashboard.web.compute.prices import VOLUME_SKU, load_rate, load_rate_of
from dashboard.web.compute.rows import load_holders
from dashboard.web.forms import ActForm
from dashboard.web.htmx import render_dialog
from dashboard.web.resources import bodies
from dashboard.web.resources.rows import status_of
from dashboard.web.resources.targets import find_operable_resource
from dashboard.web.views.actions import CONFLICT, REFUSED, finish_act
from dashboard.web.views.compute_acts import (
    Confirmation,
    confirm_act,
    describe_state,
    dialog_context,
    finish_resource_act,
    person_of,
    refuse_act,
)


def create_volume(request: HttpRequest) -> HttpResponse:
    """Ask for name, size and region, say what it will cost, and ask for a new volume."""
    projects = list(
        Project.objects.filter(absent_since=None, connection__is_enabled=True)
        .select_related("team")
        .defer("payload")
        .order_by("name", "pk")
    )
    if not projects:
        nothing = {
            "title": "No project",
            "reason": "A volume belongs to a project, and none is read from the provider yet.",
            "cancel_url": reverse("volumes"),
        }
        return render_dialog(request, "actions/_nothing.html", nothing, title="No project")
    chosen = _choose_project(projects, request.POST.get("project", ""))
    regions = list(
        ClusterRegion.objects.filter(connection=chosen.connection_id, absent_since=None)
        .order_by("remote_id")
        .values_list("remote_id", flat=True)
    )
    rate = load_rate(chosen.connection_id, VOLUME_SKU, kind=ResourceKind.VOLUME)
    form = CreateVolumeForm(
        request.POST or None,
        projects=projects,
        regions=regions,
        initial={"key": ActForm.new_key(), "size_tib": 1, "project": chosen.pk},
    )
    context = {
        "form": form,
        "regions": regions,
        "rate": rate,
        "is_safe": True,
        "action": request.get_full_path(),
        "cancel_url": reverse("volumes"),
        "cancel_label": "Make none",
    }
    fragment = "resources/compute/_create_volume.html"
    if request.method != "POST":
        return render_dialog(request, fragment, context, title="New volume")
    code = REFUSED
    if form.is_valid():
        try:
            made = resource_acts.request_create_volume(
                form.projects[form.cleaned_data["project"]],
                name=form.cleaned_data["name"],
                size_tib=form.cleaned_data["size_tib"],
                region=form.cleaned_data["region"],
                is_lifecycle_independent=form.cleaned_data["is_lifecycle_independent"],
                nano_usd_per_tib_hour=rate.nano_usd_per_hour if rate else None,
                actor=actor_of(request),
                idempotency_key=form.read_key(),
            )
        except ActionError as error:
            form.add_error(error.field if error.field in form.fields else None, error.sentence)
            code = REFUSED if error.field else CONFLICT
        else:
            name = form.cleaned_data["name"]
            return finish_act(request, [made], verb="Volume", name=name, groups=(SyncRun.Resource.VOLUMES,))
    context |= {"size_tib": form.read_size(), "price": rate_for(rate, form.read_size())}
    return render_dialog(request, fragment, context, title="New volume", status=code)


def resize_volume(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for a larger size, say what it will cost, and ask for it."""
    volume = find_operable_resource(request, pk, kinds=(ResourceKind.VOLUME,))
    if volume.absent_since is not None or not charges.may_resize(volume):
        return refuse_act(request, volume, title="Cannot be resized now", reason=describe_state(volume))
    body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
    told = bodies.number_of(body, "size_tib")
    present = None if told is None else int(told)
    form = ResizeVolumeForm(
        request.POST or None,
        present=present,
        initial={"key": ActForm.new_key(), "size_tib": (present or 0) + 1},
    )
    context = dialog_context(request, volume) | {
        "form": form,
        "present": present,
        "rate": load_rate_of(volume),
        "is_safe": True,
        "cancel_label": "Leave as it is",
    }
    fragment = "resources/compute/_resize_volume.html"
    if request.method != "POST":
        return render_dialog(request, fragment, context, title="Resize")
    code = REFUSED
    if form.is_valid():
        try:
            made = resource_acts.request_resize(
                volume,
                size_tib=form.cleaned_data["size_tib"],
                actor=actor_of(request),
                idempotency_key=form.read_key(),
            )
        except ActionError as error:
            form.add_error(error.field if error.field in form.fields else None, error.sentence)
            code = REFUSED if error.field else CONFLICT
        else:
            return finish_resource_act(request, volume, made, verb="Resize")
    return render_dialog(request, fragment, context, title="Resize", status=code)


def delete_volume(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and ask for the deletion; one that a cluster holds is not deleted from here."""
    volume = find_operable_resource(request, pk, kinds=(ResourceKind.VOLUME,))
    holders = load_holders([volume], user=person_of(request)).get(volume.pk, ())
    if status_of(volume) is status.ATTACHED:
        names = ", ".join(holder.name for holder in holders) or "a cluster"
        reason = (
            f"{volume.name} is attached to {names}. The provider deletes only what nothing holds:"
            " delete the cluster first, or keep both."
        )
        return refuse_act(request, volume, title="Still attached", reason=reason)
    return confirm_act(
        request,
        volume,
        Confirmation(
            verb="Delete",
            fragment="resources/compute/_delete_volume.html",
            cancel_label="Keep it",
            context={"holders": holders},
            refusal="" if charges.may_delete(volume) else describe_state(volume),
            ask=resource_acts.request_delete_resource,
        ),
    )


def _choose_project(projects: list[Project], wanted: str) -> Project:
    return next((one for one in projects if str(one.pk) == wanted), projects[0])
