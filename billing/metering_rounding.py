"""Round each replica run up to a whole second or minute, where a setting says that the provider does. Pure.

Which of several replicas ends is not told: the one that came last goes first. The time beyond the observed one falls on
the stretch that the run ends with.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from billing.metering import count_us

QUANTA_US = {"exact": 1, "second": 1_000_000, "minute": 60_000_000}


@dataclass(frozen=True, slots=True)
class Running:
    """A stretch in which `units` replicas ran; None = nobody knows, runs that reach into it are not rounded."""

    start: datetime
    end: datetime
    units: int | None
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Rounding:
    """Microseconds that a stretch bills beyond its own, each replica; `at_least`, `at_most` contain the truth."""

    us: int = 0
    at_least: int = 0
    at_most: int = 0


def round_runs(stretches: Iterable[Running], *, rule: str) -> list[Rounding]:
    """Return the rounding of each stretch; they follow each other without a hole. Raises KeyError for another rule.

    The result counts for each unit of the stretch: the sum of its runs' remainders over its units, rounded up to the
    microsecond.
    """
    quantum = QUANTA_US[rule]
    found: list[Rounding] = []
    runs: list[tuple[datetime, bool]] = []
    following = list(stretches)
    for place, stretch in enumerate(following):
        after = following[place + 1] if place + 1 < len(following) else None
        if stretch.units is None:
            runs = []
            found.append(Rounding())
            continue
        while len(runs) < stretch.units:
            runs.append((stretch.start, stretch.is_exact))
        if after is None or after.units is None or after.units >= stretch.units:
            found.append(Rounding())
            continue
        ended = [runs.pop() for _ in range(stretch.units - after.units)]
        found.append(_sum_remainders(ended, stretch, is_exact=after.is_exact, quantum=quantum))
    return found


def _sum_remainders(
    ended: list[tuple[datetime, bool]], stretch: Running, *, is_exact: bool, quantum: int
) -> Rounding:
    remainders = [-count_us(start, stretch.end) % quantum for start, _ in ended]
    units = stretch.units or 1
    us = -(-sum(remainders) // units)
    if is_exact and all(start_is_exact for _, start_is_exact in ended):
        return Rounding(us, us, us)
    return Rounding(us, 0, -(-len(ended) * (quantum - 1) // units))
