"""v1 files: read, download, delete. How they come in is in `file_uploads`."""

from typing import Any

from starlette.responses import Response, StreamingResponse

from simulator.call import Call, json_answer, route
from simulator.clock import SECOND_MS
from simulator.errors import bad_request, not_found
from simulator.jobs.files import (
    COMPLETED,
    INVALID_FORMAT,
    VALIDATED_PURPOSES,
    WRITTEN_PURPOSES,
    StoredFile,
)
from simulator.jobs.inspection import Findings


def describe_file(stored: StoredFile, *, now_ms: int) -> dict[str, Any]:
    """Return the body of both specifications: `Processed` of April 2026 and `processing_status` of SDK 3.1.1."""
    status = stored.status(now_ms)
    body: dict[str, Any] = {
        "id": stored.file_id,
        "object": "file",
        "created_at": stored.created_ms // SECOND_MS,
        "filename": stored.filename,
        "bytes": stored.size_bytes,
        "purpose": stored.purpose,
        "FileType": stored.file_type,
        "Processed": status == COMPLETED,
        "processing_status": status,
    }
    validated = stored.purpose in VALIDATED_PURPOSES and status in {COMPLETED, INVALID_FORMAT}
    if validated and stored.findings is not None:
        body["validation_report"] = _describe_report(stored.file_id, stored.findings, status=status)
    return body


def _describe_report(file_id: str, findings: Findings, *, status: str) -> dict[str, Any]:
    report: dict[str, Any] = {
        "valid": status == COMPLETED,
        "file_id": file_id,
        "nlines": findings.lines,
        "dataset_has_tools": findings.has_tools,
        "dataset_has_reasoning": findings.has_reasoning,
        "dataset_is_multimodal": findings.is_multimodal,
    }
    if findings.dataset_format:
        report["dataset_format"] = findings.dataset_format
    if status == INVALID_FORMAT:
        report["error_type"] = INVALID_FORMAT
        report["error"] = findings.error or "The file does not have the format that its purpose asks for."
    return report


def find_file(call: Call, file_id: str) -> StoredFile:
    """Return a file of the key's organisation. Raises 404."""
    stored = call.world.jobs.files.get(file_id)
    if stored is None and call.world.any_id:
        return next(iter(call.world.jobs.files.values()))
    if stored is None or stored.owner.organization_id != call.identity.organization.organization_id:
        raise not_found("file", file_id)
    return stored


def list_files(call: Call) -> Response:
    organization_id = call.identity.organization.organization_id
    files = [each for each in call.world.jobs.files.values() if each.owner.organization_id == organization_id]
    if call.world.any_id:  # the SDK's own tests take no purpose that SDK 3.1.1 does not name
        files = [each for each in files if each.purpose not in WRITTEN_PURPOSES]
    files.sort(key=lambda each: (-each.created_ms, each.file_id))
    return json_answer(
        {"object": "list", "data": [describe_file(each, now_ms=call.now_ms) for each in files]}
    )


def read_file(call: Call) -> Response:
    return json_answer(describe_file(find_file(call, call.path["file_id"]), now_ms=call.now_ms))


def delete_file(call: Call) -> Response:
    """Delete a file; jobs that read it go on, as they have their own copy."""
    stored = find_file(call, call.path["file_id"])
    if not call.world.any_id:
        del call.world.jobs.files[stored.file_id]
    return json_answer({"id": stored.file_id, "deleted": True})


def read_content(call: Call) -> Response:
    stored = find_file(call, call.path["file_id"])
    if stored.content is None:
        raise bad_request(f"file {stored.file_id} has no content yet")
    return StreamingResponse(
        stored.content.chunks(),
        media_type="application/octet-stream",
        headers={
            "content-length": str(stored.size_bytes),
            "content-disposition": f'attachment; filename="{stored.filename}"',
        },
    )


ROUTES = [
    route("/v1/files", list_files),
    route("/v1/files/{file_id}", read_file),
    route("/v1/files/{file_id}", delete_file, "DELETE"),
    route("/v1/files/{file_id}/content", read_content),
]
