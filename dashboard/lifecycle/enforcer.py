"""The second path to the acts: a process of its own that needs PostgreSQL and the key, and no Redis.

Threads: workers claim and act like the Celery task; the keeper beats, listens, and keeps the open stops in
memory; the main thread acts from that memory once the keeper has been silent for a while. So a click is sent
within about a second, a dead broker changes nothing, and a dead database delays no stop.
"""

import json
import logging
import os
import threading
from pathlib import Path

from django.db import Error as DatabaseTroubleError
from django.db import connection, connections
from psycopg import Error as DriverError

from dashboard.core import heartbeats, live
from dashboard.lifecycle.journal import Journal
from dashboard.lifecycle.memory import Memory
from dashboard.lifecycle.reconcile import reconcile_once

logger = logging.getLogger(__name__)

# Seconds between two looks at the due rows when nobody announces any.
POLL_SECONDS = 1.0
TICK_SECONDS = 0.5
# The database counts as away when the keeper has not come round for so long; seconds. Above a statement that
# waits for a checkpoint, below what a due stop may be late.
BLACKOUT_AFTER_SECONDS = 5.0
# A host that does not answer must not hold the keeper for TCP's two minutes; seconds.
CONNECT_TIMEOUT_SECONDS = 5
# Work under way gets so long at SIGTERM; then its lease hands it on. Seconds, below the supervisor's patience.
GRACE_SECONDS = 6.0


class Enforcer:
    """One enforcer; `run` blocks until `stop` is called (from a signal handler or another thread)."""

    def __init__(self, *, folder: Path, worker_count: int = 3) -> None:
        self._memory = Memory(Journal(folder))
        self._worker_count = worker_count
        self._stopping = threading.Event()
        self._due = threading.Condition()

    def run(self) -> None:
        """Work until stopped."""
        connections.settings["default"].setdefault("OPTIONS", {}).setdefault(
            "connect_timeout", CONNECT_TIMEOUT_SECONDS
        )
        threads = [threading.Thread(target=self._keep, name="keeper", daemon=True)]
        threads += [
            threading.Thread(target=self._work, args=(number,), name=f"worker-{number}", daemon=True)
            for number in range(self._worker_count)
        ]
        for thread in threads:
            thread.start()
        silent_ticks, last_refresh = 0, self._memory.refreshed_monotonic
        while not self._stopping.wait(TICK_SECONDS):
            # Counted in ticks of our own, not by the clock: a process that was frozen wakes with an old copy and
            # must give the keeper its time before it believes that the database is away.
            newest = self._memory.refreshed_monotonic
            silent_ticks = silent_ticks + 1 if newest == last_refresh else 0
            last_refresh = newest
            if newest is not None and silent_ticks * TICK_SECONDS >= BLACKOUT_AFTER_SECONDS:
                self._act_without_database()
        with self._due:
            self._due.notify_all()
        for thread in threads:
            thread.join(timeout=GRACE_SECONDS / len(threads))

    def stop(self) -> None:
        """Let `run` return soon."""
        self._stopping.set()

    def _act_without_database(self) -> None:
        try:
            self._memory.act()
        except Exception:  # the top of a loop that must outlive whatever one act does
            logger.exception("acting from memory failed")

    def _work(self, number: int) -> None:
        owner = f"enforcer/{os.getpid()}/{number}"
        while not self._stopping.is_set():
            try:
                reconcile_once(owner, is_stopping=self._stopping.is_set)
            except DatabaseTroubleError as error:
                logger.warning("the database does not answer: %s", error)
                connection.close()
            except Exception:  # the top of a loop that must outlive whatever one act does
                logger.exception("reconciling failed")
            with self._due:
                self._due.wait(timeout=POLL_SECONDS)
        connection.close()

    def _keep(self) -> None:
        listening: object = None
        while not self._stopping.is_set():
            try:
                connection.ensure_connection()
                if listening is not connection.connection:
                    with connection.cursor() as cursor:
                        cursor.execute(f"LISTEN {live.CHANNEL}")
                    listening = connection.connection
                # The journal first: the rows must know what was sent before anybody decides from them.
                self._memory.journal.replay()
                self._memory.refresh()
                heartbeats.beat("enforcer", open_stops=self._memory.count)
                self._listen()
            except (DatabaseTroubleError, DriverError) as error:
                logger.warning("the database does not answer: %s", error)
                connection.close()
                self._stopping.wait(POLL_SECONDS)
            except Exception:  # the top of a loop that must outlive whatever one pass does
                logger.exception("keeping watch failed")
                self._stopping.wait(POLL_SECONDS)
        connection.close()

    def _listen(self) -> None:
        """Wait for a notice about acts, at most a second, and wake the workers."""
        for notice in connection.connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            if "actions" in json.loads(notice.payload).get("topics", ()):
                with self._due:
                    self._due.notify_all()
