"""Own models: uploads of both generations, revisions, files (contract 3.1, 3.8 and section 5)."""

from typing import Literal

from pydantic import ValidationError

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.config import PAGE_SIZE
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.base import describe
from dashboard.together_api.payloads.catalogue import ProjectModel
from dashboard.together_api.payloads.uploads import (
    ModelFiles,
    ModelRevision,
    ModelUpload,
    UploadEvent,
    V1Job,
    V1UploadTicket,
)
from dashboard.together_api.requests import ApiCall, Flow

_MODELS = "/v2/projects/{project_id}/models"
_MODEL = f"{_MODELS}/{{model_id}}"
_UPLOADS = f"{_MODELS}/uploads"
_UPLOAD = f"{_UPLOADS}/{{upload_id}}"

ModelKind = Literal["model", "adapter"]


def list_v1_jobs() -> Flow[Listing[V1Job]]:
    """Return the upload jobs of v1; gone from SDK 3, so a 404 may mean that v1 is switched off."""
    return (yield from fetch_all(V1Job, ApiCall(template="/v1/jobs")))


def get_v1_job(job_id: str) -> Flow[V1Job]:
    """Return one upload job of v1; is_absent(error) when it is gone."""
    return (yield from fetch_one(V1Job, ApiCall(template="/v1/jobs/{job_id}", ids={"job_id": job_id})))


def upload_v1_model(
    *,
    model_name: str,
    model_source: str,
    model_type: ModelKind,
    hf_token: str | None = None,
    description: str | None = None,
    base_model: str | None = None,
    lora_model: str | None = None,
) -> Flow[V1UploadTicket]:
    """Upload a model over v1 and return which job to look for; `hf_token` is sent and kept nowhere."""
    body = without_none(
        {
            "model_name": model_name,
            "model_source": model_source,
            "model_type": model_type,
            "hf_token": hf_token,
            "description": description,
            "base_model": base_model,
            "lora_model": lora_model,
        }
    )
    reply = yield ApiCall(method="POST", template="/v1/models", body=body)
    data = reply.json_object().get("data")
    if not isinstance(data, dict):
        raise reply.malformed("expected data")
    try:
        return V1UploadTicket.parse(data)
    except ValidationError as error:
        raise reply.malformed(describe(error)) from error


def list_uploads(project_id: str) -> Flow[Listing[ModelUpload]]:
    """Return all uploads of a project."""
    call = ApiCall(template=_UPLOADS, ids={"project_id": project_id}, query={"limit": PAGE_SIZE})
    return (yield from fetch_all(ModelUpload, call))


def get_upload(project_id: str, upload_id: str) -> Flow[ModelUpload]:
    """Return one upload; is_absent(error) when it is gone."""
    call = ApiCall(template=_UPLOAD, ids={"project_id": project_id, "upload_id": upload_id})
    return (yield from fetch_one(ModelUpload, call))


def list_upload_events(project_id: str, upload_id: str) -> Flow[Listing[UploadEvent]]:
    """Return the events of an upload; order them by `created_at` before use."""
    call = ApiCall(
        template=f"{_UPLOAD}/events",
        ids={"project_id": project_id, "upload_id": upload_id},
        query={"limit": PAGE_SIZE},
    )
    return (yield from fetch_all(UploadEvent, call))


def create_upload(
    project_id: str, *, model_id: str, remote_url: str, token: str | None = None
) -> Flow[ModelUpload]:
    """Start the import of a Hugging Face repository or archive into a registered model.

    `remote_url` (it may be presigned) and `token` are sent and kept nowhere.
    """
    call = ApiCall(
        method="POST",
        template=_UPLOADS,
        ids={"project_id": project_id},
        body=without_none({"modelId": model_id, "remoteUrl": remote_url, "token": token}),
    )
    return (yield from fetch_one(ModelUpload, call))


def get_project_model(project_id: str, model_id: str) -> Flow[ProjectModel]:
    """Return one model of a project; is_absent(error) when it is gone."""
    return (yield from fetch_one(ProjectModel, ApiCall(template=_MODEL, ids=_ids(project_id, model_id))))


def create_model(
    project_id: str,
    *,
    name: str,
    base_model_id: str,
    model_type: ModelKind = "model",
    description: str | None = None,
) -> Flow[ProjectModel]:
    """Register a model without files; upload them next. `base_model_id` is the supported model it derives from."""
    call = ApiCall(
        method="POST",
        template=_MODELS,
        ids={"project_id": project_id},
        body=without_none(
            {"name": name, "baseModelId": base_model_id, "type": model_type, "description": description}
        ),
    )
    return (yield from fetch_one(ProjectModel, call))


def delete_model(project_id: str, model_id: str) -> Flow[None]:
    """Delete a model of a project with all its revisions; the answer is empty."""
    yield ApiCall(method="DELETE", template=_MODEL, ids=_ids(project_id, model_id))


def list_revisions(project_id: str, model_id: str) -> Flow[Listing[ModelRevision]]:
    """Return the revisions of a model."""
    call = ApiCall(template=f"{_MODEL}/revisions", ids=_ids(project_id, model_id))
    return (yield from fetch_all(ModelRevision, call))


def get_model_files(project_id: str, model_id: str, *, revision_id: str | None = None) -> Flow[ModelFiles]:
    """Return the files and the total size of one revision, default the newest."""
    call = ApiCall(
        template=f"{_MODEL}/files", ids=_ids(project_id, model_id), query={"revisionId": revision_id}
    )
    return (yield from fetch_one(ModelFiles, call))


def _ids(project_id: str, model_id: str) -> dict[str, str]:
    return {"project_id": project_id, "model_id": model_id}
