"""The product's stop path as real processes: PostgreSQL, Redis, a Celery worker, the enforcer and the simulator.

Servers and the enforcer are started once for all faults; each test makes rows of its own, injects one fault, and asks
`check_invariants` at the end. The simulator's states and request log are the truth.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from celery import Celery
from django.db import DatabaseError, connection, connections, transaction

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.embedded.postgres import PostgresServer
from dashboard.embedded.redis import RedisServer
from dashboard.lifecycle import actions
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.mirror.models import Deployment
from dashboard.processes import PROCESSES
from simulator.testing import SimulatorProcess
from tests import factories
from tests.lifecycle.conftest import ACTOR, Provider, let_pass

ROOT = Path(__file__).resolve().parent.parent.parent
# Endpoints of the demo that a test may stop; each v2 with one replica, forced READY before use.
TARGETS = ("docs-qa-gpt-oss-120b", "evals-judge-32b", "research-glm-sandbox")


@dataclass
class Desk:
    """The running product and the levers of a fault."""

    postgres: PostgresServer
    redis: RedisServer
    provider: Provider
    folder: Path
    environment: dict[str, str]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    acts: list[StopAction] = field(default_factory=list)

    def start(self, name: str, **extra: str) -> subprocess.Popen[bytes]:
        """Start a process of the product's own table."""
        spec = next(one for one in PROCESSES if one.name == name)
        command = [sys.executable if word == "{python}" else word for word in spec.argv]
        log = (self.folder / f"{name}.log").open("ab")
        child = subprocess.Popen(
            command, cwd=ROOT, env=self.environment | extra, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        self.children[name] = child
        return child

    def end(self, name: str) -> None:
        child = self.children.pop(name, None)
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGCONT)
            child.kill()
            child.wait()

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Freeze a process for the block."""
        self.children[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.children[name].send_signal(signal.SIGCONT)

    def tick(self) -> None:
        """Send what beat sends every two seconds: the task, through Redis, as JSON."""
        url = self.environment["REDIS_URL"].replace("unix://", "redis+socket://")
        with Celery(broker=url, fixups=[]) as app:
            app.conf.task_ignore_result = True
            app.send_task("lifecycle.reconcile", queue="stops", expires=30)

    def ready(self, name: str) -> Deployment:
        """Return rows of a demo deployment that is READY at the provider."""
        return self.provider.v2(name)

    def stop(self, deployment: Deployment, **columns: Any) -> StopAction:
        """Ask for a stop; `columns` overwrite the row before anybody may claim it."""
        with transaction.atomic():
            key = f"{time.monotonic_ns()}"
            action = actions.request_stop(deployment, actor=ACTOR, idempotency_key=key).action
            if columns:
                StopAction.objects.filter(pk=action.pk).update(**columns)
        self.acts.append(action)
        return action

    def forget_pace(self) -> None:
        """Let a lease's time pass for every act."""
        let_pass(seconds=41)

    def read_log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def check_invariants(self) -> None:
        """I1, I2, I3 and I5 of the fault plan over the acts of this test."""
        rows = list(
            StopAction.objects.filter(pk__in=[one.pk for one in self.acts]).select_related("deployment")
        )
        # I1: what was due is done.
        assert [(row.number, row.last_error) for row in rows if row.is_open] == []
        for row in rows:
            assert row.deployment is not None
            # I2: nothing is done that runs.
            if row.state == StopAction.State.OBSERVED:
                assert self.provider.tell(row.deployment) == "STOPPED"
                assert row.steps.filter(what=ActionStep.What.DONE).count() == 1
            # I5: one audit row for the wish, one for the end.
            events = AuditEvent.objects.filter(detail__action=str(row.public_id)).values_list(
                "action", flat=True
            )
            assert sorted(events) == ["endpoint.stop_observed", "endpoint.stop_requested"]
        # I3: no write without an act that asked for it, and each one is a stop.
        asked = {row.deployment.remote_id for row in rows if row.deployment}
        for write in self.provider.writes():
            assert write["path"].rsplit("/", 1)[-1] in asked, write
            assert write["body"]["autoscaling"] == {"minReplicas": 0, "maxReplicas": 0}


def wait_for(
    condition: Callable[[], object],
    *,
    timeout_seconds: float = 30,
    what: str = "",
    log: Callable[[], str] = str,
) -> None:
    """Wait until the condition holds; a database that is away is not yet an answer."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        with suppress(DatabaseError):
            if condition():
                return
        assert time.monotonic() < deadline, f"{what or 'the condition'} did not come true\n{log()}"
        time.sleep(0.1)


def wait_until_ended(desk: Desk, action: StopAction, *, timeout_seconds: float = 30) -> StopAction:
    def is_ended() -> bool:
        if connection.connection is not None and connection.connection.closed:
            connection.close()
        try:
            action.refresh_from_db()
        except DatabaseError:
            connection.close()
            raise
        return not action.is_open

    wait_for(
        is_ended,
        timeout_seconds=timeout_seconds,
        what=f"the end of {action.number}",
        log=lambda: f"{action.state} {action.last_error}\n{desk.read_log('enforcer')}",
    )
    return action


@pytest.fixture(scope="session")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="session")
def _running_simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(scenario="demo", speed=600) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def _desk(
    _private_postgres: PostgresServer,
    _private_redis: RedisServer,
    _running_simulator: SimulatorProcess,
    _folder: Path,
) -> Iterator[Desk]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": _private_postgres.url,
        "REDIS_URL": _private_redis.url,
        "TOGETHER_BASE_URL": _running_simulator.url,
        "DATA_DIR": str(_folder),
        "PYTHONUNBUFFERED": "1",
    }
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    desk = Desk(_private_postgres, _private_redis, Provider(_running_simulator, None), _folder, environment)  # type: ignore[arg-type]
    desk.start("enforcer")
    yield desk
    for name in tuple(desk.children):
        desk.end(name)


@contextmanager
def private_database(url: str) -> Iterator[None]:
    """Point Django's default connection of this thread at another server for the block."""
    former = connections.settings["default"]
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = former | dj_database_url.parse(url) | {"OPTIONS": {}}
    try:
        yield
    finally:
        connections["default"].close()
        del connections["default"]
        connections.settings["default"] = former


@pytest.fixture
def desk(
    _desk: Desk, postgres_server: PostgresServer, redis_server: RedisServer, django_db_blocker: Any
) -> Iterator[Desk]:
    simulator = _desk.provider.simulator
    with django_db_blocker.unblock(), private_database(postgres_server.url):
        wait_for(lambda: _can_connect(postgres_server.url), what="PostgreSQL")
        simulator.clear_faults()
        simulator.admin("DELETE", "/requests")
        _desk.provider = Provider(simulator, factories.make_connection())
        _desk.acts = []
        # The enforcer reports: it is up, and back after what the last test did to it.
        wait_for(_is_enforcer_fresh, what="the enforcer", log=lambda: _desk.read_log("enforcer"))
        try:
            yield _desk
        finally:
            simulator.clear_faults()
            _desk.end("worker-stops")
            StopAction.objects.filter(state__in=StopAction.OPEN_STATES).update(
                state=StopAction.State.CANCELLED
            )


def _can_connect(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _is_enforcer_fresh() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM core_heartbeat WHERE name = 'enforcer' AND beat_at > now() - interval '3 s'"
        )
        return cursor.fetchone() is not None


__all__ = ["ACTOR", "Actor", "Desk", "wait_for", "wait_until_ended"]
