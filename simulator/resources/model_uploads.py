"""v2 imports of model files from Hugging Face or a presigned archive (contract 3.1, 3.8)."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import PUBLIC_PROJECT_ID
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.fields import read_fields
from simulator.identifiers import derive_id
from simulator.paging import cut_page, list_answer
from simulator.registry.imports import MAX_RESTARTS, Step, read_source
from simulator.registry.models import OwnModel, Upload
from simulator.resources.models import find_model

_CREATE = {"modelId": str, "remoteUrl": str, "token": str}


def _describe(upload: Upload, now_ms: int) -> dict[str, Any]:
    """Return the import as the API does: the address is given back with whatever signature it carries."""
    present = upload.past(now_ms)[-1]
    return {
        "id": upload.upload_id,
        "modelId": upload.model_id,
        "projectId": upload.project_id,
        "remoteUrl": upload.source.address,
        "createdAt": format_time(upload.created_ms),
        "updatedAt": format_time(present.at_ms),
        "status": f"REMOTE_UPLOAD_STATUS_{present.status}",
        "statusMessage": present.message,
        "restartCount": present.restarts,
        "maxRestarts": MAX_RESTARTS,
    }


def _any_upload(call: Call) -> Upload:
    """Return some import for any-id mode, which keeps nothing."""
    source = read_source("https://huggingface.co/acme/model", has_token=False)
    if source is None:
        raise ValueError("the address of the any-id import cannot be read")
    model = next(iter(call.world.catalogue.models.values()))
    step = Step(call.now_ms, "PENDING", "import.queued", "Waiting for an import worker")
    return Upload("job_any", model.model_id, call.project().project_id, source, (step,), None)


def _find(call: Call) -> Upload:
    project = call.project()
    if call.world.any_id:
        return _any_upload(call)
    upload = call.world.registry.uploads.get(call.path["upload_id"])
    if upload is None or upload.project_id != project.project_id or upload.job_id:
        raise not_found("upload", call.path["upload_id"])
    return upload


def list_uploads(call: Call) -> Response:
    """Return the imports, newest first."""
    uploads = sorted(call.world.registry.uploads_of(call.project().project_id), key=_sort_key)
    page, cursor = cut_page(call, uploads, key=_sort_key)
    return list_answer([_describe(upload, call.now_ms) for upload in page], cursor)


def _sort_key(upload: Upload) -> tuple[Any, ...]:
    return (-upload.created_ms, upload.upload_id)


def create_upload(call: Call) -> Response:
    if call.world.any_id:
        return json_answer(_describe(_any_upload(call), call.now_ms))
    fields = read_fields(call.fields(), _CREATE)
    for name in ("modelId", "remoteUrl"):
        if not fields.get(name):
            raise bad_request(f"{name} is required", param=name)
    model = find_model(call, fields["modelId"])
    source = read_source(fields["remoteUrl"], has_token=bool(fields.get("token")))
    if source is None:
        raise bad_request(
            "remoteUrl must be a Hugging Face repository or a presigned archive URL", param="remoteUrl"
        )
    if model.project_id == PUBLIC_PROJECT_ID:
        raise bad_request("files can only be imported into a model of the project", param="modelId")
    own: OwnModel = call.world.registry.keep(model)
    upload = call.world.registry.start_import(
        upload_id=call.world.new_id("job"), own=own, source=source, at_ms=call.now_ms
    )
    return json_answer(_describe(upload, call.now_ms))


def read_upload(call: Call) -> Response:
    return json_answer(_describe(_find(call), call.now_ms))


def list_events(call: Call) -> Response:
    """Return what happened so far, oldest first."""
    upload = _find(call)
    steps = list(enumerate(upload.past(call.now_ms)))
    page, cursor = cut_page(call, steps, key=lambda item: (item[0],))
    return list_answer([_describe_event(upload, number, step) for number, step in page], cursor)


def _describe_event(upload: Upload, number: int, step: Step) -> dict[str, str]:
    return {
        "id": derive_id("evt", upload.upload_id, number),
        "createdAt": format_time(step.at_ms),
        "level": f"LEVEL_{step.level}",
        "type": step.kind,
        "message": step.message,
    }


_UPLOADS = "/v2/projects/{project_id}/models/uploads"
ROUTES = [
    route(_UPLOADS, list_uploads),
    route(_UPLOADS, create_upload, "POST"),
    route(f"{_UPLOADS}/{{upload_id}}", read_upload),
    route(f"{_UPLOADS}/{{upload_id}}/events", list_events),
]
