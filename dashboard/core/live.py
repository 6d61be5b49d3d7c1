"""Tell open pages that something changed, through PostgreSQL's NOTIFY.

The notice is delivered when the transaction commits, and not at all when it rolls back. It carries topics
and ids, never data: whoever listens reads what it may see.
"""

import json
from collections.abc import Iterable

from django.db import connection

CHANNEL = "desk_changes"
# PostgreSQL's limit of a NOTIFY payload is 8000 bytes; ids beyond this many are left out ("many changed").
MAX_IDS = 200


def announce(topics: Iterable[str], *, ids: Iterable[int] = ()) -> None:
    """Queue a notice for the listeners of ``topics``; ``ids`` are endpoint ids. One statement."""
    listed = sorted(set(ids))
    payload = {"topics": sorted(set(topics)), "ids": listed if len(listed) <= MAX_IDS else []}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps(payload)])
