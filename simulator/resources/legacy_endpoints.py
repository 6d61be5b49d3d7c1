"""v1 endpoints, hardware and zones: deprecated, so creating and restarting are refused."""

import zlib
from typing import Any

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.catalogue import Hardware
from simulator.clock import MINUTE_MS, format_time
from simulator.errors import ApiError, bad_request, not_found
from simulator.world import LegacyEndpoint

CREATE_DISABLED = "endpoints_v1_create_access_disabled"
_UPDATABLE = frozenset({"display_name", "state", "autoscaling", "inactive_timeout"})


def state_name(legacy: LegacyEndpoint) -> str:
    """Return the v1 word for the machine's state."""
    present = legacy.workload.present
    if present.state == lifecycle.PROVISIONING:
        return "STARTING" if present.scheduled else "PENDING"
    if present.state in lifecycle.RUNNING:
        return "STARTED"
    return "ERROR" if present.state == lifecycle.FAILED else present.state


def _describe(legacy: LegacyEndpoint, *, now_ms: int) -> dict[str, Any]:
    legacy.workload.advance(now_ms)
    return {
        "object": "endpoint",
        "id": legacy.endpoint_id,
        "name": legacy.name,
        "display_name": legacy.display_name,
        "model": legacy.model.name,
        "hardware": legacy.config.hardware.v1_id,
        "type": "dedicated",
        "owner": legacy.project.organization.slug,
        "state": state_name(legacy),
        "autoscaling": {
            "min_replicas": legacy.workload.min_replicas,
            "max_replicas": legacy.workload.max_replicas,
        },
        "inactive_timeout": legacy.inactive_timeout_minutes,
        "created_at": format_time(legacy.created_ms),
    }


_LISTED = ("object", "id", "name", "model", "type", "owner", "state", "created_at")


def list_legacy(call: Call) -> Response:
    """Return the whole list; without `type=dedicated` the serverless ones come too."""
    kind = call.query.get("type")
    if kind not in {None, "dedicated", "serverless"}:
        raise bad_request("type must be dedicated or serverless", param="type")
    items = []
    if kind != "serverless" and call.query.get("usage_type") != "reserved":
        for legacy in call.world.legacy.values():
            if legacy.project.organization == call.identity.organization:
                body = _describe(legacy, now_ms=call.now_ms)
                items.append({name: body[name] for name in _LISTED})
    if kind != "dedicated" and call.query.get("usage_type") is None and not call.flag("mine"):
        items += [
            {
                "object": "endpoint",
                "id": f"endpoint-serverless-{zlib.crc32(model.name.encode()):08x}",
                "name": model.name,
                "model": model.name,
                "type": "serverless",
                "owner": "together",
                "state": "STARTED",
                "created_at": "2025-11-08T00:00:00Z",
            }
            for model in call.world.catalogue.models.values()
            if model.serverless_price
        ]
    return json_answer({"object": "list", "data": items})


def _find(call: Call) -> LegacyEndpoint:
    legacy = call.world.legacy.get(call.path["endpoint_id"])
    if legacy is None and call.world.any_id:
        legacy = next(iter(call.world.legacy.values()))
    if legacy is None or legacy.project.organization != call.identity.organization:
        raise not_found("endpoint", call.path["endpoint_id"])
    legacy.workload.advance(call.now_ms)
    return legacy


def read_legacy(call: Call) -> Response:
    return json_answer(_describe(_find(call), now_ms=call.now_ms))


def refuse_create(call: Call) -> Response:
    raise ApiError(
        403, "Creating endpoints on this API version is disabled; use dedicated model inference v2.",
        code=CREATE_DISABLED,
    )  # fmt: skip


def update_legacy(call: Call) -> Response:
    legacy = _find(call)
    if call.world.any_id:
        return json_answer(_describe(legacy, now_ms=call.now_ms))
    fields = call.fields()
    for name in fields.keys() - _UPDATABLE:
        raise bad_request(f'unknown field "{name}"', param=name)
    bounds = _read_bounds(fields.get("autoscaling"))
    idle_minutes = fields.get("inactive_timeout")
    if idle_minutes is not None and (not isinstance(idle_minutes, int) or idle_minutes < 0):
        raise bad_request(
            "inactive_timeout must be minutes, 0 or null to switch it off", param="inactive_timeout"
        )
    state = fields.get("state")
    if state not in {None, "STARTED", "STOPPED"}:
        raise bad_request("state must be STARTED or STOPPED", param="state")
    if state == "STARTED" and legacy.workload.state not in lifecycle.RUNNING | {lifecycle.PROVISIONING}:
        refuse_create(call)
    legacy.workload.note_settings(call.now_ms)
    if "display_name" in fields:
        legacy.display_name = str(fields["display_name"])
    if "inactive_timeout" in fields:
        legacy.inactive_timeout_minutes = idle_minutes or None
        legacy.workload.idle_limit_ms = idle_minutes * MINUTE_MS if idle_minutes else None
    if bounds:
        legacy.workload.min_replicas, legacy.workload.max_replicas = bounds
        legacy.workload.apply_bounds(call.now_ms)
    if state == "STOPPED":
        legacy.workload.stop(call.now_ms, behaviour=call.stop_behaviour())
    return json_answer(_describe(legacy, now_ms=call.now_ms))


def _read_bounds(autoscaling: Any) -> tuple[int, int] | None:
    if autoscaling is None:
        return None
    try:
        low, high = autoscaling["min_replicas"], autoscaling["max_replicas"]
        valid = isinstance(low, int) and isinstance(high, int) and 1 <= low <= high
    except (KeyError, TypeError) as error:
        raise bad_request("autoscaling needs min_replicas and max_replicas", param="autoscaling") from error
    if not valid:
        raise bad_request("autoscaling needs 1 <= min_replicas <= max_replicas", param="autoscaling")
    return low, high


def delete_legacy(call: Call) -> Response:
    legacy = _find(call)
    if not call.world.any_id:
        call.world.remove_legacy(legacy, at_ms=call.now_ms)
    return Response(status_code=204)


def list_hardware(call: Call) -> Response:
    """Return the machines; availability is told only when a model is named."""
    name = call.query.get("model")
    model = call.world.catalogue.by_name.get(name) if name else None
    if name and model is None:
        raise not_found("model", name)
    offered = {config.hardware.name for config in model.configs} if model else None
    items = []
    for hardware in call.world.catalogue.hardware.values():
        if offered is None:
            items.append(_describe_hardware(hardware, call.now_ms))
        elif hardware.name in offered:
            status = ("available", "available", "insufficient", "unavailable")[
                zlib.crc32(f"{hardware.name}{call.now_ms // 3_600_000}".encode()) % 4
            ]
            items.append({**_describe_hardware(hardware, call.now_ms), "availability": {"status": status}})
    return json_answer({"object": "list", "data": items})


def _describe_hardware(hardware: Hardware, now_ms: int) -> dict[str, Any]:
    changed_ms = max(at_ms for at_ms, _ in hardware.per_minute.steps if at_ms <= now_ms)
    return {
        "object": "hardware",
        "id": hardware.v1_id,
        "pricing": {"cents_per_minute": hardware.per_minute.at(now_ms)},
        "specs": {
            "gpu_type": hardware.v1_id.split("_", 2)[2].rpartition("_")[0].replace("_", "-"),
            "gpu_link": "sxm",
            "gpu_memory": hardware.memory_gib,
            "gpu_count": hardware.count,
        },
        "updated_at": format_time(changed_ms),
    }


def list_zones(call: Call) -> Response:
    zones = {region for hardware in call.world.catalogue.hardware.values() for region in hardware.regions}
    return json_answer({"avzones": sorted(zones)})


ROUTES = [
    route("/v1/endpoints", list_legacy),
    route("/v1/endpoints", refuse_create, "POST"),
    route("/v1/endpoints/{endpoint_id}", read_legacy),
    route("/v1/endpoints/{endpoint_id}", update_legacy, "PATCH"),
    route("/v1/endpoints/{endpoint_id}", delete_legacy, "DELETE"),
    route("/v1/hardware", list_hardware),
    route("/v1/clusters/availability-zones", list_zones),
]
