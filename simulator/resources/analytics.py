"""Traffic and performance of a v2 endpoint, whole and per bucket. What was not measured is absent, not 0."""

from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, format_time, parse_time
from simulator.errors import bad_request, not_found
from simulator.traffic import NO_USAGE, Usage
from simulator.world import Deployment

GRANULARITIES_MS: Final = {"1m": MINUTE_MS, "1h": HOUR_MS, "1d": DAY_MS}
#: Most buckets of one answer: a month of minutes.
MOST_BUCKETS: Final = 44_640


def _time(call: Call, name: str, default_ms: int) -> int:
    text = call.query.get(name)
    if not text or call.world.any_id:
        return default_ms
    try:
        return parse_time(text)
    except ValueError as error:
        raise bad_request(f"{name} must be an RFC 3339 time", param=name) from error


def read_analytics(call: Call) -> Response:
    endpoint = call.endpoint()
    end_ms = _time(call, "endTime", call.now_ms)
    start_ms = _time(call, "startTime", end_ms - DAY_MS)
    width_ms = GRANULARITIES_MS.get(call.query.get("granularity", "1d"))
    if width_ms is None:
        if not call.world.any_id:
            raise bad_request("granularity must be 1m, 1h or 1d", param="granularity")
        width_ms = DAY_MS
    if start_ms >= end_ms:
        raise bad_request("startTime must be before endTime", param="startTime")
    with_series = bool(call.flag("includeTimeSeries"))
    if with_series and (end_ms - start_ms) // width_ms > MOST_BUCKETS:
        raise bad_request("too many buckets: use a coarser granularity", param="granularity")
    deployments = list(endpoint.deployments.values())
    wanted = call.query.get("deploymentId")
    if wanted and not call.world.any_id:
        deployments = [deployment for deployment in deployments if deployment.deployment_id == wanted]
        if not deployments:
            raise not_found("deployment", wanted)
    for deployment in deployments:
        deployment.workload.advance(call.now_ms)
    until_ms = min(end_ms, call.now_ms)
    parts = [_measure(deployment, start_ms, until_ms) for deployment in deployments]
    time_range = {"startTime": format_time(start_ms), "endTime": format_time(end_ms)}
    body: dict[str, Any] = {
        "endpointId": endpoint.endpoint_id,
        "timeRange": time_range,
        "metrics": {
            "endpointId": endpoint.endpoint_id,
            "timeRange": time_range,
            **_describe(parts, until_ms - start_ms),
            "deploymentMetrics": [
                {
                    "endpointId": endpoint.endpoint_id,
                    "deploymentId": deployment.deployment_id,
                    **_describe([part], until_ms - start_ms),
                }
                for deployment, part in zip(deployments, parts, strict=True)
            ],
        },
        "deploymentAnalytics": [
            {
                "endpointId": endpoint.endpoint_id,
                "deploymentId": deployment.deployment_id,
                "timeRange": time_range,
                "metrics": _describe([part], until_ms - start_ms),
                **(
                    {"timeSeries": _series([deployment], start_ms, until_ms, width_ms)} if with_series else {}
                ),
            }
            for deployment, part in zip(deployments, parts, strict=True)
        ],
    }
    if with_series:
        body["timeSeries"] = _series(deployments, start_ms, until_ms, width_ms)
    return json_answer(body)


def _measure(deployment: Deployment, start_ms: int, end_ms: int) -> tuple[Deployment, int, Usage]:
    """Return the deployment, its ready replica-milliseconds and its traffic."""
    if start_ms >= end_ms:
        return deployment, 0, NO_USAGE
    workload = deployment.workload
    return deployment, workload.count_ready_ms(start_ms, end_ms), workload.count_served(start_ms, end_ms)


def _describe(parts: list[tuple[Deployment, int, Usage]], range_ms: int) -> dict[str, Any]:
    """Return the metric groups; nothing at all where no replica was ready."""
    ready_ms = sum(part[1] for part in parts)
    if not ready_ms:
        return {}
    usage = NO_USAGE
    for _, _, more in parts:
        usage = usage.plus(more)
    seconds = range_ms / SECOND_MS
    good = usage.requests - usage.failed
    by_status = {"200": str(good)}
    if usage.failed:
        by_status["500"] = str(usage.failed)
    metrics: dict[str, Any] = {
        "requestMetrics": {
            "totalRequests": str(usage.requests),
            "successfulRequests": str(good),
            "failedRequests": str(usage.failed),
            "requestsPerSecond": usage.requests / seconds,
            "requestsByStatusCode": by_status,
        },
        "tokenMetrics": {
            "totalInputTokens": str(usage.input_tokens),
            "totalOutputTokens": str(usage.output_tokens),
        },
        "throughputMetrics": {
            "tokensPerSecond": usage.output_tokens / seconds,
            "requestsPerSecond": usage.requests / seconds,
        },
        "resourceUtilization": {"gpuUtilization": _load(parts, ready_ms), "gpuMemoryUtilization": 88.5},
    }
    if usage.requests:
        metrics["tokenMetrics"]["avgInputTokens"] = usage.input_tokens / usage.requests
        metrics["tokenMetrics"]["avgOutputTokens"] = usage.output_tokens / usage.requests
        metrics["latencyMetrics"] = _latencies(parts[0][0], usage)
        metrics["errorMetrics"] = {
            "errorRate": 100 * usage.failed / usage.requests,
            "errorsByType": {"500": str(usage.failed)} if usage.failed else {},
        }
    return metrics


def _load(parts: list[tuple[Deployment, int, Usage]], ready_ms: int) -> float:
    capacity = sum(ms / MINUTE_MS * deployment.workload.replica_capacity for deployment, ms, _ in parts)
    served = sum(usage.requests for _, _, usage in parts)
    return round(min(97.0, 4.0 + 90.0 * served / capacity), 2) if ready_ms and capacity else 0.0


def first_token_ms(deployment: Deployment) -> float:
    """Return the median time to the first token, in milliseconds: larger models take longer."""
    return round(70 + 1.1 * min(deployment.model.billions, 700), 1)


def _latencies(deployment: Deployment, usage: Usage) -> dict[str, float]:
    ttft = first_token_ms(deployment)
    itl = 6 + ttft / 40
    latency = ttft + itl * usage.output_tokens / usage.requests
    spread = {"P50": 1.0, "P90": 1.8, "P99": 3.4}
    return {
        f"{name}{percentile}Ms": round(value * factor, 2)
        for name, value in (("ttft", ttft), ("latency", latency), ("itl", itl))
        for percentile, factor in spread.items()
    }


def _series(deployments: list[Deployment], start_ms: int, end_ms: int, width_ms: int) -> list[dict[str, Any]]:
    """Return one point per bucket in which a replica was ready; buckets begin at multiples of their width."""
    points = []
    bucket_ms = start_ms - start_ms % width_ms
    while bucket_ms < end_ms:
        begin, finish = max(bucket_ms, start_ms), min(bucket_ms + width_ms, end_ms)
        parts = [_measure(deployment, begin, finish) for deployment in deployments]
        if any(ready_ms for _, ready_ms, _ in parts):
            usage = NO_USAGE
            for _, _, more in parts:
                usage = usage.plus(more)
            values = {
                "total_requests": float(usage.requests),
                "failed_requests": float(usage.failed),
                "requests_per_second": usage.requests / ((finish - begin) / SECOND_MS),
                "input_tokens": float(usage.input_tokens),
                "output_tokens": float(usage.output_tokens),
                "tokens_per_second": usage.output_tokens / ((finish - begin) / SECOND_MS),
            }
            if usage.requests:
                values["ttft_p50_ms"] = first_token_ms(deployments[0])
            points.append({"timestamp": format_time(bucket_ms), "values": values})
        bucket_ms += width_ms
    return points


ROUTES = [route("/v2/projects/{project_id}/endpoints/{endpoint_id}/analytics", read_analytics)]
