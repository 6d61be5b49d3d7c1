"""Compare the settings that are wanted with those the provider holds, in spite of its spellings. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from dashboard.lifecycle import wants

_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def find_missing(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of wanted settings that the provider holds otherwise; one it does not tell counts as held."""
    return tuple(
        name
        for name, value in wanted.items()
        if name in present and _normalize(name, value) != _normalize(name, present[name])
    )


def read_seconds(text: object) -> float | None:
    """Return the seconds of a duration such as ``300s`` or ``5m30s``; None when it is none."""
    if not isinstance(text, str) or not text:
        return None
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _normalize(name: str, value: Any) -> Any:
    """Return a value that is equal for equal settings: a count or digits, ``300s`` or ``5m``, a split without zeros."""
    if name in wants.WINDOWS:
        return read_seconds(value) or 0.0
    if name == wants.TRAFFIC_SPLIT:
        return {one: float(weight) for one, weight in (value or {}).items() if weight}
    if name == wants.SCALING_METRICS:
        return sorted(
            (str(one.get("name")), str(one.get("type")), float(one.get("target") or 0)) for one in value or ()
        )
    return int(value or 0)
