"""Container deployments: replicas, queue, revisions, secrets, volumes and what they cost (H100: 5.49 per GPU-hour)."""

from decimal import Decimal

import pytest

from tests.simulator.test_clusters import bill

BASE = "/v1/deployments"
START_SECONDS = 600
QUEUE_SCALING = {"metric": "QueueBacklogPerWorker", "target": 1}


def create(sim, *, status=200, **fields):
    body = {"name": "worker", "image": "registry.together.ai/fernhill/worker:1", "gpu_type": "h100-80gb",
            "gpu_count": 1, **fields}  # fmt: skip
    return sim.send("POST", BASE, {k: v for k, v in body.items() if v is not None}, status=status)


def start(sim, **fields):
    """Return the id of a container whose first replicas are ready."""
    identifier = create(sim, **fields)["id"]
    sim.advance(START_SECONDS)
    return identifier


def read(sim, identifier="worker"):
    return sim.get(f"{BASE}/{identifier}")


def patch(sim, identifier, *, status=200, **fields):
    return sim.send("PATCH", f"{BASE}/{identifier}", fields, status=status)


def submit(sim, *, status=200, **fields):
    body = {"model": "worker", "payload": {}, **fields}
    return sim.send("POST", "/v1/queue/submit", body, status=status)


def job_status(sim, request_id):
    return sim.get(f"/v1/queue/status?model=worker&request_id={request_id}")["status"]


def test_a_container_updates_and_is_then_ready_under_its_id_and_its_name(sim):
    created = create(sim, min_replicas=2)
    sim.advance(START_SECONDS)
    ready = read(sim)

    assert (created["status"], created["ready_replicas"], created["desired_replicas"]) == ("Updating", 0, 2)
    assert (ready["status"], ready["ready_replicas"]) == ("Ready", 2)
    assert len(ready["replica_events"]) == 2
    assert {event["replica_status"] for event in ready["replica_events"].values()} == {"Running"}
    assert read(sim, created["id"]) == ready
    assert sim.get(BASE)["data"] == [ready]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "Up"}, "name"),
        ({"image": None}, "image"),
        ({"gpu_type": "a100"}, "gpu_type"),
        ({"min_replicas": 3, "max_replicas": 2}, "max_replicas"),
        ({"min_replicas": -1}, "min_replicas"),
        ({"capacity_type": "spot"}, "capacity_type"),
        ({"autoscaling": {"metric": "Moon"}}, "metric"),
        ({"environment_variables": [{"name": "1X", "value": ""}]}, "environment_variables"),
        ({"environment_variables": [{"name": "X"}]}, "environment_variables"),
        ({"environment_variables": [{"name": "X", "value_from_secret": "none"}]}, "environment_variables"),
        ({"volumes": [{"name": "none", "mount_path": "/x"}]}, "volumes"),
    ],
)
def test_a_wrong_container_is_refused(sim, fields, param):
    assert create(sim, status=400, **fields)["error"]["param"] == param
    assert sim.get(BASE)["data"] == []


def test_a_name_is_given_once(sim):
    create(sim)

    create(sim, status=409)


def test_ready_replicas_cost_and_a_removed_container_does_not(sim):
    identifier = start(sim, min_replicas=2)
    sim.advance(3600)
    sim.send("DELETE", f"{BASE}/{identifier}")
    sim.advance(3600)

    assert bill(sim, identifier) == Decimal("10.98")
    sim.get(f"{BASE}/{identifier}", status=404)


def test_a_container_of_zero_replicas_is_scaled_to_zero_and_costs_nothing(sim):
    identifier = start(sim)
    patch(sim, identifier, min_replicas=0, max_replicas=0)
    sim.advance(120)
    before = bill(sim, identifier)
    sim.advance(3600)

    assert read(sim)["status"] == "ScaledToZero"
    assert bill(sim, identifier) == before


def test_more_replicas_are_added(sim):
    identifier = start(sim)
    changed = patch(sim, identifier, min_replicas=3)
    sim.advance(600)

    assert (changed["status"], changed["max_replicas"], changed["desired_replicas"]) == ("Updating", 3, 3)
    assert (read(sim)["status"], read(sim)["ready_replicas"]) == ("Ready", 3)


def test_other_gpus_cost_other_money_from_then_on(sim):
    identifier = start(sim)
    sim.advance(3600)
    patch(sim, identifier, gpu_type="b200-192gb", gpu_count=2)
    sim.advance(3600)

    usage = sim.get("/v1/billing/usage?granularity=hour")["data"][-1]["line_items"]

    assert bill(sim, identifier) == Decimal("5.49") + 2 * Decimal("8.99")
    assert [line["product_name"] for line in usage] == ["Container - H100", "Container - B200"]
    assert {line["attributes"]["deployment_id"] for line in usage} == {identifier}


def test_an_image_that_is_not_there_fails_until_another_is_named(sim):
    identifier = start(sim, image="registry.together.ai/fernhill/worker:broken")
    failed = read(sim)
    patch(sim, identifier, image="registry.together.ai/fernhill/worker:2")
    sim.advance(START_SECONDS)

    assert (failed["status"], failed["ready_replicas"]) == ("Failed", 0)
    assert next(iter(failed["replica_events"].values()))["replica_status_reason"] == "ImagePullBackOff"
    assert read(sim)["status"] == "Ready"


def test_jobs_wake_a_container_that_slept_and_it_sleeps_again(sim):
    start(sim, min_replicas=0, max_replicas=3, autoscaling=QUEUE_SCALING)
    assert read(sim)["status"] == "ScaledToZero"

    requests = [submit(sim)["requestId"] for _ in range(5)]
    woken = read(sim)
    counts = sim.get("/v1/queue/metrics?model=worker")
    sim.advance(10 * 60)
    done = [job_status(sim, request) for request in requests]
    sim.advance(10 * 60)

    assert (woken["status"], woken["desired_replicas"]) == ("Scaling", 3)
    assert counts == {"messages_running": 0, "messages_waiting": 5, "total_jobs": 5}
    assert done == ["done"] * 5
    assert read(sim)["status"] == "ScaledToZero"


def test_requests_scale_a_container_within_its_bounds(sim):
    scaling = {"metric": "HTTPTotalRequests", "target": 100, "time_interval_minutes": 10}
    identifier = start(sim, max_replicas=3, autoscaling=scaling)
    sim.advance(60)

    sim.admin("POST", f"/containers/{identifier}/traffic", {"requests": 500})
    sim.advance(180)
    scaled = read(sim)
    sim.advance(1800)

    assert scaled["desired_replicas"] == 3
    assert read(sim)["desired_replicas"] == 1


def test_jobs_are_worked_on_by_priority_then_in_order(sim):
    start(sim, autoscaling=QUEUE_SCALING)
    first, low, high = (submit(sim, priority=priority)["requestId"] for priority in (0, 0, 9))

    seen = []
    for _ in range(3):
        seen.append([job_status(sim, request) for request in (first, low, high)])
        sim.advance(30)

    assert seen == [
        ["running", "pending", "pending"],
        ["done", "pending", "running"],
        ["done", "running", "done"],
    ]


def test_only_pending_jobs_are_cancelled(sim):
    start(sim)
    running, waiting, other = (submit(sim)["requestId"] for _ in range(3))
    body = {"model": "worker", "request_id": waiting}

    assert sim.send("POST", "/v1/queue/cancel", body) == {"status": "canceled"}
    refused = sim.send("POST", "/v1/queue/cancel", {**body, "request_id": running}, status=409)
    cleared = sim.send("POST", "/v1/queue/clear", {"model": "worker"})
    sim.advance(120)

    assert (refused, cleared) == ({"status": "running"}, {"canceled_count": 1})
    assert [job_status(sim, one) for one in (running, waiting, other)] == ["done", "canceled", "canceled"]


def test_a_job_can_fail(sim):
    start(sim)
    request = submit(sim, payload={"fail": True}, info={"team": "x"})["requestId"]
    sim.advance(30)

    job = sim.get(f"/v1/queue/status?model=worker&request_id={request}")

    assert (job["status"], job["info"], job["inputs"]) == ("failed", {"team": "x"}, {"fail": True})
    assert "outputs" not in job


@pytest.mark.parametrize(("query", "status"), [("model=other&request_id=x", 404), ("request_id=x", 400),
                                               ("model=worker", 400), ("model=worker&request_id=x", 404)])  # fmt: skip
def test_the_queue_refuses_in_its_own_shape(sim, query, status):
    create(sim)

    answer = sim.get(f"/v1/queue/status?{query}", status=status)

    assert set(answer) == {"code", "message", "param", "type"}


def test_each_change_is_a_revision_and_an_earlier_one_can_come_back(sim):
    identifier = start(sim)
    patch(sim, identifier, image="registry.together.ai/fernhill/worker:2")
    patch(sim, identifier, image="registry.together.ai/fernhill/worker:2")  # nothing new
    sim.send("POST", f"{BASE}/{identifier}/rollback", {"revision_identifier": "1"})

    history = sim.get(f"{BASE}/{identifier}/revisions")["data"]

    assert read(sim)["image"].endswith(":1")
    assert [(event["event_number"], event["action"], event["revision_number"]) for event in history] == [
        (3, "rollback", 1), (2, "update", 2), (1, "create", 1),
    ]  # fmt: skip
    assert sim.get(f"{BASE}/{identifier}/revisions?before=3&limit=1")["data"] == [history[1]]
    assert sim.get(f"{BASE}/{identifier}/revisions/2")["image"].endswith(":2")
    sim.get(f"{BASE}/{identifier}/revisions/9", status=404)


def test_logs_tell_what_happened(sim):
    start(sim)
    request = submit(sim)["requestId"]
    sim.advance(30)

    lines = sim.get(f"{BASE}/worker/logs")["lines"]

    assert any(f"job {request} claimed" in line for line in lines)
    assert lines == sorted(lines)
    assert sim.get(f"{BASE}/worker/logs?replica_id=other")["lines"] == []


def test_the_value_of_a_secret_never_comes_back(sim):
    body = {"name": "token", "value": "s3cr3t", "ttl_seconds": 86_400}
    created = sim.send("POST", f"{BASE}/secrets", body)
    create(sim, environment_variables=[{"name": "TOKEN", "value_from_secret": "token"}])
    changed = sim.send("PATCH", f"{BASE}/secrets/token", {"value": "other", "description": "new"})

    everything = f"{created}{changed}{sim.get(f'{BASE}/secrets')}{read(sim)}"

    assert "s3cr3t" not in everything
    assert "other" not in everything
    assert read(sim)["environment_variables"][0]["value_from_secret_expires_at"] == created["expires_at"]
    sim.send("POST", f"{BASE}/secrets", body, status=409)
    sim.send("POST", f"{BASE}/secrets", {**body, "name": "two", "ttl_seconds": 60}, status=400)


def test_a_secret_is_gone_after_its_lifetime_or_when_it_is_deleted(sim):
    for name, ttl in (("short", 86_400), ("long", None)):
        sim.send("POST", f"{BASE}/secrets", {"name": name, "value": "x", "ttl_seconds": ttl})
    sim.advance(86_400)
    assert [secret["name"] for secret in sim.get(f"{BASE}/secrets")["data"]] == ["long"]

    sim.send("DELETE", f"{BASE}/secrets/long")

    sim.get(f"{BASE}/secrets/long", status=404)


def test_a_volume_is_synchronised_mounted_and_kept_while_it_is_mounted(sim):
    content = {"type": "files", "source_prefix": "weights/"}
    body = {"name": "weights", "type": "readOnly", "content": content}
    created = sim.send("POST", f"{BASE}/storage/volumes", body)
    sim.send("POST", f"{BASE}/storage/volumes", {**body, "name": "x", "content": {}}, status=400)
    sim.advance(120)
    container = create(sim, volumes=[{"name": "weights", "mount_path": "/w"}])
    volume = sim.get(f"{BASE}/storage/volumes/weights")

    assert (created["status"], volume["status"], volume["mounted_by"]) == (
        "pending",
        "ready",
        [container["id"]],
    )
    sim.send("DELETE", f"{BASE}/storage/volumes/weights", status=400)
    second = sim.send("PATCH", f"{BASE}/storage/volumes/weights", {"content": {"source_prefix": "v2/"}})
    assert (second["current_version"], list(second["version_history"])) == (2, ["1"])
    assert sim.get(f"{BASE}/storage/volumes/weights?version=1")["content"]["source_prefix"] == "weights/"
    sim.send("DELETE", f"{BASE}/worker")
    sim.send("DELETE", f"{BASE}/storage/volumes/weights")
    assert sim.get(f"{BASE}/storage/volumes")["data"] == []


def test_a_container_belongs_to_the_project_of_the_key(sim):
    create(sim)
    foreign = next(p for p in sim.world.projects.values() if p.organization.name == "thornfield")
    sim.world.add_key("foreign", foreign)

    assert sim.get(BASE, key="foreign")["data"] == []
    sim.get(f"{BASE}/worker", key="foreign", status=404)
    sim.get(BASE, key=None, status=401)


@pytest.mark.parametrize("state", ["Ready", "Scaling", "Failed", "ScaledToZero", "Updating"])
def test_a_state_can_be_forced(sim, state):
    identifier = start(sim)

    assert sim.admin("POST", f"/containers/{identifier}/state", {"state": state})["state"] == state
    assert read(sim)["status"] == state


def test_the_demo_has_a_container_in_each_situation(demo):
    found = {container["name"]: container for container in demo.get(BASE)["data"]}

    assert {name: container["status"] for name, container in found.items()} == {
        "ticket-router": "Ready", "whisper-worker": "ScaledToZero", "avatar-renderer": "Failed",
    }  # fmt: skip
    assert all(bill(demo, found[name]["id"]) > 0 for name in ("ticket-router", "whisper-worker"))
