"""The event feed: the past on first connection, exact edges, nothing lost and nothing twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from dashboard.accounts.models import Connection
from dashboard.mirror.models import Deployment, EndpointEvent, EventCursor, Source, StateChange, SyncRun
from dashboard.mirror.sync_events import OVERLAP
from dashboard.together_api.calls import v2
from tests.mirror.conftest import Mirror, at_ms

NAME = "docs-qa-gpt-oss-120b"


def states(timeline: list[dict], *, prefix: str = "DEPLOYMENT_STATE_") -> list[tuple]:
    """Return (time, state) where the state of the simulator's own timeline changes."""
    found: list[tuple] = []
    for phase in timeline:
        state = prefix + phase["state"].removeprefix(prefix)
        if not found or found[-1][1] != state:
            found.append((at_ms(phase["at_ms"]), state))
    return found


def test_the_first_reading_fills_sixty_days_of_past_exactly(filled: Mirror):
    run = filled.sync_events()

    assert run.outcome == SyncRun.Outcome.COMPLETE
    assert Connection.objects.get(pk=filled.connection.pk).backfilled_at == filled.now
    for deployment in Deployment.objects.filter(generation="v2"):
        truth = filled.truth(deployment)
        edges = list(
            StateChange.objects.filter(deployment=deployment, source=Source.EVENT)
            .order_by("at", "id")
            .values_list("at", "state", "ready_replicas")
        )
        changed = [edge for place, edge in enumerate(edges) if place == 0 or edges[place - 1][1] != edge[1]]
        assert [(at, state) for at, state, _ in changed] == states(truth["timeline"]), deployment.name
        assert deployment.state_since == changed[-1][0]
    oldest = StateChange.objects.filter(source=Source.EVENT).earliest("at").at
    assert filled.now - oldest > timedelta(days=50)


def test_ready_replicas_of_the_past_are_those_that_were_ready(filled: Mirror):
    filled.sync_events()

    deployment = filled.deployment(NAME)
    truth = {at_ms(phase["at_ms"]): phase["ready"] for phase in filled.truth(deployment)["timeline"]}
    told = StateChange.objects.filter(deployment=deployment, source=Source.EVENT).exclude(ready_replicas=None)
    assert told.exists()
    assert all(truth[at] == ready for at, ready in told.values_list("at", "ready_replicas"))


def test_reading_again_adds_nothing_and_asks_only_for_the_newest(filled: Mirror):
    filled.sync_events()
    counts = (EndpointEvent.objects.count(), StateChange.objects.count())
    filled.simulator.admin("DELETE", "/requests")
    EventCursor.objects.all().update(read_until=filled.now - timedelta(days=1))

    filled.sync_events()

    asked = [one for one in filled.simulator.requests("GET") if one["path"].endswith("/events")]
    assert (EndpointEvent.objects.count(), StateChange.objects.count()) == counts
    assert asked
    assert all("since" in one["query"] for one in asked)


def test_an_event_between_two_readings_is_found_once(filled: Mirror):
    filled.sync_events()
    deployment = filled.deployment(NAME)
    for state in ("SCALING", "READY", "STOPPED"):
        filled.advance(20)
        filled.force(deployment, state, stay=True)
        filled.sync_endpoints()
        filled.advance(10)
        filled.sync_events()
        filled.sync_events()

    edges = StateChange.objects.filter(deployment=deployment, source=Source.EVENT)
    assert len(set(edges.values_list("event_id", flat=True))) == edges.count()
    truth = filled.truth(deployment)["timeline"]
    assert edges.latest("at").at == at_ms(truth[-1]["at_ms"])


def test_a_broken_walk_keeps_what_it_read_and_leaves_the_cursor(
    filled: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(v2.walk_events.__kwdefaults__, "limit", 20)
    monkeypatch.setattr("dashboard.together_api.retries.INITIAL_RETRY_SECONDS", 0.01)
    endpoint = filled.endpoint("support-triage-70b")
    filled.break_with("unavailable", route=f"*/{endpoint.remote_id}/events", skip=1)

    run = filled.sync_events()

    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert endpoint.events.count() == 20
    assert not EventCursor.objects.filter(endpoint=endpoint).exists()
    filled.simulator.clear_faults()
    filled.advance(60)
    filled.sync_events()
    assert endpoint.events.count() > 20
    assert EventCursor.objects.filter(endpoint=endpoint).exists()


def test_a_provider_whose_clock_is_an_hour_behind_hides_nothing(filled: Mirror):
    """Cursors by our clock would ask for events of a time that the provider's clock has not reached yet."""
    filled.sync_events()
    deployment = filled.deployment(NAME)
    EventCursor.objects.all().update(read_until=filled.now + timedelta(hours=1))
    ahead = timedelta(hours=1)
    filled.advance(30)
    filled.force(deployment, "STOPPED", stay=True)
    filled.now += ahead
    filled.sync_endpoints()

    filled.sync_events()

    stopped_at = at_ms(filled.truth(deployment)["present"]["at_ms"])
    assert StateChange.objects.filter(deployment=deployment, source=Source.EVENT, at=stopped_at).exists()


def test_events_of_a_deployment_that_the_mirror_meets_later_become_its_edges(filled: Mirror):
    deployment = filled.deployment(NAME)
    remote_id, endpoint = deployment.remote_id, deployment.endpoint
    deployment.delete()
    filled.sync_events()
    orphans = EndpointEvent.objects.filter(endpoint=endpoint, payload__deploymentId=remote_id)
    assert orphans.exists()
    assert set(orphans.values_list("deployment", flat=True)) == {None}
    endpoint.fingerprint = b""
    endpoint.save(update_fields=["fingerprint"])
    filled.advance(60)
    filled.sync_endpoints()

    filled.sync_events()

    again = Deployment.objects.get(remote_id=remote_id)
    edges = StateChange.objects.filter(deployment=again, source=Source.EVENT).order_by("at", "id")
    assert set(orphans.values_list("deployment", flat=True)) == {again.pk}
    assert edges.last().at == states(filled.truth(again)["timeline"])[-1][0]
    assert again.state_since == edges.last().at


def test_a_changed_endpoint_is_read_again_for_a_while_because_events_come_late(filled: Mirror):
    filled.sync_events()
    filled.advance(600)
    filled.sync_events()
    deployment = filled.deployment(NAME)
    filled.force(deployment, "STOPPED", stay=True)
    filled.sync_endpoints()
    reads = []
    for _ in range(4):
        filled.simulator.admin("DELETE", "/requests")
        filled.sync_events()
        path = f"/{deployment.endpoint.remote_id}/events"
        reads.append(any(one["path"].endswith(path) for one in filled.simulator.requests("GET")))
        filled.advance(OVERLAP.total_seconds() / 2)

    assert reads[:3] == [True, True, True]


@pytest.mark.django_db
def test_a_thousand_feeds_are_read_in_turns(organize: Callable[..., Mirror]):
    mirror = organize(scenario="large", speed=1)
    mirror.sync_catalogue()
    mirror.sync_endpoints()

    mirror.sync_events()

    assert EventCursor.objects.count() == 200
    assert Connection.objects.get(pk=mirror.connection.pk).backfilled_at is None
