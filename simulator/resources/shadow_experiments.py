"""v2 shadow experiments: a sample of the requests is copied to deployments that answer nobody."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.experiments import ShadowExperiment, ShadowTarget
from simulator.fields import parse_duration, read_fields, read_mask
from simulator.paging import cut_page, list_answer
from simulator.resources.ab_experiments import check_title
from simulator.resources.endpoints import check_etag
from simulator.world import Endpoint

_SAMPLING: dict[str, dict[str, Any]] = {
    "uniform": {"rate": float},
    "keyBased": {"key": str, "rate": float},
    "adaptiveUniform": {"targetQps": float, "window": str},
    "adaptiveKeyBased": {"key": str, "targetQps": float, "window": str},
}
_SOURCE = {"endpoint": {"sampling": _SAMPLING}}
_TARGET = {"name": str, "description": str, "targetDeploymentId": str}
_CREATE = {"name": str, "description": str, "source": _SOURCE, "targets": [_TARGET]}
_UPDATE = {"description": str, "source": _SOURCE, "etag": str}
_TARGET_UPDATE = {**_TARGET, "etag": str}
_MOST_TARGETS = 100


def _describe(endpoint: Endpoint, experiment: ShadowExperiment) -> dict[str, Any]:
    state = "ACTIVE" if experiment.targets else "INACTIVE"
    return {
        "id": experiment.rider_id,
        "projectId": endpoint.project.project_id,
        "endpointId": endpoint.endpoint_id,
        "name": experiment.name,
        "source": experiment.source,
        "state": f"SHADOW_EXPERIMENT_STATE_{state}",
        "targets": [_describe_target(experiment, target) for target in experiment.targets.values()],
        "etag": experiment.etag,
        "createdBy": experiment.created_by,
        "createdAt": format_time(experiment.created_ms),
        "updatedAt": format_time(experiment.updated_ms),
        **({"description": experiment.description} if experiment.description else {}),
    }


def _describe_target(experiment: ShadowExperiment, target: ShadowTarget) -> dict[str, Any]:
    return {
        "id": target.rider_id,
        "experimentId": experiment.rider_id,
        "name": target.name,
        "targetDeploymentId": target.deployment_id,
        "etag": target.etag,
        "createdAt": format_time(target.created_ms),
        "updatedAt": format_time(target.updated_ms),
        **({"description": target.description} if target.description else {}),
    }


def _find(call: Call) -> tuple[Endpoint, ShadowExperiment]:
    endpoint = call.endpoint()
    if call.world.any_id:
        stamp = (endpoint.endpoint_id, call.identity.api_key_id, call.now_ms, call.now_ms)
        source = {"endpoint": {"sampling": {"uniform": {"rate": 0.1}}}}
        experiment = ShadowExperiment("exp_any", *stamp, "any", None, source)
        target = ShadowTarget("shet_any", *stamp, "any", None, next(iter(endpoint.deployments)))
        experiment.targets[target.rider_id] = target
        return endpoint, experiment
    found = call.world.experiments.shadow.get(call.path["experiment_id"])
    if found is None or found.endpoint_id != endpoint.endpoint_id:
        raise not_found("shadow experiment", call.path["experiment_id"])
    return endpoint, found


def _find_target(call: Call) -> tuple[Endpoint, ShadowExperiment, ShadowTarget]:
    endpoint, experiment = _find(call)
    target = experiment.targets.get(call.path["target_id"])
    if target is None and call.world.any_id:
        target = next(iter(experiment.targets.values()))
    if target is None:
        raise not_found("shadow experiment target", call.path["target_id"])
    return endpoint, experiment, target


def _check_source(source: dict[str, Any] | None) -> dict[str, Any]:
    """Return the source. Raises 400 unless it names one way of sampling whose numbers can be."""
    sampling = (source or {}).get("endpoint", {}).get("sampling", {})
    if source is None or len(sampling) != 1:
        raise bad_request("source needs exactly one sampling strategy", param="source")
    ((name, settings),) = sampling.items()
    for wanted in _SAMPLING[name].keys() - {"window"}:
        if wanted not in settings:
            raise bad_request(f"{wanted} is required", param=f"source.endpoint.sampling.{name}")
    if not 0 <= settings.get("rate", 0) <= 1 or settings.get("targetQps", 1) <= 0:
        raise bad_request("rate lies between 0 and 1, targetQps above 0", param="source")
    if "window" in settings:
        parse_duration(settings["window"], path="window")
    return source


def _check_deployment(call: Call, endpoint: Endpoint, deployment_id: str | None) -> str:
    """Return a deployment that may be a target. Raises 400 for one with live traffic."""
    if deployment_id is None or deployment_id not in endpoint.deployments:
        raise bad_request(
            f"deployment {deployment_id} does not belong to the endpoint", param="targetDeploymentId"
        )
    if any(live == deployment_id and weight > 0 for live, weight in endpoint.traffic_split):
        raise bad_request(f"deployment {deployment_id} has live traffic", param="targetDeploymentId")
    rollout = call.world.experiments.active_rollout(endpoint.endpoint_id)
    if rollout is not None and deployment_id in rollout.deployment_ids():
        raise bad_request(f"deployment {deployment_id} is part of a rollout", param="targetDeploymentId")
    return deployment_id


def _add_target(
    call: Call, endpoint: Endpoint, experiment: ShadowExperiment, fields: dict[str, Any]
) -> ShadowTarget:
    if len(experiment.targets) >= _MOST_TARGETS:
        raise bad_request(f"an experiment has at most {_MOST_TARGETS} targets", param="targets")
    target = ShadowTarget(
        name=check_title(fields.get("name"), {item.name for item in experiment.targets.values()}),
        description=fields.get("description"),
        deployment_id=_check_deployment(call, endpoint, fields.get("targetDeploymentId")),
        rider_id=call.world.new_id("shet"),
        endpoint_id=endpoint.endpoint_id,
        created_by=call.identity.api_key_id,
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
    )
    experiment.targets[target.rider_id] = target
    return target


def _required_mask(call: Call, allowed: set[str]) -> set[str]:
    """Return what a write names. Raises 400 without updateMask, which these writes need."""
    mask = read_mask(call.query.get("updateMask", call.query.get("update_mask")))
    if not mask:
        raise bad_request("updateMask is required", param="updateMask")
    named = {path[0] for path in mask}
    for name in named - allowed:
        raise bad_request(f'invalid updateMask path "{name}"', param="updateMask")
    return named


def list_experiments(call: Call) -> Response:
    endpoint = call.endpoint()
    found = call.world.experiments.shadow.of(endpoint.endpoint_id)
    page, cursor = cut_page(call, found, key=lambda item: (item.created_ms, item.rider_id))
    return list_answer([_describe(endpoint, item) for item in page], cursor)


def create_experiment(call: Call) -> Response:
    endpoint = call.endpoint()
    if call.world.any_id:
        return read_experiment(call)
    fields = read_fields(call.fields(), _CREATE)
    shelf = call.world.experiments.shadow
    experiment = ShadowExperiment(
        name=check_title(fields.get("name"), {item.name for item in shelf.of(endpoint.endpoint_id)}),
        description=fields.get("description"),
        source=_check_source(fields.get("source")),
        rider_id=call.world.new_id("exp"),
        endpoint_id=endpoint.endpoint_id,
        created_by=call.identity.api_key_id,
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
    )
    for target in fields.get("targets", ()):
        _add_target(call, endpoint, experiment, target)
    shelf[experiment.rider_id] = experiment
    return json_answer(_describe(endpoint, experiment))


def read_experiment(call: Call) -> Response:
    return json_answer(_describe(*_find(call)))


def update_experiment(call: Call) -> Response:
    if call.world.any_id:
        return read_experiment(call)
    endpoint, experiment = _find(call)
    fields = read_fields(call.fields(), _UPDATE)
    check_etag(call, fields.pop("etag", None), experiment.etag)
    named = _required_mask(call, {"description", "source"})
    if "source" in named:
        experiment.source = _check_source(fields.get("source"))
    if "description" in named:
        experiment.description = fields.get("description")
    experiment.touch(call.now_ms)
    return json_answer(_describe(endpoint, experiment))


def delete_experiment(call: Call) -> Response:
    _, experiment = _find(call)
    if not call.world.any_id:
        check_etag(call, call.query.get("etag"), experiment.etag)
        del call.world.experiments.shadow[experiment.rider_id]
    return json_answer({})


def list_targets(call: Call) -> Response:
    _, experiment = _find(call)
    targets = sorted(experiment.targets.values(), key=lambda item: (item.created_ms, item.rider_id))
    page, cursor = cut_page(call, targets, key=lambda item: (item.created_ms, item.rider_id))
    return list_answer([_describe_target(experiment, item) for item in page], cursor)


def create_target(call: Call) -> Response:
    endpoint, experiment = _find(call)
    if call.world.any_id:
        return read_target(call)
    target = _add_target(call, endpoint, experiment, read_fields(call.fields(), _TARGET))
    experiment.touch(call.now_ms)
    return json_answer(_describe_target(experiment, target))


def read_target(call: Call) -> Response:
    if call.world.any_id:
        _, experiment = _find(call)
        return json_answer(_describe_target(experiment, next(iter(experiment.targets.values()))))
    _, experiment, target = _find_target(call)
    return json_answer(_describe_target(experiment, target))


def update_target(call: Call) -> Response:
    if call.world.any_id:
        return read_target(call)
    endpoint, experiment, target = _find_target(call)
    fields = read_fields(call.fields(), _TARGET_UPDATE)
    check_etag(call, fields.pop("etag", None), target.etag)
    named = _required_mask(call, set(_TARGET))
    if "name" in named and fields.get("name") != target.name:
        target.name = check_title(fields.get("name"), {item.name for item in experiment.targets.values()})
    if "targetDeploymentId" in named:
        target.deployment_id = _check_deployment(call, endpoint, fields.get("targetDeploymentId"))
    if "description" in named:
        target.description = fields.get("description")
    target.touch(call.now_ms)
    return json_answer(_describe_target(experiment, target))


def delete_target(call: Call) -> Response:
    _, experiment, target = _find_target(call)
    if not call.world.any_id:
        check_etag(call, call.query.get("etag"), target.etag)
        del experiment.targets[target.rider_id]
        experiment.touch(call.now_ms)
    return json_answer({})


_BASE = "/v2/projects/{project_id}/endpoints/{endpoint_id}/shadowExperiments"
_TARGETS = f"{_BASE}/{{experiment_id}}/targets"
ROUTES = [
    route(_BASE, list_experiments),
    route(_BASE, create_experiment, "POST"),
    route(f"{_BASE}/{{experiment_id}}", read_experiment),
    route(f"{_BASE}/{{experiment_id}}", update_experiment, "PATCH"),
    route(f"{_BASE}/{{experiment_id}}", delete_experiment, "DELETE"),
    route(_TARGETS, list_targets),
    route(_TARGETS, create_target, "POST"),
    route(f"{_TARGETS}/{{target_id}}", read_target),
    route(f"{_TARGETS}/{{target_id}}", update_target, "PATCH"),
    route(f"{_TARGETS}/{{target_id}}", delete_target, "DELETE"),
]
