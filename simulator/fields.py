"""Strict reading of v2 request bodies: both spellings, unknown fields refused, types checked."""

import re
from collections.abc import Mapping
from typing import Any

from simulator.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from simulator.errors import bad_request

_UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS}
_POLICY = {"type": str, "value": int, "periodSeconds": int}
_RULES = {"policies": [_POLICY], "selectPolicy": str}
AUTOSCALING = {
    "minReplicas": int,
    "maxReplicas": int,
    "scaleUpWindow": str,
    "scaleDownWindow": str,
    "scaleToZeroWindow": str,
    "scaleUp": _RULES,
    "scaleDown": _RULES,
    "scalingMetrics": [{"name": str, "target": float, "type": str, "percentile": str}],
}
PLACEMENT = {
    "inline": {"regions": [str], "constraint": str, "compliancePolicy": {"hipaa": bool}},
    "profile": str,
}
DEPLOYMENT_CREATE = {
    "name": str,
    "autoscaling": AUTOSCALING,
    "model": str,
    "modelId": str,
    "modelRevisionId": str,
    "config": str,
    "configId": str,
    "placement": PLACEMENT,
    "inactiveTimeout": int,
    "maxConcurrentRequestsPerReplica": "count",
}
DEPLOYMENT_UPDATE = {
    "autoscaling": AUTOSCALING,
    "name": str,
    "inactiveTimeout": int,
    "maxConcurrentRequestsPerReplica": "count",
    "etag": str,
}
ENDPOINT_CREATE = {"name": str, "visibility": str}
ENDPOINT_UPDATE = {
    "name": str,
    "visibility": str,
    "etag": str,
    "trafficSplit": [{"deploymentId": str, "weight": float}],
}
METRIC_NAMES = frozenset(
    {
        "active_sessions",
        "cache_hit_rate",
        "decoding_speed",
        "e2e_latency",
        "gpu_utilization",
        "inflight_requests",
        "throughput_per_replica",
        "token_utilization",
        "ttft",
    }
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


def camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def read_fields(body: Mapping[str, Any], schema: Mapping[str, Any], *, path: str = "") -> dict[str, Any]:
    """Return the body under camelCase names. Raises 400 for an unknown field or a wrong type."""
    result = {}
    for given, value in body.items():
        name = camel_case(given)
        if name not in schema:
            raise bad_request(f'unknown field "{path}{given}"', param=f"{path}{given}")
        if value is not None:
            result[name] = _read_value(value, schema[name], path=f"{path}{name}")
    return result


def _read_value(value: Any, kind: Any, *, path: str) -> Any:
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise bad_request(f'field "{path}" must be a list', param=path)
        return [_read_value(item, kind[0], path=path) for item in value]
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise bad_request(f'field "{path}" must be an object', param=path)
        return read_fields(value, kind, path=f"{path}.")
    if kind == "count":  # int64 travels as digits, numbers are taken too
        if isinstance(value, bool) or not str(value).isdecimal():
            raise bad_request(f'field "{path}" must be a whole number', param=path)
        return int(value)
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise bad_request(f'field "{path}" has the wrong type', param=path)
    return value


def parse_duration(text: str, *, path: str) -> int:
    """Return milliseconds of `"60s"` or `"5m"`. Raises 400."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if match is None:
        raise bad_request(f'invalid duration "{text}"', param=path)
    return round(float(match.group(1)) * _UNITS_MS[match.group(2)])


def check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise bad_request("name must consist of letters, digits, '.', '_' and '-'", param="name")
    return name


def check_inactive_timeout(minutes: int) -> int:
    """Return minutes without a request until the stop, 0 = off. Raises 400 outside 30 to 1440."""
    if minutes and not 30 <= minutes <= 1440:
        raise bad_request("inactiveTimeout must be 0 or between 30 and 1440 minutes", param="inactiveTimeout")
    return minutes


def read_mask(text: str | None) -> list[list[str]] | None:
    """Return the paths of an updateMask in camelCase; None = no mask."""
    if text is None:
        return None
    return [
        [camel_case(part) for part in path.strip().split(".")] for path in text.split(",") if path.strip()
    ]
