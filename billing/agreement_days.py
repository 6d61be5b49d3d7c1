"""Which stretch of time the three numbers of a day are of, and in which windows of the bill it falls. Pure.

Where the bill is told by the hour, a day is one of the reporting zone, from the first full hour of UTC in it to that
of the next: windows cannot be cut, so that in a zone at a half hour a day begins half an hour late for all three
numbers alike. Where the bill is told by the day alone, a day is one of UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from billing.bill_spans import Covered
from billing.reconciliation import Reading
from dashboard.core.periods import days_between

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
UTC_NAME: Final = "UTC"


@dataclass(frozen=True, slots=True)
class AgreementPeriod:
    """A day as it is compared: `[start, end)`, cut into windows of `width`."""

    day: date
    zone: str
    start: datetime
    end: datetime
    width: timedelta


def make_day(day: date, *, covered: Sequence[Covered], zone: tzinfo, zone_name: str) -> AgreementPeriod:
    """Return the day as it is compared, by what the bill is told in."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    if any(one.granularity == "day" and one.start <= noon < one.end for one in covered):
        start = noon - 12 * HOUR
        return AgreementPeriod(day, UTC_NAME, start, start + DAY, DAY)
    period = days_between(day, day, zone=zone)
    return AgreementPeriod(day, zone_name, _full_hour(period.start), _full_hour(period.end), HOUR)


def find_day(at: datetime, *, covered: Sequence[Covered], zone: tzinfo) -> date:
    """Return the day that a window starting at `at` is counted to."""
    if any(one.granularity == "day" and one.start <= at < one.end for one in covered):
        return at.astimezone(UTC).date()
    local = at.astimezone(zone)
    return local.date()


def list_windows(period: AgreementPeriod) -> list[tuple[datetime, datetime]]:
    """Return the windows of the day, in order."""
    found = []
    at = period.start
    while at < period.end:
        found.append((at, at + period.width))
        at += period.width
    return found


def judge_window(
    start: datetime, end: datetime, *, covered: Sequence[Covered], known_months: frozenset[date]
) -> Reading:
    """Return whether the window was read; `known_months` are those that were read at all."""
    if any(one.start <= start and end <= one.end for one in covered):
        return Reading.READ
    at = start.astimezone(UTC)
    return Reading.LATE if date(at.year, at.month, 1) in known_months else Reading.UNREAD


def _full_hour(at: datetime) -> datetime:
    over = timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    return at + (HOUR - over) if over else at
