"""How nano-dollars read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.core import money

DOLLAR = money.NANO_PER_DOLLAR


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0.00"),
        (43_200_000_000, "43.20"),
        (1_459_120_000_000, "1,459.12"),
        (5_000_000, "0.01"),
        (4_999_999, "<0.01"),
        (-3_200_000_000, "−3.20"),
        (-1, "−<0.01"),
        (Decimal("179999999999.5"), "180.00"),
    ],
)
def test_amounts_print_cents_with_comma_and_true_minus(nano: int, text: str) -> None:
    assert money.format_amount(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [(10_800_000_000, "$10.80"), (-3_200_000_000, "−$3.20"), (1, "<$0.01"), (-1, "−<$0.01"), (0, "$0.00")],
)
def test_dollars_carry_the_sign_before_the_currency(nano: int, text: str) -> None:
    assert money.format_dollars(nano) == text


def test_places_follow_the_use() -> None:
    assert money.format_dollars(69_766_400_000_000, places=0) == "$69,766"
    assert money.format_dollars(1_234_500, places=4) == "$0.0012"


def test_a_range_is_one_number_when_both_bounds_read_alike() -> None:
    assert money.format_range(5_400_000_000, 10_800_000_000) == "5.40–10.80"
    assert money.format_per_hour(5_400_000_000, 10_800_000_000) == "$5.40–10.80/h"
    assert money.format_per_hour(10_800_000_000, 10_800_000_001) == "$10.80/h"
    assert money.format_per_hour(10_800_000_000) == "$10.80/h"


def test_changes_are_signed() -> None:
    assert money.format_change(21_600_000_000) == "+21.60"
    assert money.format_change(-10_800_000_000) == "−10.80"
    assert money.format_change(0) == "0.00"


def test_rates_convert_without_rounding() -> None:
    assert money.format_dollars(money.per_minute(10_800_000_000)) == "$0.18"
    assert money.per_minute(7) * 60 == pytest.approx(7)
    assert money.per_month(10 * DOLLAR) == 7_300 * DOLLAR


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_what_is_printed_lies_within_half_a_cent(nano: int) -> None:
    printed = money.round_dollars(nano)

    assert abs(printed * DOLLAR - nano) <= DOLLAR // 200


@given(st.integers(min_value=-(10**15), max_value=10**15).filter(bool))
def test_nothing_that_costs_prints_as_zero(nano: int) -> None:
    assert money.format_amount(nano).strip("−") not in {"0.00", "-0.00"}
