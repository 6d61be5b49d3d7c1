"""End what an earlier supervisor left behind when it was killed.

Children die with their supervisor by the kernel's death signal; this is the second net, for their own children and
for kernels without that signal. A recorded process counts only while its session began in the same boot at the same
tick, so a recycled number harms nobody. Linux only; elsewhere nothing is recorded.
"""

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
_FILE = "children.json"


@dataclass(frozen=True)
class Session:
    """A child that leads a session of its own; ``start_ticks`` are clock ticks since boot."""

    pid: int
    start_ticks: int
    boot_id: str


def record_children(root: Path, pids: list[int]) -> None:
    """Remember the children in the data folder, whole or not at all. A full disk is no reason to fail."""
    sessions = [asdict(session) for pid in pids if (session := _describe(pid)) is not None]
    try:
        (root / f"{_FILE}.new").write_text(json.dumps(sessions), encoding="ascii")
        (root / f"{_FILE}.new").replace(root / _FILE)
    except OSError:
        return


def end_leftovers(root: Path) -> int:
    """Kill every process of a recorded session; return how many. Call it while holding the data folder."""
    try:
        rows = json.loads((root / _FILE).read_text(encoding="ascii"))
        sessions = [Session(**row) for row in rows]
    except (OSError, ValueError, TypeError):
        return 0
    processes = _list_processes()
    starts = {pid: start_ticks for pid, _, start_ticks in processes}
    boot_id = _read_boot_id()
    ours = {
        session.pid
        for session in sessions
        # A number is not given out again while its session has members: no leader means that it is still ours.
        if session.boot_id == boot_id and starts.get(session.pid, session.start_ticks) == session.start_ticks
    }
    killed = 0
    for pid, session_id, _ in processes:
        if session_id not in ours:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except (ProcessLookupError, PermissionError):
            continue
    (root / _FILE).unlink(missing_ok=True)
    return killed


def _describe(pid: int) -> Session | None:
    found = _read_stat(pid)
    return None if found is None else Session(pid, found[1], _read_boot_id())


def _list_processes() -> list[tuple[int, int, int]]:
    if not PROC.joinpath("self", "stat").exists():
        return []
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return [(pid, *found) for pid in pids if (found := _read_stat(pid)) is not None]


def _read_stat(pid: int) -> tuple[int, int] | None:
    """Return (session id, start in ticks since boot), None when the process has ended (see proc(5), fields 6, 22)."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a program's name may hold spaces and brackets
    return int(fields[3]), int(fields[19])


def _read_boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
