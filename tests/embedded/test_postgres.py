"""The embedded PostgreSQL: who gets in, what survives, and which pid files it believes."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dashboard.embedded.errors import StartError
from dashboard.embedded.folder import DataFolder
from dashboard.embedded.postgres import PostgresServer, find_servers
from dashboard.embedded.stores import Place, prepare_postgres
from tests.plugins.services import throw_away_place


@pytest.fixture
def place() -> Iterator[Place]:
    with throw_away_place() as place:
        yield place


@pytest.fixture
def server(place: Place) -> Iterator[PostgresServer]:
    server = prepare_postgres(place)
    server.start()
    yield server
    server.stop()


def count_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def test_nobody_enters_without_the_password_or_by_network(postgres_server: PostgresServer) -> None:
    folder = postgres_server.socket_folder

    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=str(folder), user="postgres", dbname="postgres", passfile="/dev/null")
    with psycopg.connect(postgres_server.url) as connection:
        listening = connection.execute("SHOW listen_addresses").fetchone()
        superuser = connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert listening == ("",)
    assert superuser == (False,)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(postgres_server.data_folder.stat().st_mode) == 0o700


def test_it_is_durable_checked_and_sorts_the_same_everywhere(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("fsync", "synchronous_commit", "data_checksums", "server_encoding")
        }
        locale = connection.execute(
            "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        ).fetchone()

    assert shown == {
        "fsync": ("on",),
        "synchronous_commit": ("on",),
        "data_checksums": ("on",),
        "server_encoding": ("UTF8",),
    }
    assert locale == ("b", "C.UTF-8")


def test_committed_rows_survive_kill_9(server: PostgresServer) -> None:
    write_row(server.url)

    server.kill()
    server.start()

    assert count_rows(server.url) == 1


@pytest.mark.parametrize("content", ["", "12", "{pid}\n/elsewhere\n"], ids=["empty", "cut", "recycled"])
def test_a_pid_file_that_names_no_postgres_of_ours_is_no_obstacle(
    server: PostgresServer, content: str
) -> None:
    write_row(server.url)
    server.kill()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (server.data_folder / "postmaster.pid").write_text(content.format(pid=other.pid))

        server.start()

        assert count_rows(server.url) == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_left_behind_by_an_earlier_supervisor_is_replaced(
    place: Place, server: PostgresServer
) -> None:
    write_row(server.url)
    assert find_servers(server.data_folder) == [server.process.pid]

    successor = prepare_postgres(place)
    successor.start()
    try:
        assert not server.process.is_running
        assert find_servers(server.data_folder) == [successor.process.pid]
        assert count_rows(successor.url) == 1
    finally:
        successor.stop()


def test_a_start_that_was_killed_during_initdb_begins_again(place: Place) -> None:
    unfinished = place.base / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    server = prepare_postgres(place)
    server.start()
    try:
        assert server.is_ready()
        assert not unfinished.exists()
    finally:
        server.stop()


def test_data_of_another_major_version_is_named(place: Place) -> None:
    (place.base / "postgres").mkdir()
    (place.base / "postgres" / "PG_VERSION").write_text("16\n")

    with pytest.raises(StartError, match=r"holds data of PostgreSQL 16, but 18 is installed; .*pg_dump"):
        prepare_postgres(place).start()


def test_lost_secrets_are_named(place: Place, server: PostgresServer) -> None:
    server.stop()
    for secret in place.folder.secrets.glob("postgres*"):
        secret.unlink()

    with_new_secrets = prepare_postgres(place)
    with pytest.raises(StartError, match="restore the secrets folder"):
        with_new_secrets.start()
    with_new_secrets.stop()


def test_it_stops_within_seconds_although_a_client_is_connected(server: PostgresServer) -> None:
    with psycopg.connect(server.url):
        began_at = time.monotonic()

        assert server.stop()

    assert time.monotonic() - began_at < 10
    assert server.process.exit_code == 0
    assert find_servers(server.data_folder) == []


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from tests.plugins.services import throw_away_place, running_postgres\n"
        "with throw_away_place() as place, running_postgres(place) as server:\n"
        "    print(server.data_folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert parent.stdout is not None
    data_folder = Path(parent.stdout.readline().strip())
    assert find_servers(data_folder)

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    deadline = time.monotonic() + 15
    while find_servers(data_folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert find_servers(data_folder) == []


def test_a_long_data_path_gets_its_sockets_elsewhere(place: Place, tmp_path: Path) -> None:
    from dashboard.embedded.folder import choose_socket_folder, open_data_folder

    deep: DataFolder = open_data_folder(tmp_path / ("d" * 90))
    folder = choose_socket_folder(deep.root)
    try:
        assert deep.root not in folder.parents
        assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= 107
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert choose_socket_folder(deep.root) == folder
    finally:
        folder.rmdir()
