"""A database of a test's own in the private PostgreSQL: other tests leave their tables in the server's first one."""

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from dashboard.embedded.postgres import PostgresServer


@pytest.fixture
def heartbeat_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a new database that holds nothing but the table of heartbeats."""
    name = f"heartbeats_{secrets.token_hex(4)}"
    url = urlunsplit(urlsplit(postgres_server.url)._replace(path=f"/{name}"))
    owner = urlsplit(postgres_server.url).username or "desk"
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" OWNER "{owner}"'.encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE core_heartbeat (name text PRIMARY KEY, beat_at timestamptz, detail jsonb)"
        )
    yield url
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
