from tests.simulator.test_paging import walk


def events(sim, endpoint_id, query=""):
    return sim.get(f"{sim.base}/{endpoint_id}/events{query}")["data"]


def test_a_life_leaves_its_events_newest_first(sim):
    ids = sim.start_deployment()
    sim.stop(ids)
    sim.advance(90)

    kinds = [
        (event["type"], event.get("status", "").removeprefix("DEPLOYMENT_STATE_"))
        for event in events(sim, ids[0], "?minLevel=LEVEL_INFO&sourceKinds=SOURCE_KIND_DEPLOYMENT")
    ]

    assert sorted(kinds[-3:]) == [
        ("deployment.created", ""),
        ("deployment.scaled", ""),
        ("deployment.status_updated", "PROVISIONING"),
    ]
    assert kinds[0] == ("deployment.status_updated", "STOPPED")
    assert ("deployment.status_updated", "READY") in kinds
    times = [event["createdAt"] for event in events(sim, ids[0])]
    assert times == sorted(times, reverse=True)


def test_scaling_tells_both_counts(sim):
    ids = sim.start_deployment()
    sim.patch(ids, {"autoscaling": {"minReplicas": 3, "maxReplicas": 3}})

    scaled = events(sim, ids[0], "?types=deployment.scaled")[0]

    assert (scaled["oldReplicas"], scaled["newReplicas"]) == (1, 3)


def test_a_write_names_the_changed_paths_and_no_actor(sim):
    ids = sim.start_deployment()
    sim.patch(ids, {"inactiveTimeout": 60})

    updated = events(sim, ids[0], "?types=deployment.updated")[0]

    assert updated["paths"] == ["inactiveTimeout"]
    assert not {"actor", "user", "userId"} & updated.keys()


def test_ids_stay_the_same_while_time_goes_on(sim):
    ids = sim.start_deployment()
    before = {event["id"]: event for event in events(sim, ids[0])}
    sim.stop(ids)
    sim.advance(500)

    after = {event["id"]: event for event in events(sim, ids[0])}

    assert len(after) > len(before)
    assert all(after[identifier] == event for identifier, event in before.items())


def test_the_range_is_half_open(sim):
    ids = sim.start_deployment()  # created at 13:49, ready at 13:59
    sim.advance(600)

    def at(query):
        return {event["createdAt"] for event in events(sim, ids[0], query)}

    ready, created = "2026-11-18T13:59:00Z", "2026-11-18T13:49:00Z"
    assert at(f"?since={ready}") == {ready}
    assert ready not in at(f"?until={ready}")
    assert created in at(f"?since={created}&until={ready}")


def test_events_of_a_deleted_deployment_stay(sim):
    ids = sim.start_deployment()
    sim.admin("DELETE", f"/deployments/{ids[1]}")

    assert events(sim, ids[0], f"?deploymentIds={ids[1]}&types=deployment.deleted")
    sim.get(f"{sim.base}/{ids[0]}/events?deploymentIds=dep_foreign", status=400)


def test_levels_narrow(sim):
    ids = sim.start_deployment()
    sim.admin("POST", f"/deployments/{ids[1]}/fail")

    errors = events(sim, ids[0], "?minLevel=LEVEL_ERROR")

    assert {event["type"] for event in errors} == {"deployment.status_updated", "pod.log"}
    sim.get(f"{sim.base}/{ids[0]}/events?minLevel=LOUD", status=400)


def test_sixty_days_of_past_are_paged_without_loss(demo):
    endpoint = next(item for item in demo.world.endpoints.values() if item.slug == "support-triage-70b")
    path = f"/v2/projects/{endpoint.project.project_id}/endpoints/{endpoint.endpoint_id}/events"

    whole = demo.get(f"{path}?limit=10000")["data"]
    paged, pages = walk(demo, path, 50)

    assert paged == whole
    assert pages > 5
    assert whole[-1]["createdAt"] < "2026-09-25"
