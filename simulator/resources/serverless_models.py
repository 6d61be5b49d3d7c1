"""`GET /v1/models`: a bare array with list prices, and a refusal of its own shape."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import CATALOGUE_SINCE_MS, Model
from simulator.clock import SECOND_MS
from simulator.identifiers import derive_uuid


def _describe(model: Model) -> dict[str, Any]:
    prices = model.serverless_price or (0, 0)
    return {
        "id": model.name,
        "object": "model",
        "created": CATALOGUE_SINCE_MS // SECOND_MS if model.serverless_price else 0,
        "type": model.kind,
        "running": False,
        "uuid": derive_uuid(model.model_id),
        "display_name": model.display_name,
        "organization": model.organization,
        "link": f"https://models.example/{model.name}",
        "license": None,
        "context_length": model.context_length or None,
        "config": {"chat_template": None, "stop": [], "bos_token": None, "eos_token": None},
        "pricing": {"hourly": 0, "input": prices[0], "output": prices[1], "base": 0, "finetune": 0},
    }


def list_models(call: Call) -> Response:
    """Return every model; ?dedicated=true those that can run on a dedicated endpoint."""
    only_dedicated = call.flag("dedicated")
    return json_answer(
        [
            _describe(model)
            for model in call.world.catalogue.models.values()
            if model.base_model_id is None and (not only_dedicated or model.configs)
        ]
    )


ROUTES = [route("/v1/models", list_models, bare_refusal=True)]
