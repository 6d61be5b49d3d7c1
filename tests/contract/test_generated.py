"""The SDK's own generated tests, run against the simulator in --any-id mode."""

import os
import re
import subprocess
import sys

import pytest

from simulator.testing import SimulatorProcess

#: Test file under tests/api_resources -> pytest -k expression of the operations that the simulator has.
SUITES = {
    "test_client.py": "",
    "test_projects.py": "",
    "test_endpoints.py": "",
    "endpoints/test_deployments.py": "",
    "endpoints/test_hardware.py": "",
    "endpoints/test_placement_profiles.py": "",
    "models/test_configs.py": "",
    "organization/usage/test_costs.py": "",
    "chat/test_completions.py": "",
    "test_fine_tuning.py": "",
    "test_files.py": "",
    "test_batches.py": "",
    "test_evals.py": "",
    "test_models.py": "",
    "endpoints/test_adapters.py": "",
    "endpoints/test_ab_experiments.py": "",
    "endpoints/test_shadow_experiments.py": "",
    "endpoints/shadow_experiments/test_targets.py": "",
    "endpoints/test_rollouts.py": "",
    "models/test_remote_uploads.py": "",
}
#: Test files of what is rented beside inference; the simulator has all of their operations.
COMPUTE_SUITES = (
    "test_clusters.py",
    "clusters/test_remediations.py",
    "clusters/test_storage.py",
    "beta/test_jig.py",
    "beta/jig/test_queue.py",
    "beta/jig/test_secrets.py",
    "beta/jig/test_volumes.py",
    "post_training/test_checkpoints.py",
    "post_training/test_model_resources.py",
    "post_training/test_operations.py",
    "post_training/test_sessions.py",
    "post_training/test_supported_models.py",
)
#: Its third HTTP backend is an optional package that the product does not use.
_LEFT_OUT = "not aiohttp"


def run_generated(source, process, home, keyword, files):
    command = [
        *(sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"),
        *("-p", "no:django", "-k", keyword),
        *(f"tests/api_resources/{name}" for name in files),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "TEST_API_BASE_URL": process.url,
        "TOGETHER_TELEMETRY_DISABLED": "1",
        "HOME": str(home),
    }
    result = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return int(re.search(r"(\d+) passed", result.stdout)[1])


@pytest.mark.slow
@pytest.mark.timeout(300)  # half a minute alone; the machine may be busy
def test_the_generated_tests_pass(sdk_source, tmp_path):
    whole = [name for name, keyword in SUITES.items() if not keyword]
    partial = {}
    for name, keyword in SUITES.items():
        if keyword:
            partial.setdefault(keyword, []).append(name)
    with SimulatorProcess(scenario="demo", any_id=True) as process:
        process.admin("PATCH", "/world", tokens_per_second=0, first_token_seconds=0)
        passed = run_generated(sdk_source, process, tmp_path, _LEFT_OUT, whole)
        for keyword, names in partial.items():
            passed += run_generated(sdk_source, process, tmp_path, f"({keyword}) and {_LEFT_OUT}", names)

    assert passed > 600


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_generated_tests_of_rented_compute_pass(sdk_source, tmp_path):
    with SimulatorProcess(scenario="demo", any_id=True) as process:
        passed = run_generated(sdk_source, process, tmp_path, _LEFT_OUT, COMPUTE_SUITES)

    assert passed > 1_100
