"""Tell whether one process of the table works: ``python -m dashboard.healthcheck NAME [--restart]``.

The health command of a container, in the place that the supervisor has under `make up`. Exit code 0: the process
showed a sign of work lately. 1: it did not, or nobody can tell.

With ``--restart`` a process that owes a sign is ended after three such answers in a row, and the restart policy brings
a new one: container engines restart what exits, never what hangs. A database that does not answer is no reason to end
anything, least of all the enforcer, which then works from memory. It takes an init as process 1 (compose: ``init:
true``), because the kernel protects process 1 from signals out of its own namespace.

Not safe against this: of several replicas of a worker one row tells, so one that hangs hides behind the others.
"""

import argparse
import http.client
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dashboard import env
from dashboard.processes import PROCESSES, ProcessSpec

SILENCES_BEFORE_RESTART = 3
WEB_PORT = 8000  # inside the container; docker-compose.yml publishes it
HTTP_SECONDS = 8.0
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 5000
POLL_SECONDS = 0.1
BEAT = "beat"  # sends the canaries of every queue


@dataclass(frozen=True)
class Verdict:
    """What one look says; ``is_silent`` means that the process owes a sign, not merely that none was seen."""

    works: bool
    is_silent: bool
    sentence: str


def judge_heartbeat(spec: ProcessSpec, *, ages: Mapping[str, float], uptime_seconds: float | None) -> Verdict:
    """Judge by the ages of heartbeats in seconds; ``uptime_seconds`` is None where it cannot be read."""
    limit = spec.health.max_age_seconds
    age = ages.get(spec.health.heartbeat or spec.name)
    if age is not None and age <= limit:
        return Verdict(works=True, is_silent=False, sentence=f"{spec.name} worked {age:.0f} s ago")
    seen = "has never reported" if age is None else f"has not reported for {age:.0f} s"
    if uptime_seconds is None or uptime_seconds <= limit:
        return Verdict(works=False, is_silent=False, sentence=f"{spec.name} {seen}; it may be starting")
    if spec.queues and ages.get(BEAT, float("inf")) > find_spec(BEAT).health.max_age_seconds:
        # Canaries come from beat: while beat is silent, a silent queue proves nothing.
        return Verdict(works=False, is_silent=False, sentence=f"{spec.name} {seen}; nor has beat")
    return Verdict(works=False, is_silent=True, sentence=f"{spec.name} {seen}")


def judge_answer(
    spec: ProcessSpec, *, status: int | None, reason: str, uptime_seconds: float | None
) -> Verdict:
    """Judge by the status of an answer over HTTP, None for no answer and then ``reason``."""
    if status is not None and status < http.client.BAD_REQUEST:
        return Verdict(works=True, is_silent=False, sentence=f"{spec.name} answers {status}")
    if status is not None:
        # It works, what it needs does not: a restart would mend nothing.
        return Verdict(works=False, is_silent=False, sentence=f"{spec.name} answers {status}")
    is_up_long = uptime_seconds is not None and uptime_seconds > spec.health.max_age_seconds
    return Verdict(
        works=False, is_silent=is_up_long, sentence=f"{spec.name} does not answer: {reason or 'no reason'}"
    )


def find_spec(name: str) -> ProcessSpec:
    """Return the row of that name. Raises KeyError."""
    return {spec.name: spec for spec in PROCESSES}[name]


def look(spec: ProcessSpec, *, uptime_seconds: float | None, port: int) -> Verdict:
    """Ask the process or the database once."""
    if spec.health.http_path is not None:
        status, reason = ask(spec.health.http_path, port=port)
        return judge_answer(spec, status=status, reason=reason, uptime_seconds=uptime_seconds)
    try:
        ages = read_ages(env.read_text("DATABASE_URL"))
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        return Verdict(works=False, is_silent=False, sentence=f"nobody can tell: {reason}")
    return judge_heartbeat(spec, ages=ages, uptime_seconds=uptime_seconds)


def ask(path: str, *, port: int) -> tuple[int | None, str]:
    """Return the status of the answer, or None and why there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HTTP_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        return connection.getresponse().status, ""
    except (OSError, http.client.HTTPException) as error:
        return None, str(error)
    finally:
        connection.close()


def read_ages(database_url: str) -> dict[str, float]:
    """Return seconds since each heartbeat by PostgreSQL's clock. Raises psycopg.Error."""
    with psycopg.connect(
        database_url,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        options=f"-c statement_timeout={STATEMENT_MILLISECONDS}",
        application_name="healthcheck",
    ) as connection:
        rows = connection.execute(
            "SELECT name, extract(epoch FROM now() - beat_at)::float8 FROM core_heartbeat"
        )
        return dict(rows.fetchall())


def find_main_process(spec: ProcessSpec) -> int | None:
    """Return the process that the container's init runs, None where there is no such init.

    Told by its whole command line: outside of a container process 1 has children that are none of ours.
    """
    for pid, parent, _ in read_processes():
        if parent == 1 and runs(spec, pid=pid):
            return pid
    return None


def runs(spec: ProcessSpec, *, pid: int) -> bool:
    """Return whether the process runs the row's command, whatever stands for the words in braces."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    words = raw.decode(errors="replace").rstrip("\0").split("\0")
    return len(words) == len(spec.argv) and all(
        "{" in wanted or word == wanted for word, wanted in zip(words, spec.argv, strict=True)
    )


def read_processes() -> list[tuple[int, int, float]]:
    """Return id, parent and age in seconds of every process that can be seen; nothing where there is no /proc."""
    found = []
    try:
        up_seconds = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        try:
            # The command may hold spaces and brackets; what counts stands behind its last bracket (man 5 proc).
            fields = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        age_seconds = up_seconds - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        found.append((int(name), int(fields[1]), age_seconds))
    return found


def count_silence(spec: ProcessSpec, *, verdict: Verdict, folder: Path) -> int:
    """Return how many looks in a row, this one included, found the process silent."""
    path = folder / f"desk-silences-{spec.name}"
    if not verdict.is_silent:
        path.unlink(missing_ok=True)
        return 0
    count = int(path.read_text(encoding="ascii") or 0) + 1 if path.exists() else 1
    path.write_text(str(count), encoding="ascii")
    return count


def end_process(pid: int, *, grace_seconds: float) -> None:
    """Ask the process to end and kill it when it has not within the grace."""
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(POLL_SECONDS)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboard.healthcheck")
    parser.add_argument("name", choices=[spec.name for spec in PROCESSES])
    parser.add_argument("--restart", action="store_true", help="end a process that stays silent")
    parser.add_argument("--port", type=int, default=WEB_PORT)
    options = parser.parse_args(arguments)
    spec = find_spec(options.name)
    main_process = find_main_process(spec)
    uptime_seconds = next((age for pid, _, age in read_processes() if pid == main_process), None)
    verdict = look(spec, uptime_seconds=uptime_seconds, port=options.port)
    print(verdict.sentence)  # noqa: T201 - the engine keeps it with the state of the container
    if options.restart:
        count = count_silence(spec, verdict=verdict, folder=Path(tempfile.gettempdir()))
        if count >= SILENCES_BEFORE_RESTART and main_process is not None:
            print(f"ending process {main_process}, silent {count} times in a row")  # noqa: T201
            end_process(main_process, grace_seconds=spec.grace_seconds)
    return 0 if verdict.works else 1


if __name__ == "__main__":
    sys.exit(main())
