"""Half-open stretches of time, cut where clocks of a zone turn an hour, a day, a week or a month. Pure.

Periods are UTC; only the cuts know a zone. A day begins at the first instant at which the zone's clocks show its date:
23 and 25 hour days, half-hour shifts and skipped midnights follow, and a date that no clock ever showed (Apia,
2011-12-30) has no day. Hours are cut wherever a clock shows a full hour, so that a repeated hour is two pieces.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

# What a chart can show and a page can list.
MOST_PIECES = 400
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
# Clocks that are set leap at most a day (Kwajalein 1993, Juneau 1867): what is near an edge lies within two.
_NEAR = timedelta(days=2)
_MONTHS_PER_QUARTER = 3
_MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class Period:
    """The time `[start, end)`; start = end is empty."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a period without a time zone means nothing")
        if self.start > self.end:
            raise ValueError(f"a period from {self.start} to {self.end} runs backwards")

    @property
    def is_empty(self) -> bool:
        return self.start == self.end

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def clip(self, other: "Period") -> "Period | None":
        """Return what both have in common; None when that is nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None


class Bucket(StrEnum):
    """What a period is cut into; values stand in addresses."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_LEAST_DURATIONS = {
    Bucket.HOUR: _HOUR,
    Bucket.DAY: _DAY,
    Bucket.WEEK: 7 * _DAY,
    Bucket.MONTH: 28 * _DAY,
}


class PeriodName(StrEnum):
    """Periods that people name; values stand in addresses. What still runs ends now."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    SEVEN_DAYS = "7d"
    THIRTY_DAYS = "30d"
    MONTH = "month"
    LAST_MONTH = "last-month"
    QUARTER = "quarter"
    LAST_QUARTER = "last-quarter"
    YEAR = "year"
    LAST_YEAR = "last-year"
    CUSTOM = "custom"


_DAYS_BACK = {PeriodName.TODAY: 0, PeriodName.SEVEN_DAYS: 6, PeriodName.THIRTY_DAYS: 29}
# Name -> months of the whole, and whether it is the one before the present one.
_MONTHS = {
    PeriodName.MONTH: (1, False),
    PeriodName.LAST_MONTH: (1, True),
    PeriodName.QUARTER: (_MONTHS_PER_QUARTER, False),
    PeriodName.LAST_QUARTER: (_MONTHS_PER_QUARTER, True),
    PeriodName.YEAR: (_MONTHS_PER_YEAR, False),
    PeriodName.LAST_YEAR: (_MONTHS_PER_YEAR, True),
}


def cut(period: Period, *, bucket: Bucket, zone: tzinfo) -> list[Period]:
    """Return the pieces of the period, in order and without a hole; those at its edges may be parts of a bucket."""
    if period.is_empty:
        return []
    near = Period(period.start - _NEAR, period.end + _NEAR)
    found = _full_hours(near, zone) if bucket is Bucket.HOUR else _first_days(near, bucket, zone)
    edges = sorted({edge for edge in found if period.start < edge < period.end})
    bounds = [period.start.astimezone(UTC), *edges, period.end.astimezone(UTC)]
    return [Period(start, end) for start, end in itertools.pairwise(bounds)]


def find_piece(pieces: list[Period], at: datetime) -> int | None:
    """Return the place of the piece that contains `at`; None outside of them."""
    place = bisect_right(pieces, at, key=lambda piece: piece.start) - 1
    return place if place >= 0 and at < pieces[place].end else None


def fitting_buckets(period: Period) -> tuple[Bucket, ...]:
    """Return the buckets that cut the period into at most `MOST_PIECES`, finest first."""
    return tuple(
        bucket for bucket, least in _LEAST_DURATIONS.items() if period.duration <= least * (MOST_PIECES - 2)
    )


def reach(wall: datetime, *, zone: tzinfo) -> datetime:
    """Return the first instant, in UTC, at which clocks of the zone show `wall` (without a zone) or have passed it."""
    first, second = _instants(wall, zone)
    # A clock that is set back shows `wall` twice: fold 0 is the first. One that leaps over it has it nowhere.
    return first if first <= second else _find_leap(second, first, wall, zone)


def day_of(at: datetime, *, zone: tzinfo) -> Period:
    """Return the whole day that contains `at`."""
    return _whole(at, Bucket.DAY, zone)


def week_of(at: datetime, *, zone: tzinfo) -> Period:
    """Return the whole week, from Monday on, that contains `at`."""
    return _whole(at, Bucket.WEEK, zone)


def month_of(at: datetime, *, zone: tzinfo) -> Period:
    """Return the whole month that contains `at`."""
    return _whole(at, Bucket.MONTH, zone)


def days_between(first: date, last: date, *, zone: tzinfo) -> Period:
    """Return the period from the day `first` to the day `last`, both included."""
    return Period(_begin(first, zone), _begin(last + _DAY, zone))


def name_period(name: PeriodName | str, *, now: datetime, zone: tzinfo) -> Period:
    """Return the period of that name, as seen `now`; raise ValueError for an unknown name and for `custom`."""
    name = PeriodName(name)
    now = now.astimezone(UTC)
    today = day_of(now, zone=zone)
    date_now = _date_of(today.start, zone)
    if name in _DAYS_BACK:
        return Period(_begin(date_now - _DAYS_BACK[name] * _DAY, zone), now)
    if name is PeriodName.YESTERDAY:
        return day_of(today.start - timedelta(microseconds=1), zone=zone)
    if name is PeriodName.CUSTOM:
        raise ValueError("a custom period is told by its days")
    months, is_past = _MONTHS[name]
    first = date_now.replace(day=1, month=(date_now.month - 1) // months * months + 1)
    if is_past:
        return Period(_begin(add_months(first, -months), zone), _begin(first, zone))
    return Period(_begin(first, zone), now)


def previous(period: Period, name: PeriodName | str, zone: tzinfo) -> Period:
    """Return the same stretch before: of 1-18 November, 13:49, that is 1-18 October, 13:49.

    A month that has no such day ends with itself: to 30 March compares with the whole of February. A custom period of
    whole months goes back by as many months, one of whole days by as many days, any other one by its length.
    """
    name = PeriodName(name)
    if name in _MONTHS:
        return _back_by_months(period, _MONTHS[name][0], zone)
    start, end = _wall(period.start, zone), _wall(period.end, zone)
    is_whole = start.time() == time.min and end.time() == time.min and start < end
    if name is PeriodName.CUSTOM:
        if not is_whole:
            return Period(period.start - period.duration, period.start)
        if start.day == end.day == 1:
            return _back_by_months(period, _months_between(start, end), zone)
    days = (end.date() - start.date()).days + (0 if is_whole else 1)
    return _ordered(
        reach(start - days * _DAY, zone=zone), min(reach(end - days * _DAY, zone=zone), period.start)
    )


def add_months(day: date, months: int) -> date:
    """Return the first of the month that is so many months from that of `day`."""
    years, month = divmod(day.month - 1 + months, _MONTHS_PER_YEAR)
    return date(day.year + years, month + 1, 1)


def _full_hours(near: Period, zone: tzinfo) -> Iterator[datetime]:
    wall = _wall(near.start, zone).replace(minute=0, second=0, microsecond=0)
    last = _wall(near.end, zone)
    while wall <= last:
        first, second = _instants(wall, zone)
        if first <= second:
            yield first
            yield second
        else:
            yield _find_leap(second, first, wall, zone)
        wall += _HOUR


def _first_days(near: Period, bucket: Bucket, zone: tzinfo) -> Iterator[datetime]:
    day = _bucket_start(_wall(near.start, zone).date(), bucket)
    last = _wall(near.end, zone).date()
    while day <= last:
        yield _begin(day, zone)
        day = _bucket_end(day, bucket)


def _whole(at: datetime, bucket: Bucket, zone: tzinfo) -> Period:
    at = at.astimezone(UTC)
    # From what its clock shows, which after a clock was set back over midnight may be the day before its own.
    first = _bucket_start(_wall(at, zone).date(), bucket)
    while True:
        following = _bucket_end(first, bucket)
        period = _ordered(_begin(first, zone), _begin(following, zone))
        if at < period.end:
            return period
        first = following


def _bucket_start(day: date, bucket: Bucket) -> date:
    if bucket is Bucket.WEEK:
        return day - day.weekday() * _DAY
    return day.replace(day=1) if bucket is Bucket.MONTH else day


def _bucket_end(first: date, bucket: Bucket) -> date:
    if bucket is Bucket.MONTH:
        return add_months(first, 1)
    return first + (7 if bucket is Bucket.WEEK else 1) * _DAY


def _back_by_months(period: Period, months: int, zone: tzinfo) -> Period:
    start, end = _wall(period.start, zone), _wall(period.end, zone)
    return _ordered(
        reach(_shift(start, -months), zone=zone), min(reach(_shift(end, -months), zone=zone), period.start)
    )


def _shift(wall: datetime, months: int) -> datetime:
    """Return the same day and time so many months away; the end of the month where there is no such day."""
    first = add_months(wall.date(), months)
    following = add_months(first, 1)
    day = first + (wall.day - 1) * _DAY
    if day >= following:
        return datetime.combine(following, time.min)
    return datetime.combine(day, wall.time())


def _months_between(start: datetime, end: datetime) -> int:
    return (end.year - start.year) * _MONTHS_PER_YEAR + end.month - start.month


def _ordered(start: datetime, end: datetime) -> Period:
    return Period(start, max(start, end))


def _begin(day: date, zone: tzinfo) -> datetime:
    return reach(datetime.combine(day, time.min), zone=zone)


def _date_of(at: datetime, zone: tzinfo) -> date:
    return _wall(at, zone).date()


def _wall(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _instants(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the instants of `wall` by the offsets before and after the nearest change; equal where there is none."""
    return (
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
    )


def _find_leap(before: datetime, after: datetime, wall: datetime, zone: tzinfo) -> datetime:
    """Return the first whole second in `(before, after]` at which the zone's clocks are at `wall` or beyond."""
    low, high = 0, -((before - after) // _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        if _wall(before + middle * _SECOND, zone) >= wall:
            high = middle
        else:
            low = middle
    return before + high * _SECOND
