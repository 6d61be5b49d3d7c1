"""As whom PostgreSQL runs: as root by a user namespace or by an account, and as a normal user as itself."""

import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dashboard.embedded import identity as identities
from dashboard.embedded.folder import open_data_folder
from dashboard.embedded.stores import choose_place, prepare_postgres, prepare_redis

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes users")
PROGRAM = """
import json, os, sys
from pathlib import Path
from dashboard.embedded.errors import StartError
from dashboard.embedded.folder import open_data_folder
from dashboard.embedded.stores import choose_place, prepare_postgres
import psycopg
try:
    place = choose_place(open_data_folder(Path(sys.argv[1])), report=lambda line: None)
    server = prepare_postgres(place)
    server.start()
    with psycopg.connect(server.url) as connection:
        answer = connection.execute("SELECT 42").fetchone()[0]
    owner = os.stat(f"/proc/{server.process.pid}").st_uid
    server.stop()
    print(json.dumps({"answer": answer, "owner": owner, "identity": place.identity.name}))
except StartError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's tmp_path is closed to other users.
    with tempfile.TemporaryDirectory(prefix="desk-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def run_as(prefix: list[str], folder: Path) -> dict[str, object]:
    result = subprocess.run(
        [*prefix, sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=".",
    )
    assert result.stdout, result.stderr
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


@needs_root
def test_root_gets_a_user_namespace_where_the_kernel_allows(folder: Path) -> None:
    if not identities.user_namespace_works():
        pytest.skip("this kernel or container refuses user namespaces")

    answer = run_as([], folder)

    assert answer == {"answer": 42, "owner": 0, "identity": "a user namespace"}
    assert (folder / "postgres").stat().st_uid == 0


@needs_root
def test_root_without_namespaces_uses_an_account_that_owns_only_the_server_files(folder: Path) -> None:
    account = identities.service_user()

    place = choose_place(open_data_folder(folder), report=lambda line: None, identity=account)
    server, redis = prepare_postgres(place), prepare_redis(place)
    try:
        server.start()
        redis.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 42").fetchone() == (42,)
        owners = {Path(f"/proc/{process.pid}").stat().st_uid for process in (server.process, redis.process)}
    finally:
        redis.stop()
        server.stop()

    assert owners == {pwd.getpwnam(identities.SERVICE_USER).pw_uid}
    assert (folder / "postgres").stat().st_uid in owners
    assert (folder / "secrets").stat().st_uid == 0


@needs_root
def test_a_data_folder_closed_to_the_account_moves_the_servers_and_says_so(
    folder: Path, tmp_path: Path
) -> None:
    account = identities.service_user()
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    said: list[str] = []
    elsewhere = folder / "var"

    place = choose_place(
        open_data_folder(closed / "data"), report=said.append, identity=account, system_state=elsewhere
    )
    server = prepare_postgres(place)
    server.start()
    server.stop()

    assert place.base.is_relative_to(elsewhere)
    assert len(said) == 1
    assert f"cannot enter {closed / 'data'}: the database is kept in {place.base}" in said[0]


@needs_root
def test_data_stays_when_the_way_of_running_changes_and_changes_back(folder: Path) -> None:
    if not identities.user_namespace_works():
        pytest.skip("this kernel or container refuses user namespaces")
    data = open_data_folder(folder)
    ways = (identities.user_namespace(), identities.service_user(), identities.user_namespace())
    counts = []

    for way in ways:
        server = prepare_postgres(choose_place(data, report=lambda line: None, identity=way))
        server.start()
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
            connection.execute("INSERT INTO kept VALUES (1)")
            row = connection.execute("SELECT count(*) FROM kept").fetchone()
        server.stop()
        counts.append((row, server.data_folder.stat().st_uid))

    assert counts == [((number,), way.owner_uid) for number, way in enumerate(ways, start=1)]


@needs_root
def test_moved_data_is_found_again_by_whoever_starts_next(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    data = open_data_folder(closed / "data")
    moved = choose_place(
        data, report=lambda line: None, identity=identities.service_user(), system_state=folder / "var"
    )

    again = choose_place(data, report=lambda line: None, identity=identities.user_namespace())

    assert again.base == moved.base != data.root


def test_a_normal_user_runs_it_as_itself(folder: Path) -> None:
    if os.geteuid() != 0:
        answer, uid = run_as([], folder), os.geteuid()
    elif _can_import_all(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]):
        folder.chmod(0o777)
        answer, uid = run_as(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], folder), 65534
    elif _can_import_all(["unshare", "--user", "--map-user=65534", "--map-group=65534"]):
        # The interpreter lies in a folder of root: a namespace without any right is as normal a user.
        answer, uid = run_as(["unshare", "--user", "--map-user=65534", "--map-group=65534"], folder), 65534
    else:
        pytest.skip("root cannot become a normal user who reaches the interpreter")

    assert answer == {"answer": 42, "owner": uid, "identity": "this user"}


@needs_root
def test_a_user_without_a_name_borrows_one_inside_a_namespace(folder: Path) -> None:
    if not identities.user_namespace_works():
        pytest.skip("this kernel or container refuses user namespaces")

    answer = run_as(["unshare", "--user", "--map-user=54321", "--map-group=54321"], folder)

    assert answer == {"answer": 42, "owner": 54321, "identity": "a user namespace"}


@needs_root
def test_a_user_without_a_name_gets_one_sentence_where_namespaces_are_refused(folder: Path) -> None:
    if not identities.user_namespace_works():
        pytest.skip("needs a user namespace to build such a container")
    # One more namespace is allowed, and it is used up to become a user without a name.
    limit = 'echo 1 > /proc/sys/user/max_user_namespaces && exec unshare --user --map-user=54321 "$@"'

    answer = run_as(["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh"], folder)

    assert "has no name in /etc/passwd" in str(answer.get("error"))


@needs_root
def test_a_container_that_allows_neither_gets_one_sentence(folder: Path) -> None:
    if not identities.user_namespace_works():
        pytest.skip("needs a user namespace to build such a container")
    # Inside a namespace of one user, with further namespaces switched off, root can become nobody.
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    inside = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'

    answer = run_as([*shell, inside, "sh"], folder)

    assert "lets us neither make a user namespace nor become the user" in str(answer.get("error"))


def _can_import_all(prefix: list[str]) -> bool:
    command = [*prefix, sys.executable, "-c", "import dashboard.embedded.stores"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
