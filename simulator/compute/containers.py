"""Container deployments: replicas that follow requests or a queue, with a history of revisions.

The machine of dedicated inference (`Workload`) plays the replicas. Of the documented metrics HTTPTotalRequests and
QueueBacklogPerWorker scale; the other two have no signal here, so their containers keep the least replicas.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from simulator import lifecycle
from simulator.charges import Line, unit_hours
from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.compute.agenda import Tempo
from simulator.compute.prices import CONTAINER_GPU_HOUR, gpu_name
from simulator.compute.queue import JobQueue
from simulator.identifiers import derive_uuid
from simulator.lifecycle import Phase
from simulator.workload import FOREVER_MS, Workload

UPDATING: Final = "Updating"
SCALING: Final = "Scaling"
READY: Final = "Ready"
FAILED: Final = "Failed"
SCALED_TO_ZERO: Final = "ScaledToZero"
QUEUE_METRIC: Final = "QueueBacklogPerWorker"
HTTP_METRIC: Final = "HTTPTotalRequests"
METRICS: Final = (HTTP_METRIC, "HTTPAvgRequestDuration", QUEUE_METRIC, "CustomMetric")
#: An image with this tag cannot be pulled: every start fails.
BROKEN_TAG: Final = ":broken"
JOB_MS: Final = 30 * SECOND_MS
UPDATE_MS: Final = 2 * MINUTE_MS
PULL_LIMIT_MS: Final = 5 * MINUTE_MS
SCALE_DOWN_AFTER_MS: Final = 5 * MINUTE_MS
_DEFAULT_TARGETS: Final = {HTTP_METRIC: 100.0, QUEUE_METRIC: 1.01}  # SDK 3.1.1
_DEFAULT_INTERVAL_MINUTES: Final = 10


@dataclass(frozen=True)
class Revision:
    """The configuration as it was from one change to the next."""

    number: int
    revision_id: str
    created_ms: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class RevisionEvent:
    number: int
    action: str  # create | update | rollback
    at_ms: int
    revision: Revision


@dataclass
class Container:
    """One container deployment; `settings` are the fields of the API as they were asked for."""

    container_id: str
    project_id: str
    name: str
    created_ms: int
    tempo: Tempo
    workload: Workload
    settings: dict[str, Any]
    updated_ms: int = 0
    queue: JobQueue = field(default_factory=JobQueue)
    events: list[RevisionEvent] = field(default_factory=list)
    hardware: list[tuple[int, str, int]] = field(
        default_factory=list
    )  # (from_ms, GPU type, GPUs per replica)
    deleted_ms: int | None = None
    _updated_until_ms: int = 0
    _scale_down_ms: int = FOREVER_MS

    @property
    def revision(self) -> Revision:
        return self.events[-1].revision

    @property
    def revisions(self) -> list[Revision]:
        """Return each revision once, oldest first."""
        return list({event.revision.number: event.revision for event in self.events}.values())

    def state_at(self, now_ms: int) -> str:
        present = self.workload.present
        if present.state == lifecycle.FAILED:
            return FAILED
        if present.state == lifecycle.PROVISIONING or now_ms < self._updated_until_ms:
            return UPDATING
        if present.state == lifecycle.READY:
            return READY if present.desired else SCALED_TO_ZERO
        return SCALING

    # Life

    def begin(self, at_ms: int, *, action: str = "create") -> None:
        """Note the settings as a revision and start anew with them."""
        self.record(at_ms, action)
        self._use_settings(at_ms)
        if str(self.settings["image"]).endswith(BROKEN_TAG):
            waiting = Phase(
                at_ms, lifecycle.PROVISIONING, 0, 1, 1, "Pulling image", "ImagePullBackOff", "api"
            )
            failed_ms = at_ms + self.tempo.length(at_ms, PULL_LIMIT_MS)
            failed = lifecycle.fail_phase(failed_ms, "Back-off pulling image: manifest unknown")
            self.workload.follow((waiting, failed))
            return
        low, high = self._bounds()
        replicas = low or (1 if high and self._metric() == HTTP_METRIC else 0)
        self.workload.follow(lifecycle.plan_start(at_ms, replicas, self.workload.pace.at(at_ms)))

    def change(self, at_ms: int, settings: dict[str, Any], *, action: str = "update") -> None:
        """Use other settings: replicas are replaced one after another, and a failed container starts anew."""
        self.advance(at_ms)
        image_before = self.settings["image"]
        self.settings = settings
        is_broken = str(settings["image"]).endswith(BROKEN_TAG)
        if self.workload.state == lifecycle.FAILED or (is_broken and settings["image"] != image_before):
            self.begin(at_ms, action=action)
            return
        self.record(at_ms, action)
        self._use_settings(at_ms)
        self._updated_until_ms = at_ms + self.tempo.length(at_ms, UPDATE_MS)
        self.workload.note_settings(at_ms)
        low, high = self._bounds()
        wanted = max(low, min(high, self.workload.present.desired))
        if wanted == self.workload.present.desired:
            return
        if self.workload.state == lifecycle.PROVISIONING:
            self.workload.follow(lifecycle.plan_start(at_ms, wanted, self.workload.pace.at(at_ms)))
        else:
            self.workload.scale(at_ms, wanted, source="api")

    def record(self, at_ms: int, action: str) -> None:
        number = len(self.revisions) + 1
        revision_id = derive_uuid(self.container_id, "revision", number)
        revision = Revision(number, revision_id, at_ms, dict(self.settings))
        self._activate(at_ms, action, revision)

    def roll_back(self, at_ms: int, revision: Revision) -> None:
        """Use the settings of an earlier revision again."""
        self.change(at_ms, dict(revision.settings), action="rollback")
        self.events[-1] = RevisionEvent(self.events[-1].number, "rollback", at_ms, revision)

    def _activate(self, at_ms: int, action: str, revision: Revision) -> None:
        self.events.append(RevisionEvent(len(self.events) + 1, action, at_ms, revision))
        self.updated_ms = at_ms

    def _use_settings(self, at_ms: int) -> None:
        low, high = self._bounds()
        is_scaled_by_requests = self._metric() == HTTP_METRIC
        self.workload.min_replicas = low
        self.workload.max_replicas = high if is_scaled_by_requests else low
        if is_scaled_by_requests:
            autoscaling = self.settings["autoscaling"]
            interval = autoscaling.get("time_interval_minutes") or _DEFAULT_INTERVAL_MINUTES
            self.workload.replica_capacity = self._target() / interval
        gpus = (str(self.settings["gpu_type"]), int(self.settings.get("gpu_count") or 0))
        if not self.hardware or self.hardware[-1][1:] != gpus:
            self.hardware.append((at_ms, *gpus))

    def _bounds(self) -> tuple[int, int]:
        low = self.settings["min_replicas"]
        return low, max(low, self.settings["max_replicas"])

    def _metric(self) -> str | None:
        autoscaling = self.settings.get("autoscaling")
        return autoscaling.get("metric") if autoscaling else None

    def _target(self) -> float:
        target = self.settings["autoscaling"].get("target")
        return float(target or _DEFAULT_TARGETS[self.settings["autoscaling"]["metric"]])

    # Time

    def next_change_ms(self) -> int:
        return min(self.workload.next_change_ms(), self.queue.next_done_ms(), self._scale_down_ms)

    def advance(self, now_ms: int) -> None:
        """Play replicas and jobs together, in order of time, until `now_ms`."""
        now_ms = now_ms if self.deleted_ms is None else min(now_ms, self.deleted_ms)
        while (due_ms := self.next_change_ms()) <= now_ms:
            self.workload.advance(due_ms)
            self.work(due_ms)

    def work(self, at_ms: int) -> None:
        """Finish jobs, let free replicas take others, and follow the backlog."""
        self.queue.finish(at_ms)
        ready = self.workload.present.ready
        self.queue.claim(at_ms, workers=ready, job_ms=self.tempo.length(at_ms, JOB_MS))
        is_due = self._scale_down_ms <= at_ms
        if self._metric() != QUEUE_METRIC or self.workload.state not in lifecycle.RUNNING:
            self._scale_down_ms = FOREVER_MS
            return
        low, high = self._bounds()
        backlog = self.queue.count_waiting + self.queue.count_running
        wanted = max(low, min(high, math.ceil(backlog / self._target())))
        desired = self.workload.present.desired
        if wanted > desired or (wanted < desired and is_due):
            self.workload.scale(at_ms, wanted)
        if wanted >= desired or is_due:
            self._scale_down_ms = FOREVER_MS
        elif self._scale_down_ms == FOREVER_MS:
            self._scale_down_ms = at_ms + self.tempo.length(at_ms, SCALE_DOWN_AFTER_MS)

    # Money

    def charge(self, start_ms: int, end_ms: int) -> Iterator[Line]:
        """Yield one line per GPU type that was used in the window; a container without GPUs costs nothing here."""
        end_ms = end_ms if self.deleted_ms is None else min(end_ms, self.deleted_ms)
        for place, (from_ms, gpu_type, gpus) in enumerate(self.hardware):
            until_ms = self.hardware[place + 1][0] if place + 1 < len(self.hardware) else end_ms
            begin_ms, finish_ms = max(start_ms, from_ms), min(end_ms, until_ms)
            if begin_ms >= finish_ms:
                continue
            gpu_hours = unit_hours(self.workload.count_ready_ms(begin_ms, finish_ms) * gpus)
            price = CONTAINER_GPU_HOUR[gpu_type]
            yield Line(
                begin_ms, finish_ms, f"Container - {gpu_name(gpu_type)}", gpu_hours, price, gpu_hours * price,
                {"gpu_type": gpu_type}, {"deployment_id": self.container_id}, self.project_id, self.name,
            )  # fmt: skip
