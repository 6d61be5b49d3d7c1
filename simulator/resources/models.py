"""v2 models, revisions, files, configs and the catalogue of supported models."""

import re
from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import CATALOGUE_SINCE_MS, PUBLIC_PROJECT_ID, Config, Model
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.identifiers import derive_number
from simulator.paging import NO_ITEMS, cut_page, list_answer

_CAPABILITIES = {
    "chat": "CAPABILITY_CHAT",
    "language": "CAPABILITY_CHAT",
    "embedding": "CAPABILITY_EMBEDDING",
    "rerank": "CAPABILITY_RERANKING",
    "image": "CAPABILITY_IMAGE_GENERATION",
}


def _allowed_project(call: Call) -> str:
    """Return the project id of the path: one of the key's, or the public catalogue's. Raises 404."""
    if call.path["project_id"] == PUBLIC_PROJECT_ID:
        return PUBLIC_PROJECT_ID
    return call.project().project_id


def _find_model(call: Call) -> Model:
    project_id = _allowed_project(call)
    model = call.world.catalogue.models.get(call.path["model_id"])
    if model is not None and model.project_id == project_id:
        return model
    if call.world.any_id:
        return next(iter(call.world.catalogue.models.values()))
    raise not_found("model", call.path["model_id"])


def _describe_model(call: Call, model: Model) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": model.model_id,
        "name": model.name,
        "organizationId": call.identity.organization.organization_id
        if model.base_model_id
        else "org_together",
        "projectId": model.project_id,
        "visibility": "VISIBILITY_PRIVATE" if model.base_model_id else "VISIBILITY_INTERNAL",
        "weights": {"type": "WEIGHTS_TYPE_DEFAULT", "contextLength": str(model.context_length)},
    }
    if model.base_model_id:
        body["baseModelId"] = model.base_model_id
        body["baseModel"] = f"projects/{PUBLIC_PROJECT_ID}/models/{model.base_model_id}"
    return body


def _list_models(call: Call, models: list[Model]) -> Response:
    models.sort(key=lambda model: model.model_id)
    page, cursor = cut_page(call, models, key=lambda model: (model.model_id,))
    return list_answer([_describe_model(call, model) for model in page], cursor)


def list_models(call: Call) -> Response:
    project_id = _allowed_project(call)
    return _list_models(call, [m for m in call.world.catalogue.models.values() if m.project_id == project_id])


def list_organization_models(call: Call) -> Response:
    organization = call.identity.organization
    call.check_organization(call.path["organization_id"])
    mine = {p.project_id for p in call.world.projects.values() if p.organization == organization}
    return _list_models(call, [m for m in call.world.catalogue.models.values() if m.project_id in mine])


def read_model(call: Call) -> Response:
    return json_answer(_describe_model(call, _find_model(call)))


def list_revisions(call: Call) -> Response:
    model = _find_model(call)
    revision = {
        "revisionId": model.revision_id,
        "createdAt": format_time(CATALOGUE_SINCE_MS),
        "validationStatus": "REVISION_VALIDATION_STATUS_SUCCESS",
    }
    return list_answer([revision], None)


def list_files(call: Call) -> Response:
    model = _find_model(call)
    wanted = call.query.get("revisionId", model.revision_id)
    if wanted != model.revision_id and not call.world.any_id:
        raise not_found("revision", wanted)
    size = int(model.billions * 2_000_000_000)
    shards = max(1, size // 5_000_000_000)
    files = [
        {
            "path": f"model-{number + 1:05d}-of-{shards:05d}.safetensors",
            "sizeBytes": str(size // shards),
            "hash": f"{derive_number(model.model_id, number):016x}",
        }
        for number in range(shards)
    ]
    return list_answer(
        files,
        None,
        revisionId=model.revision_id,
        revisionCreatedAt=format_time(CATALOGUE_SINCE_MS),
        totalSizeBytes=str(size // shards * shards),
    )


def _describe_config(config: Config, model: Model) -> dict[str, Any]:
    count, _, accelerator = config.hardware.name.partition("x")
    return {
        "id": config.config_id,
        "projectId": PUBLIC_PROJECT_ID,
        "referenceModel": f"projects/{PUBLIC_PROJECT_ID}/models/{model.model_id}",
        "referenceModelId": model.model_id,
        "selectors": [
            {"key": "accelerator_type", "value": accelerator},
            {"key": "accelerator_count", "value": count},
        ],
        "certifications": [],
    }


def list_configs(call: Call) -> Response:
    _allowed_project(call)
    reference = call.query.get("referenceModel", call.query.get("referenceModelId"))
    pairs = list(call.world.catalogue.configs.values())
    if reference and not call.world.any_id:
        match = re.fullmatch(r"projects/[^/]+/models/([^/]+)(?:/.*)?", reference)
        model = call.world.catalogue.models.get(match.group(1) if match else reference)
        if model is None:
            raise bad_request(f"model {reference} not found", param="referenceModel")
        wanted = model.base_model_id or model.model_id
        pairs = [
            (config, owner) for config, owner in pairs if wanted in {owner.model_id, owner.base_model_id}
        ]
    pairs.sort(key=lambda pair: pair[0].config_id)
    page, cursor = cut_page(call, pairs, key=lambda pair: (pair[0].config_id,))
    return list_answer([_describe_config(config, model) for config, model in page], cursor)


def read_config(call: Call) -> Response:
    _allowed_project(call)
    pair = call.world.catalogue.configs.get(call.path["config_id"])
    if pair is None and call.world.any_id:
        pair = next(iter(call.world.catalogue.configs.values()))
    if pair is None:
        raise not_found("config", call.path["config_id"])
    return json_answer(_describe_config(*pair))


def _describe_supported(model: Model) -> dict[str, Any]:
    prices = model.serverless_price
    products = ["PRODUCT_DEDICATED"]
    if prices:
        products.insert(0, "PRODUCT_SERVERLESS")
    text = "MODALITY_TEXT"
    body: dict[str, Any] = {
        "id": model.model_id,
        "name": model.name,
        "displayName": model.display_name,
        "displayType": model.kind,
        "publisher": model.organization,
        "status": "SUPPORTED_MODEL_STATUS_RECOMMENDED"
        if "gpt-oss" in model.name
        else "SUPPORTED_MODEL_STATUS_SUPPORTED",
        "products": products,
        "capabilities": [_CAPABILITIES[model.kind]] if model.kind in _CAPABILITIES else [],
        "inputModalities": ["MODALITY_AUDIO"] if model.kind == "transcribe" else [text],
        "outputModalities": [{"image": "MODALITY_IMAGE", "audio": "MODALITY_AUDIO"}.get(model.kind, text)],
        "baseModel": model.path,
        "baseModelId": model.model_id,
        "contextLength": str(model.context_length),
        "createdAt": format_time(CATALOGUE_SINCE_MS),
        "updatedAt": format_time(CATALOGUE_SINCE_MS),
        "deploymentProfiles": [_describe_profile(model, config) for config in model.configs],
    }
    if model.kind == "chat":
        body["features"] = ["FEATURE_TOOL_CALLING", "FEATURE_STRUCTURED_OUTPUT"]
        if model.reasons:
            body["features"].append("FEATURE_REASONING")
    if prices:
        body["pricing"] = {"input": prices[0], "output": prices[1]}
        body["serverlessEndpoint"] = model.name
    return body


def _describe_profile(model: Model, config: Config) -> dict[str, Any]:
    return {
        "profileId": config.config_id,
        "certifiedConfigRevisionId": config.config_id,
        "certifiedModelRevisionId": model.revision_id,
        "config": f"projects/{PUBLIC_PROJECT_ID}/configs/{config.config_id}",
        "model": f"{model.path}/revisions/{model.revision_id}",
        "modelName": model.name,
        "gpuType": config.hardware.gpu,
        "gpuCount": config.hardware.count,
        "parallelism": f"TP{config.hardware.count}",
        "quantization": "FP8" if "fp8" in model.name.lower() else "BF16",
        "performanceBenchmarks": {
            "decodingSpeedTps": 95.0,
            "timeToFirstTokenMs": 180,
            "maxContextLength": str(model.context_length),
        },
        "adapterMode": "ADAPTER_MODE_DISABLED",
    }


def list_supported(call: Call) -> Response:
    models = [m for m in call.world.catalogue.models.values() if m.base_model_id is None]
    if not call.world.any_id:
        models = [model for model in models if _supports(call, model)]
    models.sort(key=lambda model: model.name)
    page, cursor = cut_page(call, models, key=lambda model: (model.name,))
    return list_answer([_describe_supported(model) for model in page], cursor)


def _supports(call: Call, model: Model) -> bool:
    body = _describe_supported(model)
    product, modality = call.query.get("product"), call.query.get("modality")
    search, mode = call.query.get("search", "").lower(), call.query.get("adapterMode")
    return (
        (not product or product in body["products"])
        and (not modality or modality in body["inputModalities"])
        and (search in model.name.lower() or search in model.display_name.lower())
        and (not mode or any(profile["adapterMode"] == mode for profile in body["deploymentProfiles"]))
    )


def read_supported(call: Call) -> Response:
    catalogue, wanted = call.world.catalogue, call.path["model_id"]
    model = catalogue.models.get(wanted) or catalogue.by_name.get(wanted)
    if model is None and call.world.any_id:
        model = next(iter(catalogue.models.values()))
    if model is None or model.base_model_id is not None:
        raise not_found("supported model", wanted)
    return json_answer(_describe_supported(model))


def list_uploads(call: Call) -> Response:
    """Answer an empty list: the simulator takes no uploads (yet)."""
    call.project()
    page, cursor = cut_page(call, NO_ITEMS, key=lambda item: (item,))
    return list_answer(page, cursor)


_PROJECT = "/v2/projects/{project_id}"
ROUTES = [
    route(f"{_PROJECT}/models", list_models),
    route(f"{_PROJECT}/models/uploads", list_uploads),
    route(f"{_PROJECT}/models/{{model_id}}", read_model),
    route(f"{_PROJECT}/models/{{model_id}}/revisions", list_revisions),
    route(f"{_PROJECT}/models/{{model_id}}/files", list_files),
    route(f"{_PROJECT}/configs", list_configs),
    route(f"{_PROJECT}/configs/{{config_id}}", read_config),
    route("/v2/organizations/{organization_id}/models", list_organization_models),
    route("/v2/supported-models", list_supported),
    route("/v2/supported-models/{model_id:path}", read_supported),
]
