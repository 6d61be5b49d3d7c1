"""billing/burn.py: exact sums, ranges that stay ranges, unknown prices that never read as zero."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.burn import ZERO, Burn, add_burns, price_replicas, share_percent

H100 = 5_400_000_000
rates = st.integers(0, 10**15)
burns = st.builds(
    lambda low, span, unpriced: Burn(low, low + span, unpriced), rates, rates, st.integers(0, 9)
)


def test_replicas_of_known_price_burn_their_price() -> None:
    assert price_replicas(low=1, high=2, nano_usd_per_hour=H100) == Burn(H100, 2 * H100)


def test_replicas_of_unknown_price_are_counted_and_not_zero() -> None:
    burn = price_replicas(low=1, high=2, nano_usd_per_hour=None)

    assert burn == Burn(0, 0, unpriced_replicas=2)
    assert not burn.is_zero
    assert not burn.is_certain


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="no range"):
        Burn(2, 1)


def test_per_minute_and_month_are_unrounded() -> None:
    burn = Burn(H100, H100)

    assert burn.per_minute() == (Decimal(90_000_000), Decimal(90_000_000))
    assert burn.per_month() == (Decimal(3_942_000_000_000),) * 2
    assert Burn(1, 1).per_minute()[0] * 60 != 0


def test_over_a_duration_is_exact_to_the_microsecond() -> None:
    assert Burn(H100, H100).over(timedelta(minutes=1)) == (Decimal(90_000_000),) * 2
    assert Burn(3600 * 10**6, 3600 * 10**6).over(timedelta(microseconds=1)) == (Decimal(1),) * 2


@given(st.lists(burns, max_size=20))
def test_a_sum_does_not_depend_on_order_or_grouping(parts: list[Burn]) -> None:
    middle = len(parts) // 2

    assert add_burns(parts) == add_burns(reversed(parts))
    assert add_burns(parts) == add_burns(parts[:middle]) + add_burns(parts[middle:])
    assert add_burns(parts).high == sum(part.high for part in parts)


def test_the_sum_of_nothing_is_zero() -> None:
    assert add_burns([]) == ZERO
    assert ZERO.is_zero
    assert ZERO.is_certain


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [(0, 100, 0), (1, 1000, 1), (999, 1000, 99), (1000, 1000, 100), (234, 1000, 23), (0, 0, None)],
)
def test_a_share_never_rounds_something_to_nothing_or_to_all(
    part: int, whole: int, percent: int | None
) -> None:
    assert share_percent(Burn(part, part), whole=Burn(whole, whole)) == percent
