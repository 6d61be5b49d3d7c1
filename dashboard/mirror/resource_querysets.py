"""Read resources of any kind for pages: visible ones, searched, filtered, counted, sorted. See querysets.py.

Nothing here loads more rows than one page shows, and no payload; counts and sums come from one grouped query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, F, OrderBy, Q, QuerySet, Sum, Value, When, Window
from django.db.models.functions import Lower, RowNumber

from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.core import status
from dashboard.mirror.models import Resource, ResourceKind, ResourceLink
from dashboard.mirror.querysets import MOST_SEARCH_WORDS, Facet

# Columns that lists never show: they would be read from TOAST for nothing.
_HEAVY = ("payload", "fingerprint", "project__payload", "project__fingerprint")
# What needs a person first, then what bills, then what moves, then what rests.
_STATUS_ORDER = (
    status.FAILED,
    status.EXPIRED,
    status.UNKNOWN,
    status.DEGRADED,
    status.UNATTACHED,
    status.RUNNING,
    status.WORKING,
    status.ATTACHED,
    status.SCALING,
    status.STARTING,
    status.FINISHING,
    status.QUEUED,
    status.CANCELLING,
    status.STOPPING,
    status.DELETING,
    status.AVAILABLE,
    status.PAUSED,
    status.SCALED_TO_ZERO,
    status.STOPPED,
    status.COMPLETED,
    status.CANCELLED,
)
DEFAULT_SORT = "-created"
NO_VALUE = "none"


def visible_resources(user: User, kinds: Sequence[str] = ()) -> QuerySet[Resource]:
    """Return the resources of these kinds (none named = all) that the user may see, absent ones included.

    Without payloads; project and team are loaded with each row. No query yet.
    """
    found = Resource.objects.filter(project_filter(user, path="project__"))
    if kinds:
        found = found.filter(kind__in=kinds)
    return found.select_related("project__team").defer(*_HEAVY)


def present_resources(resources: QuerySet[Resource]) -> QuerySet[Resource]:
    """Return those that the provider still lists."""
    return resources.filter(absent_since=None)


def search_resources(resources: QuerySet[Resource], text: str) -> QuerySet[Resource]:
    """Return those in which each word of ``text`` is part of name, id, model, owner, hardware, project or team.

    An upload is called after the id of its model (contract 3.8); it is found by that model's name too.
    """
    for word in text.split()[:MOST_SEARCH_WORDS]:
        resources = resources.filter(
            Q(name__icontains=word)
            | Q(remote_id__icontains=word)
            | Q(model__icontains=word)
            | Q(owner__icontains=word)
            | Q(variety__icontains=word)
            | Q(hardware__icontains=word)
            | Q(region__icontains=word)
            | Q(project__name__icontains=word)
            | Q(project__team__name__icontains=word)
            | _names_model(word)
        )
    return resources


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """Count and sums of the resources of one kind in one status; burn in nano-dollars per hour."""

    kind: str
    status: str
    count: int
    gpu_count: int
    units: int
    burn: int
    unpriced_units: int


def group_resources(resources: QuerySet[Resource]) -> tuple[ResourceGroup, ...]:
    """Return count and sums per kind and status: a few dozen groups at most. One query."""
    rows = (
        resources.order_by()
        .values("kind", "status")
        .annotate(
            row_count=Count("pk"),
            gpus=Sum("gpu_count"),
            unit_count=Sum("units"),
            burns=Sum("burn"),
            unpriced=Sum("unpriced_units"),
        )
    )
    # PostgreSQL sums bigint as numeric: Decimal without a fraction.
    return tuple(
        ResourceGroup(
            kind=row["kind"],
            status=row["status"],
            count=row["row_count"],
            gpu_count=row["gpus"],
            units=row["unit_count"],
            burn=int(row["burns"]),
            unpriced_units=row["unpriced"],
        )
        for row in rows
    )


def list_values(resources: QuerySet[Resource], column: str) -> tuple[Facet, ...]:
    """Return the values of a text column in use, most used first; the empty one is left out. One query."""
    rows = (
        resources.exclude(**{column: ""})
        .order_by()
        .values_list(column)
        .annotate(row_count=Count("pk"))
        .order_by("-row_count", column)
    )
    return tuple(Facet(value, value, count) for value, count in rows)


def list_resource_teams(resources: QuerySet[Resource]) -> tuple[Facet, ...]:
    """Return the teams that own the resources; ``none`` is what nobody owns. One query."""
    rows = (
        resources.order_by()
        .values_list("project__team_id", "project__team__name")
        .annotate(row_count=Count("pk"))
        .order_by(F("project__team__name").asc(nulls_last=True))
    )
    return tuple(Facet(str(pk or NO_VALUE), name or "No team", count) for pk, name, count in rows)


def filter_resource_team(resources: QuerySet[Resource], value: str) -> QuerySet[Resource]:
    """Return the resources of one team; ``none`` = without a team; what is no id matches nothing."""
    if value == NO_VALUE:
        return resources.filter(project__team=None)
    if not value.isdecimal() or len(value) > 18:
        return resources.none()
    return resources.filter(project__team_id=int(value))


def _last(column: str, *, is_descending: bool = False) -> OrderBy:
    """Return an order in which what is not told stands at the end, whichever way."""
    return OrderBy(F(column), descending=is_descending, nulls_last=True)


# Each is a total order: pages are cut from it without loss or repeat.
SORTS: dict[str, tuple[Any, ...]] = {
    "-created": (_last("remote_created_at", is_descending=True), "-id"),
    "created": (_last("remote_created_at"), "id"),
    "name": (Lower("name"), "id"),
    "-name": (Lower("name").desc(), "-id"),
    "kind": ("kind", Lower("name"), "id"),
    "-kind": ("-kind", Lower("name").desc(), "-id"),
    "status": ("status_rank", _last("remote_created_at", is_descending=True), "-id"),
    "-status": ("-status_rank", _last("remote_created_at", is_descending=True), "-id"),
    "owner": (Lower("owner"), "id"),
    "-owner": (Lower("owner").desc(), "-id"),
    "model": (Lower("model"), "id"),
    "-model": (Lower("model").desc(), "-id"),
    "hardware": ("hardware", Lower("name"), "id"),
    "-hardware": ("-hardware", Lower("name").desc(), "-id"),
    "region": ("region", Lower("name"), "id"),
    "-region": ("-region", Lower("name").desc(), "-id"),
    "-burn": ("-burn", Lower("name"), "id"),
    "burn": ("burn", Lower("name").desc(), "-id"),
    "-price": (_last("total_nano_usd", is_descending=True), "-id"),
    "price": (_last("total_nano_usd"), "id"),
    "-size": (_last("size_bytes", is_descending=True), "-id"),
    "size": (_last("size_bytes"), "id"),
    "-progress": (_last("progress", is_descending=True), "-id"),
    "progress": (_last("progress"), "id"),
    "-gpus": ("-gpu_count", Lower("name"), "id"),
    "gpus": ("gpu_count", Lower("name"), "id"),
    "expires": (_last("expires_at"), "id"),
    "-expires": (_last("expires_at", is_descending=True), "-id"),
}


def sort_resources(resources: QuerySet[Resource], sort: str) -> QuerySet[Resource]:
    """Return the resources in a total order. Raises KeyError for an order that is not in `SORTS`."""
    order = SORTS[sort]
    if sort.removeprefix("-") == "status":
        ranks = [When(status=one.value, then=Value(place)) for place, one in enumerate(_STATUS_ORDER)]
        resources = resources.annotate(status_rank=Case(*ranks, default=Value(99)))
    return resources.order_by(*order)


def find_by_name(user: User, text: str, *, limit: int) -> list[Resource]:
    """Return the present, visible resources in whose name or id each word stands: at most ``limit`` of each kind,
    newest first. An upload is found by its model's name too. One query.
    """
    rows = present_resources(visible_resources(user))
    for word in text.split()[:MOST_SEARCH_WORDS]:
        rows = rows.filter(Q(name__icontains=word) | Q(remote_id__icontains=word) | _names_model(word))
    newest = [_last("remote_created_at", is_descending=True), F("id").desc()]
    ranked = rows.annotate(place=Window(RowNumber(), partition_by=F("kind"), order_by=newest))
    return list(ranked.filter(place__lte=limit).order_by("kind", "place"))


def _names_model(word: str) -> Q:
    """Return the condition that it is an upload whose model is called so (contract 3.8: it names only the id)."""
    models = Resource.objects.filter(kind=ResourceKind.MODEL, name__icontains=word)
    return Q(kind=ResourceKind.UPLOAD, name__in=models.values("remote_id"))


def find_named(user: User, targets: Sequence[str], *, connection_id: int) -> list[Resource]:
    """Return the visible resources that one of the targets names: by remote id, models also by name. One query.

    Absent ones are included: a page says that they are gone.
    """
    named = Q(remote_id__in=targets) | Q(kind=ResourceKind.MODEL, name__in=targets)
    rows = visible_resources(user).filter(named, connection_id=connection_id)
    return list(rows.order_by("kind", "name", "id"))


def find_links_to(user: User, resource: Resource, *, limit: int) -> list[ResourceLink]:
    """Return the links of visible resources that name this one, newest resource first. One query."""
    targets = [resource.remote_id]
    if resource.kind == ResourceKind.MODEL:
        targets.append(resource.name)
    return list(
        ResourceLink.objects.filter(target__in=targets, resource__connection_id=resource.connection_id)
        .filter(project_filter(user, path="resource__project__"), resource__absent_since=None)
        .exclude(resource=resource)
        .select_related("resource")
        .defer("resource__payload", "resource__fingerprint")
        .order_by(_last("resource__remote_created_at", is_descending=True), "-resource_id", "relation")[
            :limit
        ]
    )
