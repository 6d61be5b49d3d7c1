"""When reports go out, and of which period. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.report_times import last_complete, next_due

BERLIN = ZoneInfo("Europe/Berlin")


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("frequency", "now", "zone", "start", "end"),
    [
        ("daily", _utc(2026, 11, 20, 12), UTC, _utc(2026, 11, 19), _utc(2026, 11, 20)),
        ("daily", _utc(2026, 11, 19, 23, 30), BERLIN, _utc(2026, 11, 18, 23), _utc(2026, 11, 19, 23)),
        # The day on which clocks were set back has 25 hours.
        ("daily", _utc(2026, 10, 26, 6), BERLIN, _utc(2026, 10, 24, 22), _utc(2026, 10, 25, 23)),
        ("weekly", _utc(2026, 11, 20, 12), UTC, _utc(2026, 11, 9), _utc(2026, 11, 16)),
        ("weekly", _utc(2026, 11, 16), UTC, _utc(2026, 11, 9), _utc(2026, 11, 16)),
        ("monthly", _utc(2026, 11, 1), UTC, _utc(2026, 10, 1), _utc(2026, 11, 1)),
        ("monthly", _utc(2027, 1, 15), BERLIN, _utc(2026, 11, 30, 23), _utc(2026, 12, 31, 23)),
    ],
)
def test_the_last_whole_period_that_is_over(frequency, now, zone, start, end):
    period = last_complete(frequency, now=now, zone=zone)

    assert (period.start, period.end) == (start, end)


@pytest.mark.parametrize(
    ("frequency", "after", "zone", "due"),
    [
        ("daily", _utc(2026, 11, 20, 5, 59), UTC, _utc(2026, 11, 20, 6)),
        ("daily", _utc(2026, 11, 20, 6), UTC, _utc(2026, 11, 21, 6)),
        ("daily", _utc(2026, 10, 24, 12), BERLIN, _utc(2026, 10, 25, 5)),
        ("weekly", _utc(2026, 11, 20, 12), UTC, _utc(2026, 11, 23, 6)),
        ("weekly", _utc(2026, 11, 23, 5), UTC, _utc(2026, 11, 23, 6)),
        ("monthly", _utc(2026, 12, 31, 23), UTC, _utc(2027, 1, 1, 6)),
    ],
)
def test_the_next_time(frequency, after, zone, due):
    assert next_due(frequency, after=after, zone=zone) == due


@given(
    st.sampled_from(["daily", "weekly", "monthly"]),
    st.integers(min_value=946_684_800, max_value=2_524_608_000).map(
        lambda at: datetime.fromtimestamp(at, UTC)
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Cairo"]).map(
        ZoneInfo
    ),
)
def test_what_is_sent_is_over_by_then(frequency, now, zone):
    due = next_due(frequency, after=now, zone=zone)

    assert now < due <= now + timedelta(days=33)
    assert last_complete(frequency, now=due, zone=zone).end <= due


@pytest.mark.parametrize("word", ["hourly", ""])
def test_another_word_is_refused(word):
    with pytest.raises(KeyError):
        next_due(word, after=_utc(2026, 1, 1), zone=UTC)
    with pytest.raises(KeyError):
        last_complete(word, now=_utc(2026, 1, 1), zone=UTC)
