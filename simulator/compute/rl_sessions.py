"""Training sessions: steps and checkpoints, made by operations of a client or by a script of the scenario."""

from dataclasses import dataclass, field
from typing import Any, Final

from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.compute.agenda import Agenda, Tempo
from simulator.identifiers import derive_uuid

CREATING: Final = "CREATING"
RUNNING: Final = "RUNNING"
STOPPING: Final = "STOPPING"
STOPPED: Final = "STOPPED"
EXPIRED: Final = "EXPIRED"
STATES: Final = (CREATING, RUNNING, STOPPED, STOPPING, "ERROR", EXPIRED)
TRAINING: Final = "CHECKPOINT_TYPE_TRAINING"
INFERENCE: Final = "CHECKPOINT_TYPE_INFERENCE"
#: A scripted client saves a checkpoint each time it has done so many steps.
STEPS_PER_CHECKPOINT: Final = 100
_CREATE_MS: Final = MINUTE_MS
_STOP_MS: Final = 20 * SECOND_MS
_OPERATION_MS: Final = 5 * SECOND_MS


@dataclass(frozen=True)
class Checkpoint:
    checkpoint_id: str
    kind: str
    at_ms: int
    step: int


@dataclass
class Operation:
    """Something that a client asked for; it is done at `done_ms`."""

    operation_id: str
    kind: str  # as the path names it: optim-step, sample, ...
    created_ms: int
    done_ms: int
    output: dict[str, Any] = field(default_factory=dict)
    has_failed: bool = False  # the session ended first


@dataclass
class RlSession:
    """One session. `step_every_ms` is the pace of a scripted client that trains; None = clients ask for each step."""

    session_id: str
    project_id: str
    base_model: str
    created_by: str
    created_ms: int
    tempo: Tempo
    display_name: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] | None = None
    resumed_from: str | None = None
    step_every_ms: int | None = None
    states: list[tuple[int, str]] = field(default_factory=list)
    steps_done: int = 0
    synced_step: int = 0
    updated_ms: int = 0
    saved: list[Checkpoint] = field(default_factory=list)
    operations: dict[str, Operation] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return self.states[-1][1]

    @property
    def is_active(self) -> bool:
        return self.state in {CREATING, RUNNING}

    def enter(self, at_ms: int, state: str) -> None:
        if not self.states or state != self.state:
            self.states.append((at_ms, state))
            self.updated_ms = at_ms

    def begin(self, at_ms: int, agenda: Agenda) -> None:
        self.enter(at_ms, CREATING)
        running_ms = at_ms + self.tempo.length(at_ms, _CREATE_MS)
        agenda.plan(running_ms, self.session_id, lambda due_ms: self.enter(due_ms, RUNNING))

    def stop(self, at_ms: int, agenda: Agenda) -> None:
        """Stop; harmless for one that has ended."""
        if not self.is_active:
            return
        agenda.drop(self.session_id)
        self.end(at_ms, STOPPING)
        stopped_ms = at_ms + self.tempo.length(at_ms, _STOP_MS)
        agenda.plan(stopped_ms, self.session_id, lambda due_ms: self.enter(due_ms, STOPPED))

    def end(self, at_ms: int, state: str) -> None:
        """End at once, as when the resource ends; operations that are not done have failed."""
        for operation in self.operations.values():
            operation.has_failed |= operation.done_ms > at_ms
        self.enter(at_ms, state)

    # What a scripted client does

    def _running_span(self, now_ms: int) -> tuple[int, int] | None:
        begun = next((at_ms for at_ms, state in self.states if state == RUNNING), None)
        if begun is None:
            return None
        return begun, next((at_ms for at_ms, _ in self.states if at_ms > begun), now_ms)

    def count_steps(self, now_ms: int) -> int:
        """Return the optimizer steps until `now_ms`."""
        span = self._running_span(now_ms)
        if span is None or self.step_every_ms is None:
            return self.steps_done
        return self.steps_done + (min(span[1], now_ms) - span[0]) // self.step_every_ms

    def last_step_ms(self, now_ms: int) -> int:
        """Return when the session was used last; its start counts."""
        span = self._running_span(now_ms)
        if span is None:
            return self.created_ms
        if self.step_every_ms is None:
            done = [one.done_ms for one in self.operations.values() if one.created_ms <= now_ms]
            return max([span[0], *done])
        end_ms = min(span[1], now_ms)
        return end_ms - (end_ms - span[0]) % self.step_every_ms

    def checkpoints(self, now_ms: int) -> list[Checkpoint]:
        """Return all checkpoints, oldest first: those that operations saved, and the scripted client's."""
        found = list(self.saved)
        span = self._running_span(now_ms)
        if span is not None and self.step_every_ms is not None:
            for step in range(STEPS_PER_CHECKPOINT, self.count_steps(now_ms) + 1, STEPS_PER_CHECKPOINT):
                kind = INFERENCE if step % (5 * STEPS_PER_CHECKPOINT) == 0 else TRAINING
                identifier = derive_uuid(self.session_id, "checkpoint", step)
                found.append(Checkpoint(identifier, kind, span[0] + step * self.step_every_ms, step))
        return sorted(found, key=lambda one: one.at_ms)

    # What operations do

    def operate(self, at_ms: int, operation_id: str, kind: str, agenda: Agenda) -> Operation:
        """Begin an operation; its effect comes when it is done."""
        done_ms = at_ms + self.tempo.length(at_ms, _OPERATION_MS)
        operation = Operation(operation_id, kind, at_ms, done_ms)
        self.operations[operation_id] = operation
        agenda.plan(done_ms, self.session_id, lambda due_ms: self.complete(operation, due_ms))
        return operation

    def complete(self, operation: Operation, at_ms: int) -> None:
        """Give an operation its effect and its output."""
        kind = operation.kind
        if kind == "optim-step":
            self.steps_done += 1
            operation.output = {"step": str(self.steps_done)}
        elif kind == "weights-sync":
            self.synced_step = self.count_steps(at_ms)
            operation.output = {"weights_version": str(self.synced_step)}
        elif kind in {"training-checkpoint", "inference-checkpoint"}:
            kept = TRAINING if kind == "training-checkpoint" else INFERENCE
            identifier = derive_uuid(operation.operation_id, "checkpoint")
            self.saved.append(Checkpoint(identifier, kept, at_ms, self.count_steps(at_ms)))
            operation.output = {"checkpoint": identifier}
        elif kind == "forward-backward":
            operation.output = {"loss": round(2.0 / (1 + self.steps_done / 20), 6), "metrics": {}}
        elif kind == "sample":
            sequence = {"tokens": [1, 2, 3], "stop_reason": "STOP_REASON_STOP", "prompt_cache_hit_tokens": 0}
            segment = {"version": self.synced_step, "start_token": 0}
            operation.output = {"results": [{"sequences": [sequence], "policy_segments": [segment]}]}
        self.updated_ms = at_ms
