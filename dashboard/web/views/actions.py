"""Acts: the confirmation that names what it costs (GET), the wish (POST), the receipt.

A view checks rights, asks lifecycle.actions, and renders. Nothing here talks to the provider.
"""

import uuid
from collections.abc import Callable, Sequence

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import User
from dashboard.accounts.visibility import may_operate, project_filter
from dashboard.core import status
from dashboard.lifecycle import actions
from dashboard.lifecycle.errors import ActionError
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.receipts import read_receipt
from dashboard.lifecycle.wishes import Requested
from dashboard.mirror.models import Deployment, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.budgets.guards import confirm, explain, find_guards, is_growth
from dashboard.web.forms import ActForm, ReplicasForm
from dashboard.web.htmx import Toast, finish_dialog, is_partial, render_dialog, render_page
from dashboard.web.page import group_context, page_context
from dashboard.web.resources.addresses import address_of
from dashboard.web.rows import may_start
from dashboard.web.snapshot import take_snapshot
from dashboard.web.targets import (
    Target,
    add_targets,
    address_on_v2,
    find_operable_endpoint,
    find_operable_endpoints,
    load_targets,
    recall_bounds,
)

REFUSED, CONFLICT = 422, 409


def stop_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and ask for a stop of the endpoint, or of the deployment that ``?deployment=`` names."""
    endpoint = find_operable_endpoint(request, pk)
    deployment_id = _read_deployment_id(request)
    target = load_targets([endpoint], now=timezone.now(), deployment_id=deployment_id)[0]
    if request.method != "POST":
        if not target.running:
            return _refuse(request, target, title="Nothing to stop", reason=_describe_states(target))
        return _confirm_stop(request, [target], action=request.get_full_path())
    form = ActForm(request.POST)
    if not form.is_valid():
        return _confirm_stop(request, [target], action=request.get_full_path(), error="Open the form again.")
    try:
        made = _ask_stop(request, target, key=form.read_key())
    except ActionError as error:
        return _confirm_stop(request, [target], action=request.get_full_path(), error=error.sentence)
    return finish_act(request, made, verb="Stop", name=target.name)


def stop_endpoints(request: HttpRequest) -> HttpResponse:
    """Confirm and ask for a stop of the selected endpoints; what cannot be stopped is named and left out."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    chosen = (request.POST if request.method == "POST" else request.GET).getlist("endpoint")
    endpoints = find_operable_endpoints(request.user, chosen)
    targets = load_targets(endpoints, now=timezone.now())
    left_out = len(set(chosen)) - len(targets)
    action = reverse("endpoints_stop")
    if request.method != "POST":
        running = [target for target in targets if target.running]
        left_out += len(targets) - len(running)
        if len(running) == 1:
            # One row lists its deployments and carries no selection: its own address says which it is.
            action = reverse("endpoint_stop", args=[running[0].endpoint.pk])
        return _confirm_stop(request, running, action=action, left_out=left_out)
    form = ActForm(request.POST)
    if not form.is_valid() or not targets:
        return _confirm_stop(
            request, targets, action=action, left_out=left_out, error="Nothing was selected."
        )
    made: list[Requested] = []
    refusals: list[str] = []
    for target in targets:
        try:
            made += _ask_stop(request, target, key=f"{form.read_key()}:{target.endpoint.pk}")
        except ActionError as error:
            refusals.append(error.sentence)
    if not made:
        return _confirm_stop(request, targets, action=action, left_out=left_out, error=" ".join(refusals))
    return finish_act(
        request,
        made,
        verb="Stop",
        name=f"{len(targets) - len(refusals)} endpoints",
        trouble=" ".join(refusals),
    )


def start_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask with how many replicas, say what an hour costs, and ask for a start."""
    startable = (status.STOPPED, status.STOPPING)
    return _act_on_replicas(
        request, pk, verb="Start", fits=lambda found: found in startable, ask=actions.request_start
    )


def scale_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for other bounds of something that runs."""
    resting = (status.STOPPED, status.STOPPING, status.FAILED)
    return _act_on_replicas(
        request, pk, verb="Scale", fits=lambda found: found not in resting, ask=actions.request_scale
    )


def delete_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and ask for a deletion; what still runs is stopped first, and the confirmation lists every step.

    Only the form that said so asks for it in order: what was started since another one was opened is not stopped.
    """
    endpoint = find_operable_endpoint(request, pk)
    target = load_targets([endpoint], now=timezone.now(), deployment_id=_read_deployment_id(request))[0]
    form = ActForm(request.POST or None)
    error = ""
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.request_delete(
                target.deployment or endpoint,
                in_order=request.POST.get("in_order") == "1",
                actor=actor_of(request),
                idempotency_key=form.read_key(),
            )
        except ActionError as refusal:
            error = refusal.sentence
        else:
            return finish_act(request, [made], verb="Delete", name=target.name)
    context = _dialog_context(request, target) | {"error": error, "cancel_label": "Keep it"}
    return render_dialog(
        request, "actions/_confirm_delete.html", context, title="Delete", status=CONFLICT if error else 200
    )


def show_action(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show the receipt of an act: every state and time from the wish to the proof."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        visible = project_filter(snapshot.user, path="project__")
        try:
            receipt = read_receipt(public_id, now=snapshot.now, visible=visible)
        except StopAction.DoesNotExist as error:
            raise Http404("no such act, or not one of your teams'") from error
        team_id = StopAction.objects.values_list("project__team_id", flat=True).get(public_id=public_id)
        context = page_context(request, snapshot) | {
            "receipt": receipt,
            "about_url": address_of(receipt.resource_kind, receipt.resource_id)
            if receipt.resource_id is not None
            else "",
            "undo_url": reverse("action_undo", args=[public_id]) if receipt.may_be_undone else "",
            "may_act": may_operate(snapshot.user, team_id=team_id),
        }
        return render_page(request, "actions/page.html", "actions/_receipt.html", context)


def send_again(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Bring the next attempt of an open act forward to now."""
    return _change_action(request, public_id, change=actions.send_again, done="Sending again")


def cancel_action(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take an act back before it is sent."""
    return _change_action(request, public_id, change=actions.cancel_action, done="Taken back")


def _change_action(
    request: HttpRequest, public_id: uuid.UUID, *, change: Callable[..., StopAction], done: str
) -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    visible = StopAction.objects.filter(project_filter(request.user, path="project__"))
    action = get_object_or_404(visible.select_related("project"), public_id=public_id)
    if not may_operate(request.user, team_id=action.project.team_id if action.project else None):
        raise PermissionDenied(f"{action.title} belongs to another team")
    url = reverse("action", args=[public_id])
    try:
        change(action, actor=actor_of(request))
    except ActionError as error:
        toast = Toast("Nothing was changed", detail=error.sentence, tone="quiet", links=(("Receipt", url),))
    else:
        toast = Toast(done, detail=f"{action.number}, {action.title}", links=(("Receipt", url),))
    return finish_dialog(request, redirect_to=url, toasts=[toast])


def _act_on_replicas(
    request: HttpRequest,
    pk: int,
    *,
    verb: str,
    fits: Callable[[status.Status], bool],
    ask: Callable[..., Requested],
) -> HttpResponse:
    endpoint = find_operable_endpoint(request, pk)
    target = load_targets([endpoint], now=timezone.now(), deployment_id=_read_deployment_id(request))[0]
    if verb == "Start" and not may_start(endpoint):
        return _refuse_v1_start(request, target)
    fitting = [one for one in target.concerned if fits(status.read_state(one.state))]
    if not fitting:
        return _refuse(request, target, title=f"Nothing to {verb.lower()}", reason=_describe_states(target))
    is_sent = request.method == "POST"
    if not is_sent:
        form = ReplicasForm(initial=_propose(fitting[0], verb=verb), deployments=fitting)
    else:
        form = ReplicasForm(request.POST, deployments=fitting)
    is_valid = form.is_valid()
    deployment = (
        next(one for one in fitting if one.pk == form.cleaned_data["deployment"]) if is_valid else None
    )
    guards = []
    if verb == "Start" or (deployment is not None and _grows(deployment, form)):
        guards = find_guards(endpoint.project, endpoint=endpoint, now=timezone.now())
    is_confirmed = confirm(form, guards, verb=verb, is_sent=is_sent)
    if not is_sent:
        return _show_replicas(request, target, form, verb=verb)
    if deployment is None or not is_confirmed:
        return _show_replicas(request, target, form, verb=verb, status_code=REFUSED)
    try:
        made = ask(
            deployment,
            min_replicas=form.cleaned_data["min_replicas"],
            max_replicas=form.cleaned_data["max_replicas"],
            actor=actor_of(request),
            idempotency_key=form.read_key(),
            reason=explain(guards),
        )
    except ActionError as error:
        form.add_error(error.field or None, error.sentence)
        code = REFUSED if error.field else CONFLICT
        return _show_replicas(request, target, form, verb=verb, status_code=code)
    return finish_act(request, [made], verb=verb, name=target.name)


def _grows(deployment: Deployment, form: ReplicasForm) -> bool:
    low, high = form.cleaned_data["min_replicas"], form.cleaned_data["max_replicas"]
    return is_growth(deployment, low=low, high=high)


def _ask_stop(request: HttpRequest, target: Target, *, key: str) -> list[Requested]:
    actor = actor_of(request)
    if target.deployment is not None:
        return [actions.request_stop(target.deployment, actor=actor, idempotency_key=key)]
    return actions.request_stop_of_endpoint(target.endpoint, actor=actor, idempotency_key=key)


def _propose(deployment: Deployment, *, verb: str) -> dict[str, object]:
    low, high = recall_bounds(deployment) if verb == "Start" else _present_bounds(deployment)
    return {
        "deployment": deployment.pk,
        "min_replicas": low,
        "max_replicas": high,
        "key": ActForm.new_key(),
    }


def _present_bounds(deployment: Deployment) -> tuple[int, int]:
    low = max(1, deployment.min_replicas or 1)
    return low, max(low, deployment.max_replicas or low)


def _read_deployment_id(request: HttpRequest) -> str:
    return request.GET.get("deployment", "")


def _describe_states(target: Target) -> str:
    if not target.concerned:
        return "It has no deployment."
    words = ", ".join(
        f"{one.name} is {status.read_state(one.state).word.lower()}" for one in target.concerned
    )
    return f"{words}."


def _dialog_context(request: HttpRequest, target: Target) -> dict[str, object]:
    return {
        "target": target,
        "key": request.POST.get("key") or ActForm.new_key(),
        "action": request.get_full_path(),
        "cancel_url": reverse("endpoint", args=[target.endpoint.pk]),
    }


def _confirm_stop(
    request: HttpRequest, targets: Sequence[Target], *, action: str, left_out: int = 0, error: str = ""
) -> HttpResponse:
    single = targets[0] if len(targets) == 1 else None
    context = {
        "targets": targets,
        "single": single,
        "burn": add_targets(targets),
        "has_v1": any(target.is_v1 for target in targets),
        "in_use": [target for target in targets if target.requests_per_minute],
        "left_out": left_out,
        "error": error,
        "key": request.POST.get("key") or ActForm.new_key(),
        "action": action,
        "cancel_url": reverse("endpoint", args=[single.endpoint.pk]) if single else reverse("endpoints"),
    }
    fragment = "actions/_confirm_stop.html" if targets else "actions/_nothing.html"
    return render_dialog(request, fragment, context, title="Stop", status=CONFLICT if error else 200)


def _refuse(request: HttpRequest, target: Target, *, title: str, reason: str) -> HttpResponse:
    context = _dialog_context(request, target) | {"title": title, "reason": reason}
    code = CONFLICT if request.method == "POST" else 200
    return render_dialog(request, "actions/_nothing.html", context, title=title, status=code)


def _refuse_v1_start(request: HttpRequest, target: Target) -> HttpResponse:
    """Say that the provider refuses every start of a v1 endpoint (contract 4), and lead to the same thing on v2."""
    reason = (
        "The provider no longer starts v1 endpoints (403, endpoints_v1_create_access_disabled): once stopped, one stays"
        " stopped. The same model can be deployed on v2, with the same bounds."
    )
    context = _dialog_context(request, target) | {
        "title": "v1 endpoints cannot be started again",
        "reason": reason,
        "onward_url": address_on_v2(target.endpoint, target.concerned),
        "onward_label": "Deploy it on v2",
    }
    code = CONFLICT if request.method == "POST" else 200
    return render_dialog(request, "actions/_nothing.html", context, title="Start", status=code)


def _show_replicas(
    request: HttpRequest, target: Target, form: ReplicasForm, *, verb: str, status_code: int = 200
) -> HttpResponse:
    context = _dialog_context(request, target) | {
        "form": form,
        "verb": verb,
        "is_safe": True,
        "cancel_label": "Leave it stopped" if verb == "Start" else "Leave as it is",
    }
    return render_dialog(request, "actions/_replicas.html", context, title=verb, status=status_code)


def finish_act(
    request: HttpRequest,
    made: Sequence[Requested],
    *,
    verb: str,
    name: str,
    trouble: str = "",
    groups: Sequence[SyncRun.Resource] = (),
) -> HttpResponse:
    """Say what was asked for, and let the page wait for it; `groups` are those whose age that page shows."""
    first = made[0]
    url = reverse("action", args=[first.action.public_id])
    back = url if len(made) == 1 else reverse("endpoints")
    if any(one.created for one in made):
        title, detail = (
            f"{verb} requested: {name}",
            "Sent within seconds; done when the provider's state shows it.",
        )
    else:
        title, detail = f"{verb} of {name} is under way already", "This adds nothing to it."
    links = (("Progress", url),) if len(made) == 1 else ()
    toast = Toast(title, detail=f"{detail} {trouble}".strip(), tone="quiet", links=links)
    response = finish_dialog(request, redirect_to=back, toasts=[toast])
    if not is_partial(request):
        return redirect(back)
    context = group_context(request, take_snapshot(request), groups)
    context |= {"is_refresh": True, "is_partial": True}
    response.write(render_to_string("overview/_notices.html", context, request))
    return response
