"""Which months of the bill are read when."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.bill_plan import MONTHS_BACK, Reading, Wanted, complete_until, is_final, plan_readings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def read(ago: timedelta, **fields) -> Reading:
    at = NOW - ago
    known = {
        "granularity": "hour",
        "state": "read",
        "read_at": at,
        "succeeded_at": at,
        "whole_at": at,
        "cursor": "c",
    }
    return Reading(**(known | fields))


def months_back(count: int) -> dict[date, Reading]:
    found, month = {}, NOVEMBER
    for _ in range(count):
        month = (month - DAY).replace(day=1)
        found[month] = read(HOUR)
    return found


PAST = months_back(MONTHS_BACK)
CASES = [
    ("nothing read yet", {}, [NOVEMBER, OCTOBER, date(2026, 9, 1)]),
    ("a moment ago", PAST | {NOVEMBER: read(9 * MINUTE)}, []),
    ("ten minutes ago", PAST | {NOVEMBER: read(10 * MINUTE)}, [NOVEMBER]),
    ("the past where it was cut off", {NOVEMBER: read(MINUTE), OCTOBER: read(DAY)},
     [date(2026, 9, 1), date(2026, 8, 1), date(2026, 7, 1)]),
    ("not offered, a moment ago", {NOVEMBER: read(HOUR, state="not-offered")}, []),
    ("not offered, a day ago", {NOVEMBER: read(DAY, state="not-offered")},
     [NOVEMBER, OCTOBER, date(2026, 9, 1)]),
    ("refused a moment ago: the past is left alone", {NOVEMBER: read(MINUTE, state="failed")}, []),
    ("an old month that failed", PAST | {NOVEMBER: read(MINUTE), OCTOBER: read(2 * HOUR, state="failed")},
     [OCTOBER]),
]  # fmt: skip


@pytest.mark.parametrize(("readings", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_months_are_read_when_they_are_due(readings, expected):
    assert [one.month for one in plan_readings(readings, now=NOW)] == expected


def test_within_a_day_only_the_newest_pages_are_read():
    ago = {NOVEMBER: read(HOUR), **PAST}
    yesterday = {NOVEMBER: replace(read(HOUR), whole_at=NOW - DAY), **PAST}

    assert plan_readings(ago, now=NOW) == [Wanted(NOVEMBER, "c")]
    assert plan_readings(yesterday, now=NOW) == [Wanted(NOVEMBER)]


FINAL = [
    ("an hour after the month", timedelta(hours=1), None, False),
    ("two days after, changed a moment before", timedelta(days=2), timedelta(hours=1), False),
    ("two days after, quiet for a day", timedelta(days=2), timedelta(days=1), True),
    ("a week after, whatever changed", timedelta(days=7), timedelta(0), True),
]


@pytest.mark.parametrize(
    ("age", "since_change", "expected"), [c[1:] for c in FINAL], ids=[c[0] for c in FINAL]
)
def test_a_month_is_final_once_it_stopped_moving(age, since_change, expected):
    at = datetime(2026, 11, 1, tzinfo=UTC) + age
    changed = None if since_change is None else at - since_change
    reading = Reading("hour", "read", at, succeeded_at=at, changed_at=changed)

    assert is_final(reading, OCTOBER) is expected


COMPLETE = [
    ("hours: an hour late", "hour", NOW + 20 * MINUTE, None, NOW - HOUR),
    ("hours: what is there counts", "hour", NOW + 20 * MINUTE, NOW, NOW),
    ("days: through yesterday", "day", NOW, None, datetime(2026, 11, 19, tzinfo=UTC)),
    ("days: what is there counts", "day", NOW, datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)),
    ("a closed month, a day later", "hour", datetime(2026, 12, 2, tzinfo=UTC), None, datetime(2026, 12, 1, tzinfo=UTC)),
    ("a month that has just begun", "hour", datetime(2026, 11, 1, 0, 5, tzinfo=UTC), None,
     datetime(2026, 11, 1, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("granularity", "succeeded_at", "latest", "expected"),
    [c[1:] for c in COMPLETE],
    ids=[c[0] for c in COMPLETE],
)
def test_a_reading_says_up_to_when_it_is_complete(granularity, succeeded_at, latest, expected):
    told = complete_until(
        NOVEMBER, granularity=granularity, succeeded_at=succeeded_at, latest_window_end=latest
    )

    assert told == expected
