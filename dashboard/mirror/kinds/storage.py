"""Files, own models and their uploads as resources (contract 3.8, 5, 7). Pure but for the calls it names."""

from dashboard.mirror.kinds.source import Source
from dashboard.mirror.models import ResourceKind, ResourceLink
from dashboard.mirror.resource_readings import ResourceReading, name_links
from dashboard.together_api import payloads

Relation = ResourceLink.Relation


def read_file(body: payloads.File) -> ResourceReading:
    """Return the columns of a file; a file without a status is usable."""
    report = body.validation_report
    state = body.processing_status or {True: "processed", False: "pending", None: ""}[body.processed]
    return ResourceReading(
        kind=ResourceKind.FILE.value,
        remote_id=body.id,
        name=body.filename or body.id,
        state=state,
        state_message=(report.error if report else None) or "",
        variety=body.purpose,
        remote_created_at=body.created_at,
        size_bytes=body.bytes,
    )


def read_model(body: payloads.ProjectModel) -> ResourceReading:
    """Return the columns of a project's own model: neither time nor size nor state is told (contract 3.8)."""
    weights = (body.weights.type if body.weights else None) or ""
    return ResourceReading(
        kind=ResourceKind.MODEL.value,
        remote_id=body.id,
        project_remote_id=body.project_id or None,
        name=body.name or body.id,
        state="",
        model=body.base_model,
        variety=weights.removeprefix("WEIGHTS_TYPE_").lower(),
        links=name_links((Relation.BASE, body.base_model), (Relation.BASE, body.base_model_id)),
    )


def read_upload(body: payloads.ModelUpload) -> ResourceReading:
    """Return the columns of a v2 upload; what it is called is its model's name, which the pages join."""
    return ResourceReading(
        kind=ResourceKind.UPLOAD.value,
        remote_id=body.id,
        project_remote_id=body.project_id or None,
        name=body.model_id or body.id,
        state=body.status,
        state_message=body.status_message or "",
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        links=name_links((Relation.MODEL, body.model_id)),
    )


def read_v1_job(body: payloads.V1Job) -> ResourceReading:
    """Return the columns of a v1 upload job."""
    model_name = body.args.model_name if body.args else None
    last = body.status_updates[-1].message if body.status_updates else None
    return ResourceReading(
        kind=ResourceKind.UPLOAD_V1.value,
        remote_id=body.id,
        name=model_name or body.id,
        state=body.status,
        state_message=last or "",
        variety=body.type,
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        links=name_links((Relation.MODEL, model_name)),
    )


FILES = Source(
    kind=ResourceKind.FILE,
    payload=payloads.File,
    list=lambda client, scope: client.list_files(),
    get=lambda client, scope, remote_id: client.get_file(remote_id),
    read=read_file,
)
MODELS = Source(
    kind=ResourceKind.MODEL,
    payload=payloads.ProjectModel,
    list=lambda client, scope: client.list_project_models(scope),
    get=lambda client, scope, remote_id: client.get_project_model(scope, remote_id),
    read=read_model,
    is_scoped=True,
)
UPLOADS = Source(
    kind=ResourceKind.UPLOAD,
    payload=payloads.ModelUpload,
    list=lambda client, scope: client.list_uploads(scope),
    get=lambda client, scope, remote_id: client.get_upload(scope, remote_id),
    read=read_upload,
    is_scoped=True,
)
UPLOADS_V1 = Source(
    kind=ResourceKind.UPLOAD_V1,
    payload=payloads.V1Job,
    list=lambda client, scope: client.list_v1_jobs(),
    get=lambda client, scope, remote_id: client.get_v1_job(remote_id),
    read=read_v1_job,
)
