"""`manage.py up` where it cannot run: one sentence that says what to do, no traceback, nothing left running."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from dashboard.embedded.postgres import PostgresServer, find_servers
from dashboard.embedded.redis import RedisServer
from simulator.testing import SimulatorProcess

BASE = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and changes users")


def run_up(data_dir: Path, *, prefix: tuple[str, ...] = (), **variables: str) -> str:
    """Return what `up` says on its way out; it must be one line and a failure."""
    environment = {**os.environ, "DATA_DIR": str(data_dir), "PORT": str(find_port()), **variables}
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name not in variables:
            environment.pop(name, None)

    result = subprocess.run(
        [*prefix, sys.executable, str(BASE / "manage.py"), "up"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Endpoint Desk cannot start. ")
    assert lines[0].endswith(".")
    assert find_servers(data_dir / "postgres") == []
    return lines[0].removeprefix("Endpoint Desk cannot start. ")


def find_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_taken_port_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]

        sentence = run_up(tmp_path / "data", PORT=str(port))

    assert sentence.startswith(f"Port {port} is already in use;")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        ("eighty", "PORT must be a whole number, not 'eighty'."),
        ("70000", "PORT must be at most 65535, not 70000."),
    ],
)
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str, reason: str) -> None:
    assert run_up(tmp_path, PORT=port) == reason


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")

    assert run_up(tmp_path / "data") == (
        f"{tmp_path / 'data'} is not a folder; remove it or set DATA_DIR to another folder."
    )


@needs_root
def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    # Root without any right over files of others is as powerless as a normal user.
    os.chown(tmp_path, 65534, 65534)
    prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")

    sentence = run_up(tmp_path / "data", prefix=prefix)

    assert sentence.startswith(f"The folder {tmp_path / 'data'} cannot be written by this user;")


@needs_root
@pytest.mark.parametrize("size", ["32k", "100m"], ids=["full", "nearly full"])
def test_a_full_disk_is_named(tmp_path: Path, size: str) -> None:
    mount = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'

    sentence = run_up(tmp_path / "data", prefix=("unshare", "--mount", "sh", "-c", mount, str(tmp_path)))

    assert sentence.startswith(f"The disk that holds {tmp_path / 'data'} is full")


@needs_root
def test_a_disk_that_fills_up_while_the_cluster_is_made_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dashboard.embedded import folder\n"
        "folder.LEAST_FREE_BYTES = 0\n"
        "from dashboard.embedded.stores import choose_place, prepare_postgres\n"
        "from dashboard.embedded.errors import StartError\n"
        "place = choose_place(folder.open_data_folder(Path(sys.argv[1])), report=lambda line: None)\n"
        "try: prepare_postgres(place).start()\n"
        "except StartError as error: print(error)\n"
    )
    mount = 'mount -t tmpfs -o size=20m tmpfs "$0" && exec "$@"'
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        mount,
        str(tmp_path),
        sys.executable,
        "-c",
        program,
        str(tmp_path),
    ]

    result = subprocess.run(command, capture_output=True, text=True, cwd=BASE, timeout=60, check=False)

    assert result.stdout.startswith(f"The disk that holds {tmp_path / 'postgres'} is full;"), result.stderr


@pytest.mark.parametrize(
    ("name", "url", "reason"),
    [
        (
            "DATABASE_URL",
            "postgresql://desk@127.0.0.1:1/desk",
            "The PostgreSQL of DATABASE_URL cannot be used: ",
        ),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "The Redis of REDIS_URL cannot be used: "),
    ],
)
def test_a_given_server_that_does_not_answer_is_named(
    tmp_path: Path, name: str, url: str, reason: str
) -> None:
    assert run_up(tmp_path / "data", **{name: url}).startswith(reason)


def test_a_dead_key_is_named_before_anything_serves(tmp_path: Path) -> None:
    with SimulatorProcess(scenario="empty") as simulator:
        sentence = run_up(
            tmp_path / "data", TOGETHER_API_KEY="revoked-key-of-somebody", TOGETHER_BASE_URL=simulator.url
        )

    assert sentence.startswith("Together AI refuses TOGETHER_API_KEY (401);")
    assert "revoked-key" not in sentence


@pytest.fixture
def database_of_a_newer_version(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a database in which a migration that we do not have was applied."""
    url = urlunsplit(urlsplit(postgres_server.url)._replace(path="/newer"))
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE newer OWNER desk")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE django_migrations (id bigserial, app text, name text, applied timestamptz)"
        )
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES"
            " ('accounts', '0001_initial', now()), ('mirror', '9999_next_year', now()),"
            " ('an_app_that_was_removed', '0001_initial', now())"
        )
    yield url
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE newer WITH (FORCE)")


def test_a_database_of_a_newer_version_is_named_and_left_alone(
    tmp_path: Path, database_of_a_newer_version: str, redis_server: RedisServer
) -> None:
    sentence = run_up(tmp_path / "data", DATABASE_URL=database_of_a_newer_version, REDIS_URL=redis_server.url)

    assert sentence.startswith(
        "The database belongs to a newer version of Endpoint Desk: it has mirror.9999_next_year, which version"
    )
    with psycopg.connect(database_of_a_newer_version) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (1,)


def test_a_base_url_that_is_none_is_named(tmp_path: Path) -> None:
    sentence = run_up(tmp_path / "data", TOGETHER_API_KEY="some-key-of-ours", TOGETHER_BASE_URL="not a url")

    assert sentence.startswith("TOGETHER_API_KEY or TOGETHER_BASE_URL is wrong: ")
