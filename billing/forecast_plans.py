"""What is known to come: ends and starts that somebody armed, and the cost of jobs that run already. Pure.

Nano-dollars per hour, as floats where they meet statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from billing.forecast_history import HOUR, HourCost

# A thing that was started again this often is expected to be started again after its timer has stopped it.
_RETURNS = 2
# A stop this near says that the burn now is not the level of the days to come.
_SOON = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """From `at` on the burn of a thing changes: negative for an armed stop, positive for a start by schedule."""

    at: datetime
    nano_usd_per_hour_delta: int


@dataclass(frozen=True, slots=True)
class PlannedCharge:
    """What a job that runs already will cost when it ends, nano-dollars; `at` may be a guess."""

    at: datetime
    nano_usd: int


@dataclass(frozen=True, slots=True)
class PlannedCourse:
    """A thing whose changes are known: what it burns now, what changes when, and what it cost before.

    Without changes it goes on as it burns now: of a thing whose past is not known, that is all there is.
    """

    nano_usd_per_hour: int
    changes: tuple[PlannedChange, ...]
    history: tuple[HourCost, ...] = ()

    @property
    def is_lasting(self) -> bool:
        """True when the course says all there is to know: a schedule, or an end after which nothing returns.

        A sandbox that is stopped every evening and started every morning has a timer too, but no end.
        """
        has_start = any(change.nano_usd_per_hour_delta > 0 for change in self.changes)
        return not self.changes or has_start or _count_returns(self.history) < _RETURNS

    def cost_between(self, start: datetime, end: datetime) -> float:
        """Return nano-dollars over `[start, end)`; exact but for floating point."""
        edges = [start, *(change.at for change in self._sorted() if start < change.at < end), end]
        return sum(self._rate_at(left) * ((right - left) / HOUR) for left, right in pairwise(edges))

    def fading_burn(self, *, now: datetime) -> int:
        """Return how much of the burn now says nothing about later: a soon stop of what comes back, less its mean."""
        if not any(change.at - now < _SOON for change in self.changes) or not self.history:
            return 0
        hours = max(1, (now - self.history[0].start) // HOUR)
        return max(0, self.nano_usd_per_hour - sum(one.nano_usd for one in self.history) // hours)

    def _sorted(self) -> list[PlannedChange]:
        return sorted(self.changes, key=lambda change: change.at)

    def _rate_at(self, at: datetime) -> int:
        delta = sum(change.nano_usd_per_hour_delta for change in self.changes if change.at <= at)
        return max(0, self.nano_usd_per_hour + delta)


def take_out(hours: Sequence[HourCost], courses: Sequence[PlannedCourse]) -> list[HourCost]:
    """Return the hours without what the courses' things cost; never below zero."""
    taken: dict[datetime, int] = {}
    for course in courses:
        for one in course.history:
            taken[one.start] = taken.get(one.start, 0) + one.nano_usd
    if not taken:
        return list(hours)
    return [
        HourCost(one.start, max(0, one.nano_usd - taken.get(one.start, 0)), one.lump_nano_usd)
        for one in hours
    ]


def spread_charges(
    charges: Sequence[PlannedCharge], *, flow: float, now: datetime
) -> list[tuple[datetime, float]]:
    """Return when and by how much known charges exceed what jobs usually cost by then, nano-dollars.

    `flow` is what jobs usually cost, nano-dollars per hour: a job that runs is one of those that the history expects.
    """
    total = counted = 0.0
    found = []
    for charge in sorted(charges, key=lambda one: one.at):
        at = max(charge.at, now)
        total += charge.nano_usd
        beyond = total - flow * ((at - now) / HOUR)
        if beyond > counted:
            found.append((at, beyond - counted))
            counted = beyond
    return found


def _count_returns(history: Sequence[HourCost]) -> int:
    """Return how often the thing began to cost again after two hours or more without."""
    starts = [one.start for one in history if one.nano_usd > 0]
    return sum(1 for earlier, later in pairwise(starts) if later - earlier > 2 * HOUR)
