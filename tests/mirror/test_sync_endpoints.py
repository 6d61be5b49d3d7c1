"""Mirroring endpoints and deployments of a living organisation."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection as database

from dashboard.mirror.models import Deployment, Endpoint, MalformedPayload, Source, StateChange, SyncRun
from dashboard.mirror.store_absence import ABSENT_STATE
from tests.mirror.conftest import Mirror, at_ms

BUSY_ENDPOINT = "support-triage-70b"
V1_ENDPOINT = "Support FAQ bot (v1)"
Outcome = SyncRun.Outcome


def list_of(mirror: Mirror, path: str) -> list[dict]:
    return mirror.simulator.call("GET", path)["data"]


def test_the_first_pass_holds_exactly_what_the_organisation_has(mirror: Mirror):
    mirror.sync_catalogue()

    run = mirror.sync_endpoints()

    projects = [project["id"] for project in list_of(mirror, "/v1/projects")]
    v2 = [
        one for project in projects for one in list_of(mirror, f"/v2/projects/{project}/endpoints?limit=500")
    ]
    deployments = {}
    for one in v2:
        base = f"/v2/projects/{one['projectId']}/endpoints/{one['id']}/deployments?limit=500"
        deployments |= {body["id"]: body for body in list_of(mirror, base)}
    v1 = {one["id"]: one for one in list_of(mirror, "/v1/endpoints?type=dedicated&mine=true")}
    assert run.outcome == Outcome.COMPLETE
    assert (run.created, run.updated, run.absent, run.malformed) == (
        len(v2) + len(v1) + len(deployments) + len(v1),
        0,
        0,
        0,
    )
    assert {row.remote_id: row.name for row in Endpoint.objects.filter(generation="v2")} == {
        one["id"]: one["name"] for one in v2
    }
    assert set(Endpoint.objects.filter(generation="v1").values_list("remote_id", flat=True)) == set(v1)
    rows = {row.remote_id: row for row in Deployment.objects.filter(generation="v2")}
    assert {key: (row.state, row.ready_replicas, row.endpoint.remote_id) for key, row in rows.items()} == {
        key: (body["status"]["state"], body["status"].get("readyReplicas"), body["endpointId"])
        for key, body in deployments.items()
    }
    assert {key: row.payload for key, row in rows.items()} == deployments


def test_what_burns_is_what_the_simulator_bills_per_hour(filled: Mirror):
    bodies = {row.remote_id: filled.truth(row) for row in Deployment.objects.filter(generation="v2")}
    before = filled.simulator.admin("GET", "/bill")
    burn = sum(Endpoint.objects.filter(generation="v2").values_list("burn_high", flat=True))

    ready = {key: body["present"]["ready"] for key, body in bodies.items()}
    priced = {row.remote_id: row.nano_usd_per_hour for row in Deployment.objects.filter(generation="v2")}
    assert before
    assert burn == sum(priced[key] * count for key, count in ready.items() if count)
    assert burn > 0
    assert Endpoint.objects.exclude(unpriced_replicas=0).count() == 0


def test_v1_endpoints_cost_a_range_because_their_replicas_are_not_told(filled: Mirror):
    row = filled.endpoint(V1_ENDPOINT)
    deployment = row.deployments.get()

    assert (deployment.state, deployment.min_replicas, deployment.max_replicas) == ("STARTED", 1, 2)
    assert (deployment.remote_id, deployment.ready_replicas) == (row.remote_id, None)
    assert (row.burn_low, row.burn_high) == (deployment.nano_usd_per_hour, 2 * deployment.nano_usd_per_hour)
    assert row.ready_replicas is None


def row_versions() -> Mapping[str, list]:
    """Return the version (xmin, place) of every row of the mirror, runs aside."""
    found = {}
    with database.cursor() as cursor:
        for model in apps.get_app_config("mirror").get_models():
            if model is not SyncRun:
                cursor.execute(f"SELECT xmin::text, ctid::text FROM {model._meta.db_table} ORDER BY 2")
                found[model._meta.db_table] = cursor.fetchall()
    return found


@pytest.mark.django_db(transaction=True)
def test_reading_the_same_again_writes_no_row_but_the_run(organize: Callable[..., Mirror]):
    mirror = organize()
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    before = row_versions()

    runs = [mirror.sync_projects(), mirror.sync_hardware(), mirror.sync_endpoints()]

    assert row_versions() == before
    assert [(run.outcome, run.created, run.updated, run.absent) for run in runs] == [
        (Outcome.COMPLETE, 0, 0, 0)
    ] * 3
    assert runs[-1].unchanged == Endpoint.objects.count()


@pytest.mark.django_db(transaction=True)
def test_reading_every_deployment_in_rotation_writes_no_row_either(organize: Callable[..., Mirror]):
    mirror = organize(scenario="large", speed=1)
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    before = row_versions()
    mirror.simulator.admin("DELETE", "/requests")

    run = mirror.sync_endpoints()

    reads = [one for one in mirror.simulator.requests("GET") if one["path"].endswith("/deployments")]
    assert row_versions() == before
    assert (run.seen, run.unchanged) == (1_000, 1_000)
    # A twentieth of a thousand, by hash.
    assert 20 <= len(reads) <= 90


def test_a_change_of_state_is_an_edge_bounded_by_the_pass_before(filled: Mirror):
    deployment = filled.deployment(BUSY_ENDPOINT)
    last_pass = filled.now
    filled.advance(10)
    filled.force(deployment, "STOPPED", stay=True)
    filled.advance(20)

    filled.sync_endpoints()

    edge = StateChange.objects.filter(deployment=deployment).latest("pk")
    deployment.refresh_from_db()
    assert (edge.source, edge.state, edge.ready_replicas) == (Source.POLL, "DEPLOYMENT_STATE_STOPPED", 0)
    assert (edge.not_before, edge.at) == (last_pass, filled.now)
    assert (deployment.state, deployment.state_since) == ("DEPLOYMENT_STATE_STOPPED", filled.now)
    assert filled.endpoint(BUSY_ENDPOINT).status == "stopped"
    assert filled.endpoint(BUSY_ENDPOINT).burn_high == 0


def test_the_event_that_comes_later_dates_the_edge_exactly(filled: Mirror):
    deployment = filled.deployment(BUSY_ENDPOINT)
    filled.sync_events()
    filled.advance(10)
    filled.force(deployment, "STOPPED", stay=True)
    filled.advance(20)
    filled.sync_endpoints()

    filled.sync_events()

    stopped_at = at_ms(filled.truth(deployment)["present"]["at_ms"])
    deployment.refresh_from_db()
    exact = StateChange.objects.filter(deployment=deployment, source=Source.EVENT).latest("at")
    assert (exact.at, exact.state) == (stopped_at, "DEPLOYMENT_STATE_STOPPED")
    assert deployment.state_since == stopped_at
    assert filled.endpoint(BUSY_ENDPOINT).status_since == stopped_at


def test_the_bound_stays_at_the_last_complete_pass_when_one_failed_between(filled: Mirror):
    deployment = filled.deployment(BUSY_ENDPOINT)
    last_complete = filled.now
    filled.advance(30)
    filled.break_with("html_ok", route="/v2/projects/*/endpoints")
    filled.sync_endpoints()
    filled.simulator.clear_faults()
    filled.force(deployment, "STOPPED", stay=True)
    filled.advance(30)

    filled.sync_endpoints()

    edge = StateChange.objects.filter(deployment=deployment).latest("pk")
    assert (edge.not_before, edge.at) == (last_complete, filled.now)


def test_bounds_of_a_v1_endpoint_may_have_changed_any_time_since_they_were_last_new(filled: Mirror):
    """Its listing does not show them, so a complete pass between proves nothing."""
    row = filled.deployment(V1_ENDPOINT)
    first_seen = filled.now
    filled.advance(30)
    filled.simulator.call(
        "PATCH", f"/v1/endpoints/{row.remote_id}", {"autoscaling": {"min_replicas": 2, "max_replicas": 3}}
    )
    for _ in range(4):
        filled.advance(30)
        filled.sync_endpoints()

    row.refresh_from_db()
    edge = StateChange.objects.filter(deployment=row).latest("pk")
    assert (row.min_replicas, row.max_replicas, row.billable_low, row.billable_high) == (2, 3, 2, 3)
    assert edge.not_before == first_seen


def test_what_moves_is_followed_between_two_passes(filled: Mirror):
    deployment = filled.deployment(BUSY_ENDPOINT)
    filled.force(deployment, "PROVISIONING")
    filled.advance(5)
    filled.sync_endpoints()
    filled.advance(600)

    run = filled.sync_in_transition()

    deployment.refresh_from_db()
    assert (run.resource, run.outcome) == (SyncRun.Resource.IN_TRANSITION, Outcome.COMPLETE)
    assert deployment.state == "DEPLOYMENT_STATE_READY"
    assert filled.endpoint(BUSY_ENDPOINT).status == "running"


def test_nothing_in_transition_leaves_no_run(filled: Mirror):
    Deployment.objects.update(state="DEPLOYMENT_STATE_READY")
    count = SyncRun.objects.count()

    filled.sync_in_transition()

    assert SyncRun.objects.count() == count


def test_an_unknown_state_is_kept_shown_as_unknown_and_counted_as_billing(filled: Mirror):
    filled.advance(30)
    filled.break_with("unknown_enums")

    filled.sync_endpoints()

    deployment = filled.deployment(BUSY_ENDPOINT)
    endpoint = filled.endpoint(BUSY_ENDPOINT)
    v1 = filled.endpoint("legal-ocr-vl-72b")
    assert deployment.state == "DEPLOYMENT_STATE_HIBERNATING"
    assert (endpoint.status, endpoint.burn_high > 0) == ("unknown", True)
    # Stopped before, of a state that nobody knows now: its bounds count.
    assert (v1.status, v1.burn_high) != ("stopped", 0)


@pytest.mark.parametrize("kind", ["unknown_fields", "null_optionals", "duplicate_page"])
def test_odd_bodies_are_read_all_the_same(mirror: Mirror, kind: str):
    mirror.sync_catalogue()
    mirror.break_with(kind)

    run = mirror.sync_endpoints()

    assert (run.outcome, run.malformed) == (Outcome.COMPLETE, 0)
    assert Endpoint.objects.count() == run.seen == 17


def test_a_malformed_endpoint_is_kept_and_the_rest_proceeds(mirror: Mirror):
    mirror.sync_catalogue()
    mirror.break_with("malformed_item", route="/v2/projects/*/endpoints")

    run = mirror.sync_endpoints()

    kept = MalformedPayload.objects.filter(resource="endpoints")
    assert run.outcome == Outcome.COMPLETE
    assert run.malformed == kept.count() == 4
    assert "4 items could not be read" in run.error
    assert Endpoint.objects.filter(generation="v2").count() == run.seen - 5 - 4
    assert all(row.payload["name"] == 17 and row.error for row in kept)


def test_a_malformed_item_is_kept_once_however_often_it_comes(mirror: Mirror):
    mirror.sync_catalogue()
    mirror.break_with("malformed_item", route="/v2/projects/*/endpoints")
    mirror.sync_endpoints()
    mirror.advance(30)

    mirror.sync_endpoints()

    assert MalformedPayload.objects.count() == 4
    assert set(MalformedPayload.objects.values_list("last_seen_at", flat=True)) == {mirror.now}


def test_deployments_of_an_endpoint_that_became_unreadable_are_still_followed(filled: Mirror):
    names = list(Endpoint.objects.filter(generation="v2").values_list("display_name", flat=True))
    deployments = [filled.deployment(name) for name in names]
    for deployment in deployments:
        filled.force(deployment, "STOPPED", stay=True)
    filled.break_with("malformed_item", route="/v2/projects/*/endpoints")
    filled.advance(30)

    run = filled.sync_endpoints()

    assert run.malformed == 4
    assert not Deployment.objects.filter(generation="v2").exclude(state="DEPLOYMENT_STATE_STOPPED").exists()


def test_secrets_in_bodies_are_never_stored(filled: Mirror):
    with database.cursor() as cursor:
        for model in apps.get_app_config("mirror").get_models():
            cursor.execute(f"SELECT count(*) FROM {model._meta.db_table} t WHERE t::text LIKE '%sim-key%'")
            assert cursor.fetchone() == (0,), model


class TestAbsence:
    """What vanished remotely: asked for twice, then marked, never forgotten."""

    @pytest.mark.parametrize("name", [BUSY_ENDPOINT, V1_ENDPOINT])
    def test_a_deleted_endpoint_is_absent_after_the_second_look(self, filled: Mirror, name: str):
        row = filled.endpoint(name)
        filled.advance(30)
        filled.delete(row.remote_id)

        filled.sync_endpoints()
        row.refresh_from_db()
        first = (row.missing_since, row.absent_since)
        first_missing_at = filled.now
        filled.advance(30)
        run = filled.sync_endpoints()

        row.refresh_from_db()
        deployment = row.deployments.get()
        assert first == (first_missing_at, None)
        assert (row.absent_since, deployment.absent_since) == (first_missing_at, first_missing_at)
        assert (run.outcome, run.absent) == (Outcome.COMPLETE, 2)
        assert (row.burn_high, row.status) == (0, "empty")

    def test_its_history_stays_and_ends_with_an_edge_between_the_last_look_and_the_first_miss(
        self, filled: Mirror
    ):
        filled.sync_events()
        row = filled.endpoint(BUSY_ENDPOINT)
        edges = StateChange.objects.filter(deployment__endpoint=row).count()
        last_there = filled.now
        filled.advance(30)
        filled.delete(row.remote_id)
        filled.sync_endpoints()
        missed_at = filled.now
        filled.advance(30)

        filled.sync_endpoints()

        changes = StateChange.objects.filter(deployment__endpoint=row)
        last = changes.latest("pk")
        assert changes.count() == edges + 1
        assert (last.state, last.ready_replicas) == (ABSENT_STATE, 0)
        assert (last.not_before, last.at) == (last_there, missed_at)

    def test_a_single_deleted_deployment_is_absent_and_its_endpoint_stays(self, filled: Mirror):
        deployment = filled.deployment(BUSY_ENDPOINT)
        filled.advance(30)
        filled.delete(deployment.remote_id)
        filled.sync_endpoints()
        missed_at = filled.now
        filled.advance(30)

        filled.sync_endpoints()

        deployment.refresh_from_db()
        endpoint = filled.endpoint(BUSY_ENDPOINT)
        assert deployment.absent_since == missed_at
        assert (endpoint.absent_since, endpoint.status, endpoint.deployment_count) == (None, "empty", 0)

    def test_what_is_only_missing_from_the_list_stays(self, filled: Mirror):
        filled.break_with("missing_item")

        for _ in range(4):
            filled.advance(30)
            filled.sync_endpoints()

        assert not Endpoint.objects.exclude(absent_since=None, missing_since=None).exists()
        assert not Deployment.objects.exclude(absent_since=None, missing_since=None).exists()
        assert not StateChange.objects.filter(state=ABSENT_STATE).exists()

    @pytest.mark.parametrize("kind", ["empty_list", "not_found"])
    def test_suddenly_empty_or_unreadable_listings_mark_nothing(self, filled: Mirror, kind: str):
        filled.break_with(kind, route="/v*/endpoints")
        filled.break_with(kind, route="/v2/projects/*/endpoints")

        outcomes = set()
        for _ in range(30):
            filled.advance(30)
            outcomes.add(filled.sync_endpoints().outcome)

        assert Outcome.COMPLETE not in outcomes
        assert not Endpoint.objects.exclude(absent_since=None).exists()
        assert Endpoint.objects.filter(burn_high__gt=0).exists()

    def test_cut_short_and_looping_walks_mark_nothing(self, filled: Mirror):
        deployment = filled.deployment(BUSY_ENDPOINT)
        filled.delete(deployment.endpoint.remote_id)
        filled.break_with("cursor_loop", route="/v2/projects/*/endpoints")

        for _ in range(3):
            filled.advance(30)
            run = filled.sync_endpoints()

        assert run.outcome == Outcome.PARTIAL
        assert run.error
        assert not Endpoint.objects.exclude(absent_since=None, missing_since=None).exists()

    def test_a_listing_whose_second_page_fails_marks_nothing_and_is_partial(
        self, db: None, organize: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("dashboard.together_api.calls.v2.PAGE_SIZE", 1)
        monkeypatch.setattr("dashboard.together_api.retries.INITIAL_RETRY_SECONDS", 0.01)
        mirror = organize()
        mirror.sync_catalogue()
        mirror.sync_endpoints()
        mirror.delete(mirror.endpoint("evals-judge-32b").remote_id)
        for _ in range(3):
            mirror.simulator.clear_faults()
            # Four projects are listed side by side: their first pages pass.
            mirror.break_with("unavailable", route="/v2/projects/*/endpoints", skip=4)
            mirror.advance(30)
            run = mirror.sync_endpoints()

        assert run.outcome == Outcome.PARTIAL
        assert "503" in run.error
        assert not Endpoint.objects.exclude(absent_since=None, missing_since=None).exists()

    def test_an_endpoint_that_comes_back_is_present_again(self, filled: Mirror):
        row = filled.endpoint(BUSY_ENDPOINT)
        Endpoint.objects.filter(pk=row.pk).update(absent_since=filled.now, missing_since=filled.now)
        Deployment.objects.filter(endpoint=row).update(absent_since=filled.now, missing_since=filled.now)
        filled.advance(30)

        run = filled.sync_endpoints()

        row.refresh_from_db()
        deployment = row.deployments.get()
        assert run.outcome == Outcome.COMPLETE
        assert (row.absent_since, row.missing_since) == (None, None)
        assert (deployment.absent_since, deployment.missing_since) == (None, None)
        assert StateChange.objects.filter(deployment=deployment).latest("pk").state == deployment.state
        assert row.burn_high > 0

    def test_endpoints_of_a_project_that_is_no_longer_listed_are_asked_for_one_by_one(self, filled: Mirror):
        gone, there = filled.endpoint(BUSY_ENDPOINT), filled.endpoint("search-embed-e5")
        for row in (gone, there):
            row.project.absent_since = filled.now
            row.project.save(update_fields=["absent_since"])
        filled.delete(gone.remote_id)

        for _ in range(3):
            filled.advance(30)
            filled.sync_endpoints()

        gone.refresh_from_db()
        there.refresh_from_db()
        assert gone.absent_since is not None
        assert there.absent_since is None


def test_a_pass_that_took_long_never_undoes_what_a_quick_look_saw_meanwhile(filled: Mirror):
    deployment = filled.deployment(BUSY_ENDPOINT)
    filled.advance(30)
    filled.force(deployment, "SCALING", stay=True)
    slow_started_at = filled.now
    filled.advance(5)
    # The quick look: later than the listing, stored before it.
    Deployment.objects.filter(pk=deployment.pk).update(
        state="DEPLOYMENT_STATE_STOPPED", ready_replicas=0, observed_at=filled.now
    )

    filled.now = slow_started_at
    filled.sync_endpoints()

    deployment.refresh_from_db()
    assert deployment.state == "DEPLOYMENT_STATE_STOPPED"
    assert deployment.observed_at == slow_started_at + timedelta(seconds=5)


@pytest.mark.django_db
def test_without_a_project_nothing_is_called_complete(organize: Callable[..., Mirror]):
    run = organize().sync_endpoints()

    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert "No project is known yet" in run.error
