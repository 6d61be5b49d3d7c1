"""GPU worker nodes of a cluster: eight GPUs each, which cost money while the node runs."""

from dataclasses import dataclass, field
from typing import Final

from simulator.compute.regions import GPUS_PER_NODE

PENDING: Final = "NODE_PHASE_PENDING"
SCHEDULING: Final = "NODE_PHASE_SCHEDULING"
BOOTING: Final = "NODE_PHASE_BOOTING"
BOOTSTRAPPING: Final = "NODE_PHASE_BOOTSTRAPPING"
RUNNING: Final = "NODE_PHASE_RUNNING"
SUCCEEDED: Final = "NODE_PHASE_SUCCEEDED"
FAILED: Final = "NODE_PHASE_FAILED"
PAUSED: Final = "NODE_PHASE_PAUSED"

#: How a node is paid: once in advance, while it runs, or cheaper while it runs but taken back at any time.
RESERVED: Final = "RESERVED"
ON_DEMAND: Final = "ON_DEMAND"
PREEMPTIBLE: Final = "PREEMPTIBLE"


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a node's life, from `at_ms` until the next step."""

    at_ms: int
    phase: str
    payment: str


@dataclass
class Node:
    node_id: str
    instance_id: str
    name: str
    address: str
    steps: list[Step] = field(default_factory=list)
    deleted_ms: int | None = None

    @property
    def phase(self) -> str:
        return self.steps[-1].phase

    @property
    def payment(self) -> str:
        return self.steps[-1].payment

    def enter(self, at_ms: int, phase: str) -> None:
        if phase != self.phase:
            self.steps.append(Step(at_ms, phase, self.payment))

    def pay_as(self, at_ms: int, payment: str) -> None:
        if payment != self.payment:
            self.steps.append(Step(at_ms, self.phase, payment))

    def leave(self, at_ms: int) -> None:
        """Leave the cluster for good."""
        self.enter(at_ms, SUCCEEDED)
        self.deleted_ms = at_ms

    def transitions(self) -> list[tuple[int, str]]:
        """Return (at_ms, phase), oldest first, without steps that changed the payment only."""
        found: list[tuple[int, str]] = []
        for step in self.steps:
            if not found or found[-1][1] != step.phase:
                found.append((step.at_ms, step.phase))
        return found

    def count_running_ms(self, start_ms: int, end_ms: int, payment: str) -> int:
        """Return GPU-milliseconds within `[start_ms, end_ms)` while the node ran under that payment."""
        total = 0
        for place, step in enumerate(self.steps):
            until_ms = self.steps[place + 1].at_ms if place + 1 < len(self.steps) else end_ms
            if step.phase == RUNNING and step.payment == payment:
                total += max(0, min(until_ms, end_ms) - max(step.at_ms, start_ms))
        return total * GPUS_PER_NODE
