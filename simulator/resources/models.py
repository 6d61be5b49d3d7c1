"""v2 models of a project: register, read, change, delete, their revisions and files."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import PUBLIC_PROJECT_ID, Model
from simulator.clock import format_time
from simulator.errors import GatewayError, bad_request, not_found
from simulator.fields import check_name, read_fields, read_mask
from simulator.identifiers import derive_number
from simulator.lifecycle import FAILED, STOPPED
from simulator.paging import cut_page, list_answer
from simulator.registry.models import INTERNAL, PRIVATE, OwnModel, Revision
from simulator.world import Project

_CREATE = {"name": str, "baseModelId": str, "type": str, "description": str}
_UPDATE = {"name": str, "description": str, "visibility": str}
_IS_ADAPTER = {"model": False, "models": False, "adapter": True, "adapters": True}
_SHARD_BYTES = 5_000_000_000


def allowed_project(call: Call) -> str:
    """Return the project id of the path: one of the key's, or the public catalogue's. Raises 404."""
    if call.path["project_id"] == PUBLIC_PROJECT_ID:
        return PUBLIC_PROJECT_ID
    return call.project().project_id


def find_model(call: Call, model_id: str) -> Model:
    """Return a model of the path's project. Raises 404."""
    project_id = allowed_project(call)
    model = call.world.catalogue.models.get(model_id)
    if model is not None and model.project_id == project_id:
        return model
    if call.world.any_id:
        return next(iter(call.world.catalogue.models.values()))
    raise not_found("model", model_id)


def _find_own(call: Call) -> tuple[Model, OwnModel]:
    """Return a model that may be changed. Raises 404, and 403 for the public catalogue's."""
    model = find_model(call, call.path["model_id"])
    if model.project_id == PUBLIC_PROJECT_ID:
        raise GatewayError(403, "a public model cannot be changed")
    return model, call.world.registry.keep(model)


def describe_model(call: Call, model: Model) -> dict[str, Any]:
    own = call.world.registry.facts(model)
    is_public = model.project_id == PUBLIC_PROJECT_ID
    weights = {"type": "WEIGHTS_TYPE_ADAPTER" if own.is_adapter else "WEIGHTS_TYPE_DEFAULT"}
    if model.revision_id and model.context_length:  # read from the files
        weights["contextLength"] = str(model.context_length)
    body: dict[str, Any] = {
        "id": model.model_id,
        "name": model.name,
        "organizationId": "org_together" if is_public else call.identity.organization.organization_id,
        "projectId": model.project_id,
        "visibility": own.visibility,
        "weights": weights,
    }
    if model.base_model_id:
        body["baseModelId"] = model.base_model_id
        body["baseModel"] = f"projects/{PUBLIC_PROJECT_ID}/models/{model.base_model_id}"
    if own.description is not None:
        body["description"] = own.description
    return body


def _list(call: Call, models: list[Model]) -> Response:
    models.sort(key=lambda model: model.model_id)
    page, cursor = cut_page(call, models, key=lambda model: (model.model_id,))
    return list_answer([describe_model(call, model) for model in page], cursor)


def list_models(call: Call) -> Response:
    """Return the project's models, with ?visibility those of it that are so visible."""
    project_id = allowed_project(call)
    wanted = None if call.world.any_id else call.query.get("visibility")
    if wanted not in {None, PRIVATE, INTERNAL}:
        raise bad_request("unknown visibility", param="visibility")
    return _list(
        call,
        [
            model
            for model in call.world.catalogue.models.values()
            if model.project_id == project_id
            and wanted in {None, call.world.registry.facts(model).visibility}
        ],
    )


def list_organization_models(call: Call) -> Response:
    """Return what the organisation's projects share: a project's private models are not among it."""
    organization = call.identity.organization
    call.check_organization(call.path["organization_id"])
    mine = {p.project_id for p in call.world.projects.values() if p.organization == organization}
    return _list(
        call,
        [
            model
            for model in call.world.catalogue.models.values()
            if model.project_id in mine and call.world.registry.facts(model).visibility == INTERNAL
        ],
    )


def read_model(call: Call) -> Response:
    return json_answer(describe_model(call, find_model(call, call.path["model_id"])))


def create_model(call: Call) -> Response:
    project = call.project()
    if call.world.any_id:
        return json_answer(describe_model(call, next(iter(call.world.catalogue.models.values()))))
    fields = read_fields(call.fields(), _CREATE)
    for name in ("name", "baseModelId", "type"):
        if not fields.get(name):
            raise bad_request(f"{name} is required", param=name)
    if fields["type"] not in _IS_ADAPTER:
        raise bad_request("type must be model or adapter", param="type")
    base = call.world.catalogue.models.get(fields["baseModelId"])
    if base is None or base.project_id != PUBLIC_PROJECT_ID:
        raise bad_request(f"base model {fields['baseModelId']} is not supported", param="baseModelId")
    own = call.world.registry.register(
        model_id=call.world.new_id("ml"),
        name=_free_name(call, project, fields["name"]),
        project_id=project.project_id,
        base=base,
        at_ms=call.now_ms,
        is_adapter=_IS_ADAPTER[fields["type"]],
        description=fields.get("description"),
    )
    return json_answer(describe_model(call, own.model))


def _free_name(call: Call, project: Project, given: str) -> str:
    """Return the qualified form of a name that nothing has. Raises 400, and 409 for a taken one."""
    slug = check_name(given.removeprefix(f"{project.slug}/"))
    name = f"{project.slug}/{slug}"
    if name in call.world.catalogue.by_name:
        raise GatewayError(409, f'a model named "{slug}" already exists')
    return name


def update_model(call: Call) -> Response:
    if call.world.any_id:
        return read_model(call)
    model, own = _find_own(call)
    fields = read_fields(call.fields(), _UPDATE)
    mask = read_mask(call.query.get("updateMask", call.query.get("update_mask")))
    if mask is not None:
        named = {path[0] for path in mask}
        for name in named - _UPDATE.keys():
            raise bad_request(f'invalid updateMask path "{name}"', param="updateMask")
        fields = {name: fields.get(name, "") for name in named}
    if fields.get("visibility", PRIVATE) not in {PRIVATE, INTERNAL}:
        raise bad_request("unknown visibility", param="visibility")
    if "name" in fields and fields["name"] not in {model.name, model.name.rpartition("/")[2]}:
        call.world.registry.rename(own, _free_name(call, call.project(), fields["name"]))
    own.visibility = fields.get("visibility", own.visibility)
    own.description = fields.get("description", own.description) or None
    return json_answer(describe_model(call, own.model))


def delete_model(call: Call) -> Response:
    if call.world.any_id:
        return json_answer({})
    model, _ = _find_own(call)
    for deployment in call.world.deployments.values():
        deployment.workload.advance(call.now_ms)
        if deployment.model.model_id == model.model_id and deployment.workload.state not in {STOPPED, FAILED}:
            raise bad_request(f"model {model.model_id} is in use by deployment {deployment.deployment_id}")
    call.world.registry.remove(model)
    return json_answer({})


def _describe_revision(revision: Revision, now_ms: int) -> dict[str, Any]:
    status = revision.validation(now_ms)
    body: dict[str, Any] = {
        "revisionId": revision.revision_id,
        "createdAt": format_time(revision.created_ms),
        "validationStatus": f"REVISION_VALIDATION_STATUS_{status}",
    }
    if status != "PENDING":
        body["lastValidatedAt"] = format_time(revision.validated_ms)
    if status == "FAILED":
        body["validationErrors"] = [
            {"rule": "safetensors_header", "severity": "ERROR", "message": revision.fault}
        ]
    return body


def list_revisions(call: Call) -> Response:
    """Return the revisions, newest first."""
    revisions = call.world.registry.facts(find_model(call, call.path["model_id"])).revisions
    return list_answer([_describe_revision(item, call.now_ms) for item in reversed(revisions)], None)


def list_files(call: Call) -> Response:
    """Return the files of a revision, by default of the newest. Raises 404."""
    model = find_model(call, call.path["model_id"])
    own = call.world.registry.facts(model)
    wanted = call.query.get("revisionId", call.query.get("revision_id"))
    if call.world.any_id:
        wanted = None
    if wanted and all(revision.revision_id != wanted for revision in own.revisions):
        raise not_found("revision", wanted)
    if not own.revisions:
        return list_answer([], None, totalSizeBytes="0")
    revision = next((item for item in own.revisions if item.revision_id == wanted), own.revisions[-1])
    files = _describe_files(revision, is_adapter=own.is_adapter)
    return list_answer(
        files,
        None,
        revisionId=revision.revision_id,
        revisionCreatedAt=format_time(revision.created_ms),
        totalSizeBytes=str(revision.size_bytes),
    )


def _describe_files(revision: Revision, *, is_adapter: bool) -> list[dict[str, str]]:
    """Return shards of one size; the last one takes the rest."""
    shards = max(1, revision.size_bytes // _SHARD_BYTES)
    files = []
    for number in range(shards):
        size = revision.size_bytes // shards
        if number == shards - 1:
            size = revision.size_bytes - size * (shards - 1)
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        files.append(
            {
                "path": "adapter_model.safetensors" if is_adapter else name,
                "sizeBytes": str(size),
                "hash": f"{derive_number(revision.revision_id, number):016x}",
            }
        )
    return files


_MODELS = "/v2/projects/{project_id}/models"
ROUTES = [
    route(_MODELS, list_models),
    route(_MODELS, create_model, "POST"),
    route(f"{_MODELS}/{{model_id}}", read_model),
    route(f"{_MODELS}/{{model_id}}", update_model, "PATCH"),
    route(f"{_MODELS}/{{model_id}}", delete_model, "DELETE"),
    route(f"{_MODELS}/{{model_id}}/revisions", list_revisions),
    route(f"{_MODELS}/{{model_id}}/files", list_files),
    route("/v2/organizations/{organization_id}/models", list_organization_models),
]
