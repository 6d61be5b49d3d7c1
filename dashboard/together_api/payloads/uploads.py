"""Uploads of models and what they leave behind: jobs, events, revisions, files (contract 3.8 and section 5)."""

from enum import StrEnum

from dashboard.together_api.payloads.base import Items, LooseTimestamp, Payload, Resource, Text, Timestamp


class V1JobStatus(StrEnum):
    """Known values of a v1 job's `status`; the field itself is plain `str` so that a new member survives."""

    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"


class V1JobUpdate(Payload):
    """OpenAPI `JobInfoSuccessResponse.status_updates`."""

    status: Text = ""
    message: str | None = None
    timestamp: LooseTimestamp = None


class V1JobArguments(Payload):
    """OpenAPI `JobInfoSuccessResponse.args`; camelCase on the wire."""

    model_name: str | None = None
    model_source: str | None = None
    description: str | None = None


class V1Job(Resource):
    """OpenAPI `JobInfoSuccessResponse`: an upload over v1 (gone from SDK 3)."""

    identity_field = "job_id"

    job_id: Text
    type: Text = ""
    status: Text = ""
    status_updates: Items[V1JobUpdate] = ()
    args: V1JobArguments | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.job_id


class V1UploadTicket(Resource):
    """OpenAPI `ModelUploadSuccessResponse.data`: what to look for after an upload over v1 was accepted."""

    identity_field = "job_id"

    job_id: Text
    model_id: Text = ""
    model_name: Text = ""
    model_source: Text = ""

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.job_id


class UploadStatus(StrEnum):
    """Known values of an upload's `status`; the field itself is plain `str` so that a new member survives."""

    PENDING = "REMOTE_UPLOAD_STATUS_PENDING"
    RUNNING = "REMOTE_UPLOAD_STATUS_RUNNING"
    ERROR = "REMOTE_UPLOAD_STATUS_ERROR"
    SUCCEEDED = "REMOTE_UPLOAD_STATUS_SUCCEEDED"
    FAILED = "REMOTE_UPLOAD_STATUS_FAILED"


class ModelUpload(Resource):
    """SDK `models.remote_upload_list_response.RemoteUploadListResponse`.

    The remote URL may be presigned: it is dropped before anybody sees it.
    """

    id: Text
    model_id: Text = ""
    project_id: Text = ""
    status: Text = ""
    status_message: str | None = None
    restart_count: int | None = None
    max_restarts: int | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None


class UploadEvent(Resource):
    """SDK `models.remote_upload_events_response.Data`; `type` is an open set such as `download.started`."""

    id: Text
    type: Text = ""
    level: Text = ""
    message: Text = ""
    created_at: Timestamp = None


class RevisionProblem(Payload):
    """SDK `model_list_revisions_response.DataValidationError`."""

    message: str | None = None
    rule: str | None = None
    severity: str | None = None


class ModelRevision(Resource):
    """SDK `model_list_revisions_response.Data`; None of `validation_status` = not told."""

    identity_field = "revision_id"

    revision_id: Text
    validation_status: str | None = None
    validation_errors: Items[RevisionProblem] = ()
    created_at: Timestamp = None
    last_validated_at: Timestamp = None

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.revision_id


class ModelFile(Payload):
    """SDK `model_list_files_response.Data`; sizes travel as digits in strings."""

    path: str | None = None
    size_bytes: int | None = None
    hash: str | None = None


class ModelFiles(Resource):
    """SDK `model_list_files_response.ModelListFilesResponse`: the files of one revision; `data` is one page of them.

    `total_size_bytes` speaks of the whole revision, None = not told.
    """

    identity_field = "revision_id"

    revision_id: str | None = None
    revision_created_at: Timestamp = None
    total_size_bytes: int | None = None
    data: Items[ModelFile] = ()
    next_cursor: str | None = None
