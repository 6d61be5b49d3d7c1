"""What a deploy wizard must hold to: the rules of contract 3.4 and 3.5, and what happens when an answer is lost."""

import pytest

from tests.simulator.sim import HARDWARE, MODEL

BOUNDS = {"minReplicas": 1, "maxReplicas": 2}
PODS = {"type": "SCALING_POLICY_TYPE_PODS", "value": 1, "periodSeconds": 60}
INFLIGHT = {"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}
LATENCY = {"name": "ttft", "type": "METRIC_TARGET_TYPE_VALUE", "target": 250, "percentile": "p95"}
SETTINGS = [
    ({"scaleUpWindow": "60s", "scaleDownWindow": "5m", "scaleToZeroWindow": "1h"}, 200),
    ({"scaleUpWindow": "60"}, 400),
    ({"scaleUp": {"policies": [PODS], "selectPolicy": "SCALING_POLICY_SELECT_MIN"}}, 200),
    ({"scaleUp": {"policies": [{**PODS, "periodSeconds": 1801}]}}, 400),
    ({"scaleUp": {"policies": [{**PODS, "value": 0}]}}, 400),
    ({"scaleDown": {"policies": [{**PODS, "type": "SCALING_POLICY_TYPE_MOOD"}]}}, 400),
    ({"scaleDown": {"selectPolicy": "SCALING_POLICY_SELECT_ANY"}}, 400),
    ({"scalingMetrics": [INFLIGHT, LATENCY]}, 200),
    ({"scalingMetrics": [{**INFLIGHT, "percentile": "p95"}]}, 400),
    ({"scalingMetrics": [{**LATENCY, "percentile": "p42"}]}, 400),
    ({"scalingMetrics": [{**INFLIGHT, "target": -1}]}, 400),
    ({"scalingMetrics": [{"name": "gpu_utilization", "type": "METRIC_TARGET_TYPE_UTILIZATION"}]}, 400),
    (
        {
            "scalingMetrics": [
                {"name": "gpu_utilization", "type": "METRIC_TARGET_TYPE_UTILIZATION", "target": 101}
            ]
        },
        400,
    ),
]


def create(sim, endpoint_id, *, query="", status=200, **fields):
    path = f"{sim.base}/{endpoint_id}/deployments{query}"
    return sim.send("POST", path, sim.deployment_body(**fields), status=status)


def chat(sim, endpoint_id, *, status):
    name = sim.get(f"{sim.base}/{endpoint_id}")["name"]
    body = {"model": name, "messages": [{"role": "user", "content": "repeat: yes"}]}
    return sim.send("POST", "/v1/chat/completions", body, status=status)


@pytest.mark.parametrize(("settings", "status"), SETTINGS)
@pytest.mark.parametrize("query", ["", "?validateOnly=true"])
def test_a_create_and_its_dry_run_take_the_same_settings(sim, settings, status, query):
    endpoint_id = sim.create_endpoint()

    create(sim, endpoint_id, query=query, status=status, autoscaling={**BOUNDS, **settings})

    listed = sim.get(f"{sim.base}/{endpoint_id}/deployments")["data"]
    assert len(listed) == (1 if status == 200 and not query else 0)


@pytest.mark.parametrize(("settings", "status"), SETTINGS)
def test_a_change_takes_the_settings_that_a_create_takes(sim, settings, status):
    ids = sim.start_deployment()
    before = sim.get(sim.path(*ids))["autoscaling"]

    sim.patch(ids, {"autoscaling": settings}, status=status)

    assert (sim.get(sim.path(*ids))["autoscaling"] == before) == (status == 400)


def test_a_dry_run_refuses_a_name_that_is_taken(sim):
    endpoint_id = sim.create_endpoint()
    create(sim, endpoint_id)

    assert create(sim, endpoint_id, query="?validateOnly=true", status=409)["code"] == 6


@pytest.mark.parametrize(
    ("placement", "status"),
    [
        ({"inline": {"regions": ["us-east-1"], "constraint": "ENFORCEMENT_REQUIRED"}}, 200),
        ({"inline": {"regions": ["us-west-2"], "constraint": "ENFORCEMENT_PREFERRED"}}, 200),
        ({"inline": {"compliancePolicy": {"hipaa": True}}}, 200),
        ({"inline": {"regions": ["us-west-2"], "constraint": "ENFORCEMENT_REQUIRED"}}, 400),
        ({"inline": {"regions": ["mars-1"]}}, 400),
        ({"inline": {"constraint": "ENFORCEMENT_MAYBE"}}, 400),
        ({"profile": "pp_none"}, 400),
        ({"inline": {}, "profile": "pp_none"}, 400),
    ],
)
def test_placements(sim, placement, status):
    endpoint_id = sim.create_endpoint()

    answer = create(sim, endpoint_id, placement=placement, status=status)

    assert answer.get("placement") == (placement if status == 200 else None)


def test_a_saved_placement_can_be_named(sim):
    profile = sim.get(f"/v2/projects/{sim.project.project_id}/placement-profiles")["data"][0]

    answer = create(sim, sim.create_endpoint(), placement={"profile": profile["id"]})

    assert answer["placement"] == {"profile": profile["id"]}


def test_replicas_run_where_the_placement_requires(sim):
    placement = {"inline": {"regions": ["us-central-4b"], "constraint": "ENFORCEMENT_REQUIRED"}}
    ids = sim.start_deployment(placement=placement, autoscaling={"minReplicas": 2, "maxReplicas": 2})

    regions = sim.get(sim.path(*ids))["status"]["details"]["region"]

    assert [(region["region"], region["readyReplicas"]) for region in regions] == [("us-central-4b", 2)]


def test_the_gpu_quota_counts_what_runs(sim):
    sim.admin("PATCH", "/world", {"gpu_quota": {"H100": 3}})
    endpoint_id = sim.create_endpoint()
    two = {"minReplicas": 2, "maxReplicas": 2}
    first = create(sim, endpoint_id, autoscaling=two)

    refusal = create(sim, endpoint_id, name="second", autoscaling=two, status=429)
    create(sim, endpoint_id, name="second", autoscaling=two, query="?validateOnly=true", status=429)
    ids = (endpoint_id, first["id"])
    sim.patch(ids, {"autoscaling": {"minReplicas": 4, "maxReplicas": 4}}, status=429)
    sim.patch(ids, {"autoscaling": {"minReplicas": 3, "maxReplicas": 3}})

    assert refusal["details"][0]["detail"] == "GPU quota exceeded"
    sim.stop(ids)
    sim.advance(600)
    create(sim, endpoint_id, name="second", autoscaling=two)
    sim.patch(ids, {"autoscaling": two}, status=429)
    assert sim.state(ids) == "STOPPED"


def test_rules_are_merged_by_field_and_reset_by_the_mask(sim):
    rules = {"policies": [PODS], "selectPolicy": "SCALING_POLICY_SELECT_MIN"}
    ids = sim.start_deployment(autoscaling={**BOUNDS, "scaleUp": rules, "scaleUpWindow": "60s"})

    change = {"autoscaling": {"scaleUp": {"selectPolicy": "SCALING_POLICY_SELECT_MAX"}}}
    merged = sim.patch(ids, change)["autoscaling"]
    masked = "?updateMask=autoscaling.scaleUp.policies,autoscaling.scaleUpWindow"
    reset = sim.patch(ids, {"autoscaling": {}}, query=masked)["autoscaling"]

    assert merged["scaleUp"] == {"policies": [PODS], "selectPolicy": "SCALING_POLICY_SELECT_MAX"}
    assert reset["scaleUp"] == {"selectPolicy": "SCALING_POLICY_SELECT_MAX"}
    assert "scaleUpWindow" not in reset
    assert (reset["minReplicas"], reset["maxReplicas"]) == (1, 2)


def test_an_endpoint_answers_only_with_traffic(sim):
    endpoint_id = sim.create_endpoint()
    deployment_id = create(sim, endpoint_id)["id"]
    path = f"{sim.base}/{endpoint_id}"
    sim.advance(600)

    assert chat(sim, endpoint_id, status=400)["error"]["code"] == "endpoint_not_configured"
    sim.send("PATCH", path, {"trafficSplit": [{"deploymentId": deployment_id, "weight": 1}]})
    chat(sim, endpoint_id, status=200)
    sim.send("PATCH", f"{path}?updateMask=trafficSplit", {"trafficSplit": []})
    assert chat(sim, endpoint_id, status=503)["error"]["code"] == "routing_error"


def test_a_weight_counts_for_each_ready_replica(sim):
    endpoint_id = sim.create_endpoint()
    ids = [
        create(sim, endpoint_id, name=f"d{replicas}", autoscaling={"minReplicas": replicas})["id"]
        for replicas in (1, 3)
    ]
    split = [{"deploymentId": deployment_id, "weight": 1} for deployment_id in ids]
    sim.send("PATCH", f"{sim.base}/{endpoint_id}", {"trafficSplit": split})
    sim.advance(600)

    shares = [sim.get(sim.path(endpoint_id, one))["estimatedEffectiveTrafficShare"] for one in ids]

    assert shares == [0.25, 0.75]


@pytest.mark.parametrize("kind", ["answer_lost", "cut_body"])
def test_a_create_whose_answer_is_lost_happened(sim, kind):
    for what in ("endpoints", "deployments"):
        fault = {"kind": kind, "method": "POST", "route": f"/v2/*/{what}", "times": 1}
        sim.admin("POST", "/faults", fault)
    ask_quietly(sim, sim.base, {"name": "bot"})

    endpoint = sim.get(sim.base)["data"][0]
    sim.send("POST", sim.base, {"name": "bot"}, status=409)
    path = f"{sim.base}/{endpoint['id']}/deployments"
    ask_quietly(sim, path, sim.deployment_body())

    assert [item["name"] for item in sim.get(path)["data"]] == ["fernhill-support/bot/main"]
    create(sim, endpoint["id"], status=409)


def ask_quietly(sim, path, body):
    """Send a request whose answer does not arrive whole."""
    with pytest.raises((ConnectionResetError, ValueError)):
        sim.ask("POST", path, body).json()


@pytest.mark.parametrize(
    ("kind", "status"), [("gpu_quota", 429), ("server_error", 500), ("unavailable", 503), ("forbidden", 403)]
)
def test_a_refused_create_created_nothing(sim, kind, status):
    endpoint_id = sim.create_endpoint()
    sim.admin("POST", "/faults", {"kind": kind, "method": "POST", "times": 1})

    create(sim, endpoint_id, status=status)

    assert sim.get(f"{sim.base}/{endpoint_id}/deployments")["data"] == []


@pytest.mark.parametrize("name", ["", "white space", "-dash", "a" * 129, "other-project/bot", "ümlaut"])
def test_names_that_an_endpoint_cannot_have(sim, name):
    sim.send("POST", sim.base, {"name": name}, status=400)

    assert sim.get(sim.base)["data"] == []


def test_every_profile_of_the_catalogue_can_be_deployed(sim):
    supported = sim.get("/v2/supported-models?product=PRODUCT_DEDICATED&limit=500")["data"]
    endpoint_id = sim.create_endpoint()

    for number, model in enumerate(supported):
        profile = model["deploymentProfiles"][number % len(model["deploymentProfiles"])]
        answer = create(
            sim,
            endpoint_id,
            query="?validateOnly=true",
            model=profile["model"],
            config=profile["config"],
        )
        assert answer["modelRevisionId"] == profile["certifiedModelRevisionId"]
    assert len(supported) > 90


def test_what_room_there_is_differs(sim):
    types = sim.get("/v2/public/inference-instance-types")["data"]
    rooms = [region.get("headroom") for item in types for region in item["regions"]]

    assert None in rooms
    assert {"value": 0, "relation": "RELATION_EQ"} in rooms
    assert all(room["relation"] in {"RELATION_EQ", "RELATION_GTE"} for room in rooms if room)
    assert max(room["value"] for room in rooms if room) <= 8
    assert all(room["relation"] == "RELATION_EQ" for room in rooms if room and room["value"] < 8)
    assert any(len(item["regions"]) > 1 for item in types)
    assert HARDWARE in {item["name"] for item in types}


def test_the_catalogue_says_what_is_deprecated_hidden_and_recommended(sim):
    models = {item["name"]: item for item in sim.get("/v2/supported-models?limit=500")["data"]}
    served = {item["id"] for item in sim.get("/v1/models") if item["pricing"]["input"]}

    assert models[MODEL]["status"] == "SUPPORTED_MODEL_STATUS_RECOMMENDED"
    old = models["qwen-qwen2-5-14b-instruct-lora"]
    assert old["status"] == "SUPPORTED_MODEL_STATUS_DEPRECATED"
    assert "meta-llama/Meta-Llama-3.1-8B-Instruct-lora" in old["description"]
    assert "meta-llama/Meta-Llama-3.1-8B-Instruct-lora" in models
    assert old["products"] == ["PRODUCT_DEDICATED"]
    assert old["name"] not in served
    assert {model["status"].rpartition("_")[2] for model in models.values()} == {
        *("RECOMMENDED", "SUPPORTED", "DEPRECATED", "HIDDEN")
    }
