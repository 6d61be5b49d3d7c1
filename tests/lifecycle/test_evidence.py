"""Evidence over recorded traffic, and its SQL twin."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.lifecycle.evidence import Facts, Verdict, weigh
from dashboard.lifecycle.idleness import gather_facts, idle_filter
from dashboard.mirror.models import Endpoint
from tests import factories

NOW = datetime(2026, 11, 20, 13, 49, tzinfo=UTC)


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def make_facts(**fields: object) -> Facts:
    defaults: dict[str, object] = {
        "status": "running",
        "ready_since": minutes_ago(300),
        "last_request_at": minutes_ago(47),
        "traffic_read_until": minutes_ago(1),
        "generation": "v2",
    }
    return Facts(**(defaults | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "verdict", "sentence"),
    [
        (make_facts(), Verdict.IDLE, "idle 47 min: last request 13:02"),
        (make_facts(last_request_at=minutes_ago(14)), Verdict.ACTIVE, "in use: last request 14 min ago"),
        (make_facts(last_request_at=None), Verdict.IDLE, "idle 5 h 00 min: no request since ready at 08:49"),
        (
            make_facts(ready_since=minutes_ago(30), last_request_at=minutes_ago(600)),
            Verdict.IDLE,
            "idle 30 min: no request since ready at 13:19",
        ),
        (
            make_facts(ready_since=minutes_ago(14)),
            Verdict.ACTIVE,
            "ready for 14 min: the first 15 min do not count as idle",
        ),
        (
            make_facts(traffic_read_until=minutes_ago(6)),
            Verdict.BLIND,
            "traffic unknown since 13:43: counts as active",
        ),
        (make_facts(traffic_read_until=None), Verdict.BLIND, "traffic unknown: never read"),
        (make_facts(ready_since=None), Verdict.BLIND, "ready since an unknown time: counts as active"),
        (
            make_facts(generation="v1"),
            Verdict.NO_SIGNAL,
            "no traffic signal: v1 endpoints report no requests",
        ),
        (make_facts(status="stopped"), Verdict.ACTIVE, "not serving: idleness is no question"),
        (make_facts(status="degraded"), Verdict.ACTIVE, "degraded: counts as active"),
    ],
)
def test_verdict_and_sentence(facts: Facts, verdict: Verdict, sentence: str) -> None:
    evidence = weigh(facts, now=NOW)

    assert (evidence.verdict, evidence.sentence) == (verdict, sentence)
    assert (evidence.idle_since is not None) == (verdict is Verdict.IDLE)


moments = st.one_of(
    st.none(),
    st.sampled_from([5, 15]).map(minutes_ago),
    st.integers(-60, 2_000).map(lambda seconds: NOW - timedelta(seconds=seconds)),
)
many_facts = st.builds(
    Facts,
    status=st.sampled_from(["running", "running", "running", "stopped", "degraded", "unknown"]),
    ready_since=moments,
    last_request_at=moments,
    traffic_read_until=moments,
    generation=st.sampled_from(["v1", "v2", "v2"]),
)


@given(many_facts)
def test_idle_only_with_a_fresh_read_that_says_zero(facts: Facts) -> None:
    evidence = weigh(facts, now=NOW)

    if evidence.verdict is Verdict.IDLE:
        assert facts.traffic_read_until is not None
        assert NOW - facts.traffic_read_until <= timedelta(minutes=5)
        assert evidence.idle_since is not None
        assert NOW - evidence.idle_since >= timedelta(minutes=15)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(many_facts, min_size=1, max_size=15))
def test_sql_twin_agrees(facts: list[Facts]) -> None:
    Endpoint.objects.all().delete()
    project = factories.make_project()
    for one in facts:
        factories.make_endpoint(
            project=project,
            status=one.status,
            status_since=one.ready_since,
            last_request_at=one.last_request_at,
            traffic_read_until=one.traffic_read_until,
            generation=one.generation,
        )

    idle = set(Endpoint.objects.filter(idle_filter(NOW)).values_list("pk", flat=True))

    assert idle == {
        row.pk for row in Endpoint.objects.all() if weigh(gather_facts(row), now=NOW).verdict is Verdict.IDLE
    }
