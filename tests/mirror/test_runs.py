"""Passes that begin together: each has its own end, its own lock and its own row."""

import pytest
from django.db import connection as database

from dashboard.accounts.models import Connection
from dashboard.core.locks import try_lock
from dashboard.mirror.models import SyncRun
from dashboard.mirror.runs import _LOCKS, record_run, record_runs
from dashboard.together_api.errors import CallName, ServerError
from tests.factories import NOW, make_connection

pytestmark = pytest.mark.django_db

Run, Outcome = SyncRun.Resource, SyncRun.Outcome
RESOURCES = (Run.BATCHES, Run.VOLUMES, Run.CLUSTERS)
CALL = CallName(method="GET", path="/v1/batches", template="/v1/batches", read_only=True)


@pytest.fixture
def connection() -> Connection:
    return make_connection()


def outcomes() -> dict[str, str]:
    return dict(SyncRun.objects.values_list("resource", "outcome"))


def count_locks() -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_each_of_several_passes_ends_as_it_went(connection: Connection):
    with record_runs(connection, RESOURCES, clock=lambda: NOW) as recordings:
        with recordings[Run.BATCHES].conclude():
            raise ServerError("no", call=CALL, status=503)
        with recordings[Run.VOLUMES].conclude():
            recordings[Run.VOLUMES].tally.report("Half of it is missing.")
        assert outcomes() == {"batches": "failed", "volumes": "partial", "clusters": "running"}

    assert outcomes() == {"batches": "failed", "volumes": "partial", "clusters": "complete"}


def test_an_error_of_our_own_is_raised_and_ends_no_other_pass(connection: Connection):
    with record_runs(connection, RESOURCES, clock=lambda: NOW) as recordings:
        with pytest.raises(ZeroDivisionError), recordings[Run.BATCHES].conclude():
            _ = 1 / 0
        with recordings[Run.VOLUMES].conclude():
            pass

    assert outcomes() == {"batches": "failed", "volumes": "complete", "clusters": "complete"}
    assert SyncRun.objects.get(resource=Run.BATCHES).error.startswith("Internal error: ZeroDivisionError.")


def test_what_is_under_way_when_the_block_fails_has_failed(connection: Connection):
    def sync() -> None:
        with record_runs(connection, RESOURCES, clock=lambda: NOW) as recordings:
            recordings[Run.VOLUMES].end(None)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        sync()

    assert outcomes() == {"batches": "failed", "volumes": "complete", "clusters": "failed"}


def test_a_worker_that_is_told_to_stop_has_completed_nothing(connection: Connection):
    with (
        pytest.raises(KeyboardInterrupt),
        record_runs(connection, RESOURCES, clock=lambda: NOW),
    ):
        raise KeyboardInterrupt

    assert set(outcomes().values()) == {"running"}
    assert count_locks() == 0


def test_each_pass_lets_go_of_its_lock_when_it_ends(connection: Connection):
    with record_runs(connection, RESOURCES, clock=lambda: NOW) as recordings:
        counts = [count_locks()]
        for recording in recordings.values():
            with recording.conclude():
                pass
            counts.append(count_locks())

    assert counts == [3, 2, 1, 0]


def test_a_single_pass_swallows_the_errors_of_the_provider_only(connection: Connection):
    with record_run(connection, Run.BATCHES, clock=lambda: NOW):
        raise ServerError("no", call=CALL, status=503)
    with pytest.raises(ZeroDivisionError), record_run(connection, Run.VOLUMES, clock=lambda: NOW):
        _ = 1 / 0

    assert outcomes() == {"batches": "failed", "volumes": "failed"}
    assert count_locks() == 0


@pytest.mark.parametrize("resource", list(Run), ids=str)
def test_every_pass_has_a_lock_of_its_own(resource: SyncRun.Resource):
    same = [other for other in Run if _LOCKS[other] == _LOCKS[resource]]

    assert same == [resource]
    with try_lock(_LOCKS[resource], key=1) as is_held:
        assert is_held
