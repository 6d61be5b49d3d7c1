"""A file of the Files API and its way through validation."""

from dataclasses import dataclass, field
from typing import Final

from simulator.clock import SECOND_MS
from simulator.jobs.content import Content
from simulator.jobs.inspection import Findings
from simulator.jobs.owner import Owner, Step, Tempo, step_at

PENDING: Final = "PENDING"
QUEUED: Final = "QUEUED"
RUNNING: Final = "RUNNING"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
INVALID_FORMAT: Final = "INVALID_FORMAT"
STATUSES: Final = (PENDING, QUEUED, RUNNING, COMPLETED, FAILED, INVALID_FORMAT)
#: Only these are validated; files of other purposes skip it and carry no report.
VALIDATED_PURPOSES: Final = frozenset({"fine-tune"})
#: What a client may upload (SDK 3.1.1 and the specification of April 2026 together) ...
UPLOAD_PURPOSES: Final = frozenset({"fine-tune", "calibration", "eval", "batch-api", "eval-sample"})
#: ... and what only the provider writes.
WRITTEN_PURPOSES: Final = frozenset({"eval-output", "eval-summary", "batch-generated"})
FILE_TYPES: Final = frozenset({"csv", "jsonl", "parquet"})
_QUEUE_MS: Final = 5 * SECOND_MS
_VALIDATION_MS: Final = 25 * SECOND_MS
_BYTES_PER_SECOND: Final = 4_000_000
#: Bytes of training text per token: a rule of thumb, the provider counts with the model's own tokenizer.
BYTES_PER_TOKEN: Final = 4


@dataclass
class StoredFile:
    """One file. Before its content arrives `content` is None; times are of the world."""

    file_id: str
    owner: Owner
    filename: str
    purpose: str
    file_type: str
    created_ms: int
    content: Content | None = None
    findings: Findings | None = None
    checksum: str | None = None
    timeline: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.timeline:
            self.timeline = [Step(self.created_ms, PENDING)]

    def status(self, at_ms: int) -> str:
        return step_at(self.timeline, at_ms).status

    @property
    def size_bytes(self) -> int:
        return self.content.size_bytes if self.content else 0

    @property
    def lines(self) -> int:
        """Return the records of the file; of a table its head is counted in."""
        if self.findings:
            return self.findings.lines
        return self.content.count_lines() if self.content else 0

    @property
    def tokens(self) -> int:
        return self.size_bytes // BYTES_PER_TOKEN

    def process(self, at_ms: int, *, world_start_ms: int, speed: float) -> None:
        """Take the content in: validate it where the purpose asks for that."""
        if self.purpose not in VALIDATED_PURPOSES or self.findings is None:
            self.timeline.append(Step(at_ms, COMPLETED))
            return
        tempo = Tempo.of_job(created_ms=at_ms, world_start_ms=world_start_ms, speed=speed)
        running_ms = at_ms + _QUEUE_MS
        end_ms = running_ms + _VALIDATION_MS + self.size_bytes * SECOND_MS // _BYTES_PER_SECOND
        outcome = COMPLETED if self.findings.valid else INVALID_FORMAT
        for plan_ms, status in ((at_ms, QUEUED), (running_ms, RUNNING), (end_ms, outcome)):
            self.timeline.append(Step(tempo.to_world(plan_ms), status))

    def force(self, at_ms: int, status: str) -> None:
        """Put the file into a status now and for good."""
        self.timeline = [step for step in self.timeline if step.at_ms <= at_ms] + [Step(at_ms, status)]
