"""What a fine-tune left behind: events, checkpoints, metrics, downloads."""

import gzip
import io
import tarfile

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.call import Call, json_answer, read_call, route
from simulator.clock import DAY_MS, format_time, parse_time
from simulator.errors import bad_request, not_found
from simulator.jobs import course as courses
from simulator.jobs.fine_tune_events import list_events
from simulator.jobs.fine_tune_metrics import list_metrics
from simulator.jobs.fine_tunes import FineTune
from simulator.resources.fine_tune_bodies import describe_checkpoints, describe_event
from simulator.resources.fine_tunes import find_fine_tune


def read_events(call: Call) -> Response:
    job = find_fine_tune(call, call.path["fine_tune_id"])
    return json_answer(
        {"data": [describe_event(job, event) for event in list_events(job, now_ms=call.now_ms)]}
    )


def read_checkpoints(call: Call) -> Response:
    job = find_fine_tune(call, call.path["fine_tune_id"])
    return json_answer({"data": describe_checkpoints(call.world, job, now_ms=call.now_ms)})


def read_metrics(call: Call) -> Response:
    job = find_fine_tune(call, call.path["fine_tune_id"])
    resolution = _count(call, "resolution")
    rows = list_metrics(
        job,
        now_ms=call.now_ms,
        resolution=resolution,
        steps=(_count(call, "global_step_from") or 0, _count(call, "global_step_to")),
        logged=(_instant(call, "logged_at_from") or 0, _instant(call, "logged_at_to")),
    )
    return json_answer({"metrics": rows})


def _count(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is None or (call.world.any_id and text == "0"):
        return None
    if not text.isdecimal() or (name == "resolution" and text == "0"):
        raise bad_request(f"{name} must be a whole number", param=name)
    return int(text)


def _instant(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise bad_request(f"{name} must be an ISO 8601 time", param=name) from error


def _pack(job: FineTune, name: str) -> bytes:
    """Return a small archive in place of the weights; the same bytes for the same job."""
    facts = {"fine_tune_id": job.fine_tune_id, "base_model": job.settings.model, "artifact": name}
    raw = orjson.dumps(facts, option=orjson.OPT_INDENT_2)
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        entry = tarfile.TarInfo(f"{name}/config.json")
        entry.size = len(raw)
        tar.addfile(entry, io.BytesIO(raw))
    return buffer.getvalue()


async def download(request: Request) -> Response:
    """Answer the archive of the final model or of a checkpoint; `Range` is obeyed, as the official CLI asks for it."""
    call = await read_call(request)
    query = call.query
    job = find_fine_tune(call, query.get("ft_id", ""))
    step, kind = _count(call, "checkpoint_step"), query.get("checkpoint", "model_output_path")
    if kind not in {"merged", "adapter", "model_output_path"}:
        raise bad_request("checkpoint must be merged, adapter or model_output_path", param="checkpoint")
    if kind == "adapter" and job.settings.is_full:
        raise bad_request("a full fine-tune has no adapter", param="checkpoint")
    steps = {item["step"] for item in describe_checkpoints(call.world, job, now_ms=call.now_ms)}
    if step and step not in steps:
        raise not_found(f"checkpoint {step} of fine-tune", job.fine_tune_id)
    if not step and job.status(call.now_ms) != courses.COMPLETED:
        raise bad_request(f"fine-tune {job.fine_tune_id} is not completed")
    name = f"checkpoint-{step}" if step else kind.replace("model_output_path", "model")
    return _answer_part(request, _pack(job, name), f"{job.output_name.rpartition('/')[2]}-{name}.tar.gz")


def _answer_part(request: Request, raw: bytes, filename: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{filename}"', "accept-ranges": "bytes"}
    first, separator, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
    if not separator or not first.isdecimal():
        return Response(raw, media_type="application/octet-stream", headers=headers)
    end = min(int(last) if last.isdecimal() else len(raw) - 1, len(raw) - 1)
    headers["content-range"] = f"bytes {first}-{end}/{len(raw)}"
    part = raw[int(first) : end + 1]
    return Response(part, status_code=206, media_type="application/octet-stream", headers=headers)


async def read_tokenized_dataset(request: Request) -> Response:
    """Answer where the tokenized data set can be fetched: there once training has begun."""
    call = await read_call(request)
    job = find_fine_tune(call, call.path["fine_tune_id"])
    if not call.world.any_id and not job.steps_done(call.now_ms):
        raise not_found("tokenized dataset of fine-tune", job.fine_tune_id)
    raw = _pack(job, "tokenized-dataset")
    target = f"/downloads/{job.fine_tune_id}/tokenized-dataset"
    return json_answer(
        {
            "content_type": "application/gzip",
            "expires_at": format_time(call.now_ms + DAY_MS),
            "filename": f"{job.fine_tune_id}-tokenized-dataset.tar.gz",
            "size": len(raw),
            "url": str(request.base_url).rstrip("/") + target,
        }
    )


async def download_tokenized_dataset(request: Request) -> Response:
    job = request.app.state.world.jobs.fine_tunes.get(request.path_params["fine_tune_id"])
    if job is None:
        raise not_found("tokenized dataset", request.path_params["fine_tune_id"])
    return Response(_pack(job, "tokenized-dataset"), media_type="application/gzip")


_ONE = "/v1/fine-tunes/{fine_tune_id}"
ROUTES = [
    route(f"{_ONE}/events", read_events),
    route(f"{_ONE}/checkpoints", read_checkpoints),
    route(f"{_ONE}/metrics", read_metrics),
    Route(f"{_ONE}/download-tokenized-dataset", read_tokenized_dataset),
    Route("/downloads/{fine_tune_id}/tokenized-dataset", download_tokenized_dataset),
    Route("/v1/finetune/download", download),
]
