"""Acts on clusters, containers and RL resources: the confirmation with its price (GET), the wish (POST)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import User
from dashboard.lifecycle import charges, resource_acts
from dashboard.lifecycle.errors import ActionError
from dashboard.lifecycle.wishes import Requested
from dashboard.mirror.groups import GROUP_OF
from dashboard.mirror.models import Resource, ResourceKind
from dashboard.web.compute.cluster_facts import ClusterFacts, list_sizes, read_cluster
from dashboard.web.compute.forms import ScaleClusterForm
from dashboard.web.compute.prices import load_rate_of
from dashboard.web.compute.volume_lines import VolumeLine, list_volume_lines
from dashboard.web.forms import ActForm
from dashboard.web.htmx import render_dialog
from dashboard.web.resources.addresses import address_of_resource
from dashboard.web.resources.links import list_targets, list_users
from dashboard.web.resources.rows import burn_of, status_of
from dashboard.web.resources.targets import find_operable_resource
from dashboard.web.views.actions import CONFLICT, REFUSED, finish_act


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An act that takes no input: what it is called, shown with, refused for, and how it is asked for.

    `refusal` empty = it fits the present state.
    """

    verb: str
    fragment: str
    cancel_label: str
    context: Mapping[str, object]
    refusal: str
    ask: Callable[..., Requested]


def scale_cluster(request: HttpRequest, pk: int) -> HttpResponse:
    """Offer whole nodes with their price, and ask for another size."""
    cluster = find_operable_resource(request, pk, kinds=(ResourceKind.CLUSTER,))
    if cluster.absent_since is not None or not charges.may_resize(cluster):
        return refuse_act(request, cluster, title="Cannot be scaled now", reason=describe_state(cluster))
    facts = _read_facts(cluster)
    rate = load_rate_of(cluster)
    sizes = list_sizes(
        facts.gpus,
        reserved=facts.reserved_gpus,
        nano_usd_per_gpu_hour=rate.nano_usd_per_hour if rate else None,
    )
    form = ScaleClusterForm(request.POST or None, sizes=sizes, initial={"key": ActForm.new_key()})
    context = dialog_context(request, cluster) | {
        "form": form,
        "facts": facts,
        "rate": rate,
        "is_safe": True,
        "cancel_label": "Leave as it is",
    }
    fragment = "resources/compute/_scale_cluster.html"
    if request.method != "POST":
        return render_dialog(request, fragment, context, title="Scale")
    code = REFUSED
    if form.is_valid():
        try:
            made = resource_acts.request_resize(
                cluster,
                gpus=form.cleaned_data["gpus"],
                actor=actor_of(request),
                idempotency_key=form.read_key(),
            )
        except ActionError as error:
            form.add_error(error.field if error.field in form.fields else None, error.sentence)
            code = REFUSED if error.field else CONFLICT
        else:
            return finish_resource_act(request, cluster, made, verb="Scale")
    return render_dialog(request, fragment, context, title="Scale", status=code)


def delete_cluster(request: HttpRequest, pk: int) -> HttpResponse:
    """Name the volumes that go and those that stay, and ask for the deletion."""
    cluster = find_operable_resource(request, pk, kinds=(ResourceKind.CLUSTER,))
    facts = _read_facts(cluster)
    targets = list_targets(person_of(request), cluster)
    volumes = list_volume_lines(facts.volumes, targets)
    goes, stays, untold = _describe_volumes(volumes)
    return confirm_act(
        request,
        cluster,
        Confirmation(
            verb="Delete",
            fragment="resources/compute/_delete_cluster.html",
            cancel_label="Leave running",
            context={"facts": facts, "goes": goes, "stays": stays, "untold": untold},
            refusal="" if charges.may_delete(cluster) else describe_state(cluster),
            ask=resource_acts.request_delete_resource,
        ),
    )


def stop_container(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and ask that a container be scaled to nothing."""
    container = find_operable_resource(request, pk, kinds=(ResourceKind.CONTAINER,))
    return _stop(request, container, fragment="resources/compute/_stop_container.html", context={})


def stop_rl(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and ask that RL resources be stopped, with the sessions on them."""
    resource = find_operable_resource(request, pk, kinds=(ResourceKind.RL_RESOURCE,))
    users = list_users(person_of(request), resource)
    sessions = [line for line in users if line.status and (line.status.is_moving or line.status.may_bill)]
    return _stop(
        request, resource, fragment="resources/compute/_stop_rl.html", context={"sessions": sessions}
    )


def _stop(
    request: HttpRequest, resource: Resource, *, fragment: str, context: Mapping[str, object]
) -> HttpResponse:
    return confirm_act(
        request,
        resource,
        Confirmation(
            verb="Stop",
            fragment=fragment,
            cancel_label="Leave running",
            context=context,
            refusal="" if charges.may_stop_resource(resource) else describe_state(resource),
            ask=resource_acts.request_stop_resource,
        ),
    )


def confirm_act(request: HttpRequest, resource: Resource, plan: Confirmation) -> HttpResponse:
    """Show a confirmation, or ask for the act it was sent for; what does not fit is explained and not asked for."""
    error = ""
    if request.method == "POST":
        form = ActForm(request.POST)
        if not form.is_valid():
            error = "Open the form again."
        else:
            try:
                made = plan.ask(resource, actor=actor_of(request), idempotency_key=form.read_key())
            except ActionError as refused:
                error = refused.sentence
            else:
                return finish_resource_act(request, resource, made, verb=plan.verb)
    refusal = f"{resource.name} is gone." if resource.absent_since is not None else plan.refusal
    if not error and refusal:
        return refuse_act(request, resource, title=f"Nothing to {plan.verb.lower()}", reason=refusal)
    context = (
        dialog_context(request, resource)
        | dict(plan.context)
        | {
            "error": error,
            "key": request.POST.get("key") or ActForm.new_key(),
            "cancel_label": plan.cancel_label,
        }
    )
    return render_dialog(request, plan.fragment, context, title=plan.verb, status=CONFLICT if error else 200)


def refuse_act(request: HttpRequest, resource: Resource, *, title: str, reason: str) -> HttpResponse:
    """Explain why an act does not fit, instead of its confirmation."""
    context = {"title": title, "reason": reason, "cancel_url": address_of_resource(resource)}
    code = CONFLICT if request.method == "POST" else 200
    return render_dialog(request, "actions/_nothing.html", context, title=title, status=code)


def finish_resource_act(
    request: HttpRequest, resource: Resource, made: Requested, *, verb: str
) -> HttpResponse:
    """Say what was asked for; the open page waits for it."""
    own = GROUP_OF[ResourceKind(resource.kind)].run
    return finish_act(request, [made], verb=verb, name=resource.name, groups=(own,))


def dialog_context(request: HttpRequest, resource: Resource) -> dict[str, object]:
    """Return what every dialog about a resource needs."""
    return {
        "resource": resource,
        "burn": burn_of(resource),
        "action": request.get_full_path(),
        "cancel_url": address_of_resource(resource),
    }


def describe_state(resource: Resource) -> str:
    """Return the present state as a sentence."""
    return f"{resource.name} is {status_of(resource).word.lower()}."


def person_of(request: HttpRequest) -> User:
    """Return the person who asks."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    return request.user


def _read_facts(cluster: Resource) -> ClusterFacts:
    body = Resource.objects.values_list("payload", flat=True).get(pk=cluster.pk)
    return read_cluster(body, remote_id=cluster.remote_id, now=timezone.now())


def _describe_volumes(
    volumes: tuple[VolumeLine, ...],
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names of the volumes that go, stay, and those of which that is not told. One query."""
    pks = [line.resource.pk for line in volumes if line.resource is not None]
    mirrored = list(Resource.objects.filter(pk__in=pks).only("name", "payload").order_by("name"))
    goes, stays, untold = charges.describe_cluster_deletion(mirrored)
    return goes, stays, (*untold, *(line.name for line in volumes if line.resource is None))
