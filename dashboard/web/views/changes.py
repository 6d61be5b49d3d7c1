"""Changes of what runs: autoscaling and timer of a deployment, traffic split of an endpoint.

A view checks rights, asks lifecycle.changes, and renders. Nothing here talks to the provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from dashboard.accounts.audit import actor_of
from dashboard.core import status
from dashboard.lifecycle import changes, wants
from dashboard.lifecycle.errors import ActionError
from dashboard.mirror.models import Deployment, Endpoint
from dashboard.web.budgets.guards import confirm, explain, find_guards, is_growth
from dashboard.web.deploy.change_forms import ConfigureForm, SplitForm, propose_settings
from dashboard.web.deploy.plan import measure_share, read_split
from dashboard.web.forms import ActForm
from dashboard.web.htmx import render_dialog
from dashboard.web.targets import Target, find_operable_endpoint, load_targets
from dashboard.web.views.actions import CONFLICT, REFUSED, finish_act

# What neither runs nor will: there is nothing to set but the timer and the concurrency.
_GONE_FOR_GOOD = (status.FAILED,)


def configure_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask how a deployment scales and when the provider stops it by itself, and ask for the change."""
    endpoint = find_operable_endpoint(request, pk)
    target = load_targets([endpoint], now=timezone.now(), deployment_id=request.GET.get("deployment", ""))[0]
    fitting = [one for one in target.concerned if status.read_state(one.state) not in _GONE_FOR_GOOD]
    if not fitting:
        return _refuse(request, target, title="Nothing to set", reason="It has no deployment that could run.")
    chosen = _pick(fitting, request.POST.get("deployment", ""))
    runs = chosen in target.running
    if request.method != "POST":
        form = ConfigureForm(
            initial=propose_settings(chosen), deployments=fitting, is_v1=target.is_v1, has_bounds=runs
        )
        return _show_settings(request, target, form, chosen)
    form = ConfigureForm(
        request.POST,
        initial=propose_settings(chosen),
        deployments=fitting,
        is_v1=target.is_v1,
        has_bounds=runs,
    )
    if not form.is_valid():
        return _show_settings(request, target, form, chosen, status_code=REFUSED)
    wanted = form.read_changes()
    if wanted.is_empty:
        form.add_error(None, "Nothing differs from what it has.")
        return _show_settings(request, target, form, chosen, status_code=REFUSED)
    guards = []
    bounds = wanted.autoscaling
    if is_growth(chosen, low=bounds.get(wants.MIN_REPLICAS), high=bounds.get(wants.MAX_REPLICAS)):
        guards = find_guards(endpoint.project, endpoint=endpoint, now=timezone.now())
    if not confirm(form, guards, verb="Scale", is_sent=True):
        return _show_settings(request, target, form, chosen, status_code=REFUSED)
    try:
        made = changes.request_configure(
            chosen,
            autoscaling=wanted.autoscaling or None,
            inactive_timeout=wanted.inactive_timeout,
            max_concurrent=wanted.max_concurrent,
            actor=actor_of(request),
            idempotency_key=form.read_key(),
            reason=explain(guards),
        )
    except ActionError as error:
        form.add_error(_own_field(form, error), error.sentence)
        code = REFUSED if error.field else CONFLICT
        return _show_settings(request, target, form, chosen, status_code=code)
    return finish_act(request, [made], verb="Change", name=target.name)


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A deployment in the split editor; `share` is what its weight means, `seen_share` what the provider tells."""

    deployment: Deployment
    field: object
    share: float | None
    seen_share: float | None
    status: status.Status

    @property
    def share_words(self) -> str:
        """Return ``67%``."""
        return "none" if not self.share else f"{self.share:.0%}"


def split_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the weights of an endpoint's deployments with what they mean, and ask for others."""
    endpoint = find_operable_endpoint(request, pk)
    target = load_targets([endpoint], now=timezone.now())[0]
    if target.is_v1 or not target.deployments:
        reason = "A v1 endpoint is its one deployment." if target.is_v1 else "It has no deployment."
        return _refuse(request, target, title="No traffic to split", reason=reason)
    present = _read_weights(endpoint, target.deployments)
    form = SplitForm(request.POST or None, deployments=target.deployments, present=present)
    if request.method != "POST":
        return _show_split(request, target, form)
    if not form.is_valid():
        return _show_split(request, target, form, status_code=REFUSED)
    weights = form.read_weights()
    if weights == {pk: weight for pk, weight in present.items() if weight}:
        form.add_error(None, "Nothing differs from what it has.")
        return _show_split(request, target, form, status_code=REFUSED)
    try:
        made = changes.request_split(
            endpoint, weights=weights, actor=actor_of(request), idempotency_key=form.read_key()
        )
    except ActionError as error:
        form.add_error(None, error.sentence)
        return _show_split(request, target, form, status_code=REFUSED if error.field else CONFLICT)
    return finish_act(request, [made], verb="Traffic split", name=endpoint.display_name)


def _pick(fitting: Sequence[Deployment], wanted: str) -> Deployment:
    return next((one for one in fitting if str(one.pk) == wanted), fitting[0])


def _own_field(form: ConfigureForm, error: ActionError) -> str | None:
    field = "metric" if error.field == "scaling_metrics" else error.field
    return field if field in form.fields else None


def _read_weights(endpoint: Endpoint, deployments: Sequence[Deployment]) -> dict[int, float]:
    """Return weight by deployment as the provider last told it, zero for what is not in the split. One query."""
    payload = Endpoint.objects.values_list("payload", flat=True).get(pk=endpoint.pk)
    told = dict(read_split(payload))
    return {one.pk: told.get(one.remote_id, 0.0) for one in deployments}


def _show_settings(
    request: HttpRequest,
    target: Target,
    form: ConfigureForm,
    chosen: Deployment,
    *,
    status_code: int = 200,
) -> HttpResponse:
    context = _context(request, target) | {
        "form": form,
        "deployment": chosen,
        "is_several": len(target.concerned) > 1,
        "is_safe": True,
        "cancel_label": "Leave as it is",
    }
    return render_dialog(request, "actions/_configure.html", context, title="Settings", status=status_code)


def _show_split(
    request: HttpRequest, target: Target, form: SplitForm, *, status_code: int = 200
) -> HttpResponse:
    weights = form.current_weights()
    total = sum(weights.values())
    rows = [
        SplitRow(
            deployment=one,
            field=form[form.name_of(one)],
            share=measure_share(weights[one.pk], beside=[total - weights[one.pk]]),
            seen_share=one.traffic_share,
            status=status.read_state(one.state),
        )
        for one in target.deployments
    ]
    context = _context(request, target) | {
        "form": form,
        "rows": rows,
        "total": total,
        "is_safe": True,
        "cancel_label": "Leave as it is",
    }
    return render_dialog(request, "actions/_split.html", context, title="Traffic split", status=status_code)


def _context(request: HttpRequest, target: Target) -> dict[str, object]:
    return {
        "target": target,
        "key": request.POST.get("key") or ActForm.new_key(),
        "action": request.get_full_path(),
        "cancel_url": reverse("endpoint", args=[target.endpoint.pk]),
    }


def _refuse(request: HttpRequest, target: Target, *, title: str, reason: str) -> HttpResponse:
    context = _context(request, target) | {"title": title, "reason": reason}
    code = CONFLICT if request.method == "POST" else 200
    return render_dialog(request, "actions/_nothing.html", context, title=title, status=code)
