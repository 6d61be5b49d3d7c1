"""What a resource names, what names it, and which endpoints serve a model: the panels of links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.core import status as statuses
from dashboard.mirror.models import Deployment, Resource, ResourceLink
from dashboard.mirror.querysets import present, visible_endpoints
from dashboard.mirror.resource_querysets import find_links_to, find_named
from dashboard.web.resources.addresses import address_of_resource, icon_of
from dashboard.web.resources.rows import load_upload_names, status_of

# Users of a file or model that one panel names; the count says how many there are.
MOST_LINKS = 20


_FILE_RELATIONS = (
    ResourceLink.Relation.INPUT.label,
    ResourceLink.Relation.VALIDATION.label,
    ResourceLink.Relation.OUTPUT.label,
    ResourceLink.Relation.ERRORS.label,
)


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One link: `relation` in words, `url` empty where the other side is not mirrored or has no page.

    `status` None = not mirrored.
    """

    relation: str
    name: str
    url: str
    icon: str
    kind_label: str = ""
    status: statuses.Status | None = None
    resource: Resource | None = None

    @property
    def is_file(self) -> bool:
        """True when it leads to a file that a job reads or writes."""
        return self.relation in _FILE_RELATIONS

    @property
    def is_base(self) -> bool:
        """True when it names the model that something is made from, which is the provider's more often than ours."""
        return self.relation == ResourceLink.Relation.BASE.label

    @property
    def is_model(self) -> bool:
        """True when it leads to a model that a job made."""
        return self.relation == ResourceLink.Relation.MODEL.label


def list_targets(user: User, resource: Resource) -> tuple[LinkLine, ...]:
    """Return what this resource names: files, models, volumes. Two queries, one without links."""
    links = list(resource.links.order_by("relation", "target"))
    if not links:
        return ()
    named = find_named(user, [link.target for link in links], connection_id=resource.connection_id)
    by_target: dict[str, Resource] = {}
    for one in named:
        by_target.setdefault(one.remote_id, one)
        by_target.setdefault(one.name, one)
    lines: list[LinkLine] = []
    seen: set[int] = set()
    for link in links:
        target = by_target.get(link.target)
        if target is not None:
            # A model is named by its name and by its ids: one line.
            if target.pk in seen:
                continue
            seen.add(target.pk)
        lines.append(_describe(str(link.get_relation_display()), link.target, target))
    return tuple(lines)


def _describe(relation: str, name: str, target: Resource | None) -> LinkLine:
    if target is None:
        return LinkLine(relation, name, "", "list")
    return LinkLine(
        relation,
        target.name,
        address_of_resource(target),
        icon_of(target.kind),
        kind_label=str(target.get_kind_display()),
        status=status_of(target),
        resource=target,
    )


_USED_AS = {
    ResourceLink.Relation.INPUT: "input of",
    ResourceLink.Relation.VALIDATION: "validation of",
    ResourceLink.Relation.OUTPUT: "output of",
    ResourceLink.Relation.ERRORS: "errors of",
    ResourceLink.Relation.MODEL: "made by",
    ResourceLink.Relation.BASE: "base of",
    ResourceLink.Relation.VOLUME: "attached to",
    ResourceLink.Relation.CLUSTER: "cluster of",
    ResourceLink.Relation.RL_RESOURCE: "used by",
}


def list_users(user: User, resource: Resource) -> tuple[LinkLine, ...]:
    """Return which resources name this one, newest first, at most MOST_LINKS. At most two queries."""
    links = find_links_to(user, resource, limit=MOST_LINKS)
    names = load_upload_names([link.resource for link in links])
    return tuple(
        LinkLine(
            _USED_AS.get(ResourceLink.Relation(link.relation), link.relation),
            names.get(link.resource_id, link.resource.name),
            address_of_resource(link.resource),
            icon_of(link.resource.kind),
            kind_label=str(link.resource.get_kind_display()),
            status=status_of(link.resource),
            resource=link.resource,
        )
        for link in links
    )


def list_serving(user: User, names: Iterable[str], *, connection_id: int) -> tuple[LinkLine, ...]:
    """Return the endpoints with a present deployment of a model of one of these names or ids. One query.

    An id may stand in a deployment as a whole resource name (projects/p/models/ml_1/revisions/2).
    """
    wanted = [name for name in names if name]
    if not wanted:
        return ()
    condition = Q(pk__in=[])
    for name in wanted:
        condition |= Q(model=name) | Q(model_id=name)
        condition |= Q(model_id__endswith=f"/models/{name}") | Q(model_id__contains=f"/models/{name}/")
    deployments = Deployment.objects.filter(
        condition, project_filter(user, path="endpoint__project__"), connection_id=connection_id
    )
    endpoints = present(visible_endpoints(user)).filter(pk__in=present(deployments).values("endpoint_id"))
    return tuple(
        LinkLine(
            "served by",
            one.display_name,
            reverse("endpoint", args=[one.pk]),
            "endpoints",
            kind_label="Endpoint",
            status=statuses.read_value(one.status),
        )
        for one in endpoints.order_by("-burn_high", "display_name", "id")[:MOST_LINKS]
    )


def names_of_model(resource: Resource, targets: Sequence[LinkLine] = ()) -> tuple[str, ...]:
    """Return everything that a model may be called by: its own names, or those of the models a job made."""
    names = [resource.remote_id, resource.name] if resource.kind == "model" else []
    for line in targets:
        if line.is_model:
            names.append(line.name)
            if line.resource is not None:
                names.append(line.resource.remote_id)
    return tuple(dict.fromkeys(names))
