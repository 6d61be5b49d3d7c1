"""Rented compute against the public specification, which knows no repairs and no RL resources."""

import pytest

from tests.contract.openapi import specification
from tests.contract.test_openapi import ask

CLUSTERS, VOLUMES = "/v1/compute/clusters", "/v1/compute/clusters/storage/volumes"
DEPLOYMENTS = "/v1/deployments"
#: Operation -> list, field of the items in it, field of the id.
READS = {
    "GET /compute/clusters/{cluster_id}": (CLUSTERS, "clusters", "cluster_id"),
    "GET /compute/clusters/storage/volumes/{volume_id}": (VOLUMES, "volumes", "volume_id"),
    "GET /deployments/{id}": (DEPLOYMENTS, "data", "id"),
    "GET /deployments/{id}/logs": (DEPLOYMENTS, "data", "id"),
    "GET /deployments/secrets/{id}": (f"{DEPLOYMENTS}/secrets", "data", "id"),
    "GET /deployments/storage/volumes/{id}": (f"{DEPLOYMENTS}/storage/volumes", "data", "id"),
    "GET /rl/training-sessions/{session_id}": ("/v1/rl/training-sessions", "data", "id"),
}
LISTS = (
    *("/compute/clusters", "/compute/regions", "/compute/clusters/storage/volumes"),
    *("/deployments", "/deployments/secrets", "/deployments/storage/volumes", "/rl/training-sessions"),
)


@pytest.mark.parametrize("path", LISTS)
def test_lists_fit_the_specification(process, path):
    status, body = ask(process, "GET", f"/v1{path}")

    assert status == 200
    assert specification().check(f"GET {path}", status, body) == []


@pytest.mark.parametrize("operation", READS)
def test_what_is_read_fits_the_specification(process, operation):
    listed, items, name = READS[operation]
    found = ask(process, "GET", listed)[1][items]
    head, _, rest = operation.partition(" ")[2].partition("{")

    assert found
    for item in found:
        path = f"/v1{head}{item[name]}{rest.partition('}')[2]}"
        assert specification().check(operation, *ask(process, "GET", path)) == [], path


def test_what_is_written_fits_the_specification(process):
    check = specification().check
    order = {
        "cluster_name": "spec", "billing_type": "ON_DEMAND", "gpu_type": "H100_SXM", "num_gpus": 8,
        "region": "us-east-2", "cuda_version": "12.4", "nvidia_driver_version": "550",
    }  # fmt: skip
    status, cluster = ask(process, "POST", CLUSTERS, order)
    assert check("POST /compute/clusters", status, cluster) == []
    process.advance(30)
    one = f"{CLUSTERS}/{cluster['cluster_id']}"
    assert check("PUT /compute/clusters/{cluster_id}", *ask(process, "PUT", one, {"num_gpus": 16})) == []
    assert check("DELETE /compute/clusters/{cluster_id}", *ask(process, "DELETE", one)) == []

    body = {"volume_name": "spec", "size_tib": 1, "region": "us-east-2"}
    status, volume = ask(process, "POST", VOLUMES, body)
    assert check("POST /compute/clusters/storage/volumes", status, volume) == []
    grown = ask(process, "PUT", VOLUMES, {"volume_id": volume["volume_id"], "size_tib": 2})
    assert check("PUT /compute/clusters/storage/volumes", *grown) == []
    gone = ask(process, "DELETE", f"{VOLUMES}/{volume['volume_id']}")
    assert check("DELETE /compute/clusters/storage/volumes/{volume_id}", *gone) == []


def test_a_container_and_its_queue_fit_the_specification(process):
    check = specification().check
    body = {"name": "spec-worker", "image": "registry.together.ai/x:1", "gpu_type": "h100-80gb"}
    status, container = ask(process, "POST", DEPLOYMENTS, body)
    assert check("POST /deployments", status, container) == []
    one = f"{DEPLOYMENTS}/{container['id']}"
    assert check("PATCH /deployments/{id}", *ask(process, "PATCH", one, {"max_replicas": 2})) == []

    submitted = ask(process, "POST", "/v1/queue/submit", {"model": "spec-worker", "payload": {}})
    assert check("POST /queue/submit", *submitted) == []
    named = f"model=spec-worker&request_id={submitted[1]['requestId']}"
    assert check("GET /queue/status", *ask(process, "GET", f"/v1/queue/status?{named}")) == []
    counted = ask(process, "GET", "/v1/queue/metrics?model=spec-worker")
    assert check("GET /queue/metrics", *counted) == []
    refused = ask(process, "GET", "/v1/queue/status?model=spec-worker&request_id=none")
    assert (refused[0], check("GET /queue/status", *refused)) == (404, [])
    cancel = {"model": "spec-worker", "request_id": submitted[1]["requestId"]}
    assert check("POST /queue/cancel", *ask(process, "POST", "/v1/queue/cancel", cancel)) == []
    assert check("DELETE /deployments/{id}", *ask(process, "DELETE", one)) == []
