"""RL resources and sessions: B200 at 8.99 per GPU-hour, 8 GPUs for the trainer and 4 for each generator replica."""

from decimal import Decimal

import pytest

from simulator.scenarios.rented_rl import add_demo_rl
from tests.simulator.test_clusters import bill

RESOURCES, SESSIONS = "/v1/rl/model-resources", "/v1/rl/training-sessions"
MODEL = "Qwen/Qwen3-32B"
READY_SECONDS = 600
HOUR = Decimal("107.88")  # 12 GPUs x 8.99


def create(sim, *, status=200, **fields):
    return sim.send("POST", RESOURCES, {"base_model": MODEL, **fields}, status=status)


def start(sim, **fields):
    """Return the id of a resource that has just become ready."""
    identifier = create(sim, **fields)["id"]
    sim.advance(READY_SECONDS)
    return identifier


def state(sim, identifier):
    return sim.get(f"{RESOURCES}/{identifier}")["status"].removeprefix("MODEL_RESOURCES_STATUS_")


def open_session(sim, resource_id, *, status=200, **fields):
    return sim.send("POST", SESSIONS, {"model_resources_id": resource_id, **fields}, status=status)


def run_session(sim, resource_id, **fields):
    identifier = open_session(sim, resource_id, **fields)["id"]
    sim.advance(60)
    return identifier


def session_state(sim, identifier):
    return sim.get(f"{SESSIONS}/{identifier}")["status"].removeprefix("TRAINING_SESSION_STATUS_")


def operate(sim, session_id, kind):
    """Return a finished operation."""
    path = f"{SESSIONS}/{session_id}/operations/{kind}"
    identifier = sim.send("POST", path, {})["id"]
    sim.advance(5)
    return sim.get(f"{path}/{identifier}")


def test_a_resource_waits_is_created_and_is_then_ready(sim):
    created = create(sim)
    states = []
    for _ in range(11):
        states.append(state(sim, created["id"]))
        sim.advance(60)

    assert created["status_details"] == {"queue_position": 1}
    assert created["compute_config"] == {"gpu_type": "B200-SXM", "num_generator_replicas": 1}
    assert states == ["PENDING"] * 2 + ["CREATING"] * 8 + ["READY"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"base_model": "gpt-2"}, "base_model"),
        ({"base_model": None}, "base_model"),
        ({"compute_config": {"gpu_type": "H200"}}, "gpu_type"),
        ({"compute_config": {"num_generator_replicas": 99}}, "num_generator_replicas"),
        ({"inactive_timeout": 1}, "inactive_timeout"),
    ],
)
def test_a_wrong_resource_is_refused(sim, fields, param):
    assert create(sim, status=400, **fields)["error"]["param"] == param
    assert sim.get(RESOURCES)["data"] == []


def test_it_costs_what_the_estimate_says_while_it_is_ready(sim):
    estimate = sim.send("POST", f"{RESOURCES}/estimate-cost", {"base_model": MODEL})
    identifier = start(sim, inactive_timeout=7200)
    assert bill(sim, identifier) == 0
    sim.advance(3600)
    one_hour = bill(sim, identifier)
    sim.send("POST", f"{RESOURCES}/{identifier}/stop")
    sim.advance(3600)

    line = sim.get("/v1/billing/usage?granularity=hour")["data"][-1]["line_items"][0]

    assert estimate == {"currency": "USD", "price_per_hour": 107.88}
    assert one_hour == bill(sim, identifier) == HOUR
    assert state(sim, identifier) == "STOPPED"
    assert (line["product_name"], line["unit_price"]) == ("RL Training - B200", "107.88")
    assert line["attributes"] == {"model_resource_id": identifier}


def test_an_estimate_follows_the_layout_and_rents_nothing(sim):
    layout = {"gpu_type": "H100-80GB", "num_generator_replicas": 0}
    body = {"base_model": MODEL, "compute_config": layout}

    assert sim.send("POST", f"{RESOURCES}/estimate-cost", body)["price_per_hour"] == 43.92
    assert sim.get(RESOURCES)["data"] == []


def test_an_unused_resource_stops_and_its_sessions_expire(sim):
    identifier = start(sim, inactive_timeout=1800)
    session = run_session(sim, identifier)
    sim.advance(1800 + 60)

    assert state(sim, identifier) == "STOPPED"
    assert session_state(sim, session) == "EXPIRED"


def test_operations_and_an_extension_keep_it(sim):
    identifier = start(sim, inactive_timeout=1800)
    session = run_session(sim, identifier)
    sim.advance(1500)
    operate(sim, session, "optim-step")
    sim.advance(1500)
    assert state(sim, identifier) == "READY"

    extended = sim.send("POST", f"{RESOURCES}/{identifier}/extend-expiry", {"seconds": 7200})
    sim.advance(7000)
    kept = state(sim, identifier)
    sim.advance(400)

    assert extended["expires_at"] == "2026-11-18T16:50:05Z"
    assert (kept, state(sim, identifier)) == ("READY", "STOPPED")


def test_a_resource_in_use_is_stopped_by_force_only(sim):
    identifier = start(sim)
    session = run_session(sim, identifier)

    sim.send("POST", f"{RESOURCES}/{identifier}/stop", status=400)
    assert state(sim, identifier) == "READY"
    sim.send("POST", f"{RESOURCES}/{identifier}/stop?force=true")

    assert (state(sim, identifier), session_state(sim, session)) == ("STOPPING", "STOPPED")


def test_a_session_needs_a_resource_that_is_ready_and_has_room(sim):
    waiting = create(sim)["id"]
    open_session(sim, waiting, status=400)
    whole = start(sim, lora_enabled=False)
    open_session(sim, whole)

    open_session(sim, whole, status=400)
    open_session(sim, "none", status=404)
    assert "lora_config" not in sim.get(SESSIONS)["data"][0]


def test_steps_syncs_and_checkpoints(sim):
    session = run_session(sim, start(sim))

    assert operate(sim, session, "forward-backward")["output"]["loss"] == 2.0
    assert operate(sim, session, "optim-step")["output"] == {"step": "1"}
    assert operate(sim, session, "weights-sync")["output"] == {"weights_version": "1"}
    kept = operate(sim, session, "training-checkpoint")["output"]["checkpoint"]
    assert operate(sim, session, "sample")["output"]["results"][0]["policy_segments"][0]["version"] == 1

    body = sim.get(f"{SESSIONS}/{session}")
    assert (body["step"], body["policy_state"]["applied_weights_version"]) == ("1", "1")
    assert body["training_checkpoints"] == [kept]
    listed = sim.get(f"/v1/rl/checkpoints?session_id={session}&type=CHECKPOINT_TYPE_TRAINING")["data"]
    assert [one["id"] for one in listed] == [kept["id"]]
    assert sim.get(f"/v1/rl/checkpoints/{kept['id']}")["lora_rank"] == 32
    assert "signature=" in sim.get(f"/v1/rl/checkpoints/{kept['id']}/download")["data"][0]["url"]
    resumed = open_session(sim, body["model_resources_id"], resume_from_checkpoint_id=kept["id"])
    assert resumed["step"] == "1"


def test_an_operation_runs_for_a_while_and_fails_with_its_session(sim):
    session = run_session(sim, start(sim))
    path = f"{SESSIONS}/{session}/operations/optim-step"
    running = sim.send("POST", path, {})
    sim.send("POST", f"{SESSIONS}/{session}/stop")
    sim.advance(60)

    assert running["status"] == "TRAINING_OPERATION_STATUS_RUNNING"
    failed = sim.get(f"{path}/{running['id']}")
    assert failed["status"] == "TRAINING_OPERATION_STATUS_FAILED"
    assert "output" not in failed
    assert session_state(sim, session) == "STOPPED"
    sim.send("POST", path, {}, status=400)


def test_names_and_metadata_can_be_changed_and_cleared(sim):
    session = run_session(
        sim, start(sim), display_name="a", metadata={"wandb": {"project": "p", "group": "g"}}
    )

    changed = sim.send(
        "PATCH", f"{SESSIONS}/{session}", {"display_name": "", "metadata": {"wandb": {"group": ""}}}
    )

    assert "display_name" not in changed
    assert changed["metadata"] == {"wandb": {"project": "p"}}


def test_lists_are_paged_and_filtered(sim):
    first, second = start(sim), create(sim)["id"]

    page = sim.get(f"{RESOURCES}?limit=1")
    rest = sim.get(f"{RESOURCES}?limit=1&after={page['meta']['next_cursor']}")

    assert [one["id"] for one in page["data"] + rest["data"]] == [second, first]
    assert (page["meta"]["has_more"], rest["meta"]) == (
        True,
        {"limit": 1, "has_more": False, "next_cursor": ""},
    )
    ready = "MODEL_RESOURCES_STATUS_READY,MODEL_RESOURCES_STATUS_ERROR"
    assert [one["id"] for one in sim.get(f"{RESOURCES}?status={ready}")["data"]] == [first]
    assert len(sim.get(f"{RESOURCES}?created_by=me")["data"]) == 2
    assert sim.get(f"{RESOURCES}?created_by=user_x")["data"] == []
    sim.get(f"{RESOURCES}?after=none", status=400)


def test_resources_belong_to_the_project_of_the_key(sim):
    identifier = start(sim)
    foreign = next(p for p in sim.world.projects.values() if p.organization.name == "thornfield")
    sim.world.add_key("foreign", foreign)

    assert sim.get(RESOURCES, key="foreign")["data"] == []
    sim.send("POST", f"{RESOURCES}/{identifier}/stop?force=true", key="foreign", status=404)
    assert state(sim, identifier) == "READY"


def test_a_failure_is_told_and_costs_nothing_more(sim):
    identifier = start(sim)
    session = run_session(sim, identifier)
    sim.admin("POST", f"/rl/{identifier}/state", {"state": "ERROR"})
    before = bill(sim, identifier)
    sim.advance(3600)

    assert sim.get(f"{RESOURCES}/{identifier}")["error"]["code"].startswith("MODEL_RESOURCES_ERROR_CODE_")
    assert sim.get(f"{SESSIONS}/{session}")["error"]["message"]
    assert bill(sim, identifier) == before


def test_the_demo_has_two_resources_and_three_sessions(demo):
    resources = {one["base_model"]: one["status"][23:] for one in demo.get(RESOURCES)["data"]}
    sessions = {one["display_name"]: one for one in demo.get(SESSIONS)["data"]}

    assert resources == {"Qwen/Qwen3-32B": "STOPPED", "meta-llama/Llama-3.1-8B-Instruct": "READY"}
    assert {name: one["status"][24:] for name, one in sessions.items()} == {
        "triage-grpo-1": "STOPPED", "triage-grpo-2": "RUNNING", "tone-dpo": "EXPIRED",
    }  # fmt: skip
    assert int(sessions["triage-grpo-2"]["step"]) > 1_000


def test_a_session_that_somebody_trains_keeps_its_resource(sim):
    sim.world.compute.rl_resources.clear()
    add_demo_rl(sim.world, sim.project)
    step = next(one for one in sim.get(SESSIONS)["data"] if one["display_name"] == "triage-grpo-2")["step"]
    sim.advance(3 * 3600)

    after = next(one for one in sim.get(SESSIONS)["data"] if one["display_name"] == "triage-grpo-2")
    assert int(after["step"]) == int(step) + 3 * 80  # a step each 45 s
    assert after["status"].endswith("RUNNING")
