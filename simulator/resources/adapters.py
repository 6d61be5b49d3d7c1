"""v2 LoRA adapters on a deployment of their base model."""

from typing import Any

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.errors import GatewayError, bad_request, not_found
from simulator.experiments import Adapter
from simulator.fields import read_fields
from simulator.paging import cut_page, list_answer
from simulator.resources.deployments import find_deployment
from simulator.resources.endpoints import check_etag
from simulator.world import Deployment, Endpoint

_CREATE = {"adapterModelId": str, "adapterRevisionId": str, "force": bool}
_UPDATE = {"adapterRevisionId": str, "etag": str}
#: Adapters that one deployment holds at most.
CAPACITY = 8


def _describe(deployment: Deployment, adapter: Adapter) -> dict[str, Any]:
    """Return the adapter; it is loaded where the deployment has ready replicas."""
    path = f"projects/{adapter.project_id}/models/{adapter.adapter_model_id}"
    present = deployment.workload.present
    state = "READY" if present.ready else "PENDING"
    if present.state == lifecycle.FAILED:
        state = "FAILED"
    clusters = [
        {
            "adapterModelId": adapter.adapter_model_id,
            "adapterModel": path,
            "clusterId": f"cluster-{deployment.config.hardware.regions[0]}",
            "state": f"ADAPTER_LOAD_STATE_{state}",
            "readyPodCount": present.ready,
            "failedPodCount": 0,
            "totalPodCount": present.desired,
            "realizedEtag": adapter.etag,
        }
    ]
    return {
        "id": adapter.rider_id,
        "adapterModelId": adapter.adapter_model_id,
        "adapterModel": path,
        "desiredRevisionId": adapter.revision_id,
        "desiredRevision": f"{path}/revisions/{adapter.revision_id}",
        "etag": adapter.etag,
        "perCluster": clusters if present.desired else [],
    }


def _find(call: Call) -> tuple[Deployment, Adapter]:
    endpoint, deployment = find_deployment(call)
    if call.world.any_id:
        stamp = (endpoint.endpoint_id, call.identity.api_key_id, call.now_ms, call.now_ms)
        model = deployment.model
        where = (deployment.deployment_id, model.project_id, model.model_id, model.revision_id)
        return deployment, Adapter("dad_any", *stamp, *where)
    adapter = call.world.experiments.adapters.get(call.path["adapter_id"])
    if adapter is None or adapter.deployment_id != deployment.deployment_id:
        raise not_found("adapter", call.path["adapter_id"])
    return deployment, adapter


def _attached(call: Call, endpoint: Endpoint, deployment: Deployment) -> list[Adapter]:
    return [
        adapter
        for adapter in call.world.experiments.adapters.of(endpoint.endpoint_id)
        if adapter.deployment_id == deployment.deployment_id
    ]


def list_adapters(call: Call) -> Response:
    endpoint, deployment = find_deployment(call)
    found = _attached(call, endpoint, deployment)
    page, cursor = cut_page(call, found, key=lambda item: (item.created_ms, item.rider_id))
    return list_answer([_describe(deployment, item) for item in page], cursor)


def create_adapter(call: Call) -> Response:
    endpoint, deployment = find_deployment(call)
    if call.world.any_id:
        return read_adapter(call)
    fields = read_fields(call.fields(), _CREATE)
    model = call.world.catalogue.models.get(fields.get("adapterModelId", ""))
    if model is None or model.project_id != endpoint.project.project_id:
        raise bad_request("adapterModelId is not a model of the project", param="adapterModelId")
    if not call.world.registry.facts(model).is_adapter:
        raise bad_request(f"model {model.model_id} is not an adapter", param="adapterModelId")
    if model.base_model_id != deployment.model.model_id:
        raise bad_request("the deployment serves another base model", param="adapterModelId")
    if deployment.config.adapter_mode == "disabled":
        raise bad_request("the deployment's config does not take adapters")
    revision_id = _find_revision(call, model.model_id, fields.get("adapterRevisionId") or model.revision_id)
    attached = _attached(call, endpoint, deployment)
    if any(item.adapter_model_id == model.model_id for item in attached):
        raise GatewayError(409, f"adapter {model.model_id} is attached already")
    if len(attached) >= CAPACITY:
        if not fields.get("force"):
            raise bad_request(f"the deployment holds {CAPACITY} adapters; force evicts the oldest")
        del call.world.experiments.adapters[attached[0].rider_id]
    adapter = Adapter(
        call.world.new_id("dad"), endpoint.endpoint_id, call.identity.api_key_id, call.now_ms, call.now_ms,
        deployment.deployment_id, model.project_id, model.model_id, revision_id,
    )  # fmt: skip
    call.world.experiments.adapters[adapter.rider_id] = adapter
    return json_answer(_describe(deployment, adapter))


def _find_revision(call: Call, model_id: str, revision_id: str) -> str:
    model = call.world.catalogue.models[model_id]
    if call.world.registry.revision_of(model, revision_id, call.now_ms) is None:
        raise bad_request(f"revision {revision_id} not found", param="adapterRevisionId")
    return revision_id


def read_adapter(call: Call) -> Response:
    return json_answer(_describe(*_find(call)))


def update_adapter(call: Call) -> Response:
    deployment, adapter = _find(call)
    if call.world.any_id:
        return read_adapter(call)
    fields = read_fields(call.fields(), _UPDATE)
    _require_etag(call, fields.get("etag"), adapter)
    if not fields.get("adapterRevisionId"):
        raise bad_request("adapterRevisionId is required", param="adapterRevisionId")
    adapter.revision_id = _find_revision(call, adapter.adapter_model_id, fields["adapterRevisionId"])
    adapter.touch(call.now_ms)
    return json_answer(_describe(deployment, adapter))


def delete_adapter(call: Call) -> Response:
    _, adapter = _find(call)
    if not call.world.any_id:
        _require_etag(call, call.query.get("etag"), adapter)
        del call.world.experiments.adapters[adapter.rider_id]
    return json_answer({})


def _require_etag(call: Call, given: str | None, adapter: Adapter) -> None:
    """Raise 400 for a write without an etag, which adapters need, and 409 for a stale one."""
    if not given:
        raise bad_request("etag is required", param="etag")
    check_etag(call, given, adapter.etag)


_BASE = "/v2/projects/{project_id}/endpoints/{endpoint_id}/deployments/{deployment_id}/adapters"
ROUTES = [
    route(_BASE, list_adapters),
    route(_BASE, create_adapter, "POST"),
    route(f"{_BASE}/{{adapter_id}}", read_adapter),
    route(f"{_BASE}/{{adapter_id}}", update_adapter, "PATCH"),
    route(f"{_BASE}/{{adapter_id}}", delete_adapter, "DELETE"),
]
