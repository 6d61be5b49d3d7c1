"""What the person may choose in the deploy wizard: projects, endpoints, models. Queries are named."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from billing.typical_use import TypicalUse, measure_use
from dashboard.accounts.models import Connection, User
from dashboard.accounts.visibility import operable_team_ids
from dashboard.core import status
from dashboard.mirror.deprecation_hints import Deprecation, DeprecationList
from dashboard.mirror.models import Endpoint, Generation, Project
from dashboard.mirror.offers import (
    DeployableModel,
    HardwareOffer,
    load_bases,
    load_cheapest,
    search_catalogue,
    search_own_models,
)
from dashboard.mirror.querysets import present, visible_endpoints
from dashboard.mirror.traffic_history import load_days, next_half_hour
from dashboard.web.deploy.forms import NEW
from dashboard.web.deploy.plan import propose_deployment
from dashboard.web.labels import describe_weights, shorten_hardware, shorten_model
from dashboard.web.snapshot import Snapshot

# Rows of the first step: more than that are searched for, not scrolled to.
MOST_MODELS = 40
# Endpoints that the select offers; `?endpoint=` brings any other one.
MOST_ENDPOINTS = 200
# Endpoints whose last day stands for the organisation's use.
MOST_USED = 200
DEFAULT_TIMEOUT = 60
# Fields that tell that the second step was filled, and not just opened.
FILLED = "min_replicas"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A line of the first step. `nano_usd_per_hour` is the cheapest replica, None = no price or nothing it runs on."""

    key: str
    name: str
    detail: str
    type: str
    context_length: int | None
    nano_usd_per_hour: int | None
    deprecation: Deprecation | None
    is_recommended: bool = False
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class ModelChoices:
    """Own models and the catalogue's, as far as they are shown; `hidden_count` more match."""

    own: tuple[ModelRow, ...]
    offered: tuple[ModelRow, ...]
    hidden_count: int


def list_projects(user: User) -> list[Project]:
    """Return the projects in which the person may create. One query, two for people who may not everywhere."""
    projects = Project.objects.filter(absent_since=None, connection__is_enabled=True)
    teams = operable_team_ids(user)
    if teams is not None:
        projects = projects.filter(team_id__in=teams)
    return list(projects.select_related("team", "connection").defer("payload").order_by("name", "pk"))


def list_endpoints(user: User, project: Project, *, chosen: str = "") -> list[Endpoint]:
    """Return the v2 endpoints of the project that a deployment may join, with payloads. At most two queries."""
    rows = (
        present(visible_endpoints(user))
        .filter(project=project, generation=Generation.V2)
        .exclude(endpoint_type__endswith="SERVERLESS")
        .defer(None)
        .defer("fingerprint")
    )
    found = list(rows.order_by("display_name", "pk")[:MOST_ENDPOINTS])
    if chosen.isdecimal() and len(chosen) < 19 and int(chosen) not in {one.pk for one in found}:
        found += rows.filter(pk=int(chosen))
    return found


def pick_project(projects: Sequence[Project], data: Mapping[str, Any], *, user: User) -> Project:
    """Return the project that the address names, directly or by its endpoint, else the first. At most one query."""
    by_id = {str(project.pk): project for project in projects}
    if (named := by_id.get(data.get("project", ""))) is not None:
        return named
    endpoint_id = data.get("endpoint", "")
    if endpoint_id.isdecimal() and len(endpoint_id) < 19:
        owner = visible_endpoints(user).filter(pk=endpoint_id).values_list("project_id", flat=True).first()
        if owner is not None and str(owner) in by_id:
            return by_id[str(owner)]
    return projects[0]


def search_models(
    user: User, connections: Sequence[Connection], text: str, *, deprecations: DeprecationList
) -> ModelChoices:
    """Return what may be deployed and matches. Four queries and two per connection."""
    cheapest = load_cheapest(connections)
    own = list(search_own_models(user, text)[: MOST_MODELS + 1])
    offered = list(search_catalogue(connections, text))
    offered.sort(
        key=lambda row: (row.support != "RECOMMENDED", row.support == "DEPRECATED", row.name.lower())
    )
    bases = load_bases(own)
    own_rows = []
    for one in own[:MOST_MODELS]:
        ids = (one.remote_id, str(one.payload.get("baseModelId") or ""))
        prices = [cheapest[one.connection_id, key] for key in ids if (one.connection_id, key) in cheapest]
        own_rows.append(
            ModelRow(
                key=one.remote_id,
                name=one.name,
                detail=f"{one.project.name} · from {bases[one.pk]}" if bases[one.pk] else one.project.name,
                type=describe_weights(one.variety),
                context_length=None,
                nano_usd_per_hour=min(prices, default=None),
                deprecation=deprecations.find(bases[one.pk]),
                project_id=one.project_id,
            )
        )
    shown = offered[: MOST_MODELS - min(len(own_rows), MOST_MODELS // 2)]
    return ModelChoices(
        own=tuple(own_rows),
        offered=tuple(
            ModelRow(
                key=row.name,
                name=row.name,
                detail=row.display_name,
                type=row.type,
                context_length=row.context_length,
                nano_usd_per_hour=cheapest.get((row.connection_id, row.remote_id)),
                deprecation=deprecations.find(row.name),
                is_recommended=row.support == "RECOMMENDED",
            )
            for row in shown
        ),
        hidden_count=len(offered) - len(shown) + max(0, len(own) - MOST_MODELS),
    )


def propose_values(
    model: DeployableModel,
    offers: Sequence[HardwareOffer],
    project: Project,
    data: Mapping[str, Any],
    *,
    taken: Set[str],
) -> dict[str, str]:
    """Return the first values of the second step: the cheapest offer, or what a link asks for (a v1 endpoint's own).

    The name of a new endpoint is none of those `taken`.
    """
    wanted = shorten_hardware(data.get("hardware", ""))
    offer = next((one for one in offers if wanted and shorten_hardware(one.hardware) == wanted), None)
    offer = offer or next(iter(offers), None)
    name = data.get("endpoint_name") or shorten_model(model.name).lower()[:50].strip("-._")
    if name in taken:
        name = next(
            f"{name}-{number}" for number in range(2, len(taken) + 3) if f"{name}-{number}" not in taken
        )
    low = data.get("low") or "1"
    return {
        "project": str(project.pk),
        "endpoint": data.get("endpoint") or NEW,
        "endpoint_name": name,
        "deployment_name": propose_deployment(model.name, offer) if offer else "",
        "config": offer.key if offer else "",
        "region": "",
        "min_replicas": low,
        "max_replicas": data.get("high") or low,
        "inactive_timeout": data.get("timeout") or str(DEFAULT_TIMEOUT),
        "weight": "1",
        "metric": "",
        "metric_percentile": "",
    }


def load_use(snapshot: Snapshot, *, idle_minutes: int) -> TypicalUse | None:
    """Return how the endpoints that the person sees were used in the last 24 h. Two queries."""
    running = present(visible_endpoints(snapshot.user)).filter(
        generation=Generation.V2,
        status__in=(status.RUNNING.value, status.DEGRADED.value, status.SCALING.value),
    )
    ids = list(running.order_by("-burn_high", "display_name", "id").values_list("pk", flat=True)[:MOST_USED])
    days = load_days(ids, end=next_half_hour(snapshot.now))
    return measure_use((day.finished_requests for day in days.values()), idle_minutes=idle_minutes)
