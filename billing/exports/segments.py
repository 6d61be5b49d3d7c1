"""Where a part of a period is told from: open months from what is known best, closed ones as they were closed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from dashboard.core.periods import Period


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A month that finance closed: what was posted from `posted_until` on is a correction of it.

    `first` is its first day by the clocks of the zone in which it was closed, `period` the same in UTC.
    """

    first: date
    period: Period
    posted_until: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a period; `posted_until` None = open."""

    start: datetime
    end: datetime
    posted_until: datetime | None = None


def cut_segments(period: Period, *, closed: Iterable[ClosedMonth]) -> list[Segment]:
    """Return the period in parts, in order, without hole or overlap."""
    parts: list[Segment] = []
    at = period.start
    for month in sorted(closed, key=lambda one: one.period.start):
        start, end = max(at, month.period.start), min(period.end, month.period.end)
        if start >= end:
            continue
        if at < start:
            parts.append(Segment(at, start))
        parts.append(Segment(start, end, month.posted_until))
        at = end
    if at < period.end:
        parts.append(Segment(at, period.end))
    return parts
