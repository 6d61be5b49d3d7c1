import pytest


def test_list_items_lack_what_only_the_single_read_tells(sim):
    sim.add_legacy()
    item = sim.get("/v1/endpoints?type=dedicated")["data"][0]
    single = sim.get(f"/v1/endpoints/{item['id']}")

    assert not {"hardware", "autoscaling", "display_name"} & item.keys()
    assert {"hardware", "autoscaling", "display_name"} <= single.keys()
    assert not {"ready_replicas", "etag", "updated_at"} & single.keys()


def test_serverless_endpoints_come_along_unless_the_type_is_named(sim):
    sim.add_legacy()
    kinds = {item["type"] for item in sim.get("/v1/endpoints")["data"]}

    assert kinds == {"dedicated", "serverless"}
    assert {i["type"] for i in sim.get("/v1/endpoints?type=dedicated")["data"]} == {"dedicated"}
    sim.get("/v1/endpoints?type=other", status=400)


def test_stop_is_accepted_and_start_is_refused(sim):
    path = f"/v1/endpoints/{sim.add_legacy()}"

    assert sim.send("PATCH", path, {"state": "STOPPED"})["state"] == "STOPPING"
    sim.advance(90)
    assert sim.get(path)["state"] == "STOPPED"
    refusal = sim.send("PATCH", path, {"state": "STARTED"}, status=403)
    assert refusal["error"]["code"] == "endpoints_v1_create_access_disabled"
    assert sim.get(path)["state"] == "STOPPED"


def test_creating_is_refused(sim):
    body = {"model": "x", "hardware": "y", "autoscaling": {"min_replicas": 1, "max_replicas": 1}}

    refusal = sim.send("POST", "/v1/endpoints", body, status=403)

    assert refusal["error"]["code"] == "endpoints_v1_create_access_disabled"


@pytest.mark.parametrize(
    "body",
    [
        {"autoscaling": {"min_replicas": 2}},
        {"autoscaling": {"min_replicas": 3, "max_replicas": 2}},
        {"state": "PAUSED"},
        {"colour": "red"},
        {"inactive_timeout": -1},
    ],
)
def test_updates_that_cannot_be_are_refused(sim, body):
    sim.send("PATCH", f"/v1/endpoints/{sim.add_legacy()}", body, status=400)


def test_inactive_timeout_stops_a_quiet_endpoint_and_null_switches_it_off(sim):
    identifier = sim.add_legacy()
    path = f"/v1/endpoints/{identifier}"
    sim.send("PATCH", path, {"inactive_timeout": None})
    sim.advance(3600)
    assert sim.get(path)["state"] == "STARTED"

    assert sim.send("PATCH", path, {"inactive_timeout": 5})["inactive_timeout"] == 5
    sim.advance(120)

    assert sim.get(path)["state"] == "STOPPED"


def test_delete_answers_without_a_body(sim):
    path = f"/v1/endpoints/{sim.add_legacy('STOPPED')}"

    answer = sim.ask("DELETE", path)

    assert (answer.status_code, answer.content) == (204, b"")
    sim.get(path, status=404)


def test_hardware_tells_availability_only_for_a_model(sim):
    everything = sim.get("/v1/hardware")["data"]
    for_model = sim.get("/v1/hardware?model=openai/gpt-oss-20b")["data"]

    assert all("availability" not in item for item in everything)
    assert all(
        item["availability"]["status"] in {"available", "unavailable", "insufficient"} for item in for_model
    )
    assert everything[0]["pricing"]["cents_per_minute"] == 9.0
    assert everything[0]["specs"] == {
        "gpu_type": "h100-80gb",
        "gpu_link": "sxm",
        "gpu_memory": 80,
        "gpu_count": 1,
    }
    sim.get("/v1/hardware?model=nobody/nothing", status=404)
    assert "us-east-1" in sim.get("/v1/clusters/availability-zones")["avzones"]
