"""`GET /v1/models`: a bare array with list prices, and a refusal of its own shape."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import CATALOGUE_SINCE_MS, PUBLIC_PROJECT_ID, Model
from simulator.clock import SECOND_MS
from simulator.identifiers import derive_uuid


def _describe(call: Call, model: Model) -> dict[str, Any]:
    """Return the item as recorded bodies show it: zeros for hourly and finetune, `created` 0 for many."""
    prices = model.serverless_price or (0, 0)
    is_own = model.project_id != PUBLIC_PROJECT_ID
    created_ms = CATALOGUE_SINCE_MS if model.serverless_price else 0
    if is_own:
        created_ms = call.world.registry.facts(model).created_ms
    return {
        "id": model.name,
        "object": "model",
        "created": created_ms // SECOND_MS,
        "type": model.kind,
        "running": False,
        "uuid": derive_uuid(model.model_id),
        "display_name": model.display_name,
        "organization": model.organization,
        "link": "" if is_own else f"https://models.example/{model.name}",
        "license": None,
        "context_length": model.context_length or None,
        "config": {"chat_template": None, "stop": [], "bos_token": None, "eos_token": None},
        "pricing": {"hourly": 0, "input": prices[0], "output": prices[1], "base": 0, "finetune": 0},
    }


def list_models(call: Call) -> Response:
    """Return every model, the organisation's own among them; ?dedicated=true those that dedicated can run."""
    only_dedicated = call.flag("dedicated")
    organization = call.identity.organization
    visible = {PUBLIC_PROJECT_ID} | {
        project.project_id for project in call.world.projects.values() if project.organization == organization
    }
    return json_answer(
        [
            _describe(call, model)
            for model in call.world.catalogue.models.values()
            if model.project_id in visible and model.revision_id and (not only_dedicated or model.configs)
        ]
    )


ROUTES = [route("/v1/models", list_models, bare_refusal=True)]
