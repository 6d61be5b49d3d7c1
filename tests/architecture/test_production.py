"""What compose would start, started here: migrations, web, workers, beat, enforcer and their health commands."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from dashboard.embedded.identity import own_identity
from dashboard.embedded.postgres import PostgresServer, find_installation
from dashboard.embedded.redis import find_program
from tests.architecture.production import COMPOSE, ROOT, Production, make_production
from tests.plugins.services import running_postgres, running_redis, throw_away_place

HOST = "desk.example.com"
FORWARDED = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
# The settings that collectstatic gets in the Dockerfile.
BUILD = re.compile(r"RUN (.*?)\\\n\s+python manage.py collectstatic (.*)\n")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def find_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(port: int, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, found, answer.read().decode()


def wait_for(condition: Callable[[], object], *, log: Callable[[], str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log()
        time.sleep(0.2)


def check_health(production: Production, name: str, *extra: str) -> tuple[int, str]:
    test = [
        sys.executable if word == "python" else word
        for word in COMPOSE["services"][name]["healthcheck"]["test"]
    ]
    result = production.run([*test[1:], *extra], service=name)
    return result.returncode, result.stdout + result.stderr


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgresServer, str]]:
    with throw_away_place() as place, running_postgres(place) as postgres, running_redis(place) as broker:
        # As the image's server is before its first start: the superuser alone.
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            admin.execute("DROP DATABASE desk")
            admin.execute("DROP ROLE desk")
        yield postgres, broker.url


@pytest.fixture(scope="module")
def production(
    servers: tuple[PostgresServer, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    postgres, broker_url = servers
    folder = tmp_path_factory.mktemp("production")
    with make_production(folder, choices={"ALLOWED_HOSTS": HOST}) as production:
        create_role(production, postgres)
        password = (production.secrets / "database_password").read_text().strip()
        for name, url in (
            ("database_url", re.sub(r"//[^@]*@", f"//desk:{password}@", postgres.url)),
            ("redis_url", broker_url),
        ):
            (production.secrets / name).chmod(0o600)
            (production.secrets / name).write_text(url)
        settings, options = BUILD.findall((ROOT / "Dockerfile").read_text())[0]
        built = subprocess.run(
            ["sh", "-c", f"{settings} {sys.executable} manage.py collectstatic {options}"],
            cwd=production.app,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(production.app.parent / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stdout + built.stderr
        # They do not get into the last stage.
        (production.app / "node_modules").unlink()
        migrated = production.run(production.argv("migrate"), service="migrate")
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        yield production


def create_role(production: Production, postgres: PostgresServer) -> None:
    """Run what the image runs when its volume is empty."""
    password = postgres.admin_url.split(":")[2].split("@")[0]
    environment = {
        "PATH": f"{find_installation() / 'bin'}:/usr/bin:/bin",
        "POSTGRES_USER": "postgres",
        "PGHOST": str(postgres.socket_folder),
        "PGPASSWORD": password,
        "DATABASE_PASSWORD_FILE": str(production.secrets / "database_password"),
    }
    subprocess.run(
        [str(ROOT / "docker" / "create-role.sh")], env=environment, check=True, capture_output=True
    )


def test_the_application_is_no_superuser(production: Production, servers: tuple[PostgresServer, str]) -> None:
    with psycopg.connect((production.secrets / "database_url").read_text()) as connection:
        row = connection.execute(
            "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert row == ("desk", False)


@pytest.mark.parametrize(("service", "timeout"), [("migrate", "0"), ("web", "30s"), ("worker-sync", "30s")])
def test_migrations_may_take_their_time_and_nothing_else(
    production: Production, service: str, timeout: str
) -> None:
    program = (
        "from django.db import connection as c; k = c.cursor(); k.execute('SHOW statement_timeout');"
        " print('timeout', k.fetchone()[0])"
    )

    shown = production.run([sys.executable, "manage.py", "shell", "-c", program], service=service)

    assert f"timeout {timeout}\n" in shown.stdout, shown.stderr


@pytest.mark.parametrize("service", ["web", "worker-sync", "migrate", "enforcer"])
def test_check_deploy_has_nothing_to_say(production: Production, service: str) -> None:
    checked = production.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], service=service
    )

    assert checked.returncode == 0, checked.stderr
    assert "no issues (0 silenced)" in checked.stdout


def test_check_deploy_would_say_something(production: Production) -> None:
    without_tls = Production(
        production.app, production.secrets, production.data, {**production.choices, "HTTPS": "0"}
    )

    checked = without_tls.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], service="web"
    )

    assert checked.returncode == 1
    assert "security.W008" in checked.stderr


def test_the_collected_files_are_hashed_and_compressed(production: Production) -> None:
    manifest = json.loads((production.app / "staticfiles" / "staticfiles.json").read_text())

    styles = [name for name in manifest["paths"].values() if name.endswith(".css")]
    assert styles
    assert all((production.app / "staticfiles" / f"{name}.gz").exists() for name in styles)


def test_migrating_again_changes_nothing(production: Production) -> None:
    again = production.run(production.argv("migrate"), service="migrate")

    assert again.returncode == 0, again.stderr
    assert "No migrations to apply" in again.stdout
    assert "no TOGETHER_API_KEY: add a connection in Settings" in again.stdout


def test_web_serves_behind_a_tls_proxy_and_refuses_the_rest(production: Production) -> None:
    port = find_port()
    production.start("web", port=port)
    wait_for(
        lambda: check_health(production, "web", "--port", str(port))[0] == 0,
        log=lambda: production.read_log("web"),
    )

    probe = ask(port, "/healthz", {"Host": "localhost"})
    plain = ask(port, "/sign-in/", {"Host": HOST, "X-Forwarded-For": "192.0.2.7"})
    stranger = ask(port, "/sign-in/", FORWARDED | {"Host": "evil.example"})
    page = ask(port, "/sign-in/", FORWARDED)
    style = re.search(r'href="(/static/[^"]+\.css)"', page[2])
    assert style is not None
    static = ask(port, style.group(1), FORWARDED)

    assert (probe[0], probe[2]) == (200, "ok\n")
    assert (plain[0], plain[1]["location"]) == (301, f"https://{HOST}/sign-in/")
    assert stranger[0] == 400
    assert page[0] == 200
    assert page[1]["strict-transport-security"].startswith("max-age=31536000")
    assert "__Host-csrftoken" in page[1]["set-cookie"]
    assert "secure" in page[1]["set-cookie"].lower()
    assert static[0] == 200
    assert "immutable" in static[1]["cache-control"]


def test_health_commands_tell_who_works_and_who_does_not(production: Production) -> None:
    before = {name: check_health(production, name) for name in ("beat", "worker-stops", "enforcer")}
    for name in before:
        production.start(name)

    for name in before:
        wait_for(
            lambda name=name: check_health(production, name)[0] == 0,
            log=lambda name=name: production.read_log(name),
        )  # type: ignore[misc]

    assert {code for code, _ in before.values()} == {1}
    assert "has never reported; it may be starting" in before["beat"][1]
    # Nobody works on its queue: beat alone does not make it look alive.
    code, text = check_health(production, "worker-sync")
    assert (code, "has never reported" in text) == (1, True)


def test_a_database_that_does_not_answer_is_no_verdict_on_the_enforcer(
    production: Production, tmp_path: Path
) -> None:
    url = tmp_path / "database_url"
    url.write_text("postgres://desk:x@127.0.0.1:1/desk")
    environment = production.environment("enforcer") | {
        "DATABASE_URL_FILE": str(url),
        "TMPDIR": str(tmp_path),
    }
    argv = [sys.executable, "-m", "dashboard.healthcheck", "enforcer", "--restart"]

    looked = subprocess.run(
        argv, cwd=production.app, env=environment, capture_output=True, text=True, check=False
    )

    assert looked.returncode == 1
    assert looked.stdout.startswith("nobody can tell: ")
    assert list(tmp_path.glob("desk-silences-*")) == []


def test_the_broker_takes_its_password_over_standard_input(tmp_path: Path) -> None:
    # The compose command with this machine's server and folders.
    program = find_program(identity=own_identity()).path
    socket_path = tmp_path / "s"
    (tmp_path / "redis_password").write_text("secret-of-the-test\n")
    shell, option, script = COMPOSE["services"]["redis"]["command"]
    script = (
        script.replace("$$", "$")
        .replace("/run/secrets", str(tmp_path))
        .replace("--dir /data", f"--dir {tmp_path} --port 0 --unixsocket {socket_path}")
        .replace("valkey-server", str(program))
    )
    server = subprocess.Popen([shell, option, script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(socket_path.exists, log=lambda: "no socket", seconds=20)
        with redis.Redis(unix_socket_path=str(socket_path), password="secret-of-the-test") as client:
            kept = client.config_get("maxmemory-policy") | client.config_get("appendonly")
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        with redis.Redis(unix_socket_path=str(socket_path)) as stranger, pytest.raises(redis.RedisError):
            stranger.ping()
    finally:
        server.terminate()
        # The server itself gets the signal, not a shell before it.
        assert server.wait(timeout=20) == 0

    assert kept == {"maxmemory-policy": "noeviction", "appendonly": "yes"}
    assert b"secret-of-the-test" not in arguments
