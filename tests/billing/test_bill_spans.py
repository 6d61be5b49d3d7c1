"""Spans from billed windows: exact sums, no hole, and nothing claimed that no line tells."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.amounts import TICKS_PER_NANO
from billing.bill_spans import Billed, Covered, make_backfill, make_spans
from billing.metering import MICROSECOND, SpanDraft, check_cover, price_span

START = datetime(2026, 11, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
COVERED = [Covered(START, START + timedelta(days=3), "hour")]


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def hour(number: int, nano: int = 5_490_000_000) -> Billed:
    return Billed(at(number), at(number + 1), nano, "Dedicated Inference - H100")


def describe(spans: list[SpanDraft]) -> list[tuple[float, float, str]]:
    return [((one.start - START) / HOUR, (one.end - START) / HOUR, one.condition) for one in spans if one.end]


def cost(spans: list[SpanDraft]) -> int:
    return sum(price_span(one, until=at(100)).low for one in spans)


def test_equal_hours_are_one_span_until_midnight():
    spans = make_spans([hour(n) for n in range(22, 26)], COVERED, since=at(22), until=at(26), is_lump=False)

    assert describe(spans) == [(22, 24, "bills"), (24, 26, "bills")]
    assert spans[0].evidence.startswith("Billed hours of 2026-11-09 22:00–24:00 UTC, each the same")
    assert spans[0].nano_usd_per_hour == 5_490_000_000


def test_hours_without_a_line_are_free_and_hours_not_read_unknown():
    covered = [Covered(at(0), at(3), "hour"), Covered(at(6), at(9), "hour")]

    spans = make_spans([hour(0), hour(7)], covered, since=at(0), until=at(9), is_lump=False)

    assert describe(spans) == [
        (0, 1, "bills"), (1, 3, "free"), (3, 6, "unknown"), (6, 7, "free"), (7, 8, "bills"), (8, 9, "free"),
    ]  # fmt: skip


def test_a_charge_by_use_is_a_lump_on_the_last_microsecond_of_its_window():
    spans = make_spans([hour(1, 123)], COVERED, since=at(0), until=at(3), is_lump=True)

    lump = spans[1]
    assert (lump.start, lump.end) == (at(2) - MICROSECOND, at(2))
    assert (lump.lump_nano_usd, lump.rate_low, lump.units_high) == (123, 0, 0)
    assert cost(spans) == 123 * TICKS_PER_NANO


def test_a_day_that_does_not_divide_keeps_its_last_nano_dollar():
    day = Billed(START, START + timedelta(days=1), 100, "Shared Storage")

    spans = make_spans([day], COVERED, since=START, until=at(24), is_lump=False)

    assert cost(spans) == 100 * TICKS_PER_NANO


BACKFILLS = [
    ("until a full hour", [hour(0), hour(1)], 2, [(0, 2, "bills")]),
    ("with quiet hours before", [hour(0)], 3, [(0, 1, "bills"), (1, 3, "free")]),
    ("into an hour that cost the same", [hour(0), hour(1)], 1.5, [(0, 1, "bills"), (1, 1.5, "bills")]),
    ("into an hour that cost another amount", [hour(0), hour(1, 7)], 1.5, [(0, 1, "bills"), (1, 1.5, "unknown")]),
    ("into an hour without a line", [hour(0)], 1.5, [(0, 1, "bills"), (1, 1.5, "free")]),
    ("nothing before", [hour(1)], 1, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("billed", "until", "expected"), [c[1:] for c in BACKFILLS], ids=[c[0] for c in BACKFILLS]
)
def test_the_past_is_told_up_to_what_is_known_otherwise(billed, until, expected):
    assert describe(make_backfill(billed, COVERED, until=at(until))) == expected


@given(
    st.dictionaries(st.integers(0, 60), st.integers(-5, 10**12), min_size=1, max_size=20),
    st.booleans(),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_spans_have_no_hole_and_cost_exactly_what_was_billed(amounts, is_lump, start, length):
    billed = [hour(number, nano) for number, nano in sorted(amounts.items())]
    covered = [Covered(at(start), at(start + length), "hour")]

    spans = make_spans(billed, covered, since=billed[0].start, until=at(62), is_lump=is_lump)

    check_cover(spans, since=billed[0].start)
    assert spans[-1].end == at(62)
    assert cost(spans) == sum(amounts.values()) * TICKS_PER_NANO
    assert all(one.end - one.start <= timedelta(days=1) for one in spans if one.condition == "bills")


@given(st.dictionaries(st.integers(0, 60), st.integers(0, 10**12), max_size=20), st.integers(0, 61 * 3600))
def test_a_backfill_ends_exactly_where_knowledge_begins(amounts, seconds):
    billed = [hour(number, nano) for number, nano in sorted(amounts.items())]
    until = START + timedelta(seconds=seconds)

    spans = make_backfill(billed, COVERED, until=until)

    if spans:
        check_cover(spans, since=spans[0].start)
        assert spans[-1].end == until
        whole = sum(nano for number, nano in amounts.items() if at(number + 1) <= until)
        assert whole * TICKS_PER_NANO <= cost(spans) <= sum(amounts.values()) * TICKS_PER_NANO
