"""GPU clusters, regions and shared volumes (contract section 8). Bodies are snake_case; nothing is paged."""

from datetime import datetime
from typing import Literal

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.clusters import Cluster, ClusterRegion, Volume
from dashboard.together_api.requests import ApiCall, Flow, format_time

_CLUSTERS = "/v1/compute/clusters"
_CLUSTER = f"{_CLUSTERS}/{{cluster_id}}"
_VOLUMES = f"{_CLUSTERS}/storage/volumes"
_VOLUME = f"{_VOLUMES}/{{volume_id}}"


def list_clusters(*, project_id: str | None = None) -> Flow[Listing[Cluster]]:
    """Return all clusters, or those of one project."""
    call = ApiCall(template=_CLUSTERS, query={"projectId": project_id})
    return (yield from fetch_all(Cluster, call, items_key="clusters"))


def get_cluster(cluster_id: str) -> Flow[Cluster]:
    """Return one cluster; is_absent(error) when it is gone."""
    return (yield from fetch_one(Cluster, ApiCall(template=_CLUSTER, ids={"cluster_id": cluster_id})))


def update_cluster(
    cluster_id: str,
    *,
    num_gpus: int | None = None,
    num_reserved_gpus: int | None = None,
    num_preemptible_gpus: int | None = None,
    cluster_type: Literal["KUBERNETES", "SLURM"] | None = None,
    reservation_end_time: datetime | None = None,
) -> Flow[Cluster]:
    """Change what is given and return the cluster; GPU counts go by eight. 409 = out of stock.

    `reservation_end_time` is when a prepaid cluster shall be decommissioned. Raises ValueError for nothing to change.
    """
    body = without_none(
        {
            "num_gpus": num_gpus,
            "num_reserved_gpus": num_reserved_gpus,
            "num_preemptible_gpus": num_preemptible_gpus,
            "cluster_type": cluster_type,
            "reservation_end_time": None
            if reservation_end_time is None
            else format_time(reservation_end_time),
        }
    )
    if not body:
        raise ValueError("Nothing to change.")
    call = ApiCall(method="PUT", template=_CLUSTER, ids={"cluster_id": cluster_id}, body=body)
    return (yield from fetch_one(Cluster, call))


def delete_cluster(cluster_id: str) -> Flow[None]:
    """Delete a cluster with its nodes, with priority (they cost). Accepted is not gone: read back."""
    yield ApiCall(method="DELETE", template=_CLUSTER, ids={"cluster_id": cluster_id}, priority="stop")


def list_regions() -> Flow[Listing[ClusterRegion]]:
    """Return the regions with their GPU types and drivers; neither prices nor stock."""
    return (yield from fetch_all(ClusterRegion, ApiCall(template="/v1/compute/regions"), items_key="regions"))


def list_volumes(*, project_id: str | None = None) -> Flow[Listing[Volume]]:
    """Return all shared volumes, or those of one project."""
    call = ApiCall(template=_VOLUMES, query={"projectId": project_id})
    return (yield from fetch_all(Volume, call, items_key="volumes"))


def get_volume(volume_id: str) -> Flow[Volume]:
    """Return one shared volume; is_absent(error) when it is gone."""
    return (yield from fetch_one(Volume, ApiCall(template=_VOLUME, ids={"volume_id": volume_id})))


def create_volume(
    *,
    name: str,
    size_tib: int,
    region: str,
    is_lifecycle_independent: bool | None = None,
    project_id: str | None = None,
) -> Flow[Volume]:
    """Create a shared volume of whole TiB; it costs from then on. An independent one survives its cluster."""
    body = without_none(
        {
            "volume_name": name,
            "size_tib": size_tib,
            "region": region,
            "is_lifecycle_independent": is_lifecycle_independent,
            "project_id": project_id,
        }
    )
    return (yield from fetch_one(Volume, ApiCall(method="POST", template=_VOLUMES, body=body)))


def resize_volume(volume_id: str, *, size_tib: int) -> Flow[Volume]:
    """Change the size of a shared volume, in whole TiB; the id travels in the body."""
    body = {"volume_id": volume_id, "size_tib": size_tib}
    return (yield from fetch_one(Volume, ApiCall(method="PUT", template=_VOLUMES, body=body)))


def delete_volume(volume_id: str) -> Flow[None]:
    """Delete a shared volume and what is on it; "success": false is an answer that cannot be relied on."""
    reply = yield ApiCall(method="DELETE", template=_VOLUME, ids={"volume_id": volume_id})
    if reply.body.strip() and reply.json_object().get("success") is False:
        raise reply.malformed("the answer says that it was not deleted")
