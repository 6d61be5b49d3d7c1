"""Batch jobs (contract section 7)."""

from enum import StrEnum

from dashboard.together_api.payloads.base import Resource, Text, Timestamp


class BatchStatus(StrEnum):
    """Known values of `status`; the field itself is plain `str` so that a new member survives."""

    VALIDATING = "VALIDATING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Batch(Resource):
    """SDK `batch_job.BatchJob`; all fields are optional there, `progress` is 0-100, `file_size_bytes` of the input."""

    id: Text
    status: Text = ""
    endpoint: str | None = None
    model_id: str | None = None
    user_id: str | None = None
    progress: float | None = None
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    file_size_bytes: int | None = None
    error: str | None = None
    created_at: Timestamp = None
    completed_at: Timestamp = None
    job_deadline: Timestamp = None
