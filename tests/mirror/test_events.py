"""Reading edges out of the provider's event feed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.events import SCALED, STATUS_UPDATED, Context, FeedEvent, derive_edges

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
READY = "DEPLOYMENT_STATE_READY"
STOPPED = "DEPLOYMENT_STATE_STOPPED"
SCALING = "DEPLOYMENT_STATE_SCALING"


def status(seconds: int, state: str, message: str = "", *, replicas: int | None = None) -> FeedEvent:
    moment = START + timedelta(seconds=seconds)
    return FeedEvent(f"evt_{seconds}", moment, STATUS_UPDATED, state, replicas, message)


def scaled(seconds: int, replicas: int | None) -> FeedEvent:
    return FeedEvent(f"evt_s{seconds}", START + timedelta(seconds=seconds), SCALED, "", replicas, "Scaled")


def summarize(events, context=None):
    return [(one.state, one.ready_replicas) for one in derive_edges(events, context=context)]


@pytest.mark.parametrize(
    ("events", "edges"),
    [
        pytest.param([status(0, READY, "2/2 replicas ready")], [(READY, 2)], id="count in words"),
        pytest.param([status(0, SCALING, "1/3 ready, pulling")], [(SCALING, 1)], id="shorter words"),
        pytest.param([status(0, READY, "4/5 ready", replicas=3)], [(READY, 3)], id="own count wins"),
        pytest.param([scaled(0, 2), status(5, READY)], [(READY, 2)], id="scaled before"),
        pytest.param([status(5, READY), scaled(5, 2)], [(READY, 2)], id="scaled at the same instant"),
        pytest.param([status(0, READY)], [(READY, None)], id="nobody counted"),
        pytest.param([scaled(0, 2), status(5, SCALING)], [(SCALING, None)], id="wanted is not ready"),
        pytest.param([scaled(0, 2), status(5, STOPPED)], [(STOPPED, 0)], id="a stopped one has none"),
        pytest.param(
            [status(0, "DEPLOYMENT_STATE_NAPPING")], [("DEPLOYMENT_STATE_NAPPING", None)], id="unknown"
        ),
        pytest.param([status(0, ""), scaled(1, 3)], [], id="events without a state"),
        pytest.param([status(0, READY), status(9, READY)], [(READY, None)], id="a repeat says nothing new"),
        pytest.param([scaled(0, None), status(1, READY)], [(READY, None)], id="a scaling without a number"),
    ],
)
def test_edges_take_the_best_count_that_is_there(events, edges):
    assert summarize(events) == edges


def test_what_was_wanted_before_the_first_event_counts():
    assert summarize([status(0, READY)], Context(desired_replicas=4)) == [(READY, 4)]


feeds = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 600), st.sampled_from([READY, STOPPED, SCALING])).map(lambda p: status(*p)),
        st.tuples(st.integers(0, 600), st.sampled_from([None, 0, 1, 2])).map(lambda p: scaled(*p)),
    ),
    unique_by=lambda one: one.id,
)


@given(feeds, st.randoms())
def test_the_order_in_which_a_feed_arrives_does_not_matter(feed, random):
    shuffled = random.sample(feed, len(feed))

    assert derive_edges(shuffled) == derive_edges(feed)


@given(feeds)
def test_edges_are_in_order_and_never_repeat(feed):
    edges = derive_edges(feed)

    assert all(one.at < other.at for one, other in pairwise(edges))
    assert not any(
        (one.state, one.ready_replicas) == (other.state, other.ready_replicas)
        for one, other in pairwise(edges)
    )
    assert {one.event_id for one in edges} <= {one.id for one in feed}
