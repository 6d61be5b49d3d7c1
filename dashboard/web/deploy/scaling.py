"""Autoscaling as people set it and as the provider takes it (contract 3.3). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_VALUE, _UTILIZATION, _AVERAGE = (
    f"METRIC_TARGET_TYPE_{kind}" for kind in ("VALUE", "UTILIZATION", "AVERAGE_VALUE")
)
PERCENTILES = ("p50", "p90", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that the autoscaler knows; `unit` is what the target counts."""

    name: str
    label: str
    unit: str
    target_type: str
    has_percentile: bool = False


METRICS = {
    one.name: one
    for one in (
        Metric("inflight_requests", "Requests in flight", "per replica", _AVERAGE),
        Metric("active_sessions", "Active sessions", "per replica", _AVERAGE),
        Metric("throughput_per_replica", "Throughput", "tokens/s per replica", _AVERAGE),
        Metric("gpu_utilization", "GPU utilisation", "%", _UTILIZATION),
        Metric("token_utilization", "Token utilisation", "%", _UTILIZATION),
        Metric("cache_hit_rate", "Cache hit rate", "%", _UTILIZATION),
        Metric("ttft", "Time to first token", "ms", _VALUE, has_percentile=True),
        Metric("e2e_latency", "Whole answer", "ms", _VALUE, has_percentile=True),
        Metric("decoding_speed", "Decoding speed", "tokens/s", _VALUE, has_percentile=True),
    )
}
MOST_PERCENT = 100.0


def read_metric(name: str, *, target: float, percentile: str = "") -> dict[str, Any]:
    """Return a scaling metric as the provider takes it. KeyError for a metric that is not in METRICS."""
    metric = METRICS[name]
    body: dict[str, Any] = {"name": name, "type": metric.target_type, "target": target}
    if percentile and metric.has_percentile:
        body["percentile"] = percentile
    return body


def write_window(seconds: int) -> str:
    """Return ``300s``, the provider's form of a duration."""
    return f"{seconds}s"


def read_window(text: object) -> int | None:
    """Return the seconds of ``300s`` or ``5m`` or ``1h``, None when it is not told or of another form."""
    if not isinstance(text, str) or len(text) < 2 or not text[:-1].isdecimal():
        return None
    factor = {"s": 1, "m": 60, "h": 3600}.get(text[-1])
    return None if factor is None else int(text[:-1]) * factor


def describe_metrics(autoscaling: Mapping[str, Any]) -> str:
    """Return ``requests in flight, 8 per replica``; empty when the provider's own default holds."""
    words = []
    for body in autoscaling.get("scalingMetrics") or ():
        metric = METRICS.get(str(body.get("name")))
        label = metric.label.lower() if metric else str(body.get("name"))
        target = body.get("target")
        number = f"{target:g}" if isinstance(target, int | float) else str(target)
        percentile = f" ({body['percentile']})" if body.get("percentile") else ""
        words.append(f"{label}{percentile}, {number} {metric.unit if metric else ''}".strip())
    return "; ".join(words)
