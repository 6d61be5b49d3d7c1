"""The command line client of 3.x on clusters, volumes, containers and RL."""

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


def test_clusters_are_listed_created_updated_and_deleted(tg, process):
    regions = tg("clusters", "list-regions")["regions"]
    driver = next(one for one in regions if one["name"] == "us-central-8")["driver_versions"][0]["id"]
    what = ("--num-gpus", "8", "--gpu-type", "H100_SXM", "--cluster-type", "KUBERNETES")
    where = ("--region", "us-central-8", "--billing-type", "ON_DEMAND", "--nvidia-version-id", driver)
    made = tg("clusters", "create", "--name", "from-cli", *what, *where)
    process.advance(30)

    assert tg("clusters", "get", made["cluster_id"])["status"] == "Ready"
    assert tg("clusters", "update", made["cluster_id"], "--num-gpus", "16")["num_gpus"] == 16
    tg("clusters", "delete", made["cluster_id"])
    process.advance(10)
    assert {one["cluster_name"] for one in tg("clusters", "ls")["clusters"]} == {
        "train-h100", "search-eval", "research-b200", "docs-index",
    }  # fmt: skip


def test_volumes_are_created_grown_and_deleted(tg, process):
    size = ("--size-tib", "2", "--volume-name", "cli", "--region", "us-central-8")
    made = tg("clusters", "storage", "create", *size)
    process.advance(5)

    grown = tg("clusters", "storage", "update", made["volume_id"], "--size-tib", "4")
    tg("clusters", "storage", "delete", made["volume_id"])

    assert grown["size_tib"] == 4
    process.advance(5)
    listed = tg("clusters", "storage", "ls")["volumes"]
    assert made["volume_id"] not in {one["volume_id"] for one in listed}


def test_repairs_are_listed(tg):
    cluster = next(one for one in tg("clusters", "ls")["clusters"] if one["cluster_name"] == "docs-index")

    listed = tg("clusters", "remediations", "list", cluster["cluster_id"])

    assert listed["remediations"][0]["state"] == "PENDING_APPROVAL"


def test_people_get_tables(process, tmp_path):
    environment = client_environment(process, tmp_path)

    listed = run_python(CLI, "clusters", "ls", "--no-json", environment=environment).stdout
    resources = run_python(CLI, "training", "ls-resources", "--no-json", environment=environment).stdout

    assert "train-h100" in listed
    assert "Qwen3-32B" in resources


def test_containers_and_their_secrets_are_listed(tg):
    assert {one["name"] for one in tg("beta", "jig", "list")["data"]} >= {"ticket-router", "whisper-worker"}


def test_rl_resources_sessions_and_checkpoints_are_listed(tg):
    session = tg("training", "ls-sessions")["data"][0]

    assert len(tg("training", "ls-resources")["data"]) == 2
    assert tg("training", "get", session["id"])["data"]["id"] == session["id"]
    assert tg("training", "ls-checkpoints")["data"]
