"""What a pass does when the provider fails: a sentence, old data kept, healed by the next pass (fault plan 1-4, 11)."""

import functools
import time

import pytest

from dashboard.accounts.models import Connection
from dashboard.mirror.models import Deployment, Endpoint, Hardware, Project, SyncRun, TrafficMinute
from dashboard.together_api.budget import budget_for
from dashboard.together_api.config import ApiConfig
from tests.mirror.conftest import Mirror

Outcome = SyncRun.Outcome


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits between repeats; how often and whether is as in the product."""
    monkeypatch.setattr("dashboard.together_api.retries.INITIAL_RETRY_SECONDS", 0.01)


def snapshot() -> list:
    """Return what pages show of the mirror."""
    return [
        *Endpoint.objects.order_by("pk").values_list("pk", "status", "burn_high", "absent_since"),
        *Deployment.objects.order_by("pk").values_list("pk", "state", "ready_replicas", "absent_since"),
    ]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("rate_limit", "Too many requests"),
        ("rate_limit_retry_after", "Too many requests"),
        ("rate_limit_reset", "Too many requests"),
        ("server_error", "The API has a problem of its own (500)"),
        ("html_error", "The API has a problem of its own (502)"),
        ("html_ok", "cannot be read"),
        ("cut_body", "The API"),
        ("reset", "The API could not be reached"),
        ("revoked_key", "The key was refused (401)"),
        ("forbidden", "The key lacks the right for this (403)"),
        ("payment_required", "(402)"),
    ],
)
def test_a_failing_provider_is_told_in_a_sentence_keeps_old_data_and_heals(
    filled: Mirror, kind: str, sentence: str
):
    before = snapshot()
    # The budget slows down after a 429: one kind of call is enough to wait for.
    fields = {"retry_after": 0.1, "route": "/v1/endpoints"} if kind.startswith("rate_limit") else {}
    filled.break_with(kind, **fields)
    filled.advance(30)

    failed = filled.sync_endpoints()

    assert failed.outcome in (Outcome.FAILED, Outcome.PARTIAL)
    assert sentence in failed.error
    assert "sim-key" not in failed.error
    assert snapshot() == before
    filled.simulator.clear_faults()
    filled.force(filled.deployment("search-embed-e5"), "STOPPED", stay=True)
    filled.advance(30)
    healed = filled.sync_endpoints()
    assert (healed.outcome, healed.error) == (Outcome.COMPLETE, "")
    assert filled.endpoint("search-embed-e5").status == "stopped"


def test_a_provider_that_hangs_ends_the_pass_at_the_deadline(filled: Mirror, monkeypatch: pytest.MonkeyPatch):
    hasty = functools.partial(ApiConfig, deadline_seconds=0.5)
    monkeypatch.setattr("dashboard.accounts.connections.ApiConfig", hasty)
    before = snapshot()
    filled.break_with("timeout")
    filled.advance(30)

    run = filled.sync_endpoints()

    assert run.outcome == Outcome.PARTIAL
    assert run.error.startswith("The API did not answer in time")
    assert snapshot() == before


def test_a_rate_limited_connection_slows_down_for_all_its_passes(filled: Mirror):
    filled.break_with("rate_limit", times=1)
    filled.advance(30)

    run = filled.sync_endpoints()

    assert run.outcome == Outcome.COMPLETE
    assert budget_for(str(filled.connection.pk)).look(now=time.monotonic()).limited_count == 1


def test_projects_fail_as_a_whole_and_keep_what_was_known(filled: Mirror):
    filled.break_with("server_error", route="/v*/projects*")

    run = filled.sync_projects()

    assert run.outcome == Outcome.FAILED
    assert "(500)" in run.error
    assert Project.objects.filter(absent_since=None).count() == 4


def test_one_catalogue_that_fails_does_not_cost_the_others(mirror: Mirror):
    mirror.sync_projects()
    mirror.break_with("html_ok", route="/v1/hardware")

    run = mirror.sync_hardware()

    assert run.outcome == Outcome.PARTIAL
    assert Hardware.objects.filter(generation="v2").exists()
    assert not Hardware.objects.filter(generation="v1").exists()


def test_a_feed_that_fails_does_not_cost_the_others_and_is_read_again(filled: Mirror):
    endpoint = filled.endpoint("search-embed-e5")
    filled.break_with("server_error", route=f"*/{endpoint.remote_id}/events")

    partial = filled.sync_events()

    connection = Connection.objects.get(pk=filled.connection.pk)
    assert partial.outcome == Outcome.PARTIAL
    assert (endpoint.events.count(), connection.backfilled_at) == (0, None)
    assert filled.endpoint("support-triage-70b").events.exists()
    filled.simulator.clear_faults()
    filled.advance(60)
    assert filled.sync_events().outcome == Outcome.COMPLETE
    assert endpoint.events.exists()
    connection.refresh_from_db()
    assert connection.backfilled_at is not None


def test_traffic_that_cannot_be_read_stays_unknown_and_is_read_later(filled: Mirror):
    filled.break_with("unavailable", route="*/analytics")
    filled.break_with("unavailable", route="*/metrics")

    run = filled.sync_traffic()

    assert run.outcome == Outcome.PARTIAL
    assert not TrafficMinute.objects.exists()
    assert not Endpoint.objects.exclude(traffic_read_until=None).exists()
