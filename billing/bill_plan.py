"""Which months of the bill to read now. Pure.

The current month is a moving snapshot, at most an hour late; a closed one is complete within 24 hours (contract 10).
Older months are read once, newest first, a few per pass, so that a first connection of a long past is resumed wherever
it was cut off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

CURRENT_EVERY: Final = timedelta(minutes=10)
CLOSING_EVERY: Final = timedelta(hours=1)
# Between the end of the month and this long after it, the last hours of the old month still arrive.
TURN_OF_MONTH: Final = timedelta(hours=6)
NOT_OFFERED_EVERY: Final = timedelta(days=1)
# Twice the documented 24 hours, and a day without a change: then a month has stopped moving.
SETTLED_AFTER: Final = timedelta(days=2)
QUIET_FOR: Final = timedelta(days=1)
SURELY_SETTLED_AFTER: Final = timedelta(days=7)
WHOLE_EVERY: Final = timedelta(days=1)
MONTHS_BACK: Final = 12
MONTHS_PER_PASS: Final = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of reading one month; the fields of models.BillReading."""

    granularity: str
    state: str
    read_at: datetime
    succeeded_at: datetime | None = None
    whole_at: datetime | None = None
    changed_at: datetime | None = None
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A month to read, from its first window (`after` empty) or from a cursor on."""

    month: date
    after: str = ""


def first_of(at: datetime) -> date:
    """Return the first day of the month of `at`, UTC: months of the bill are UTC."""
    at = at.astimezone(UTC)
    return date(at.year, at.month, 1)


def month_before(month: date) -> date:
    """Return the first day of the month before."""
    return (month - timedelta(days=1)).replace(day=1)


def start_of(month: date) -> datetime:
    """Return the first instant of the month."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def end_of(month: date) -> datetime:
    """Return the first instant after the month."""
    return start_of((month + timedelta(days=31)).replace(day=1))


def plan_readings(readings: Mapping[date, Reading], *, now: datetime) -> list[Wanted]:
    """Return the months to read, most urgent first; none while the API is not open to the organisation."""
    current = first_of(now)
    present = readings.get(current)
    wanted: list[Wanted] = []
    if present is None or now - present.read_at >= _pause(present, CURRENT_EVERY):
        wanted.append(Wanted(current, _start_from(present, now=now)))
    elif present.state != "read":
        return []  # what was refused a moment ago is not asked for other months
    month = current
    for number in range(MONTHS_BACK):
        month = month_before(month)
        if len(wanted) < MONTHS_PER_PASS and _is_due(readings.get(month), month, is_last=not number, now=now):
            wanted.append(Wanted(month))
    return wanted


def is_final(reading: Reading, month: date) -> bool:
    """Return whether a closed month was read after it had stopped changing."""
    if reading.state != "read" or reading.succeeded_at is None:
        return False
    age = reading.succeeded_at - end_of(month)
    if age >= SURELY_SETTLED_AFTER:
        return True
    is_quiet = reading.changed_at is None or reading.succeeded_at - reading.changed_at >= QUIET_FOR
    return age >= SETTLED_AFTER and is_quiet


def _is_due(reading: Reading | None, month: date, *, is_last: bool, now: datetime) -> bool:
    if reading is None:
        return True
    if is_final(reading, month):
        return False
    every = CURRENT_EVERY if is_last and now - end_of(month) < TURN_OF_MONTH else CLOSING_EVERY
    return now - reading.read_at >= _pause(reading, every)


def _pause(reading: Reading, usual: timedelta) -> timedelta:
    return NOT_OFFERED_EVERY if reading.state == "not-offered" else usual


def _start_from(reading: Reading | None, *, now: datetime) -> str:
    """Return the cursor to go on from; empty once a day, when the whole month is read for late changes."""
    if (
        reading is None
        or reading.state != "read"
        or reading.granularity != "hour"
        or reading.whole_at is None
    ):
        return ""
    return "" if now - reading.whole_at >= WHOLE_EVERY else reading.cursor


def complete_until(
    month: date, *, granularity: str, succeeded_at: datetime, latest_window_end: datetime | None
) -> datetime:
    """Return up to when a reading of the month says everything.

    Windows without lines are left out, so the newest window alone tells too little: hours are there an hour after
    they ended, days when the next one has, closed months after 24 hours (contract 10).
    """
    width, grace = (
        (timedelta(hours=1), timedelta(hours=1)) if granularity == "hour" else (timedelta(days=1),) * 2
    )
    end = end_of(month)
    promised = succeeded_at - grace
    promised -= (promised - start_of(month)) % width
    if succeeded_at >= end + timedelta(days=1):
        promised = end
    known = max(promised, latest_window_end or promised)
    return max(start_of(month), min(end, known))
