"""Own models as rows: what they come from, who made them, which endpoints serve them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from billing.burn import Burn
from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.core import status
from dashboard.mirror.deprecation_hints import Deprecation
from dashboard.mirror.deprecations import load_deprecations
from dashboard.mirror.models import Deployment, Resource, ResourceKind, ResourceLink
from dashboard.mirror.offers import load_bases
from dashboard.web.labels import describe_weights
from dashboard.web.nav import MenuItem
from dashboard.web.resources.addresses import address_of_resource
from dashboard.web.resources.rows import burn_of, status_of

_IMPORTS = (ResourceKind.UPLOAD, ResourceKind.UPLOAD_V1)
_MAKERS = (ResourceKind.FINE_TUNE, *_IMPORTS)


@dataclass(frozen=True, slots=True)
class Maker:
    """The job that made a model, or is making it."""

    name: str
    url: str
    kind_label: str
    status: status.Status
    is_import: bool


@dataclass(frozen=True, slots=True)
class OwnModelRow:
    """Everything that a row of an own model shows; the first attributes are those of every resource's row."""

    resource: Resource
    url: str
    name: str
    kind_label: str
    status: status.Status
    raw_state: str
    team: str
    burn: Burn
    base: str
    weights: str
    maker: Maker | None
    serving: tuple[tuple[str, str], ...]
    deprecation: Deprecation | None
    deploy_key: str
    progress: None = None
    menu: tuple[MenuItem, ...] = field(default=())

    @property
    def key(self) -> str:
        """Return what tells the row apart in ids of the page."""
        return str(self.resource.pk)

    @property
    def menu_label(self) -> str:
        """Return what a screen reader calls the row's menu."""
        return f"More actions for {self.name}"


def build_model_rows(resources: Sequence[Resource], *, user: User, now: datetime) -> list[OwnModelRow]:
    """Return the rows of one page, in order. Six queries."""
    payloads = dict(
        Resource.objects.filter(pk__in=[one.pk for one in resources]).values_list("pk", "payload")
    )
    for one in resources:
        one.payload = payloads[one.pk]
    bases, makers, serving = (
        load_bases(resources),
        _load_makers(user, resources),
        _load_serving(user, resources),
    )
    deprecations = load_deprecations()
    return [
        OwnModelRow(
            resource=one,
            url=address_of_resource(one),
            name=one.name,
            kind_label=describe_weights(one.variety),
            status=_choose_status(one, makers.get(one.pk)),
            raw_state="",
            team=one.project.team.name if one.project.team else "",
            burn=burn_of(one),
            base=bases[one.pk],
            weights=describe_weights(one.variety),
            maker=makers.get(one.pk),
            serving=serving.get(one.pk, ()),
            deprecation=deprecations.find(bases[one.pk]),
            deploy_key=one.remote_id,
        )
        for one in resources
    ]


def _choose_status(model: Resource, maker: Maker | None) -> status.Status:
    """Return the model's own status, or that of an import that goes on or failed: then its weights are not there."""
    if maker is None or model.absent_since:
        return status_of(model)
    has_failed = maker.is_import and maker.status is status.FAILED
    return maker.status if maker.status.is_moving or has_failed else status_of(model)


def _load_makers(user: User, models: Sequence[Resource]) -> dict[int, Maker]:
    """Return by model the newest job that names it as what it makes. One query."""
    names = {name for one in models for name in (one.remote_id, one.name) if name}
    links = (
        ResourceLink.objects.filter(
            project_filter(user, path="resource__project__"),
            relation=ResourceLink.Relation.MODEL,
            target__in=names,
            resource__kind__in=[kind.value for kind in _MAKERS],
        )
        .select_related("resource")
        .defer("resource__payload", "resource__fingerprint")
        .order_by("resource__remote_created_at", "pk")
    )
    by_target = {(link.resource.connection_id, link.target): link.resource for link in links}
    found: dict[int, Maker] = {}
    for one in models:
        for name in (one.name, one.remote_id):
            job = by_target.get((one.connection_id, name))
            if job is not None:
                # An upload is called after its model.
                label = one.name if job.kind == ResourceKind.UPLOAD else job.name
                found[one.pk] = Maker(
                    label,
                    address_of_resource(job),
                    str(job.get_kind_display()),
                    status_of(job),
                    job.kind in _IMPORTS,
                )
                break
    return found


def _load_serving(user: User, models: Sequence[Resource]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Return by model the (name, address) of the endpoints with a present deployment of it. One query."""
    keys = {(one.connection_id, key): one.pk for one in models for key in (one.remote_id, one.name)}
    wanted = [key for _, key in keys]
    rows = (
        Deployment.objects.filter(
            project_filter(user, path="endpoint__project__"), Q(model_id__in=wanted) | Q(model__in=wanted)
        )
        .filter(absent_since=None, endpoint__absent_since=None)
        .order_by("endpoint__display_name", "endpoint_id")
        .values_list("connection_id", "model_id", "model", "endpoint_id", "endpoint__display_name")
    )
    found: dict[int, dict[str, str]] = {}
    for connection_id, model_id, model, endpoint_id, name in rows:
        pk = keys.get((connection_id, model_id)) or keys.get((connection_id, model))
        if pk is not None:
            found.setdefault(pk, {})[reverse("endpoint", args=[endpoint_id])] = name
    return {pk: tuple((name, url) for url, name in urls.items()) for pk, urls in found.items()}
