import pytest

from simulator.resources.deployments import FAILED_FOR_GOOD, NOT_STOPPED

OFF = {"minReplicas": 0, "maxReplicas": 0}
ON = {"minReplicas": 1, "maxReplicas": 2}


def test_a_deployment_goes_from_provisioning_to_ready_by_itself(sim):
    endpoint_id = sim.create_endpoint()
    ids = (endpoint_id, sim.create_deployment(endpoint_id))

    body = sim.get(sim.path(*ids))
    assert body["status"]["state"] == "DEPLOYMENT_STATE_PROVISIONING"
    assert body["status"]["readyReplicas"] == 0
    assert (body["desiredReplicas"], body["hardware"]) == (1, "1xnvidia-h100-80gb")

    sim.advance(600)
    body = sim.get(sim.path(*ids))
    assert body["status"]["state"] == "DEPLOYMENT_STATE_READY"
    assert body["status"]["details"]["region"][0]["readyReplicas"] == 1


def test_stop_and_start(sim):
    ids = sim.start_deployment()

    sim.stop(ids)
    assert sim.state(ids) == "STOPPING"
    sim.advance(90)
    assert sim.state(ids) == "STOPPED"

    sim.patch(ids, {"autoscaling": ON})
    assert sim.state(ids) == "PROVISIONING"
    sim.advance(600)
    assert sim.state(ids) == "READY"


def test_a_second_stop_changes_nothing(sim):
    ids = sim.start_deployment()
    sim.stop(ids)
    sim.advance(30)
    sim.stop(ids)
    sim.advance(60)

    assert sim.state(ids) == "STOPPED"


def test_a_start_can_be_cancelled(sim):
    endpoint_id = sim.create_endpoint()
    ids = (endpoint_id, sim.create_deployment(endpoint_id))
    sim.stop(ids)
    sim.advance(600)

    assert sim.state(ids) == "STOPPED"


def test_start_is_refused_until_it_is_stopped(sim):
    ids = sim.start_deployment()
    sim.stop(ids)

    assert sim.patch(ids, {"autoscaling": ON}, status=400)["error"]["message"] == NOT_STOPPED
    sim.advance(90)
    sim.patch(ids, {"autoscaling": ON})


def test_a_failed_deployment_never_starts_again_but_can_be_deleted(sim):
    ids = sim.start_deployment()
    sim.admin("POST", f"/deployments/{ids[1]}/fail")

    assert sim.patch(ids, {"autoscaling": ON}, status=400)["error"]["message"] == FAILED_FOR_GOOD
    sim.stop(ids)
    assert sim.state(ids) == "FAILED"
    sim.send("PATCH", f"{sim.base}/{ids[0]}?updateMask=trafficSplit", {"trafficSplit": []})
    sim.send("DELETE", sim.path(*ids))
    sim.get(sim.path(*ids), status=404)


@pytest.mark.parametrize(
    "autoscaling",
    [
        {"minReplicas": 0, "maxReplicas": 2},
        {"minReplicas": 3, "maxReplicas": 2},
        {"minReplicas": -1, "maxReplicas": 2},
        {"minReplicas": "1", "maxReplicas": 2},
        {"minReplicas": 1, "maxReplicas": 2, "scaleDownWindow": "soon"},
        {"minReplicas": 1, "maxReplicas": 2, "scalingMetrics": [{"name": "mood", "target": 1, "type": "x"}]},
        {"minReplicas": 1, "maxReplicas": 2, "pods": 4},
    ],
)
def test_impossible_bounds_are_refused_without_effect(sim, autoscaling):
    ids = sim.start_deployment()
    before = sim.get(sim.path(*ids))

    sim.patch(ids, {"autoscaling": autoscaling}, status=400)

    assert sim.get(sim.path(*ids)) == before


def test_bounds_move_the_replicas(sim):
    ids = sim.start_deployment()
    sim.patch(ids, {"autoscaling": {"minReplicas": 3, "maxReplicas": 4}})

    assert sim.state(ids) == "SCALING"
    sim.advance(600)
    body = sim.get(sim.path(*ids))
    assert (body["status"]["readyReplicas"], body["desiredReplicas"]) == (3, 3)


def test_omitted_bounds_are_kept(sim):
    ids = sim.start_deployment(autoscaling={"minReplicas": 1, "maxReplicas": 3})

    changed = sim.patch(ids, {"autoscaling": {"scaleDownWindow": "2m"}})["autoscaling"]

    assert (changed["minReplicas"], changed["maxReplicas"], changed["scaleDownWindow"]) == (1, 3, "2m")


def test_the_mask_decides_what_is_written(sim):
    ids = sim.start_deployment()
    body = {"inactiveTimeout": 60, "autoscaling": OFF}

    changed = sim.patch(ids, body, query="?updateMask=inactiveTimeout")

    assert changed["inactiveTimeout"] == 60
    assert sim.state(ids) == "READY"
    sim.patch(ids, body, query="?updateMask=colour", status=400)


def test_a_stale_etag_stops_nothing(sim):
    ids = sim.start_deployment()
    old = sim.get(sim.path(*ids))["etag"]
    sim.patch(ids, {"inactiveTimeout": 60})

    sim.patch(ids, {"autoscaling": OFF, "etag": old}, status=409)

    assert sim.state(ids) == "READY"


@pytest.mark.parametrize(("minutes", "status"), [(0, 200), (30, 200), (1440, 200), (29, 400), (1441, 400)])
def test_the_bounds_of_the_inactive_timeout(sim, minutes, status):
    sim.patch(sim.start_deployment(), {"inactiveTimeout": minutes}, status=status)


def test_the_inactive_timeout_stops_an_idle_deployment(sim):
    ids = sim.start_deployment(inactiveTimeout=60)
    sim.advance(60 * 60 - 1)
    assert sim.state(ids) == "READY"

    sim.advance(1)
    assert sim.state(ids) == "STOPPING"


def test_the_scale_to_zero_window_stops_it_too_and_traffic_holds_it(sim):
    settings = {"minReplicas": 1, "maxReplicas": 1, "scaleToZeroWindow": "15m"}
    ids = sim.start_deployment(autoscaling=settings)
    sim.advance(10 * 60)
    sim.admin("POST", f"/deployments/{ids[1]}/traffic", {"requests": 1})
    sim.advance(10 * 60)
    assert sim.state(ids) == "READY"

    sim.advance(10 * 60)
    assert sim.state(ids) == "STOPPED"


def test_delete_wants_it_stopped_and_out_of_the_split(sim):
    ids = sim.start_deployment()
    sim.send("DELETE", sim.path(*ids), status=400)
    sim.stop(ids)
    sim.advance(90)
    sim.send("DELETE", sim.path(*ids), status=400)
    sim.send("PATCH", f"{sim.base}/{ids[0]}?updateMask=trafficSplit", {"trafficSplit": []})

    sim.send("DELETE", sim.path(*ids))

    sim.get(sim.path(*ids), status=404)
    assert sim.get(f"{sim.base}/{ids[0]}")["deployments"] == []


def test_validate_only_creates_nothing(sim):
    endpoint_id = sim.create_endpoint()
    path = f"{sim.base}/{endpoint_id}/deployments"

    answer = sim.send("POST", f"{path}?validateOnly=true", sim.deployment_body())
    sim.send("POST", f"{path}?validateOnly=true", sim.deployment_body(inactiveTimeout=7), status=400)

    assert answer["hardware"] == "1xnvidia-h100-80gb"
    assert sim.get(path)["data"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"model": "projects/proj_together/models/ml_none"},
        {"config": "cr_none"},
        {"name": "white space"},
        {"autoscaling": None},
        {"placement": {"inline": {"regions": "us"}}},
    ],
)
def test_a_create_that_cannot_be_is_refused(sim, change):
    endpoint_id = sim.create_endpoint()

    sim.send("POST", f"{sim.base}/{endpoint_id}/deployments", sim.deployment_body(**change), status=400)


def test_a_config_of_another_model_is_refused(sim):
    other = sim.world.catalogue.by_name["Qwen/Qwen3-32B"].configs[0]
    endpoint_id = sim.create_endpoint()
    body = sim.deployment_body(config=other.config_id)

    refusal = sim.send("POST", f"{sim.base}/{endpoint_id}/deployments", body, status=400)

    assert "not compatible" in refusal["error"]["message"]


def test_counts_travel_as_digits(sim):
    ids = sim.start_deployment(maxConcurrentRequestsPerReplica="500")

    assert sim.get(sim.path(*ids))["maxConcurrentRequestsPerReplica"] == "63"


def test_traffic_share_follows_weights_of_ready_deployments(sim):
    endpoint_id, first = sim.start_deployment()
    second = sim.create_deployment(endpoint_id, "second")
    split = [{"deploymentId": first, "weight": 3}, {"deploymentId": second, "weight": 1}]
    sim.send("PATCH", f"{sim.base}/{endpoint_id}", {"trafficSplit": split})

    assert sim.get(sim.path(endpoint_id, first))["estimatedEffectiveTrafficShare"] == 1.0
    sim.advance(600)
    assert sim.get(sim.path(endpoint_id, first))["estimatedEffectiveTrafficShare"] == 0.75
