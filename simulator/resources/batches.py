"""v1 batches: list (a bare array), create, read, cancel. A refusal is `{"error": "text"}` [O]."""

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import lifecycle
from simulator.call import Call, Handler, json_answer, read_call
from simulator.clock import HOUR_MS, format_time
from simulator.errors import ApiError, TextError, bad_request, not_found
from simulator.jobs import batches
from simulator.jobs.batches import (
    ENDED,
    MOST_BYTES,
    MOST_REQUESTS,
    Batch,
    Load,
    plan_batch,
)
from simulator.jobs.charges import HALF_PRICE
from simulator.jobs.content import Uploaded
from simulator.jobs.endings import error_file_id, output_file_id, settle_jobs
from simulator.jobs.files import BYTES_PER_TOKEN, StoredFile
from simulator.jobs.inspection import inspect_batch_file
from simulator.jobs.owner import Tempo
from simulator.resources.files import find_file
from simulator.resources.jobs_access import owner_of

ENDPOINTS: Final = ("/v1/chat/completions", "/v1/audio/transcriptions", "/v1/audio/translations")
_OVERSIZE: Final = "The input file is larger than a batch may be"
_WARNING: Final = "This model has no batch discount: its requests are billed at the usual price."


def describe_batch(batch: Batch, *, now_ms: int) -> dict[str, Any]:
    """Return the job; fields that have no value yet are left out."""
    present = batch.present(now_ms)
    body = {
        "id": batch.batch_id,
        "user_id": batch.owner.user_id,
        "input_file_id": batch.input_file_id,
        "file_size_bytes": batch.input_bytes,
        "status": present.status,
        "progress": batch.progress(now_ms),
        "endpoint": batch.endpoint,
        "created_at": format_time(batch.created_ms),
        "job_deadline": format_time(batch.deadline_ms),
    }
    if batch.model:
        body["model_id"] = batch.model
    if present.status in ENDED:
        body["completed_at"] = format_time(batch.tempo.to_world(present.at_ms))
        done, failed = batch.requests_done(now_ms), batch.requests_failed(now_ms)
        if done > failed:
            body["output_file_id"] = output_file_id(batch)
        if failed:
            body["error_file_id"] = error_file_id(batch)
    if present.message:
        body["error"] = present.message
    return body


def _find(call: Call) -> Batch:
    batch = call.world.jobs.batches.get(call.path["batch_id"])
    if batch is None and call.world.any_id:
        return next(iter(call.world.jobs.batches.values()))
    if batch is None or batch.owner.organization_id != call.identity.organization.organization_id:
        raise not_found("batch", call.path["batch_id"])
    return batch


def list_batches(call: Call) -> Response:
    organization_id = call.identity.organization.organization_id
    found = [
        each for each in call.world.jobs.batches.values() if each.owner.organization_id == organization_id
    ]
    found.sort(key=lambda each: (-each.created_ms, each.batch_id))
    return json_answer([describe_batch(each, now_ms=call.now_ms) for each in found])


def read_batch(call: Call) -> Response:
    return json_answer(describe_batch(_find(call), now_ms=call.now_ms))


def create_batch(call: Call) -> Response:
    """Create a batch. What is wrong with its input file is found by its validation, not here."""
    world = call.world
    if world.any_id:
        first = next(iter(world.jobs.batches.values()))
        return json_answer({"job": describe_batch(first, now_ms=call.now_ms)}, status=201)
    fields = call.fields()
    endpoint = fields.get("endpoint")
    if endpoint not in ENDPOINTS:
        raise bad_request(f"endpoint must be one of {', '.join(ENDPOINTS)}")
    if not fields.get("input_file_id"):
        raise bad_request("input_file_id is required")
    stored = find_file(call, str(fields["input_file_id"]))
    if stored.purpose != "batch-api":
        raise bad_request(f"file {stored.file_id} has purpose {stored.purpose}, not batch-api")
    window_ms = _read_window(fields.get("completion_window"))
    model = str(fields.get("model_id") or _model_of(stored) or "")
    load = Load(requests=max(1, stored.lines), input_tokens=stored.size_bytes // BYTES_PER_TOKEN)
    fault = _find_fault(call, stored, model)
    batch = Batch(
        batch_id=world.new_uuid(),
        owner=owner_of(call.identity),
        created_ms=call.now_ms,
        endpoint=endpoint,
        model=model,
        input_file_id=stored.file_id,
        input_bytes=stored.size_bytes,
        load=load,
        tempo=Tempo.of_job(created_ms=call.now_ms, world_start_ms=world.start_ms, speed=world.speed),
        steps=plan_batch(call.now_ms, load, window_ms=window_ms, fault=fault),
        window_ms=window_ms,
    )
    world.jobs.add_batch(batch)
    answer: dict[str, Any] = {"job": describe_batch(batch, now_ms=call.now_ms)}
    if model not in HALF_PRICE:
        answer["warning"] = _WARNING
    return json_answer(answer, status=201)


def _read_window(text: Any) -> int:
    """Return the completion window in milliseconds: `24h` unless something else is given. Raises 400."""
    if text is None:
        return batches.WINDOW_MS
    hours = str(text).removesuffix("h")
    if not hours.isdecimal() or not 1 <= int(hours) <= 7 * 24:
        raise bad_request("completion_window must be hours, such as 24h")
    return int(hours) * HOUR_MS


def _model_of(stored: StoredFile) -> str | None:
    """Return the model that the first request names."""
    if not isinstance(stored.content, Uploaded):
        return None
    try:
        record = orjson.loads(stored.content.raw.split(b"\n", 1)[0])
        model = record["body"]["model"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return model if isinstance(model, str) else None


def _find_fault(call: Call, stored: StoredFile, model: str) -> str | None:
    """Return what the validation of the input will find; None = nothing."""
    if isinstance(stored.content, Uploaded):
        findings = inspect_batch_file(stored.content.raw)
        if findings.error:
            return findings.error
    if stored.size_bytes > MOST_BYTES or stored.lines > MOST_REQUESTS:
        return _OVERSIZE
    known = call.world.catalogue.by_name.get(model)
    if known is None or known.serverless_price is None:
        return f"Model {model or '(none)'} is not available for batches"
    return None


def cancel_batch(call: Call) -> Response:
    """Cancel a batch; what was answered so far is kept and paid. Raises 400 for one that has ended."""
    batch = _find(call)
    if not call.world.any_id:
        status = batch.status(call.now_ms)
        if status in ENDED:
            raise bad_request(f"a batch that is {status} cannot be cancelled")
        behaviour = call.stop_behaviour()
        if behaviour == lifecycle.STOP_FAILS:
            batch.put(call.now_ms, batches.FAILED, "Cancelling failed")
        elif behaviour == lifecycle.STOP_NORMAL or behaviour is None:
            batch.put(call.now_ms, batches.CANCELLED)
        call.world.jobs.plan_end(batch.batch_id, batch.end_ms)
        settle_jobs(call.world, call.now_ms)
    return json_answer(describe_batch(batch, now_ms=call.now_ms))


def _route(path: str, handler: Handler, *methods: str) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return handler(await read_call(request))
        except ApiError as error:
            raise TextError(error.status, error.message) from error

    return Route(path, answer, methods=list(methods or ("GET",)), name=handler.__name__)


ROUTES = [
    _route("/v1/batches", list_batches),
    _route("/v1/batches", create_batch, "POST"),
    _route("/v1/batches/{batch_id}", read_batch),
    _route("/v1/batches/{batch_id}/cancel", cancel_batch, "POST"),
]
