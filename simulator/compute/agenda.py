"""What will happen to one resource by itself, in order of time, played only when somebody looks."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.workload import FOREVER_MS

Action = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Tempo:
    """Make transitions `speed` times shorter from the scenario's start on; the past is played at real length."""

    start_ms: int
    speed: float

    def length(self, at_ms: int, duration_ms: int) -> int:
        """Return how long a transition that begins at `at_ms` takes, in milliseconds, at least 1."""
        return max(1, round(duration_ms / self.speed)) if at_ms >= self.start_ms else duration_ms


@dataclass(slots=True)
class Agenda:
    """Planned actions; each gets the instant it was planned for, not the instant somebody looked."""

    _planned: list[tuple[int, int, str, Action]] = field(default_factory=list)
    _given: int = 0

    def plan(self, at_ms: int, kind: str, action: Action) -> None:
        """Add an action; what was planned earlier for the same instant comes first."""
        self._given += 1
        heapq.heappush(self._planned, (at_ms, self._given, kind, action))

    def drop(self, kind: str) -> None:
        """Forget the planned actions of a kind."""
        self._planned = [entry for entry in self._planned if entry[2] != kind]
        heapq.heapify(self._planned)

    def clear(self) -> None:
        self._planned.clear()

    def next_ms(self) -> int:
        """Return when the next action is due; FOREVER_MS = none is planned."""
        return self._planned[0][0] if self._planned else FOREVER_MS

    def play(self, now_ms: int) -> None:
        """Do everything that was due until `now_ms`, also what these actions plan within that time."""
        while self._planned and self._planned[0][0] <= now_ms:
            at_ms, _, _, action = heapq.heappop(self._planned)
            action(at_ms)
