"""Shared volumes: they cost money for as long as they exist, attached or not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from simulator.charges import HOURS_PER_MONTH, Line, unit_hours
from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.compute.agenda import Agenda, Tempo
from simulator.compute.prices import VOLUME_TIB_MONTH

PROVISIONING: Final = "provisioning"
AVAILABLE: Final = "available"
BOUND: Final = "bound"
DELETING: Final = "deleting"
ACCESS_REVOKED: Final = "access_revoked"
STATES: Final = (
    *("scheduled", AVAILABLE, BOUND, PROVISIONING),
    *(DELETING, "failed", ACCESS_REVOKED, "unknown"),
)
PROVISION_MS: Final = 90 * SECOND_MS
DELETE_MS: Final = MINUTE_MS


@dataclass
class Volume:
    """One shared volume. `cluster_id` is the cluster it is attached to; None = to none."""

    volume_id: str
    name: str
    project_id: str
    region: str
    created_ms: int
    tempo: Tempo
    sizes: list[tuple[int, int]]  # (from_ms, TiB), oldest first
    is_lifecycle_independent: bool = False
    cluster_id: str | None = None
    gone_ms: int | None = None
    states: list[tuple[int, str]] = field(default_factory=list)
    agenda: Agenda = field(default_factory=Agenda)

    @property
    def size_tib(self) -> int:
        return self.sizes[-1][1]

    @property
    def state(self) -> str:
        return self.states[-1][1]

    def enter(self, at_ms: int, state: str) -> None:
        if not self.states or state != self.state:
            self.states.append((at_ms, state))

    def provision(self, at_ms: int) -> None:
        self.enter(at_ms, PROVISIONING)
        self.agenda.plan(at_ms + self.tempo.length(at_ms, PROVISION_MS), "ready", self._settle)

    def _settle(self, at_ms: int) -> None:
        self.enter(at_ms, BOUND if self.cluster_id else AVAILABLE)

    def attach(self, at_ms: int, cluster_id: str) -> None:
        self.cluster_id = cluster_id
        if self.state == AVAILABLE:
            self.enter(at_ms, BOUND)

    def release(self, at_ms: int) -> None:
        """Let go of a cluster that is decommissioned: the volume goes with it unless it was made to stay."""
        self.cluster_id = None
        if not self.is_lifecycle_independent:
            self.delete(at_ms)
        elif self.state == BOUND:
            self.enter(at_ms, AVAILABLE)

    def resize(self, at_ms: int, size_tib: int) -> None:
        self.sizes.append((at_ms, size_tib))

    def revoke_access(self, at_ms: int) -> None:
        if self.state in {AVAILABLE, BOUND}:
            self.enter(at_ms, ACCESS_REVOKED)

    def restore_access(self, at_ms: int) -> None:
        if self.state == ACCESS_REVOKED:
            self._settle(at_ms)

    def delete(self, at_ms: int) -> None:
        if self.state == DELETING:
            return
        self.agenda.clear()
        self.enter(at_ms, DELETING)
        self.agenda.plan(at_ms + self.tempo.length(at_ms, DELETE_MS), "gone", self.vanish)

    def vanish(self, at_ms: int) -> None:
        self.agenda.clear()
        self.gone_ms = at_ms

    def charge(self, start_ms: int, end_ms: int) -> Iterator[Line]:
        """Yield one line for the window if the volume existed in it."""
        until_ms = end_ms if self.gone_ms is None else min(end_ms, self.gone_ms)
        begin_ms = max(start_ms, self.created_ms)
        tib_ms = 0
        for place, (from_ms, size_tib) in enumerate(self.sizes):
            next_ms = self.sizes[place + 1][0] if place + 1 < len(self.sizes) else until_ms
            tib_ms += size_tib * max(0, min(until_ms, next_ms) - max(begin_ms, from_ms))
        if tib_ms:
            months: Fraction = unit_hours(tib_ms) / HOURS_PER_MONTH
            yield Line(
                begin_ms, until_ms, "Shared Storage", months, VOLUME_TIB_MONTH, months * VOLUME_TIB_MONTH,
                {"region": self.region}, {"volume_id": self.volume_id}, self.project_id, self.name,
            )  # fmt: skip
