"""What the bodies of each kind mean: columns, states, and above all what bills."""

from typing import Any

import pytest

from dashboard.mirror.groups import GROUPS, find_source
from dashboard.mirror.models import ResourceKind
from dashboard.mirror.resource_readings import ResourceReading


def read(kind: str, **body: Any) -> ResourceReading:
    source = find_source(kind)
    identity = {source.payload.identity_field: "x-1"}
    return source.read(source.payload.parse(identity | body))


def node(gpus: int = 8, *phases: str, status: str = "", **fields: Any) -> dict[str, Any]:
    transitions = [
        {"phase": f"NODE_PHASE_{phase}", "transition_time": f"2026-11-20T0{place}:00:00Z"}
        for place, phase in enumerate(phases)
    ]
    return {"node_id": "n", "num_gpus": gpus, "status": status, "phase_transitions": transitions} | fields


def cluster(*nodes: dict[str, Any], status: str = "Ready", **fields: Any) -> ResourceReading:
    return read(
        "cluster", cluster_name="c", gpu_type="H100_SXM", status=status, gpu_worker_nodes=nodes, **fields
    )


def test_every_kind_is_read_in_exactly_one_group():
    kinds = [source.kind for group in GROUPS for source in group.sources]

    assert sorted(kinds) == sorted(ResourceKind)


@pytest.mark.parametrize("kind", ResourceKind.values)
def test_a_body_with_nothing_but_its_identity_is_read(kind: str):
    reading = read(kind)

    assert (reading.kind, reading.remote_id) == (kind, "x-1")
    # A set of RL resources in no known state may well run; the others have nothing to count.
    assert reading.units == (1 if kind == "rl-resource" else 0)


@pytest.mark.parametrize(
    ("reading", "units"),
    [
        (cluster(node(8, "RUNNING"), node(8, "RUNNING")), 16),
        (cluster(node(8, "BOOTING"), node(8, "BOOTING", "RUNNING")), 8),
        (cluster(node(8, "RUNNING", "FAILED"), node(8, "RUNNING")), 8),
        (cluster(node(8, "RUNNING", "PAUSED")), 0),
        (cluster(node(8, "RUNNING"), node(8, "RUNNING", deleted_at="2026-11-20T09:00:00Z")), 8),
        (cluster(node(8, status="Ready"), node(8, status="pending")), 8),
        (cluster(node(8, "SOMETHING_NEW"), node(8, status="Hibernating")), 16),
        (cluster(node(8, "RUNNING"), node(8, "RUNNING"), num_reserved_gpus=8), 8),
        (cluster(node(8, "RUNNING"), num_reserved_gpus=8), 0),
        (cluster(node(8, "RUNNING"), num_reserved_gpus=16), 0),
        (cluster(node(8, "RUNNING"), num_capacity_pool_gpus=8), 0),
        (cluster(node(8, "RUNNING"), status="OnDemandComputePaused"), 0),
        (cluster(node(8, "RUNNING"), status="Paused"), 0),
        (cluster(node(8, "RUNNING"), status="Degraded"), 8),
        (cluster(node(8, "RUNNING"), status="Deleting"), 8),
        (cluster(node(8, "RUNNING"), status="NeverHeardOf"), 8),
    ],
    ids=[
        "live nodes", "one starting", "one failed", "paused node", "one gone", "without phases", "unknown words",
        "beyond the reserved", "all reserved", "more reserved than live", "capacity pool", "credit used up", "paused",
        "degraded", "until it is deleted", "unknown state",
    ],
)  # fmt: skip
def test_a_cluster_bills_the_live_gpus_that_are_not_prepaid(reading: ResourceReading, units: int):
    assert reading.units == units


def test_phases_of_a_cluster_are_told_in_the_words_of_its_status():
    reading = cluster(
        phase_transitions=[
            {"phase": "CLUSTER_PHASE_INSTALLING_DRIVERS", "transition_time": "2026-11-20T08:00:00Z"},
            {"phase": "CLUSTER_PHASE_READY", "transition_time": "2026-11-20T08:20:00Z"},
            {"phase": "CLUSTER_PHASE_READY", "transition_time": None},
        ]
    )

    assert [phase.state for phase in reading.phases] == ["InstallingDrivers", "Ready"]
    assert reading.state_began_at == reading.phases[1].at


@pytest.mark.parametrize(
    ("status", "units"),
    [("bound", 4), ("available", 4), ("deleting", 4), ("access_revoked", 4), ("unknown", 4), ("provisioning", 0),
     ("scheduled", 0), ("failed", 0)],
)  # fmt: skip
def test_a_volume_bills_while_it_exists_attached_or_not(status: str, units: int):
    reading = read("volume", volume_name="v", size_tib=4, status=status)

    assert (reading.units, reading.size_bytes) == (units, 4 * 2**40)


@pytest.mark.parametrize(
    ("body", "units"),
    [
        ({"status": "Ready", "ready_replicas": 3, "gpu_count": 2}, 6),
        ({"status": "ScaledToZero", "ready_replicas": 0, "desired_replicas": 0, "gpu_count": 2}, 0),
        ({"status": "Scaling", "ready_replicas": 1, "desired_replicas": 4, "gpu_count": 1}, 1),
        ({"status": "Ready", "desired_replicas": 2, "gpu_count": 1}, 2),
        ({"status": "ScaledToZero", "min_replicas": 1, "gpu_count": 1}, 0),
        ({"status": "Failed", "ready_replicas": 0, "gpu_count": 8}, 0),
    ],
    ids=["ready", "scaled to zero", "scaling", "not told: as wished", "not told, at rest", "failed"],
)
def test_a_container_bills_the_gpus_of_its_ready_replicas(body: dict[str, Any], units: int):
    assert read("container", name="c", **body).units == units


@pytest.mark.parametrize(
    ("state", "units"),
    [("READY", 1), ("STOPPED", 0), ("CREATING", 0), ("ERROR", 0), ("STOPPING", 0), ("HIBERNATING", 1)],
)
def test_rl_resources_bill_while_ready_and_while_nobody_knows(state: str, units: int):
    reading = read("rl-resource", base_model="Qwen/Qwen3-8B", status=f"MODEL_RESOURCES_STATUS_{state}")

    assert reading.units == units
    assert reading.sku.startswith("rl/Qwen/Qwen3-8B/")


def test_a_running_fine_tune_started_with_its_stage_and_an_ended_one_ended_with_it():
    running = read("fine-tune", status="running", started_at="2026-11-20T08:00:00Z")
    done = read("fine-tune", status="completed", started_at="2026-11-20T09:00:00Z")

    assert (running.started_at is None, running.finished_at) == (False, None)
    assert (done.started_at, done.finished_at is None, done.progress) == (None, False, 1.0)


@pytest.mark.parametrize(
    ("body", "progress"),
    [
        ({"status": "running", "n_epochs": 4, "epochs_completed": 1}, 0.25),
        (
            {
                "status": "running",
                "n_epochs": 4,
                "epochs_completed": 1,
                "total_steps": 100,
                "steps_completed": 40,
            },
            0.4,
        ),
        ({"status": "running", "total_steps": 100, "steps_completed": 140}, 1.0),
        ({"status": "running"}, None),
        ({"status": "queued", "n_epochs": 0, "epochs_completed": 0}, None),
    ],
)
def test_progress_is_what_is_told_and_none_when_nothing_is(body: dict[str, Any], progress: float | None):
    assert read("fine-tune", **body).progress == progress


def test_an_evaluation_is_named_by_the_model_it_judges_and_never_by_a_column():
    block = {"model": "openai/gpt-oss-20b", "model_source": "serverless"}

    judged = read("evaluation", type="score", parameters={"model_to_evaluate": block})
    given = read("evaluation", type="compare", parameters={"model_a": "answer_a", "model_b": "answer_b"})

    assert (judged.name, judged.model) == ("score openai/gpt-oss-20b", "openai/gpt-oss-20b")
    assert (given.name, given.model) == ("compare given answers", "")


def test_a_job_names_its_files_and_its_model():
    reading = read(
        "fine-tune",
        model="Qwen/Qwen3-8B",
        training_file="file-1",
        validation_file=None,
        model_output_name="acme/Qwen3-8B-x",
        model_object_id="ml_1",
    )

    assert reading.links == {
        ("input", "file-1"), ("base", "Qwen/Qwen3-8B"), ("model", "acme/Qwen3-8B-x"), ("model", "ml_1"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "state"),
    [({"processing_status": "FAILED"}, "FAILED"), ({"Processed": True}, "processed"), ({"Processed": False}, "pending"),
     ({}, "")],
)  # fmt: skip
def test_a_file_has_the_newer_word_for_its_state_else_the_older(body: dict[str, Any], state: str):
    assert read("file", filename="a.jsonl", **body).state == state
