"""Container deployments (jig): create, change, roll back, remove. Each belongs to a project; names count as ids."""

import re
from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.compute.container_storage import Secret
from simulator.compute.containers import METRICS, Container, Revision
from simulator.compute.prices import CONTAINER_GPU_HOUR
from simulator.errors import ApiError, bad_request, not_found
from simulator.resources.container_bodies import (
    SETTINGS,
    describe_container,
    describe_revision,
    describe_revision_event,
    replica_names,
    write_logs,
)
from simulator.resources.snake_fields import read_count, read_text, read_word

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{3,62}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Configurations that are kept; older revisions stay in the history only (SDK 3.1.1).
_KEPT_REVISIONS: Final = 50
_DEFAULTS: Final = {"cpu": 1.0, "memory": 8.0, "storage": 100, "capacity_type": "stable"}


def own_containers(call: Call) -> list[Container]:
    """Return the containers of the key's project, oldest first, as they are now."""
    found = call.world.compute.live_containers(call.identity.project.project_id)
    for container in found:
        container.advance(call.now_ms)
    return found


def find_container(call: Call, identifier: str) -> Container:
    """Return a container of the key's project by id or name. Raises 404."""
    found = own_containers(call)
    for container in found:
        if identifier in {container.container_id, container.name}:
            return container
    if call.world.any_id:
        return found[0]
    raise not_found("deployment", identifier)


def own_secrets(call: Call) -> dict[str, Secret]:
    """Return the secrets of the key's project that have not expired, by name."""
    return {
        secret.name: secret
        for secret in call.world.compute.secrets.values()
        if secret.project_id == call.identity.project.project_id and secret.exists_at(call.now_ms)
    }


def _describe(call: Call, container: Container) -> dict[str, Any]:
    return describe_container(container, own_secrets(call), now_ms=call.now_ms)


def list_containers(call: Call) -> Response:
    data = [_describe(call, container) for container in own_containers(call)]
    return json_answer({"object": "list", "data": data})


def read_container(call: Call) -> Response:
    return json_answer(_describe(call, find_container(call, call.path["identifier"])))


def create_container(call: Call) -> Response:
    if call.world.any_id:
        return json_answer(_describe(call, own_containers(call)[0]))
    fields, world = call.fields(), call.world
    name = read_text(fields, "name")
    if not _NAME.fullmatch(name):
        raise bad_request("name must be 4 to 63 lowercase letters, digits and hyphens", param="name")
    if any(container.name == name for container in own_containers(call)):
        raise ApiError(409, f"a deployment named {name} already exists", code="already_exists")
    settings = _read_settings(call, {**_DEFAULTS, **_without_nulls(fields)})
    container_id = world.new_uuid()
    workload = world.new_workload(container_id, min_replicas=0, max_replicas=0)
    container = Container(
        container_id,
        call.identity.project.project_id,
        name,
        call.now_ms,
        world.compute.tempo,
        workload,
        settings,
    )
    world.compute.containers[container_id] = container
    container.begin(call.now_ms)
    return json_answer(_describe(call, container))


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _read_settings(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a create, or of a change merged into what was. Raises 400."""
    read_text(fields, "image")
    read_word(fields, "gpu_type", CONTAINER_GPU_HOUR)
    low = read_count(fields, "min_replicas", default=1)
    high = read_count(fields, "max_replicas", default=low)
    if high < low:
        raise bad_request("max_replicas must be at least min_replicas", param="max_replicas")
    read_word(fields, "capacity_type", ("stable", "preemptible"))
    read_count(fields, "gpu_count", default=0)
    autoscaling = fields.get("autoscaling")
    if autoscaling is not None:
        if not isinstance(autoscaling, dict):
            raise bad_request("autoscaling must be an object", param="autoscaling")
        read_word(autoscaling, "metric", METRICS)
    _check_environment(call, fields.get("environment_variables") or [])
    volumes = {volume.name for volume in call.world.compute.own_volumes(call.identity.project.project_id)}
    volumes |= {
        volume.volume_id for volume in call.world.compute.own_volumes(call.identity.project.project_id)
    }
    for mount in fields.get("volumes") or []:
        if mount.get("name") not in volumes:
            raise bad_request(f"volume {mount.get('name')} not found", param="volumes")
    kept = {name: fields[name] for name in (*SETTINGS, "environment_variables") if name in fields}
    return {**kept, "min_replicas": low, "max_replicas": high}


def _check_environment(call: Call, variables: list[dict[str, Any]]) -> None:
    secrets = own_secrets(call)
    known = {*secrets, *(secret.secret_id for secret in secrets.values())}
    for variable in variables:
        if not _VARIABLE.fullmatch(str(variable.get("name", ""))):
            raise bad_request("invalid environment variable name", param="environment_variables")
        given = [name for name in ("value", "value_from_secret") if variable.get(name) is not None]
        if len(given) != 1:
            raise bad_request(
                "an environment variable needs either value or value_from_secret",
                param="environment_variables",
            )
        if given == ["value_from_secret"] and variable["value_from_secret"] not in known:
            raise bad_request(
                f"secret {variable['value_from_secret']} not found", param="environment_variables"
            )


def update_container(call: Call) -> Response:
    container = find_container(call, call.path["identifier"])
    if call.world.any_id:
        return json_answer(_describe(call, container))
    fields = dict(call.fields())
    if fields.pop("name", container.name) != container.name:
        raise bad_request("the name of a deployment cannot be changed", param="name")
    if "min_replicas" in fields and "max_replicas" not in fields:
        fields["max_replicas"] = max(container.settings["max_replicas"], fields["min_replicas"] or 0)
    changes = {name: value for name, value in fields.items() if value is not None or name == "autoscaling"}
    settings = _read_settings(call, {**container.settings, **changes})
    if settings != container.settings:
        container.change(call.now_ms, settings)
    return json_answer(_describe(call, container))


def delete_container(call: Call) -> Response:
    container = find_container(call, call.path["identifier"])
    if not call.world.any_id:
        container.deleted_ms = call.now_ms
    return json_answer({})


def read_logs(call: Call) -> Response:
    """Return log lines; a filter for another replica or revision leaves none."""
    container = find_container(call, call.path["identifier"])
    replica, revision = call.query.get("replica_id"), call.query.get("revision")
    names = {str(container.revision.number), container.revision.revision_id, None}
    fits = replica in {*replica_names(container), None} and revision in names
    return json_answer({"lines": write_logs(container) if fits or call.world.any_id else []})


def list_revisions(call: Call) -> Response:
    """Return the history, newest first."""
    container = find_container(call, call.path["identifier"])
    limit = call.whole_number("limit", default=20, most=100)
    before = call.whole_number("before", default=1 << 30, most=1 << 30)
    events = [event for event in reversed(container.events) if event.number < before or call.world.any_id]
    return json_answer(
        {"object": "list", "data": [describe_revision_event(event) for event in events[:limit]]}
    )


def _find_revision(call: Call, container: Container, identifier: str) -> Revision:
    """Return a revision by number or id while its configuration is kept. Raises 404."""
    kept = [*container.revisions[-_KEPT_REVISIONS:], container.revision]
    for revision in kept:
        if identifier in {str(revision.number), revision.revision_id}:
            return revision
    if call.world.any_id:
        return container.revision
    raise not_found("revision", identifier)


def read_revision(call: Call) -> Response:
    container = find_container(call, call.path["identifier"])
    revision = _find_revision(call, container, call.path["revision"])
    return json_answer(describe_revision(revision, own_secrets(call)))


def roll_back(call: Call) -> Response:
    container = find_container(call, call.path["identifier"])
    if not call.world.any_id:
        identifier = str(call.fields().get("revision_identifier") or "")
        container.roll_back(call.now_ms, _find_revision(call, container, identifier))
    return json_answer(_describe(call, container))


_BASE = "/v1/deployments"
_ONE = f"{_BASE}/{{identifier}}"
ROUTES = [
    route(_BASE, list_containers),
    route(_BASE, create_container, "POST"),
    route(_ONE, read_container),
    route(_ONE, update_container, "PATCH"),
    route(_ONE, delete_container, "DELETE"),
    route(f"{_ONE}/logs", read_logs),
    route(f"{_ONE}/revisions", list_revisions),
    route(f"{_ONE}/revisions/{{revision}}", read_revision),
    route(f"{_ONE}/rollback", roll_back, "POST"),
]
