"""Two workers at once: locks, and one row written from several sides."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from dashboard.core.locks import Lock, try_lock
from dashboard.mirror import store, sync_catalogue, sync_endpoints, sync_events, sync_traffic
from dashboard.mirror.models import Deployment, Endpoint, StateChange, SyncRun
from dashboard.mirror.store_rollups import refresh_rollups
from dashboard.together_api.payloads import Deployment as Body
from tests.mirror.conftest import Mirror

pytestmark = pytest.mark.django_db(transaction=True)

PASSES = [
    (sync_catalogue.sync_projects, Lock.SYNC_PROJECTS),
    (sync_catalogue.sync_hardware, Lock.SYNC_HARDWARE),
    (sync_endpoints.sync_endpoints, Lock.SYNC_ENDPOINTS),
    (sync_events.sync_events, Lock.SYNC_EVENTS),
    (sync_traffic.sync_traffic, Lock.SYNC_TRAFFIC),
]


@pytest.fixture
def other_worker() -> Iterator[Callable[..., threading.Thread]]:
    """Run work in a thread with a database connection of its own; errors are raised at the end."""
    threads: list[threading.Thread] = []
    errors: list[Exception] = []

    def start(work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  (told by the test itself)
                errors.append(error)
            finally:
                database.close()

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(timeout=60)
    assert not errors


@pytest.mark.parametrize(("sync", "lock"), PASSES, ids=[lock.name for _, lock in PASSES])
def test_a_pass_that_finds_its_lock_held_is_recorded_as_busy_and_asks_nothing(
    organize: Callable[..., Mirror], other_worker: Callable[..., threading.Thread], sync, lock: Lock
):
    mirror = organize(scenario="empty")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with try_lock(lock, key=mirror.connection.pk) as is_held:
            assert is_held
            held.set()
            done.wait(30)

    other_worker(hold)
    assert held.wait(10)
    mirror.simulator.admin("DELETE", "/requests")

    sync(mirror.connection)
    asked = mirror.simulator.requests()
    done.set()

    run = SyncRun.objects.get()
    assert (run.outcome, run.finished_at, run.error) == (SyncRun.Outcome.BUSY, run.started_at, "")
    assert asked == []


def test_the_lock_is_free_again_after_a_pass_that_failed(organize: Callable[..., Mirror]):
    mirror = organize(scenario="empty")
    mirror.break_with("revoked_key")
    mirror.sync_projects()
    mirror.simulator.clear_faults()

    assert mirror.sync_projects().outcome == SyncRun.Outcome.COMPLETE


def test_passes_and_acts_over_the_same_rows_end_with_what_the_provider_says(
    organize: Callable[..., Mirror], other_worker: Callable[..., threading.Thread]
):
    mirror = organize(clock="real", speed=6000)
    sync_catalogue.sync_projects(mirror.connection)
    sync_catalogue.sync_hardware(mirror.connection)
    sync_endpoints.sync_endpoints(mirror.connection)
    names = ["docs-qa-gpt-oss-120b", "evals-judge-32b", "research-glm-sandbox"]
    targets = [mirror.deployment(name) for name in names]

    def act() -> None:
        for deployment in targets:
            row = Deployment.objects.select_related("endpoint__project", "connection").get(pk=deployment.pk)
            for state in ("SCALING", "READY", "STOPPED"):
                mirror.force(row, state, stay=True)
                base = f"/v2/projects/{row.endpoint.project.remote_id}/endpoints/{row.endpoint.remote_id}"
                fetched_at = timezone.now()
                raw = mirror.simulator.call("GET", f"{base}/deployments/{row.remote_id}")
                store.record_observed_deployment(row, body=Body.parse(raw), fetched_at=fetched_at)

    other_worker(act)
    other_worker(lambda: [sync_endpoints.sync_in_transition(mirror.connection) for _ in range(6)])
    for _ in range(4):
        sync_endpoints.sync_endpoints(mirror.connection)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(timeout=60)
    sync_endpoints.sync_endpoints(mirror.connection)

    for deployment in targets:
        deployment.refresh_from_db()
        assert deployment.state == "DEPLOYMENT_STATE_STOPPED"
        last = StateChange.objects.filter(deployment=deployment).order_by("at", "id").last()
        assert last.state == deployment.state
    summaries = list(Endpoint.objects.order_by("pk").values())
    refresh_rollups(Endpoint.objects.values_list("pk", flat=True))
    assert list(Endpoint.objects.order_by("pk").values()) == summaries
    assert not SyncRun.objects.exclude(outcome__in=["complete", "busy"]).exists()


def test_an_older_read_never_overwrites_a_newer_one(organize: Callable[..., Mirror]):
    mirror = organize()
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    row = mirror.deployment("docs-qa-gpt-oss-120b")
    older = Body.parse({**row.payload, "status": {"state": "DEPLOYMENT_STATE_STOPPED", "readyReplicas": 0}})

    written = store.record_observed_deployment(
        row, body=older, fetched_at=row.observed_at - timedelta(seconds=1)
    )

    row.refresh_from_db()
    assert (written.created, written.updated) == (0, 0)
    assert row.state == "DEPLOYMENT_STATE_READY"
    assert not StateChange.objects.filter(deployment=row, state="DEPLOYMENT_STATE_STOPPED").exists()


def test_an_old_404_does_not_bury_what_was_seen_after_it(organize: Callable[..., Mirror]):
    mirror = organize()
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    row = mirror.deployment("docs-qa-gpt-oss-120b")

    store.record_observed_deployment(row, body=None, fetched_at=row.observed_at - timedelta(seconds=1))

    row.refresh_from_db()
    assert row.absent_since is None
