"""The scheduler of periodic tasks: any number of beats may run, one of them sends.

The leader holds a session lock of PostgreSQL on a connection of its own, so a killed leader is followed within a
second. Entries come from the table in dashboard/celery.py alone; nothing is stored, and an outage is not made up
for: each task computes from state.
"""

import contextlib
import logging
import time
from datetime import timedelta
from typing import Any

from celery import beat
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from dashboard.core.locks import Lock

logger = logging.getLogger(__name__)

FOLLOWER_WAIT_SECONDS = 1.0
CHECK_EVERY_SECONDS = 0.5  # a leader whose session was ended sends for at most this long beside its successor
HEARTBEAT_EVERY_SECONDS = 10.0
HEARTBEAT = "beat"


class Scheduler(beat.Scheduler):
    """Send due tasks only while this process holds the lock."""

    max_interval = FOLLOWER_WAIT_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._connection: BaseDatabaseWrapper | None = None
        self._is_leader = False
        self._checked_at = self._beat_at = float("-inf")
        # The command line passes its own default of 300 s, in which the lock would go unwatched.
        super().__init__(*args, **{**kwargs, "max_interval": FOLLOWER_WAIT_SECONDS})

    def setup_schedule(self) -> None:
        """Take the table as it is, every entry due at once: a fresh start shows data in seconds, not after a period."""
        self.merge_inplace(self.app.conf.beat_schedule)
        for entry in self.schedule.values():
            entry.last_run_at -= timedelta(days=1)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Return the seconds until the next call; sends at most one due task, none as a follower."""
        if not self._leads():
            return FOLLOWER_WAIT_SECONDS
        delay: float = super().tick(*args, **kwargs)
        return delay

    def close(self) -> None:
        """Give the lock up by closing its connection."""
        self._drop_connection()
        super().close()

    def _leads(self) -> bool:
        if time.monotonic() - self._checked_at < CHECK_EVERY_SECONDS:
            return self._is_leader
        try:
            was_leader, self._is_leader = self._is_leader, self._ask_for_lead()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("beat waits for PostgreSQL: %s", str(error).strip().splitlines()[0])
            self._drop_connection()
            return False
        if self._is_leader and not was_leader:
            logger.info("beat sends the periodic tasks now")
        self._checked_at = time.monotonic()
        return self._is_leader

    def _ask_for_lead(self) -> bool:
        if self._connection is None:
            # A copy: Django closes and reopens its own connections, which would give the lock away.
            self._connection = connections["default"].copy()
        with self._connection.cursor() as cursor:
            if self._is_leader:
                cursor.execute("SELECT true")  # the session lives, so it holds the lock
            else:
                cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [Lock.BEAT.value])
            row = cursor.fetchone()
            leads = bool(row and row[0])
            if leads and time.monotonic() - self._beat_at >= HEARTBEAT_EVERY_SECONDS:
                cursor.execute(
                    "INSERT INTO core_heartbeat (name, beat_at, detail) VALUES (%s, now(), '{}')"
                    " ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at",
                    [HEARTBEAT],
                )
                self._beat_at = time.monotonic()
        return leads

    def _drop_connection(self) -> None:
        self._is_leader = False
        if self._connection is not None:
            with contextlib.suppress(DatabaseError):  # it may be broken: that is why it is dropped
                self._connection.close()
            self._connection = None
