"""The health command of containers: who works, who owes a sign, and what is ended for owing it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dashboard import healthcheck
from dashboard.healthcheck import Verdict, find_spec, judge_answer, judge_heartbeat
from dashboard.processes import PROCESSES

ROOT = Path(__file__).resolve().parents[2]
ENFORCER, SYNC, WEB = find_spec("enforcer"), find_spec("worker-sync"), find_spec("web")
LONG = 10_000.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes a process namespace")


@pytest.mark.parametrize(
    ("name", "ages", "uptime_seconds", "works", "is_silent"),
    [
        ("enforcer", {"enforcer": 2.0}, LONG, True, False),
        ("enforcer", {"enforcer": 90.0}, LONG, True, False),
        ("enforcer", {"enforcer": 91.0}, LONG, False, True),
        ("enforcer", {}, LONG, False, True),
        # It starts: what it owes is not due yet.
        ("enforcer", {"enforcer": 5000.0}, 90.0, False, False),
        ("enforcer", {}, 3.0, False, False),
        # Nobody knows for how long it runs.
        ("enforcer", {"enforcer": 5000.0}, None, False, False),
        # Canaries of queues come from beat.
        ("worker-sync", {"worker-sync": 301.0, "beat": 5.0}, LONG, False, True),
        ("worker-sync", {"worker-sync": 301.0, "beat": 61.0}, LONG, False, False),
        ("worker-sync", {"worker-sync": 301.0}, LONG, False, False),
        ("worker-sync", {"worker-sync": 300.0}, LONG, True, False),
        # Another's sign proves nothing.
        ("worker-sync", {"worker-stops": 1.0, "beat": 1.0}, LONG, False, True),
    ],
)
def test_a_heartbeat_is_judged_by_its_age_and_by_what_it_takes(
    name: str, ages: dict[str, float], uptime_seconds: float | None, works: bool, is_silent: bool
) -> None:
    verdict = judge_heartbeat(find_spec(name), ages=ages, uptime_seconds=uptime_seconds)

    assert (verdict.works, verdict.is_silent) == (works, is_silent)
    assert verdict.sentence.startswith(name)


@pytest.mark.parametrize(
    ("status", "uptime_seconds", "works", "is_silent"),
    [
        (200, LONG, True, False),
        (301, LONG, True, False),
        # It answers that PostgreSQL is away: unhealthy, and a restart would mend nothing.
        (503, LONG, False, False),
        (None, LONG, False, True),
        (None, 5.0, False, False),
        (None, None, False, False),
    ],
)
def test_an_answer_is_judged_by_its_status(
    status: int | None, uptime_seconds: float | None, works: bool, is_silent: bool
) -> None:
    verdict = judge_answer(WEB, status=status, reason="refused", uptime_seconds=uptime_seconds)

    assert (verdict.works, verdict.is_silent) == (works, is_silent)


def test_silences_count_in_a_row_only(tmp_path: Path) -> None:
    silent = Verdict(works=False, is_silent=True, sentence="")
    starting = Verdict(works=False, is_silent=False, sentence="")

    def count(verdict: Verdict) -> int:
        return healthcheck.count_silence(ENFORCER, verdict=verdict, folder=tmp_path)

    assert [count(silent), count(silent), count(starting), count(silent)] == [1, 2, 0, 1]
    assert count(replace(silent, works=True, is_silent=False)) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def busy_port() -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_web_is_asked_over_http(busy_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert healthcheck.main(["web", "--port", str(busy_port)]) == 0
    assert healthcheck.main(["web", "--port", "1"]) == 1

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "web answers 200"
    assert told[1].startswith("web does not answer: ")


@pytest.mark.parametrize("spec", PROCESSES, ids=lambda spec: spec.name)
def test_outside_of_a_container_nobody_is_taken_for_the_main_process(spec: healthcheck.ProcessSpec) -> None:
    assert healthcheck.find_main_process(spec) is None


# An init as the engine gives one, the main process with the enforcer's own command line, and the health command.
INIT = """
import os, signal, subprocess, sys
from dashboard import healthcheck
stub = sys.argv[1]
main = subprocess.Popen([sys.executable, "manage.py", "enforcer"], cwd=stub)
other = subprocess.Popen(["sleep", "60"])
while not os.path.exists(f"{stub}/up"): pass
code = subprocess.run([sys.executable, "-c", sys.argv[2]]).returncode
main.wait(timeout=20)
print("main", main.returncode, "other", other.poll(), "check", code)
"""
STUBBORN = """
import signal, sys, time
if {stubborn}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("up", "w").close()
time.sleep(60)
"""
END = """
from dashboard import healthcheck
spec = healthcheck.find_spec("enforcer")
pid = healthcheck.find_main_process(spec)
ages = {pid: age for pid, _, age in healthcheck.read_processes()}
assert 0 <= ages[pid] < 30
healthcheck.end_process(pid, grace_seconds=1)
"""


@needs_root
@pytest.mark.parametrize(
    ("stubborn", "ends_by"), [(False, signal.SIGTERM), (True, signal.SIGKILL)], ids=["willing", "hanging"]
)
def test_in_a_container_the_silent_process_is_ended_and_nothing_else(
    tmp_path: Path, stubborn: bool, ends_by: signal.Signals
) -> None:
    (tmp_path / "manage.py").write_text(STUBBORN.format(stubborn=stubborn))
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

    result = subprocess.run(
        [*unshare, sys.executable, "-c", INIT, str(tmp_path), END],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.stdout.strip() == f"main {-ends_by} other None check 0", result.stderr
