"""The events feed of a v2 endpoint, derived from what people did and how the deployments moved."""

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, route
from simulator.clock import format_time, parse_time
from simulator.errors import bad_request
from simulator.identifiers import derive_id
from simulator.lifecycle import Phase
from simulator.paging import cut_page, list_answer
from simulator.world import Action, Deployment, Endpoint

_LEVELS = ("LEVEL_DEBUG", "LEVEL_INFO", "LEVEL_WARN", "LEVEL_ERROR")
_SOURCE_KINDS = ("SOURCE_KIND_ENDPOINT", "SOURCE_KIND_DEPLOYMENT")
Event = dict[str, Any]


def _base(endpoint_id: str, at_ms: int, kind: str, *, level: str = "LEVEL_INFO", **fields: Any) -> Event:
    return {"endpointId": endpoint_id, "type": kind, "level": level, "at_ms": at_ms, **fields}


def _from_action(endpoint_id: str, action: Action, deployment_id: str | None) -> Event:
    event = _base(endpoint_id, action.at_ms, action.kind, message=action.message, source="control-plane")
    if action.name:
        event["name"] = action.name
    if action.paths:
        event["paths"] = list(action.paths)
    if deployment_id:
        event["deploymentId"] = deployment_id
    event["sourceKind"] = _SOURCE_KINDS[1 if deployment_id else 0]
    return event


def deployment_events(deployment: Deployment) -> Iterator[Event]:
    """Yield the events of a deployment, oldest first within each kind; ids do not change as time goes on."""
    for action in deployment.actions:
        yield _from_action(deployment.endpoint_id, action, deployment.deployment_id)
    before: Phase | None = None
    for phase in deployment.workload.timeline:
        yield from _from_phase(deployment, before, phase)
        before = phase


def _from_phase(deployment: Deployment, before: Phase | None, phase: Phase) -> Iterator[Event]:
    here = {"deploymentId": deployment.deployment_id, "sourceKind": _SOURCE_KINDS[1]}
    endpoint_id = deployment.endpoint_id
    desired_before = before.desired if before else 0
    if phase.desired != desired_before and phase.state != lifecycle.FAILED:
        yield _base(
            endpoint_id,
            phase.at_ms,
            "deployment.scaled",
            source="autoscaler" if phase.source == "autoscaler" else phase.source,
            oldReplicas=desired_before,
            newReplicas=phase.desired,
            message=f"Scaled from {desired_before} to {phase.desired}",
            **here,
        )
    if phase.state == lifecycle.FAILED:
        for _attempt in range(2):
            yield _base(
                endpoint_id,
                phase.at_ms,
                "pod.log",
                level="LEVEL_ERROR",
                source="kubelet",
                message=phase.message,
                containerName="engine",
                replicaId=derive_id("rep", deployment.deployment_id, 0),
                logExcerpt="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.",
                **here,
            )
    if before is None or (phase.state, phase.ready) != (before.state, before.ready):
        yield _base(
            endpoint_id,
            phase.at_ms,
            "deployment.status_updated",
            level=_level_of(phase),
            source=phase.source,
            status=f"DEPLOYMENT_STATE_{phase.state}",
            reason=phase.reason,
            message=f"{phase.state}: {phase.message} ({phase.ready}/{phase.desired} ready)",
            **here,
        )
    if before is not None and phase.scheduled > before.scheduled and phase.state == lifecycle.PROVISIONING:
        yield _base(
            endpoint_id,
            phase.at_ms,
            "pod.startup_phase_changed",
            level="LEVEL_DEBUG",
            source="kubelet",
            message="Loading model weights",
            containerName="model-download",
            replicaId=derive_id("rep", deployment.deployment_id, 0),
            **here,
        )


def _level_of(phase: Phase) -> str:
    return {lifecycle.FAILED: "LEVEL_ERROR", lifecycle.DEGRADED: "LEVEL_WARN"}.get(phase.state, "LEVEL_INFO")


def endpoint_events(endpoint: Endpoint, *, now_ms: int) -> list[Event]:
    """Return all events of an endpoint, newest first, with stable ids."""
    events = [_from_action(endpoint.endpoint_id, action, None) for action in endpoint.actions]
    for deployment in endpoint.deployments.values():
        deployment.workload.advance(now_ms)
    for deployment in (*endpoint.deployments.values(), *endpoint.former):
        events.extend(deployment_events(deployment))
    seen: dict[str, int] = {}
    for event in events:
        identity = f"{event['at_ms']}/{event['type']}/{event.get('deploymentId')}"
        seen[identity] = occurrence = seen.get(identity, -1) + 1
        event["id"] = derive_id("evt", endpoint.endpoint_id, identity, occurrence)
    events.sort(key=lambda event: (-event["at_ms"], event["id"]))
    return events


def list_events(call: Call) -> Response:
    endpoint = call.endpoint()
    events = [event for event in endpoint_events(endpoint, now_ms=call.now_ms) if _wanted(call, event)]
    if not call.world.any_id:
        _check_deployments(call, endpoint)
    page, cursor = cut_page(call, events, key=lambda event: (-event["at_ms"], event["id"]), most=10_000)
    return list_answer([_encode(event) for event in page], cursor)


def _encode(event: Event) -> Event:
    shown = {name: value for name, value in event.items() if name != "at_ms"}
    return {**shown, "createdAt": format_time(event["at_ms"])}


def _names(call: Call, name: str) -> frozenset[str] | None:
    text = call.query.get(name)
    return frozenset(text.split(",")) if text else None


def _check_deployments(call: Call, endpoint: Endpoint) -> None:
    known = {deployment.deployment_id for deployment in (*endpoint.deployments.values(), *endpoint.former)}
    for deployment_id in _names(call, "deploymentIds") or ():
        if deployment_id not in known:
            raise bad_request(
                f"deployment {deployment_id} does not belong to the endpoint", param="deploymentIds"
            )


def _wanted(call: Call, event: Event) -> bool:
    if call.world.any_id:
        return True
    deployment_ids = _names(call, "deploymentIds")
    if deployment_ids is not None and event.get("deploymentId") not in deployment_ids:
        return False
    level = call.query.get("minLevel")
    if level is not None:
        if level not in _LEVELS:
            raise bad_request("unknown minLevel", param="minLevel")
        if _LEVELS.index(event["level"]) < _LEVELS.index(level):
            return False
    kinds, types = _names(call, "sourceKinds"), _names(call, "types")
    if (kinds and event["sourceKind"] not in kinds) or (types and event["type"] not in types):
        return False
    subject = call.query.get("subjectId")
    if subject and event.get("subjectId") != subject:
        return False
    since, until = _time(call, "since"), _time(call, "until")
    return (since is None or event["at_ms"] >= since) and (until is None or event["at_ms"] < until)


def _time(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise bad_request(f"{name} must be an RFC 3339 time", param=name) from error


ROUTES = [route("/v2/projects/{project_id}/endpoints/{endpoint_id}/events", list_events)]
