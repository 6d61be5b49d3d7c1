"""How times and durations read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dashboard.core import durations

NOW = datetime(2026, 11, 18, 13, 49, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (47 * 60 + 59, "47 min"),
        (3600, "1 h 00 min"),
        (6 * 3600 + 61, "6 h 01 min"),
        (86_400, "1 d"),
        (4 * 86_400 + 3 * 3600, "4 d 3 h"),
    ],
)
def test_durations_read_in_two_units(seconds: float, text: str) -> None:
    assert durations.format_duration(timedelta(seconds=seconds)) == text


def test_exact_durations_keep_seconds_below_an_hour() -> None:
    assert durations.format_exact(timedelta(minutes=8, seconds=29)) == "8 min 29 s"
    assert durations.format_exact(timedelta(minutes=8)) == "8 min"
    assert durations.format_exact(timedelta(hours=2, seconds=5)) == "2 h 00 min"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "now"), (-30, "now"), (18, "18 s ago"), (125, "2 min ago"), (6 * 3600 + 5, "6 h ago")],
)
def test_ages_name_one_unit(seconds: float, text: str) -> None:
    assert durations.format_ago(NOW - timedelta(seconds=seconds), now=NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(929, "15:29"), (4229, "1:10:29"), (9, "0:09"), (0, "due"), (-9, "due"), (90_000, "1 d 1 h")],
)
def test_countdowns_read_like_a_clock(seconds: float, text: str) -> None:
    assert durations.format_countdown(timedelta(seconds=seconds)) == text


def test_moments_are_utc_and_as_short_as_the_day_allows() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert durations.format_moment(datetime(2026, 11, 18, 22, 2, tzinfo=tokyo), now=NOW) == "13:02"
    assert durations.format_moment(datetime(2026, 11, 7, 21, 31, tzinfo=UTC), now=NOW) == "7 Nov 21:31"
    assert durations.format_moment(datetime(2025, 12, 3, tzinfo=UTC), now=NOW) == "3 Dec 2025"
    assert durations.format_absolute(datetime(2026, 11, 18, 22, 2, tzinfo=tokyo)) == "2026-11-18 13:02:00 UTC"
    assert durations.format_clock(NOW) == "13:49:31"
