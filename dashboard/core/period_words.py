"""Periods as people say them: `1–18 October, 13:49`, `October`, `16–22 Nov`. Pure; clocks are those of the zone.

The year stands there only where it is not the one of `now`.
"""

from datetime import UTC, datetime, time, timedelta, tzinfo

from dashboard.core.money import EN_DASH
from dashboard.core.periods import Bucket, Period, PeriodName, add_months

_MICROSECOND = timedelta(microseconds=1)
_NAMES = {
    PeriodName.TODAY: "Today",
    PeriodName.YESTERDAY: "Yesterday",
    PeriodName.SEVEN_DAYS: "7 days",
    PeriodName.THIRTY_DAYS: "30 days",
    PeriodName.QUARTER: "Quarter to date",
    PeriodName.LAST_QUARTER: "Last quarter",
    PeriodName.CUSTOM: "Custom",
}


def describe_name(name: PeriodName, *, now: datetime, zone: tzinfo) -> str:
    """Return what a period picker calls it: `November to date`, `October`, `7 days`."""
    today = now.astimezone(zone).date()
    if name in _NAMES:
        return _NAMES[name]
    if name is PeriodName.MONTH:
        return f"{today:%B} to date"
    if name is PeriodName.LAST_MONTH:
        return f"{add_months(today, -1):%B}"
    return f"{today.year} to date" if name is PeriodName.YEAR else str(today.year - 1)


def describe_period(period: Period, *, zone: tzinfo, now: datetime) -> str:
    """Return the period in words: `18 November`, `1–18 October, 13:49`, `30 October – 2 November`, `October`.

    A period that begins within a day tells both clocks: `18 November, 09:30 – 18 November, 13:49`.
    """
    start, last = _edges(period, zone)
    end = _wall(period.end, zone)
    year = f" {last.year}" if last.year != _wall(now, zone).year else ""
    clock = "" if _is_midnight(end) else f", {end:%H:%M}"
    if not _is_midnight(start):
        return f"{_say_day(start, last)}, {start:%H:%M} {EN_DASH} {_say_day(end)}{year}, {end:%H:%M}"
    if not clock and start.day == 1 and end.day == 1 and add_months(start.date(), 1) == end.date():
        return f"{start:%B}{year}"
    if start.date() == last.date():
        return f"{_say_day(last)}{year}{clock}"
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day}{EN_DASH}{_say_day(last)}{year}{clock}"
    return f"{_say_day(start, last)} {EN_DASH} {_say_day(last)}{year}{clock}"


def describe_piece(piece: Period, *, bucket: Bucket, zone: tzinfo) -> str:
    """Return what stands under a bar: `13:00`, `18 Nov`, `16–22 Nov`, `Nov 2026`."""
    start, last = _edges(piece, zone)
    if bucket is Bucket.HOUR:
        return f"{start:%H:%M}"
    if bucket is Bucket.MONTH:
        return f"{start:%b %Y}"
    if start.date() == last.date():
        return f"{start.day} {start:%b}"
    first = f"{start.day}" if start.month == last.month else f"{start.day} {start:%b} "
    return f"{first}{EN_DASH}{' ' if start.month != last.month else ''}{last.day} {last:%b}"


def _edges(period: Period, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return what clocks show at the start and in the last microsecond."""
    return _wall(period.start, zone), _wall(max(period.start, period.end - _MICROSECOND), zone)


def _say_day(at: datetime, beside: datetime | None = None) -> str:
    """Return `18 November`, with the year where it is not that of what is said `beside`."""
    year = f" {at.year}" if beside is not None and beside.year != at.year else ""
    return f"{at.day} {at:%B}{year}"


def _is_midnight(wall: datetime) -> bool:
    return wall.time() == time.min


def _wall(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
