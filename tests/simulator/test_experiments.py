"""A/B and shadow experiments, rollouts and adapters: what a teardown has to walk through."""

import pytest

CONTROL, VARIANT = (f"AB_EXPERIMENT_MEMBER_ROLE_{role}" for role in ("CONTROL", "VARIANT"))
SAMPLE = {"endpoint": {"sampling": {"uniform": {"rate": 0.1}}}}


@pytest.fixture
def pair(sim):
    """Return (endpoint id, deployment with all traffic, ready deployment without)."""
    endpoint_id, first = sim.start_deployment()
    second = sim.create_deployment(endpoint_id, "second")
    sim.advance(600)
    return endpoint_id, first, second


def members(first, second, percent=90):
    return [
        {"deploymentId": first, "role": CONTROL, "percent": percent},
        {"deploymentId": second, "role": VARIANT, "percent": 100 - percent},
    ]


def split(sim, endpoint_id):
    parts = sim.get(f"{sim.base}/{endpoint_id}")["trafficSplit"]
    return {part["deploymentId"]: part["weight"] for part in parts}


def test_an_ab_experiment_from_creation_to_deletion(sim, pair):
    endpoint_id, first, second = pair
    path = f"{sim.base}/{endpoint_id}/abExperiments"
    made = sim.send("POST", path, {"name": "tone", "members": members(first, second)})

    changed = sim.send(
        "PATCH", f"{path}/{made['id']}", {"members": members(first, second, 50), "etag": made["etag"]}
    )

    assert [member["percent"] for member in changed["members"]] == [50, 50]
    assert sim.get(path)["data"] == [changed] == [sim.get(f"{path}/{made['id']}")]
    sim.send("PATCH", f"{path}/{made['id']}", {"description": "x", "etag": made["etag"]}, status=409)
    sim.send("POST", path, {"name": "tone", "members": members(first, second)}, status=409)
    sim.send("DELETE", f"{path}/{made['id']}?etag={changed['etag']}")
    sim.get(f"{path}/{made['id']}", status=404)


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts[:1],
        lambda parts: [{**parts[0], "percent": 10}, parts[1]],
        lambda parts: [parts[0], {**parts[1], "role": CONTROL}],
        lambda parts: [parts[0], {**parts[1], "deploymentId": "dep_foreign"}],
        lambda parts: [parts[0], {**parts[1], "deploymentId": parts[0]["deploymentId"]}],
        lambda parts: [parts[0], {**parts[1], "role": "JUDGE"}],
    ],
)
def test_members_that_cannot_be_are_refused(sim, pair, change):
    endpoint_id, first, second = pair
    path = f"{sim.base}/{endpoint_id}/abExperiments"

    sim.send("POST", path, {"name": "tone", "members": change(members(first, second))}, status=400)

    assert sim.get(path)["data"] == []


def test_a_deployment_in_an_experiment_is_not_deleted(sim, pair):
    endpoint_id, first, second = pair
    path = f"{sim.base}/{endpoint_id}/abExperiments"
    made = sim.send("POST", path, {"name": "tone", "members": members(first, second)})
    ids = (endpoint_id, second)
    sim.stop(ids)
    sim.advance(600)

    refusal = sim.send("DELETE", sim.path(*ids), status=400)

    assert made["id"] in refusal["error"]["message"]
    sim.send("DELETE", f"{path}/{made['id']}")
    sim.send("DELETE", sim.path(*ids))


def test_a_shadow_experiment_is_active_while_it_has_targets(sim, pair):
    endpoint_id, first, second = pair
    path = f"{sim.base}/{endpoint_id}/shadowExperiments"
    made = sim.send("POST", path, {"name": "mirror", "source": SAMPLE})
    targets = f"{path}/{made['id']}/targets"
    sim.send("POST", targets, {"name": "live", "targetDeploymentId": first}, status=400)
    target = sim.send("POST", targets, {"name": "new", "targetDeploymentId": second})

    active = sim.get(f"{path}/{made['id']}")
    renamed = sim.send("PATCH", f"{targets}/{target['id']}?updateMask=name", {"name": "newer"})
    sim.send("PATCH", f"{targets}/{target['id']}", {"name": "newest"}, status=400)

    assert (made["state"], active["state"]) == (
        "SHADOW_EXPERIMENT_STATE_INACTIVE",
        "SHADOW_EXPERIMENT_STATE_ACTIVE",
    )
    assert sim.get(targets)["data"] == [renamed]
    sim.send("DELETE", f"{targets}/{target['id']}?etag={target['etag']}", status=409)
    sim.send("DELETE", f"{targets}/{target['id']}?etag={renamed['etag']}")
    assert sim.get(f"{path}/{made['id']}")["targets"] == []
    sim.send("DELETE", f"{path}/{made['id']}")
    assert sim.get(path)["data"] == []


@pytest.mark.parametrize(
    "sampling",
    [
        {},
        {"uniform": {"rate": 2}},
        {"uniform": {}},
        {"uniform": {"rate": 0.1}, "keyBased": {"key": "user", "rate": 0.1}},
        {"adaptiveUniform": {"targetQps": 0}},
        {"adaptiveUniform": {"targetQps": 1, "window": "soon"}},
        {"lottery": {"rate": 0.1}},
    ],
)
def test_sampling_that_cannot_be_is_refused(sim, pair, sampling):
    path = f"{sim.base}/{pair[0]}/shadowExperiments"

    body = {"name": "mirror", "source": {"endpoint": {"sampling": sampling}}}
    sim.send("POST", path, body, status=400)

    assert sim.get(path)["data"] == []


def start_rollout(sim, pair, **spec):
    endpoint_id, first, second = pair
    path = f"{sim.base}/{endpoint_id}/rollouts"
    body = {"sourceDeploymentId": first, "targetDeploymentId": second, **spec}
    made = sim.send("POST", path, body)
    return f"{path}/{made['id']}", sim.send("POST", f"{path}/{made['id']}/start", {})


def test_a_rollout_moves_the_traffic_in_steps_and_stops_the_source(sim, pair):
    endpoint_id, first, second = pair
    path, started = start_rollout(sim, pair)
    seen = [(started["currentTrafficPercent"], split(sim, endpoint_id))]
    for _ in range(3):
        sim.advance(180)
        seen.append((sim.get(path)["currentTrafficPercent"], split(sim, endpoint_id)))

    assert sim.get(f"{sim.base}/{endpoint_id}")["activeRolloutId"] == started["id"]
    assert [percent for percent, _ in seen] == [5, 25, 50, 100]
    assert [round(parts[second], 2) for _, parts in seen] == [0.05, 0.25, 0.5, 1.0]
    sim.advance(180)
    done = sim.get(path)
    assert done["state"] == "ROLLOUT_STATE_COMPLETED"
    assert {step["state"] for step in done["status"]["steps"]} == {"ROLLOUT_STEP_STATE_PASSED"}
    assert split(sim, endpoint_id) == {second: 1}
    assert "activeRolloutId" not in sim.get(f"{sim.base}/{endpoint_id}")
    sim.advance(600)
    assert sim.state((endpoint_id, first)) == "STOPPED"


def test_a_paused_rollout_stands_still_and_goes_on(sim, pair):
    path, _ = start_rollout(sim, pair)
    sim.advance(100)
    paused = sim.send("POST", f"{path}/pause", {"reason": "lunch"})
    sim.advance(3600)

    assert paused["pauseInfo"]["reason"] == "lunch"
    assert sim.get(path)["currentTrafficPercent"] == 5
    sim.send("POST", f"{path}/pause", {}, status=400)
    sim.send("POST", f"{path}/resume", {})
    sim.advance(79)
    assert sim.get(path)["currentTrafficPercent"] == 5
    sim.advance(1)
    assert sim.get(path)["currentTrafficPercent"] == 25


def test_a_cancel_freezes_the_split_and_a_promotion_ends_it(sim, pair):
    endpoint_id, first, second = pair
    path, _ = start_rollout(sim, pair, canary={"steps": [{"traffic": 40}, {"traffic": 100}]})
    sim.send("POST", f"{path}/cancel", {}, status=400)
    sim.send(
        "POST", f"{path}/cancel", {"reason": "no", "disposition": "CANCEL_DISPOSITION_REVERT"}, status=400
    )
    sim.send("DELETE", path, status=400)

    cancelled = sim.send("POST", f"{path}/cancel", {"reason": "slower"})

    assert cancelled["state"] == "ROLLOUT_STATE_CANCELED"
    assert split(sim, endpoint_id) == {first: 0.6, second: 0.4}
    sim.send("DELETE", path)
    again, _ = start_rollout(sim, pair, blueGreen={}, finalSourceReplicas=1)
    assert sim.send("POST", f"{again}/promote", {})["state"] == "ROLLOUT_STATE_COMPLETED"
    assert split(sim, endpoint_id) == {second: 1}
    assert sim.state((endpoint_id, first)) == "READY"
    active = sim.get(f"{sim.base}/{endpoint_id}/rollouts?filter=ROLLOUT_FILTER_ACTIVE")["data"]
    assert active == []


def test_what_a_rollout_would_be_is_told_without_making_it(sim, pair):
    endpoint_id, first, second = pair
    path = f"{sim.base}/{endpoint_id}/rollouts"
    body = {"sourceDeploymentId": second, "targetDeploymentId": first}

    preview = sim.send("POST", f"{path}/preview-defaults", body)

    assert preview["warnings"][0]["code"] == "START_WILL_REJECT"
    assert [step["traffic"] for step in preview["estimatedEffectiveSteps"]] == [5, 25, 50, 100]
    assert sim.get(path)["data"] == []
    made = sim.send("POST", path, body)
    sim.send("POST", f"{path}/{made['id']}/start", {}, status=400)
    sim.send("POST", path, body, status=409)


@pytest.mark.parametrize(
    "spec",
    [
        {"targetDeploymentId": "dep_foreign"},
        {"canary": {}, "blueGreen": {}},
        {"canary": {"steps": [{"traffic": 50}, {"traffic": 20}, {"traffic": 100}]}},
        {"canary": {"steps": [{"traffic": 50}]}},
        {"finalTargetReplicas": 0},
        {"blueGreen": {}, "metrics": [{"name": "router_latency"}]},
        {"metrics": [{"name": "mood"}]},
    ],
)
def test_a_rollout_that_cannot_be_is_refused(sim, pair, spec):
    endpoint_id, first, second = pair
    body = {"sourceDeploymentId": first, "targetDeploymentId": second, **spec}

    sim.send("POST", f"{sim.base}/{endpoint_id}/rollouts", body, status=400)

    assert sim.get(f"{sim.base}/{endpoint_id}/rollouts")["data"] == []


def import_adapter(sim, name="tone", base="openai/gpt-oss-20b"):
    models = f"/v2/projects/{sim.project.project_id}/models"
    base_id = sim.world.catalogue.by_name[base].model_id
    model = sim.send("POST", models, {"name": name, "baseModelId": base_id, "type": "adapter"})
    body = {"modelId": model["id"], "remoteUrl": f"https://huggingface.co/acme/{name}"}
    sim.send("POST", f"{models}/uploads", body)
    sim.advance(600)
    return model["id"]


def test_an_adapter_on_a_deployment_of_its_base(sim):
    ids = sim.start_deployment()
    path = f"{sim.path(*ids)}/adapters"
    model_id = import_adapter(sim)

    made = sim.send("POST", path, {"adapterModelId": model_id})

    assert made["perCluster"][0]["state"] == "ADAPTER_LOAD_STATE_READY"
    assert sim.get(path)["data"] == [made] == [sim.get(f"{path}/{made['id']}")]
    sim.send("POST", path, {"adapterModelId": model_id}, status=409)
    sim.send("DELETE", f"{path}/{made['id']}", status=400)
    sim.send("DELETE", f"{path}/{made['id']}?etag=Wstale", status=409)
    body = {"adapterRevisionId": made["desiredRevisionId"], "etag": made["etag"]}
    changed = sim.send("PATCH", f"{path}/{made['id']}", body)
    sim.send("DELETE", f"{path}/{made['id']}?etag={changed['etag']}")
    assert sim.get(path)["data"] == []


def test_adapters_that_do_not_fit_are_refused(sim):
    ids = sim.start_deployment()
    path = f"{sim.path(*ids)}/adapters"
    other = import_adapter(sim, base="Qwen/Qwen3-32B")

    for model_id in ("ml_none", other, sim.world.catalogue.by_name["openai/gpt-oss-20b"].model_id):
        sim.send("POST", path, {"adapterModelId": model_id}, status=400)

    assert sim.get(path)["data"] == []


def test_the_oldest_adapter_gives_way_only_by_force(sim):
    ids = sim.start_deployment()
    path = f"{sim.path(*ids)}/adapters"
    made = [
        sim.send("POST", path, {"adapterModelId": import_adapter(sim, f"tone-{number}")})
        for number in range(8)
    ]
    last = import_adapter(sim, "tone-last")

    sim.send("POST", path, {"adapterModelId": last}, status=400)
    sim.send("POST", path, {"adapterModelId": last, "force": True})

    left = {item["id"] for item in sim.get(path)["data"]}
    assert len(left) == 8
    assert made[0]["id"] not in left
