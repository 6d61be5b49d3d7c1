"""RL training sessions with their operations and checkpoints."""

from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.compute.rl import READY, RlResource
from simulator.compute.rl_sessions import INFERENCE, RUNNING, TRAINING, Checkpoint, Operation, RlSession
from simulator.errors import bad_request, not_found
from simulator.resources.rl import find_resource, own_resources
from simulator.resources.rl_paging import answer_page, fits_creator, read_statuses
from simulator.resources.snake_fields import read_text

STATUS_PREFIX: Final = "TRAINING_SESSION_STATUS_"
_OPERATION_PREFIX: Final = "TRAINING_OPERATION_STATUS_"
OPERATIONS: Final = (
    *("forward-backward", "custom-forward-backward", "optim-step", "sample"),
    *("weights-sync", "training-checkpoint", "inference-checkpoint"),
)
_DEFAULT_LORA: Final = {"rank": 32, "alpha": 64, "dropout": 0.0, "train_unembed": True}
#: LoRA sessions that share a resource; a full-weight resource has one. No source.
_MOST_LORA_SESSIONS: Final = 8
Pair = tuple[RlResource, RlSession]


def _own_sessions(call: Call) -> list[Pair]:
    pairs = [(resource, session) for resource in own_resources(call) for session in resource.sessions]
    return sorted(pairs, key=lambda pair: pair[1].created_ms, reverse=True)


def _find(call: Call) -> Pair:
    found = _own_sessions(call)
    for pair in found:
        if pair[1].session_id == call.path["session_id"]:
            return pair
    if call.world.any_id:
        return found[0]
    raise not_found("training session", call.path["session_id"])


def _list_checkpoints(session: RlSession, kind: str, now_ms: int) -> list[dict[str, Any]]:
    return [
        {"id": one.checkpoint_id, "created_at": format_time(one.at_ms), "step": str(one.step)}
        for one in session.checkpoints(now_ms)
        if one.kind == kind
    ]


def _describe(resource: RlResource, session: RlSession, *, now_ms: int) -> dict[str, Any]:
    step = session.count_steps(now_ms)
    synced = step if session.step_every_ms is not None else session.synced_step
    body: dict[str, Any] = {
        "id": session.session_id,
        "model_resources_id": resource.resource_id,
        "base_model": session.base_model,
        "status": STATUS_PREFIX + session.state,
        "type": "SESSION_TYPE_TRAINER_AND_GENERATOR"
        if resource.generator_replicas
        else "SESSION_TYPE_TRAINER_ONLY",
        "step": str(step),
        "policy_state": {
            "trainer_step": str(step),
            "target_weights_version": str(synced),
            "applied_weights_version": str(synced),
            "pending_publish": False,
        },
        "metadata": session.metadata,
        "training_checkpoints": _list_checkpoints(session, TRAINING, now_ms),
        "inference_checkpoints": _list_checkpoints(session, INFERENCE, now_ms),
        "created_by": session.created_by,
        "created_at": format_time(session.created_ms),
        "updated_at": format_time(max(session.updated_ms, session.last_step_ms(now_ms))),
    }
    optional = {
        "display_name": session.display_name,
        "lora_config": session.lora,
        "resume_from_checkpoint_id": session.resumed_from,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    if session.state == "ERROR":
        body["error"] = {
            "code": "TRAINING_SESSION_ERROR_CODE_RESOURCE_UNAVAILABLE",
            "message": "The model resource failed",
            "occurred_at": format_time(session.states[-1][0]),
        }
    return body


def _answer(call: Call, pair: Pair) -> Response:
    return json_answer(_describe(*pair, now_ms=call.now_ms))


def list_sessions(call: Call) -> Response:
    states = read_statuses(call, prefix=STATUS_PREFIX)
    resource_id = None if call.world.any_id else call.query.get("model_resources_id")
    found = [
        (resource, session)
        for resource, session in _own_sessions(call)
        if (states is None or session.state in states)
        and resource_id in {None, resource.resource_id}
        and fits_creator(call, session.created_by)
    ]
    return answer_page(
        call,
        found,
        identify=lambda pair: pair[1].session_id,
        describe=lambda pair: _describe(*pair, now_ms=call.now_ms),
    )


def read_session(call: Call) -> Response:
    return _answer(call, _find(call))


def create_session(call: Call) -> Response:
    if call.world.any_id:
        return _answer(call, _own_sessions(call)[0])
    fields = call.fields()
    resource = find_resource(call, read_text(fields, "model_resources_id"))
    if resource.state != READY:
        raise bad_request("the model resource is not ready", param="model_resources_id")
    most = _MOST_LORA_SESSIONS if resource.lora_enabled else 1
    if len(resource.active_sessions) >= most:
        raise bad_request("the model resource has no room for another session", param="model_resources_id")
    resumed = fields.get("resume_from_checkpoint_id")
    steps = 0
    if resumed is not None:
        steps = _find_checkpoint(call, resumed)[1].step if fields.get("load_optimizer", True) else 0
    session = RlSession(
        session_id=call.world.new_uuid(),
        project_id=resource.project_id,
        base_model=resource.base_model,
        created_by=call.identity.api_key_id,
        created_ms=call.now_ms,
        tempo=resource.tempo,
        display_name=fields.get("display_name"),
        metadata=fields.get("metadata") or {},
        lora={**_DEFAULT_LORA, **(fields.get("lora_config") or {})} if resource.lora_enabled else None,
        resumed_from=resumed,
        steps_done=steps,
    )
    resource.sessions.append(session)
    resource.note_activity(call.now_ms)
    session.begin(call.now_ms, resource.agenda)
    return _answer(call, (resource, session))


def update_session(call: Call) -> Response:
    """Change name or metadata; an empty text clears."""
    resource, session = _find(call)
    if not call.world.any_id:
        fields = call.fields()
        if fields.get("display_name") is not None:
            session.display_name = fields["display_name"] or None
        given = (fields.get("metadata") or {}).get("wandb") or {}
        if given:
            merged = {**session.metadata.get("wandb", {}), **given}
            session.metadata = {"wandb": {name: value for name, value in merged.items() if value}}
        session.updated_ms = call.now_ms
    return _answer(call, (resource, session))


def stop_session(call: Call) -> Response:
    resource, session = _find(call)
    if not call.world.any_id:
        session.stop(call.now_ms, resource.agenda)
    return _answer(call, (resource, session))


def _describe_operation(session: RlSession, operation: Operation, *, now_ms: int) -> dict[str, Any]:
    is_done = now_ms >= operation.done_ms
    body: dict[str, Any] = {
        "id": operation.operation_id,
        "status": _OPERATION_PREFIX + ("COMPLETED" if is_done else "RUNNING"),
    }
    if operation.has_failed:
        error = {
            "code": "TRAINING_OPERATION_ERROR_CODE_SESSION_NOT_ACTIVE",
            "message": "The session ended before the operation",
        }
        return {**body, "status": f"{_OPERATION_PREFIX}FAILED", "error": error}
    if not is_done:
        return body
    output = dict(operation.output)
    if "checkpoint" in output:
        kept = next(one for one in session.saved if one.checkpoint_id == output["checkpoint"])
        output["checkpoint"] = {
            "id": kept.checkpoint_id,
            "created_at": format_time(kept.at_ms),
            "step": str(kept.step),
        }
    return {**body, "output": output}


def start_operation(call: Call) -> Response:
    """Begin an operation. The Idempotency-Key header is not looked at: a repetition is a second operation."""
    resource, session = _find(call)
    kind = call.path["kind"]
    if kind not in OPERATIONS:
        raise not_found("operation", kind)
    if call.world.any_id:
        operation = Operation("any", kind, call.now_ms, call.now_ms + 1)
        return json_answer(_describe_operation(session, operation, now_ms=call.now_ms))
    if session.state != RUNNING:
        raise bad_request("the training session is not running")
    if kind == "sample" and not resource.generator_replicas:
        raise bad_request("the model resource has no generator")
    operation = session.operate(call.now_ms, call.world.new_uuid(), kind, resource.agenda)
    resource.note_activity(operation.done_ms)
    return json_answer(_describe_operation(session, operation, now_ms=call.now_ms))


def read_operation(call: Call) -> Response:
    _, session = _find(call)
    kind, identifier = call.path["kind"], call.path["operation_id"]
    operation = session.operations.get(identifier)
    if operation is None and call.world.any_id:
        operation = Operation(identifier, kind, call.now_ms, call.now_ms + 1)
    if operation is None or operation.kind != kind:
        raise not_found("operation", identifier)
    return json_answer(_describe_operation(session, operation, now_ms=call.now_ms))


def _own_checkpoints(call: Call) -> list[tuple[RlSession, Checkpoint]]:
    found = [(session, one) for _, session in _own_sessions(call) for one in session.checkpoints(call.now_ms)]
    return sorted(found, key=lambda pair: pair[1].at_ms, reverse=True)


def _find_checkpoint(call: Call, identifier: str) -> tuple[RlSession, Checkpoint]:
    found = _own_checkpoints(call)
    for session, checkpoint in found:
        if checkpoint.checkpoint_id == identifier:
            return session, checkpoint
    if call.world.any_id:
        return found[0]
    raise not_found("checkpoint", identifier)


def _describe_checkpoint(session: RlSession, checkpoint: Checkpoint) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": checkpoint.checkpoint_id,
        "session_id": session.session_id,
        "base_model": session.base_model,
        "type": checkpoint.kind,
        "step": str(checkpoint.step),
        "created_at": format_time(checkpoint.at_ms),
    }
    if session.lora is not None:
        body["lora_rank"] = session.lora["rank"]
    return body


def list_checkpoints(call: Call) -> Response:
    query = {} if call.world.any_id else call.query
    found = [
        (session, one)
        for session, one in _own_checkpoints(call)
        if query.get("session_id") in {None, session.session_id}
        and query.get("base_model") in {None, session.base_model}
        and query.get("type") in {None, one.kind}
    ]
    return answer_page(
        call,
        found,
        identify=lambda pair: pair[1].checkpoint_id,
        describe=lambda pair: _describe_checkpoint(*pair),
    )


def read_checkpoint(call: Call) -> Response:
    return json_answer(_describe_checkpoint(*_find_checkpoint(call, call.path["checkpoint_id"])))


def download_checkpoint(call: Call) -> Response:
    """Return links to the files, signed ones as the API sends: clients must not keep them."""
    _, checkpoint = _find_checkpoint(call, call.path["checkpoint_id"])
    name = "adapter_model.safetensors"
    url = f"https://checkpoints.invalid/{checkpoint.checkpoint_id}/{name}?signature=simulated-signature"
    return json_answer({"data": [{"filename": name, "size": "167832240", "url": url}]})


_SESSIONS = "/v1/rl/training-sessions"
_ONE = f"{_SESSIONS}/{{session_id}}"
_CHECKPOINTS = "/v1/rl/checkpoints"
ROUTES = [
    route(_SESSIONS, list_sessions),
    route(_SESSIONS, create_session, "POST"),
    route(_ONE, read_session),
    route(_ONE, update_session, "PATCH"),
    route(f"{_ONE}/stop", stop_session, "POST"),
    route(f"{_ONE}/operations/{{kind}}", start_operation, "POST"),
    route(f"{_ONE}/operations/{{kind}}/{{operation_id}}", read_operation),
    route(_CHECKPOINTS, list_checkpoints),
    route(f"{_CHECKPOINTS}/{{checkpoint_id}}", read_checkpoint),
    route(f"{_CHECKPOINTS}/{{checkpoint_id}}/download", download_checkpoint),
]
