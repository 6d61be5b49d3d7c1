"""Edges: events go before polls, a poll's edge lies in the middle of its bound, contradictions count until the next."""

from datetime import timedelta

import pytest

from billing.metering_edges import BLIND_AFTER, find_blind, name_turn, settle_edges
from tests.billing.metering_cases import at, event, poll


def test_a_poll_that_an_event_explains_adds_nothing() -> None:
    turns = settle_edges([event(10, "READY", 1), poll(10.4, "READY", 1)])

    assert [(turn.at, turn.is_exact) for turn in turns] == [(at(10), True)]


def test_a_poll_alone_is_dated_to_the_middle_of_its_bound() -> None:
    (turn,) = settle_edges([poll(10.5, "READY", 1)])

    assert (turn.earliest, turn.at, turn.latest) == (at(10), at(10.25), at(10.5))
    assert name_turn(turn) == (
        "READY, first seen at 2026-11-20 09:10:30 UTC, not yet at 2026-11-20 09:10:00 UTC; the middle is taken."
    )


def test_a_look_that_came_late_with_an_old_state_does_not_undo_the_event_after_it() -> None:
    # The look was answered just after the event, with the state of just before.
    edges = [event(10, "SCALING", 1), event(13, "READY", 2), poll(13.01, "SCALING", 1, seen_before=12.5)]

    assert [turn.edge.state for turn in settle_edges(edges)] == ["SCALING", "READY"]


def test_a_poll_that_contradicts_the_events_counts_until_the_next_look() -> None:
    edges = [event(10, "READY", 2), poll(20, "DEGRADED", 1), poll(21, "READY", 2)]

    turns = settle_edges(edges)

    assert [(turn.edge.state, turn.at) for turn in turns] == [
        ("READY", at(10)),
        ("DEGRADED", at(19.75)),
        ("READY", at(20.75)),
    ]


def test_the_bound_of_a_poll_begins_after_the_edge_before_it() -> None:
    turns = settle_edges([event(10, "SCALING", 1), poll(10.4, "READY", 2, seen_before=9.9)])

    assert turns[-1].earliest == at(10)


def test_two_looks_far_apart_leave_their_middle_unseen() -> None:
    turns = settle_edges([poll(10, "READY", 1), poll(20, "STOPPED", 0, seen_before=15)])

    assert [turn.is_unseen for turn in turns] == [False, True]


@pytest.mark.parametrize(
    ("gap", "known_until", "expected"),
    [
        ((at(0), at(30)), None, [(at(0), at(30))]),
        ((at(0), None), None, [(at(0), at(60))]),
        ((at(0), at(30)), at(10), [(at(10), at(30))]),
        ((at(0), at(30)), at(30), []),
        ((at(0), None), at(90), []),
    ],
    ids=["no feed", "goes on", "read into it", "read past it", "read beyond now"],
)
def test_the_feed_tells_what_nobody_looked_at(gap: tuple, known_until: object, expected: list) -> None:
    assert find_blind([gap], known_until=known_until, now=at(60)) == expected  # type: ignore[arg-type]


def test_a_bound_as_long_as_the_limit_still_has_a_middle() -> None:
    minutes = BLIND_AFTER / timedelta(minutes=1)

    (turn,) = settle_edges([poll(10, "READY", 1, seen_before=10 - minutes)])

    assert not turn.is_unseen
