"""Advisory locks of PostgreSQL, numbered once.

They elect one runner for work that must not run twice at a time. Rows are claimed with SKIP LOCKED instead.
Session locks would be lost through a transaction-pooling pgbouncer: connect to PostgreSQL directly.
"""

import enum
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


class Lock(enum.IntEnum):
    """First key of the two-key advisory lock. Never reuse or renumber: old and new code run side by side."""

    BEAT = 1
    BOOTSTRAP = 2
    SYNC_PROJECTS = 10
    SYNC_HARDWARE = 11
    SYNC_ENDPOINTS = 12
    SYNC_EVENTS = 13
    SYNC_TRAFFIC = 14
    SYNC_IN_TRANSITION = 15
    PRUNE = 16
    MIRROR_WRITES = 17
    RESOURCE_WRITES = 18
    SYNC_UNIT_PRICES = 19
    ENDPOINT_ACTS = 20
    SYNC_FINE_TUNES = 30
    SYNC_BATCHES = 31
    SYNC_EVALUATIONS = 32
    SYNC_FILES = 33
    SYNC_UPLOADS = 34
    SYNC_MODELS = 35
    SYNC_CATALOGUE = 36
    SYNC_CLUSTERS = 37
    SYNC_VOLUMES = 38
    SYNC_CONTAINERS = 39
    SYNC_RL = 40
    SYNC_DETAILS = 41
    SYNC_REGIONS = 42
    METERING = 50
    OWNERSHIP = 51
    BILL_IMPORT = 52
    BUDGETS = 53
    REPORTS = 54
    FORECAST = 55
    STATEMENTS = 56
    PRICES = 56


@contextmanager
def try_lock(lock: Lock, *, key: int = 0) -> Iterator[bool]:
    """Hold the session lock (lock, key) for the block and yield True, or yield False at once when it is held.

    ``key`` is a row id below 2**31. The lock dies with the connection, so a killed worker frees it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock.value, key])
        row = cursor.fetchone()
    held = bool(row and row[0])
    try:
        yield held
    finally:
        if held and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock.value, key])


def hold_until_commit(lock: Lock, *, key: int = 0) -> None:
    """Wait for the lock (lock, key) and hold it until the present transaction ends; taking it twice is harmless.

    For writers that touch the same rows in different orders and would deadlock otherwise.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock.value, key])
