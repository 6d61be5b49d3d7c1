"""Bodies of container deployments, their revisions and logs as SDK 3.1.1 declares them."""

from typing import Any, Final

from simulator import lifecycle
from simulator.clock import format_time
from simulator.compute.container_storage import Secret
from simulator.compute.containers import Container, Revision, RevisionEvent
from simulator.identifiers import derive_number

#: Settings that come back as they were sent; what is absent stays absent.
SETTINGS: Final = (
    *("args", "autoscaling", "capacity_type", "command", "cpu", "description", "gpu_count", "gpu_type"),
    *("health_check_path", "image", "max_replicas", "memory", "min_replicas", "model_mounts", "port"),
    *("storage", "termination_grace_period_seconds", "volumes"),
)
Secrets = dict[str, Secret]  # by name


def describe_container(container: Container, secrets: Secrets, *, now_ms: int) -> dict[str, Any]:
    """Return the body at `now_ms`, plain environment values included: clients must not keep them."""
    container.advance(now_ms)
    settings, present = container.settings, container.workload.present
    return {
        "object": "deployment",
        "id": container.container_id,
        "name": container.name,
        "status": container.state_at(now_ms),
        **{name: settings[name] for name in SETTINGS if settings.get(name) is not None},
        "environment_variables": _describe_environment(settings, secrets),
        "desired_replicas": present.desired,
        "ready_replicas": present.ready,
        "replica_events": _describe_replicas(container),
        "created_at": format_time(container.created_ms),
        "updated_at": format_time(container.updated_ms),
    }


def _describe_environment(settings: dict[str, Any], secrets: Secrets) -> list[dict[str, Any]]:
    variables = []
    for variable in settings.get("environment_variables") or []:
        body = {name: variable[name] for name in ("name", "value", "value_from_secret") if name in variable}
        secret = secrets.get(variable.get("value_from_secret", ""))
        if secret is not None and secret.expires_ms is not None:
            body["value_from_secret_expires_at"] = format_time(secret.expires_ms)
        variables.append(body)
    return variables


def replica_names(container: Container) -> list[str]:
    digits = f"{derive_number(container.container_id, container.revision.number):016x}"
    count = max(container.workload.present.scheduled, container.workload.present.ready)
    return [f"{container.name}-{digits[:8]}-{number}" for number in range(count)]


def _describe_replicas(container: Container) -> dict[str, dict[str, Any]]:
    present = container.workload.present
    events: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(replica_names(container)):
        event = {"image": container.settings["image"], "revision_id": container.revision.revision_id}
        if number < present.ready:
            since_ms = container.workload.ready_since_ms()
            event |= {"replica_status": "Running", "replica_ready_since": format_time(since_ms)}
        else:
            event |= {
                "replica_status": "Waiting",
                "replica_status_reason": present.reason,
                "replica_status_message": present.message,
            }
        events[name] = event
    if present.state == lifecycle.FAILED:
        events[f"{container.name}-0"] = {
            "image": container.settings["image"],
            "revision_id": container.revision.revision_id,
            "replica_status": "Terminated",
            "replica_status_reason": "ImagePullBackOff",
            "replica_status_message": present.message,
        }
    return events


def describe_revision(revision: Revision, secrets: Secrets) -> dict[str, Any]:
    settings = revision.settings
    body: dict[str, Any] = {
        "object": "revision",
        "revision_id": revision.revision_id,
        "created_at": format_time(revision.created_ms),
        "args": settings.get("args") or [],
        "capacity_type": settings.get("capacity_type") or "stable",
        "command": settings.get("command") or [],
        "cpu": settings["cpu"],
        "environment_variables": _describe_environment(settings, secrets),
        "gpu_count": settings.get("gpu_count") or 0,
        "gpu_type": settings["gpu_type"],
        "health_check_path": settings.get("health_check_path") or "",
        "image": settings["image"],
        "max_replicas": settings["max_replicas"],
        "min_replicas": settings["min_replicas"],
        "memory": settings["memory"],
        "port": settings.get("port") or 0,
        "protocol": "http",
        "storage": settings["storage"],
        "volumes": settings.get("volumes") or [],
    }
    for name in ("autoscaling", "termination_grace_period_seconds"):
        if settings.get(name) is not None:
            body[name] = settings[name]
    return body


def describe_revision_event(event: RevisionEvent) -> dict[str, Any]:
    return {
        "object": "revision_event",
        "event_number": event.number,
        "action": event.action,
        "activated_at": format_time(event.at_ms),
        "revision_id": event.revision.revision_id,
        "revision_number": event.revision.number,
        "image": event.revision.settings["image"],
    }


def write_logs(container: Container, *, most: int = 200) -> list[str]:
    """Return the latest log lines: what the replicas did and which jobs they worked on."""
    lines = [(phase.at_ms, f"{phase.reason}: {phase.message}") for phase in container.workload.timeline]
    for job in container.queue.jobs.values():
        if job.claimed_ms is not None:
            lines.append((job.claimed_ms, f"job {job.request_id} claimed"))
        if job.claimed_ms is not None and job.done_ms is not None:
            lines.append((job.done_ms, f"job {job.request_id} {job.status}"))
    return [f"{format_time(at_ms)} {container.name} {text}" for at_ms, text in sorted(lines)[-most:]]
