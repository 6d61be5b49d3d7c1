"""Supervision of real child processes: restarts, silence, the right end, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dashboard.embedded.console import Console
from dashboard.embedded.errors import StartError
from dashboard.embedded.folder import (
    DataFolder,
    Running,
    find_running,
    hold_data_folder,
    open_data_folder,
    store_address,
)
from dashboard.embedded.health import HealthWatch
from dashboard.embedded.identity import own_identity
from dashboard.embedded.leftovers import end_leftovers, record_children
from dashboard.embedded.process import ManagedProcess
from dashboard.embedded.supervisor import Supervisor
from dashboard.processes import PROCESSES, Health, ProcessSpec

OWN_IDENTITY = own_identity()
SLEEPER = ("{python}", "-c", "import time; time.sleep(60)")
# Ignores SIGTERM, as a worker in the middle of a stuck call does.
STUBBORN = (
    "{python}",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return open_data_folder(tmp_path / "data")


def make_supervisor(folder: DataFolder, *specs: ProcessSpec, watch: HealthWatch | None = None) -> Supervisor:
    return Supervisor(
        specs,
        words={"python": sys.executable},
        environment=os.environ,
        program_folder=folder.root,
        folder=folder,
        identity=OWN_IDENTITY,
        stores={},
        watch=watch or HealthWatch([], database_url="postgresql:///unused", ports={}),
        console=Console(),
    )


def make_spec(
    name: str, argv: tuple[str, ...], *, health: Health | None = None, **options: object
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=argv,
        needs=frozenset(),
        health=health or Health(),
        first_restart_seconds=0.2,
        grace_seconds=0.5,
        **options,  # type: ignore[arg-type]
    )


def wait_until(
    condition: Callable[[], bool], *, seconds: float = 10.0, step: Callable[[], None] | None = None
) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        if step is not None:
            step()
        time.sleep(0.05)
    return True


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_a_child_that_dies_is_started_again_alone(folder: DataFolder) -> None:
    supervisor = make_supervisor(folder, make_spec("one", SLEEPER), make_spec("two", SLEEPER))
    supervisor.start()
    one, two = (child.process for child in supervisor.children)
    before, untouched = one.pid, two.pid
    assert before is not None
    try:
        os.kill(before, signal.SIGKILL)

        assert wait_until(lambda: one.is_running and one.pid != before, step=supervisor.check)
        assert two.pid == untouched
    finally:
        assert supervisor.stop()


def test_pauses_grow_while_starts_fail_and_never_exceed_the_limit(folder: DataFolder) -> None:
    supervisor = make_supervisor(folder, make_spec("broken", ("{python}", "-c", "raise SystemExit('no')")))
    child = supervisor.children[0]

    child.started_at = time.monotonic()
    pauses = [round(child.plan_restart(), 1) for _ in range(9)]

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]


def test_the_pause_is_short_again_after_a_steady_run(folder: DataFolder) -> None:
    child = make_supervisor(folder, make_spec("one", SLEEPER)).children[0]
    child.started_at = time.monotonic()
    for _ in range(5):
        child.plan_restart()

    child.started_at = time.monotonic() - 61

    assert child.plan_restart() == 0.2


def test_a_child_that_lives_but_stops_reporting_is_replaced(
    folder: DataFolder, heartbeat_database: str
) -> None:
    spec = make_spec("silent", STUBBORN, health=Health(heartbeat="silent", max_age_seconds=1.5))
    watch = HealthWatch([spec], database_url=heartbeat_database, ports={})
    supervisor = make_supervisor(folder, spec, watch=watch)
    supervisor.start()
    process = supervisor.children[0].process
    before = process.pid
    with psycopg.connect(heartbeat_database, autocommit=True) as connection:
        try:
            # Reporting: it stays.
            for _ in range(10):
                connection.execute(
                    "INSERT INTO core_heartbeat VALUES ('silent', now(), '{}')"
                    " ON CONFLICT (name) DO UPDATE SET beat_at = now()"
                )
                watch.probe()
                supervisor.check()
                time.sleep(0.2)
            assert process.pid == before

            # Silent: SIGTERM does not impress it, SIGKILL does.
            def step() -> None:
                watch.probe()
                supervisor.check()

            assert wait_until(lambda: process.is_running and process.pid != before, step=step)
            assert before is not None
            assert not is_alive(before)
        finally:
            supervisor.stop()
            watch.stop()


def test_silence_proves_nothing_while_the_database_cannot_be_read(folder: DataFolder) -> None:
    spec = make_spec("quiet", SLEEPER, health=Health(heartbeat="quiet", max_age_seconds=0.1))
    watch = HealthWatch([spec], database_url="postgresql://nobody@127.0.0.1:1/none", ports={})
    supervisor = make_supervisor(folder, spec, watch=watch)
    supervisor.start()
    before = supervisor.children[0].process.pid
    try:
        watch.probe()
        time.sleep(0.3)
        supervisor.check()

        assert supervisor.children[0].process.pid == before
        assert supervisor.children[0].process.is_running
    finally:
        supervisor.stop()


def test_a_silent_queue_proves_nothing_while_beat_is_down(
    folder: DataFolder, heartbeat_database: str
) -> None:
    worker = make_spec(
        "worker", SLEEPER, health=Health(heartbeat="worker", max_age_seconds=0.3), queues=("q",)
    )
    beat = make_spec("beat", SLEEPER)
    watch = HealthWatch([worker], database_url=heartbeat_database, ports={})
    supervisor = make_supervisor(folder, worker, beat, watch=watch)
    supervisor.start({"worker"})
    process = supervisor.children[0].process
    before = process.pid
    try:
        watch.probe()
        time.sleep(0.6)
        supervisor.check()
        assert process.pid == before

        supervisor.start()

        assert wait_until(lambda: process.is_running and process.pid != before, step=supervisor.check)
    finally:
        supervisor.stop()
        watch.stop()


def test_stop_ends_stubborn_children_and_their_children(folder: DataFolder) -> None:
    program = (
        "import subprocess, sys, time\n"
        "member = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(member.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    supervisor = make_supervisor(
        folder, make_spec("stubborn", STUBBORN), make_spec("parent", ("{python}", "-c", program))
    )
    supervisor.start()
    stubborn, parent = (child.process for child in supervisor.children)
    assert wait_until(lambda: bool(parent.tail) and bool(stubborn.tail))
    pids = [int(parent.tail[0]), *(p.pid for p in (stubborn, parent) if p.pid is not None)]

    assert supervisor.stop()

    assert len(pids) == 3
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=2)


def test_children_die_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from dashboard.embedded.folder import open_data_folder
from tests.embedded.test_supervisor import STUBBORN, make_spec, make_supervisor
supervisor = make_supervisor(open_data_folder(Path({str(tmp_path / "data")!r})), make_spec("stubborn", STUBBORN))
supervisor.start()
while not supervisor.children[0].process.tail:
    time.sleep(0.05)
print(supervisor.children[0].process.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)

    parent.kill()
    parent.wait()

    assert wait_until(lambda: not is_alive(pid), seconds=5)


def test_the_next_start_ends_recorded_sessions_and_nobody_else(folder: DataFolder) -> None:
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert leader.stdout is not None
    member = int(leader.stdout.readline())
    try:
        record_children(folder.root, [leader.pid, bystander.pid])
        # As if the bystander had got its number after a reuse.
        path = folder.root / "children.json"
        text = path.read_text()
        started = Path(f"/proc/{bystander.pid}/stat").read_text().rpartition(")")[2].split()[19]
        path.write_text(
            text.replace(
                f'"pid": {bystander.pid}, "start_ticks": {started}',
                f'"pid": {bystander.pid}, "start_ticks": 1',
            )
        )

        assert end_leftovers(folder.root) == 2

        leader.wait(timeout=5)
        assert wait_until(lambda: not is_alive(member), seconds=5)
        assert bystander.poll() is None
        assert end_leftovers(folder.root) == 0
    finally:
        bystander.kill()
        bystander.wait()


def test_who_holds_a_folder_can_be_found_by_its_address(folder: DataFolder) -> None:
    with hold_data_folder(folder):
        starting = find_running(folder.root)
        store_address(folder, "http://localhost:8123")
        ready = find_running(folder.root)
        store_address(folder, None)
        ending = find_running(folder.root)
        store_address(folder, "http://localhost:8123")
    killed = find_running(folder.root)

    assert ready == Running(address="http://localhost:8123", process=str(os.getpid()))
    assert (starting, ending, killed) == (None, None, None)
    assert find_running(folder.root / "nowhere") is None


def test_two_supervisors_cannot_hold_one_folder(folder: DataFolder) -> None:
    holder = rf"already runs on .* \(process {os.getpid()}\)"
    with hold_data_folder(folder), pytest.raises(StartError, match=holder), hold_data_folder(folder):
        pass

    with hold_data_folder(folder):
        pass


def test_logs_are_rotated_by_size(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.embedded.process.LOG_FILE_BYTES", 2000)
    log = folder.logs / "chatty.log"
    process = ManagedProcess(
        "chatty",
        [sys.executable, "-c", "for i in range(2000): print('line', i)"],
        identity=OWN_IDENTITY,
        log_path=log,
    )

    process.start()
    assert process.wait(timeout_seconds=10)
    process.stop()

    names = sorted(path.name for path in folder.logs.iterdir())
    assert names == ["chatty.log", "chatty.log.1", "chatty.log.2", "chatty.log.3"]
    assert all(path.stat().st_size <= 2000 for path in folder.logs.iterdir())
    assert log.read_text().splitlines()[-1] == "line 1999"


def test_the_table_covers_every_queue_once_and_keeps_redis_out_of_the_enforcer() -> None:
    from dashboard.celery import app

    served = [queue for spec in PROCESSES for queue in spec.queues]
    enforcer = next(spec for spec in PROCESSES if spec.name == "enforcer")

    assert sorted(served) == sorted(queue.name for queue in app.conf.task_queues)
    assert next(spec.queues for spec in PROCESSES if "stops" in spec.queues) == ("stops",)
    assert "redis" not in enforcer.needs
    assert all(spec.health.heartbeat or spec.health.http_path for spec in PROCESSES)
