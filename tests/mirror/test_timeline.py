"""Laying recorded edges out as a line of states."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.timeline import CLOCK_TOLERANCE, Edge, cut_by_day, lay_out, settle

START = datetime(2026, 11, 18, 20, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(seconds: float, state: str = "READY", ready: int | None = 1) -> Edge:
    return Edge(at(seconds), state, ready, "event")


def poll(seconds: float, state: str = "READY", ready: int | None = 1, *, after: float | None = None) -> Edge:
    return Edge(at(seconds), state, ready, "poll", None if after is None else at(after))


@st.composite
def edges(draw: st.DrawFn) -> Edge:
    seconds = draw(st.integers(0, 300_000))
    state, ready = draw(st.sampled_from(["READY", "STOPPED", "SCALING"])), draw(st.sampled_from([None, 0, 1]))
    if draw(st.booleans()):
        return event(seconds, state, ready)
    return poll(seconds, state, ready, after=draw(st.sampled_from([None, seconds - 30])))


windows = st.tuples(st.integers(0, 300_000), st.integers(1, 300_000)).map(
    lambda pair: (at(pair[0]), at(pair[0] + pair[1]))
)


@given(st.lists(edges(), max_size=12))
def test_settled_edges_are_in_order_and_each_says_something_new(recorded):
    settled = settle(recorded)

    assert all(one.at <= other.at for one, other in pairwise(settled))
    assert not any(one.describes_same(other) for one, other in pairwise(settled))
    assert set(settled) <= set(recorded)


@given(st.lists(edges(), max_size=12))
def test_settling_twice_changes_nothing(recorded):
    assert settle(settle(recorded)) == settle(recorded)


@given(st.lists(edges(), max_size=12), windows)
def test_stretches_are_half_open_without_gap_or_overlap(recorded, window):
    start, end = window

    stretches = lay_out(recorded, start=start, end=end)

    assert all(start <= one.start < one.end <= end for one in stretches)
    assert all(one.end == other.start for one, other in pairwise(stretches))
    if stretches:
        assert stretches[-1].end == end


@given(st.lists(edges(), max_size=12), windows)
def test_days_hold_the_same_time_in_the_same_states_as_the_whole(recorded, window):
    stretches = lay_out(recorded, start=window[0], end=window[1])

    days = cut_by_day(stretches)

    pieces = [piece for day in days.values() for piece in day]
    for state in ("READY", "STOPPED", "SCALING"):
        whole = sum((one.end - one.start for one in stretches if one.state == state), timedelta())
        assert sum((one.end - one.start for one in pieces if one.state == state), timedelta()) == whole
    for day, cut in days.items():
        assert all(one.start.date().isoformat() == day for one in cut)
        assert all((one.end - timedelta(microseconds=1)).date().isoformat() == day for one in cut)


@pytest.mark.parametrize(
    ("recorded", "settled"),
    [
        pytest.param([poll(30, after=0), event(12)], [event(12)], id="event inside the poll's bound"),
        pytest.param([poll(30, after=20), event(12)], [event(12)], id="same state again is no edge"),
        pytest.param(
            [poll(30, "STOPPED", 0, after=0), event(12)],
            [event(12), poll(30, "STOPPED", 0, after=0)],
            id="event of another state explains nothing",
        ),
        pytest.param(
            [event(0, "STOPPED", 0), poll(30, after=20), event(33)],
            [event(0, "STOPPED", 0), event(33)],
            id="the provider's clock is a little ahead",
        ),
        pytest.param(
            [event(0, "STOPPED", 0), poll(30, after=20), event(31 + CLOCK_TOLERANCE.total_seconds())],
            [event(0, "STOPPED", 0), poll(30, after=20)],
            id="an event long after the poll is a repeat",
        ),
        pytest.param([], [], id="nothing known"),
    ],
)
def test_an_event_replaces_the_poll_that_saw_the_same_edge(recorded, settled):
    assert settle(recorded) == settled


def test_nothing_is_invented_before_the_first_known_edge():
    (stretch,) = lay_out([event(100)], start=at(0), end=at(200))

    assert (stretch.start, stretch.end) == (at(100), at(200))


def test_the_state_at_the_start_of_the_window_comes_from_the_edge_before():
    stretches = lay_out([event(0), event(150, "STOPPED", 0)], start=at(100), end=at(200))

    assert [(one.start, one.end, one.state) for one in stretches] == [
        (at(100), at(150), "READY"),
        (at(150), at(200), "STOPPED"),
    ]
