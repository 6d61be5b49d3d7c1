"""v1 upload of a model or adapter as a job (contract 5). Removed from SDK 3.x, which imports through v2."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.catalogue import PUBLIC_PROJECT_ID, Model
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.registry import imports
from simulator.registry.imports import Source, read_source
from simulator.registry.models import Upload

#: `allow_unsupported` is what the 2.x command line adds without documenting it.
_FIELDS = frozenset(
    {"model_name", "model_source", "model_type", "hf_token", "description", "base_model", "lora_model"}
    | {"allow_unsupported"}
)
_STATUS = {
    imports.PENDING: "Queued",
    imports.RUNNING: "Running",
    imports.ERROR: "Running",
    imports.SUCCEEDED: "Running",  # complete is the job when its files are found valid
    imports.FAILED: "Failed",
}


def _updates(upload: Upload, now_ms: int) -> list[dict[str, str]]:
    updates = [
        {"status": _STATUS[step.status], "message": step.message, "timestamp": format_time(step.at_ms)}
        for step in upload.past(now_ms)
    ]
    revision = upload.revision
    if revision is not None and revision.validated_ms <= now_ms:
        status = "Failed" if revision.fault else "Complete"
        message = revision.fault or "Job is Complete"
        updates.append(
            {"status": status, "message": message, "timestamp": format_time(revision.validated_ms)}
        )
    return updates


def _describe(upload: Upload, now_ms: int) -> dict[str, Any]:
    updates = _updates(upload, now_ms)
    return {
        "type": "adapter_upload" if upload.own and upload.own.is_adapter else "model_upload",
        "job_id": upload.job_id,
        "status": updates[-1]["status"],
        "status_updates": updates,
        "args": {
            "modelName": upload.job_name,
            "modelSource": upload.source.address,
            **{name: text for name, text in upload.arguments.items() if name == "description"},
        },
        "created_at": format_time(upload.created_ms),
        "updated_at": updates[-1]["timestamp"],
    }


def upload_model(call: Call) -> Response:
    """Start a job. A taken name is answered 200 without `data`, which the 2.x command line knows how to read."""
    fields = _read_fields(call)
    source = read_source(fields["model_source"], has_token=bool(fields.get("hf_token")), bare_repository=True)
    if source is None:
        raise bad_request(
            "model_source must be a Hugging Face repository or a presigned URL", param="model_source"
        )
    project = call.identity.project
    name = f"{project.organization.slug}/{fields['model_name'].rpartition('/')[2]}"
    running = any(
        job.job_name == name and _describe(job, call.now_ms)["status"] in {"Queued", "Running"}
        for job in call.world.registry.jobs.values()
    )
    if running or name in call.world.catalogue.by_name:
        return json_answer({"message": f"Model name {name} is taken. Choose another one."})
    model_id = call.world.new_id("ml")
    job = call.world.registry.start_job(
        model_id=model_id,
        name=name,
        project_id=project.project_id,
        source=source,
        at_ms=call.now_ms,
        base=_find_base(call, fields),
        is_adapter=fields.get("model_type") == "adapter",
        arguments={key: text for key, text in fields.items() if key == "description"},
    )
    return json_answer(
        {
            "data": {
                "job_id": job.job_id,
                "model_name": name,
                "model_id": model_id,
                "model_source": _kind_of(source),
            },
            "message": "Processing model weights. Job created.",
        }
    )


def _read_fields(call: Call) -> dict[str, Any]:
    fields = {name: value for name, value in call.fields().items() if value is not None}
    for name in fields.keys() - _FIELDS:
        raise bad_request(f'unknown field "{name}"', param=name)
    for name in ("model_name", "model_source"):
        if not isinstance(fields.get(name), str) or not fields[name].strip("/ "):
            raise bad_request(f"{name} is required", param=name)
    if fields.get("model_type", "model") not in {"model", "adapter"}:
        raise bad_request("model_type must be model or adapter", param="model_type")
    if fields.get("model_type") != "adapter" and (fields.get("base_model") or fields.get("lora_model")):
        raise bad_request("base_model and lora_model are for adapters only", param="base_model")
    return fields


def _find_base(call: Call, fields: dict[str, Any]) -> Model | None:
    """Return the named base of an adapter; None = none is named. Raises 400 for an unknown one."""
    name = fields.get("base_model") or fields.get("lora_model")
    if not name:
        return None
    model = call.world.catalogue.by_name.get(name)
    if model is None or model.project_id != PUBLIC_PROJECT_ID:
        raise bad_request(f"base model {name} is not supported", param="base_model")
    return model


def _kind_of(source: Source) -> str:
    return "huggingface" if source.is_repository else "remote"


def _jobs(call: Call) -> list[Upload]:
    """Return the jobs of the key's organisation, newest first."""
    mine = {
        project.project_id
        for project in call.world.projects.values()
        if project.organization == call.identity.organization
    }
    jobs = [job for job in call.world.registry.jobs.values() if job.project_id in mine]
    return sorted(jobs, key=lambda job: (-job.created_ms, str(job.job_id)))


def list_jobs(call: Call) -> Response:
    return json_answer({"data": [_describe(job, call.now_ms) for job in _jobs(call)]})


def read_job(call: Call) -> Response:
    for job in _jobs(call):
        if call.world.any_id or job.job_id == call.path["job_id"]:
            return json_answer(_describe(job, call.now_ms))
    raise not_found("job", call.path["job_id"])


ROUTES = [
    route("/v1/models", upload_model, "POST"),
    route("/v1/jobs", list_jobs),
    route("/v1/jobs/{job_id}", read_job),
]
