"""Turning counters and analytics into requests per minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.minutes import MINUTE, ceil_minute, find_gaps, floor_minute, read_window, spread
from dashboard.together_api.metrics import TrafficIncrease
from dashboard.together_api.payloads import Analytics

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
moments = st.integers(0, 3_600_000).map(lambda milliseconds: START + timedelta(milliseconds=milliseconds))
stretches = st.tuples(moments, moments).filter(lambda pair: pair[0] < pair[1])
counts = st.integers(0, 100_000)


@given(stretch=stretches, requests=counts, failed=counts, tokens=counts)
def test_spreading_keeps_the_sums(stretch, requests, failed, tokens):
    increase = TrafficIncrease(requests, failed, tokens, tokens)

    minutes = spread(increase, start=stretch[0], end=stretch[1])

    for name in ("requests", "failed_requests", "input_tokens", "output_tokens"):
        assert sum(getattr(one, name) for one in minutes.values()) == getattr(increase, name)
        assert all(getattr(one, name) >= 0 for one in minutes.values())
    assert all(minute == floor_minute(minute) for minute in minutes)
    assert all(stretch[0] - MINUTE < minute < stretch[1] for minute in minutes)


def test_spreading_is_in_proportion_to_the_time_in_each_minute():
    minutes = spread(
        TrafficIncrease(requests=60), start=START + timedelta(seconds=45), end=START + timedelta(seconds=105)
    )

    assert {minute: one.requests for minute, one in minutes.items()} == {START: 15, START + MINUTE: 45}


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_increase_needs_a_stretch_of_time(seconds):
    with pytest.raises(ValueError, match="stretch of time"):
        spread(TrafficIncrease(requests=1), start=START, end=START + timedelta(seconds=seconds))


@given(covered=st.lists(stretches, max_size=6), window=stretches)
def test_a_minute_is_a_gap_exactly_when_it_lies_in_the_window_and_nothing_covers_any_of_it(covered, window):
    start, end = window

    gaps = find_gaps(covered, start=start, end=end)

    assert all(one[1] < other[0] for one, other in pairwise(gaps))
    minute = floor_minute(start)
    while minute < end:
        is_whole = start <= minute and minute + MINUTE <= end
        is_touched = any(begins < minute + MINUTE and minute < ends for begins, ends in covered)
        in_gap = any(begins <= minute and minute + MINUTE <= ends for begins, ends in gaps)
        assert in_gap == (is_whole and not is_touched)
        minute += MINUTE


@given(moments)
def test_floor_and_ceiling_enclose(moment):
    assert floor_minute(moment) <= moment <= ceil_minute(moment)
    assert ceil_minute(moment) - floor_minute(moment) in (timedelta(), MINUTE)


def analytics(total: str | None, points: dict[int, object]) -> Analytics:
    body = {
        "endpointId": "ep_1",
        "timeSeries": [
            {"timestamp": (START + number * MINUTE).isoformat(), "values": values}
            for number, values in points.items()
        ],
    }
    if total is not None:
        body["metrics"] = {"requestMetrics": {"totalRequests": total}}
    return Analytics.parse(body)


WINDOW = {"start": START, "end": START + 10 * MINUTE}


@pytest.mark.parametrize(
    "series", ["totalRequests", "total_requests", "requestMetrics.totalRequests", "request_count"]
)
def test_a_series_whose_sum_is_the_total_is_whole(series):
    reading = read_window(analytics("7", {1: {series: 3}, 4: {series: 4}}), **WINDOW)

    assert reading.is_whole
    assert {minute: one.requests for minute, one in reading.minutes.items()} == {
        START + MINUTE: 3,
        START + 4 * MINUTE: 4,
    }
    assert reading.last_request_before == START + 5 * MINUTE


def test_a_series_that_lacks_requests_of_the_total_is_not_whole():
    reading = read_window(analytics("70", {1: {"totalRequests": 3}}), **WINDOW)

    assert not reading.is_whole
    assert reading.minutes[START + MINUTE].requests == 3


def test_a_point_for_every_minute_is_whole_without_a_total():
    reading = read_window(analytics(None, {n: {"totalRequests": 0} for n in range(10)}), **WINDOW)

    assert reading.is_whole
    assert reading.minutes == {}
    assert reading.last_request_before is None


def test_points_outside_the_window_do_not_count():
    points = {-1: {"totalRequests": 9}, 0: {"totalRequests": 1}, 10: {"totalRequests": 9}}

    reading = read_window(analytics("1", points), **WINDOW)

    assert {minute: one.requests for minute, one in reading.minutes.items()} == {START: 1}


@pytest.mark.parametrize(
    ("total", "is_whole", "last"),
    [("0", True, None), (None, False, None), ("5", False, START + 10 * MINUTE)],
)
def test_without_a_series_only_a_total_of_zero_tells_every_minute(total, is_whole, last):
    reading = read_window(analytics(total, {}), **WINDOW)

    assert (reading.is_whole, reading.last_request_before, reading.minutes) == (is_whole, last, {})


def test_a_short_window_spreads_its_total():
    reading = read_window(analytics("4", {}), start=START, end=START + 2 * MINUTE)

    assert reading.is_whole
    assert sum(one.requests for one in reading.minutes.values()) == 4


def test_series_of_unknown_names_say_nothing():
    reading = read_window(analytics(None, {1: {"gpuUtilization": 3.0}}), **WINDOW)

    assert not reading.is_whole
    assert reading.minutes == {}


def test_points_of_whole_hours_do_not_pass_for_minutes():
    """A provider that ignores the asked granularity must not make 59 minutes look idle."""
    points = {0: {"totalRequests": 3}, 60: {"totalRequests": 4}}

    reading = read_window(analytics("7", points), start=START, end=START + 120 * MINUTE)

    assert not reading.is_whole
    assert reading.last_request_before == START + 120 * MINUTE


def test_a_single_point_on_the_hour_may_stand_for_all_of_it():
    reading = read_window(analytics("3", {0: {"totalRequests": 3}}), start=START, end=START + 120 * MINUTE)

    assert reading.is_whole
    assert reading.last_request_before == START + 60 * MINUTE
