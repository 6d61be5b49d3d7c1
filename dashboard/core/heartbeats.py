"""Write and read heartbeats. Time comes from PostgreSQL: the clock of a worker may be wrong."""

import json

from django.db import connection


def beat(name: str, **detail: object) -> None:
    """Record that the process ``name`` works, with PostgreSQL's time. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_heartbeat (name, beat_at, detail) VALUES (%s, now(), %s)"
            " ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at, detail = excluded.detail",
            [name, json.dumps(detail)],
        )


def read_ages() -> dict[str, float]:
    """Return seconds since the last beat, by process name. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, extract(epoch FROM now() - beat_at)::float8 FROM core_heartbeat")
        return dict(cursor.fetchall())
