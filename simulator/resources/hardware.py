"""v2 instance types: the price list of dedicated inference."""

import zlib
from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import Hardware
from simulator.clock import HOUR_MS
from simulator.errors import not_found

#: Room is counted up to here; more is told as "at least".
_MOST_COUNTED = 8
#: Machines of which no further replica fits, and (machine, region) of which nobody knows.
_FULL = frozenset({"8xnvidia-h200-140gb"})
_UNKNOWN = frozenset({("8xnvidia-h100-80gb", "us-central-4b")})


def count_room(hardware: Hardware, region: str, now_ms: int) -> int | None:
    """Return how many further replicas fit now, counted up to eight; None = unknown. It changes by the hour."""
    if (hardware.name, region) in _UNKNOWN:
        return None
    if hardware.name in _FULL:
        return 0
    return zlib.crc32(f"{hardware.name}{region}{now_ms // HOUR_MS}".encode()) % (_MOST_COUNTED + 1)


def _describe_room(room: int) -> dict[str, Any]:
    return {"value": room, "relation": "RELATION_GTE" if room == _MOST_COUNTED else "RELATION_EQ"}


def _describe(hardware: Hardware, now_ms: int) -> dict[str, Any]:
    regions = []
    for name in hardware.regions:
        region: dict[str, Any] = {"name": name}
        room = count_room(hardware, name, now_ms)
        if room is not None:  # compliance overlaps with the rest: part of the same room
            region["headroom"] = _describe_room(room)
            region["compliance"] = [{"policy": {"hipaa": True}, "headroom": _describe_room(room // 2)}]
        regions.append(region)
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
