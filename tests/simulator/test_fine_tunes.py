import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.jobs import course as courses
from simulator.jobs.course import plan_course
from simulator.jobs.curves import Curve
from simulator.jobs.rates import rate_per_million
from simulator.jobs.trainable import trainable_models
from tests.simulator.sim import Sim
from tests.simulator.test_files import GOOD, upload

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
LARGE = "meta-llama/Llama-3.3-70B-Instruct-Reference"
NANO = 1_000_000_000
DATA = GOOD * 10_000  # 2.8 MB, about 700,000 tokens


@pytest.fixture
def trained_on(sim) -> str:
    """Return the id of a validated training file."""
    file_id = upload(sim, DATA)["id"]
    sim.advance(120)
    return file_id


def create(sim: Sim, training_file: str, **fields) -> str:
    body = {"training_file": training_file, "model": MODEL, "n_epochs": 3, **fields}
    return sim.send("POST", "/v1/fine-tunes", body)["id"]


def read(sim: Sim, job_id: str):
    return sim.get(f"/v1/fine-tunes/{job_id}")


def wait_until(sim: Sim, job_id: str, status: str, step: float = 20):
    for _ in range(2_000):
        job = read(sim, job_id)
        if job["status"] == status:
            return job
        sim.advance(step)
    raise AssertionError(f"it never became {status}")


def kinds(job) -> list[str]:
    return [event["type"] for event in job["events"]]


def bill_of(sim: Sim, job_id: str) -> list[dict]:
    """Return the lines of a job on the bill, once its day is over."""
    sim.advance(86_400)
    windows = sim.get("/v1/billing/usage?limit=1000")["data"]
    lines = [line for window in windows for line in window["line_items"]]
    return [line for line in lines if line["attributes"].get("fine_tune_id") == job_id]


def test_a_job_goes_through_its_states_in_order(sim, trained_on):
    job_id = create(sim, trained_on, n_checkpoints=3, suffix="mine")
    seen = []
    for _ in range(400):
        job = read(sim, job_id)
        if job["status"] not in seen[-1:]:
            seen.append(job["status"])
        sim.advance(10)

    assert seen == ["pending", "queued", "running", "compressing", "uploading", "completed"]
    assert kinds(job)[0] == "job_pending"
    assert kinds(job)[-1] == "job_complete"
    assert kinds(job).count("checkpoint_save") == kinds(job).count("epoch_complete") == 3
    assert [event["created_at"] for event in job["events"]] == sorted(
        event["created_at"] for event in job["events"]
    )
    assert job["events"] == sim.get(f"/v1/fine-tunes/{job_id}/events")["data"]


def test_progress_grows_and_the_price_is_known_from_the_start(sim, trained_on):
    job_id = create(sim, trained_on)
    queued = wait_until(sim, job_id, "queued")
    running = wait_until(sim, job_id, "running")

    assert queued["queue_depth"] > 0
    assert "started_at" not in queued
    assert running["progress"] == {"estimate_available": False, "seconds_remaining": 0}
    sim.advance(270)
    training = read(sim, job_id)
    assert training["progress"]["estimate_available"] is True
    remaining = training["progress"]["seconds_remaining"]
    assert 0 < training["steps_completed"] < training["total_steps"]
    sim.advance(remaining - 1)
    assert read(sim, job_id)["status"] == "running"
    sim.advance(2)
    done = read(sim, job_id)
    assert done["status"] == "compressing"
    assert done["token_count"] == 3 * len(DATA) // 4
    assert training["total_price"] == done["total_price"] == 4 * NANO  # the minimum


def test_speed_shortens_a_job_and_not_its_price(trained_on, sim):
    with Sim(speed=60) as fast:
        file_id = upload(fast, DATA)["id"]
        fast.advance(5)
        job_id = create(fast, file_id)
        fast.advance(60)
        quick = read(fast, job_id)
    slow_id = create(sim, trained_on)
    sim.advance(3_600)
    slow = read(sim, slow_id)

    assert quick["status"] == slow["status"] == "completed"
    assert quick["total_price"] == slow["total_price"]
    assert quick["token_count"] == slow["token_count"]


@pytest.mark.parametrize(
    ("billions", "is_full", "is_dpo", "dollars"),
    [
        (8, False, False, "0.48"),
        (16, True, True, "1.35"),
        (32, False, False, "1.5"),
        (70, True, False, "3.2"),
    ],
)
def test_the_price_follows_size_type_and_method(billions, is_full, is_dpo, dollars):
    assert float(rate_per_million(billions=billions, is_full=is_full, is_dpo=is_dpo)) == float(dollars)


def test_a_finished_job_is_billed_for_its_tokens_once(sim, trained_on):
    job_id = create(sim, trained_on, model=LARGE, n_epochs=4)
    done = wait_until(sim, job_id, "completed", 300)

    lines = bill_of(sim, job_id)

    assert len(lines) == 1
    assert float(lines[0]["quantity"]) * 1_000_000 == done["token_count"]
    assert lines[0]["unit_price"] == "2.9"
    assert round(float(lines[0]["cost"]) * NANO) == done["total_price"]


def test_the_minimum_is_a_line_of_its_own(sim, trained_on):
    job_id = create(sim, trained_on, n_epochs=1)
    wait_until(sim, job_id, "completed", 60)

    lines = bill_of(sim, job_id)

    assert [line["product_name"] for line in lines] == ["Fine-tuning", "Fine-tuning - Minimum Charge"]
    assert sum(float(line["cost"]) for line in lines) == pytest.approx(4)


def test_a_cancelled_job_pays_for_completed_steps(sim, trained_on):
    job_id = create(sim, trained_on, model=LARGE, n_epochs=4)
    wait_until(sim, job_id, "running")
    whole = read(sim, job_id)["total_price"]
    sim.advance(900)

    answer = sim.send("POST", f"/v1/fine-tunes/{job_id}/cancel")

    assert answer["status"] == "cancel_requested"
    assert answer["events"] == []
    sim.advance(120)
    job = read(sim, job_id)
    assert job["status"] == "cancelled"
    assert kinds(job)[-2:] == ["cancel_requested", "job_stopped"]
    assert "training_complete" not in kinds(job)
    assert 0 < job["steps_completed"] < job["total_steps"]
    assert 4 * NANO <= job["total_price"] < whole
    assert round(sum(float(line["cost"]) for line in bill_of(sim, job_id)) * NANO) == job["total_price"]


def test_a_job_cancelled_before_it_ran_costs_nothing(sim, trained_on):
    job_id = create(sim, trained_on)
    sim.advance(60)
    sim.send("POST", f"/v1/fine-tunes/{job_id}/cancel")
    sim.advance(120)

    assert read(sim, job_id)["total_price"] == 0
    assert bill_of(sim, job_id) == []


def test_what_has_ended_cannot_be_cancelled_and_what_works_cannot_be_deleted(sim, trained_on):
    job_id = create(sim, trained_on)
    sim.send("DELETE", f"/v1/fine-tunes/{job_id}", status=400)
    wait_until(sim, job_id, "completed", 60)

    sim.send("POST", f"/v1/fine-tunes/{job_id}/cancel", status=400)

    assert "deleted" in sim.send("DELETE", f"/v1/fine-tunes/{job_id}")["message"]
    sim.get(f"/v1/fine-tunes/{job_id}", status=404)
    assert sim.get("/v1/fine-tunes")["data"] == []
    assert bill_of(sim, job_id)


@pytest.mark.parametrize(
    ("fault", "after", "price"),
    [
        ("stop_ignored", "running", None),
        ("stop_endless", "cancel_requested", None),
        ("stop_fails", "error", 0),
    ],
)
def test_a_cancel_can_go_wrong(sim, trained_on, fault, after, price):
    job_id = create(sim, trained_on, model=LARGE, n_epochs=10)
    wait_until(sim, job_id, "running")
    sim.admin("POST", "/faults", {"kind": fault, "times": 1})

    sim.send("POST", f"/v1/fine-tunes/{job_id}/cancel")
    sim.advance(400)

    job = read(sim, job_id)
    assert job["status"] == after
    assert price is None or job["total_price"] == price


def test_an_error_is_refunded(sim, trained_on):
    job_id = create(sim, trained_on)
    wait_until(sim, job_id, "running")
    sim.advance(300)

    sim.admin("POST", f"/jobs/{job_id}/state", {"state": "error", "message": "Node lost"})
    sim.advance(300)

    job = read(sim, job_id)
    assert job["status"] == "error"
    assert kinds(job)[-2:] == ["job_error", "refund"]
    assert job["total_price"] == 0
    assert bill_of(sim, job_id) == []


def test_a_lost_node_restarts_from_the_last_checkpoint(sim, trained_on):
    job_id = create(sim, trained_on, model=LARGE, n_epochs=4, n_checkpoints=4)
    wait_until(sim, job_id, "running")
    plan = sim.admin("GET", f"/jobs/{job_id}")
    while read(sim, job_id)["steps_completed"] < plan["total_steps"] * 0.4:
        sim.advance(60)
    before = read(sim, job_id)["steps_completed"]

    sim.admin("POST", f"/jobs/{job_id}/restart")

    job = read(sim, job_id)
    assert job["status"] == "running"
    assert "job_restarted" in kinds(job)
    sim.advance(400)
    assert read(sim, job_id)["steps_completed"] < before
    done = wait_until(sim, job_id, "completed", 300)
    assert done["total_price"] == job["total_price"]
    steps = [row["train/global_step"] for row in sim.get(f"/v1/fine-tunes/{job_id}/metrics")["metrics"]]
    assert steps == sorted(set(steps))


def test_a_job_beyond_the_credit_is_stopped_by_the_billing_limit(sim, trained_on):
    sim.admin("PATCH", "/jobs", {"user_limit": 5})
    job_id = create(sim, trained_on, model=LARGE, n_epochs=4)
    estimate = {"training_file": trained_on, "model": LARGE, "n_epochs": 4}

    assert sim.send("POST", "/v1/fine-tunes/estimate-price", estimate)["allowed_to_proceed"] is False
    job = wait_until(sim, job_id, "cancelled", 120)
    assert "billing_limit" in kinds(job)
    assert job["total_price"] == pytest.approx(5 * NANO, rel=0.05)


def test_the_finished_model_can_be_deployed(sim, trained_on):
    job_id = create(sim, trained_on, suffix="deployable")
    job = wait_until(sim, job_id, "completed", 60)
    path = f"/v2/projects/{sim.project.project_id}/models"

    names = {model["name"]: model["id"] for model in sim.get(path)["data"]}

    assert names[job["model_output_name"]] == job["model_object_id"]
    assert job["adapter_object_id"] in names.values()
    assert job["model_object_name"].startswith("fernhill-support/")
    configs = sim.get(f"/v2/projects/proj_together/configs?referenceModel={job['model_object_id']}")["data"]
    body = {
        "name": "main",
        "model": f"projects/{sim.project.project_id}/models/{job['model_object_id']}",
        "config": f"projects/proj_together/configs/{configs[0]['id']}",
        "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
    }
    sim.send("POST", f"{sim.base}/{sim.create_endpoint()}/deployments", body)


def test_a_model_is_not_there_before_the_job_is_completed(sim, trained_on):
    job_id = create(sim, trained_on)
    job = wait_until(sim, job_id, "uploading", 20)

    assert "model_object_id" not in job
    assert sim.get(f"/v2/projects/{sim.project.project_id}/models")["data"] == []


def test_early_stopping_keeps_the_best_evaluation(demo):
    job = next(job for job in demo.get("/v1/fine-tunes")["data"] if job["suffix"] == "rerank")
    full = read(demo, job["id"])
    rows = demo.get(f"/v1/fine-tunes/{job['id']}/metrics")["metrics"]
    losses = {row["train/global_step"]: row["eval/loss"] for row in rows if "eval/loss" in row}

    assert job["early_stopped"] is True
    assert full["steps_completed"] < full["total_steps"]
    assert "early_stopped" in kinds(full)
    assert (
        losses[job["early_stopping_best_step"]] == min(losses.values()) == job["early_stopping_best_metric"]
    )


def test_metrics_can_be_narrowed(sim, trained_on):
    job_id = create(sim, trained_on, validation_file=trained_on, n_evals=4, model=LARGE)
    wait_until(sim, job_id, "completed", 300)
    path = f"/v1/fine-tunes/{job_id}/metrics"
    rows = sim.get(path)["metrics"]
    train = [row for row in rows if "train/loss" in row]

    thin = sim.get(f"{path}?resolution=5")["metrics"]
    part = sim.get(f"{path}?global_step_from=3&global_step_to=6")["metrics"]
    middle = train[len(train) // 2]

    assert len([row for row in rows if "eval/loss" in row]) == 4
    assert len([row for row in thin if "train/loss" in row]) == 5
    assert len([row for row in thin if "eval/loss" in row]) == 4
    assert {row["train/global_step"] for row in part} == {3, 4, 5, 6}
    assert train[0]["train/loss"] > 1.5 * train[-1]["train/loss"]
    assert middle["train/learning_rate"] < train[0]["train/learning_rate"]
    late = sim.get(f"{path}?logged_at_from=2099-01-01T00:00:00Z")["metrics"]
    assert late == []
    sim.get(f"{path}?resolution=0", status=400)
    sim.get(f"{path}?logged_at_from=yesterday", status=400)


def test_checkpoints_and_downloads(sim, trained_on):
    job_id = create(sim, trained_on, n_checkpoints=3)
    sim.get(f"/v1/finetune/download?ft_id={job_id}", status=400)
    wait_until(sim, job_id, "completed", 60)
    checkpoints = sim.get(f"/v1/fine-tunes/{job_id}/checkpoints")["data"]

    assert [item["checkpoint_type"].split(" (")[0] for item in checkpoints] == [
        "Final Adapter", "Final Merged", "Intermediate", "Intermediate",
    ]  # fmt: skip
    for query in ("checkpoint=merged", "checkpoint=adapter", f"checkpoint_step={checkpoints[-1]['step']}"):
        raw = sim.ask("GET", f"/v1/finetune/download?ft_id={job_id}&{query}").content
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as archive:
            assert archive.getnames()[0].endswith("config.json")
    sim.get(f"/v1/finetune/download?ft_id={job_id}&checkpoint_step=1", status=404)
    data = sim.get(f"/v1/fine-tunes/{job_id}/download-tokenized-dataset")
    assert len(sim.ask("GET", data["url"], key=None).content) == data["size"]


def test_a_job_can_go_on_from_a_checkpoint_and_from_another_hub(sim, trained_on):
    parent = create(sim, trained_on, training_type={"type": "Full"})
    body = {"training_file": trained_on, "from_checkpoint": f"{parent}:3"}
    child = sim.send("POST", "/v1/fine-tunes", body)
    own = read(sim, create(sim, trained_on, from_hf_model="fernhill/base", hf_model_revision="main"))

    assert child["from_checkpoint"] == f"{parent}:3"
    assert child["model"] == MODEL
    assert child["training_type"] == {"type": "Full"}
    assert (own["from_hf_model"], own["hf_model_revision"]) == ("fernhill/base", "main")
    sim.send("POST", "/v1/fine-tunes", {**body, "from_checkpoint": "ft-unknown"}, status=400)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "nobody/nothing"}, "model"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"n_epochs": 21}, "n_epochs"),
        ({"batch_size": 4_096}, "batch_size"),
        ({"training_type": {"type": "Sparse"}}, "training_type"),
        ({"training_type": {"type": "Lora", "lora_r": 0}}, "training_type"),
        ({"training_type": {"type": "Full"}, "model": "openai/gpt-oss-20b"}, "training_type"),
        ({"training_method": {"method": "grpo"}}, "training_method"),
        ({"suffix": "x" * 41}, "suffix"),
        ({"early_stopping_enabled": True}, "validation_file"),
        ({"max_seq_length": 100}, "max_seq_length"),
    ],
)
def test_a_wrong_request_names_the_field(sim, trained_on, fields, param):
    body = {"training_file": trained_on, "model": MODEL, **fields}

    answer = sim.send("POST", "/v1/fine-tunes", body, status=400)

    assert answer["error"]["param"] == param
    assert sim.get("/v1/fine-tunes")["data"] == []


def test_tokens_of_other_services_are_not_repeated(sim, trained_on):
    job_id = create(
        sim, trained_on, wandb_api_key="wb-secret", hf_api_token="hf-secret", wandb_project_name="p"
    )

    text = sim.ask("GET", f"/v1/fine-tunes/{job_id}").text + sim.ask("GET", "/v1/fine-tunes").text

    assert "secret" not in text


def test_price_estimates(sim, trained_on):
    path = "/v1/fine-tunes/estimate-price"
    body = {
        "training_file": trained_on,
        "model": LARGE,
        "n_epochs": 4,
        "n_evals": 2,
        "validation_file": trained_on,
    }
    tokens = len(DATA) // 4

    answer = sim.send("POST", path, body)

    assert answer["estimation_available"] is True
    assert answer["estimated_train_token_count"] == 4 * tokens
    assert answer["estimated_eval_token_count"] == 2 * tokens
    assert answer["estimated_total_price"] == pytest.approx(6 * tokens * 2.9 / 1e6)
    job = read(sim, create(sim, trained_on, **{k: v for k, v in body.items() if k != "training_file"}))
    assert job["total_price"] == pytest.approx(answer["estimated_total_price"] * NANO)
    dpo = sim.send(
        "POST", path, {**body, "training_method": {"method": "dpo"}, "training_type": {"type": "Full"}}
    )
    assert dpo["estimated_total_price"] == pytest.approx(6 * tokens * 8 / 1e6)


def test_why_a_price_cannot_be_estimated(sim, trained_on):
    fresh = upload(sim)["id"]
    bad = upload(sim, b"nonsense\n")["id"]
    images = upload(sim, b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}\n')["id"]
    path = "/v1/fine-tunes/estimate-price"

    def reason(**fields):
        return sim.send("POST", path, {"model": MODEL, **fields})["unavailable_reason"]

    assert reason(training_file=fresh) == "train_file_not_validated"
    assert reason(training_file=trained_on, validation_file=fresh) == "eval_file_not_validated"
    sim.advance(120)
    assert reason(training_file=bad) == "train_file_invalid"
    assert reason(training_file=trained_on, validation_file=bad) == "eval_file_invalid"
    assert reason(training_file=images) == "multimodal_dataset"
    sim.send("POST", path, {"model": MODEL, "training_file": "file-unknown"}, status=404)


def test_a_job_on_an_invalid_file_ends_in_error(sim):
    bad = upload(sim, b"nonsense\n")["id"]
    sim.advance(60)
    job_id = create(sim, bad)
    sim.advance(200)

    job = read(sim, job_id)

    assert (job["status"], job["total_price"]) == ("error", 0)
    assert kinds(job) == ["job_pending", "job_error", "refund"]


def test_without_packing_a_line_takes_a_whole_sequence(sim, trained_on):
    job = read(sim, create(sim, trained_on, packing=False, max_seq_length=1_024, n_epochs=1))
    body = {"training_file": trained_on, "model": MODEL}

    assert job["trainingfile_numlines"] == 30_000
    assert job["total_price"] == round(30_000 * 1_024 * 0.48 / 1e6 * NANO)
    assert (
        sim.send("POST", "/v1/fine-tunes/estimate-price", body)["estimated_train_token_count"]
        == len(DATA) // 4
    )


def test_models_and_limits(sim):
    models = sim.get("/v1/fine-tunes/models/supported")["models"]
    limits = sim.get(f"/v1/fine-tunes/models/limits?model_name={MODEL}")

    assert set(models) == set(trainable_models())
    assert len(models) > 80
    assert limits["supports_full_training"] is True
    assert limits["full_training"]["max_batch_size"] == limits["lora_training"]["max_batch_size"] == 8
    lora_only = sim.get("/v1/fine-tunes/models/limits?model_name=openai/gpt-oss-120b")
    assert "full_training" not in lora_only
    sim.get("/v1/fine-tunes/models/limits?model_name=nobody", status=404)


def test_a_preview_masks_what_is_asked(sim, trained_on):
    row = sim.send(
        "POST", "/v1/fine-tunes/preview", {"training_file": trained_on, "model": MODEL, "top_k": 1}
    )["rows"][0]

    assert row["tokens"] == ["Hi", "Hello"]
    assert row["labels"][0] == -100 != row["labels"][1]
    assert row["trained_spans"] == [[1, 2]]


def test_another_organisation_sees_no_job(sim, trained_on):
    job_id = create(sim, trained_on)
    sim.admin("POST", "/keys", {"key": "abroad", "project": "thornfield-lab"})

    assert sim.get("/v1/fine-tunes", key="abroad")["data"] == []
    sim.get(f"/v1/fine-tunes/{job_id}", key="abroad", status=404)
    sim.send("POST", f"/v1/fine-tunes/{job_id}/cancel", key="abroad", status=404)


def test_forced_states(sim, trained_on):
    job_id = create(sim, trained_on)
    sim.admin("POST", f"/jobs/{job_id}/state", {"state": "running"})
    sim.advance(60)
    assert read(sim, job_id)["steps_completed"] > 0
    sim.admin("POST", f"/jobs/{job_id}/state", {"state": "completed"})

    job = read(sim, job_id)

    assert job["status"] == "completed"
    assert job["steps_completed"] == job["total_steps"]
    assert job["model_object_id"]
    sim.admin("POST", f"/jobs/{job_id}/state", {"state": "sideways"}, status=400)
    sim.admin("POST", f"/jobs/{job_id}/restart", status=400)
    sim.admin("DELETE", f"/jobs/{job_id}")
    sim.get(f"/v1/fine-tunes/{job_id}", status=404)
    sim.admin("GET", f"/jobs/{job_id}", status=404)


STEPS = st.integers(1, 400)


@given(total=STEPS, step_ms=st.integers(1, 60_000), cut=st.floats(0, 1), probe=st.floats(0, 1.2))
def test_a_cut_course_does_no_step_after_the_cut(total, step_ms, cut, probe):
    course = plan_course(0, total_steps=total, step_ms=step_ms)
    cut_ms = round(course.end_ms * cut)
    at_ms = round(course.end_ms * probe)

    ended = courses.cancel(course, cut_ms)

    assert ended.steps_done(at_ms) == course.steps_done(min(at_ms, cut_ms))
    assert [step.at_ms for step in ended.statuses] == sorted(step.at_ms for step in ended.statuses)
    assert ended.outcome == "cancelled"


@given(total=STEPS, step_ms=st.integers(1_000, 60_000), share=st.floats(0.05, 0.95))
def test_a_restarted_course_still_does_every_step(total, step_ms, share):
    course = plan_course(0, total_steps=total, step_ms=step_ms)
    leg = course.legs[0]
    at_ms = round(leg.start_ms + (leg.end_ms - leg.start_ms) * share)

    again = courses.restart(course, at_ms, from_step=0, total_steps=total, step_ms=step_ms)

    assert again.steps_done(again.end_ms) == total
    assert again.outcome == "completed"
    assert all(again.when(step) is not None for step in range(1, total + 1))


@given(step=st.integers(1, 1_000), ratio=st.floats(0, 0.3), schedule=st.sampled_from(["linear", "cosine"]))
def test_curves_stay_in_their_bounds(step, ratio, schedule):
    curve = Curve("seed", 1_000, 250, 2e-5, ratio, schedule, 0.1, 0.5, is_dpo=False)

    assert 0 <= curve.learning_rate(step) <= 2e-5 * (1 + 1e-9)
    assert 0.1 < curve.train_loss(step) < 3
    assert 0.1 < curve.eval_loss(step) < 4
    assert curve.train_loss(step) != Curve(
        "other", 1_000, 250, 2e-5, ratio, schedule, 0.1, 0.5, False
    ).train_loss(step)
