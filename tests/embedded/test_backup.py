"""Backup and restore as docs/operations.md tells it, with PostgreSQL's own programs: lost, and all there again."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from dashboard.embedded.environment import store_environment
from dashboard.embedded.folder import DataFolder
from dashboard.embedded.postgres import PostgresServer, find_installation
from tests.plugins.services import throw_away_place

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "operations.md").read_text()
BLOCKS = dict(re.findall(r"```sh\n# (.*?)\n(.*?)```", GUIDE, re.DOTALL))
QUERIES = [
    query.strip()
    for block in re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)
    for query in block.split(";\n")
    if query.strip()
]
EXPORT = re.compile(r"export (\w+)='([^']*)'")
# Rows of every kind that a restore could spoil: a sealed key, a person with a password, a trail that refuses changes.
FILL = """
from django.db import transaction
from dashboard.accounts import audit
from tests import factories
with transaction.atomic():
    person = factories.make_admin(name="Ada")
    factories.make_connection(api_key="key-that-must-come-back")
    audit.record("person.invited", actor=audit.Actor.for_process("test"), target=person)
"""
READ = """
from dashboard.accounts import connections
from dashboard.accounts.models import Connection, User
from tests import factories
print("key", connections.read_key(Connection.objects.get()))
print("password", User.objects.get().check_password(factories.PASSWORD))
print("next", factories.make_viewer().pk)
"""


class Machine:
    """A data folder whose servers run as tools/dev_services.py runs them."""

    def __init__(self, folder: Path) -> None:
        self.data = DataFolder(folder)
        self.variables: dict[str, str] = {}
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        self._services = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "dev_services.py")],
            env=environment | {"DATA_DIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in self._services.stdout or ():
            self.variables |= dict(EXPORT.findall(line))
            if "DEBUG" in line:
                break
        # What `make up` leaves for commands by hand.
        store_environment(self.data, self.variables)

    def manage(self, *arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=os.environ | self.variables | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def run_block(self, name: str, *, folder: Path) -> None:
        """Run a block of the guide, as typed in the folder of the programs."""
        script = BLOCKS[name].replace(".venv/bin/python", sys.executable)
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(self.data.root), "PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def read_tables(self) -> dict[str, tuple[int, str]]:
        """Return rows and a digest of every table."""
        with psycopg.connect(self.variables["DATABASE_URL"]) as connection:
            names = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            ).fetchall()
            return {
                name: connection.execute(
                    f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{name}" t'.encode()
                ).fetchone()
                for (name,) in names
            }  # type: ignore[return-value]

    def close(self) -> None:
        self._services.terminate()
        self._services.wait(timeout=60)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "data")
    yield machine
    machine.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_lost_database_comes_back_from_the_backup(machine: Machine, tmp_path: Path) -> None:
    machine.manage("migrate", "--verbosity", "0")
    machine.manage("shell", "-c", FILL)
    before = machine.read_tables()
    machine.run_block("backup, one machine", folder=tmp_path)

    with psycopg.connect(machine.variables["DATABASE_URL"]) as connection:
        connection.execute("DROP TABLE accounts_connection CASCADE")
        connection.execute("CREATE TABLE left_behind_by_a_later_version (id int)")
    assert machine.read_tables() != before
    machine.run_block("restore, one machine", folder=tmp_path)

    assert machine.read_tables() == before
    told = machine.manage("shell", "-c", READ)
    assert "key key-that-must-come-back" in told
    assert "password True" in told
    machine.manage("migrate", "--check")
    with psycopg.connect(machine.variables["DATABASE_URL"]) as connection:
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("UPDATE accounts_auditevent SET action = 'forged'")
        connection.rollback()
        for query in QUERIES:
            connection.execute(query.encode())
    # The secrets lie apart, for nobody else to read.
    archive = tmp_path / "desk-secrets.tar.gz"
    assert archive.stat().st_mode & 0o777 == 0o600
    listed = subprocess.run(["tar", "-tzf", str(archive)], capture_output=True, text=True, check=True).stdout
    assert "secrets/field-encryption-keys" in listed
    # And the dump alone gives nobody the key.
    assert b"key-that-must-come-back" not in (tmp_path / "desk.dump").read_bytes()


def test_a_copy_of_the_whole_cluster_starts_and_holds_what_the_first_one_held(
    postgres_server: PostgresServer,
) -> None:
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS kept")
        admin.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id")
    password = urlsplit(postgres_server.admin_url).password or ""

    with throw_away_place() as place:
        # pg_verifybackup of the wheel crashes, so the proof is a server that runs on the copy.
        copy = place.base / "postgres"
        subprocess.run(
            [
                str(find_installation() / "bin" / "pg_basebackup"),
                *("--dbname", postgres_server.admin_url, "--pgdata", str(copy), "--wal-method", "fetch"),
                # Else it waits for a checkpoint spread over minutes, the longer the more the other tests wrote.
                *("--checkpoint", "fast"),
            ],
            check=True,
            capture_output=True,
        )
        server = PostgresServer(
            copy,
            socket_folder=place.socket_folder,
            identity=place.identity,
            log_path=place.folder.logs / "postgres.log",
            admin_password=password,
            application_password=urlsplit(postgres_server.url).password or "",
            installation=place.installation,
        )
        try:
            server.start()
            with psycopg.connect(server.admin_url) as connection:
                row = connection.execute("SELECT count(*), max(id) FROM kept").fetchone()
        finally:
            server.stop()

    assert row == (1000, 1000)


def test_the_guide_has_the_commands_and_queries_that_are_tried_here() -> None:
    assert set(BLOCKS) == {"backup, one machine", "restore, one machine"}
    assert len(QUERIES) == 2
