"""Exact money over time: what a rate costs over an interval, added up without rounding. Pure.

Amounts are whole *ticks*: nano-dollars per hour times microseconds. 3.6e9 ticks are one nano-dollar, so that any cut of
an interval and any order of adding give the same sum to the last digit; only display divides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

TICKS_PER_NANO = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost, as exact bounds in ticks; low = high where the provider tells what ran.

    `idle_low` and `idle_high` are the part of it spent while running without a request. `unpriced_us` is time that
    billed at an unknown price and `unknown_us` time of which nobody knows whether it billed, both in microseconds:
    a cost that has some says "at least".
    """

    low: int = 0
    high: int = 0
    idle_low: int = 0
    idle_high: int = 0
    unpriced_us: int = 0
    unknown_us: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.low + other.low,
            self.high + other.high,
            self.idle_low + other.idle_low,
            self.idle_high + other.idle_high,
            self.unpriced_us + other.unpriced_us,
            self.unknown_us + other.unknown_us,
        )

    @property
    def nano_low(self) -> Decimal:
        """Lower bound in nano-dollars, for display."""
        return to_nano(self.low)

    @property
    def nano_high(self) -> Decimal:
        """Upper bound in nano-dollars, for display."""
        return to_nano(self.high)

    @property
    def is_complete(self) -> bool:
        """True when nothing in it is unpriced or unknown."""
        return not self.unpriced_us and not self.unknown_us


ZERO = Cost()


def add_costs(costs: Iterable[Cost]) -> Cost:
    """Return the sum; zero of nothing."""
    total = ZERO
    for cost in costs:
        total += cost
    return total


def to_nano(ticks: int) -> Decimal:
    """Return ticks as nano-dollars, at Decimal's 28 digits: for display, never to be added up."""
    return Decimal(ticks) / TICKS_PER_NANO
