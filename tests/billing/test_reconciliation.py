"""Three numbers of a day, and causes that sum to what lies between them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.amounts import TICKS_PER_NANO
from billing.metering import SpanDraft
from billing.reconciliation import (
    TICKS_PER_USD,
    BillLine,
    BillWindow,
    Cause,
    Reading,
    Stretch,
    Subject,
    to_ticks,
)
from billing.reconciliation_day import reconcile_day

DAY = datetime(2026, 11, 19, tzinfo=UTC)
NOW = DAY + timedelta(days=1, hours=12)
HOUR = timedelta(hours=1)
LIST = 5_400_000_000  # $5.40
REPLICA = Subject(unit_hours=Fraction(1))


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def runs(start: float, end: float, *, units: int = 1, price: int | None = LIST, **fields) -> Stretch:
    rate = units * (price or 0)
    known = {
        "condition": "bills",
        "source": "event",
        "units_low": units,
        "units_high": units,
        "list_nano_usd_per_hour": price,
        "nano_usd_per_hour": price,
        "rate_low": rate,
        "rate_high": rate,
    }
    return Stretch(SpanDraft(at(start), at(end), **(known | fields)))


def rests(start: float, end: float, *, start_up_rate: int = 0, condition: str = "free", **fields) -> Stretch:
    return Stretch(SpanDraft(at(start), at(end), condition, "event", **fields), start_up_rate)


def line(hours: str, price: str = "5.4", *, cost: str | None = None, credit: str = "PREPAID") -> BillLine:
    usd = Decimal(cost) if cost is not None else Decimal(hours) * Decimal(price)
    return BillLine(to_ticks(usd), Decimal(hours), Decimal(price), credit)


def bill(*lines: BillLine, hour: int = 0, reading: Reading = Reading.READ) -> BillWindow:
    return BillWindow(at(hour), at(hour + 1), reading, lines)


def usd(amounts: dict[Cause, int]) -> dict[str, float]:
    return {cause.value: round(ticks / TICKS_PER_USD, 4) for cause, ticks in amounts.items()}


def reconcile(windows, stretches, *, subject=REPLICA):
    return reconcile_day(windows, stretches, subject=subject, now=NOW)


def test_three_equal_numbers_have_no_causes():
    day = reconcile([bill(line("1"))], [runs(0, 1)])

    assert day.projected == day.metered_low == day.metered_high == day.billed == to_ticks(Decimal("5.4"))
    assert not day.to_metered
    assert not day.to_billed


METERED = [
    ("a discount", [runs(0, 1, nano_usd_per_hour=4_860_000_000, rate_low=4_860_000_000, rate_high=4_860_000_000)],
     {"price": -0.54}),
    ("rounding of our own rule", [runs(0, 0.5, rounding_us=60_000_000), rests(0.5, 1)], {"rounding": 0.09}),
    ("start-up that does not bill", [rests(0, 0.25, start_up_rate=LIST), runs(0.25, 1)], {"start-up": -1.35}),
    ("what only the bill tells", [Stretch(replace(runs(0, 1).span, source="bill"))], {"not-mirrored": 5.4}),
    ("a job's own price", [Stretch(SpanDraft(at(0.5), at(0.5) + timedelta(microseconds=1), "bills", "event",
                                             lump_nano_usd=4_000_000_000))], {}),
]  # fmt: skip


@pytest.mark.parametrize(("stretches", "expected"), [c[1:] for c in METERED], ids=[c[0] for c in METERED])
def test_the_gap_from_projected_to_metered_is_named(stretches, expected):
    day = reconcile([bill()], stretches)

    assert usd(day.to_metered) == expected
    assert day.projected + sum(day.to_metered.values()) == day.metered_low


ODD = runs(0, 1, bound_low=int(0.9 * LIST * 3.6e9), bound_high=int(1.1 * LIST * 3.6e9))
V1 = runs(0, 1, units_high=3, rate_high=3 * LIST)
BILLED = [
    ("another price", [bill(line("1", "6"))], [runs(0, 1)], {"price": 0.6}),
    ("a price that was not known", [bill(line("1"))], [runs(0, 1, price=None)], {"price": 5.4}),
    ("a discount on the line alone", [bill(line("1", cost="5"))], [runs(0, 1)], {"price": -0.4}),
    ("a credit that made the line cheaper", [bill(line("1", cost="0.4", credit="CREDIT"))], [runs(0, 1)],
     {"credit": -5.0}),
    ("a credit as a line of its own", [bill(line("1"), BillLine(-to_ticks(Decimal(2)), credit="CREDIT"))],
     [runs(0, 1)], {"credit": -2.0}),
    ("a line paid with credit at full price", [bill(line("1", credit="CREDIT"))], [runs(0, 1)], {}),
    ("time that nobody saw", [bill(line("1"))], [runs(0, 0.5), rests(0.5, 1, condition="unknown")],
     {"missing-interval": 2.7}),
    ("time that nobody saw and may have cost less", [bill(line("1"))],
     [runs(0, 0.5), rests(0.5, 1, condition="unknown", bound_high=int(1e9 * 3.6e9))],
     {"missing-interval": 1.0, "unexplained": 1.7}),
    ("an edge between two polls", [bill(line("0.95"))], [ODD], {"missing-interval": -0.27}),
    ("nothing metered", [bill(line("1"))], [], {"missing-interval": 5.4}),
    ("the range of v1", [bill(line("2"))], [V1], {"replica-mismatch": 5.4}),
    ("above the range of v1", [bill(line("3.5"))], [V1], {"replica-mismatch": 10.8, "unexplained": 2.7}),
    ("another whole number of replicas", [bill(line("2"))], [runs(0, 1)], {"replica-mismatch": 5.4}),
    ("fewer replicas", [bill(line("1"))], [runs(0, 1, units=2)], {"replica-mismatch": -5.4}),
    ("a minute rounded up", [bill(line("0.516666666667"))], [runs(0, 0.5), rests(0.5, 1)], {"rounding": 0.09}),
    ("start-up that was billed", [bill(line("1"))], [rests(0, 0.5, start_up_rate=LIST), runs(0.5, 1)],
     {"start-up": 2.7}),
    ("no line for what ran", [bill()], [runs(0, 1)], {"unexplained": -5.4}),
    ("a line for what rested", [bill(line("1"))], [rests(0, 1)], {"unexplained": 5.4}),
    ("less than a nano-dollar", [bill(BillLine(to_ticks(Decimal("5.4000000004"))))], [runs(0, 1)],
     {"rounding": 0.0}),
    ("a window that is late", [bill(line("1")), bill(hour=1, reading=Reading.LATE)], [runs(0, 2)], {"lag": -5.4}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("windows", "stretches", "expected"), [c[1:] for c in BILLED], ids=[c[0] for c in BILLED]
)
def test_the_gap_from_metered_to_billed_is_named(windows, stretches, expected):
    day = reconcile(windows, stretches)

    assert usd(day.to_billed) == expected
    assert day.billed == day.metered_low + sum(day.to_billed.values())


def test_gpu_hours_are_compared_with_replicas_by_the_gpus_of_one():
    subject = Subject(unit_hours=Fraction(1, 8))

    day = reconcile([bill(line("8", "0.75"))], [runs(0, 1)], subject=subject)

    assert usd(day.to_billed) == {"price": 0.6}


def test_lines_without_a_meter_are_not_mirrored_and_their_credits_are_credits():
    lines = [BillLine(to_ticks(Decimal(7))), BillLine(-to_ticks(Decimal(3)))]

    day = reconcile([bill(*lines)], [], subject=Subject(is_matched=False))

    assert usd(day.to_billed) == {"credit": -3.0, "not-mirrored": 7.0}


def test_a_day_that_was_not_read_has_no_billed_number_and_no_gap_to_it():
    day = reconcile([bill(reading=Reading.UNREAD)], [runs(0, 1)])

    assert (day.billed, day.to_billed) == (None, {})
    assert day.metered_low > 0


def test_the_room_of_a_bound_is_used_once():
    low, high = int(1.8 * LIST * 3.6e9), int(2.2 * LIST * 3.6e9)
    stretch = runs(0, 2, bound_low=low, bound_high=high)

    day = reconcile([bill(line("0.85")), bill(line("0.85"), hour=1)], [stretch])

    # 0.3 h are missing, the bound accounts for 0.2 h.
    assert usd(day.to_billed) == {"missing-interval": -1.08, "unexplained": -0.54}


def test_notes_say_what_was_seen():
    day = reconcile([bill(line("1", "6"))], [runs(0, 1)])

    assert day.windows[0].notes[Cause.PRICE] == "billed at $6.0000 per unit and hour, metered at $5.4000"


amounts = st.integers(min_value=-(10**7), max_value=10**7).map(lambda n: Decimal(n).scaleb(-4))
bill_lines = st.builds(
    lambda cost, quantity, price, credit: BillLine(to_ticks(cost), quantity, price, credit),
    amounts,
    st.none() | amounts,
    st.none() | amounts,
    st.sampled_from(["", "PREPAID", "CREDIT"]),
)
readings = st.sampled_from(Reading)


@st.composite
def days(draw):
    edges = sorted(draw(st.sets(st.integers(0, 240), min_size=2, max_size=7)))
    stretches = []
    for start, end in pairwise(edges):
        units, more = draw(st.integers(0, 3)), draw(st.integers(0, 2))
        price = draw(st.none() | st.integers(0, 9 * 10**9))
        condition = draw(st.sampled_from(["bills", "free", "unknown"]))
        rate = units * (price or 0) if condition == "bills" else 0
        high = (units + more) * (price or 0) if condition == "bills" else 0
        bound = draw(st.none() | st.integers(0, 10**24))
        span = SpanDraft(
            at(start / 10), at(end / 10), condition, draw(st.sampled_from(["event", "poll", "bill"])),
            units_low=units, units_high=units + more, list_nano_usd_per_hour=draw(st.sampled_from([price, LIST])),
            nano_usd_per_hour=price, rate_low=rate, rate_high=high, rounding_us=draw(st.integers(0, 10**7)),
            lump_nano_usd=draw(st.sampled_from([0, 0, 10**9])), bound_low=bound,
            bound_high=None if bound is None else bound * 2,
        )  # fmt: skip
        stretches.append(Stretch(span, draw(st.sampled_from([0, LIST]))))
    windows = [
        BillWindow(at(hour), at(hour + 1), draw(readings), tuple(draw(st.lists(bill_lines, max_size=2))))
        for hour in range(24)
    ]
    return windows, stretches


subjects = st.builds(
    Subject, is_matched=st.booleans(), unit_hours=st.sampled_from([None, Fraction(1), Fraction(1, 8)])
)


@given(days(), subjects)
def test_causes_always_sum_to_the_gap(day, subject):
    windows, stretches = day

    told = reconcile(windows, stretches, subject=subject)

    assert told.metered_low - told.projected == sum(told.to_metered.values())
    if told.billed is not None:
        assert told.billed - told.metered_low == sum(told.to_billed.values())
        assert told.billed == sum(
            line.cost for one in windows if one.reading is Reading.READ for line in one.lines
        )
    assert 0 not in told.to_billed.values()
    assert 0 not in told.to_metered.values()


@given(days(), subjects)
def test_windows_partition_the_day(day, subject):
    windows, stretches = day

    told = reconcile(windows, stretches, subject=subject)
    whole = reconcile([BillWindow(at(0), at(24), Reading.UNREAD)], stretches, subject=subject)

    assert (told.projected, told.metered_low, told.metered_high) == (
        whole.projected, whole.metered_low, whole.metered_high,
    )  # fmt: skip


@given(days())
def test_a_bill_of_exactly_what_was_metered_has_no_causes(day):
    windows, stretches = day
    metered = reconcile([replace(one, lines=()) for one in windows], stretches)
    exact = [
        BillWindow(one.window.start, one.window.end, Reading.READ, (BillLine(one.metered_low),))
        for one in metered.windows
    ]

    assert reconcile(exact, stretches).to_billed == {}


def test_a_dollar_is_a_whole_number_of_ticks():
    assert to_ticks(Decimal(1)) == 1_000_000_000 * TICKS_PER_NANO
    assert to_ticks(Decimal("0.000000000001")) * 10**12 == to_ticks(Decimal(1))
