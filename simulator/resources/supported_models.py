"""The catalogue of supported models with its deployment profiles (contract 3.8)."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import CATALOGUE_SINCE_MS, PUBLIC_PROJECT_ID, Config, Model
from simulator.clock import format_time
from simulator.errors import not_found
from simulator.jobs.trainable import trainable_models
from simulator.paging import cut_page, list_answer

_CAPABILITIES = {
    "chat": "CAPABILITY_CHAT",
    "language": "CAPABILITY_CHAT",
    "embedding": "CAPABILITY_EMBEDDING",
    "rerank": "CAPABILITY_RERANKING",
    "image": "CAPABILITY_IMAGE_GENERATION",
}
#: Larger models can be reserved.
_RESERVED_FROM_BILLIONS = 130
#: A profile is timed on the machine it runs on: tokens per second of one H100 and 8 billion parameters.
_DECODING_SPEED = 190.0


def _products(model: Model) -> list[str]:
    products = ["PRODUCT_DEDICATED"]
    if model.serverless_price:
        products.insert(0, "PRODUCT_SERVERLESS")
    if model.name in trainable_models():
        products.append("PRODUCT_FINE_TUNING")
    if model.billions >= _RESERVED_FROM_BILLIONS:
        products.append("PRODUCT_RESERVED")
    return products


def _describe(model: Model) -> dict[str, Any]:
    prices = model.serverless_price
    text = "MODALITY_TEXT"
    body: dict[str, Any] = {
        "id": model.model_id,
        "name": model.name,
        "displayName": model.display_name,
        "displayType": model.kind,
        "publisher": model.organization,
        "status": f"SUPPORTED_MODEL_STATUS_{model.status}",
        "products": _products(model),
        "capabilities": [_CAPABILITIES[model.kind]] if model.kind in _CAPABILITIES else [],
        "inputModalities": ["MODALITY_AUDIO"] if model.kind == "transcribe" else [text],
        "outputModalities": [{"image": "MODALITY_IMAGE", "audio": "MODALITY_AUDIO"}.get(model.kind, text)],
        "baseModel": model.path,
        "baseModelId": model.model_id,
        "createdAt": format_time(CATALOGUE_SINCE_MS),
        "updatedAt": format_time(CATALOGUE_SINCE_MS),
        "deploymentProfiles": [_describe_profile(model, config) for config in model.configs],
    }
    if model.context_length:
        body["contextLength"] = str(model.context_length)
    if model.deprecation:
        body["description"] = f"Left the serverless platform on {model.deprecation.removal_on}."
        if model.deprecation.replacement:
            body["description"] += f" Use {model.deprecation.replacement} instead."
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
            "decodingSpeedTps": round(
                _DECODING_SPEED * config.hardware.count**0.5 / max(1, model.billions / 8) ** 0.5, 1
            ),
            "timeToFirstTokenMs": 180,
            "maxContextLength": str(model.context_length),
        },
        "adapterMode": f"ADAPTER_MODE_{config.adapter_mode.upper()}",
    }


def list_supported(call: Call) -> Response:
    models = [m for m in call.world.catalogue.models.values() if m.project_id == PUBLIC_PROJECT_ID]
    if not call.world.any_id:
        models = [model for model in models if _matches(call, model)]
    models.sort(key=lambda model: model.name)
    page, cursor = cut_page(call, models, key=lambda model: (model.name,))
    return list_answer([_describe(model) for model in page], cursor)


def _matches(call: Call, model: Model) -> bool:
    body = _describe(model)
    product, modality = call.query.get("product"), call.query.get("modality")
    search, mode = call.query.get("search", "").lower(), call.query.get("adapterMode")
    return (
        (not product or product in body["products"])
        and (not modality or modality in body["inputModalities"])
        and any(search in text.lower() for text in (model.model_id, model.name, model.display_name))
        and (not mode or any(profile["adapterMode"] == mode for profile in body["deploymentProfiles"]))
    )


def read_supported(call: Call) -> Response:
    catalogue, wanted = call.world.catalogue, call.path["model_id"]
    model = catalogue.models.get(wanted) or catalogue.by_name.get(wanted)
    if model is None and call.world.any_id:
        model = next(iter(catalogue.models.values()))
    if model is None or model.project_id != PUBLIC_PROJECT_ID:
        raise not_found("supported model", wanted)
    return json_answer(_describe(model))


ROUTES = [
    route("/v2/supported-models", list_supported),
    route("/v2/supported-models/{model_id:path}", read_supported),
]
