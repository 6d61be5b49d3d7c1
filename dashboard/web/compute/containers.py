"""What the list and the page of a container say of its body: replicas, scaling, names of its environment. Pure.

Values of the environment never reach us (together_api drops them); only the names are here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dashboard.core import status
from dashboard.core.status import Status
from dashboard.together_api import payloads
from dashboard.web.labels import count_nouns

_REPLICA_STATUSES = {
    "running": replace(status.RUNNING, note="ready replicas bill"),
    "waiting": replace(status.STARTING, word="Waiting", note="not ready"),
    "pending": replace(status.STARTING, word="Pending", note="not ready"),
    "terminated": replace(status.STOPPED, word="Terminated", note="ended"),
    "failed": replace(status.FAILED, note="ended badly"),
}
# (metric of the API, what it is in words, unit of its target); SDK 3.1.1, beta/deployment.py.
_METRICS = {
    "HTTPTotalRequests": ("requests", "requests"),
    "HTTPAvgRequestDuration": ("the mean time of a request", "ms"),
    "QueueBacklogPerWorker": ("the queue per worker", "jobs per worker"),
    "CustomMetric": ("a metric of its own", ""),
}


@dataclass(frozen=True, slots=True)
class ReplicaLine:
    """One replica in its latest words; `revision` is the id of the configuration it runs."""

    name: str
    status: Status
    reason: str
    message: str
    ready_since: datetime | None
    revision: str
    image: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A configuration that replicas run, as far as they tell it."""

    revision_id: str
    image: str
    replica_count: int


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """Everything that a container's body says beyond the mirrored columns. None = not told."""

    image: str
    ready: int | None
    desired: int | None
    least: int | None
    most: int | None
    gpu_count: int | None
    cpu_cores: float | None
    memory_gib: float | None
    storage: int | None
    port: int | None
    health_path: str
    capacity: str
    description: str
    scaling: str
    scaling_detail: str
    replicas: tuple[ReplicaLine, ...]
    revisions: tuple[Revision, ...]
    environment: tuple[str, ...]
    volumes: tuple[payloads.ContainerVolume, ...]

    @property
    def short_image(self) -> str:
        """The image without its registry and path."""
        return self.image.rsplit("/", 1)[-1]

    @property
    def ready_words(self) -> str:
        """How many replicas are ready of those wanted now."""
        if self.ready is None:
            return "not told"
        wanted = self.desired if self.desired is not None else self.ready
        return f"{self.ready} of {wanted} ready" if wanted else "no replica"

    @property
    def bounds_words(self) -> str:
        """The bounds between which the provider scales."""
        if self.least is None and self.most is None:
            return "bounds not told"
        if self.least == self.most:
            return count_nouns(self.least or 0, "replica")
        low = "?" if self.least is None else self.least
        return f"{low} to {'?' if self.most is None else self.most} replicas"


def read_container(body: Mapping[str, Any], *, remote_id: str) -> ContainerFacts:
    """Return the facts of a container's body; one that cannot be read counts as empty."""
    parsed = _parse(body, remote_id)
    replicas = tuple(
        _describe(name, one) for name, one in sorted(parsed.replica_events.items(), key=lambda pair: pair[0])
    )
    scaling, detail = _describe_scaling(parsed)
    health = (parsed.model_extra or {}).get("health_check_path")
    return ContainerFacts(
        image=parsed.image or "",
        ready=parsed.ready_replicas,
        desired=parsed.desired_replicas,
        least=parsed.min_replicas,
        most=parsed.max_replicas,
        gpu_count=parsed.gpu_count,
        cpu_cores=parsed.cpu,
        memory_gib=parsed.memory,
        storage=parsed.storage,
        port=parsed.port,
        health_path=health if isinstance(health, str) else "",
        capacity=parsed.capacity_type or "",
        description=parsed.description or "",
        scaling=scaling,
        scaling_detail=detail,
        replicas=replicas,
        revisions=_list_revisions(replicas),
        environment=tuple(sorted(one.name for one in parsed.environment_variables if one.name)),
        volumes=parsed.volumes,
    )


def _parse(body: Mapping[str, Any], remote_id: str) -> payloads.Container:
    try:
        return payloads.Container.parse({"id": remote_id} | dict(body))
    except ValueError:
        return payloads.Container.parse({"id": remote_id})


def _describe(name: str, replica: payloads.ContainerReplica) -> ReplicaLine:
    word = replica.replica_status or ""
    known = _REPLICA_STATUSES.get(word.lower())
    return ReplicaLine(
        name=name,
        status=known or replace(status.UNKNOWN, word=word or "Not told", note="as the provider says it"),
        reason=replica.replica_status_reason or "",
        message=replica.replica_status_message or "",
        ready_since=replica.replica_ready_since,
        revision=replica.revision_id or "",
        image=replica.image or "",
    )


def _describe_scaling(body: payloads.Container) -> tuple[str, str]:
    """Return what replicas follow, and the target in words."""
    rule = body.autoscaling
    if rule is None or not rule.metric:
        return "fixed", "no autoscaling is told"
    words, unit = _METRICS.get(rule.metric, (rule.metric, ""))
    target = "the default target" if rule.target is None else f"{rule.target:g} {unit}".strip()
    window = f" in {rule.time_interval_minutes} min" if rule.time_interval_minutes else ""
    named = f" of {rule.custom_metric_name}" if rule.custom_metric_name else ""
    return f"on {words}", f"{target}{named}{window}"


def _list_revisions(replicas: tuple[ReplicaLine, ...]) -> tuple[Revision, ...]:
    counts: dict[tuple[str, str], int] = {}
    for one in replicas:
        if one.revision:
            counts[one.revision, one.image] = counts.get((one.revision, one.image), 0) + 1
    return tuple(Revision(revision, image, count) for (revision, image), count in counts.items())
