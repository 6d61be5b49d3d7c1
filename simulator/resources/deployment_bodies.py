"""Bodies of v2 endpoints and deployments as the contract shows them."""

from typing import Any

import orjson

from simulator.clock import format_time
from simulator.scaling_rules import is_required
from simulator.world import Deployment, Endpoint, World

STATE_PREFIX = "DEPLOYMENT_STATE_"
SUMMARIES_PER_ENDPOINT = 10


def traffic_shares(endpoint: Endpoint, *, now_ms: int) -> dict[str, float]:
    """Return the estimated share of live traffic per deployment id: a weight counts for each ready replica."""
    for deployment in endpoint.deployments.values():
        deployment.workload.advance(now_ms)
    weights = {
        deployment_id: weight * endpoint.deployments[deployment_id].workload.present.ready
        for deployment_id, weight in endpoint.traffic_split
        if endpoint.deployments[deployment_id].workload.present.ready
    }
    total = sum(weights.values())
    return {deployment_id: weight / total for deployment_id, weight in weights.items()} if total else {}


def encode_endpoint(world: World, endpoint: Endpoint, *, now_ms: int) -> bytes:
    """Return the JSON of an endpoint; encoded anew only after a write or when a deployment moved by itself."""
    if now_ms >= endpoint.payload_until_ms:
        body = describe_endpoint(endpoint, now_ms=now_ms)
        rollout = world.experiments.active_rollout(endpoint.endpoint_id)
        if rollout is not None:
            body["activeRolloutId"] = rollout.rider_id
        endpoint.payload = orjson.dumps(body)
        endpoint.payload_until_ms = min(
            (deployment.workload.next_change_ms() for deployment in endpoint.deployments.values()),
            default=1 << 62,
        )
    return endpoint.payload


def describe_endpoint(endpoint: Endpoint, *, now_ms: int) -> dict[str, Any]:
    shares = traffic_shares(endpoint, now_ms=now_ms)
    newest = sorted(
        endpoint.deployments.values(), key=lambda d: (d.created_ms, d.deployment_id), reverse=True
    )
    return {
        "id": endpoint.endpoint_id,
        "projectId": endpoint.project.project_id,
        "name": endpoint.name,
        "endpointType": "ENDPOINT_TYPE_DEDICATED",
        "visibility": endpoint.visibility,
        "etag": endpoint.etag,
        "createdAt": format_time(endpoint.created_ms),
        "updatedAt": format_time(endpoint.updated_ms),
        "trafficSplit": [
            {"deploymentId": deployment_id, "weight": weight}
            for deployment_id, weight in endpoint.traffic_split
        ],
        "deployments": [
            _summarize_deployment(deployment, shares.get(deployment.deployment_id, 0.0))
            for deployment in newest[:SUMMARIES_PER_ENDPOINT]
        ],
    }


def _model_path(deployment: Deployment) -> str:
    return f"{deployment.model.path}/revisions/{deployment.model.revision_id}"


def _describe_autoscaling(deployment: Deployment) -> dict[str, Any]:
    workload = deployment.workload
    bounds = {"minReplicas": workload.min_replicas, "maxReplicas": workload.max_replicas}
    return {**deployment.autoscaling, **bounds}


def _summarize_deployment(deployment: Deployment, share: float) -> dict[str, Any]:
    present = deployment.workload.present
    return {
        "id": deployment.deployment_id,
        "name": deployment.name,
        "state": STATE_PREFIX + present.state,
        "model": _model_path(deployment),
        "modelId": deployment.model.model_id,
        "hardware": deployment.config.hardware.name,
        "trafficMode": deployment.traffic_mode,
        "estimatedEffectiveTrafficShare": share,
        "desiredReplicas": present.desired,
        "readyReplicas": present.ready,
        "autoscaling": _describe_autoscaling(deployment),
        "createdAt": format_time(deployment.created_ms),
    }


def describe_deployment(deployment: Deployment, *, share: float, now_ms: int) -> dict[str, Any]:
    """Return the full body of a deployment; `share` is its estimated part of live traffic, 0 to 1."""
    deployment.workload.advance(now_ms)
    present = deployment.workload.present
    config = deployment.config
    body: dict[str, Any] = {
        "id": deployment.deployment_id,
        "projectId": deployment.project.project_id,
        "endpointId": deployment.endpoint_id,
        "name": deployment.name,
        "etag": deployment.etag,
        "model": _model_path(deployment),
        "modelId": deployment.model.model_id,
        "modelRevisionId": deployment.model.revision_id,
        "config": f"projects/{_config_project(deployment)}/configs/{config.config_id}",
        "configId": config.config_id,
        "hardware": config.hardware.name,
        "autoscaling": {"scaleDownWindow": "300s", **_describe_autoscaling(deployment)},
        "trafficMode": deployment.traffic_mode,
        "desiredReplicas": present.desired,
        "estimatedEffectiveTrafficShare": share,
        "maxConcurrentRequestsPerReplica": str(deployment.max_concurrent),
        "runtimeInfo": {
            "engineType": "vllm",
            "engineVersion": "0.11.2",
            "functionCallingSupported": True,
            "structuredOutputSupported": True,
        },
        "status": _describe_status(deployment),
        "createdAt": format_time(deployment.created_ms),
        "updatedAt": format_time(deployment.updated_ms),
    }
    if deployment.inactive_timeout_minutes is not None:
        body["inactiveTimeout"] = deployment.inactive_timeout_minutes
    if deployment.placement is not None:
        body["placement"] = deployment.placement
    return body


def _config_project(deployment: Deployment) -> str:
    """Return the project that owns the config: the public one, as private models run on their base's configs."""
    return "proj_together" if deployment.model.base_model_id else deployment.model.project_id


def _allowed_regions(deployment: Deployment) -> tuple[str, ...]:
    """Return where replicas may run: the machine's regions, cut to those that the placement requires."""
    regions, placement = deployment.config.hardware.regions, deployment.placement or {}
    if not is_required(placement):
        return regions
    return tuple(region for region in regions if region in placement["inline"]["regions"])


def _describe_status(deployment: Deployment) -> dict[str, Any]:
    present = deployment.workload.present
    regions = _allowed_regions(deployment)
    status: dict[str, Any] = {
        "state": STATE_PREFIX + present.state,
        "message": present.message,
        "readyReplicas": present.ready,
        "scheduledReplicas": present.scheduled,
    }
    if present.scheduled:
        split = []
        for index, region in enumerate(regions):  # spread over the regions, the first one takes the rest
            scheduled = len(range(index, present.scheduled, len(regions)))
            ready = len(range(index, present.ready, len(regions)))
            if scheduled:
                split.append({"region": region, "readyReplicas": ready, "scheduledReplicas": scheduled})
        status["details"] = {"region": sorted(split, key=lambda part: str(part["region"]))}
    return status
