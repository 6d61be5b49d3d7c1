"""The simulator held to the official clients: what they parse and accept is what the product may rely on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from together import Together

from simulator.testing import SimulatorProcess

ROOT = Path(__file__).resolve().parents[2]
V1_CLIENT = ROOT / ".tools" / "together-v1"
SDK_SOURCE = ROOT / ".tools" / "together-sdk" / "source"
FETCH = "run `.venv/bin/python tools/fetch_contract_clients.py` (or `make test`) first"
RunCli = Callable[..., Any]


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorProcess]:
    """Yield the demo organisation with time standing still; a module shares it, so tests pick their own endpoints."""
    with SimulatorProcess(scenario="demo", clock="virtual", speed=60) as process:
        process.admin("PATCH", "/world", tokens_per_second=0, first_token_seconds=0)
        yield process


@pytest.fixture(scope="module")
def client(process: SimulatorProcess) -> Iterator[Together]:
    """Yield the 3.x SDK, which refuses answers that do not fit its declared types."""
    project_id = process.call("GET", "/v3/whoami")["project"]["id"]
    with Together(
        base_url=process.url,
        api_key="sim-key",
        project_id=project_id,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture
def v1_client_folder() -> Path:
    assert (V1_CLIENT / ".fetched").is_file(), f"the 2.x client is missing: {FETCH}"
    return V1_CLIENT


@pytest.fixture
def sdk_source() -> Path:
    assert (SDK_SOURCE / "tests" / "api_resources").is_dir(), f"the SDK's own tests are missing: {FETCH}"
    return SDK_SOURCE


def client_environment(
    process: SimulatorProcess, home: Path, *, v1_folder: Path | None = None
) -> dict[str, str]:
    """Return the environment in which a client talks to the simulator and to nobody else."""
    environment = {
        "PATH": os.environ["PATH"],
        "TOGETHER_API_KEY": "sim-key",
        "TOGETHER_BASE_URL": process.url,
        "TOGETHER_TELEMETRY_DISABLED": "1",
        "TOGETHER_DISABLE_VERSION_CHECK": "1",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    if v1_folder is not None:
        environment["PYTHONPATH"] = str(v1_folder)
        environment["TOGETHER_BASE_URL"] = f"{process.url}/v1"  # 2.x wants the version in its base
    return environment


def run_python(
    code: str, *arguments: str, environment: dict[str, str], expect: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own; another exit status than the expected one fails the test."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=environment["HOME"],
        timeout=60,
        check=False,
    )
    assert result.returncode == expect, f"{arguments}: {result.stdout}\n{result.stderr}"
    return result
