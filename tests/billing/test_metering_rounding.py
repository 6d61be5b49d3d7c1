"""A replica run is rounded as a whole, at its end."""

from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from billing.metering_rounding import Running, round_runs
from tests.billing.metering_cases import START

SECOND = 1_000_000


def run(*stretches: tuple[float, int | None]) -> list[Running]:
    """Return stretches of (seconds, replicas) that follow each other."""
    found, position = [], START
    for seconds, units in stretches:
        end = position + timedelta(seconds=seconds)
        found.append(Running(position, end, units))
        position = end
    return found


@pytest.mark.parametrize(
    ("rule", "stretches", "expected"),
    [
        ("exact", [(90.5, 1), (10, 0)], [0, 0]),
        ("second", [(90.5, 1), (10, 0)], [SECOND // 2, 0]),
        ("minute", [(90, 1), (10, 0)], [30 * SECOND, 0]),
        ("minute", [(120, 1), (10, 0)], [0, 0]),
        ("minute", [(90, 1)], [0]),
        # Two replicas end together: each by its own length, told for each of the two.
        ("minute", [(30, 1), (30, 2), (10, 0)], [0, 15 * SECOND, 0]),
        # The second comes for 90 s and goes; the first goes on and ends after 180 s: a whole minute.
        ("minute", [(60, 1), (90, 2), (30, 1), (10, 0)], [0, 15 * SECOND, 0, 0]),
        ("minute", [(90, 1), (60, None), (90, 1), (10, 0)], [0, 0, 30 * SECOND, 0]),
    ],
    ids=[
        "exact", "second", "minute", "whole", "goes on", "together", "last in, first out", "not seen",
    ],
)  # fmt: skip
def test_what_a_run_lacks_to_a_whole_falls_on_its_end(rule: str, stretches: list, expected: list) -> None:
    assert [one.us for one in round_runs(run(*stretches), rule=rule)] == expected


def test_an_edge_that_was_not_seen_leaves_the_remainder_open() -> None:
    first, last = run((90, 1), (10, 0))
    blurred = Running(last.start, last.end, last.units, is_exact=False)

    (rounding, _) = round_runs([first, blurred], rule="minute")

    assert (rounding.at_least, rounding.at_most) == (0, 60 * SECOND - 1)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 4)), min_size=1, max_size=12))
def test_rounded_runs_are_whole_minutes_to_a_microsecond_each(stretches: list) -> None:
    stretches = [*stretches, (5, 0)]

    roundings = round_runs(run(*stretches), rule="minute")

    billed = sum(
        units * (seconds * SECOND + one.us)
        for (seconds, units), one in zip(stretches, roundings, strict=True)
    )
    # Rounding up to whole microseconds of each replica is the only inexactness.
    assert billed % (60 * SECOND) <= sum(units for _, units in stretches)
