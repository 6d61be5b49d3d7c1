"""Rows of a table: together they are the whole, however many there are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.amounts import TICKS_PER_NANO, ZERO, Cost
from billing.forecast import HourCost, forecast
from billing.forecast_rows import MOST_ALONE, Burning, RowInput, forecast_rows

HOUR = timedelta(hours=1)
DOLLAR = 1_000_000_000
NOW = datetime(2026, 11, 18, 13, 49, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)


def make_row(rate: int, *, days: int = 21, spent: int = 10) -> RowInput:
    edge = NOW.replace(minute=0)
    hours = [HourCost(edge - (n + 1) * HOUR, rate * DOLLAR) for n in range(24 * days)]
    ticks = spent * DOLLAR * TICKS_PER_NANO
    return RowInput(hours, Burning(rate * DOLLAR), Cost(ticks, ticks))


@pytest.mark.parametrize("count", [1, 3, MOST_ALONE, MOST_ALONE + 1, MOST_ALONE + 60])
def test_what_is_left_of_all_rows_is_what_is_left_of_the_whole(count: int) -> None:
    inputs = {f"row-{number}": make_row(number + 1) for number in range(count)}
    total = sum(number + 1 for number in range(count))
    whole = forecast(
        make_row(total).hours, burn_nano=total * DOLLAR, spent=ZERO, now=NOW, until=MONTH_END, zone=UTC
    )

    rows = forecast_rows(inputs, whole=whole, zone=UTC)

    assert set(rows) == set(inputs)
    assert abs(sum((row.left for row in rows.values()), Decimal(0)) - whole.left) < 1
    for key, row in rows.items():
        assert row.spent == inputs[key].spent
        assert row.p10 <= row.p50 <= row.p90
        assert abs(row.p50 - row.left - 10 * DOLLAR) < Decimal("0.001")


def test_small_rows_share_by_what_they_cost_of_late() -> None:
    inputs = {f"large-{number}": make_row(100) for number in range(MOST_ALONE)}
    inputs |= {"one": make_row(1), "three": make_row(3), "gone": RowInput([], Burning(), ZERO)}
    whole = forecast(
        make_row(4_004).hours, burn_nano=4_004 * DOLLAR, spent=ZERO, now=NOW, until=MONTH_END, zone=UTC
    )

    rows = forecast_rows(inputs, whole=whole, zone=UTC)

    assert abs(rows["three"].left - 3 * rows["one"].left) < DOLLAR
    assert rows["gone"].left == 0


def test_a_row_of_unknown_price_says_at_least() -> None:
    whole = forecast([], burn_nano=0, spent=ZERO, now=NOW, until=MONTH_END, zone=UTC)

    rows = forecast_rows({"odd": RowInput([], Burning(0, is_complete=False), ZERO)}, whole=whole, zone=UTC)

    assert rows["odd"].is_at_least
