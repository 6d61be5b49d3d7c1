"""v2 instance types: the price list of dedicated inference."""

import zlib
from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import Hardware
from simulator.clock import HOUR_MS
from simulator.errors import not_found


def _describe(hardware: Hardware, now_ms: int) -> dict[str, Any]:
    regions = []
    for region in hardware.regions:
        room = zlib.crc32(f"{hardware.name}{region}{now_ms // HOUR_MS}".encode()) % 6
        headroom = {"value": room, "relation": "RELATION_GTE" if room >= 4 else "RELATION_EQ"}
        compliance = [
            {"policy": {"hipaa": True}, "headroom": {"value": room // 2, "relation": "RELATION_EQ"}}
        ]
        regions.append({"name": region, "headroom": headroom, "compliance": compliance})
    return {
        "id": hardware.instance_id,
        "name": hardware.name,
        "description": f"{hardware.count}x NVIDIA {hardware.gpu} {hardware.memory_gib} GiB",
        "gpuType": hardware.gpu,
        "gpuCount": hardware.count,
        "gpuMemoryGib": hardware.memory_gib,
        "priceCentsPerHour": int(hardware.hourly.at(now_ms)),
        "regions": regions,
    }


def list_instance_types(call: Call) -> Response:
    """Return the catalogue, which is not paged."""
    types = [_describe(hardware, call.now_ms) for hardware in call.world.catalogue.hardware.values()]
    return json_answer({"object": "list", "data": types, "next_cursor": None})


def read_instance_type(call: Call) -> Response:
    wanted = call.path["instance_id"]
    for hardware in call.world.catalogue.hardware.values():
        if call.world.any_id or wanted in {hardware.instance_id, hardware.name}:
            return json_answer(_describe(hardware, call.now_ms))
    raise not_found("instance type", wanted)


_BASE = "/v2/public/inference-instance-types"
ROUTES = [route(_BASE, list_instance_types), route(f"{_BASE}/{{instance_id}}", read_instance_type)]
