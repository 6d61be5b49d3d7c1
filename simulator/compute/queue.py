"""Jobs that wait for a container's replicas: strict priority, then order of arrival, one job per replica at a time."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.workload import FOREVER_MS

PENDING: Final = "pending"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELED: Final = "canceled"


@dataclass
class Job:
    """One job; times that are None have not come. A payload with `"fail": true` fails."""

    request_id: str
    payload: dict[str, Any]
    info: dict[str, Any]
    priority: int
    created_ms: int
    claimed_ms: int | None = None
    done_ms: int | None = None
    status: str = PENDING


@dataclass
class JobQueue:
    jobs: dict[str, Job] = field(default_factory=dict)
    _waiting: list[tuple[int, int, Job]] = field(default_factory=list)
    _running: list[tuple[int, int, Job]] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        heapq.heappush(self._waiting, (-job.priority, len(self.jobs), job))
        self.jobs[job.request_id] = job

    @property
    def count_running(self) -> int:
        return len(self._running)

    @property
    def count_waiting(self) -> int:
        return sum(job.status == PENDING for _, _, job in self._waiting)

    def next_done_ms(self) -> int:
        """Return when the next running job is done; FOREVER_MS = none runs."""
        return self._running[0][0] if self._running else FOREVER_MS

    def claim(self, at_ms: int, *, workers: int, job_ms: int) -> None:
        """Let idle workers take jobs, each for `job_ms`."""
        while self._waiting and len(self._running) < workers:
            _, number, job = heapq.heappop(self._waiting)
            if job.status == PENDING:
                job.claimed_ms, job.status = at_ms, RUNNING
                heapq.heappush(self._running, (at_ms + job_ms, number, job))

    def finish(self, now_ms: int) -> None:
        while self._running and self._running[0][0] <= now_ms:
            at_ms, _, job = heapq.heappop(self._running)
            job.done_ms, job.status = at_ms, FAILED if job.payload.get("fail") else DONE

    def cancel(self, job: Job, at_ms: int) -> bool:
        """Cancel a pending job; False = it is not pending, and nothing changed."""
        if job.status != PENDING:
            return False
        job.status, job.done_ms = CANCELED, at_ms
        return True

    def pending(self) -> Iterator[Job]:
        return (job for _, _, job in self._waiting if job.status == PENDING)
