"""Busy, idle, not known: what was not read is neither."""

import itertools
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from billing.metering import Use
from billing.metering_use import Traffic, split_use
from tests.billing.metering_cases import at

IDLE_AFTER = timedelta(minutes=15)
BUSY, IDLE, UNKNOWN = Use.BUSY, Use.IDLE, Use.UNKNOWN


def split(known: list, busy: list, *, end: float = 60, goes_on: bool = False) -> list[tuple[float, str]]:
    """Return (minutes from the start, use) of each piece."""
    traffic = Traffic(at(-60), [(at(a), at(b)) for a, b in known], [(at(a), at(b)) for a, b in busy])
    pieces = split_use(at(0), at(end), traffic=traffic, idle_after=IDLE_AFTER, goes_on=goes_on)
    return [((start - at(0)) / timedelta(minutes=1), use) for start, _, use in pieces]


@pytest.mark.parametrize(
    ("known", "busy", "expected"),
    [
        ([(0, 60)], [(0, 60)], [(0, BUSY)]),
        ([(0, 60)], [], [(0, IDLE)]),
        ([], [], [(0, UNKNOWN)]),
        ([(0, 60)], [(0, 20), (34, 60)], [(0, BUSY)]),
        ([(0, 60)], [(0, 20), (35, 60)], [(0, BUSY), (20, IDLE), (35, BUSY)]),
        ([(0, 60)], [(0, 50)], [(0, BUSY)]),
        ([(10, 60)], [(10, 60)], [(0, UNKNOWN), (10, BUSY)]),
        ([(0, 30), (31, 60)], [(0, 60)], [(0, BUSY)]),
        ([(0, 10), (20, 60)], [(0, 60)], [(0, BUSY), (10, UNKNOWN), (20, BUSY)]),
        ([(0, 20)], [(0, 20)], [(0, BUSY), (20, UNKNOWN)]),
        ([(0.9, 60)], [], [(0, IDLE)]),
    ],
    ids=[
        "in use", "never used", "never read", "short pause", "pause as long as the limit", "quiet end", "read later",
        "seam", "hole", "not read to the end", "first minute in part",
    ],
)  # fmt: skip
def test_a_running_stretch_is_split_by_what_was_read(known: list, busy: list, expected: list) -> None:
    assert split(known, busy) == expected


def test_the_last_minutes_of_what_runs_on_go_on_as_before_until_they_are_read() -> None:
    assert split([(0, 55)], [(0, 55)], goes_on=True) == [(0, BUSY)]
    assert split([(0, 45)], [(0, 45)], goes_on=True) == [(0, BUSY), (45, UNKNOWN)]


def test_what_has_no_traffic_signal_is_unknown() -> None:
    assert split_use(at(0), at(5), traffic=None, idle_after=IDLE_AFTER, goes_on=True) == [
        (at(0), at(5), UNKNOWN)
    ]


minutes = st.integers(min_value=-20, max_value=80)
stretches = st.lists(
    st.tuples(minutes, minutes).map(sorted).filter(lambda one: one[0] < one[1]).map(tuple), max_size=6
)


@given(known=stretches, busy=stretches, goes_on=st.booleans())
def test_pieces_cover_the_stretch_without_hole_or_repeat(known: list, busy: list, goes_on: bool) -> None:
    traffic = Traffic(at(-60), [(at(a), at(b)) for a, b in known], sorted((at(a), at(b)) for a, b in busy))

    pieces = split_use(at(0), at(60), traffic=traffic, idle_after=IDLE_AFTER, goes_on=goes_on)

    assert pieces[0][0] == at(0)
    assert pieces[-1][1] == at(60)
    for (_, end, use), (start, _, following) in itertools.pairwise(pieces):
        assert end == start
        assert use != following
