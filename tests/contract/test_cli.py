"""The command line client of 3.x against the simulator."""

import json

import pytest

from tests.contract.conftest import client_environment, run_python

CLI = "from together.lib.cli import main; main()"


@pytest.fixture
def tg(process, tmp_path):
    """Return a function that runs `tg …` and gives back its JSON."""

    def run(*arguments, expect=0):
        result = run_python(
            CLI, *arguments, "--json", environment=client_environment(process, tmp_path), expect=expect
        )
        return json.loads(result.stdout)

    return run


def find(process, slug):
    who = process.call("GET", "/v3/whoami")
    endpoints = process.call("GET", f"/v2/organizations/{who['organization']['id']}/endpoints")["data"]
    return next(item for item in endpoints if item["name"].endswith(f"/{slug}"))


def test_who_and_what(tg):
    assert tg("whoami")["organization"]["name"] == "fernhill"
    assert len(tg("projects", "ls")["data"]) == 4
    assert {item["name"] for item in tg("endpoints", "ls")["data"]} >= {"fernhill-support/support-triage-70b"}


def test_an_endpoint_can_be_looked_at(tg, process):
    endpoint = find(process, "support-triage-70b")

    assert tg("endpoints", "get", endpoint["id"])["id"] == endpoint["id"]
    assert tg("endpoints", "get", endpoint["deployments"][0]["id"])["id"] == endpoint["deployments"][0]["id"]
    assert tg("endpoints", "events", endpoint["id"])["data"]


def test_people_get_tables(process, tmp_path):
    endpoint = find(process, "support-triage-70b")
    environment = client_environment(process, tmp_path)

    listed = run_python(CLI, "endpoints", "ls", "--org", "--no-json", environment=environment).stdout
    shown = run_python(CLI, "endpoints", "get", endpoint["id"], "--no-json", environment=environment).stdout

    assert "search-rerank-235b" in listed
    assert "support-triage-70b" in shown


def test_deploy_stop_and_remove(tg, process):
    project = process.call("GET", "/v3/whoami")["project"]["id"]
    model = tg("models", "public", "--search", "openai/gpt-oss-20b")["data"][0]
    config = model["deploymentProfiles"][0]["certifiedConfigRevisionId"]

    bounds = ("--min-replicas", "1", "--max-replicas", "2", "--traffic-weight", "1")
    where = ("--endpoint", "from-cli", "--project", project, "--non-interactive")
    tg("endpoints", "deploy", model["name"], "--config", config, *bounds, *where)
    process.advance(10)
    endpoint = find(process, "from-cli")
    deployment = endpoint["deployments"][0]
    assert deployment["state"] == "DEPLOYMENT_STATE_READY"
    assert endpoint["trafficSplit"][0]["deploymentId"] == deployment["id"]

    tg(
        "endpoints",
        "update",
        deployment["id"],
        "--min-replicas",
        "0",
        "--max-replicas",
        "0",
        "--project",
        project,
    )
    process.advance(10)
    assert find(process, "from-cli")["deployments"][0]["state"] == "DEPLOYMENT_STATE_STOPPED"

    tg("endpoints", "rm", endpoint["id"], "--project", project)
    with pytest.raises(StopIteration):
        find(process, "from-cli")


def test_a_running_endpoint_is_not_removed(tg, process):
    endpoint = find(process, "search-rerank-235b")

    answer = tg("endpoints", "rm", endpoint["id"], "--project", endpoint["projectId"], expect=1)

    assert "running deployments" in json.dumps(answer)
    assert find(process, "search-rerank-235b")["id"] == endpoint["id"]
