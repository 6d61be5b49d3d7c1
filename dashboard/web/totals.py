"""Counts and burn of what a person sees, from the groups of one query: chips, sidebar, stat strip, footers. Pure.

Every part of a page reads its figures here, so that the same figure is the same everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from billing.burn import Burn, add_burns
from dashboard.core import status
from dashboard.mirror.querysets import StatusGroup


@dataclass(frozen=True, slots=True)
class Choice:
    """A chip of the list: statuses that people think of as one. `is_idle` None = either."""

    value: str
    label: str
    statuses: tuple[str, ...]
    is_idle: bool | None = None
    # Shown even when nothing is behind it.
    is_standing: bool = True

    def holds(self, group: StatusGroup) -> bool:
        """Return whether the group belongs to this choice."""
        return group.status in self.statuses and self.is_idle in (None, group.is_idle)


CHOICES = (
    Choice("running", "Running", (status.RUNNING.value, status.SCALING.value), is_idle=False),
    Choice("idle", "Idle", (status.RUNNING.value,), is_idle=True),
    Choice("starting", "Starting", (status.STARTING.value,)),
    Choice("degraded", "Degraded", (status.DEGRADED.value,), is_standing=False),
    Choice("failed", "Failed", (status.FAILED.value,)),
    Choice("stopping", "Stopping", (status.STOPPING.value,), is_standing=False),
    Choice("stopped", "Stopped", (status.STOPPED.value,)),
    Choice("empty", "No deployment", (status.EMPTY.value,), is_standing=False),
    Choice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
)
CHOICE_BY_VALUE = {choice.value: choice for choice in CHOICES}
# What serves, and so costs money: the number beside "Endpoints" and "Running" on the overview.
_SERVING = (status.RUNNING.value, status.SCALING.value, status.DEGRADED.value)


@dataclass(frozen=True, slots=True)
class Sum:
    """Count, GPUs of billing replicas (upper bound) and burn of some endpoints."""

    count: int
    gpu_count: int
    burn: Burn


@dataclass(frozen=True, slots=True)
class Totals:
    """The groups of everything that a person sees, or of what a search left."""

    groups: tuple[StatusGroup, ...]

    def everything(self) -> Sum:
        """Return the sum over all statuses."""
        return self._add(lambda group: True)

    def of_choice(self, choice: Choice | None) -> Sum:
        """Return the sum behind a chip; None = all."""
        return self.everything() if choice is None else self._add(choice.holds)

    def idle(self) -> Sum:
        """Return the sum of what is idle by evidence."""
        return self._add(lambda group: group.is_idle)

    def serving(self) -> Sum:
        """Return the sum of what serves, idle ones included."""
        return self._add(lambda group: group.status in _SERVING)

    def of_status(self, value: str) -> Sum:
        """Return the sum of one status."""
        return self._add(lambda group: group.status == value)

    def _add(self, holds: Callable[[StatusGroup], bool]) -> Sum:
        chosen = [group for group in self.groups if holds(group)]
        return Sum(
            count=sum(group.count for group in chosen),
            gpu_count=sum(group.gpu_count for group in chosen),
            burn=add_burns(
                Burn(group.burn_low, group.burn_high, group.unpriced_replicas) for group in chosen
            ),
        )
