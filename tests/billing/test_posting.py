"""Posting: twice is once, late is the same as in time, what is posted changes only by reversal and correction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import hypothesis.strategies as st
from hypothesis import given

from billing.metering import SpanDraft
from billing.metering_deployments import Facts, meter_deployment
from billing.metering_edges import Edge
from billing.posting import KnownSpan, Plan, has_entry, plan_posting
from tests.billing.metering_cases import BOOK, NANO, START, at, event, poll


def bills(start: float, end: float | None, *, units: int = 1, **fields: object) -> SpanDraft:
    draft = SpanDraft(
        at(start), None if end is None else at(end), "bills", "event", units_low=units, units_high=units,
        nano_usd_per_hour=NANO, rate_low=units * NANO, rate_high=units * NANO,
    )  # fmt: skip
    return replace(draft, **fields)  # type: ignore[arg-type]


def free(start: float, end: float | None) -> SpanDraft:
    return SpanDraft(at(start), None if end is None else at(end), "free", "event")


def unknown(start: float, end: float | None) -> SpanDraft:
    return SpanDraft(
        at(start), None if end is None else at(end), "unknown", "estimate", bound_low=0, bound_high=9
    )


@dataclass
class Books:
    """Intervals and journal of one meter, written as billing/ledger.py does."""

    intervals: list[KnownSpan] = field(default_factory=list)
    entries: list[tuple[int, SpanDraft]] = field(default_factory=list)
    next_pk: int = 1

    def post(
        self, drafts: Sequence[SpanDraft], *, since: datetime = START, settled_until: datetime = START
    ) -> Plan:
        known = [one for one in self.intervals if one.draft.end is None or one.draft.end > since]
        plan = plan_posting(known, drafts, since=since, settled_until=settled_until)
        gone = {one.pk for one in plan.deleted}
        settled = {one.pk for one in plan.settled}
        self.entries += [(-1, one.draft) for one in plan.reversed]
        self.entries += [(1, one.draft) for one in plan.settled if has_entry(one.draft)]
        self.entries += [(1, new.draft) for new in plan.inserted if new.is_posted]
        self.intervals = [
            replace(one, is_settled=one.is_settled or one.pk in settled)
            for one in self.intervals
            if one.pk not in gone
        ]
        for new in plan.inserted:
            self.intervals.append(KnownSpan(self.next_pk, new.draft, new.is_settled))
            self.next_pk += 1
        self.intervals.sort(key=lambda one: one.draft.start)
        return plan

    def net(self) -> Counter[SpanDraft]:
        """Return the entries that no reversal takes back. Raises AssertionError for a reversal of nothing."""
        total: Counter[SpanDraft] = Counter()
        for sign, draft in self.entries:
            total[draft] += sign
            assert total[draft] >= 0
        return +total

    def settled(self) -> Counter[SpanDraft]:
        return Counter(one.draft for one in self.intervals if one.is_settled and has_entry(one.draft))


def test_posting_the_same_again_writes_nothing() -> None:
    books = Books()
    drafts = [free(0, 10), bills(10, 60), bills(60, None)]

    first = books.post(drafts, settled_until=at(60))
    second = books.post(drafts, settled_until=at(60))

    assert len(first.inserted) == 3
    assert second.is_empty


def test_what_is_free_settles_without_an_entry() -> None:
    books = Books()

    books.post([free(0, 10), bills(10, 60), bills(60, None)], settled_until=at(60))

    assert [one.is_settled for one in books.intervals] == [True, True, False]
    assert books.entries == [(1, bills(10, 60))]


def test_what_is_not_posted_is_rewritten_without_a_trace() -> None:
    books = Books()
    books.post([bills(0, None)])

    books.post([bills(0, 30), free(30, None)])

    assert not books.entries
    assert [one.draft.condition for one in books.intervals] == ["bills", "free"]


def test_late_knowledge_takes_back_what_was_posted_and_corrects_it() -> None:
    books = Books()
    books.post([bills(0, 60), free(60, None)], settled_until=at(60))

    plan = books.post([bills(0, 50), free(50, None)], settled_until=at(60))

    assert [one.draft for one in plan.reversed] == [bills(0, 60)]
    assert [(new.draft, new.is_correction) for new in plan.inserted] == [
        (bills(0, 50), True),
        (free(50, None), True),
    ]
    assert books.net() == Counter([bills(0, 50)])


def test_a_better_reason_for_the_same_amount_changes_nothing_that_is_posted() -> None:
    books = Books()
    books.post([bills(0, 60, source="poll", evidence="seen"), free(60, None)], settled_until=at(60))

    plan = books.post([bills(0, 60, source="event", evidence="evt_1"), free(60, None)], settled_until=at(60))

    assert plan.is_empty


def test_an_interval_that_reaches_over_the_beginning_keeps_its_first_part() -> None:
    books = Books()
    books.post([bills(0, 60), free(60, None)], settled_until=at(60))

    books.post([bills(40, 60, units=2), free(60, None)], since=at(40), settled_until=at(60))

    assert [(one.draft.start, one.draft.units_low) for one in books.intervals][:2] == [
        (at(0), 1),
        (at(40), 2),
    ]
    assert books.net() == books.settled()


def test_what_was_posted_does_not_become_unknown_because_nobody_tells_it_any_more() -> None:
    books = Books()
    books.post([bills(0, 60), free(60, 90), bills(90, None)], settled_until=at(90))

    plan = books.post([unknown(0, 120), bills(120, None)], settled_until=at(120))

    assert not plan.reversed
    assert [(one.draft.start, one.draft.condition) for one in books.intervals] == [
        (at(0), "bills"),
        (at(60), "free"),
        (at(90), "unknown"),
        (at(120), "bills"),
    ]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Edge], list[int]]:
    """Draw a life and the order in which it becomes known."""
    edges = []
    for minute in sorted(draw(st.lists(st.integers(1, 590), min_size=1, max_size=6, unique=True))):
        ready = draw(st.integers(0, 2))
        make = event if draw(st.booleans()) else poll
        edges.append(make(minute, "READY" if ready else "STOPPED", ready))
    return edges, draw(st.permutations(range(len(edges))))


@given(histories(), st.lists(st.integers(0, 600), min_size=1, max_size=4))
def test_whatever_becomes_known_late_the_net_entries_are_those_of_knowing_it_in_time(
    history: tuple[list[Edge], list[int]], settlings: list[int]
) -> None:
    edges, order = history
    late, timely = Books(), Books()

    known: list[Edge] = []
    for place, position in enumerate(order):
        known.append(edges[position])
        settled_until = at(max(settlings[: place + 1]))
        late.post(_meter(known), settled_until=settled_until)
        assert late.net() == late.settled()
    last = at(max(settlings))
    late.post(_meter(edges), settled_until=last)
    timely.post(_meter(edges), settled_until=last)

    assert _counting(late.net()) == _counting(timely.net())
    assert _counting(late.settled()) == _counting(timely.settled())


def _meter(edges: Sequence[Edge]) -> list[SpanDraft]:
    return meter_deployment(Facts(edges, created_at=at(0), ceiling=2), prices=BOOK, now=at(600))


def _counting(drafts: Counter[SpanDraft]) -> Counter[tuple[object, ...]]:
    """Return what is charged and for when; the words of an older reason may stay, and unknown is not charged."""
    return Counter(
        {
            (one.start, one.end, one.units_low, one.units_high, one.rate_low, one.rate_high): count
            for one, count in drafts.items()
            if one.condition == "bills"
        }
    )
