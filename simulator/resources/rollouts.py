"""v2 rollouts: traffic goes from one deployment of an endpoint to another."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.clock import MINUTE_MS, format_time
from simulator.errors import GatewayError, bad_request, not_found
from simulator.experiments import Rollout
from simulator.fields import parse_duration, read_fields
from simulator.paging import cut_page, list_answer
from simulator.resources.endpoints import check_etag
from simulator.rollout_progress import complete_rollout, start_rollout
from simulator.world import Deployment, Endpoint

_CHECKS = {
    "thresholdCheck": {"operator": str, "value": float},
    "regressionCheck": {"direction": str, "maxRegressionPercent": float},
}
_SPEC = {
    "sourceDeploymentId": str,
    "targetDeploymentId": str,
    "blueGreen": {},
    "rolling": {},
    "canary": {"stepInterval": str, "steps": [{"traffic": int, "replicas": int}]},
    "finalSourceReplicas": int,
    "finalTargetReplicas": int,
    "metrics": [{"name": str, "percentile": int, "stat": str, "window": str, **_CHECKS}],
}
_METRICS = frozenset({"inflight_requests", "router_error_rate", "router_latency"})
_LADDER = [5, 25, 50, 100]
_INTERVAL_MS = 3 * MINUTE_MS
_STRATEGIES = {"canary": "CANARY", "blueGreen": "BLUE_GREEN", "rolling": "ROLLING"}


def _strategy(spec: dict[str, Any]) -> str:
    return next((name for name in _STRATEGIES if name in spec), "canary")


def _describe(rollout: Rollout) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": rollout.rider_id,
        "endpointId": rollout.endpoint_id,
        "sourceDeploymentId": rollout.source_id,
        "targetDeploymentId": rollout.target_id,
        "strategy": f"ROLLOUT_STRATEGY_TYPE_{_STRATEGIES[_strategy(rollout.spec)]}",
        "state": f"ROLLOUT_STATE_{rollout.state}",
        "status": {
            "totalSteps": len(rollout.steps),
            "updatedAt": format_time(rollout.updated_ms),
            "steps": [_describe_step(rollout, number) for number in range(len(rollout.steps))],
        },
        "etag": rollout.etag,
        "createdAt": format_time(rollout.created_ms),
    }
    if rollout.started_ms is not None:
        body["startedAt"] = format_time(rollout.started_ms)
        body["currentStep"] = rollout.step
        body["currentTrafficPercent"] = rollout.steps[rollout.step]
    if rollout.completed_ms is not None:
        body["completedAt"] = format_time(rollout.completed_ms)
    if rollout.state == "PAUSED" and rollout.paused_ms is not None:
        body["pauseInfo"] = {"pausedAt": format_time(rollout.paused_ms)}
        if rollout.pause_reason:
            body["pauseInfo"]["reason"] = rollout.pause_reason
    return body


def _describe_step(rollout: Rollout, number: int) -> dict[str, Any]:
    state = "PENDING"
    if rollout.started_ms is not None:
        if rollout.state == "COMPLETED" or number < rollout.step:
            state = "PASSED"
        elif number == rollout.step:
            state = rollout.state
    return {
        "stepIndex": number,
        "targetTrafficPercent": rollout.steps[number],
        "state": f"ROLLOUT_STEP_STATE_{state}",
    }


def _find(call: Call) -> tuple[Endpoint, Rollout]:
    endpoint = call.endpoint()
    if call.world.any_id:
        deployment_id = next(iter(endpoint.deployments))
        spec = {"sourceDeploymentId": deployment_id, "targetDeploymentId": deployment_id}
        stamp = (endpoint.endpoint_id, call.identity.api_key_id, call.now_ms, call.now_ms)
        return endpoint, Rollout("rol_any", *stamp, spec, _LADDER, _INTERVAL_MS)
    rollout = call.world.experiments.rollouts.get(call.path["rollout_id"])
    if rollout is None or rollout.endpoint_id != endpoint.endpoint_id:
        raise not_found("rollout", call.path["rollout_id"])
    return endpoint, rollout


def _read_spec(call: Call, endpoint: Endpoint) -> tuple[dict[str, Any], Deployment, Deployment]:
    """Return the body and the two deployments. Raises 400."""
    spec = read_fields(call.fields(), _SPEC)
    found = []
    for name in ("sourceDeploymentId", "targetDeploymentId"):
        deployment = endpoint.deployments.get(spec.get(name, ""))
        if deployment is None:
            raise bad_request(f"{name} must be a deployment of the endpoint", param=name)
        deployment.workload.advance(call.now_ms)
        found.append(deployment)
    if found[0] is found[1]:
        raise bad_request("source and target must differ", param="targetDeploymentId")
    if sum(name in spec for name in _STRATEGIES) > 1:
        raise bad_request("only one strategy can be chosen", param="canary")
    if spec.get("finalTargetReplicas", 1) < 1 or spec.get("finalSourceReplicas", 0) < 0:
        raise bad_request("finalTargetReplicas must be at least 1", param="finalTargetReplicas")
    steps = [step.get("traffic", 0) for step in spec.get("canary", {}).get("steps", ())]
    if steps and (steps != sorted(set(steps)) or steps[0] < 1 or steps[-1] != 100):
        raise bad_request("steps must increase and end at 100 percent", param="canary.steps")
    if "stepInterval" in spec.get("canary", {}) and not parse_duration(
        spec["canary"]["stepInterval"], path="canary.stepInterval"
    ):
        raise bad_request("stepInterval must be positive", param="canary.stepInterval")
    if spec.get("metrics") and _strategy(spec) != "canary":
        raise bad_request("metric gates are for canary rollouts only", param="metrics")
    if any(rule.get("name") not in _METRICS for rule in spec.get("metrics", ())):
        raise bad_request("unknown metric", param="metrics")
    return spec, found[0], found[1]


def _plan_steps(spec: dict[str, Any]) -> list[int]:
    given = [step["traffic"] for step in spec.get("canary", {}).get("steps", ())]
    return given or {"canary": _LADDER, "blueGreen": [100], "rolling": [25, 50, 75, 100]}[_strategy(spec)]


def list_rollouts(call: Call) -> Response:
    endpoint = call.endpoint()
    wanted = None if call.world.any_id else call.query.get("filter")
    if wanted not in {None, "ROLLOUT_FILTER_ACTIVE", "ROLLOUT_FILTER_TERMINAL"}:
        raise bad_request("invalid filter expression", param="filter")
    found = [
        rollout
        for rollout in call.world.experiments.rollouts.of(endpoint.endpoint_id)
        if wanted is None or rollout.is_active == (wanted == "ROLLOUT_FILTER_ACTIVE")
    ]
    page, cursor = cut_page(call, found, key=lambda item: (item.created_ms, item.rider_id))
    return list_answer([_describe(item) for item in page], cursor)


def create_rollout(call: Call) -> Response:
    endpoint = call.endpoint()
    if call.world.any_id:
        return read_rollout(call)
    spec, _, _ = _read_spec(call, endpoint)
    if call.world.experiments.active_rollout(endpoint.endpoint_id) is not None:
        raise GatewayError(409, "the endpoint has an active rollout")
    interval = spec.get("canary", {}).get("stepInterval")
    interval_ms = parse_duration(interval, path="canary.stepInterval") if interval else _INTERVAL_MS
    rollout = Rollout(
        spec=spec,
        steps=_plan_steps(spec),
        interval_ms=max(1, round(interval_ms / call.world.speed)),
        rider_id=call.world.new_id("rol"),
        endpoint_id=endpoint.endpoint_id,
        created_by=call.identity.api_key_id,
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
    )
    call.world.experiments.rollouts[rollout.rider_id] = rollout
    endpoint.payload_until_ms = 0
    return json_answer(_describe(rollout))


def preview_defaults(call: Call) -> Response:
    """Return what a create would make of the body, and what stands in its way. Nothing is written."""
    endpoint = call.endpoint()
    if call.world.any_id:
        source = target = next(iter(endpoint.deployments.values()))
        spec: dict[str, Any] = {
            "sourceDeploymentId": source.deployment_id,
            "targetDeploymentId": source.deployment_id,
        }
    else:
        spec, source, target = _read_spec(call, endpoint)
    spec.setdefault("finalSourceReplicas", 0)
    spec.setdefault("finalTargetReplicas", max(1, source.workload.min_replicas))
    problem = _find_obstacle(endpoint, source, target)
    warnings = [{"code": "START_WILL_REJECT", "message": problem}] if problem else []
    given = spec.get("canary", {}).get("steps")
    return json_answer(
        {
            "spec": spec,
            "sourceReplicas": source.workload.present.ready,
            "targetReplicas": target.workload.present.ready,
            "targetMinReplicas": target.workload.min_replicas,
            "targetMaxReplicas": target.workload.max_replicas,
            "estimatedEffectiveSteps": [] if given else [{"traffic": one} for one in _plan_steps(spec)],
            "frozenPair": {one for one, _ in endpoint.traffic_split}
            >= {source.deployment_id, target.deployment_id},
            "warnings": warnings,
        }
    )


def _find_obstacle(endpoint: Endpoint, source: Deployment, target: Deployment) -> str | None:
    """Return why a rollout cannot start; None = it can."""
    if not any(one == source.deployment_id and weight > 0 for one, weight in endpoint.traffic_split):
        return "the source has no live traffic"
    if target.workload.state not in lifecycle.RUNNING:
        return "the target is not ready"
    return None


def read_rollout(call: Call) -> Response:
    return json_answer(_describe(_find(call)[1]))


def delete_rollout(call: Call) -> Response:
    endpoint, rollout = _find(call)
    if call.world.any_id:
        return json_answer({})
    check_etag(call, call.query.get("etag"), rollout.etag)
    if rollout.is_active and rollout.state != "PENDING":
        raise bad_request("a running rollout cannot be deleted; cancel it first")
    del call.world.experiments.rollouts[rollout.rider_id]
    endpoint.payload_until_ms = 0
    return json_answer({})


def _command(states: set[str], apply: Callable[[Call, Endpoint, Rollout, dict[str, Any]], None]) -> Any:
    """Return a handler that checks state and etag and lets `apply` change the rollout."""

    def answer(call: Call) -> Response:
        endpoint, rollout = _find(call)
        if call.world.any_id:
            return json_answer(_describe(rollout))
        fields = read_fields(call.body or {}, {"etag": str, "reason": str, "disposition": str})
        check_etag(call, fields.get("etag"), rollout.etag)
        if rollout.state not in states:
            raise bad_request(f"the rollout is {rollout.state}")
        apply(call, endpoint, rollout, fields)
        rollout.touch(call.now_ms)
        endpoint.payload_until_ms = 0
        return json_answer(_describe(rollout))

    answer.__name__ = apply.__name__
    return answer


def start(call: Call, endpoint: Endpoint, rollout: Rollout, fields: dict[str, Any]) -> None:
    source, target = (endpoint.deployments.get(one) for one in (rollout.source_id, rollout.target_id))
    if source is None or target is None:
        raise bad_request("a deployment of the rollout is gone")
    if problem := _find_obstacle(endpoint, source, target):
        raise bad_request(problem)
    start_rollout(call.world, rollout, call.now_ms)


def pause(call: Call, endpoint: Endpoint, rollout: Rollout, fields: dict[str, Any]) -> None:
    rollout.state, rollout.paused_ms = "PAUSED", call.now_ms
    rollout.pause_reason = fields.get("reason")


def resume(call: Call, endpoint: Endpoint, rollout: Rollout, fields: dict[str, Any]) -> None:
    rollout.state = "RUNNING"
    rollout.next_ms += call.now_ms - (rollout.paused_ms or call.now_ms)


def promote(call: Call, endpoint: Endpoint, rollout: Rollout, fields: dict[str, Any]) -> None:
    complete_rollout(call.world, rollout, call.now_ms)


def cancel(call: Call, endpoint: Endpoint, rollout: Rollout, fields: dict[str, Any]) -> None:
    """End it where it stands; the traffic stays as it is split."""
    if not fields.get("reason"):
        raise bad_request("reason is required", param="reason")
    if fields.get("disposition", "CANCEL_DISPOSITION_FREEZE") != "CANCEL_DISPOSITION_FREEZE":
        raise bad_request("only CANCEL_DISPOSITION_FREEZE is supported", param="disposition")
    rollout.state, rollout.completed_ms = "CANCELED", call.now_ms
    rollout.cancel_reason = fields["reason"]


_BASE = "/v2/projects/{project_id}/endpoints/{endpoint_id}/rollouts"
_ONE = f"{_BASE}/{{rollout_id}}"
ROUTES = [
    route(_BASE, list_rollouts),
    route(_BASE, create_rollout, "POST"),
    route(f"{_BASE}/preview-defaults", preview_defaults, "POST"),
    route(_ONE, read_rollout),
    route(_ONE, delete_rollout, "DELETE"),
    route(f"{_ONE}/start", _command({"PENDING"}, start), "POST"),
    route(f"{_ONE}/pause", _command({"RUNNING"}, pause), "POST"),
    route(f"{_ONE}/resume", _command({"PAUSED"}, resume), "POST"),
    route(f"{_ONE}/promote", _command({"RUNNING", "PAUSED"}, promote), "POST"),
    route(f"{_ONE}/cancel", _command({"PENDING", "RUNNING", "PAUSED"}, cancel), "POST"),
]
