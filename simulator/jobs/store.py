"""The state of all jobs of a world, and what is due to happen to them by itself."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.jobs.batches import Batch
from simulator.jobs.evaluations import Evaluation
from simulator.jobs.files import StoredFile
from simulator.jobs.fine_tunes import FineTune


@dataclass
class Jobs:
    """Everything by id, in order of creation. Statuses are functions of time; only their effects are due."""

    files: dict[str, StoredFile] = field(default_factory=dict)
    fine_tunes: dict[str, FineTune] = field(default_factory=dict)
    deleted_fine_tunes: list[FineTune] = field(default_factory=list)  # their charges stay
    batches: dict[str, Batch] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    user_limit_usd: float = 2_500.0  # credit that a fine-tune may use up
    _due: list[tuple[int, str]] = field(default_factory=list)

    def add_fine_tune(self, job: FineTune) -> None:
        self.fine_tunes[job.fine_tune_id] = job
        self.plan_end(job.fine_tune_id, job.tempo.to_world(job.course.end_ms))

    def add_batch(self, batch: Batch) -> None:
        self.batches[batch.batch_id] = batch
        self.plan_end(batch.batch_id, batch.end_ms)

    def add_evaluation(self, evaluation: Evaluation) -> None:
        self.evaluations[evaluation.evaluation_id] = evaluation
        self.plan_end(evaluation.evaluation_id, evaluation.end_ms)

    def remove_fine_tune(self, job: FineTune, *, at_ms: int) -> None:
        job.deleted_ms = at_ms
        del self.fine_tunes[job.fine_tune_id]
        self.deleted_fine_tunes.append(job)

    def plan_end(self, identifier: str, at_ms: int) -> None:
        """Remember that a job ends then, so that its model or its files appear."""
        heapq.heappush(self._due, (at_ms, identifier))

    def take_due(self, now_ms: int) -> Iterator[tuple[int, str]]:
        """Yield (instant, id) of the ends that have come, oldest first; each once."""
        while self._due and self._due[0][0] <= now_ms:
            yield heapq.heappop(self._due)
