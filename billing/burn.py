"""What burns now: rates in nano-dollars per hour as a range, added up exactly. Pure.

Low and high differ only where the provider does not tell how many replicas run (v1). Replicas whose price is unknown
are counted beside the rate and never as zero: a rate that has some says "at least".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from dashboard.core import money

MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Burn:
    """A rate: nano-dollars per hour from `low` to `high`, plus replicas of unknown price."""

    low: int = 0
    high: int = 0
    unpriced_replicas: int = 0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"a burn from {self.low} to {self.high} is no range")

    def __add__(self, other: "Burn") -> "Burn":
        return Burn(
            self.low + other.low,
            self.high + other.high,
            self.unpriced_replicas + other.unpriced_replicas,
        )

    @property
    def is_certain(self) -> bool:
        """True when it is one known number."""
        return self.low == self.high and not self.unpriced_replicas

    @property
    def is_zero(self) -> bool:
        """True when nothing bills, as far as anybody knows."""
        return not self.high and not self.unpriced_replicas

    def per_minute(self) -> tuple[Decimal, Decimal]:
        """Return (low, high) in nano-dollars per minute, unrounded."""
        return money.per_minute(self.low), money.per_minute(self.high)

    def per_month(self) -> tuple[Decimal, Decimal]:
        """Return (low, high) in nano-dollars per month of 730 h at this rate: a comparison, not a bill."""
        return money.per_month(self.low), money.per_month(self.high)

    def over(self, duration: timedelta) -> tuple[Decimal, Decimal]:
        """Return (low, high) in nano-dollars that this rate costs over `duration`, unrounded.

        True for the past only if the rate held all the time; callers say so.
        """
        microseconds = Decimal(duration // timedelta(microseconds=1))
        return (
            self.low * microseconds / MICROSECONDS_PER_HOUR,
            self.high * microseconds / MICROSECONDS_PER_HOUR,
        )


ZERO = Burn()


def add_burns(burns: Iterable[Burn]) -> Burn:
    """Return the sum; zero of nothing."""
    total = ZERO
    for burn in burns:
        total += burn
    return total


def price_replicas(*, low: int, high: int, nano_usd_per_hour: int | None) -> Burn:
    """Return what `low` to `high` billing replicas burn; with an unknown price they are only counted."""
    if nano_usd_per_hour is None:
        return Burn(unpriced_replicas=high)
    return Burn(low * nano_usd_per_hour, high * nano_usd_per_hour)


def share_percent(part: Burn, *, whole: Burn) -> int | None:
    """Return how many percent of the upper bound of `whole` the upper bound of `part` is; None of nothing.

    Never 0 for what is there, never 100 for what is not all.
    """
    if not whole.high:
        return None
    percent = int((Decimal(part.high) * 100 / whole.high).quantize(Decimal(1)))
    if part.high and not percent:
        return 1
    return 99 if percent == 100 and part.high < whole.high else percent
