"""How periods and their pieces read."""

import zoneinfo
from datetime import UTC, datetime

import pytest

from dashboard.core.period_words import describe_name, describe_period, describe_piece
from dashboard.core.periods import Bucket, Period, PeriodName

NOW = datetime(2026, 11, 18, 13, 49, tzinfo=UTC)


def period(start: str, end: str) -> Period:
    return Period(
        datetime.fromisoformat(start).replace(tzinfo=UTC), datetime.fromisoformat(end).replace(tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2026-10-01", "2026-10-18T13:49", "1–18 October, 13:49"),
        ("2026-10-01", "2026-11-01", "October"),
        ("2025-12-01", "2026-01-01", "December 2025"),
        ("2026-11-17", "2026-11-18", "17 November"),
        ("2026-11-18", "2026-11-18T13:49", "18 November, 13:49"),
        ("2026-10-30", "2026-11-03", "30 October – 2 November"),
        ("2025-12-30", "2026-01-03", "30 December 2025 – 2 January"),
        ("2025-11-03", "2025-11-06", "3–5 November 2025"),
        ("2026-11-18T09:30", "2026-11-18T13:49", "18 November, 09:30 – 18 November, 13:49"),
        ("2026-11-18", "2026-11-18", "18 November"),
    ],
)
def test_periods_read_as_people_say_them(start: str, end: str, text: str) -> None:
    assert describe_period(period(start, end), zone=UTC, now=NOW) == text


@pytest.mark.parametrize(
    ("bucket", "start", "end", "text"),
    [
        (Bucket.HOUR, "2026-11-18T13:00", "2026-11-18T14:00", "13:00"),
        (Bucket.DAY, "2026-11-18", "2026-11-19", "18 Nov"),
        (Bucket.WEEK, "2026-11-16", "2026-11-23", "16–22 Nov"),
        (Bucket.WEEK, "2026-10-26", "2026-11-02", "26 Oct – 1 Nov"),
        (Bucket.WEEK, "2026-11-01", "2026-11-02", "1 Nov"),
        (Bucket.MONTH, "2026-11-01", "2026-12-01", "Nov 2026"),
    ],
)
def test_pieces_read_short(bucket: Bucket, start: str, end: str, text: str) -> None:
    assert describe_piece(period(start, end), bucket=bucket, zone=UTC) == text


def test_clocks_are_those_of_the_zone() -> None:
    kolkata = zoneinfo.ZoneInfo("Asia/Kolkata")
    day = period("2026-11-17T18:30", "2026-11-18T18:30")

    assert describe_period(day, zone=kolkata, now=NOW) == "18 November"
    assert describe_period(day, zone=UTC, now=NOW) == "17 November, 18:30 – 18 November, 18:30"


def test_names_of_periods_tell_the_month() -> None:
    words = {name: describe_name(name, now=NOW, zone=UTC) for name in PeriodName}

    assert words[PeriodName.MONTH] == "November to date"
    assert words[PeriodName.LAST_MONTH] == "October"
    assert words[PeriodName.YEAR] == "2026 to date"
    assert words[PeriodName.LAST_YEAR] == "2025"
    assert len(set(words.values())) == len(words)
