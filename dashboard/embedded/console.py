"""What the person at the terminal sees of `make up`."""

import contextlib
import os
import queue
import re
import sys
import threading
import time
from typing import TextIO

WAITING_LINES = 1000
LONGEST_LINE = 220  # characters of a child's line on the terminal; its log file has all of it
# Per process: a child that fails in a loop must not bury the sign-in link.
BURST_LINES = 8
BURST_SECONDS = 30.0
_COLOURS = {"step": "32", "warning": "33", "error": "31", "name": "36"}
# The product's own log lines (core/logs.py), Celery's, and PostgreSQL's worst level.
_WORTH_SHOWING = re.compile(r"^(\S+ (WARNING|ERROR|CRITICAL) |\[[^]]* (WARNING|ERROR|CRITICAL)/|.*\bPANIC: )")


class Console:
    """Print steps and the warnings of children. Printing never blocks a child: lines are dropped when nobody reads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=WAITING_LINES)
        self._bursts: dict[str, tuple[float, int]] = {}
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def report(self, line: str) -> None:
        """Print one step of the start or of the supervision."""
        self._put(f"{self._paint('>', 'step')} {line}")

    def warn(self, line: str) -> None:
        """Print something that needs a look."""
        self._put(f"{self._paint('!', 'warning')} {line}")

    def show(self, text: str) -> None:
        """Print the text as it is."""
        self._put(text)

    def relay(self, name: str, line: str) -> None:
        """Print a child's line with its name when it is a warning or worse, a few per half minute."""
        found = _WORTH_SHOWING.match(line)
        if found is None:
            return
        now = time.monotonic()
        began_at, count = self._bursts.get(name, (now, 0))
        if now - began_at > BURST_SECONDS:
            began_at, count = now, 0
        self._bursts[name] = (began_at, count + 1)
        if count < BURST_LINES:
            if len(line) > LONGEST_LINE:
                line = f"{line[:LONGEST_LINE]}…"
            colour = "warning" if "WARNING" in found.group(0) else "error"
            self._put(f"{self._paint(name, 'name')} {self._paint(line, colour)}")
        elif count == BURST_LINES:
            self._put(f"{self._paint(name, 'name')} more of these: see its file in the data folder's log")

    def close(self) -> None:
        """Print what waits and end."""
        try:
            self._lines.put(None, timeout=1.0)
        except queue.Full:
            return
        self._writer.join(timeout=2.0)

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._is_coloured else text

    def _put(self, line: str) -> None:
        # Full: the terminal is held (Ctrl-S) or gone; the log files have the line.
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                print(line, file=self._stream, flush=True)
            except (OSError, ValueError):
                return  # the terminal was closed
