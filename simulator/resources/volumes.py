"""Shared volumes: create, grow, delete. A volume that is attached is not deleted."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.compute.volumes import DELETING, Volume
from simulator.errors import bad_request, not_found
from simulator.resources.snake_fields import read_count, read_project, read_text
from simulator.world import Project


def describe_volume(volume: Volume) -> dict[str, Any]:
    return {
        "volume_id": volume.volume_id,
        "volume_name": volume.name,
        "size_tib": volume.size_tib,
        "status": volume.state,
    }


def find_volume(call: Call, volume_id: str) -> Volume:
    """Return a volume of the key's organisation as it is now. Raises 404."""
    compute = call.world.compute
    compute.advance(call.now_ms)
    volume = compute.volumes.get(volume_id)
    if volume is not None and volume.gone_ms is None and _is_own(call, volume):
        return volume
    if call.world.any_id:
        return compute.live_volumes()[0]
    raise not_found("volume", volume_id)


def _is_own(call: Call, volume: Volume) -> bool:
    return call.world.projects[volume.project_id].organization == call.identity.organization


def list_volumes(call: Call) -> Response:
    compute, project_id = call.world.compute, call.query.get("projectId")
    compute.advance(call.now_ms)
    return json_answer(
        {
            "volumes": [
                describe_volume(volume)
                for volume in compute.live_volumes()
                if _is_own(call, volume) and (call.world.any_id or project_id in {None, volume.project_id})
            ]
        }
    )


def read_volume(call: Call) -> Response:
    return json_answer(describe_volume(find_volume(call, call.path["volume_id"])))


def create_volume(call: Call) -> Response:
    if call.world.any_id:
        return json_answer(describe_volume(find_volume(call, "any")))
    fields = call.fields()
    project = read_project(fields, call.world.projects, call.identity.project)
    cluster_id = fields.get("instance_cluster_id")
    if cluster_id is not None and cluster_id not in call.world.compute.clusters:
        raise bad_request(f"cluster {cluster_id} not found", param="instance_cluster_id")
    return json_answer(describe_volume(order_volume(call, fields, project)))


def order_volume(call: Call, fields: dict[str, Any], project: Project) -> Volume:
    """Create the volume that the fields describe, also for the inline volume of a new cluster. Raises 400."""
    compute = call.world.compute
    name, region = read_text(fields, "volume_name"), read_text(fields, "region")
    size_tib = read_count(fields, "size_tib", least=1)
    if region not in compute.regions:
        raise bad_request(f"region {region} not found", param="region")
    volume = Volume(
        call.world.new_uuid(), name, project.project_id, region, call.now_ms, compute.tempo,
        [(call.now_ms, size_tib)], bool(fields.get("is_lifecycle_independent", False)),
    )  # fmt: skip
    volume.provision(call.now_ms)
    return compute.add_volume(volume)


def resize_volume(call: Call) -> Response:
    if call.world.any_id:
        return json_answer(describe_volume(find_volume(call, "any")))
    fields = call.fields()
    volume = find_volume(call, read_text(fields, "volume_id"))
    size_tib = read_count(fields, "size_tib", least=1, default=volume.size_tib)
    if volume.state == DELETING:
        raise bad_request("the volume is being deleted")
    if size_tib < volume.size_tib:
        raise bad_request(f"a volume cannot shrink: it has {volume.size_tib} TiB", param="size_tib")
    if size_tib > volume.size_tib:
        volume.resize(call.now_ms, size_tib)
    return json_answer(describe_volume(volume))


def delete_volume(call: Call) -> Response:
    volume = find_volume(call, call.path["volume_id"])
    if not call.world.any_id:
        if volume.cluster_id is not None:
            raise bad_request("the volume is attached to a cluster and cannot be deleted")
        volume.delete(call.now_ms)
    return json_answer({"success": True})


_BASE = "/v1/compute/clusters/storage/volumes"
ROUTES = [
    route(_BASE, list_volumes),
    route(_BASE, create_volume, "POST"),
    route(_BASE, resize_volume, "PUT"),
    route(f"{_BASE}/{{volume_id}}", read_volume),
    route(f"{_BASE}/{{volume_id}}", delete_volume, "DELETE"),
]
