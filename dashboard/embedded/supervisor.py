"""Keep the table of processes running: restart what exits and what stops reporting, end all of it in order."""

import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from dashboard.embedded.console import Console
from dashboard.embedded.errors import StartError
from dashboard.embedded.folder import DataFolder
from dashboard.embedded.health import HealthWatch
from dashboard.embedded.identity import Identity
from dashboard.embedded.leftovers import record_children
from dashboard.embedded.process import ManagedProcess
from dashboard.processes import ProcessSpec

LOOP_SECONDS = 0.2
STEADY_SECONDS = 60.0  # who ran this long starts again without a growing pause
KILL_SECONDS = 5.0
BEAT = "beat"  # sends the canaries of every queue


class Store(Protocol):
    """PostgreSQL or Redis as the supervisor sees it."""

    @property
    def process(self) -> ManagedProcess: ...
    def start(self) -> None: ...
    def stop(self) -> bool: ...
    def describe(self) -> str: ...


class Child:
    """One row of the table with its running process and the pause before its next start."""

    def __init__(self, spec: ProcessSpec, process: ManagedProcess) -> None:
        self.spec = spec
        self.process = process
        self.started_at = float("-inf")
        self.start_again_at: float | None = None
        self._failures = 0

    def start(self) -> None:
        self.process.start()
        self.started_at, self.start_again_at = time.monotonic(), None

    def plan_restart(self) -> float:
        """Set when it starts again and return the pause in seconds; it doubles while starts keep failing."""
        now = time.monotonic()
        self._failures = 1 if now - self.started_at > STEADY_SECONDS else self._failures + 1
        pause_seconds = min(
            self.spec.first_restart_seconds * 2 ** (self._failures - 1), self.spec.longest_restart_seconds
        )
        self.start_again_at = now + pause_seconds
        return pause_seconds


class Supervisor:
    """Run rows of the table over their stores.

    Only the main thread may call it, because the death signal of the children follows the thread that started them.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        words: Mapping[str, str],
        environment: Mapping[str, str],
        program_folder: Path,
        folder: DataFolder,
        identity: Identity,
        stores: Mapping[str, Store],
        watch: HealthWatch,
        console: Console,
    ) -> None:
        self._folder = folder
        self._stores = stores
        self._watch = watch
        self._console = console
        self._disturbed_at = float("-inf")
        self._store_retry_at: dict[str, float] = {}
        self.children = [
            Child(
                spec,
                ManagedProcess(
                    spec.name,
                    [part.format_map(words) for part in spec.argv],
                    identity=identity,
                    log_path=folder.logs / f"{spec.name}.log",
                    environment=environment,
                    folder=program_folder,
                    on_line=console.relay,
                ),
            )
            for spec in specs
        ]

    def start(self, names: Collection[str] | None = None) -> None:
        """Start every row, or those named, that does not run yet."""
        for child in self.children:
            if (names is None or child.spec.name in names) and not child.process.is_running:
                child.start()
        self._record()

    def run(self, *, should_stop: Callable[[], bool]) -> None:
        """Restart what exits or stops reporting until ``should_stop`` says so."""
        while not should_stop():
            self.check()
            time.sleep(LOOP_SECONDS)

    def check(self) -> None:
        """Look at everything once."""
        if self._check_stores():
            for child in self.children:
                self._check_child(child)

    def stop(self, *, in_a_hurry: Callable[[], bool] = lambda: False) -> bool:
        """End the rows together, then the stores; return whether everything has exited.

        ``in_a_hurry`` becoming true (a second Ctrl-C) ends the waiting.
        """
        self._watch.stop()
        running = [child for child in self.children if child.process.is_running]
        for child in running:
            child.process.send_signal(signal.SIGTERM)
        began_at = time.monotonic()
        while running and not in_a_hurry():
            elapsed_seconds = time.monotonic() - began_at
            running = [c for c in running if c.process.is_running and elapsed_seconds < c.spec.grace_seconds]
            time.sleep(0.05)
        ended = [child.process.stop(steps=((signal.SIGKILL, KILL_SECONDS),)) for child in self.children]
        ended += [store.stop() for store in reversed(list(self._stores.values()))]
        self._record()
        return all(ended)

    def _check_stores(self) -> bool:
        """Start a store again that has exited; return whether all run."""
        all_run = True
        for name, store in self._stores.items():
            if store.process.is_running or store.process.pid is None:
                continue
            all_run = False
            if time.monotonic() < self._store_retry_at.get(name, 0.0):
                continue
            self._console.warn(
                f"{name} exited with {_describe_exit(store.process.exit_code)}; starting it again"
            )
            try:
                store.start()
            except StartError as error:
                self._console.warn(f"{error} Next try in 10 s.")
                self._store_retry_at[name] = time.monotonic() + 10.0
            else:
                self._disturbed_at = time.monotonic()
                self._record()
        return all_run

    def _check_child(self, child: Child) -> None:
        name = child.spec.name
        if child.process.pid is None:
            return  # its turn comes later in the start
        if child.start_again_at is not None:
            if time.monotonic() >= child.start_again_at:
                child.start()
                self._record()
        elif not child.process.is_running:
            code = _describe_exit(child.process.exit_code)
            pause_seconds = child.plan_restart()
            # What it said last explains an exit of its own, not a signal from outside.
            exited_by_itself = (child.process.exit_code or 0) > 0 and child.process.tail
            reason = f": {child.process.tail[-1]}" if exited_by_itself else ""
            self._console.warn(
                f"{name} exited with {code}; starting it again in {pause_seconds:.0f} s{reason}"
            )
        elif (silence_seconds := self._silence_seconds(child)) > child.spec.health.max_age_seconds:
            self._console.warn(f"{name} has not reported for {silence_seconds:.0f} s; starting it again")
            child.process.stop(
                steps=((signal.SIGTERM, child.spec.grace_seconds), (signal.SIGKILL, KILL_SECONDS))
            )
            child.plan_restart()
            if name == BEAT:
                self._disturbed_at = time.monotonic()

    def _silence_seconds(self, child: Child) -> float:
        """Return for how long the process has owed a sign; 0 while its signs cannot reach us."""
        health = child.spec.health
        if health.heartbeat is None and health.http_path is None:
            return 0.0
        owed_since = [
            child.started_at,
            self._disturbed_at,
            self._watch.last_sign_at(child.spec.name) or float("-inf"),
        ]
        if health.heartbeat is not None:
            if self._watch.readable_since is None:
                return 0.0
            owed_since.append(self._watch.readable_since)
        if child.spec.queues:
            # Canaries come from beat: while beat is silent, a silent queue proves nothing.
            beat = next((other for other in self.children if other.spec.name == BEAT), None)
            if beat is None or not beat.process.is_running:
                return 0.0
            owed_since.append(beat.started_at)
        return time.monotonic() - max(owed_since)

    def _record(self) -> None:
        processes = [child.process for child in self.children] + [
            store.process for store in self._stores.values()
        ]
        record_children(self._folder.root, [p.pid for p in processes if p.pid is not None and p.is_running])


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"code {code}"
