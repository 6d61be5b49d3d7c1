"""docker-compose.yml runs the same processes as `make up`: one table, two ways to start it."""

from pathlib import Path

import pytest
import yaml

from dashboard.processes import PROCESSES, ProcessSpec, Service

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PRODUCT = [spec for spec in PROCESSES if not spec.demonstration_only]


@pytest.mark.parametrize("spec", PRODUCT, ids=lambda spec: spec.name)
def test_each_process_of_the_table_is_a_service_with_the_same_command(spec: ProcessSpec) -> None:
    filled = [
        word.format(python="python", address="0.0.0.0", port="8000", simulator_port="") for word in spec.argv
    ]

    assert COMPOSE["services"][spec.name]["command"] == filled


def test_no_service_runs_what_the_table_does_not_know() -> None:
    extra = {"postgres", "redis", "migrate"}

    assert set(COMPOSE["services"]) - extra == {spec.name for spec in PRODUCT}


@pytest.mark.parametrize("spec", PRODUCT, ids=lambda spec: spec.name)
def test_each_service_waits_for_what_its_process_needs(spec: ProcessSpec) -> None:
    waits_for = set(COMPOSE["services"][spec.name]["depends_on"])

    assert {need.value for need in spec.needs} <= waits_for
    assert "migrate" in waits_for
    assert Service.SIMULATOR.value not in waits_for


def test_every_secret_that_a_service_names_is_declared() -> None:
    declared = set(COMPOSE["secrets"])

    for name, service in COMPOSE["services"].items():
        assert set(service.get("secrets", [])) <= declared, name
