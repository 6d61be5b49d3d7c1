"""One child process: started in its own session, logged to a rotated file, stopped for certain."""

import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from dashboard.embedded.identity import Identity, spawn_command

LOG_FILE_BYTES = 5_000_000
LOG_FILES_KEPT = 3
TAIL_LINES = 40  # enough for an error report with its cause
PIPE_BYTES = (
    1 << 20
)  # the most an unprivileged Linux process may ask for; a suspended supervisor blocks nobody soon
POLL_SECONDS = 0.02

StopStep = tuple[signal.Signals, float]  # signal, seconds to wait for the exit after it
TERMINATE: tuple[StopStep, ...] = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


class _ForgivingLogFile(RotatingFileHandler):
    """A log file that drops lines rather than stop the program that writes them (full disk, removed folder)."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Ignore; the console still gets the line."""


class ManagedProcess:
    """A child in its own session whose output goes to ``log_path`` and, line by line, to ``on_line``.

    Start it from a thread that lives as long as the program: the death signal follows the thread.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        identity: Identity,
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        self.name = name
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._argv = list(argv)
        self._identity = identity
        self._environment = dict(os.environ if environment is None else environment)
        self._folder = folder
        self._death_signal = death_signal
        self._on_line = on_line
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id, None before the first start."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal), None while it runs or was never started."""
        if self._process is None or self._process.returncode is None:
            self._reap()
        return None if self._process is None else self._process.returncode

    @property
    def is_running(self) -> bool:
        """Return whether it was started and has not exited."""
        return self._process is not None and self.exit_code is None

    def start(self) -> None:
        """Start the program; raises OSError when it cannot be spawned."""
        if self.is_running:
            return
        self.tail.clear()
        command = spawn_command(self._argv, identity=self._identity, death_signal=self._death_signal)
        self._process = subprocess.Popen(
            command,
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._pump = threading.Thread(target=self._pump_output, name=f"log-{self.name}", daemon=True)
        self._pump.start()

    def wait(self, *, timeout_seconds: float) -> bool:
        """Return True as soon as it has exited, False when it still runs after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while self.is_running:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself; does nothing when it has exited."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def stop(self, *, steps: Sequence[StopStep] = TERMINATE) -> bool:
        """Send each signal in turn until the program has exited; return whether it has."""
        for number, seconds in steps:
            self.send_signal(number)
            if self.wait(timeout_seconds=seconds):
                break
        if self._pump is not None:
            self._pump.join(timeout=1.0)
        return not self.is_running

    def _reap(self) -> None:
        # WNOWAIT keeps the id reserved until what is left of its process group has been killed too.
        if self._process is None:
            return
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _pump_output(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            handler: logging.Handler = _ForgivingLogFile(
                self._log_path, maxBytes=LOG_FILE_BYTES, backupCount=LOG_FILES_KEPT, encoding="utf-8"
            )
        except OSError:
            handler = logging.NullHandler()
        with contextlib.closing(handler), process.stdout as stream:
            for raw_line in stream:
                line = raw_line.decode("utf-8", errors="replace").rstrip("\r\n")
                self.tail.append(line)
                handler.handle(logging.LogRecord(self.name, logging.INFO, "", 0, line, None, None))
                if self._on_line is not None:
                    self._on_line(self.name, line)
