"""v2 deployments: everything that costs money, with the rules of contract 3.5."""

import re
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.catalogue import PUBLIC_PROJECT_ID, Config, Model
from simulator.clock import MINUTE_MS
from simulator.errors import GatewayError, bad_request, not_found
from simulator.fields import (
    AUTOSCALING,
    DEPLOYMENT_CREATE,
    DEPLOYMENT_UPDATE,
    check_inactive_timeout,
    check_name,
    parse_duration,
    read_fields,
    read_mask,
)
from simulator.filters import parse_filter, parse_order
from simulator.paging import cut_page, list_answer
from simulator.quota import check_quota
from simulator.registry.models import INTERNAL
from simulator.resources.deployment_bodies import STATE_PREFIX, describe_deployment, traffic_shares
from simulator.resources.endpoints import check_etag
from simulator.resources.placement_profiles import find_profiles
from simulator.scaling_rules import check_autoscaling, check_placement, merge_autoscaling
from simulator.world import Action, Deployment, Endpoint

NOT_STOPPED = "the deployment must be stopped before it can be restarted"
FAILED_FOR_GOOD = "the deployment is in a terminal FAILED state and cannot be restarted"
#: Platform's limit of requests in flight per replica, less the slot kept for health checks.
MOST_CONCURRENT = 63
_FILTER_FIELDS = frozenset({"name", "state", "model", "created_at", "updated_at"})
_MODEL_PATH = re.compile(r"projects/([^/]+)/models/([^/]+?)(?:/revisions/([^/]+))?")


def find_deployment(call: Call) -> tuple[Endpoint, Deployment]:
    """Return endpoint and deployment of the path. Raises 404."""
    endpoint = call.endpoint()
    deployment = endpoint.deployments.get(call.path["deployment_id"])
    if deployment is None and call.world.any_id:
        deployment = next(iter(endpoint.deployments.values()))
    if deployment is None:
        raise not_found("deployment", call.path["deployment_id"])
    deployment.workload.advance(call.now_ms)
    return endpoint, deployment


def _answer(call: Call, endpoint: Endpoint, deployment: Deployment) -> Response:
    share = traffic_shares(endpoint, now_ms=call.now_ms).get(deployment.deployment_id, 0.0)
    return json_answer(describe_deployment(deployment, share=share, now_ms=call.now_ms))


def list_deployments(call: Call) -> Response:
    endpoint = call.endpoint()
    deployments = list(endpoint.deployments.values())
    field, descending = "created_at", False
    if not call.world.any_id:
        field, descending = parse_order(call.query.get("orderBy"))
        matches = parse_filter(call.query.get("filter"), fields=_FILTER_FIELDS)
        for deployment in deployments:
            deployment.workload.advance(call.now_ms)
        if matches is not None:
            deployments = [deployment for deployment in deployments if matches(_filter_row(deployment))]
    sign = -1 if descending else 1

    def sort_key(deployment: Deployment) -> tuple[Any, ...]:
        at_ms = deployment.updated_ms if field == "updated_at" else deployment.created_ms
        return (sign * at_ms, deployment.deployment_id)

    deployments.sort(key=sort_key)
    page, cursor = cut_page(call, deployments, key=sort_key)
    shares = traffic_shares(endpoint, now_ms=call.now_ms)
    bodies = [
        describe_deployment(d, share=shares.get(d.deployment_id, 0.0), now_ms=call.now_ms) for d in page
    ]
    return list_answer(bodies, cursor)


def _filter_row(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": deployment.name,
        "state": STATE_PREFIX + deployment.workload.state,
        "model": f"{deployment.model.path}/revisions/{deployment.model.revision_id}",
        "created_at": deployment.created_ms,
        "updated_at": deployment.updated_ms,
    }


def create_deployment(call: Call) -> Response:
    endpoint = call.endpoint()
    if call.world.any_id:
        return _answer(call, endpoint, next(iter(endpoint.deployments.values())))
    fields = read_fields(call.fields(), DEPLOYMENT_CREATE)
    for name in ("name", "autoscaling"):
        if name not in fields:
            raise bad_request(f"{name} is required", param=name)
    slug = check_name(fields["name"].rpartition("/")[2])
    autoscaling = fields["autoscaling"]
    autoscaling.setdefault("minReplicas", 1)
    autoscaling.setdefault("maxReplicas", autoscaling["minReplicas"])
    check_autoscaling(autoscaling)
    idle_minutes = check_inactive_timeout(fields.get("inactiveTimeout", 0))
    model = _find_model(call, endpoint, fields)
    config = _find_config(call, fields, model)
    if "placement" in fields:
        check_placement(
            fields["placement"],
            hardware=config.hardware,
            regions=frozenset(r for h in call.world.catalogue.hardware.values() for r in h.regions),
            profile_ids=frozenset(profile.profile_id for profile in find_profiles(call)),
        )
    if any(deployment.name == f"{endpoint.name}/{slug}" for deployment in endpoint.deployments.values()):
        raise GatewayError(409, f'a deployment named "{slug}" already exists')
    check_quota(call.world, endpoint, config.hardware, autoscaling["minReplicas"], now_ms=call.now_ms)
    if call.flag("validateOnly") or call.flag("validate_only"):
        return json_answer(_dry_run(call, endpoint, slug, model, config, fields))
    deployment = call.world.add_deployment(
        endpoint,
        slug=slug,
        model=model,
        config=config,
        autoscaling=autoscaling,
        at_ms=call.now_ms,
        deployment_id=call.world.new_id("dep"),
    )
    _settle(deployment, fields, idle_minutes)
    workload = deployment.workload
    if autoscaling["maxReplicas"]:
        workload.start(call.now_ms)
    else:
        workload.enter(lifecycle.Phase(call.now_ms, lifecycle.STOPPED, 0, 0, 0, "Never started", "Stopped"))
    return _answer(call, endpoint, deployment)


def _settle(deployment: Deployment, fields: dict[str, Any], idle_minutes: int) -> None:
    deployment.inactive_timeout_minutes = idle_minutes if "inactiveTimeout" in fields else None
    deployment.max_concurrent = min(
        fields.get("maxConcurrentRequestsPerReplica", MOST_CONCURRENT), MOST_CONCURRENT
    )
    deployment.placement = fields.get("placement")
    set_windows(deployment)


def set_windows(deployment: Deployment) -> None:
    """Hand the idle limit and the scale-down window of the settings to the workload."""
    limits = []
    if deployment.inactive_timeout_minutes:
        limits.append(deployment.inactive_timeout_minutes * MINUTE_MS)
    if "scaleToZeroWindow" in deployment.autoscaling:
        window = parse_duration(deployment.autoscaling["scaleToZeroWindow"], path="scaleToZeroWindow")
        if window:
            limits.append(window)
    deployment.workload.idle_limit_ms = min(limits, default=None)
    if "scaleDownWindow" in deployment.autoscaling:
        deployment.workload.scale_down_window_ms = parse_duration(
            deployment.autoscaling["scaleDownWindow"], path="scaleDownWindow"
        )


def _dry_run(
    call: Call, endpoint: Endpoint, slug: str, model: Model, config: Config, fields: dict[str, Any]
) -> dict[str, Any]:
    """Return the body that a create would have answered, without creating anything."""
    autoscaling = fields["autoscaling"]
    workload = call.world.new_workload(
        "validateOnly", min_replicas=autoscaling["minReplicas"], max_replicas=autoscaling["maxReplicas"]
    )
    waiting = lifecycle.Phase(
        call.now_ms, lifecycle.PROVISIONING, 0, 0, autoscaling["minReplicas"], "Validated only", "Validated"
    )
    workload.enter(waiting)
    name = f"{endpoint.name}/{slug}"
    deployment = Deployment(
        "", endpoint.endpoint_id, endpoint.project, name, model, config, workload,
        call.now_ms, call.now_ms, autoscaling,
    )  # fmt: skip
    _settle(deployment, fields, fields.get("inactiveTimeout", 0))
    return describe_deployment(deployment, share=0.0, now_ms=call.now_ms)


def _find_model(call: Call, endpoint: Endpoint, fields: dict[str, Any]) -> Model:
    """Return the model that `model` (or the deprecated modelId) names, at the revision to pin. Raises 400."""
    given = fields.get("model") or fields.get("modelId")
    if not given:
        raise bad_request("model is required", param="model")
    match = _MODEL_PATH.fullmatch(given)
    model = call.world.catalogue.models.get(match.group(2) if match else given)
    if model is None or (match and match.group(1) != model.project_id) or not _may_use(call, endpoint, model):
        raise bad_request(f"model {given} not found", param="model")
    revision_id = (match and match.group(3)) or fields.get("modelRevisionId") or model.revision_id
    if not revision_id:
        raise bad_request(f"model {given} has no valid revision: import its files first", param="model")
    if call.world.registry.revision_of(model, revision_id, call.now_ms) is None:
        raise bad_request(f"revision {revision_id} not found", param="model")
    return replace(model, revision_id=revision_id)


def _may_use(call: Call, endpoint: Endpoint, model: Model) -> bool:
    """Tell whether a model is public, the project's own, or shared by another project of the organisation."""
    if model.project_id in {PUBLIC_PROJECT_ID, endpoint.project.project_id}:
        return True
    owner = call.world.projects[model.project_id]
    is_shared = call.world.registry.facts(model).visibility == INTERNAL
    return is_shared and owner.organization == endpoint.project.organization


def _find_config(call: Call, fields: dict[str, Any], model: Model) -> Config:
    """Return the config to run the model on: the named one, or the only one. Raises 400."""
    given = (fields.get("config") or fields.get("configId") or "").rpartition("/")[2]
    if not given:
        if len(model.configs) == 1:
            return model.configs[0]
        raise bad_request("config is required: the model has several", param="config")
    config, reference = call.world.catalogue.configs.get(given, (None, None))
    if config is None or reference is None:
        raise bad_request(f"config {given} not found", param="config")
    if reference.model_id not in {model.model_id, model.base_model_id}:
        raise bad_request(f"config {given} is not compatible with model {model.model_id}", param="config")
    return config


def read_deployment(call: Call) -> Response:
    return _answer(call, *find_deployment(call))


def update_deployment(call: Call) -> Response:
    endpoint, deployment = find_deployment(call)
    if call.world.any_id:
        return _answer(call, endpoint, deployment)
    fields = read_fields(call.fields(), DEPLOYMENT_UPDATE)
    check_etag(call, fields.pop("etag", None), deployment.etag)
    mask = read_mask(call.query.get("updateMask", call.query.get("update_mask")))
    if mask is not None:
        fields = _apply_mask(fields, mask)
    if "autoscaling" in fields:
        _change_autoscaling(call, endpoint, deployment, fields["autoscaling"])
    if "inactiveTimeout" in fields:
        deployment.inactive_timeout_minutes = check_inactive_timeout(fields["inactiveTimeout"])
    if "maxConcurrentRequestsPerReplica" in fields:
        deployment.max_concurrent = min(fields["maxConcurrentRequestsPerReplica"], MOST_CONCURRENT)
    if "name" in fields:
        _rename(call, endpoint, deployment, check_name(fields["name"].rpartition("/")[2]))
    if fields:
        set_windows(deployment)
        deployment.workload.note_settings(call.now_ms)
        deployment.version += 1
        deployment.updated_ms = call.now_ms
        endpoint.payload_until_ms = 0
        paths = tuple(_changed_paths(fields))
        deployment.actions.append(
            Action(call.now_ms, "deployment.updated", "Deployment updated", paths=paths)
        )
    return _answer(call, endpoint, deployment)


def _changed_paths(fields: dict[str, Any]) -> list[str]:
    paths = []
    for name, value in fields.items():
        paths += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    return sorted(paths)


def _apply_mask(fields: dict[str, Any], mask: list[list[str]]) -> dict[str, Any]:
    """Keep what the mask names; what it names without a value is reset. Raises 400 for a path that is not there."""
    kept: dict[str, Any] = {}
    for path in mask:
        head, *rest = path
        if head not in DEPLOYMENT_UPDATE or (rest and (head != "autoscaling" or rest[0] not in AUTOSCALING)):
            raise bad_request(f'invalid updateMask path "{".".join(path)}"', param="updateMask")
        if not rest:
            kept[head] = fields.get(head, {} if head == "autoscaling" else 0)
        else:
            _keep_nested(kept.setdefault("autoscaling", {}), fields.get("autoscaling", {}), rest)
    return kept


def _keep_nested(kept: dict[str, Any], given: dict[str, Any], path: list[str]) -> None:
    """Keep one setting of the autoscaling; None = it was named without a value, so it is reset."""
    name, *rest = path
    if not rest or name not in {"scaleUp", "scaleDown"}:
        kept[name] = given.get(name)
        return
    rules = given.get(name) or {}
    kept.setdefault(name, {})[rest[0]] = rules.get(rest[0]) or None


def _rename(call: Call, endpoint: Endpoint, deployment: Deployment, slug: str) -> None:
    name = f"{endpoint.name}/{slug}"
    if name == deployment.name:
        return
    if name in call.world.by_inference_name:
        raise GatewayError(409, f'a deployment named "{slug}" already exists')
    del call.world.by_inference_name[deployment.name]
    deployment.name = name
    call.world.by_inference_name[name] = deployment


def _change_autoscaling(
    call: Call, endpoint: Endpoint, deployment: Deployment, changes: dict[str, Any]
) -> None:
    """Merge the settings and do what they mean: stop (0/0), start (from STOPPED only), or scale."""
    workload = deployment.workload
    bounds = {"minReplicas": workload.min_replicas, "maxReplicas": workload.max_replicas}
    changes = {name: value for name, value in changes.items() if value is not None or name not in bounds}
    merged = merge_autoscaling({**deployment.autoscaling, **bounds}, changes)
    if (
        "minReplicas" in changes
        and "maxReplicas" not in changes
        and merged["maxReplicas"] < merged["minReplicas"]
    ):
        merged["maxReplicas"] = merged["minReplicas"]
    check_autoscaling(merged)
    wants_replicas = merged["maxReplicas"] > 0
    names_bounds = bool({"minReplicas", "maxReplicas"} & changes.keys())
    if names_bounds and wants_replicas:
        if workload.state == lifecycle.FAILED:
            raise bad_request(FAILED_FOR_GOOD)
        if workload.state == lifecycle.STOPPING:
            raise bad_request(NOT_STOPPED)
        check_quota(
            call.world,
            endpoint,
            deployment.config.hardware,
            merged["minReplicas"],
            now_ms=call.now_ms,
            instead_of=deployment,
        )
    deployment.autoscaling = merged
    workload.note_settings(call.now_ms)
    workload.min_replicas, workload.max_replicas = merged["minReplicas"], merged["maxReplicas"]
    set_windows(deployment)
    if not names_bounds:
        return
    if not wants_replicas:
        workload.stop(call.now_ms, behaviour=call.stop_behaviour())
    elif workload.state == lifecycle.STOPPED:
        workload.start(call.now_ms)
    else:
        workload.apply_bounds(call.now_ms)


def delete_deployment(call: Call) -> Response:
    endpoint, deployment = find_deployment(call)
    if call.world.any_id:
        return json_answer({})
    check_etag(call, call.query.get("etag"), deployment.etag)
    if deployment.workload.state not in {lifecycle.STOPPED, lifecycle.FAILED}:
        raise bad_request("the deployment must be stopped before it can be deleted")
    if any(deployment_id == deployment.deployment_id for deployment_id, _ in endpoint.traffic_split):
        raise bad_request("the deployment must be removed from the endpoint's traffic split before deletion")
    if rider := call.world.experiments.holds(endpoint.endpoint_id, deployment.deployment_id):
        raise bad_request(f"the deployment takes part in {rider}: take it out first")
    call.world.remove_deployment(deployment, at_ms=call.now_ms)
    return json_answer({})


_BASE = "/v2/projects/{project_id}/endpoints/{endpoint_id}/deployments"
ROUTES = [
    route(_BASE, list_deployments),
    route(_BASE, create_deployment, "POST"),
    route(f"{_BASE}/{{deployment_id}}", read_deployment),
    route(f"{_BASE}/{{deployment_id}}", update_deployment, "PATCH"),
    route(f"{_BASE}/{{deployment_id}}", delete_deployment, "DELETE"),
]
