"""When a report is due and which period it is of, by the clocks of the reporting zone. Pure."""

from datetime import date, datetime, time, timedelta, tzinfo

from dashboard.core.periods import Period, add_months, day_of, month_of, reach, week_of

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
# The night is for what the provider tells late.
SENT_AT = time(6)
_MOMENT = timedelta(microseconds=1)
_WHOLE = {DAILY: day_of, WEEKLY: week_of, MONTHLY: month_of}
# Tries of a delivery, and the pauses between them.
TRIES = 3
PAUSES = (timedelta(minutes=1), timedelta(minutes=10))


def last_complete(frequency: str, *, now: datetime, zone: tzinfo) -> Period:
    """Return the last whole day, week (from Monday on) or month that is over. Raises KeyError for another word."""
    whole = _WHOLE[frequency]
    return whole(whole(now, zone=zone).start - _MOMENT, zone=zone)


def next_due(frequency: str, *, after: datetime, zone: tzinfo) -> datetime:
    """Return the first time after `after` at which the report goes out: at six in the morning there."""
    wall = after.astimezone(zone)
    day = wall.date()
    for first in _candidates(frequency, day):
        at = reach(datetime.combine(first, SENT_AT), zone=zone)
        if at > after:
            return at
    raise KeyError(frequency)


def _candidates(frequency: str, day: date) -> list[date]:
    if frequency == DAILY:
        return [day + timedelta(days=number) for number in range(3)]
    if frequency == WEEKLY:
        monday = day - timedelta(days=day.weekday())
        return [monday + timedelta(weeks=number) for number in range(3)]
    if frequency == MONTHLY:
        return [add_months(day, number) for number in range(3)]
    return []
