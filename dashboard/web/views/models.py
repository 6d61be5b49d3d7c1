"""Models: the organisation's own, the provider's catalogue, what is deprecated. Three lists under one head."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.models import Connection
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import project_filter
from dashboard.core import status
from dashboard.lifecycle.receipts import open_actions_of_projects
from dashboard.mirror.deprecations import load_deprecations
from dashboard.mirror.models import CatalogueModel, Resource, ResourceDocument, ResourceKind, SyncRun
from dashboard.mirror.offers import list_offers, read_offered
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.chips import Chip, build_query_url
from dashboard.web.deploy.plan import describe_room
from dashboard.web.forms import SearchForm
from dashboard.web.htmx import render_page
from dashboard.web.labels import shorten_hardware
from dashboard.web.models import catalogue, deprecated
from dashboard.web.models.documents import read_files, read_revisions
from dashboard.web.models.rows import build_model_rows
from dashboard.web.page import group_context
from dashboard.web.resources import bodies
from dashboard.web.resources.detail import build_frame, load_documents
from dashboard.web.resources.links import list_serving, names_of_model
from dashboard.web.resources.listing import TEAM_FACET, Column, FacetSpec, ListSpec, show_list
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.totals import StatusChoice
from dashboard.web.snapshot import Snapshot, take_snapshot

ROWS_PER_PAGE = 50
Run = SyncRun.Resource
Name = ResourceDocument.Name

SPEC = ListSpec(
    route="models",
    title="Models",
    noun="model",
    pretitle="Your own, fine-tuned and uploaded",
    placeholder="Name, id, base or team",
    icon="model",
    kinds=(ResourceKind.MODEL,),
    groups=(Run.MODELS, Run.UPLOADS),
    columns=(
        Column("Model", "models/cells/_name.html", sort="name", place="name"),
        Column("State", "resources/cells/_state.html", width="ui-w-140", sort="status", place="state"),
        Column("Made by", "models/cells/_maker.html", width="ui-w-200", css="ui-col-hw"),
        Column("Served by", "models/cells/_serving.html", width="ui-w-200", place="ev"),
        Column("", "models/cells/_act.html", width="ui-w-110", place="act"),
    ),
    choices=(
        StatusChoice("ready", "Ready", (status.AVAILABLE.value,)),
        StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
    ),
    facets=(TEAM_FACET, FacetSpec("variety", "Weights")),
    default_sort="name",
    empty_text="No fine-tune has left a model and none was uploaded, or your teams own none.",
    page_template="models/page.html",
    build_rows=build_model_rows,
)


def list_models(request: HttpRequest) -> HttpResponse:
    """Show the organisation's own models, with the imports under way."""
    return show_list(
        request, SPEC, extra=lambda snapshot: _describe_tabs(snapshot, "mine") | _list_imports(snapshot)
    )


def list_catalogue(request: HttpRequest) -> HttpResponse:
    """Show what the provider offers, with its prices."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        text, use, sort = _read_filter(request)
        connections = _connections(snapshot)
        rows = catalogue.load_catalogue(connections, text, deprecations=load_deprecations())
        shown = [row for row in rows if not use or catalogue.CHOICES[use][1](row)]
        page = Paginator(catalogue.sort_catalogue(shown, sort), ROWS_PER_PAGE).get_page(
            request.GET.get("page")
        )
        context = group_context(request, snapshot, (Run.CATALOGUE,)) | _describe_tabs(snapshot, "catalogue")
        context |= {
            "page": page,
            "query": text,
            "use": use,
            "sort": sort,
            "chips": [
                Chip("All", _url(q=text, sort=sort), len(rows), is_current=not use),
                *(
                    Chip(
                        label,
                        _url(q=text, sort=sort, use=value),
                        sum(1 for row in rows if holds(row)),
                        is_current=use == value,
                    )
                    for value, (label, holds) in catalogue.CHOICES.items()
                ),
            ],
        }
        return render_page(request, "models/catalogue.html", "models/_catalogue.html", context)


def list_deprecations(request: HttpRequest) -> HttpResponse:
    """Show what is going and gone, what replaces it, and which endpoints serve it."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        known = load_deprecations()
        serving = deprecated.load_serving(snapshot.user, known)
        rows = deprecated.build_rows(known, serving, today=snapshot.now.date())
        text = SearchForm(request.GET).read()
        words = text.lower().split()
        found = [row for row in rows if all(word in row.deprecation.model.lower() for word in words)]
        page = Paginator(found, ROWS_PER_PAGE).get_page(request.GET.get("page"))
        in_use = [row for row in rows if row.serving]
        context = group_context(request, snapshot, (Run.CATALOGUE,)) | _describe_tabs(
            snapshot, "deprecations"
        )
        context |= {
            "page": page,
            "query": text,
            "in_use": in_use,
            "suggestions": _suggest(in_use),
            "may_manage": user_may(snapshot.user, Right.MANAGE_DEPRECATIONS),
        }
        return render_page(request, "models/deprecations.html", "models/_deprecations.html", context)


def show_model(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one own model, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        resource = find_resource(request, pk, kinds=(ResourceKind.MODEL,))
        body: dict[str, Any] = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(
            request, snapshot, resource, parent=("Models", reverse("models")), groups=(Run.UPLOADS,)
        )
        model = build_model_rows([resource], user=snapshot.user, now=snapshot.now)[0]
        documents = load_documents(resource, Name.FILES, Name.REVISIONS)
        weights = bodies.part_of(body, "weights")
        context = frame.context | {
            "fragment": "models/_model.html",
            "has_chart": False,
            "model": model,
            "description": bodies.text_of(body, "description"),
            "architecture": bodies.text_of(weights, "architecture"),
            "context_length": bodies.number_of(weights, "contextLength", "context_length"),
            "files": read_files(documents.get(Name.FILES)),
            "revisions": read_revisions(documents.get(Name.REVISIONS)),
            "serving": list_serving(
                snapshot.user, names_of_model(resource), connection_id=resource.connection_id
            ),
            "deprecation": model.deprecation,
            "may_delete": frame.may_act and user_may(snapshot.user, Right.OPERATE_EVERYWHERE),
        }
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)


def show_offered(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one model of the catalogue: what it is, what it costs on which hardware, who serves it."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        connections = _connections(snapshot)
        row = (
            CatalogueModel.objects.filter(connection__in=connections, pk=pk)
            .select_related("connection")
            .first()
        )
        if row is None:
            raise Http404("no such model in the catalogue of your connections")
        known = load_deprecations()
        merged = catalogue.load_catalogue([row.connection], row.name, deprecations=known)
        facts = next((one for one in merged if one.name == row.name), None)
        model = read_offered(row) if row.is_dedicated else None
        offers = list_offers(row.connection, model) if model else []
        ids = model.reference_ids if model else ()
        deprecation = known.find(row.name)
        context = group_context(request, snapshot, (Run.CATALOGUE,)) | {
            "row": row,
            "facts": facts,
            "offers": [
                (
                    offer,
                    shorten_hardware(offer.hardware),
                    [(room.region, describe_room(room)) for room in offer.rooms],
                )
                for offer in offers
            ],
            "serving": list_serving(snapshot.user, (row.name, *ids), connection_id=row.connection_id),
            "derived": _list_derived(snapshot, row, ids),
            "deprecation": deprecation,
            "suggestion": deprecated.suggest(deprecation, deprecated.load_candidates())
            if deprecation
            else "",
        }
        return render_page(request, "models/offered.html", "models/_offered.html", context)


def _list_derived(snapshot: Snapshot, row: CatalogueModel, ids: tuple[str, ...]) -> list[Resource]:
    """Return own models and jobs that start from the model, newest first. One query."""
    names = [row.name, *ids]
    found = Resource.objects.filter(
        project_filter(snapshot.user, path="project__"),
        connection_id=row.connection_id,
        absent_since=None,
        links__relation__in=("base", "model"),
        links__target__in=names,
    )
    return list(found.defer("payload", "fingerprint").order_by("-remote_created_at", "-pk").distinct()[:20])


def _connections(snapshot: Snapshot) -> list[Connection]:
    """Return the enabled connections behind what the person sees. One query."""
    ids = [one.connection_id for one in snapshot.freshness.connections]
    return list(Connection.objects.filter(pk__in=ids))


def _describe_tabs(snapshot: Snapshot, tab: str) -> dict[str, Any]:
    return {
        "tab": tab,
        "tabs": (
            ("mine", "Mine", reverse("models")),
            ("catalogue", "Catalogue", reverse("models_catalogue")),
            ("deprecations", "Deprecations", reverse("models_deprecations")),
        ),
        "may_create": user_may(snapshot.user, Right.OPERATE),
    }


def _list_imports(snapshot: Snapshot) -> dict[str, Any]:
    """Return the imports that were asked for here and have no row of their own yet. One query."""
    visible = project_filter(snapshot.user, path="project__")
    acts = open_actions_of_projects(visible, now=snapshot.now)
    return {"imports": [act for act in acts if act.kind == "upload"]}


def _read_filter(request: HttpRequest) -> tuple[str, str, str]:
    text = SearchForm(request.GET).read()
    use, sort = request.GET.get("use", ""), request.GET.get("sort", "")
    return (
        text,
        use if use in catalogue.CHOICES else "",
        sort if sort in catalogue.SORTS else catalogue.DEFAULT_SORT,
    )


def _url(**values: str) -> str:
    return build_query_url(reverse("models_catalogue"), values, leave_out={"sort": catalogue.DEFAULT_SORT})


def _suggest(rows: list[deprecated.DeprecatedRow]) -> dict[str, str]:
    """Return by model our suggestion for those in use without a named replacement. Two queries, and one per model."""
    open_rows = [row for row in rows if not row.deprecation.replacement]
    candidates = deprecated.load_candidates() if open_rows else []
    return {row.deprecation.model: deprecated.suggest(row.deprecation, candidates) for row in open_rows}
