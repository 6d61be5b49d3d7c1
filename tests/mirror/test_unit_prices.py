"""Prices derived from billed hours: what an hour tells, and what it does not."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.unit_prices import HOUR, Billable, derive_prices
from dashboard.together_api import payloads
from tests.factories import NOW

START = NOW.replace(minute=0, second=0, microsecond=0)


def line(quantity: str, unit_price: str, cost: str, **attributes: str) -> dict[str, Any]:
    return {
        "product_name": "GPU Cluster - H100",
        "quantity": quantity,
        "unit_price": unit_price,
        "cost": cost,
        "attributes": attributes or {"cluster_id": "c-1"},
    }


def hour(ago: int, *lines: dict[str, Any], length: timedelta = HOUR) -> payloads.UsageWindow:
    start = START - ago * HOUR
    return payloads.UsageWindow.parse(
        {
            "date": f"{start:%Y-%m-%d}",
            "start_time": start.isoformat(),
            "end_time": (start + length).isoformat(),
            "line_items": list(lines),
        }
    )


def billable(units: int = 16, *, kind: str = "cluster", seen_hours: float = 0, **fields: Any) -> Billable:
    """Return something seen for the first time so many hours before the newest whole hour ended."""
    remote_id = {"cluster": "c-1", "volume": "vol-1"}[kind]
    first_seen_at = START - seen_hours * HOUR
    return Billable(kind, remote_id, f"{kind}/x", units, units, **({"first_seen_at": first_seen_at} | fields))


def price_of(windows: list[payloads.UsageWindow], one: Billable) -> int | None:
    found = derive_prices(windows, [one]).get(one.sku)
    return found.nano_usd_per_hour if found else None


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("16", 3_490_000_000), ("4.5", 3_490_000_000), ("16.5", None), ("960", None), ("0", None)],
    ids=["all the hour", "a part of it", "more than there are", "GPU-minutes", "nothing"],
)
def test_what_holds_gpus_is_billed_in_gpu_hours_and_the_unit_price_is_its_price(quantity, expected):
    cost = str(Decimal(quantity) * Decimal("3.49"))

    assert price_of([hour(1, line(quantity, "3.49", cost))], billable()) == expected


def test_of_several_hours_the_newest_counts():
    windows = [hour(3, line("16", "2", "32")), hour(1, line("16", "3", "48")), hour(2, line("16", "1", "16"))]

    assert price_of(windows, billable()) == 3_000_000_000


@pytest.mark.parametrize(
    ("seen_hours", "expected"),
    [(0, None), (0.5, None), (1, 4_000_000_000), (5, 4_000_000_000)],
)
def test_storage_costs_what_an_hour_costs_in_which_its_size_was_the_same(seen_hours, expected):
    volume = billable(10, kind="volume", seen_hours=seen_hours)

    windows = [hour(1, line("0.0137", "2920", "40", volume_id="vol-1"))]

    assert price_of(windows, volume) == expected


def test_three_equal_hours_stand_for_a_history_that_is_not_known():
    volume = billable(10, kind="volume")
    windows = [hour(ago, line("0.01", "1", "40", volume_id="vol-1")) for ago in (1, 2, 3)]

    assert price_of(windows, volume) == 4_000_000_000
    assert price_of(windows[:2], volume) is None
    assert price_of(windows, billable(10, kind="volume", changed_at=START - HOUR / 2)) is None
    assert price_of([*windows[:2], hour(3, line("0.01", "1", "41", volume_id="vol-1"))], volume) is None


@pytest.mark.parametrize(
    "windows",
    [
        [],
        [hour(1)],
        [hour(1, line("16", "3", "48", cluster_id="another"))],
        [hour(1, line("16", "3", "48"), line("16", "4", "64"))],
        [hour(1, line("16", "3", "48"), length=timedelta(days=1))],
        [hour(1, line("8", "3", "0"))],
    ],
    ids=["no bill", "no line", "another cluster", "two lines", "a day", "nothing billed"],
)
def test_what_does_not_tell_gives_no_price(windows):
    assert price_of(windows, billable(seen_hours=9)) is None


@given(units=st.integers(1, 5_000), nano=st.integers(1, 50_000_000_000))
def test_units_times_the_derived_price_is_the_billed_cost(units, nano):
    cost = Decimal(nano * units) / 1_000_000_000
    volume = billable(units, kind="volume", seen_hours=9)

    assert price_of([hour(1, line("0.5", "1", str(cost), volume_id="vol-1"))], volume) == nano
