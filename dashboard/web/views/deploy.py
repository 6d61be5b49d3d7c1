"""The deploy wizard: choose a model, say how it runs, read what it will cost, create.

One address; the query holds every value until the last step, so that Back, reload and a link keep them and nothing
needs JavaScript. Only the last step's POST asks for anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import User
from dashboard.lifecycle import deploys
from dashboard.lifecycle.errors import ActionError, KeyReusedError
from dashboard.mirror.deprecations import load_deprecations
from dashboard.mirror.models import Endpoint, Project
from dashboard.mirror.offers import DeployableModel, HardwareOffer, find_model, list_offers
from dashboard.web.budgets import guards
from dashboard.web.deploy import choices
from dashboard.web.deploy.forms import NEW, DeployForm
from dashboard.web.deploy.plan import Plan, describe_room, estimate_use, read_plan
from dashboard.web.forms import ActForm, SearchForm
from dashboard.web.htmx import is_partial, render_page
from dashboard.web.labels import shorten_hardware
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

REFUSED = 422
REVIEW = "review"
# What the last step sends that is no value of the deployment.
_NO_VALUES = frozenset({"csrfmiddlewaretoken", "key", "step", "q", guards.FIELD})


@dataclass(frozen=True, slots=True)
class Setting:
    """What one request of the wizard is about: where, which model, on what."""

    data: Mapping[str, Any]
    projects: list[Project]
    project: Project
    model: DeployableModel
    offers: list[HardwareOffer]


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A line of the hardware table; `rooms` are (region, how much fits there in words)."""

    offer: HardwareOffer
    label: str
    rooms: tuple[tuple[str, str], ...]
    is_chosen: bool


def deploy(request: HttpRequest) -> HttpResponse:
    """Show the step that the address is at, or ask for the deployment."""
    user = take_snapshot(request).user
    data = request.POST if request.method == "POST" else request.GET
    projects = choices.list_projects(user)
    if not projects or not data.get("model"):
        return _choose_model(request, projects)
    setting = _read_setting(user, projects, data)
    if setting is None:
        return _choose_model(request, projects, missing=data["model"])
    form = _build_form(user, setting, is_proposed=request.method != "POST")
    if request.method == "POST":
        return _create(request, setting, form)
    if data.get("step") != REVIEW:
        return _configure(request, setting, form)
    return (
        _review(request, setting, form)
        if form.is_valid()
        else _configure(request, setting, form, status=REFUSED)
    )


def _read_setting(user: User, projects: list[Project], data: Mapping[str, Any]) -> Setting | None:
    """Return where and what is deployed; None when the organisation has no such model."""
    project = choices.pick_project(projects, data, user=user)
    model = find_model(project.connection, data["model"], user=user)
    if model is None:
        others = [one for one in projects if one.connection_id != project.connection_id]
        for other in others:
            if (model := find_model(other.connection, data["model"], user=user)) is not None:
                project = other
                break
        else:
            return None
    home = next((one for one in projects if one.pk == model.project_id), None)
    if home is not None and not data.get("project"):
        project = home
    return Setting(data, projects, project, model, list_offers(project.connection, model))


def _build_form(user: User, setting: Setting, *, is_proposed: bool) -> DeployForm:
    """Return the form with what was filled in, or, if `is_proposed`, with first values that are valid as they stand.

    What is to be made is never proposed: only what somebody has seen and sent may bill.
    """
    data, project = setting.data, setting.project
    endpoints = choices.list_endpoints(user, project, chosen=data.get("endpoint", ""))
    if is_proposed and choices.FILLED not in data:
        data = choices.propose_values(
            setting.model, setting.offers, project, data, taken={one.display_name for one in endpoints}
        )
    name = data.get("endpoint_name", "")
    same = Endpoint.objects.filter(project=project, display_name=name, absent_since=None)
    return DeployForm(
        data,
        projects=setting.projects,
        endpoints=endpoints,
        offers=setting.offers,
        is_name_taken=data.get("endpoint") == NEW and bool(name) and same.exists(),
    )


def _choose_model(request: HttpRequest, projects: list[Project], *, missing: str = "") -> HttpResponse:
    """Show the first step; `missing` is a model that was asked for and is not offered."""
    snapshot = take_snapshot(request)
    text = SearchForm(request.GET).read()
    deprecations = load_deprecations()
    connections = list({project.connection_id: project.connection for project in projects}.values())
    context = page_context(request, snapshot) | {
        "projects": projects,
        "query": text,
        "missing": missing,
        "missing_deprecation": deprecations.find(missing),
        "choices": choices.search_models(snapshot.user, connections, text, deprecations=deprecations),
        "kept": _keep(request.GET, without={"model", "q", "config"}),
    }
    return render_page(request, "deploy/choose.html", "deploy/_choose.html", context)


def _configure(
    request: HttpRequest, setting: Setting, form: DeployForm, *, status: int = 200
) -> HttpResponse:
    """Show the second step; to htmx its price alone, or the whole form when another project was chosen."""
    context = page_context(request, take_snapshot(request)) | _describe_setting(setting)
    context |= {"form": form, "plan": None, "rows": _list_offers(setting, form)}
    if form.is_valid():
        context |= _price(request, read_plan(form, model=setting.model))
    wants_price = is_partial(request) and request.headers.get("HX-Target", "").endswith("#deploy-price")
    fragment = "deploy/_price.html" if wants_price else "deploy/_configure.html"
    return render_page(request, "deploy/configure.html", fragment, context, status=status)


def _review(
    request: HttpRequest, setting: Setting, form: DeployForm, *, error: str = "", status: int = 200
) -> HttpResponse:
    """Show the last step: everything in words, with the form that asks for it."""
    plan = read_plan(form, model=setting.model)
    if guards.FIELD not in form.fields:
        guards.confirm(form, _find_guards(request, plan), verb="Deploy", is_sent=False)
    context = (
        page_context(request, take_snapshot(request))
        | _describe_setting(setting)
        | _price(request, plan)
        | {
            "form": form,
            "error": error,
            "key": ActForm.new_key(),
            "values": _keep(setting.data, without=set()),
            "back_url": f"{reverse('deploy')}?{_encode(setting.data)}",
        }
    )
    return render_page(request, "deploy/review.html", "deploy/_review.html", context, status=status)


def _find_guards(request: HttpRequest, plan: Plan) -> list[guards.Guard]:
    now = take_snapshot(request).now
    return guards.find_guards(plan.project, endpoint=plan.endpoint, now=now)


def _create(request: HttpRequest, setting: Setting, form: DeployForm) -> HttpResponse:
    """Ask for the deployment; what is refused shows the step that can mend it, with everything filled in."""
    key = ActForm(setting.data)
    if not form.is_valid():
        return _configure(request, setting, form, status=REFUSED)
    if not key.is_valid():
        return _review(request, setting, form, error="Look at it once more, then create it.")
    plan = read_plan(form, model=setting.model)
    reached = _find_guards(request, plan)
    if not guards.confirm(form, reached, verb="Deploy", is_sent=True):
        return _review(request, setting, form, status=REFUSED)
    try:
        made = deploys.request_deploy(
            plan.project,
            endpoint=plan.endpoint,
            endpoint_name=plan.endpoint_name,
            deployment_name=plan.deployment_name,
            model=plan.offer.path,
            config=plan.offer.config,
            min_replicas=plan.min_replicas,
            max_replicas=plan.max_replicas,
            autoscaling=plan.autoscaling or None,
            inactive_timeout=plan.inactive_timeout,
            max_concurrent=plan.max_concurrent,
            placement=plan.placement,
            weight=plan.weight or None,
            model_label=plan.model.name,
            hardware_label=plan.hardware_label,
            nano_usd_per_hour=plan.offer.nano_usd_per_hour,
            actor=actor_of(request),
            idempotency_key=key.read_key(),
            reason=guards.explain(reached),
        )
    except KeyReusedError as error:
        return _review(request, setting, form, error=error.sentence)
    except ActionError as error:
        form.add_error(error.field if error.field in form.fields else None, error.sentence)
        return _configure(request, setting, form, status=REFUSED)
    return redirect("action", made.action.public_id)


def _price(request: HttpRequest, plan: Plan) -> dict[str, Any]:
    use = None
    if plan.inactive_timeout:
        use = choices.load_use(take_snapshot(request), idle_minutes=plan.inactive_timeout)
    return {"plan": plan, "estimate": estimate_use(plan, use)}


def _describe_setting(setting: Setting) -> dict[str, Any]:
    deprecations = load_deprecations()
    model = setting.model
    return {
        "model": model,
        "deprecation": deprecations.find(model.name) or deprecations.find(model.base),
        "change_model_url": f"{reverse('deploy')}?{_encode(setting.data, without={'model', 'config'})}",
    }


def _list_offers(setting: Setting, form: DeployForm) -> list[OfferRow]:
    chosen = form["config"].value()
    return [
        OfferRow(
            offer=offer,
            label=shorten_hardware(offer.hardware),
            rooms=tuple((room.region, describe_room(room)) for room in offer.rooms),
            is_chosen=offer.key == chosen,
        )
        for offer in setting.offers
    ]


def _keep(data: Mapping[str, Any], *, without: set[str]) -> list[tuple[str, str]]:
    """Return the values that a link or a form has to carry on."""
    return [(name, data[name]) for name in data if name not in _NO_VALUES | without and data[name]]


def _encode(data: Mapping[str, Any], *, without: set[str] | None = None) -> str:
    return urlencode(_keep(data, without=without or set()))
