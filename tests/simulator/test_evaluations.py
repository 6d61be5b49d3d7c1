import orjson
import pytest

from tests.simulator.sim import Sim
from tests.simulator.test_files import upload

JUDGE = {"model": "openai/gpt-oss-120b", "model_source": "serverless", "system_template": "Judge."}
MODEL = {
    "model": "openai/gpt-oss-20b", "model_source": "serverless", "system_template": "Answer.",
    "input_template": "{{prompt}}", "max_tokens": 100, "temperature": 0.1,
}  # fmt: skip
NEEDED = {
    "classify": {"labels": ["good", "bad"], "pass_labels": ["good"]},
    "score": {"min_score": 0, "max_score": 10, "pass_threshold": 6},
    "compare": {"model_a": MODEL, "model_b": "answer"},
}
ROWS = b'{"prompt": "a", "answer": "b"}\n' * 400


def start(sim: Sim, kind: str, *, status: int = 200, **parameters):
    fields = {"judge": dict(JUDGE), **NEEDED[kind], **parameters}
    if "input_data_file_path" not in fields:
        fields["input_data_file_path"] = upload(sim, ROWS, purpose="eval", name="rows.jsonl")["id"]
    return sim.send("POST", "/v1/evaluation", {"type": kind, "parameters": fields}, status=status)


def finish(sim: Sim, kind: str, **parameters):
    evaluation_id = start(sim, kind, **parameters)["workflow_id"]
    sim.advance(600)
    return sim.get(f"/v1/evaluation/{evaluation_id}")


def test_an_evaluation_goes_through_its_states(sim):
    answer = start(sim, "classify")
    assert answer["status"] == "pending"
    seen = []
    for _ in range(60):
        job = sim.get(f"/v1/evaluation/{answer['workflow_id']}")
        if job["status"] not in seen:
            seen.append(job["status"])
        assert (job["results"] is None) is (job["status"] != "completed")
        sim.advance(10)

    assert seen == ["pending", "queued", "running", "completed"]
    assert [update["status"] for update in job["status_updates"]] == seen
    assert job["updated_at"] == job["status_updates"][-1]["timestamp"]


def test_classify_counts_labels_in_a_string(sim):
    results = finish(sim, "classify")["results"]
    counts = orjson.loads(results["label_counts"])

    lost = results["generation_fail_count"] + results["judge_fail_count"] + results["invalid_label_count"]
    assert set(counts) == {"good", "bad"}
    assert sum(counts.values()) + lost == 400
    assert results["pass_percentage"] == pytest.approx(100 * counts["good"] / sum(counts.values()), abs=0.01)


def test_score_aggregates_within_the_bounds(sim):
    results = finish(sim, "score")["results"]
    scores = results["aggregated_scores"]

    assert 0 <= scores["mean_score"] <= 10
    assert 0 < scores["std_score"] < 5
    assert (scores["pass_percentage"] > 50) is (scores["mean_score"] > 6)
    assert results["failed_samples"] == results["generation_fail_count"] + results["judge_fail_count"]


def test_compare_counts_wins_and_ties(sim):
    results = finish(sim, "compare")["results"]
    decided = results["A_wins"] + results["B_wins"] + results["Ties"]

    assert decided + results["generation_fail_count"] + results["judge_fail_count"] == 400


def test_the_results_are_a_file(sim):
    results = finish(sim, "score")["results"]

    stored = sim.get(f"/v1/files/{results['result_file_id']}")

    assert stored["purpose"] == "eval-output"
    assert len(sim.ask("GET", f"/v1/files/{stored['id']}/content").content.splitlines()) == 400


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"input_data_file_path": "file-unknown"}, "not found"),
        ({"judge": {**JUDGE, "model": "nobody/nothing"}}, "not available"),
    ],
)
def test_a_mistake_of_the_user_ends_the_job(sim, parameters, error):
    job = finish(sim, "score", **parameters)

    assert job["status"] == "user_error"
    assert error in job["results"]["error"]


def test_tokens_of_judge_and_models_are_billed(sim):
    job = finish(sim, "compare")
    sim.advance(86_400)
    lines = [line for window in sim.get("/v1/billing/usage")["data"] for line in window["line_items"]]

    mine = [line for line in lines if line["attributes"] == {"evaluation_id": job["workflow_id"]}]
    tokens = {
        (line["pricing_dimensions"]["model"], line["product_name"].split(" - ")[1]): int(line["quantity"])
        for line in mine
    }
    assert tokens == {
        ("openai/gpt-oss-120b", "Input Tokens"): 400 * 620 * 2,  # both orders
        ("openai/gpt-oss-120b", "Output Tokens"): 400 * 90 * 2,
        ("openai/gpt-oss-20b", "Input Tokens"): 400 * 340,
        ("openai/gpt-oss-20b", "Output Tokens"): 400 * 210,
    }


def test_the_list_is_bare_newest_first_and_ten_long(demo):
    ten = demo.get("/v1/evaluation")
    every = demo.get("/v1/evaluation?limit=100")
    done = demo.get("/v1/evaluation?limit=100&status=completed")

    assert ten == every[:10]
    assert [job["created_at"] for job in every] == sorted((job["created_at"] for job in every), reverse=True)
    assert {job["status"] for job in done} == {"completed"}
    assert len(done) < len(every) == 18
    demo.get("/v1/evaluation?status=COMPLETED", status=400)
    demo.get("/v1/evaluation?limit=0", status=400)


def test_the_status_call_tells_status_and_results(demo):
    for job in demo.get("/v1/evaluation?limit=100"):
        answer = demo.get(f"/v1/evaluation/{job['workflow_id']}/status")
        assert (answer["status"], answer.get("results")) == (job["status"], job["results"])


@pytest.mark.parametrize("kind", ["classify", "score", "compare"])
def test_what_a_type_needs(sim, kind):
    for name in ("judge", "input_data_file_path", *NEEDED[kind]):
        assert start(sim, kind, status=400, **{name: None})["error"]["param"] == name
    start(sim, kind, judge={"model": "x"}, status=400)
    sim.send("POST", "/v1/evaluation", {"type": "rank", "parameters": {}}, status=400)
    sim.send("POST", "/v1/evaluation", {"type": kind, "parameters": []}, status=400)
    assert sim.get("/v1/evaluation") == []


def test_tokens_of_other_providers_are_not_repeated(sim):
    judge = {
        **JUDGE,
        "model_source": "external",
        "external_api_token": "secret",
        "external_base_url": "https://x.example",
    }
    job = finish(sim, "score", judge=judge)

    assert job["status"] == "completed"
    assert "secret" not in sim.ask("GET", "/v1/evaluation").text


def test_models_that_may_be_named(demo):
    every = demo.get("/v1/evaluation/model-list")["model_list"]
    dedicated = demo.get("/v1/evaluation/model-list?model_source=dedicated")["model_list"]

    assert "openai/gpt-oss-120b" in every
    assert "fernhill-support/support-triage-70b" in dedicated
    assert set(dedicated) < set(every)


def test_another_organisation_sees_no_evaluation(sim):
    evaluation_id = start(sim, "score")["workflow_id"]
    sim.admin("POST", "/keys", {"key": "abroad", "project": "thornfield-lab"})

    assert sim.get("/v1/evaluation", key="abroad") == []
    sim.get(f"/v1/evaluation/{evaluation_id}", key="abroad", status=404)


def test_forced_states(sim):
    evaluation_id = start(sim, "score")["workflow_id"]
    sim.admin("POST", f"/jobs/{evaluation_id}/state", {"state": "error", "message": "Judge is down"})

    job = sim.get(f"/v1/evaluation/{evaluation_id}")

    assert (job["status"], job["results"]) == ("error", {"error": "Judge is down"})
