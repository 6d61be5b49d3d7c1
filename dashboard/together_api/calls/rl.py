"""RL post-training resources and sessions (contract section 13). Bodies are snake_case, cursors are in `meta`."""

from collections.abc import Mapping
from typing import Any, Final

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.rl import RlCost, RlResource, RlSession
from dashboard.together_api.requests import ApiCall, Flow

RL_PAGE_SIZE: Final = 100
"""Largest page of both lists (SDK `model_resource_list_params`)."""

_RESOURCES = "/v1/rl/model-resources"
_RESOURCE = f"{_RESOURCES}/{{resource_id}}"
_SESSIONS = "/v1/rl/training-sessions"


def list_rl_resources() -> Flow[Listing[RlResource]]:
    """Return the GPU resources of the key's project in any status."""
    return (yield from fetch_all(RlResource, ApiCall(template=_RESOURCES, query={"limit": RL_PAGE_SIZE})))


def get_rl_resource(resource_id: str) -> Flow[RlResource]:
    """Return one resource; is_absent(error) when it is gone."""
    return (yield from fetch_one(RlResource, ApiCall(template=_RESOURCE, ids={"resource_id": resource_id})))


def list_rl_sessions() -> Flow[Listing[RlSession]]:
    """Return the training sessions of the key's project in any status."""
    return (yield from fetch_all(RlSession, ApiCall(template=_SESSIONS, query={"limit": RL_PAGE_SIZE})))


def get_rl_session(session_id: str) -> Flow[RlSession]:
    """Return one session; is_absent(error) when it is gone."""
    call = ApiCall(template=f"{_SESSIONS}/{{session_id}}", ids={"session_id": session_id})
    return (yield from fetch_one(RlSession, call))


def stop_rl_resource(resource_id: str, *, force: bool | None = None) -> Flow[RlResource]:
    """Ask for the end of a resource, with priority; refused while sessions are attached, unless `force` stops them.

    Accepted is not stopped: read back.
    """
    call = ApiCall(
        method="POST",
        template=f"{_RESOURCE}/stop",
        ids={"resource_id": resource_id},
        query={"force": force},
        priority="stop",
    )
    return (yield from fetch_one(RlResource, call))


def estimate_rl_cost(
    *,
    base_model: str,
    base_weights_ref: str | None = None,
    gpu_type: str | None = None,
    num_generator_replicas: int | None = None,
    inactive_timeout: int | None = None,
    lora_enabled: bool | None = None,
    optimizer_config: Mapping[str, Any] | None = None,
) -> Flow[RlCost]:
    """Return what an hour of such a resource costs; changes nothing, so it is repeated like a read.

    `gpu_type` None = the model's default, `inactive_timeout` seconds.
    """
    layout = without_none({"gpu_type": gpu_type, "num_generator_replicas": num_generator_replicas})
    body = without_none(
        {
            "base_model": base_model,
            "base_weights_ref": base_weights_ref,
            "compute_config": layout or None,
            "inactive_timeout": inactive_timeout,
            "lora_enabled": lora_enabled,
            "optimizer_config": dict(optimizer_config) if optimizer_config is not None else None,
        }
    )
    call = ApiCall(method="POST", template=f"{_RESOURCES}/estimate-cost", body=body, read_only=True)
    return (yield from fetch_one(RlCost, call))
