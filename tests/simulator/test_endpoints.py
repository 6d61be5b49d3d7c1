def test_a_new_endpoint_routes_nothing_and_is_named_after_its_project(sim):
    created = sim.send("POST", sim.base, {"name": "bot"})

    assert created["name"] == "fernhill-support/bot"
    assert created["trafficSplit"] == []
    assert created["deployments"] == []
    assert sim.get(f"{sim.base}/{created['id']}") == created


def test_a_name_is_taken_once(sim):
    sim.create_endpoint("bot")

    refusal = sim.send("POST", sim.base, {"name": "bot"}, status=409)

    assert refusal["code"] == 6
    assert refusal["details"][0]["status"] == 409


def test_unknown_fields_are_refused_by_name(sim):
    refusal = sim.send("POST", sim.base, {"name": "bot", "colour": "red"}, status=400)

    assert refusal["error"]["message"] == 'unknown field "colour"'
    assert sim.get(sim.base)["data"] == []


def test_both_spellings_are_taken(sim):
    endpoint_id, deployment_id = sim.start_deployment()
    split = [{"deployment_id": deployment_id, "weight": 0.5}]

    changed = sim.send("PATCH", f"{sim.base}/{endpoint_id}", {"traffic_split": split})

    assert changed["trafficSplit"] == [{"deploymentId": deployment_id, "weight": 0.5}]


def test_each_write_changes_the_etag_and_a_stale_one_is_refused(sim):
    endpoint_id = sim.create_endpoint()
    path = f"{sim.base}/{endpoint_id}"
    old = sim.get(path)["etag"]
    new = sim.send("PATCH", path, {"visibility": "VISIBILITY_INTERNAL", "etag": old})["etag"]

    sim.send("PATCH", path, {"visibility": "VISIBILITY_PRIVATE", "etag": old}, status=409)

    assert new != old
    assert sim.get(path)["visibility"] == "VISIBILITY_INTERNAL"
    sim.send("DELETE", f"{path}?etag={old}", status=409)
    sim.send("DELETE", f"{path}?etag={new}")
    sim.get(path, status=404)


def test_an_empty_split_is_applied_only_when_the_mask_names_it(sim):
    endpoint_id, _ = sim.start_deployment()
    path = f"{sim.base}/{endpoint_id}"

    assert sim.send("PATCH", path, {"trafficSplit": []})["trafficSplit"]
    assert sim.send("PATCH", f"{path}?updateMask=trafficSplit", {"trafficSplit": []})["trafficSplit"] == []


def test_fields_outside_the_mask_are_left_alone(sim):
    endpoint_id = sim.create_endpoint()
    body = {"name": "other", "visibility": "VISIBILITY_INTERNAL"}

    changed = sim.send("PATCH", f"{sim.base}/{endpoint_id}?updateMask=visibility", body)

    assert (changed["name"], changed["visibility"]) == ("fernhill-support/bot", "VISIBILITY_INTERNAL")


def test_a_split_names_deployments_of_the_endpoint_only(sim):
    endpoint_id = sim.create_endpoint()
    split = [{"deploymentId": "dep_foreign", "weight": 1}]

    sim.send("PATCH", f"{sim.base}/{endpoint_id}", {"trafficSplit": split}, status=400)


def test_an_endpoint_with_a_running_deployment_stays(sim):
    ids = sim.start_deployment()

    refusal = sim.send("DELETE", f"{sim.base}/{ids[0]}", status=400)

    assert refusal["error"]["message"] == "endpoint has running deployments"
    sim.stop(ids)
    sim.advance(90)
    sim.send("DELETE", f"{sim.base}/{ids[0]}")


def test_renaming_moves_the_names_of_the_deployments_along(sim):
    endpoint_id, deployment_id = sim.start_deployment()

    sim.send("PATCH", f"{sim.base}/{endpoint_id}", {"name": "helper"})

    assert sim.get(sim.path(endpoint_id, deployment_id))["name"] == "fernhill-support/helper/main"


def test_summaries_are_the_ten_newest(sim):
    endpoint_id = sim.create_endpoint()
    for number in range(12):
        sim.create_deployment(endpoint_id, f"d{number}", autoscaling={"minReplicas": 0, "maxReplicas": 0})
        sim.advance(1)

    names = [part["name"].rpartition("/")[2] for part in sim.get(f"{sim.base}/{endpoint_id}")["deployments"]]

    assert names == [f"d{number}" for number in range(11, 1, -1)]


def test_a_cached_body_follows_the_deployment(sim):
    endpoint_id = sim.create_endpoint()
    sim.create_deployment(endpoint_id)

    def seen():
        return sim.get(f"{sim.base}/{endpoint_id}")["deployments"][0]["state"].removeprefix(
            "DEPLOYMENT_STATE_"
        )

    assert seen() == "PROVISIONING"
    sim.advance(599)
    assert seen() == "PROVISIONING"
    sim.advance(1)
    assert seen() == "READY"


def test_the_organisation_list_spans_projects_and_refuses_a_foreign_one(demo):
    found = demo.get(f"/v2/organizations/{demo.organization_id}/endpoints")["data"]

    assert len({endpoint["projectId"] for endpoint in found}) == 4
    demo.get("/v2/organizations/org_foreign/endpoints", status=403)
    demo.get("/v2/projects/proj_foreign/endpoints", status=404)
