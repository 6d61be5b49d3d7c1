"""Rows of the lists of rented compute: the common row, what only one kind shows, and the row's menu.

Each builder costs a fixed number of queries a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.urls import reverse

from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import operable_team_ids, project_filter
from dashboard.core import money
from dashboard.lifecycle import charges
from dashboard.mirror.models import Resource, ResourceKind, ResourceLink
from dashboard.web.compute.containers import ContainerFacts, read_container
from dashboard.web.nav import MenuItem
from dashboard.web.resources.addresses import address_of_resource
from dashboard.web.resources.rows import ResourceRow, build_rows


@dataclass(frozen=True, slots=True)
class Holder:
    """A cluster that names a volume."""

    name: str
    url: str
    region: str


@dataclass(frozen=True, slots=True)
class ComputeRow(ResourceRow):
    """A row with what only its kind shows; the other parts stay empty.

    `volume_count` None = the kind has none. `session_count` are the training sessions that name RL resources.
    """

    volume_count: int | None = None
    holders: tuple[Holder, ...] = ()
    container: ContainerFacts | None = None
    session_count: int = 0

    @property
    def region(self) -> str:
        """The region: the row's own, else that of the cluster that holds it."""
        return self.resource.region or (self.holders[0].region if self.holders else "")


def build_cluster_rows(resources: Sequence[Resource], *, user: User, now: datetime) -> list[ComputeRow]:
    """Return the rows of clusters. Three queries at most."""
    counts = _count_links(resources, ResourceLink.Relation.VOLUME)
    may = _Rights(user)
    return [
        _extend(row, volume_count=counts.get(row.resource.pk, 0), menu=_list_cluster_acts(row, may))
        for row in build_rows(resources, user=user, now=now)
    ]


def build_volume_rows(resources: Sequence[Resource], *, user: User, now: datetime) -> list[ComputeRow]:
    """Return the rows of volumes. Three queries at most."""
    holders = load_holders(resources, user=user)
    may = _Rights(user)
    return [
        _extend(row, holders=holders.get(row.resource.pk, ()), menu=_list_volume_acts(row, may))
        for row in build_rows(resources, user=user, now=now)
    ]


def build_container_rows(resources: Sequence[Resource], *, user: User, now: datetime) -> list[ComputeRow]:
    """Return the rows of containers. Three queries at most."""
    bodies = _load_bodies(resources)
    may = _Rights(user)
    return [
        _extend(
            row,
            container=read_container(bodies.get(row.resource.pk, {}), remote_id=row.resource.remote_id),
            menu=_list_stop(row, may, route="container_stop"),
        )
        for row in build_rows(resources, user=user, now=now)
    ]


def build_rl_rows(resources: Sequence[Resource], *, user: User, now: datetime) -> list[ComputeRow]:
    """Return the rows of RL resources and sessions. Three queries at most."""
    counts = _count_sessions(resources)
    may = _Rights(user)
    return [
        _extend(
            row,
            session_count=counts.get(row.resource.remote_id, 0),
            menu=_list_stop(row, may, route="rl_stop"),
        )
        for row in build_rows(resources, user=user, now=now)
    ]


def _extend(row: ResourceRow, **more: Any) -> ComputeRow:
    common = {field.name: getattr(row, field.name) for field in fields(ResourceRow)}
    return ComputeRow(**(common | more))


class _Rights:
    """What the person may do on the rows of one page. At most one query, when first asked."""

    def __init__(self, user: User) -> None:
        self.manages = user_may(user, Right.MANAGE_COMPUTE)
        self._teams = operable_team_ids(user)

    def operates(self, resource: Resource) -> bool:
        return self._teams is None or resource.project.team_id in self._teams


def _list_cluster_acts(row: ResourceRow, may: _Rights) -> tuple[MenuItem, ...]:
    cluster, items = row.resource, []
    if may.operates(cluster) and charges.may_resize(cluster):
        url = reverse("cluster_scale", args=[cluster.pk])
        items.append(MenuItem("Scale", url, "sliders", detail="whole nodes of 8 GPUs", opens_dialog=True))
    if may.manages and charges.may_delete(cluster):
        items.append(_delete_item(row, "cluster_delete"))
    return tuple(items)


def _list_volume_acts(row: ResourceRow, may: _Rights) -> tuple[MenuItem, ...]:
    volume, items = row.resource, []
    if not may.manages:
        return ()
    if charges.may_resize(volume):
        url = reverse("volume_resize", args=[volume.pk])
        items.append(MenuItem("Resize", url, "sliders", detail="grows only", opens_dialog=True))
    if charges.may_delete(volume):
        items.append(_delete_item(row, "volume_delete"))
    return tuple(items)


def _list_stop(row: ResourceRow, may: _Rights, *, route: str) -> tuple[MenuItem, ...]:
    resource = row.resource
    if not may.operates(resource) or not charges.may_stop_resource(resource):
        return ()
    url = reverse(route, args=[resource.pk])
    return (MenuItem("Stop", url, "stop", detail=_saving(row), is_destructive=True, opens_dialog=True),)


def _delete_item(row: ResourceRow, route: str) -> MenuItem:
    url = reverse(route, args=[row.resource.pk])
    return MenuItem("Delete", url, "trash", detail=_saving(row), is_destructive=True, opens_dialog=True)


def _saving(row: ResourceRow) -> str:
    return f"saves {money.format_per_hour(row.burn.high)}" if row.burn.high else ""


def load_holders(resources: Sequence[Resource], *, user: User) -> dict[int, tuple[Holder, ...]]:
    """Return by volume the present clusters that name it, as far as the person sees them. One query."""
    by_key = {(one.connection_id, one.remote_id): one.pk for one in resources}
    links = (
        ResourceLink.objects.filter(
            relation=ResourceLink.Relation.VOLUME,
            target__in={remote_id for _, remote_id in by_key},
            resource__kind=ResourceKind.CLUSTER,
            resource__absent_since=None,
        )
        .filter(project_filter(user, path="resource__project__"))
        .select_related("resource")
        .defer("resource__payload", "resource__fingerprint")
        .order_by("resource__name", "pk")
    )
    found: dict[int, tuple[Holder, ...]] = {}
    for link in links:
        cluster = link.resource
        pk = by_key.get((cluster.connection_id, link.target))
        if pk is not None:
            holder = Holder(cluster.name, address_of_resource(cluster), cluster.region)
            found[pk] = (*found.get(pk, ()), holder)
    return found


def _count_links(resources: Sequence[Resource], relation: ResourceLink.Relation) -> dict[int, int]:
    counts: dict[int, int] = {}
    links = ResourceLink.objects.filter(resource_id__in=[one.pk for one in resources], relation=relation)
    for pk in links.values_list("resource_id", flat=True):
        counts[pk] = counts.get(pk, 0) + 1
    return counts


def _load_bodies(resources: Sequence[Resource]) -> dict[int, dict[str, Any]]:
    """Return the bodies of one page's rows: replicas and images are in no column. One query."""
    rows = Resource.objects.filter(pk__in=[one.pk for one in resources]).values_list("pk", "payload")
    return {pk: body for pk, body in rows if isinstance(body, dict)}


def _count_sessions(resources: Sequence[Resource]) -> dict[str, int]:
    """Return by remote id of RL resources how many present sessions name them. One query."""
    targets = [one.remote_id for one in resources if one.kind == ResourceKind.RL_RESOURCE]
    counts: dict[str, int] = {}
    links = ResourceLink.objects.filter(
        relation=ResourceLink.Relation.RL_RESOURCE, target__in=targets, resource__absent_since=None
    )
    for target in links.values_list("target", flat=True):
        counts[target] = counts.get(target, 0) + 1
    return counts
