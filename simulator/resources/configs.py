"""v2 configs: certified ways to run a model on a machine."""

import re
from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import CATALOGUE_SINCE_MS, PUBLIC_PROJECT_ID, Config, Model
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.paging import cut_page, list_answer
from simulator.resources.models import allowed_project


def _describe(config: Config, model: Model) -> dict[str, Any]:
    count, _, accelerator = config.hardware.name.partition("x")
    return {
        "id": config.config_id,
        "projectId": PUBLIC_PROJECT_ID,
        "referenceModel": f"projects/{PUBLIC_PROJECT_ID}/models/{model.model_id}",
        "referenceModelId": model.model_id,
        "selectors": [
            {"key": "accelerator_type", "value": accelerator},
            {"key": "accelerator_count", "value": count},
            {"key": "adapter_mode", "value": config.adapter_mode},
        ],
        "certifications": [
            {
                "certificationType": "CERTIFICATION_TYPE_CERTIFIED",
                "certifiedAt": format_time(CATALOGUE_SINCE_MS),
                "certifiedBy": "release-tests",
                "model": model.path,
                "modelRevisionId": model.revision_id,
                "target": "CERTIFICATION_TARGET_MRE",
            }
        ],
    }


def list_configs(call: Call) -> Response:
    """Return the configs, of one model where it is named: none for an own model without valid files."""
    allowed_project(call)
    pairs = list(call.world.catalogue.configs.values())
    references = [call.query[name] for name in ("referenceModel", "referenceModelId") if call.query.get(name)]
    if references and not call.world.any_id:
        found = {_find_reference(call, reference).model_id for reference in references}
        if len(found) > 1:
            raise bad_request("referenceModel and referenceModelId do not agree", param="referenceModel")
        model = call.world.catalogue.models[found.pop()]
        wanted = (model.base_model_id or model.model_id) if model.configs else None
        pairs = [(config, owner) for config, owner in pairs if owner.model_id == wanted]
    pairs.sort(key=lambda pair: pair[0].config_id)
    page, cursor = cut_page(call, pairs, key=lambda pair: (pair[0].config_id,))
    return list_answer([_describe(config, model) for config, model in page], cursor)


def _find_reference(call: Call, reference: str) -> Model:
    match = re.fullmatch(r"projects/[^/]+/models/([^/]+)(?:/.*)?", reference)
    model = call.world.catalogue.models.get(match.group(1) if match else reference)
    if model is None:
        raise bad_request(f"model {reference} not found", param="referenceModel")
    return model


def read_config(call: Call) -> Response:
    allowed_project(call)
    pair = call.world.catalogue.configs.get(call.path["config_id"])
    if pair is None and call.world.any_id:
        pair = next(iter(call.world.catalogue.configs.values()))
    if pair is None:
        raise not_found("config", call.path["config_id"])
    return json_answer(_describe(*pair))


_PROJECT = "/v2/projects/{project_id}"
ROUTES = [
    route(f"{_PROJECT}/configs", list_configs),
    route(f"{_PROJECT}/configs/{{config_id}}", read_config),
]
