"""What the API refuses in autoscaling and placement (contract 3.3 to 3.5, and the SDK's field descriptions)."""

import math
from collections.abc import Mapping
from typing import Any

from simulator.catalogue import Hardware
from simulator.errors import bad_request
from simulator.fields import METRIC_NAMES, parse_duration

_WINDOWS = ("scaleUpWindow", "scaleDownWindow", "scaleToZeroWindow")
_METRIC_TYPES = frozenset(f"METRIC_TARGET_TYPE_{kind}" for kind in ("VALUE", "UTILIZATION", "AVERAGE_VALUE"))
_LATENCY_METRICS = frozenset({"ttft", "decoding_speed", "e2e_latency"})
_PERCENTILES = frozenset({"p50", "p90", "p95", "p99"})
_POLICY_TYPES = frozenset({"SCALING_POLICY_TYPE_PODS", "SCALING_POLICY_TYPE_PERCENT"})
_SELECTORS = frozenset(f"SCALING_POLICY_SELECT_{kind}" for kind in ("MAX", "MIN", "DISABLED"))
_CONSTRAINTS = frozenset({"ENFORCEMENT_REQUIRED", "ENFORCEMENT_PREFERRED"})
_LONGEST_PERIOD_SECONDS = 1800


def check_autoscaling(autoscaling: Mapping[str, Any]) -> None:
    """Raise 400 for bounds, windows, metrics or policies that cannot hold."""
    low, high = autoscaling["minReplicas"], autoscaling["maxReplicas"]
    if low < 0 or high < low:
        raise bad_request(
            "autoscaling.maxReplicas must be at least autoscaling.minReplicas", param="autoscaling"
        )
    if low == 0 and high > 0:
        raise bad_request(
            "autoscaling.minReplicas must be at least 1 when maxReplicas is greater than 0;"
            " set both to 0 to stop the deployment",
            param="autoscaling.minReplicas",
        )
    for name in _WINDOWS:
        if name in autoscaling:
            parse_duration(autoscaling[name], path=f"autoscaling.{name}")
    for metric in autoscaling.get("scalingMetrics", ()):
        _check_metric(metric)
    for direction in ("scaleUp", "scaleDown"):
        _check_rules(autoscaling.get(direction, {}), path=f"autoscaling.{direction}")


def _check_metric(metric: Mapping[str, Any]) -> None:
    path = "autoscaling.scalingMetrics"
    if metric.get("name") not in METRIC_NAMES or metric.get("type") not in _METRIC_TYPES:
        raise bad_request("unknown scaling metric", param=path)
    target = metric.get("target")
    if target is None or not math.isfinite(target) or target < 0:
        raise bad_request("a scaling metric needs a target that is not negative", param=path)
    if metric["type"].endswith("UTILIZATION") and target > 100:
        raise bad_request("a utilization target lies between 0 and 100", param=path)
    if "percentile" in metric and (
        metric["percentile"] not in _PERCENTILES or metric["name"] not in _LATENCY_METRICS
    ):
        raise bad_request("a percentile is p50, p90, p95 or p99, of a latency metric", param=path)


def _check_rules(rules: Mapping[str, Any], *, path: str) -> None:
    if rules.get("selectPolicy", "SCALING_POLICY_SELECT_MAX") not in _SELECTORS:
        raise bad_request("unknown selectPolicy", param=f"{path}.selectPolicy")
    for policy in rules.get("policies", ()):
        if policy.get("type") not in _POLICY_TYPES:
            raise bad_request("unknown scaling policy type", param=f"{path}.policies")
        if policy.get("value", 0) < 1:
            raise bad_request("a scaling policy needs a positive value", param=f"{path}.policies")
        if not 1 <= policy.get("periodSeconds", 0) <= _LONGEST_PERIOD_SECONDS:
            raise bad_request("periodSeconds lies between 1 and 1800", param=f"{path}.policies")


def check_placement(
    placement: Mapping[str, Any], *, hardware: Hardware, regions: frozenset[str], profile_ids: frozenset[str]
) -> None:
    """Raise 400 for a placement that names what is not there. `regions`: all that the provider has."""
    if len(placement) != 1:
        raise bad_request("placement is either inline or a profile", param="placement")
    if "profile" in placement:
        if placement["profile"] not in profile_ids:
            raise bad_request(
                f"placement profile {placement['profile']} not found", param="placement.profile"
            )
        return
    inline = placement["inline"]
    wanted = inline.get("regions", [])
    for region in wanted:
        if region not in regions:
            raise bad_request(f"unknown region {region}", param="placement.inline.regions")
    if inline.get("constraint", "ENFORCEMENT_REQUIRED") not in _CONSTRAINTS:
        raise bad_request("unknown constraint", param="placement.inline.constraint")
    if wanted and is_required(placement) and not set(wanted) & set(hardware.regions):
        raise bad_request(
            f"{hardware.name} is not offered in {', '.join(wanted)}", param="placement.inline.regions"
        )


def is_required(placement: Mapping[str, Any]) -> bool:
    """Tell whether a placement's regions are the only ones; left open they are."""
    inline = placement.get("inline", {})
    return bool(inline.get("regions")) and inline.get("constraint") != "ENFORCEMENT_PREFERRED"


def merge_autoscaling(present: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings after a write: None resets a field, rules of one direction are merged by field."""
    merged = dict(present)
    for name, value in changes.items():
        if name in {"scaleUp", "scaleDown"} and value is not None:
            rules = {**merged.get(name, {}), **value}
            rules = {key: item for key, item in rules.items() if item is not None}
            value = rules or None
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged
