"""RL model resources: what costs money while sessions train on it."""

from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import SECOND_MS, format_time
from simulator.compute.prices import RL_GPU_HOUR
from simulator.compute.rl import (
    BASE_MODELS,
    DEFAULT_GPU,
    DEFAULT_IDLE_SECONDS,
    PENDING,
    READY,
    RlResource,
    price_per_hour,
)
from simulator.compute.rl_sessions import STOPPED
from simulator.errors import bad_request, not_found
from simulator.resources.rl_paging import answer_page, fits_creator, read_statuses
from simulator.resources.snake_fields import read_count, read_text, read_word

STATUS_PREFIX: Final = "MODEL_RESOURCES_STATUS_"
_MOST_GENERATORS: Final = 16


def own_resources(call: Call) -> list[RlResource]:
    """Return the resources of the key's project as they are now, oldest first."""
    compute = call.world.compute
    compute.advance(call.now_ms)
    project_id = call.identity.project.project_id
    return [resource for resource in compute.rl_resources.values() if resource.project_id == project_id]


def find_resource(call: Call, identifier: str) -> RlResource:
    found = own_resources(call)
    for resource in found:
        if resource.resource_id == identifier:
            return resource
    if call.world.any_id:
        return found[0]
    raise not_found("model resource", identifier)


def describe_resource(resource: RlResource, *, now_ms: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": resource.resource_id,
        "base_model": resource.base_model,
        "compute_config": {
            "gpu_type": resource.gpu_type,
            "num_generator_replicas": resource.generator_replicas,
        },
        "inactive_timeout": resource.idle_seconds,
        "lora_enabled": resource.lora_enabled,
        "optimizer_config": resource.optimizer,
        "status": STATUS_PREFIX + resource.state,
        "status_details": {"queue_position": 1} if resource.state == PENDING else {},
        "created_by": resource.created_by,
        "created_at": format_time(resource.created_ms),
        "updated_at": format_time(resource.states[-1][0]),
    }
    if resource.base_weights is not None:
        body["base_weights_ref"] = resource.base_weights
    if resource.state == READY:
        body["expires_at"] = format_time(resource.expires_ms(now_ms))
    if resource.error is not None:
        error = resource.error
        body["error"] = {
            "code": error.code,
            "message": error.message,
            "occurred_at": format_time(error.at_ms),
        }
    return body


def _answer(call: Call, resource: RlResource) -> Response:
    return json_answer(describe_resource(resource, now_ms=call.now_ms))


def list_resources(call: Call) -> Response:
    states = read_statuses(call, prefix=STATUS_PREFIX)
    found = [
        resource
        for resource in reversed(own_resources(call))
        if (states is None or resource.state in states) and fits_creator(call, resource.created_by)
    ]
    return answer_page(
        call,
        found,
        identify=lambda one: one.resource_id,
        describe=lambda one: describe_resource(one, now_ms=call.now_ms),
    )


def read_resource(call: Call) -> Response:
    return _answer(call, find_resource(call, call.path["resource_id"]))


def _read_layout(fields: dict[str, Any]) -> tuple[str, str, int]:
    """Return base model, GPU type and generator replicas. Raises 400."""
    base_model = read_word({"base_model": read_text(fields, "base_model")}, "base_model", BASE_MODELS)
    layout = fields.get("compute_config") or {}
    gpu_type = read_word(layout, "gpu_type", RL_GPU_HOUR, default=DEFAULT_GPU)
    replicas = read_count(layout, "num_generator_replicas", default=1)
    if replicas > _MOST_GENERATORS:
        raise bad_request(f"at most {_MOST_GENERATORS} generator replicas", param="num_generator_replicas")
    return base_model, gpu_type, replicas


def create_resource(call: Call) -> Response:
    if call.world.any_id:
        return _answer(call, own_resources(call)[0])
    fields = call.fields()
    base_model, gpu_type, replicas = _read_layout(fields)
    resource = RlResource(
        resource_id=call.world.new_uuid(),
        project_id=call.identity.project.project_id,
        base_model=base_model,
        gpu_type=gpu_type,
        generator_replicas=replicas,
        idle_seconds=read_count(fields, "inactive_timeout", least=60, default=DEFAULT_IDLE_SECONDS),
        lora_enabled=bool(fields.get("lora_enabled", True)),
        optimizer=fields.get("optimizer_config") or {"adam": {}},
        created_by=call.identity.api_key_id,
        created_ms=call.now_ms,
        tempo=call.world.compute.tempo,
        base_weights=fields.get("base_weights_ref"),
    )
    resource.order(call.now_ms)
    call.world.compute.rl_resources[resource.resource_id] = resource
    return _answer(call, resource)


def estimate_cost(call: Call) -> Response:
    """Tell the price per hour of what a create would make; nothing is made."""
    if call.world.any_id:
        return json_answer({"currency": "USD", "price_per_hour": 1.0})
    _, gpu_type, replicas = _read_layout(call.fields())
    return json_answer({"currency": "USD", "price_per_hour": float(price_per_hour(gpu_type, replicas))})


def stop_resource(call: Call) -> Response:
    resource = find_resource(call, call.path["resource_id"])
    if not call.world.any_id:
        if resource.active_sessions and not call.flag("force"):
            raise bad_request("the resource has active training sessions; set force to stop them too")
        resource.stop(call.now_ms, session_state=STOPPED)
    return _answer(call, resource)


def extend_expiry(call: Call) -> Response:
    resource = find_resource(call, call.path["resource_id"])
    if not call.world.any_id:
        seconds = read_count(call.fields(), "seconds", least=1)
        if resource.state != READY:
            raise bad_request("the resource is not ready")
        resource.keep_until(call.now_ms + seconds * SECOND_MS)
    return _answer(call, resource)


def list_supported(call: Call) -> Response:
    """Return the base models and what each can be trained on."""
    lora = {"max_batch_size": 512, "max_rank": 64, "max_seq_length": 32_768}
    full = {"max_batch_size": 256, "max_seq_length": 32_768}
    defaults = {"logprobs": 1, "max_tokens": 1_024, "n": 1, "temperature": 1.0}
    config = {
        "gpu_type": DEFAULT_GPU,
        "generator_config": {"context_length": 32_768, "sampling_defaults": defaults},
        "trainer_config": {"lora": lora, "full": full},
    }
    models = [
        {"base_model": name, "default_gpu_type": DEFAULT_GPU, "compute_configs": [config]}
        for name in BASE_MODELS
    ]
    return json_answer({"data": models})


_BASE = "/v1/rl/model-resources"
_ONE = f"{_BASE}/{{resource_id}}"
ROUTES = [
    route("/v1/rl/supported-models", list_supported),
    route(_BASE, list_resources),
    route(_BASE, create_resource, "POST"),
    route(f"{_BASE}/estimate-cost", estimate_cost, "POST"),
    route(_ONE, read_resource),
    route(f"{_ONE}/stop", stop_resource, "POST"),
    route(f"{_ONE}/extend-expiry", extend_expiry, "POST"),
]
