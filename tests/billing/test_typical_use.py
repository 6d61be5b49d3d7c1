"""What a stop when idle would leave of a day."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.typical_use import MINUTES_PER_DAY, count_minutes_on, measure_use

QUIET = [0.0] * 48


def day(**requests: float | None) -> list[float | None]:
    """Return a quiet day with these half hours: h18=5 is 9:00 to 9:30."""
    return [requests.get(f"h{place}", 0.0) for place in range(48)]


@pytest.mark.parametrize(
    ("one", "idle_minutes", "minutes"),
    [
        (day(h18=5.0), 60, 90),
        (day(h18=5.0, h19=1.0), 60, 120),
        (day(h18=5.0, h20=1.0), 60, 150),  # the gap is shorter than the limit
        (day(h18=5.0, h24=1.0), 60, 180),  # stopped and started again between
        (day(h18=5.0), 45, 75),
        (day(h47=5.0), 60, 30),  # the day ends first
        (day(h18=5.0, h19=None), 30, 90),  # unknown counts as use
        (QUIET, 60, 0),
        ([None] * 30 + [1.0] * 18, 60, None),
        ([], 60, None),
    ],
)
def test_minutes_of_a_day(one, idle_minutes, minutes):
    assert count_minutes_on(one, idle_minutes=idle_minutes) == minutes


def test_typical_is_the_median_of_the_used_endpoints():
    days = [day(h18=5.0), day(h18=1.0, h24=1.0), [1.0] * 48, QUIET, [None] * 48]

    found = measure_use(days, idle_minutes=60)

    assert found is not None
    assert (found.hours_per_day, found.endpoint_count) == (Decimal(3), 3)
    assert found.price_month(8_000_000_000) == 8_000_000_000 * 730 * 3 / 24


@pytest.mark.parametrize("days", [[], [QUIET], [[None] * 48]])
def test_nothing_used_or_nothing_read_says_nothing(days):
    assert measure_use(days, idle_minutes=60) is None


@given(
    st.lists(st.none() | st.floats(0, 1e6), min_size=48, max_size=48),
    st.integers(30, 1440),
    st.integers(0, 600),
)
def test_a_longer_limit_never_runs_less_and_never_over_a_day(one, idle_minutes, more):
    short, long = (count_minutes_on(one, idle_minutes=limit) for limit in (idle_minutes, idle_minutes + more))

    if short is not None and long is not None:
        assert 0 <= short <= long <= MINUTES_PER_DAY
