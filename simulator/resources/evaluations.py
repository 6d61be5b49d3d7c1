"""v1 evaluations: list (a bare array), create, read, status, and the models that may judge. There is no cancel call."""

from typing import Any, Final

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.jobs.evaluations import STATUSES, TYPES, Evaluation, plan_evaluation
from simulator.jobs.owner import Tempo
from simulator.resources.jobs_access import owner_of

DEFAULT_LIMIT: Final = 10
_MOST: Final = 1_000
#: Type -> parameters that it needs beside `judge` and `input_data_file_path`.
_NEEDED: Final = {
    "classify": ("labels", "pass_labels"),
    "score": ("min_score", "max_score", "pass_threshold"),
    "compare": ("model_a", "model_b"),
}
_SOURCES: Final = ("serverless", "dedicated", "external")
_MODEL_FIELDS: Final = ("judge", "model_to_evaluate", "model_a", "model_b")


def describe_evaluation(evaluation: Evaluation, *, now_ms: int) -> dict[str, Any]:
    past = [step for step in evaluation.steps if evaluation.tempo.to_world(step.at_ms) <= now_ms]
    updates = [
        {
            "status": step.status,
            "message": step.message,
            "timestamp": format_time(evaluation.tempo.to_world(step.at_ms)),
        }
        for step in past
    ]
    return {
        "workflow_id": evaluation.evaluation_id,
        "type": evaluation.kind,
        "owner_id": evaluation.owner.user_id,
        "status": evaluation.status(now_ms),
        "status_updates": updates,
        "parameters": evaluation.parameters,
        "created_at": format_time(evaluation.created_ms),
        "updated_at": updates[-1]["timestamp"] if updates else format_time(evaluation.created_ms),
        "results": evaluation.results(now_ms),
    }


def _find(call: Call) -> Evaluation:
    evaluation = call.world.jobs.evaluations.get(call.path["evaluation_id"])
    if evaluation is None and call.world.any_id:
        return next(iter(call.world.jobs.evaluations.values()))
    if evaluation is None or evaluation.owner.organization_id != call.identity.organization.organization_id:
        raise not_found("evaluation", call.path["evaluation_id"])
    return evaluation


def list_evaluations(call: Call) -> Response:
    limit = call.whole_number("limit", default=DEFAULT_LIMIT, most=_MOST)
    status = call.query.get("status")
    if status is not None and status not in STATUSES and not call.world.any_id:
        raise bad_request(f"status must be one of {', '.join(STATUSES)}", param="status")
    organization_id = call.identity.organization.organization_id
    found = [
        each
        for each in call.world.jobs.evaluations.values()
        if each.owner.organization_id == organization_id
        and (status not in STATUSES or each.status(call.now_ms) == status)
    ]
    found.sort(key=lambda each: (-each.created_ms, each.evaluation_id))
    return json_answer([describe_evaluation(each, now_ms=call.now_ms) for each in found[:limit]])


def read_evaluation(call: Call) -> Response:
    return json_answer(describe_evaluation(_find(call), now_ms=call.now_ms))


def read_status(call: Call) -> Response:
    """Answer the status, and the results once there are any."""
    evaluation = _find(call)
    results = evaluation.results(call.now_ms)
    answer: dict[str, Any] = {"status": evaluation.status(call.now_ms)}
    return json_answer(answer if results is None else {**answer, "results": results})


def create_evaluation(call: Call) -> Response:
    """Create an evaluation. A file or model that does not exist makes it end in `user_error`."""
    world = call.world
    if world.any_id:
        first = next(iter(world.jobs.evaluations.values()))
        return json_answer({"workflow_id": first.evaluation_id, "status": "pending"})
    fields = call.fields()
    kind, parameters = fields.get("type"), fields.get("parameters")
    if kind not in TYPES:
        raise bad_request(f"type must be one of {', '.join(TYPES)}", param="type")
    if not isinstance(parameters, dict):
        raise bad_request("parameters must be an object", param="parameters")
    _check_parameters(kind, parameters)
    stored = world.jobs.files.get(parameters["input_data_file_path"])
    visible = (
        stored is not None and stored.owner.organization_id == call.identity.organization.organization_id
    )
    samples = stored.lines if stored is not None and visible else 0
    evaluation = Evaluation(
        evaluation_id=f"eval-{world.new_uuid()}",
        owner=owner_of(call.identity),
        created_ms=call.now_ms,
        kind=kind,
        parameters=parameters,
        samples=samples,
        tempo=Tempo.of_job(created_ms=call.now_ms, world_start_ms=world.start_ms, speed=world.speed),
        steps=plan_evaluation(call.now_ms, samples=samples, fault=_find_fault(call, parameters, samples)),
    )
    world.jobs.add_evaluation(evaluation)
    return json_answer({"workflow_id": evaluation.evaluation_id, "status": "pending"})


def _check_parameters(kind: str, parameters: dict[str, Any]) -> None:
    """Check what a type needs, and drop the tokens of external providers. Raises 400."""
    for name in ("judge", "input_data_file_path", *_NEEDED[kind]):
        if parameters.get(name) in (None, "", []):
            raise bad_request(f"{name} is required for {kind}", param=name)
    for name in _MODEL_FIELDS:
        config = parameters.get(name)
        if not isinstance(config, dict):
            continue
        config.pop("external_api_token", None)
        if not config.get("model") or config.get("model_source") not in _SOURCES:
            raise bad_request(f"{name} needs model and model_source", param=name)
    if not isinstance(parameters["judge"], dict):
        raise bad_request("judge must be an object", param="judge")


def _find_fault(call: Call, parameters: dict[str, Any], samples: int) -> str | None:
    """Return what the user got wrong; None = nothing."""
    if not samples:
        return f"Input file {parameters['input_data_file_path']} not found or empty"
    for name in _MODEL_FIELDS:
        config = parameters.get(name)
        if isinstance(config, dict) and config["model_source"] == "serverless":
            model = call.world.catalogue.by_name.get(config["model"])
            if model is None or model.serverless_price is None:
                return f"Model {config['model']} is not available on the serverless platform"
    return None


def list_models(call: Call) -> Response:
    """Answer the models that may be named: serverless ones, and endpoints that run."""
    source = call.query.get("model_source", "all")
    names: list[str] = []
    if source in {"all", "serverless"}:
        names += [model.name for model in call.world.catalogue.models.values() if model.serverless_price]
    if source in {"all", "dedicated"}:
        for endpoint in call.world.endpoints.values():
            own = endpoint.project.organization == call.identity.organization
            if own and any(
                each.workload.state in lifecycle.RUNNING for each in endpoint.deployments.values()
            ):
                names.append(endpoint.name)
    return json_answer({"model_list": sorted(names)})


ROUTES = [
    route("/v1/evaluation", list_evaluations),
    route("/v1/evaluation", create_evaluation, "POST"),
    route("/v1/evaluation/model-list", list_models),
    route("/v1/evaluation/{evaluation_id}", read_evaluation),
    route("/v1/evaluation/{evaluation_id}/status", read_status),
]
