"""Container deployments (contract section 9). Bodies are snake_case; the list is not paged."""

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.containers import Container
from dashboard.together_api.requests import ApiCall, Flow

_CONTAINERS = "/v1/deployments"
_CONTAINER = f"{_CONTAINERS}/{{container_id}}"


def list_containers() -> Flow[Listing[Container]]:
    """Return all container deployments, without the values of their environment."""
    return (yield from fetch_all(Container, ApiCall(template=_CONTAINERS)))


def get_container(container_id: str) -> Flow[Container]:
    """Return one container deployment; is_absent(error) when it is gone."""
    call = ApiCall(template=_CONTAINER, ids={"container_id": container_id})
    return (yield from fetch_one(Container, call))


def patch_container(
    container_id: str, *, min_replicas: int | None = None, max_replicas: int | None = None
) -> Flow[Container]:
    """Change the replica bounds that are given; a maximum of 0 travels with priority. ValueError for none."""
    body = without_none({"min_replicas": min_replicas, "max_replicas": max_replicas})
    if not body:
        raise ValueError("Nothing to change.")
    call = ApiCall(
        method="PATCH",
        template=_CONTAINER,
        ids={"container_id": container_id},
        body=body,
        priority="stop" if max_replicas == 0 else "normal",
    )
    return (yield from fetch_one(Container, call))
