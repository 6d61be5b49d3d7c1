"""A deployment's life as spans: only ready replicas bill, nothing is a hole, and what is not certain is bounded."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from billing import metering
from billing.amounts import add_costs
from billing.metering import SpanDraft, check_cover, price_span
from billing.metering_deployments import Facts, PostedPrice, meter_deployment
from billing.metering_edges import GONE, Edge
from billing.metering_use import Traffic
from billing.models import Condition, IntervalSource, Use
from billing.price_book import Origin, PriceBook, PriceRecord
from tests.billing.metering_cases import BOOK, NANO, SKU, TICKS_PER_MINUTE, at, event, poll

NOW = at(600)


def meter(*edges: Edge, now: Any = NOW, since: Any = None, **facts: Any) -> list[SpanDraft]:
    book = facts.pop("book", BOOK)
    facts = {"created_at": at(0), "ceiling": 3} | facts
    return meter_deployment(Facts(edges, **facts), prices=book, now=now, since=since)


def tell(spans: list[SpanDraft]) -> list[tuple[float, str, int, int]]:
    """Return (minutes from the start, condition, replicas at least, at most) of each span."""
    return [
        ((span.start - at(0)) / timedelta(minutes=1), span.condition, span.units_low, span.units_high)
        for span in spans
    ]


def ticks(spans: list[SpanDraft], now: Any = NOW) -> int:
    return add_costs(price_span(span, until=now) for span in spans).low


@pytest.mark.parametrize(
    ("edges", "minutes_billed"),
    [
        ([event(0, "PROVISIONING", 0), event(10, "READY", 1)], 590),
        ([event(0, "PROVISIONING", 0), event(360, "FAILED", 0)], 0),
        ([event(0, "PROVISIONING", 0), event(10, "READY", 2), event(70, "DEGRADED", 1)], 60 * 2 + 530),
        ([event(0, "PROVISIONING", 0), event(10, "READY", 1), event(70, "SCALING", 1), event(73, "READY", 2)],
         63 + 527 * 2),
        ([event(0, "PROVISIONING", 0), event(10, "READY", 2), event(70, "STOPPING", 2), event(71, "STOPPING", 0)],
         61 * 2),
        ([event(0, "PROVISIONING", 0), event(10, "READY", 1), event(70, GONE, 0)], 60),
        ([event(0, "PROVISIONING", 0), poll(10.5, "READY", 1), poll(70.5, "STOPPED", 0)], 60),
    ],
    ids=["ready", "failed start", "degraded", "scaling", "draining", "deleted", "polls"],
)  # fmt: skip
def test_only_ready_replicas_bill(edges: list[Edge], minutes_billed: float) -> None:
    spans = meter(*edges)

    check_cover(spans, since=at(0))
    assert spans[-1].end is None
    assert ticks(spans) == minutes_billed * TICKS_PER_MINUTE


def test_a_v1_endpoint_costs_a_range() -> None:
    started = Edge(at(10), "STARTED", 1, 3, sku=SKU)

    free, bills = meter(Edge(at(0), "STARTING", 0, 0, sku=SKU), started)

    assert (free.condition, bills.rate_low, bills.rate_high) == ("free", NANO, 3 * NANO)


def test_bounds_of_a_v1_endpoint_that_are_read_less_often_bill_between_old_and_new() -> None:
    before = Edge(at(0), "STARTED", 1, 1, sku=SKU)
    after = Edge(at(40), "STARTED", 2, 4, "poll", at(20), sku=SKU)

    assert tell(meter(before, after)) == [(0, "bills", 1, 1), (20, "bills", 1, 4), (40, "bills", 2, 4)]


def test_before_the_first_edge_nothing_is_known() -> None:
    spans = meter(poll(300, "READY", 1, seen_before=0))

    assert tell(spans) == [(0, "unknown", 0, 3), (300, "bills", 1, 1)]
    assert (spans[0].bound_low, spans[0].bound_high) == (0, 3 * 300 * TICKS_PER_MINUTE)
    assert ticks(spans[:1]) == 0


def test_what_nobody_looked_at_is_a_row_that_says_so_with_its_bounds() -> None:
    spans = meter(event(0, "READY", 1), blind=[(at(60), at(90))])

    assert tell(spans) == [(0, "bills", 1, 1), (60, "unknown", 0, 3), (90, "bills", 1, 1)]
    assert spans[1].bound_high == 3 * 30 * TICKS_PER_MINUTE
    assert add_costs(price_span(span, until=NOW) for span in spans).unknown_us == 30 * 60_000_000


def test_what_is_gone_is_not_unknown_when_nobody_looks() -> None:
    spans = meter(event(0, "READY", 1), event(30, GONE, 0), blind=[(at(60), NOW)])

    assert tell(spans) == [(0, "bills", 1, 1), (30, "free", 0, 0)]


def test_an_edge_between_looks_far_apart_has_an_unknown_stretch_before_it() -> None:
    spans = meter(event(0, "READY", 1), poll(60, "STOPPED", 0, seen_before=50))

    assert tell(spans) == [(0, "bills", 1, 1), (50, "unknown", 0, 3), (60, "free", 0, 0)]


def test_a_polled_edge_bounds_the_cost_on_both_of_its_sides() -> None:
    bills, _ = meter(event(0, "READY", 1), poll(60.5, "STOPPED", 0))

    assert (bills.end, bills.end_earliest, bills.end_latest) == (at(60.25), at(60), at(60.5))
    assert (bills.bound_low, bills.bound_high) == (
        60 * TICKS_PER_MINUTE,
        60 * TICKS_PER_MINUTE + TICKS_PER_MINUTE // 4,
    )


def test_intervals_that_bill_end_at_midnight_and_free_ones_do_not() -> None:
    midnight = at(15 * 60)
    now = at(15 * 60 + 24 * 60 + 90)
    running = meter(event(0, "READY", 1), now=now)
    stopped = meter(event(0, "STOPPED", 0), now=now)

    assert [span.start for span in running] == [at(0), midnight, midnight + timedelta(days=1)]
    assert len(stopped) == 1
    assert ticks(running, now) == (now - at(0)) // timedelta(minutes=1) * TICKS_PER_MINUTE


def test_a_price_change_cuts_the_interval_and_never_touches_what_came_before() -> None:
    book = PriceBook(
        [
            PriceRecord(SKU, NANO, at(0), at(60), Origin.CATALOGUE),
            PriceRecord(SKU, 2 * NANO, at(60), None, Origin.CATALOGUE),
        ]
    )

    first, second = meter(event(0, "READY", 1), book=book)

    assert (first.end, first.nano_usd_per_hour, second.nano_usd_per_hour) == (at(60), NANO, 2 * NANO)


def test_a_price_that_is_posted_stays() -> None:
    book = PriceBook([PriceRecord(SKU, 2 * NANO, None, None, Origin.FINANCE, "new contract")])
    step = BOOK.at(SKU, at(0))

    spans = meter(event(0, "READY", 1), book=book, posted=[PostedPrice(at(0), at(60), step, SKU)])

    assert [(span.start, span.nano_usd_per_hour) for span in spans] == [(at(0), NANO), (at(60), 2 * NANO)]


def test_an_unknown_price_is_never_zero() -> None:
    (span,) = meter(event(0, "READY", 2), book=PriceBook())

    assert (span.condition, span.nano_usd_per_hour, span.rate_high, span.units_high) == ("bills", None, 0, 2)
    assert price_span(span, until=NOW).unpriced_us == 600 * 60_000_000


def test_idle_time_is_cut_out_of_what_ran() -> None:
    traffic = Traffic(at(0), [(at(0), NOW)], [(at(0), at(60)), (at(120), NOW)])

    spans = meter(event(0, "READY", 1), traffic=traffic)

    assert [(span.start, span.use) for span in spans] == [
        (at(0), "busy"),
        (at(60), "idle"),
        (at(120), "busy"),
    ]
    assert add_costs(price_span(span, until=NOW) for span in spans).idle_low == 60 * TICKS_PER_MINUTE


def test_each_run_is_rounded_up_when_the_rules_say_so() -> None:
    bills, free = meter(event(0, "READY", 1), event(60.5, "STOPPED", 0), rounding="minute")

    assert bills.rounding_us == 30_000_000
    assert ticks([bills, free]) == 61 * TICKS_PER_MINUTE


def test_words_of_pure_modules_are_those_of_the_models() -> None:
    assert [one.value for one in metering.Condition] == [value for value, _ in Condition.choices]
    assert [one.value for one in metering.Use] == [value for value, _ in Use.choices]
    assert [one.value for one in metering.Source] == [value for value, _ in IntervalSource.choices]


STATES = st.sampled_from(["PROVISIONING", "READY", "SCALING", "DEGRADED", "STOPPING", "STOPPED"])


@st.composite
def lives(draw: st.DrawFn) -> list[Edge]:
    """Draw edges by event and by poll, in any order of knowledge."""
    edges = []
    for minutes in sorted(draw(st.lists(st.integers(0, 590 * 60), min_size=1, max_size=8, unique=True))):
        ready = draw(st.integers(0, 3))
        state = draw(STATES)
        if draw(st.booleans()):
            edges.append(event(minutes / 60, state, ready))
        else:
            edges.append(
                poll(minutes / 60, state, ready, seen_before=max(0, minutes / 60 - draw(st.floats(0, 5))))
            )
    return edges


BLIND = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 90)), max_size=3).map(
    lambda drawn: [(at(begin), at(min(begin + length, 600))) for begin, length in sorted(drawn)]
)


@given(edges=lives(), blind=BLIND, rounding=st.sampled_from(["exact", "second", "minute"]))
def test_spans_cover_the_life_without_hole_or_overlap_and_their_bounds_hold_them(
    edges: list[Edge], blind: list, rounding: str
) -> None:
    spans = meter(*edges, blind=blind, rounding=rounding)

    check_cover(spans, since=spans[0].start)
    assert spans[0].start == at(0)
    assert spans[-1].end is None
    for span in spans:
        if span.bound_low is None:
            continue
        cost = price_span(span, until=NOW)
        assert span.bound_low <= span.bound_high
        if span.condition == "bills":
            assert span.bound_low <= cost.low
            assert cost.high <= span.bound_high


@given(edges=lives(), blind=BLIND, cut=st.integers(1, 599))
def test_metering_from_any_instant_on_gives_the_end_of_the_whole(
    edges: list[Edge], blind: list, cut: int
) -> None:
    whole, part = meter(*edges, blind=blind), meter(*edges, blind=blind, since=at(cut))

    check_cover(part, since=at(cut))
    assert [span for span in whole if span.start > at(cut)] == part[1:]
    before = [replace(span, end=min(span.end or NOW, at(cut))) for span in whole if span.start < at(cut)]
    assert ticks(before) + ticks(part) == ticks(whole)


@given(edges=lives(), cuts=st.lists(st.integers(1, 599), max_size=5))
def test_the_cost_of_any_partition_is_that_of_the_whole(edges: list[Edge], cuts: list[int]) -> None:
    spans = meter(*edges)
    marks = [at(0), *(at(cut) for cut in sorted(set(cuts))), NOW]

    total = 0
    for start, end in itertools.pairwise(marks):
        for span in spans:
            begins, ends = max(span.start, start), min(span.end or NOW, end)
            if begins < ends:
                total += price_span(replace(span, start=begins, end=ends), until=NOW).low

    assert total == ticks(spans)


@given(lives())
def test_knowing_an_event_late_comes_to_the_same_as_knowing_it_in_time(edges: list[Edge]) -> None:
    for late in edges:
        others = [edge for edge in edges if edge is not late]

        assert meter(*others, late) == meter(*edges)
