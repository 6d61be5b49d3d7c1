"""Files: training data, batch inputs and outputs, evaluation results (contract section 7)."""

from pydantic import Field

from dashboard.together_api.payloads.base import Payload, Resource, Text, Timestamp


class ValidationReport(Payload):
    """SDK `file_response.ValidationReport`; `nlines` = records, `error` only for what its owner can mend."""

    valid: bool | None = None
    nlines: int | None = None
    dataset_format: str | None = None
    error: str | None = None
    error_type: str | None = None


class File(Resource):
    """SDK `file_response.FileResponse`; `purpose` is an open set, `created_at` epoch seconds on the wire.

    `processing_status` is the SDK's word, `processed` that of the older specification; either may be None.
    """

    id: Text
    object: Text = ""
    filename: Text = ""
    purpose: Text = ""
    file_type: Text = Field(default="", alias="FileType")
    bytes: int | None = None
    processing_status: str | None = None
    processed: bool | None = Field(default=None, alias="Processed")
    validation_report: ValidationReport | None = None
    created_at: Timestamp = None
