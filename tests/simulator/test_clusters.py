"""GPU clusters: phases, nodes, sizes, repairs, refusals and what each costs (H100: 3.49 on demand, 2.99 reserved)."""

import time
from decimal import Decimal

import pytest

from simulator.clock import DAY_MS, format_time
from simulator.resources.cluster_bodies import KUBE_TOKEN_PREFIX
from tests.simulator.sim import Sim

CLUSTERS = "/v1/compute/clusters"
READY_SECONDS = 30 * 60
DRIVER = "us-central-8-ubuntu-22.04-cuda12.4-550"


def order(sim, *, status=200, **fields):
    body = {
        "cluster_name": "train",
        "billing_type": "ON_DEMAND",
        "gpu_type": "H100_SXM",
        "num_gpus": 16,
        "region": "us-central-8",
        "nvidia_version_id": DRIVER,
    }
    sent = {name: value for name, value in {**body, **fields}.items() if value is not None}
    return sim.send("POST", CLUSTERS, sent, status=status)


def start(sim, **fields):
    """Return the id of a cluster that has just become Ready."""
    identifier = order(sim, **fields)["cluster_id"]
    sim.advance(READY_SECONDS)
    return identifier


def read(sim, identifier):
    return sim.get(f"{CLUSTERS}/{identifier}")


def update(sim, identifier, *, status=200, **fields):
    return sim.send("PUT", f"{CLUSTERS}/{identifier}", fields, status=status)


def bill(sim, identifier):
    return Decimal(sim.admin("GET", f"/bill?id={identifier}")["cost_usd"])


def at(sim, days):
    return format_time(sim.clock.now_ms() + days * DAY_MS)


def test_a_cluster_goes_through_its_phases_to_ready(sim):
    identifier = order(sim)["cluster_id"]
    seen = []
    for _ in range(32):
        status = read(sim, identifier)["status"]
        if status not in seen[-1:]:
            seen.append(status)
        sim.advance(60)

    cluster = read(sim, identifier)

    assert seen == [
        "WaitingForControlPlaneNodes", "WaitingForDataPlaneNodes", "WaitingForSubnet", "WaitingForSharedVolume",
        "InstallingDrivers", "RunningAcceptanceTests", "Ready",
    ]  # fmt: skip
    phases = [entry["phase"] for entry in cluster["phase_transitions"]]
    assert phases[0] == "CLUSTER_PHASE_WAITING_FOR_CONTROL_PLANE_NODES"
    assert phases[-2:] == ["CLUSTER_PHASE_RUNNING_ACCEPTANCE_TESTS", "CLUSTER_PHASE_READY"]
    assert cluster["first_ready_at"] == cluster["phase_transitions"][-1]["transition_time"]
    assert [node["status"] for node in cluster["gpu_worker_nodes"]] == ["Running", "Running"]
    node_phases = [entry["phase"] for entry in cluster["gpu_worker_nodes"][0]["phase_transitions"]]
    assert node_phases == [
        f"NODE_PHASE_{name}" for name in ("PENDING", "SCHEDULING", "BOOTING", "BOOTSTRAPPING", "RUNNING")
    ]


def test_the_credential_file_comes_with_the_control_plane(sim):
    ordered = order(sim)
    assert ordered["kube_config"] == ""

    sim.advance(5 * 60)

    assert KUBE_TOKEN_PREFIX in read(sim, ordered["cluster_id"])["kube_config"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"cluster_name": None}, "cluster_name"),
        ({"billing_type": "WEEKLY"}, "billing_type"),
        ({"gpu_type": "A100_SXM"}, "gpu_type"),
        ({"gpu_type": "B200_SXM"}, "gpu_type"),  # known, but not in that region
        ({"num_gpus": 12}, "num_gpus"),
        ({"num_gpus": 0}, "num_gpus"),
        ({"num_preemptible_gpus": 4}, "num_preemptible_gpus"),
        ({"region": "moon-1"}, "region"),
        ({"nvidia_version_id": None}, "nvidia_version_id"),
        ({"nvidia_version_id": "us-central-8-cuda11"}, "nvidia_version_id"),
        ({"nvidia_version_id": None, "cuda_version": "12.4"}, "cuda_version"),
        ({"nvidia_version_id": None, "cuda_version": "12.4", "nvidia_driver_version": "570"}, "cuda_version"),
        ({"cuda_version": "12.6", "nvidia_driver_version": "560"}, "nvidia_version_id"),
        ({"billing_type": "RESERVED"}, "duration_days"),
        ({"num_reserved_gpus": 8}, "num_reserved_gpus"),
        ({"billing_type": "RESERVED", "duration_days": 7, "num_reserved_gpus": 24}, "num_reserved_gpus"),
        ({"billing_type": "SCHEDULED_CAPACITY"}, "reservation_end_time"),
        ({"cluster_type": "SLURM"}, "slurm_shm_size_gib"),
        ({"auto_scale": True}, "auto_scale_max_gpus"),
        ({"volume_id": "none"}, "volume_id"),
        ({"add_ons": [{"add_on_type": "jupyter", "name": "x"}]}, "add_on_type"),
        ({"capacity_pool_id": "pool"}, "capacity_pool_id"),
        ({"project_id": "proj_foreign"}, "project_id"),
    ],
)
def test_a_wrong_order_is_refused_and_nothing_is_rented(sim, fields, param):
    answer = order(sim, status=400, **fields)

    assert answer["error"]["param"] == param
    assert sim.get(CLUSTERS)["clusters"] == []


def test_a_pair_of_versions_names_the_driver_too(sim):
    pair = {"cuda_version": "12.4-ubuntu-22.04", "nvidia_driver_version": "550"}

    assert order(sim, nvidia_version_id=None, **pair)["nvidia_driver_version_id"] == DRIVER


def test_what_others_rent_is_out_of_stock(sim):
    sim.admin("POST", "/stock", {"region": "us-central-8", "gpu_type": "H100_SXM", "gpus": 24})
    order(sim)

    assert order(sim, status=409)["error"]["message"] == "Out of stock"
    assert order(sim, num_gpus=8)["num_gpus"] == 8


def test_nodes_on_demand_cost_from_ready_until_the_cluster_is_deleted(sim):
    identifier = start(sim)
    assert bill(sim, identifier) == 0
    sim.advance(90 * 60)

    sim.send("DELETE", f"{CLUSTERS}/{identifier}")
    assert read(sim, identifier)["status"] == "Deleting"
    sim.advance(86_400)

    assert bill(sim, identifier) == Decimal("83.76")  # 16 GPUs x 1.5 h x 3.49
    sim.get(f"{CLUSTERS}/{identifier}", status=404)
    assert sim.get(CLUSTERS)["clusters"] == []


def test_a_reservation_is_prepaid_when_it_becomes_ready_and_ends_with_its_term(sim):
    identifier = start(sim, billing_type="RESERVED", duration_days=3)
    cluster = read(sim, identifier)
    sim.advance(3 * 3600)

    usage = sim.get("/v1/billing/usage?granularity=hour")["data"]

    assert cluster["reservation_start_time"] == "2026-11-18T14:19:00Z"
    assert cluster["reservation_end_time"] == "2026-11-21T14:19:00Z"
    assert [window["start_time"] for window in usage] == ["2026-11-18T14:00:00Z"]
    line = usage[0]["line_items"][0]
    assert (line["product_name"], line["quantity"], line["unit_price"]) == (
        "GPU Cluster - H100",
        "1152",
        "2.99",
    )
    assert line["attributes"] == {"cluster_id": identifier}
    assert line["pricing_dimensions"] == {"gpu_type": "H100_SXM", "billing_type": "RESERVED"}
    sim.advance(3 * 86_400)
    sim.get(f"{CLUSTERS}/{identifier}", status=404)
    assert bill(sim, identifier) == Decimal("3444.48")


def test_gpus_beyond_the_reserved_ones_cost_by_the_hour(sim):
    identifier = start(sim, billing_type="RESERVED", duration_days=1, num_reserved_gpus=8)
    sim.advance(3600)

    assert bill(sim, identifier) == Decimal("574.08") + Decimal("27.92")  # 8 x 24 x 2.99 and 8 x 3.49


def test_a_scheduled_window_waits_for_its_start_and_is_over_at_its_end(sim):
    window = {"reservation_start_time": at(sim, 1), "reservation_end_time": at(sim, 3)}
    identifier = order(sim, billing_type="SCHEDULED_CAPACITY", **window)["cluster_id"]
    assert read(sim, identifier)["status"] == "Scheduled"
    assert read(sim, identifier)["gpu_worker_nodes"] == []

    sim.advance(86_400 + READY_SECONDS)
    assert read(sim, identifier)["status"] == "Ready"
    sim.advance(2 * 86_400)

    sim.get(f"{CLUSTERS}/{identifier}", status=404)
    assert bill(sim, identifier) == Decimal("2296.32")  # 16 x 48 h x 2.99


def test_a_longer_reservation_is_paid_at_once_and_a_shorter_one_gives_nothing_back(sim):
    identifier = start(sim, billing_type="RESERVED", duration_days=1, num_gpus=8)
    sim.advance(1)
    before = bill(sim, identifier)

    end = update(sim, identifier, reservation_end_time="2026-11-21T14:19:00Z")["reservation_end_time"]
    sim.advance(1)
    longer = bill(sim, identifier)
    update(sim, identifier, reservation_end_time="2026-11-19T00:00:00Z")
    sim.advance(86_400)

    assert end == "2026-11-21T14:19:00Z"
    assert longer - before == Decimal("1148.16")  # two more days of 8 GPUs
    assert bill(sim, identifier) == longer
    sim.get(f"{CLUSTERS}/{identifier}", status=404)


def test_the_end_of_a_cluster_on_demand_cannot_be_set(sim):
    update(sim, start(sim), reservation_end_time=at(sim, 9), status=400)


def test_growing_adds_nodes_that_cost_when_they_run(sim):
    identifier = start(sim)
    grown = update(sim, identifier, num_gpus=24)
    assert [node["status"] for node in grown["gpu_worker_nodes"]] == ["Running", "Running", "Pending"]
    assert grown["node_lifecycle_events"][0]["reason"] == "TogetherScaledUp"

    sim.advance(8 * 60 + 3600)

    assert {node["status"] for node in read(sim, identifier)["gpu_worker_nodes"]} == {"Running"}
    assert bill(sim, identifier) == Decimal("91.205333333")  # 16 x 68 min and 8 x 60 min, x 3.49


def test_shrinking_keeps_the_removed_nodes_apart(sim):
    identifier = start(sim)
    sim.advance(3600)
    shrunk = update(sim, identifier, num_gpus=8)
    sim.advance(3600)

    assert (len(shrunk["gpu_worker_nodes"]), len(shrunk["deleted_gpu_worker_nodes"])) == (1, 1)
    assert shrunk["deleted_gpu_worker_nodes"][0]["deleted_at"]
    assert bill(sim, identifier) == Decimal("83.76")  # 16 + 8 GPU-hours


def test_prepaid_gpus_are_added_for_the_rest_of_the_term_and_never_given_back(sim):
    identifier = start(sim, billing_type="RESERVED", duration_days=1, num_reserved_gpus=8)
    sim.advance(12 * 3600)
    update(sim, identifier, num_reserved_gpus=16)
    sim.advance(3600)

    update(sim, identifier, num_reserved_gpus=8, status=400)
    update(sim, identifier, num_gpus=8, status=400)

    expected = (
        Decimal("574.08") + Decimal("335.04") + Decimal("287.04")
    )  # a day, 12 h by the hour, 12 h prepaid
    assert bill(sim, identifier) == expected


@pytest.mark.parametrize("fields", [{"num_gpus": 12}, {"num_gpus": 4096}, {"num_reserved_gpus": 8},
                                    {"cluster_type": "NOMAD"}, {"add_ons": [{"name": "none"}]}])  # fmt: skip
def test_a_wrong_change_changes_nothing(sim, fields):
    identifier = start(sim)
    before = read(sim, identifier)

    answer = sim.ask("PUT", f"{CLUSTERS}/{identifier}", fields)

    assert answer.status_code == (409 if fields == {"num_gpus": 4096} else 400)
    assert read(sim, identifier) == before


def test_a_cluster_that_is_installed_cannot_be_resized(sim):
    update(sim, order(sim)["cluster_id"], num_gpus=24, status=400)


def test_preemptible_nodes_come_later_cost_less_and_can_be_taken_back(sim):
    identifier = start(sim, num_gpus=8, num_preemptible_gpus=8)
    assert read(sim, identifier)["allocated_preemptible_gpus"] == 0
    sim.advance(12 * 60)
    assert read(sim, identifier)["allocated_preemptible_gpus"] == 8
    sim.advance(3600)

    before = bill(sim, identifier)
    sim.admin("POST", f"/clusters/{identifier}/preempt")
    taken = read(sim, identifier)

    assert before == Decimal("33.504") + Decimal("16.752")  # 72 min x 8 x 3.49, and 60 min x 8 x 2.094
    assert (taken["desired_preemptible_gpus"], taken["allocated_preemptible_gpus"]) == (8, 0)
    assert taken["node_lifecycle_events"][-1]["reason"] == "TogetherPreempted"


def test_an_auto_scaled_cluster_follows_its_load_within_its_bounds(sim):
    identifier = start(sim, num_gpus=8, auto_scale=True, auto_scale_max_gpus=24)

    for gpus, expected in ((17, 24), (100, 24), (3, 8)):
        sim.admin("POST", f"/clusters/{identifier}/load", {"gpus": gpus})
        assert read(sim, identifier)["num_gpus"] == expected


def test_add_ons_are_shown_while_they_are_enabled(sim):
    identifier = start(sim, add_ons=[{"add_on_type": "ingress", "name": "web"}])
    assert [add_on["name"] for add_on in read(sim, identifier)["add_ons"]] == ["web"]

    update(sim, identifier, add_ons=[{"name": "web", "config": {"ingress": {"enabled": False}}}])

    assert read(sim, identifier)["add_ons"] == []


def test_without_credit_compute_on_demand_is_paused_and_later_decommissioned(sim):
    identifier = start(sim)
    sim.advance(3600)
    sim.admin("POST", "/credit", {"exhausted": True})
    order(sim, status=402)
    sim.advance(3600)

    paused = read(sim, identifier)
    cost = bill(sim, identifier)
    sim.advance(86_400)

    assert paused["status"] == "OnDemandComputePaused"
    assert paused["phase_transitions"][-1]["phase"] == "CLUSTER_PHASE_ON_DEMAND_COMPUTE_PAUSED"
    assert cost == bill(sim, identifier) == Decimal("55.84")
    sim.get(f"{CLUSTERS}/{identifier}", status=404)


def test_with_new_credit_paused_nodes_start_again(sim):
    identifier = start(sim)
    sim.admin("POST", "/credit", {"exhausted": True})
    sim.advance(600)
    sim.admin("POST", "/credit", {"exhausted": False})
    sim.advance(8 * 60 + 3600)

    assert read(sim, identifier)["status"] == "Ready"
    assert bill(sim, identifier) == Decimal("55.84")


def fail(sim, identifier, **fields):
    sim.admin("POST", f"/clusters/{identifier}/fail-node", fields)
    node = next(n for n in read(sim, identifier)["gpu_worker_nodes"] if n["status"] == "Failed")
    return node, f"{CLUSTERS}/{identifier}/instances/{node['instance_id']}/remediations"


def test_a_failed_node_degrades_the_cluster_and_costs_nothing(sim):
    identifier = start(sim)
    node, _ = fail(sim, identifier)
    sim.advance(3600)

    assert read(sim, identifier)["status"] == "Degraded"
    assert node["latest_remediation"]["state"] == "PENDING_APPROVAL"
    assert bill(sim, identifier) == Decimal("27.92")


def test_an_approved_repair_replaces_the_node(sim):
    identifier = start(sim)
    node, base = fail(sim, identifier)
    repair = sim.get(base)["remediations"][0]

    approved = sim.send("POST", f"{base}/{repair['id']}/approve", {"comment": "go"})
    sim.advance(15 * 60)
    cluster = read(sim, identifier)

    assert (approved["state"], approved["review_comment"]) == ("PENDING", "go")
    assert sim.get(f"{base}/{repair['id']}")["state"] == "SUCCEEDED"
    assert cluster["status"] == "Ready"
    assert node["instance_id"] not in {one["instance_id"] for one in cluster["gpu_worker_nodes"]}
    assert [one["instance_id"] for one in cluster["deleted_gpu_worker_nodes"]] == [node["instance_id"]]
    sim.send("POST", f"{base}/{repair['id']}/approve", status=400)


@pytest.mark.parametrize("verb", ["reject", "cancel"])
def test_a_refused_repair_leaves_the_node_as_it_is(sim, verb):
    identifier = start(sim)
    _, base = fail(sim, identifier)
    repair = sim.get(base)["remediations"][0]

    answer = sim.send("POST", f"{base}/{repair['id']}/{verb}", {"comment": "no"})
    sim.advance(3600)

    assert answer["state"] == "CANCELLED"
    assert read(sim, identifier)["status"] == "Degraded"


def test_a_repair_that_people_ask_for_needs_no_approval(sim):
    identifier = start(sim)
    node, base = fail(sim, identifier, propose=False)
    sim.send("POST", base, {"mode": "REMEDIATION_MODE_REBOOT_VM", "reason": "stuck"})
    sim.send("POST", base, {"mode": "REMEDIATION_MODE_REBOOT_VM"}, status=400)  # one at a time
    sim.advance(20 * 60)

    cluster = read(sim, identifier)

    assert cluster["status"] == "Ready"
    assert node["instance_id"] in {one["instance_id"] for one in cluster["gpu_worker_nodes"]}


def test_an_evicted_node_is_not_replaced(sim):
    identifier = start(sim)
    _, base = fail(sim, identifier, propose=False)
    sim.send("POST", base, {"mode": "REMEDIATION_MODE_EVICT_WITHOUT_REPLACEMENT"})
    sim.advance(20 * 60)

    cluster = read(sim, identifier)

    assert (cluster["status"], cluster["num_gpus"], len(cluster["gpu_worker_nodes"])) == ("Ready", 8, 1)


def test_repairs_of_all_nodes_are_listed_in_pages_and_filtered(sim):
    identifier = start(sim)
    fail(sim, identifier)
    sim.admin("POST", f"/clusters/{identifier}/fail-node", {})
    path = f"{CLUSTERS}/{identifier}/instances/-/remediations"

    first = sim.get(f"{path}?page_size=1")
    second = sim.get(f"{path}?page_size=1&page_token={first['next_page_token']}")

    assert (first["has_next"], second["has_next"], second["next_page_token"]) == (True, False, "")
    assert first["remediations"] != second["remediations"]
    assert sim.get(f"{path}?state=RUNNING,FAILED")["remediations"] == []
    assert len(sim.get(f"{path}?trigger=REMEDIATION_TRIGGER_AUTOMATED")["remediations"]) == 2


def test_another_organisation_sees_nothing(sim):
    identifier = start(sim)
    foreign = next(p for p in sim.world.projects.values() if p.organization.name == "thornfield")
    sim.world.add_key("foreign", foreign)

    assert sim.get(CLUSTERS, key="foreign")["clusters"] == []
    sim.get(f"{CLUSTERS}/{identifier}", key="foreign", status=404)
    sim.send("DELETE", f"{CLUSTERS}/{identifier}", key="foreign", status=404)
    sim.get(CLUSTERS, key=None, status=401)
    assert read(sim, identifier)["status"] == "Ready"


def test_the_list_can_be_narrowed_to_a_project(sim):
    start(sim)

    assert len(sim.get(f"{CLUSTERS}?projectId={sim.project.project_id}")["clusters"]) == 1
    assert sim.get(f"{CLUSTERS}?projectId=proj_other")["clusters"] == []


def test_regions_offer_gpus_and_drivers_without_prices(sim):
    regions = {region["name"]: region for region in sim.get("/v1/compute/regions")["regions"]}

    assert regions["us-central-8"]["supported_instance_types"] == ["H100_SXM", "H200_SXM"]
    assert regions["us-central-8"]["driver_versions"][0] == {
        "id": DRIVER, "os": "ubuntu-22.04", "cuda_version": "12.4", "nvidia_driver_version": "550",
    }  # fmt: skip


def test_the_demo_has_a_cluster_in_each_situation(demo):
    clusters = {cluster["cluster_name"]: cluster for cluster in demo.get(CLUSTERS)["clusters"]}

    assert {name: cluster["status"] for name, cluster in clusters.items()} == {
        "train-h100": "Ready", "search-eval": "Ready", "research-b200": "InstallingDrivers", "docs-index": "Degraded",
    }  # fmt: skip
    assert clusters["train-h100"]["reservation_end_time"] == "2026-11-27T13:49:00Z"
    failed = clusters["docs-index"]["gpu_worker_nodes"][1]
    assert failed["latest_remediation"]["state"] == "PENDING_APPROVAL"


def test_large_rents_much_in_many_states_and_bills_an_hour_at_once():
    with Sim("large") as sim:
        clusters = sim.get(CLUSTERS)["clusters"]
        volumes = sim.get(f"{CLUSTERS}/storage/volumes")["volumes"]
        containers = sim.get("/v1/deployments")["data"]

        assert (len(clusters), len(volumes), len(containers)) == (50, 200, 20)
        assert {cluster["status"] for cluster in clusters} == {"Ready", "Degraded"}
        assert {volume["status"] for volume in volumes} == {"bound", "available"}
        assert {container["status"] for container in containers} == {"Ready", "ScaledToZero", "Failed"}
        now_ms = sim.clock.now_ms()
        started = time.perf_counter()
        assert len(list(sim.world.compute.charge(now_ms - 3_600_000, now_ms, now_ms=now_ms))) > 200
        assert time.perf_counter() - started < 2  # a few milliseconds alone
