"""Check what people ask for before anything is written: the provider's documented rules, one sentence each. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from dashboard.lifecycle import wants
from dashboard.lifecycle.errors import InvalidBoundsError, InvalidValueError
from dashboard.lifecycle.verdicts.settings import read_seconds

# Names become parts of addresses: what every provider of such names takes. Judged; the provider has the last word.
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
# Contract 3.3.
IDLE_MINUTES: Final = (30, 1440)
METRICS: Final = frozenset(
    {
        "active_sessions", "cache_hit_rate", "decoding_speed", "e2e_latency", "gpu_utilization",
        "inflight_requests", "throughput_per_replica", "token_utilization", "ttft",
    }
)  # fmt: skip
_FIELDS: Final = {
    wants.MIN_REPLICAS: "min_replicas",
    wants.MAX_REPLICAS: "max_replicas",
    "scaleUpWindow": "scale_up_window",
    "scaleDownWindow": "scale_down_window",
    "scaleToZeroWindow": "scale_to_zero_window",
    wants.SCALING_METRICS: "scaling_metrics",
}


def check_bounds(min_replicas: int, max_replicas: int) -> None:
    """Raise InvalidBoundsError for bounds that no running deployment can have."""
    if min_replicas < 1:
        raise InvalidBoundsError(
            "At least one replica is needed; to have none, stop it", field="min_replicas"
        )
    if max_replicas < min_replicas:
        raise InvalidBoundsError("The upper bound lies below the lower one", field="max_replicas")


def check_name(name: str, *, field: str) -> str:
    """Return the name without spaces around it. Raises InvalidValueError."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise InvalidValueError(
            "A name has up to 63 letters, digits, dots, dashes or underscores, and begins and ends with a"
            " letter or digit",
            field=field,
        )
    return name


def check_idle_minutes(minutes: int | None, *, is_v1: bool = False) -> None:
    """Raise InvalidValueError for an idle timeout the provider refuses; v1 takes any number of minutes."""
    if minutes is None or minutes == 0 or (is_v1 and minutes > 0):
        return
    low, high = IDLE_MINUTES
    if not low <= minutes <= high:
        raise InvalidValueError(f"Between {low} and {high} minutes, or 0 for never", field="inactive_timeout")


def check_concurrency(limit: int | None) -> None:
    """Raise InvalidValueError for a limit below one."""
    if limit is not None and limit < 1:
        raise InvalidValueError("At least one request at once", field="max_concurrent")


def check_autoscaling(block: Mapping[str, Any]) -> None:
    """Raise InvalidValueError and InvalidBoundsError for scaling settings that cannot be."""
    unknown = block.keys() - _FIELDS.keys()
    if unknown:
        raise InvalidValueError(f"Unknown setting: {', '.join(sorted(unknown))}")
    if (wants.MIN_REPLICAS in block) != (wants.MAX_REPLICAS in block):
        raise InvalidBoundsError("Both bounds are needed", field="max_replicas")
    if wants.MIN_REPLICAS in block:
        check_bounds(block[wants.MIN_REPLICAS], block[wants.MAX_REPLICAS])
    for name in wants.WINDOWS:
        if name in block and read_seconds(block[name]) is None:
            raise InvalidValueError("A time such as 60s or 5m", field=_FIELDS[name])
    for metric in block.get(wants.SCALING_METRICS) or ():
        target = metric.get("target")
        if metric.get("name") not in METRICS or not isinstance(target, int | float) or target < 0:
            raise InvalidValueError("A metric has a known name and a target", field="scaling_metrics")


def check_weight(weight: float | None, *, field: str) -> None:
    """Raise InvalidValueError for a negative weight."""
    if weight is not None and weight < 0:
        raise InvalidValueError("A weight is 0 or more", field=field)
