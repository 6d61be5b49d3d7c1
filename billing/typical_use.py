"""How long an endpoint would run a day if it stopped when idle and was started again for every stretch of use. Pure.

The basis is what other endpoints of the organisation did in the last 24 h, in half hours: an assumption about a new
one, and said as such wherever it is printed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from dashboard.core.money import HOURS_PER_MONTH, Nano

MINUTES_PER_BUCKET = 30
MINUTES_PER_DAY = 1440
# A day of which less was read says too little (our choice).
LEAST_KNOWN_SHARE = 0.5

Day = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class TypicalUse:
    """Median hours a day that the used endpoints would have run, and how many those are."""

    hours_per_day: Decimal
    endpoint_count: int

    def price_month(self, nano_usd_per_hour: int) -> Nano:
        """Return nano-dollars per month of 730 h at this use."""
        return Decimal(nano_usd_per_hour) * HOURS_PER_MONTH * self.hours_per_day / 24


def measure_use(days: Iterable[Day], *, idle_minutes: int) -> TypicalUse | None:
    """Return the typical use with a stop after `idle_minutes`; None when no used endpoint's day is known well enough.

    Each day is about 24 h of half hours, oldest first: requests, None = not read. Days without any request say nothing
    about use and are left out.
    """
    found = [
        Decimal(minutes) * MINUTES_PER_DAY / (len(day) * MINUTES_PER_BUCKET)
        for day in days
        if (minutes := count_minutes_on(day, idle_minutes=idle_minutes))
    ]
    if not found:
        return None
    return TypicalUse(median(found) / 60, len(found))


def count_minutes_on(day: Day, *, idle_minutes: int) -> int | None:
    """Return the minutes that one day would have run; None when too little of it is known.

    A half hour with requests runs whole, then the idle limit runs out. What was not read counts as use: unknown
    is never idle.
    """
    known = [value for value in day if value is not None]
    if not day or len(known) < len(day) * LEAST_KNOWN_SHARE:
        return None
    if not any(known):
        return 0
    minutes, until = 0, 0
    for place, value in enumerate(day):
        start, end = place * MINUTES_PER_BUCKET, (place + 1) * MINUTES_PER_BUCKET
        if value is None or value > 0:
            minutes += MINUTES_PER_BUCKET
            until = end + idle_minutes
        else:
            minutes += max(0, min(end, until) - start)
    return minutes
