"""Periods cut where clocks turn: in every zone the pieces are the whole, and each is one hour, day, week or month."""

import itertools
import zoneinfo
from datetime import UTC, date, datetime, timedelta, tzinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.core.periods import (
    MOST_PIECES,
    Bucket,
    Period,
    PeriodName,
    cut,
    day_of,
    days_between,
    find_piece,
    fitting_buckets,
    month_of,
    name_period,
    previous,
    reach,
    week_of,
)

ZONES = sorted(zoneinfo.available_timezones())
NOW = datetime(2026, 11, 18, 13, 49, tzinfo=UTC)
HOUR, DAY, US = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
EPOCH = datetime(1900, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def period(start: str, end: str) -> Period:
    return Period(at(start), at(end))


def bucket_of(moment: datetime, bucket: Bucket, zone: tzinfo) -> object:
    """Return what the clock shows, as far as the bucket tells."""
    wall = moment.astimezone(zone)
    if bucket is Bucket.HOUR:
        return wall.date(), wall.hour
    if bucket is Bucket.DAY:
        return wall.date()
    return wall.isocalendar()[:2] if bucket is Bucket.WEEK else (wall.year, wall.month)


def assert_partition(pieces: list[Period], whole: Period) -> None:
    assert pieces[0].start == whole.start
    assert pieces[-1].end == whole.end
    assert all(not piece.is_empty for piece in pieces)
    assert all(one.end == following.start for one, following in itertools.pairwise(pieces))


@pytest.mark.parametrize("key", ZONES)
def test_in_every_zone_pieces_are_the_whole_across_years_of_transitions(key: str) -> None:
    zone = zoneinfo.ZoneInfo(key)
    whole = period("2009-11-03T05:07:11.000001", "2012-11-20T23:59:59.999999")

    for bucket in (Bucket.DAY, Bucket.WEEK, Bucket.MONTH):
        pieces = cut(whole, bucket=bucket, zone=zone)

        assert_partition(pieces, whole)
        # No two pieces show the same day, week or month: nothing was cut without need.
        shown = [bucket_of(piece.start, bucket, zone) for piece in pieces]
        assert len(set(shown)) == len(shown)


@given(
    zone=st.sampled_from(ZONES).map(zoneinfo.ZoneInfo),
    start=st.integers(0, 200 * 366 * 86_400 * 10**6),
    length=st.integers(1, 40 * 86_400 * 10**6),
    bucket=st.sampled_from(Bucket),
)
@settings(max_examples=400)
def test_pieces_are_the_whole_and_each_lies_in_one_bucket(
    zone: zoneinfo.ZoneInfo, start: int, length: int, bucket: Bucket
) -> None:
    whole = Period(EPOCH + start * US, EPOCH + (start + length) * US)

    pieces = cut(whole, bucket=bucket, zone=zone)

    assert_partition(pieces, whole)
    for one, following in itertools.pairwise(pieces):
        assert bucket_of(following.start, bucket, zone) != bucket_of(one.start, bucket, zone) or (
            bucket is Bucket.HOUR and one.duration <= 2 * HOUR
        )
    for place, piece in enumerate(pieces):
        assert find_piece(pieces, piece.start) == find_piece(pieces, piece.end - US) == place
    assert find_piece(pieces, whole.end) is find_piece(pieces, whole.start - US) is None


@given(
    zone=st.sampled_from(ZONES).map(zoneinfo.ZoneInfo),
    start=st.integers(0, 200 * 366 * 86_400 * 10**6),
    bucket=st.sampled_from([Bucket.DAY, Bucket.WEEK, Bucket.MONTH]),
)
@settings(max_examples=300)
def test_the_whole_day_week_and_month_contain_the_moment(
    zone: zoneinfo.ZoneInfo, start: int, bucket: Bucket
) -> None:
    moment = EPOCH + start * US

    found = {Bucket.DAY: day_of, Bucket.WEEK: week_of, Bucket.MONTH: month_of}[bucket](moment, zone=zone)

    assert found.start <= moment < found.end
    assert cut(found, bucket=bucket, zone=zone) == [found]


@pytest.mark.parametrize(
    ("zone", "day", "lengths"),
    [
        ("Europe/Berlin", "2026-03-29", 23.0),
        ("Europe/Berlin", "2026-10-25", 25.0),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        # Midnight itself is leapt over; the day begins at 01:00.
        ("America/Sao_Paulo", "2018-11-04", 23.0),
        ("Africa/Cairo", "2024-04-26", 23.0),
        # Clocks go back from 00:01 to 23:01 of the day before.
        ("America/St_Johns", "2010-11-07", 25.0),
        ("Asia/Kolkata", "2026-03-29", 24.0),
    ],
)
def test_days_are_as_long_as_clocks_make_them(zone: str, day: str, lengths: float) -> None:
    one = date.fromisoformat(day)

    found = days_between(one, one, zone=zoneinfo.ZoneInfo(zone))

    assert found.duration == lengths * HOUR


@pytest.mark.parametrize(
    ("zone", "missing"), [("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21")]
)
def test_a_day_that_no_clock_showed_is_no_piece(zone: str, missing: str) -> None:
    info, gone = zoneinfo.ZoneInfo(zone), date.fromisoformat(missing)

    days = cut(days_between(gone - DAY, gone + DAY, zone=info), bucket=Bucket.DAY, zone=info)

    assert days_between(gone, gone, zone=info).is_empty
    assert [piece.start.astimezone(info).date() for piece in days] == [gone - DAY, gone + DAY]


def test_a_repeated_hour_is_two_pieces_and_a_leapt_one_none() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    shown = {
        day: [
            piece.start.astimezone(berlin).hour
            for piece in cut(days_between(day, day, zone=berlin), bucket=Bucket.HOUR, zone=berlin)
        ]
        for day in (date(2026, 10, 25), date(2026, 3, 29))
    }

    assert shown[date(2026, 10, 25)][:5] == [0, 1, 2, 2, 3]
    assert shown[date(2026, 3, 29)][:4] == [0, 1, 3, 4]
    assert [len(hours) for hours in shown.values()] == [25, 23]


def test_reach_takes_the_first_of_two_and_the_leap_for_none() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")

    assert reach(datetime(2026, 10, 25, 2, 30), zone=berlin) == at("2026-10-25T00:30")  # noqa: DTZ001
    assert reach(datetime(2026, 3, 29, 2, 30), zone=berlin) == at("2026-03-29T01:00")  # noqa: DTZ001


def test_weeks_begin_on_monday() -> None:
    pieces = cut(period("2026-11-01", "2026-11-18T13:49"), bucket=Bucket.WEEK, zone=UTC)

    assert [f"{piece.start:%a %d}" for piece in pieces] == ["Sun 01", "Mon 02", "Mon 09", "Mon 16"]


@pytest.mark.parametrize(
    ("name", "found", "before"),
    [
        ("today", ("2026-11-18", "2026-11-18T13:49"), ("2026-11-17", "2026-11-17T13:49")),
        ("yesterday", ("2026-11-17", "2026-11-18"), ("2026-11-16", "2026-11-17")),
        ("7d", ("2026-11-12", "2026-11-18T13:49"), ("2026-11-05", "2026-11-11T13:49")),
        ("30d", ("2026-10-20", "2026-11-18T13:49"), ("2026-09-20", "2026-10-19T13:49")),
        ("month", ("2026-11-01", "2026-11-18T13:49"), ("2026-10-01", "2026-10-18T13:49")),
        ("last-month", ("2026-10-01", "2026-11-01"), ("2026-09-01", "2026-10-01")),
        ("quarter", ("2026-10-01", "2026-11-18T13:49"), ("2026-07-01", "2026-08-18T13:49")),
        ("last-quarter", ("2026-07-01", "2026-10-01"), ("2026-04-01", "2026-07-01")),
        ("year", ("2026-01-01", "2026-11-18T13:49"), ("2025-01-01", "2025-11-18T13:49")),
        ("last-year", ("2025-01-01", "2026-01-01"), ("2024-01-01", "2025-01-01")),
    ],
)
def test_named_periods_and_the_same_stretch_before(
    name: str, found: tuple[str, str], before: tuple[str, str]
) -> None:
    named = name_period(name, now=NOW, zone=UTC)

    assert named == period(*found)
    assert previous(named, name, UTC) == period(*before)


@pytest.mark.parametrize(
    ("given_period", "before"),
    [
        (("2026-03-01", "2026-03-30T10:00"), ("2026-02-01", "2026-03-01")),
        (("2026-03-01", "2026-03-28T10:00"), ("2026-02-01", "2026-02-28T10:00")),
        (("2026-01-01", "2026-01-01"), ("2025-12-01", "2025-12-01")),
    ],
)
def test_a_shorter_month_before_ends_with_itself(
    given_period: tuple[str, str], before: tuple[str, str]
) -> None:
    assert previous(period(*given_period), "month", UTC) == period(*before)


@pytest.mark.parametrize(
    ("given_period", "before"),
    [
        (("2026-02-01", "2026-04-01"), ("2025-12-01", "2026-02-01")),
        (("2026-11-05", "2026-11-08"), ("2026-11-02", "2026-11-05")),
        (("2026-11-05T10:00", "2026-11-05T12:00"), ("2026-11-05T08:00", "2026-11-05T10:00")),
    ],
)
def test_custom_periods_go_back_by_months_by_days_or_by_their_length(
    given_period: tuple[str, str], before: tuple[str, str]
) -> None:
    assert previous(period(*given_period), "custom", UTC) == period(*before)


@given(
    zone=st.sampled_from(ZONES).map(zoneinfo.ZoneInfo),
    name=st.sampled_from([name for name in PeriodName if name is not PeriodName.CUSTOM]),
    moment=st.integers(0, 60 * 366 * 86_400),
)
@settings(max_examples=300)
def test_the_stretch_before_ends_where_the_period_begins_or_earlier(
    zone: zoneinfo.ZoneInfo, name: PeriodName, moment: int
) -> None:
    now = at("1975-01-01") + timedelta(seconds=moment)

    named = name_period(name, now=now, zone=zone)
    before = previous(named, name, zone)

    assert named.end <= now
    assert before.end <= named.start or before.is_empty
    assert before.start <= before.end


def test_a_custom_period_has_no_days_of_its_own() -> None:
    with pytest.raises(ValueError, match="told by its days"):
        name_period("custom", now=NOW, zone=UTC)
    with pytest.raises(ValueError, match="fortnight"):
        name_period("fortnight", now=NOW, zone=UTC)


def test_a_period_has_a_zone_and_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Period(datetime(2026, 1, 1), NOW)  # noqa: DTZ001
    with pytest.raises(ValueError, match="backwards"):
        Period(NOW, NOW - US)
    assert cut(Period(NOW, NOW), bucket=Bucket.DAY, zone=UTC) == []


@pytest.mark.parametrize("days", [0.5, 1, 7, 16, 17, 90, 366, 3_650])
def test_fitting_buckets_cut_into_no_more_than_a_chart_shows(days: float) -> None:
    for key in ("UTC", "Australia/Lord_Howe"):
        zone = zoneinfo.ZoneInfo(key)
        whole = Period(NOW, NOW + days * DAY)

        found = fitting_buckets(whole)

        assert found
        assert all(len(cut(whole, bucket=bucket, zone=zone)) <= MOST_PIECES for bucket in found)
