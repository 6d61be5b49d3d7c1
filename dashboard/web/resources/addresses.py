"""Where the page of a resource is. Kinds without a page have an empty address, and are named without a link."""

from django.urls import NoReverseMatch, reverse
from django.urls.converters import StringConverter

from dashboard.core.resource_states import JOB_KINDS
from dashboard.mirror.models import Resource, ResourceKind

# Kind -> (route, whether the kind stands in the address).
_ROUTES = {
    ResourceKind.FINE_TUNE: ("job", True),
    ResourceKind.BATCH: ("job", True),
    ResourceKind.EVALUATION: ("job", True),
    ResourceKind.UPLOAD: ("job", True),
    ResourceKind.UPLOAD_V1: ("job", True),
    ResourceKind.FILE: ("file", False),
    ResourceKind.MODEL: ("model", False),
    ResourceKind.CLUSTER: ("cluster", False),
    ResourceKind.VOLUME: ("volume", False),
    ResourceKind.CONTAINER: ("container", False),
    ResourceKind.RL_RESOURCE: ("rl_resource", False),
    ResourceKind.RL_SESSION: ("rl_session", False),
}
_ICONS = {
    ResourceKind.FILE: "file",
    ResourceKind.MODEL: "model",
    ResourceKind.CLUSTER: "cluster",
    ResourceKind.VOLUME: "volume",
    ResourceKind.CONTAINER: "container",
    ResourceKind.RL_RESOURCE: "rl",
    ResourceKind.RL_SESSION: "rl",
}


class JobKind(StringConverter):
    """The kind of a job in an address; any other word is no such page."""

    regex = "|".join(sorted(JOB_KINDS, key=len, reverse=True))


def address_of(kind: str, pk: int) -> str:
    """Return the address of a resource's page; empty while its kind has none."""
    route, has_kind = _ROUTES[ResourceKind(kind)]
    try:
        return reverse(route, kwargs={"kind": kind, "pk": pk} if has_kind else {"pk": pk})
    except NoReverseMatch:
        return ""


def address_of_resource(resource: Resource) -> str:
    """Return the address of this resource's page; empty while its kind has none."""
    return address_of(resource.kind, resource.pk)


def icon_of(kind: str) -> str:
    """Return the name of the icon that stands for a kind."""
    return _ICONS.get(ResourceKind(kind), "job")


def resolve(route: str, *args: object) -> str:
    """Return a route's address, or empty while no such route exists."""
    try:
        return reverse(route, args=args)
    except NoReverseMatch:
        return ""
