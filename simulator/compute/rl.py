"""RL post-training: GPU resources that cost money while they are ready, and training sessions that run on them.

The states are documented; the times between them, and that STOPPING costs nothing, are believable inventions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from simulator.charges import Line, unit_hours
from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.compute.agenda import Agenda, Tempo
from simulator.compute.prices import RL_GPU_HOUR, gpu_name
from simulator.compute.rl_sessions import EXPIRED, RlSession

PENDING: Final = "PENDING"
CREATING: Final = "CREATING"
READY: Final = "READY"
ERROR: Final = "ERROR"
STOPPING: Final = "STOPPING"
STOPPED: Final = "STOPPED"
STATES: Final = (PENDING, CREATING, READY, ERROR, STOPPING, STOPPED)
BASE_MODELS: Final = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B", "openai/gpt-oss-20b")
DEFAULT_GPU: Final = "B200-SXM"
DEFAULT_IDLE_SECONDS: Final = 3_600
#: What a resource consists of: the trainer's GPUs, and those of each generator replica. No source.
TRAINER_GPUS: Final = 8
GENERATOR_GPUS: Final = 4
_WAIT_MS: Final = 2 * MINUTE_MS
_CREATE_MS: Final = 8 * MINUTE_MS
_STOP_MS: Final = MINUTE_MS


def price_per_hour(gpu_type: str, generator_replicas: int) -> Fraction:
    """Return what a resource costs per hour while it is ready, in USD."""
    return RL_GPU_HOUR[gpu_type] * (TRAINER_GPUS + GENERATOR_GPUS * generator_replicas)


@dataclass(frozen=True)
class RlError:
    at_ms: int
    code: str
    message: str


@dataclass
class RlResource:
    """One model resource. It stops by itself when nothing used it for `idle_seconds`."""

    resource_id: str
    project_id: str
    base_model: str
    gpu_type: str
    generator_replicas: int
    idle_seconds: int
    lora_enabled: bool
    optimizer: dict[str, Any]
    created_by: str
    created_ms: int
    tempo: Tempo
    base_weights: str | None = None
    states: list[tuple[int, str]] = field(default_factory=list)
    sessions: list[RlSession] = field(default_factory=list)
    agenda: Agenda = field(default_factory=Agenda)
    error: RlError | None = None
    _active_ms: int = 0
    _kept_until_ms: int = 0

    @property
    def state(self) -> str:
        return self.states[-1][1]

    def enter(self, at_ms: int, state: str) -> None:
        if not self.states or state != self.state:
            self.states.append((at_ms, state))

    @property
    def active_sessions(self) -> list[RlSession]:
        return [session for session in self.sessions if session.is_active]

    def order(self, at_ms: int) -> None:
        self.enter(at_ms, PENDING)
        creating_ms = at_ms + self.tempo.length(at_ms, _WAIT_MS)
        ready_ms = creating_ms + self.tempo.length(at_ms, _CREATE_MS)
        self.agenda.plan(creating_ms, "order", lambda due_ms: self.enter(due_ms, CREATING))
        self.agenda.plan(ready_ms, "order", self.become_ready)

    def become_ready(self, at_ms: int) -> None:
        self.agenda.drop("order")
        self.enter(at_ms, READY)
        self.note_activity(at_ms)
        self._plan_idle_check(at_ms)

    def note_activity(self, at_ms: int) -> None:
        self._active_ms = max(self._active_ms, at_ms)

    def keep_until(self, until_ms: int) -> None:
        """Do not stop for inactivity before then."""
        self._kept_until_ms = max(self._kept_until_ms, until_ms)

    def expires_ms(self, now_ms: int) -> int:
        """Return the earliest instant at which it can stop for inactivity, as known at `now_ms`."""
        for session in self.sessions:
            self.note_activity(session.last_step_ms(now_ms))
        return max(self._active_ms + self.idle_seconds * SECOND_MS, self._kept_until_ms)

    def _plan_idle_check(self, at_ms: int) -> None:
        self.agenda.plan(max(self.expires_ms(at_ms), at_ms + 1), "idle", self._check_idle)

    def _check_idle(self, at_ms: int) -> None:
        if at_ms >= self.expires_ms(at_ms):
            self.stop(at_ms, session_state=EXPIRED)
        else:
            self._plan_idle_check(at_ms)

    def stop(self, at_ms: int, *, session_state: str) -> None:
        """Stop, with the sessions that run; harmless for one that is stopped."""
        if self.state in {STOPPING, STOPPED}:
            return
        self.agenda.clear()
        for session in self.active_sessions:
            session.end(at_ms, session_state)
        self.enter(at_ms, STOPPING)
        stopped_ms = at_ms + self.tempo.length(at_ms, _STOP_MS)
        self.agenda.plan(stopped_ms, "stop", lambda due_ms: self.enter(due_ms, STOPPED))

    def fail(self, at_ms: int, *, code: str, message: str) -> None:
        self.agenda.clear()
        for session in self.active_sessions:
            session.end(at_ms, "ERROR")
        self.error = RlError(at_ms, code, message)
        self.enter(at_ms, ERROR)

    def charge(self, start_ms: int, end_ms: int) -> Iterator[Line]:
        """Yield one line for the hours within the window in which the resource was ready."""
        ready_ms = 0
        for place, (from_ms, state) in enumerate(self.states):
            until_ms = self.states[place + 1][0] if place + 1 < len(self.states) else end_ms
            if state == READY:
                ready_ms += max(0, min(until_ms, end_ms) - max(from_ms, start_ms))
        if ready_ms:
            hours, price = unit_hours(ready_ms), price_per_hour(self.gpu_type, self.generator_replicas)
            yield Line(
                max(start_ms, self.created_ms), end_ms, f"RL Training - {gpu_name(self.gpu_type)}", hours, price,
                hours * price, {"gpu_type": self.gpu_type}, {"model_resource_id": self.resource_id},
                self.project_id, self.base_model,
            )  # fmt: skip
