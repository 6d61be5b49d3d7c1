"""A restart with `--journal` finds clusters, volumes, containers and RL as they were left."""

from pathlib import Path

import pytest

from tests.simulator.test_clusters import CLUSTERS, fail, order, update
from tests.simulator.test_containers import BASE, create, patch, submit
from tests.simulator.test_journal import open_sim, restart
from tests.simulator.test_rl import RESOURCES, SESSIONS

LISTS = (CLUSTERS, f"{CLUSTERS}/storage/volumes", BASE, f"{BASE}/secrets", RESOURCES, SESSIONS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "simulator.journal"


def test_the_same_ids_states_and_bill_after_a_restart(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        volume = {"volume_name": "inline", "size_tib": 2, "region": "us-central-8"}
        cluster = order(sim, shared_volume=volume, num_preemptible_gpus=8)["cluster_id"]
        sim.send("POST", f"{BASE}/secrets", {"name": "token", "value": "s3cr3t"})
        container = create(sim, environment_variables=[{"name": "A", "value_from_secret": "token"}])["id"]
        resource = sim.send("POST", RESOURCES, {"base_model": "Qwen/Qwen3-32B"})["id"]
        sim.advance(3600)
        sim.send("POST", SESSIONS, {"model_resources_id": resource})
        update(sim, cluster, num_gpus=24)
        node = sim.get(f"{CLUSTERS}/{cluster}")["gpu_worker_nodes"][0]["instance_id"]
        repairs = f"{CLUSTERS}/{cluster}/instances/{node}/remediations"
        sim.send("POST", repairs, {"mode": "REMEDIATION_MODE_VM_ONLY"})
        patch(sim, container, min_replicas=2)
        request = submit(sim)["requestId"]
        sim.advance(3600)
        status = f"/v1/queue/status?model=worker&request_id={request}"
        before = [sim.get(item) for item in (*LISTS, status, f"{BASE}/{container}/revisions", repairs)]
        bill = sim.admin("GET", "/bill")

        with restart(sim, path, scenario="empty") as again:
            lists = (*LISTS, status, f"{BASE}/{container}/revisions", repairs)
            assert [again.get(item) for item in lists] == before
            assert again.admin("GET", "/bill") == bill
            assert bill["cost_usd"] != "0"

    assert b"s3cr3t" not in path.read_bytes()


def test_what_an_admin_route_did_is_not_kept(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        cluster = order(sim)["cluster_id"]
        sim.advance(3600)
        fail(sim, cluster)

        with restart(sim, path, scenario="empty") as again:
            assert again.get(f"{CLUSTERS}/{cluster}")["status"] == "Ready"
