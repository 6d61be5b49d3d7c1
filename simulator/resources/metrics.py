"""The Prometheus endpoint of an organisation: counters of v2 deployments with recent traffic, else an empty body."""

from collections.abc import Iterator
from typing import Final

from starlette.responses import Response

from simulator.call import Call, route
from simulator.clock import HOUR_MS, MINUTE_MS
from simulator.errors import ApiError
from simulator.identifiers import derive_id
from simulator.resources.analytics import first_token_ms
from simulator.traffic import Usage
from simulator.world import Deployment, World

RECENT_MS: Final = 15 * MINUTE_MS
#: Replicas are replaced this often, at a time of their own per deployment; counters begin at 0 then.
POD_LIFE_MS: Final = 6 * HOUR_MS
_STREAMED_PERCENT = 60
#: Histograms and per-replica series are told of organisations with at most this many deployments (size of the body).
MOST_DETAILED: Final = 200
#: Upper bounds as multiples of the median, and the percentage of requests below each.
_SPREAD = ((0.5, 8), (1.0, 50), (2.0, 91), (4.0, 99))

_HELP: Final = {
    "edge_inference_requests_total": ("counter", "Requests at the edge"),
    "edge_inference_request_duration_ms": ("histogram", "Request duration in milliseconds"),
    "edge_inference_ttft_ms": ("histogram", "Time to first token in milliseconds"),
    "edge_inference_inflight_requests": ("gauge", "Requests in flight at the edge"),
    "router_inference_requests_total": ("counter", "Requests at the router"),
    "router_inference_request_duration_seconds": ("histogram", "Request duration in seconds"),
    "router_inference_ttft_seconds": ("histogram", "Time to first token in seconds"),
    "router_inference_inflight_requests": ("gauge", "Requests in flight at the router"),
    "router_token_count": ("counter", "Tokens seen by the router"),
    "worker_inference_request_total": ("counter", "Requests per replica"),
    "worker_token_total": ("counter", "Tokens per replica"),
    "worker_engine_kv_cache_utilization": ("gauge", "Share of the KV cache in use, 0 to 1"),
    "worker_engine_cache_hit_rate": ("gauge", "Prefix cache hit rate, 0 to 1"),
}
Labels = dict[str, str]
Sample = tuple[str, str, Labels, float]  # family, suffix, labels, value


def pod_start_ms(deployment: Deployment, now_ms: int) -> int:
    """Return when the present replicas came up: the start, or their last replacement."""
    offset_ms = deployment.workload.traffic.key % POD_LIFE_MS
    replaced_ms = now_ms - (now_ms - offset_ms) % POD_LIFE_MS
    return max(deployment.workload.ready_since_ms(), replaced_ms)


def expose_metrics(call: Call) -> Response:
    organization = call.identity.organization
    call.check_organization(call.path["organization_id"])
    if not call.world.metrics_enabled:
        raise ApiError(404, "metrics are not enabled for this organization", code="not_found")
    families: dict[str, list[str]] = {}
    for deployment in call.world.deployments.values():
        if deployment.project.organization != organization:
            continue
        for family, suffix, labels, value in _sample(call.world, deployment, call.now_ms):
            text = ",".join(f'{name}="{label}"' for name, label in labels.items())
            families.setdefault(family, []).append(f"{family}{suffix}{{{text}}} {value:.10g}")
    lines = []
    for family, samples in families.items():
        kind, text = _HELP[family]
        lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}", *samples]
    body = "\n".join(lines) + "\n" if lines else ""
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")


def _sample(world: World, deployment: Deployment, now_ms: int) -> Iterator[Sample]:
    """Yield the samples of one deployment; none without a ready replica or a recent request."""
    workload = deployment.workload
    workload.advance(now_ms)
    if not workload.present.ready:
        return
    since_ms = pod_start_ms(deployment, now_ms)
    if not workload.count_served(max(since_ms, now_ms - RECENT_MS), now_ms).requests:
        return
    usage = workload.count_served(since_ms, now_ms)
    labels = _labels(world, deployment)
    yield from _counters(labels, usage)
    if len(world.deployments) <= MOST_DETAILED:
        yield from _performance(labels, deployment, usage)
        yield from _replicas(labels, deployment, usage)


def _labels(world: World, deployment: Deployment) -> Labels:
    endpoint = world.endpoints[deployment.endpoint_id]
    organization_id = deployment.project.organization.organization_id
    return {
        "owner_organization_id": organization_id,
        "owner_project_id": deployment.project.project_id,
        "endpoint_id": endpoint.endpoint_id,
        "endpoint_name": endpoint.name,
        "deployment_id": deployment.deployment_id,
        "deployment_name": deployment.name,
        "deployment_service_id": derive_id("svc", deployment.deployment_id),
        "model": deployment.model.name,
        "model_id": deployment.model.model_id,
        "deployment_region": deployment.config.hardware.regions[0],
        "requester_organization_id": organization_id,
    }


def _split(amount: int) -> tuple[tuple[str, int], tuple[str, int]]:
    streamed = amount * _STREAMED_PERCENT // 100
    return ("true", streamed), ("false", amount - streamed)


def _at_edge(labels: Labels) -> Labels:
    return {**labels, "edge_region": labels["deployment_region"], "path": "/v1/chat/completions"}


def _counters(labels: Labels, usage: Usage) -> Iterator[Sample]:
    here = _at_edge(labels)
    for status, count in (("200", usage.requests - usage.failed), ("500", usage.failed)):
        if status == "500" and not count:
            continue
        for streaming, part in _split(count):
            coded = {**here, "status_code": status, "is_streaming": streaming}
            yield "edge_inference_requests_total", "", coded, part
            yield "router_inference_requests_total", "", coded, part
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        yield "router_token_count", "", {**here, "token_type": kind}, tokens


def _performance(labels: Labels, deployment: Deployment, usage: Usage) -> Iterator[Sample]:
    here = _at_edge(labels)
    ttft_ms = first_token_ms(deployment)
    duration_ms = ttft_ms + 9.0 * usage.output_tokens / max(1, usage.requests)
    count = usage.requests
    yield from _histogram("edge_inference_ttft_ms", here, count, ttft_ms)
    yield from _histogram("edge_inference_request_duration_ms", here, count, duration_ms)
    yield from _histogram("router_inference_ttft_seconds", here, count, ttft_ms / 1000)
    yield from _histogram("router_inference_request_duration_seconds", here, count, duration_ms / 1000)
    inflight = deployment.workload.present.ready
    yield "edge_inference_inflight_requests", "", here, inflight
    yield "router_inference_inflight_requests", "", here, inflight


def _histogram(family: str, labels: Labels, count: int, median: float) -> Iterator[Sample]:
    # Bounds do not depend on traffic: a bucket that changed its bound would be another series.
    base = 50.0 if family.endswith("_ms") else 0.05
    bounds = [base * 4**power for power in range(5)]
    for bound in bounds:
        below = max((share for factor, share in _SPREAD if median * factor <= bound), default=0)
        yield family, "_bucket", {**labels, "le": f"{bound:g}"}, count * below // 100
    yield family, "_bucket", {**labels, "le": "+Inf"}, count
    yield family, "_sum", labels, count * median * 1.2
    yield family, "_count", labels, count


def _replicas(labels: Labels, deployment: Deployment, usage: Usage) -> Iterator[Sample]:
    ready = deployment.workload.present.ready
    for number in range(ready):
        replica = {**labels, "replica_id": derive_id("rep", deployment.deployment_id, number)}
        share = Usage(*(amount // ready + (1 if number < amount % ready else 0) for amount in usage))
        yield "worker_inference_request_total", "", replica, share.requests
        yield "worker_token_total", "", {**replica, "token_type": "input"}, share.input_tokens
        yield "worker_token_total", "", {**replica, "token_type": "output"}, share.output_tokens
        yield "worker_engine_kv_cache_utilization", "", replica, 0.42
        yield "worker_engine_cache_hit_rate", "", replica, 0.31


ROUTES = [route("/organizations/{organization_id}/metrics", expose_metrics)]
