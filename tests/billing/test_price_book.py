"""Which price holds when, from what finance, catalogue, bill and estimate told."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.price_book import (
    EVERY_OTHER,
    UNKNOWN,
    DiscountRecord,
    Origin,
    PriceBook,
    PriceRecord,
    PriceStep,
    take_off,
)
from tests.factories import NOW

SKU = "v2/1xnvidia-h100-80gb"
DAY = timedelta(days=1)


def told(nano, start, end=None, *, origin=Origin.CATALOGUE, sku=SKU, note="note"):
    """Return a record over days from NOW on; None = for ever."""
    at = [None if day is None else NOW + day * DAY for day in (start, end)]
    return PriceRecord(sku, nano, at[0], at[1], origin, note)


def discount(percent, start, end=None, *, sku=SKU):
    return DiscountRecord(sku, Decimal(percent), NOW + start * DAY, None if end is None else NOW + end * DAY)


def read(book, start=-10, end=10, *, sku=SKU):
    """Return (first day, last day, list price, price) of each step."""
    steps = book.steps(sku, start=NOW + start * DAY, end=NOW + end * DAY)
    return [((one.start - NOW) / DAY, (one.end - NOW) / DAY, one.list_nano, one.nano) for one in steps]


@pytest.mark.parametrize(
    ("records", "discounts", "steps"),
    [
        ([], [], [(-10, 10, None, None)]),
        # The first price seen stands for the time before.
        ([told(500, 0)], [], [(-10, 0, 500, 500), (0, 10, 500, 500)]),
        ([told(500, 0, 2), told(600, 2)], [], [(-10, 0, 500, 500), (0, 2, 500, 500), (2, 10, 600, 600)]),
        # A price that vanished is unknown from then on, and known again later.
        (
            [told(500, 0, 2), told(500, 4)],
            [],
            [(-10, 0, 500, 500), (0, 2, 500, 500), (2, 4, None, None), (4, 10, 500, 500)],
        ),
        # Finance goes first, and only where it says so.
        (
            [told(500, None), told(400, 1, 3, origin=Origin.FINANCE)],
            [],
            [(-10, 1, 500, 500), (1, 3, 400, 400), (3, 10, 500, 500)],
        ),
        # What finance entered is not carried into an unknown past.
        ([told(400, 1, origin=Origin.FINANCE)], [], [(-10, 1, None, None), (1, 10, 400, 400)]),
        # Off the list, from its own start on; its own one goes before the general one, even where that is higher.
        ([told(500, None)], [discount("10", 2)], [(-10, 2, 500, 500), (2, 10, 500, 450)]),
        (
            [told(500, None)],
            [discount("50", 0, sku=EVERY_OTHER), discount("10", 2, 4)],
            [(-10, 0, 500, 500), (0, 2, 500, 250), (2, 4, 500, 450), (4, 10, 500, 250)],
        ),
        # What is billed is paid: nothing comes off it any more. What finance enters is a list price.
        ([told(500, None, origin=Origin.BILL)], [discount("10", 2)], [(-10, 10, 500, 500)]),
        (
            [told(500, -10, origin=Origin.FINANCE)],
            [discount("100", 2)],
            [(-10, 2, 500, 500), (2, 10, 500, 0)],
        ),
    ],
)
def test_steps(records, discounts, steps):
    assert read(PriceBook(records, discounts)) == steps


def test_of_two_connections_the_first_one_holds():
    book = PriceBook([told(500, 0), told(600, -2)])

    assert read(book) == [(-10, -2, 600, 600), (-2, 0, 600, 600), (0, 10, 500, 500)]


def test_another_spelling_of_the_hardware_has_the_same_price():
    book = PriceBook([told(500, None)], [discount("10", -20, sku="v2/1xH100-80GB")])

    assert read(book, sku="v2/1xNVIDIA-h100-80gb") == [(-10, 10, 500, 450)]
    assert read(book, sku="v1/1xnvidia-h100-80gb") == [(-10, 10, None, None)]


def test_a_step_says_where_its_price_comes_from():
    book = PriceBook(
        [
            told(500, 0, 1),
            told(400, 1, 2, origin=Origin.FINANCE, note="contract 12."),
            told(300, 3, 4, origin=Origin.BILL, note="billed hour of noon"),
            told(300, 4, 5, origin=Origin.ESTIMATE, note="estimate-cost"),
        ],
        [discount("12.50", 1)],
    )

    steps = book.steps(SKU, start=NOW - DAY, end=NOW + 5 * DAY)

    assert [one.source for one in steps] == [
        "Estimated: the catalogue price, first seen 2026-11-20 12:00 UTC, stands for the time before.",
        "The catalogue price, seen since 2026-11-20 12:00 UTC.",
        "Entered by finance: contract 12. Less 12.5% discount.",
        UNKNOWN,
        "The billed price (billed hour of noon), seen since 2026-11-23 12:00 UTC.",
        "The estimate of the provider (estimate-cost), seen since 2026-11-24 12:00 UTC. Less 12.5% discount.",
    ]
    assert [one.is_estimated for one in steps] == [True, False, False, False, False, False]


def test_an_empty_period_has_no_steps():
    assert PriceBook([told(500, None)]).steps(SKU, start=NOW, end=NOW) == []


def test_the_price_of_an_instant_is_that_of_the_step_that_begins_with_it():
    book = PriceBook([told(500, None, 0), told(600, 0)])

    assert book.at(SKU, NOW - timedelta(microseconds=1)).nano == 500
    assert book.at(SKU, NOW) == PriceStep(
        NOW, None, 600, 600, "The catalogue price, seen since 2026-11-20 12:00 UTC.", Origin.CATALOGUE
    )


@pytest.mark.parametrize(
    ("nano", "percent", "left"),
    [(500, "0", 500), (500, "100", 0), (5, "50", 2), (7, "50", 4), (3, "0.01", 3)],
)
def test_a_discount_is_rounded_half_to_even(nano, percent, left):
    assert take_off(nano, Decimal(percent)) == left


DAYS = st.integers(-8, 8)
RANGES = st.tuples(DAYS | st.none(), DAYS | st.none()).filter(
    lambda pair: None in pair or pair[0] < pair[1]  # type: ignore[operator]
)


@st.composite
def books(draw):
    """Return records and discounts of any kind, overlapping as they like."""
    records = [
        told(draw(st.integers(0, 4)), *pair, origin=draw(st.sampled_from(list(Origin)[:4])))
        for pair in draw(st.lists(RANGES, max_size=6))
    ]
    discounts = [
        discount(draw(st.integers(0, 100)), pair[0], pair[1], sku=draw(st.sampled_from([SKU, EVERY_OTHER])))
        for pair in draw(st.lists(RANGES.filter(lambda pair: pair[0] is not None), max_size=4))
    ]
    return records, discounts


@given(books(), st.integers(-9, 9), st.integers(1, 18))
def test_steps_cover_any_period_without_hole_and_in_order(known, start, length):
    book = PriceBook(*known)
    begin, end = NOW + start * DAY, NOW + (start + length) * DAY

    steps = book.steps(SKU, start=begin, end=end)

    assert steps[0].start == begin
    assert steps[-1].end == end
    assert all(one.start < one.end for one in steps)
    assert all(one.end == other.start for one, other in pairwise(steps))


@given(books(), DAYS)
def test_the_price_of_any_instant_follows_the_precedence(known, day):
    records, discounts = known
    at = NOW + day * DAY

    def covering(ranges):
        return [
            one
            for one in ranges
            if (one.start is None or one.start <= at) and (one.end is None or at < one.end)
        ]

    step = PriceBook(records, discounts).at(SKU, at)

    entries = covering([one for one in records if one.origin is Origin.FINANCE])
    others = covering([one for one in records if one.origin is not Origin.FINANCE])
    if entries or others:
        holding = (entries or others)[0]
        assert (step.list_nano, step.origin) == (holding.nano, holding.origin)
        assert not step.is_estimated
        own = covering([one for one in discounts if one.sku == SKU])
        general = covering([one for one in discounts if one.sku == EVERY_OTHER])
        percent = (own or general or [None])[0]
        is_off = percent is not None and holding.origin is not Origin.BILL
        assert step.nano == (take_off(holding.nano, percent.percent) if is_off else holding.nano)
    elif step.list_nano is None:
        assert step.source == UNKNOWN
    else:
        assert step.is_estimated
        assert not covering(records)


@given(books(), st.integers(-9, 9), st.integers(-9, 9))
def test_what_holds_does_not_depend_on_the_period_asked_for(known, one, other):
    book = PriceBook(*known)
    middle, far = sorted([one, other])
    ends = [NOW + day * DAY for day in (-10, middle, far, 10)]

    def prices(start, end):
        return {hour: step.nano for step in book.steps(SKU, start=start, end=end) for hour in [step.start]}

    whole = book.steps(SKU, start=ends[0], end=ends[3])
    for start, end in pairwise(ends):
        for at, nano in prices(start, end).items():
            assert nano == next(step.nano for step in whole if step.start <= at < step.end)
