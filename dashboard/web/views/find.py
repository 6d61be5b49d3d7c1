"""The palette: pages, endpoints, deployments and every other resource, by name or id."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.models import User
from dashboard.accounts.permissions import find_route, user_may
from dashboard.core import status
from dashboard.core.resource_states import JOB_KINDS
from dashboard.mirror.models import ResourceKind
from dashboard.mirror.querysets import (
    MOST_SEARCH_WORDS,
    present,
    search_endpoints,
    visible_deployments,
    visible_endpoints,
)
from dashboard.mirror.resource_querysets import find_by_name
from dashboard.web.forms import SearchForm
from dashboard.web.htmx import render_page
from dashboard.web.nav import FindGroup, FindResult
from dashboard.web.resources.addresses import address_of_resource, icon_of
from dashboard.web.resources.rows import load_upload_names, status_of

MOST_HITS = 8
# (words, route, icon); only those that the person's role may open are offered.
_PAGES = (
    ("Overview", "overview", "overview"),
    ("Endpoints", "endpoints", "endpoints"),
    ("Jobs: fine-tunes, batches, evaluations, uploads", "jobs", "job"),
    ("Models", "models", "model"),
    ("Files", "files", "file"),
    ("GPU clusters", "clusters", "cluster"),
    ("Shared volumes", "volumes", "volume"),
    ("Containers", "containers", "container"),
    ("RL training", "rl", "rl"),
    ("Deploy a model", "deploy", "play"),
    ("Activity", "activity", "activity"),
    ("Settings: you and your sessions", "settings_you", "user"),
    ("Settings: connections and API keys", "settings_connections", "plug"),
    ("Settings: users", "settings_users", "users"),
    ("Settings: teams and projects", "settings_teams", "users"),
    ("Settings: health", "settings_health", "activity"),
)
# Heads of the palette and the kinds under them.
_RESOURCES = (
    ("Jobs", JOB_KINDS),
    ("Models", (ResourceKind.MODEL,)),
    ("Clusters", (ResourceKind.CLUSTER,)),
    ("Volumes", (ResourceKind.VOLUME,)),
    ("Containers", (ResourceKind.CONTAINER,)),
    ("RL training", (ResourceKind.RL_RESOURCE, ResourceKind.RL_SESSION)),
    ("Files", (ResourceKind.FILE,)),
)


def find(request: HttpRequest) -> HttpResponse:
    """Answer the palette, or show the same hits as a page."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    query = " ".join(SearchForm(request.GET).read().split())
    groups = [
        FindGroup("Endpoints", find_endpoints(request.user, query)) if query else None,
        FindGroup("Deployments", find_deployments(request.user, query)) if query else None,
        *(find_resources(request.user, query) if query else ()),
        FindGroup("Pages", find_pages(request.user, query)),
    ]
    context = {"groups": [group for group in groups if group and group.results], "query": query}
    return render_page(request, "endpoints/find.html", "components/_find_results.html", context)


def find_pages(user: User, query: str) -> tuple[FindResult, ...]:
    """Return the pages whose words hold every word of the query and that the role may open. No query."""
    words = query.lower().split()
    hits = []
    for label, name, icon in _PAGES:
        route = find_route(name)
        if route is None or (route.right is not None and not user_may(user, route.right)):
            continue
        if all(word in label.lower() for word in words):
            hits.append(FindResult(label, reverse(name), icon))
    return tuple(hits)


def find_endpoints(user: User, query: str) -> tuple[FindResult, ...]:
    """Return the dearest endpoints that match. One query."""
    rows = search_endpoints(present(visible_endpoints(user)), query).order_by(
        "-burn_high", "display_name", "id"
    )
    return tuple(
        FindResult(
            row.display_name,
            reverse("endpoint", args=[row.pk]),
            "endpoints",
            detail=status.read_value(row.status).word,
        )
        for row in rows[:MOST_HITS]
    )


def find_deployments(user: User, query: str) -> tuple[FindResult, ...]:
    """Return deployments whose own name matches and is not their endpoint's. One query."""
    rows = present(visible_deployments(user)).select_related("endpoint").defer("payload", "endpoint__payload")
    for word in query.split()[:MOST_SEARCH_WORDS]:
        rows = rows.filter(name__icontains=word)
    return tuple(
        FindResult(
            row.name,
            f"{reverse('endpoint', args=[row.endpoint_id])}#deployments",
            "chip",
            detail=f"of {row.endpoint.display_name}",
        )
        for row in rows.exclude(generation="v1").order_by("name", "id")[:MOST_HITS]
    )


def find_resources(user: User, query: str) -> tuple[FindGroup, ...]:
    """Return the newest resources of each kind whose name or id matches and that have a page. Two queries at most."""
    rows = find_by_name(user, query, limit=MOST_HITS)
    names = load_upload_names(rows)
    hits: dict[str, list[FindResult]] = {}
    for row in rows:
        url = address_of_resource(row)
        if url:
            name = names.get(row.pk, row.name)
            detail = f"{row.get_kind_display()}, {status_of(row).word.lower()}"
            hits.setdefault(row.kind, []).append(FindResult(name, url, icon_of(row.kind), detail=detail))
    return tuple(
        FindGroup(label, tuple(hit for kind in kinds for hit in hits.get(kind, ()))[:MOST_HITS])
        for label, kinds in _RESOURCES
    )
