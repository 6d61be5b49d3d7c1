"""Read-only volumes of containers: content in versions, deleted only when nothing mounts them."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.compute.container_storage import ContainerVolume
from simulator.errors import ApiError, bad_request, not_found
from simulator.resources.containers import own_containers
from simulator.resources.snake_fields import read_text, read_word


def _own(call: Call) -> list[ContainerVolume]:
    found = call.world.compute.own_volumes(call.identity.project.project_id)
    for volume in found:
        volume.agenda.play(call.now_ms)
    return found


def _find(call: Call) -> ContainerVolume:
    found, wanted = _own(call), call.path["identifier"]
    for volume in found:
        if wanted in {volume.volume_id, volume.name}:
            return volume
    if call.world.any_id:
        return found[0]
    raise not_found("volume", wanted)


def _mounted_by(call: Call, volume: ContainerVolume) -> list[str]:
    names = {volume.volume_id, volume.name}
    return [
        container.container_id
        for container in own_containers(call)
        if any(mount.get("name") in names for mount in container.settings.get("volumes") or [])
    ]


def _describe(call: Call, volume: ContainerVolume) -> dict[str, Any]:
    current = volume.current
    return {
        "object": "volume",
        "id": volume.volume_id,
        "name": volume.name,
        "type": "readOnly",
        "status": current.status,
        "content": {**current.content, "files": []},
        "current_version": current.number,
        "mounted_by": _mounted_by(call, volume),
        "version_history": {
            str(version.number): {
                "version": version.number,
                "status": version.status,
                "content": version.content,
                "mounted_by": [],
            }
            for version in volume.versions[:-1]
        },
        "created_at": format_time(volume.created_ms),
        "updated_at": format_time(volume.updated_ms),
    }


def list_volumes(call: Call) -> Response:
    return json_answer({"object": "list", "data": [_describe(call, volume) for volume in _own(call)]})


def read_volume(call: Call) -> Response:
    volume = _find(call)
    body = _describe(call, volume)
    number = call.query.get("version")
    if number is None or call.world.any_id:
        return json_answer(body)
    version = next((one for one in volume.versions if str(one.number) == number), None)
    if version is None:
        raise not_found("volume version", number)
    return json_answer({**body, "status": version.status, "content": {**version.content, "files": []}})


def _read_content(fields: dict[str, Any]) -> dict[str, Any]:
    content = fields.get("content")
    if not isinstance(content, dict) or bool(content.get("origin")) == bool(content.get("source_prefix")):
        raise bad_request("content needs either source_prefix or origin", param="content")
    kept = ("type", "source_prefix", "origin")
    return {"type": "files", **{name: content[name] for name in kept if content.get(name) is not None}}


def create_volume(call: Call) -> Response:
    if call.world.any_id:
        return json_answer(_describe(call, _own(call)[0]))
    fields = call.fields()
    name = read_text(fields, "name")
    read_word(fields, "type", ("readOnly",))
    content = _read_content(fields)
    if any(volume.name == name for volume in _own(call)):
        raise ApiError(409, f"a volume named {name} already exists", code="already_exists")
    volume = ContainerVolume(
        call.world.new_uuid(), call.identity.project.project_id, name, call.now_ms, call.world.compute.tempo
    )
    volume.add_version(call.now_ms, content)
    call.world.compute.container_volumes[volume.volume_id] = volume
    return json_answer(_describe(call, volume))


def update_volume(call: Call) -> Response:
    volume = _find(call)
    if call.world.any_id:
        return json_answer(_describe(call, volume))
    fields = call.fields()
    content = _read_content(fields) if fields.get("content") is not None else None
    if fields.get("name") is not None:
        volume.name = read_text(fields, "name")
        volume.updated_ms = call.now_ms
    if content is not None:
        volume.add_version(call.now_ms, content)
    return json_answer(_describe(call, volume))


def delete_volume(call: Call) -> Response:
    volume = _find(call)
    if not call.world.any_id:
        if _mounted_by(call, volume):
            raise bad_request("the volume is mounted by a deployment")
        del call.world.compute.container_volumes[volume.volume_id]
    return json_answer({})


_BASE = "/v1/deployments/storage/volumes"
ROUTES = [
    route(_BASE, list_volumes),
    route(_BASE, create_volume, "POST"),
    route(f"{_BASE}/{{identifier}}", read_volume),
    route(f"{_BASE}/{{identifier}}", update_volume, "PATCH"),
    route(f"{_BASE}/{{identifier}}", delete_volume, "DELETE"),
]
