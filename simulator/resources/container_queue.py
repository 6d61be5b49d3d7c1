"""The queue in front of a container: submit, look, cancel, clear, count. Refusals have a shape of their own."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.compute.containers import Container
from simulator.compute.queue import Job
from simulator.errors import ApiError
from simulator.resources.containers import own_containers


class QueueError(ApiError):
    """A refusal with its fields at the top level, as the OpenAPI document declares it for the queue."""

    def body(self) -> dict[str, object]:
        return {
            "code": self.code or "",
            "message": self.message,
            "param": self.param or "",
            "type": self.kind,
        }


def _missing(name: str) -> QueueError:
    return QueueError(400, f"{name} is required", code="invalid_request", param=name)


def _find_container(call: Call, model: str | None) -> Container:
    """Return the container that works for a model: the one of that name, or whose autoscaling names it."""
    if not model:
        raise _missing("model")
    found = own_containers(call)
    for container in found:
        if model in {container.name, (container.settings.get("autoscaling") or {}).get("model")}:
            return container
    if call.world.any_id:
        return next(container for container in found if container.queue.jobs)
    raise QueueError(404, f"model {model} not found", code="not_found", kind="not_found_error")


def _find_job(call: Call, fields: Any) -> tuple[Container, Job]:
    container = _find_container(call, fields.get("model"))
    request_id = fields.get("request_id")
    if not request_id:
        raise _missing("request_id")
    job = container.queue.jobs.get(request_id)
    if job is None and call.world.any_id:
        job = next(iter(container.queue.jobs.values()))
    if job is None:
        raise QueueError(404, f"request {request_id} not found", code="not_found", kind="not_found_error")
    return container, job


def submit_job(call: Call) -> Response:
    fields = call.fields()
    container = _find_container(call, fields.get("model"))
    if call.world.any_id:
        return json_answer({"requestId": next(iter(container.queue.jobs))})
    if not isinstance(fields.get("payload"), dict):
        raise _missing("payload")
    priority = fields.get("priority") or 0
    job = Job(call.world.new_uuid(), fields["payload"], fields.get("info") or {}, int(priority), call.now_ms)
    container.queue.submit(job)
    container.work(call.now_ms)
    return json_answer({"requestId": job.request_id})


def read_job(call: Call) -> Response:
    container, job = _find_job(call, call.query)
    body: dict[str, Any] = {
        "model": container.name,
        "request_id": job.request_id,
        "status": job.status,
        "created_at": format_time(job.created_ms),
        "inputs": job.payload,
        "info": job.info,
        "priority": job.priority,
        "retries": 0,
        "warnings": [],
    }
    for name, at_ms in (("claimed_at", job.claimed_ms), ("done_at", job.done_ms)):
        if at_ms is not None:
            body[name] = format_time(at_ms)
    if job.status == "done":
        body["outputs"] = {"result": "ok"}
    return json_answer(body)


def cancel_job(call: Call) -> Response:
    """Cancel a pending job; another answers 409 with the status it keeps."""
    container, job = _find_job(call, call.fields())
    if call.world.any_id:
        return json_answer({"status": "canceled"})
    if not container.queue.cancel(job, call.now_ms):
        return json_answer({"status": job.status}, status=409)
    container.work(call.now_ms)
    return json_answer({"status": job.status})


def clear_queue(call: Call) -> Response:
    container = _find_container(call, call.fields().get("model"))
    if call.world.any_id:
        return json_answer({"canceled_count": 0})
    pending = list(container.queue.pending())
    for job in pending:
        container.queue.cancel(job, call.now_ms)
    container.work(call.now_ms)
    return json_answer({"canceled_count": len(pending)})


def count_jobs(call: Call) -> Response:
    queue = _find_container(call, call.query.get("model")).queue
    running, waiting = queue.count_running, queue.count_waiting
    return json_answer(
        {"messages_running": running, "messages_waiting": waiting, "total_jobs": running + waiting}
    )


_BASE = "/v1/queue"
ROUTES = [
    route(f"{_BASE}/submit", submit_job, "POST"),
    route(f"{_BASE}/status", read_job),
    route(f"{_BASE}/cancel", cancel_job, "POST"),
    route(f"{_BASE}/clear", clear_queue, "POST"),
    route(f"{_BASE}/metrics", count_jobs),
]
