"""A batch: many requests of one file, answered at leisure. Statuses are documented, lengths are inventions."""

from dataclasses import dataclass
from typing import Final

from simulator.clock import DAY_MS, MINUTE_MS, SECOND_MS
from simulator.jobs.owner import Owner, Step, Tempo, step_at

VALIDATING: Final = "VALIDATING"
IN_PROGRESS: Final = "IN_PROGRESS"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
EXPIRED: Final = "EXPIRED"
CANCELLED: Final = "CANCELLED"
STATUSES: Final = (VALIDATING, IN_PROGRESS, COMPLETED, FAILED, EXPIRED, CANCELLED)
ENDED: Final = frozenset({COMPLETED, FAILED, EXPIRED, CANCELLED})

VALIDATION_MS: Final = 40 * SECOND_MS
_REQUESTS_PER_SECOND: Final = 6
LEAST_RUN_MS: Final = 2 * MINUTE_MS
WINDOW_MS: Final = DAY_MS
OUTPUT_TOKENS_PER_REQUEST: Final = 180
#: Documented limits of one batch.
MOST_REQUESTS: Final = 50_000
MOST_BYTES: Final = 100_000_000


@dataclass(frozen=True)
class Load:
    """What one batch asks for; `failing` requests end in the error file."""

    requests: int
    input_tokens: int
    failing: int = 0

    @property
    def run_ms(self) -> int:
        return max(LEAST_RUN_MS, self.requests * SECOND_MS // _REQUESTS_PER_SECOND)


@dataclass
class Batch:
    """One batch job. Its steps are in plan time; every method takes time of the world."""

    batch_id: str
    owner: Owner
    created_ms: int
    endpoint: str
    model: str
    input_file_id: str
    input_bytes: int
    load: Load
    tempo: Tempo
    steps: list[Step]
    window_ms: int = WINDOW_MS

    @property
    def deadline_ms(self) -> int:
        return self.tempo.to_world(self.created_ms + self.window_ms)

    @property
    def end_ms(self) -> int:
        return self.tempo.to_world(self.steps[-1].at_ms)

    def present(self, now_ms: int) -> Step:
        return step_at(self.steps, self.tempo.to_plan(now_ms))

    def status(self, now_ms: int) -> str:
        return self.present(now_ms).status

    def requests_done(self, now_ms: int) -> int:
        """Return the requests that were answered, or have failed, until now."""
        started_ms = next((step.at_ms for step in self.steps if step.status == IN_PROGRESS), None)
        if started_ms is None:
            return 0
        plan_ms = self.tempo.to_plan(now_ms)
        ended_ms = next((s.at_ms for s in self.steps if s.status in ENDED and s.at_ms <= plan_ms), plan_ms)
        share = max(0, min(plan_ms, ended_ms) - started_ms) / self.load.run_ms
        return min(self.load.requests, int(self.load.requests * share))

    def requests_failed(self, now_ms: int) -> int:
        return self.load.failing * self.requests_done(now_ms) // max(1, self.load.requests)

    def tokens(self, now_ms: int) -> tuple[int, int]:
        """Return (input, output) tokens of the requests that were answered."""
        answered = self.requests_done(now_ms) - self.requests_failed(now_ms)
        return (
            self.load.input_tokens * answered // max(1, self.load.requests),
            answered * OUTPUT_TOKENS_PER_REQUEST,
        )

    def progress(self, now_ms: int) -> float:
        """Return 0 to 100."""
        return round(100 * self.requests_done(now_ms) / max(1, self.load.requests), 1)

    def put(self, now_ms: int, status: str, message: str = "") -> None:
        """Put the batch into a status now; it stays there."""
        plan_ms = self.tempo.to_plan(now_ms)
        self.steps = [step for step in self.steps if step.at_ms <= plan_ms]
        self.steps.append(Step(plan_ms, status, message))


def plan_batch(
    created_ms: int, load: Load, *, window_ms: int = WINDOW_MS, fault: str | None = None
) -> list[Step]:
    """Return the steps of a batch; `fault` is what validation finds (None = nothing)."""
    checked_ms = created_ms + VALIDATION_MS
    begun = Step(created_ms, VALIDATING)
    if fault is not None:
        return [begun, Step(checked_ms, FAILED, fault)]
    running = Step(checked_ms, IN_PROGRESS)
    if checked_ms + load.run_ms > created_ms + window_ms:
        return [begun, running, Step(created_ms + window_ms, EXPIRED)]
    return [begun, running, Step(checked_ms + load.run_ms, COMPLETED)]
