"""What bills of a resource from its edges, prepaid terms and jobs: tables of cases."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering import MICROSECOND, Condition, SpanDraft, check_cover, free, price_span, unknown
from billing.metering_edges import GONE, POLL, Edge
from billing.price_book import Origin, PriceBook, PriceRecord
from billing.resource_edges import PHASE, Change, list_cluster, list_polled, list_volume
from billing.resource_metering import (
    Job,
    Life,
    charge_term,
    cut_before,
    insert_lump,
    meter_fine_tune,
    meter_resource,
    put_before,
    read_term,
)
from dashboard.together_api import payloads
from tests.factories import NOW

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SKU = "cluster/H100_SXM/ON_DEMAND"
START = NOW - 6 * HOUR


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def poll(minutes: float, units: int, *, state: str = "Ready", before: float | None = None) -> Change:
    return Change(at(minutes), None if before is None else at(before), state, units, is_poll=True)


def node(name: str, *phases: tuple[float, str], gone: float | None = None, gpus: int = 8) -> dict[str, Any]:
    body = {
        "node_id": name,
        "num_gpus": gpus,
        "phase_transitions": [
            {"phase": f"NODE_PHASE_{phase}", "transition_time": at(minutes).isoformat()}
            for minutes, phase in phases
        ],
    }
    return body | ({"deleted_at": at(gone).isoformat()} if gone is not None else {})


def cluster(
    *nodes: dict[str, Any], former: tuple[dict[str, Any], ...] = (), **fields: Any
) -> payloads.Cluster:
    usual = {
        "cluster_id": "c-1",
        "gpu_type": "H100_SXM",
        "status": "Ready",
        "gpu_worker_nodes": list(nodes),
        "deleted_gpu_worker_nodes": list(former),
        "phase_transitions": [{"phase": "CLUSTER_PHASE_READY", "transition_time": at(0).isoformat()}],
    }
    return payloads.Cluster.parse(usual | fields)


def lay(edges: list[Edge]) -> list[tuple[float, int, int]]:
    """Return (minute, least, most GPUs) of each edge."""
    return [((edge.at - START) / MINUTE, edge.low, edge.high) for edge in edges]


RUNS = (0, "RUNNING")


@pytest.mark.parametrize(
    ("body", "edges"),
    [
        (cluster(node("a", RUNS)), [(0, 8, 8)]),
        (cluster(node("a", (0, "PENDING"), (5, "RUNNING"))), [(0, 0, 0), (5, 8, 8)]),
        (cluster(node("a", RUNS, (9, "FAILED"))), [(0, 8, 8), (9, 0, 0)]),
        (cluster(node("a", RUNS, (9, "SOMETHING_NEW"))), [(0, 8, 8), (9, 8, 8)]),
        # A node that left is known by its own history.
        (
            cluster(node("a", RUNS), former=(node("b", RUNS, (7, "SUCCEEDED"), gone=7),)),
            [(0, 16, 16), (7, 8, 8)],
        ),
        # Prepaid GPUs cost nothing by the hour. With one of them down nobody tells which of the others is prepaid.
        (
            cluster(node("a", RUNS), node("b", RUNS, (3, "FAILED")), num_reserved_gpus=8),
            [(0, 8, 8), (3, 0, 8)],
        ),
        (cluster(node("a", RUNS), num_reserved_gpus=8), [(0, 0, 0)]),
        # What preemptible GPUs cost less is not told.
        (cluster(node("a", RUNS), node("b", RUNS), allocated_preemptible_gpus=8), [(0, 8, 16)]),
        # Paused compute costs nothing, whatever its nodes say.
        (
            cluster(
                node("a", RUNS),
                phase_transitions=[
                    {"phase": "CLUSTER_PHASE_READY", "transition_time": at(0).isoformat()},
                    {"phase": "CLUSTER_PHASE_ON_DEMAND_COMPUTE_PAUSED", "transition_time": at(4).isoformat()},
                ],
            ),
            [(0, 8, 8), (4, 0, 0)],
        ),
    ],
)
def test_phases_of_nodes_tell_what_bills(body, edges):
    assert lay(list_cluster([], body=body, sku=SKU)) == edges


def test_a_node_without_phases_leaves_what_was_polled():
    body = cluster(node("a", RUNS), node("b"))

    edges = list_cluster([poll(1, 16, before=0), poll(8, 8, before=7)], body=body, sku=SKU)

    assert [(edge.source, edge.low) for edge in edges] == [(POLL, 16), (POLL, 8)]


def test_polls_that_the_phases_show_add_nothing():
    body = cluster(node("a", (0, "PENDING"), (5, "RUNNING")))

    edges = list_cluster([poll(0.5, 0, before=0), poll(5.5, 8, before=5)], body=body, sku=SKU)

    assert [edge.source for edge in edges] == [PHASE, PHASE]


def test_a_node_that_left_without_a_trace_counts_as_it_was_polled_until_the_poll_without_it():
    body = cluster(node("a", RUNS))

    edges = list_cluster([poll(1, 16, before=0), poll(8, 8, before=7)], body=body, sku=SKU)

    assert [(edge.source, edge.low, (edge.at - START) / MINUTE) for edge in edges] == [
        (PHASE, 8, 0),
        (POLL, 16, 1),
        (POLL, 8, 8),
    ]


def test_what_is_gone_is_always_said():
    edges = list_cluster([poll(9, 0, state=GONE, before=8)], body=cluster(node("a", RUNS)), sku=SKU)

    assert edges[-1].state == GONE


@pytest.mark.parametrize(
    ("changes", "edges"),
    [
        # From its making on, at the size that the next look tells; before the first look that shows it, nothing.
        (
            [poll(1, 0, state="provisioning", before=0), poll(2, 4, state="available", before=1)],
            [(0, 0, 0), (1, 4, 4), (2, 4, 4)],
        ),
        ([poll(1, 0, state="provisioning")], [(1, 7, 7)]),
        ([poll(1, 4, state="access_revoked")], [(1, 4, 4)]),
        ([poll(1, 4, state="deleting")], [(1, 4, 4)]),
        ([poll(1, 4, state="bound"), poll(5, 0, state=GONE, before=4)], [(1, 4, 4), (5, 0, 0)]),
        ([poll(1, 0, state="failed")], [(1, 0, 7)]),
        ([], []),
    ],
)
def test_a_volume_bills_while_it_is_there(changes, edges):
    assert lay(list_volume(changes, sku="volume", size_tib=7)) == edges


def test_units_of_containers_are_those_that_were_seen():
    changes = [poll(1, 2), Change(at(2), None, "Ready", None, is_poll=False), poll(3, 9, state=GONE)]

    assert lay(list_polled(changes, sku="container/h100-80gb")) == [(1, 2, 2), (3, 0, 0)]


# Spans


def book(sku: str = SKU, nano: int = 3_000_000_000) -> PriceBook:
    return PriceBook([PriceRecord(sku, nano, None, None, Origin.FINANCE, "quote")])


def test_spans_name_the_phases_as_their_evidence_and_cost_what_they_say():
    edges = list_cluster([], body=cluster(node("a", RUNS, (60, "FAILED"))), sku=SKU)

    spans = meter_resource(Life(edges, "GPU", created_at=START), prices=book(), now=NOW)

    assert [(span.condition, span.evidence) for span in spans] == [
        ("bills", "Ready: 8 GPU by the phases that the provider dates."),
        ("free", "Ready: 0 GPU by the phases that the provider dates."),
    ]
    assert price_span(spans[0], until=NOW).nano_low == 8 * 3_000_000_000
    check_cover(spans, since=START)


CHANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.integers(0, 12)), max_size=12)


@given(CHANGES, st.booleans(), st.integers(0, 60))
def test_spans_of_any_history_leave_no_hole_and_their_bounds_hold_their_cost(history, is_priced, cut):
    minute, changes = 0, []
    for step, before, units in history:
        minute += step
        changes.append(poll(minute, units, before=max(0, minute - before)))
    now = at(minute + 10)
    life = Life(list_polled(changes, sku=SKU), "GPU", created_at=START)
    prices = book() if is_priced else PriceBook()

    whole = meter_resource(life, prices=prices, now=now)
    since = at(min(cut, minute))
    part = meter_resource(life, prices=prices, now=now, since=since)

    if not changes:
        assert whole == []
        return
    check_cover(whole, since=START)
    check_cover(part, since=since)
    assert whole[-1].end is None
    for span in whole:
        cost = price_span(span, until=now)
        if span.condition == Condition.BILLS and span.bound_low is not None:
            assert span.bound_low <= cost.low <= cost.high <= span.bound_high


# Prepaid terms

TERM = {
    "num_reserved_gpus": 16,
    "duration_hours": 72,
    "first_ready_at": at(0).isoformat(),
    "reservation_start_time": at(0).isoformat(),
    "reservation_end_time": (START + 3 * DAY).isoformat(),
}


@pytest.mark.parametrize(
    ("fields", "gpu_hours"),
    [
        ({}, 16 * 72),
        ({"reservation_end_time": (START + 4 * DAY).isoformat()}, 16 * 96),
        # Less is not refunded.
        ({"reservation_end_time": (START + 1 * DAY).isoformat()}, 16 * 72),
        ({"first_ready_at": None}, 16 * 72),  # the cluster's own phases say when it was Ready
        ({"duration_hours": None, "reservation_end_time": None}, None),
    ],
)
def test_the_hours_of_a_term(fields, gpu_hours):
    term = read_term(cluster(**(TERM | fields)))

    assert term is not None
    assert (term.at, term.sku) == (START, "cluster/H100_SXM/RESERVED")
    assert term.gpu_hours == gpu_hours


@pytest.mark.parametrize(
    "fields",
    [
        {"num_reserved_gpus": 0},
        {"first_ready_at": None, "phase_transitions": []},
        {"num_reserved_gpus": None},
    ],
)
def test_without_a_reservation_or_before_ready_nothing_is_prepaid(fields):
    assert read_term(cluster(**(TERM | fields))) is None


def test_a_term_is_one_lump_and_unpriced_without_a_price():
    term = read_term(cluster(**TERM))
    assert term is not None

    paid = charge_term(term, prices=book("cluster/H100_SXM/RESERVED", 2_990_000_000))
    unpriced = charge_term(term, prices=PriceBook())

    assert paid.lump_nano_usd == 16 * 72 * 2_990_000_000
    assert (unpriced.lump_nano_usd, unpriced.nano_usd_per_hour) == (0, None)
    assert price_span(unpriced, until=NOW).unpriced_us == 1


def lump_at(moment: datetime) -> SpanDraft:
    return SpanDraft(moment, moment + MICROSECOND, "bills", "phase", lump_nano_usd=5)


@pytest.mark.parametrize("moment", [START, START + HOUR, START + 2 * HOUR - MICROSECOND, START + 3 * HOUR])
def test_a_lump_takes_its_microsecond_wherever_it_falls(moment):
    spans = [
        free(START, START + HOUR, state="a", source="phase"),
        SpanDraft(START + HOUR, START + 2 * HOUR, "bills", "poll", bound_low=1, bound_high=9),
        free(START + 2 * HOUR, None, state="b", source="phase"),
    ]

    found = insert_lump(spans, lump_at(moment))

    check_cover(found, since=START)
    assert sum(span.lump_nano_usd for span in found) == 5
    assert [span.bound_high for span in found if span.bound_high] == [9]


def test_a_lump_of_before_is_left_out():
    spans = [free(START, None, state="a", source="phase")]

    assert insert_lump(spans, lump_at(START - HOUR)) == spans


# Jobs


def job(state: str, **fields: Any) -> Job:
    usual = {"created_at": START, "seen_at": START + HOUR, "finished_at": START + 2 * HOUR}
    return Job(state=state, **(usual | fields))


@pytest.mark.parametrize(
    ("given_job", "lump", "unpriced_us", "unknown_us"),
    [
        (job("completed", total_nano_usd=6_710_000_000), 6_710_000_000, 0, 0),
        (job("cancelled", total_nano_usd=4_000_000_000), 4_000_000_000, 0, 0),
        (job("cancelled", total_nano_usd=0), 0, 0, 0),
        (job("completed", total_nano_usd=None), 0, 1, 0),
        # Refunded in full, whatever the total says.
        (job("error", total_nano_usd=6_710_000_000), 0, 0, 0),
        (job("running", finished_at=None, total_nano_usd=6_710_000_000), 0, 0, 0),
        (job("running", finished_at=None, gone_at=START + 3 * HOUR), 0, 0, 2 * 3_600_000_000),
        (job("completed", finished_at=START - HOUR, total_nano_usd=5), 5, 0, 0),
    ],
)
def test_a_fine_tune_is_charged_once_at_its_end(given_job, lump, unpriced_us, unknown_us):
    spans = meter_fine_tune(given_job)

    check_cover(spans, since=START)
    assert spans[-1].end is None
    costs = [price_span(span, until=NOW) for span in spans]
    assert sum(span.lump_nano_usd for span in spans) == lump
    assert sum(cost.unpriced_us for cost in costs) == unpriced_us
    assert sum(cost.unknown_us for cost in costs) == unknown_us


# The past from the bill


def test_the_bill_takes_the_place_of_what_nobody_knew():
    first = START + 4 * HOUR
    spans = [
        unknown(START, first, evidence="nothing"),
        free(first, None, state="Ready", source="poll"),
    ]
    past = [free(START + 2 * HOUR, first, state="", source="bill")]

    found = put_before(past, spans, first=first)

    check_cover(found, since=START)
    assert [(span.condition, span.source) for span in found] == [
        ("unknown", "estimate"),
        ("free", "bill"),
        ("free", "poll"),
    ]


def test_the_bill_reaches_back_before_the_first_thing_known():
    spans = [free(START, None, state="available", source="poll")]
    past = [free(START - DAY, START, state="", source="bill")]

    found = put_before(past, spans, first=START)

    check_cover(found, since=START - DAY)


def test_spans_are_cut_where_they_reach_over_an_instant():
    spans = [
        free(START, START + HOUR, state="a", source="poll"),
        free(START + HOUR, None, state="b", source="poll"),
    ]

    assert [span.start for span in cut_before(spans, START + HOUR / 2)] == [START + HOUR / 2, START + HOUR]
    assert len(cut_before(spans, START + 5 * HOUR)) == 1
