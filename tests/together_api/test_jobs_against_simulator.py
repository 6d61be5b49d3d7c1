"""Files, fine-tunes, batches and evaluations through the client against a running simulator."""

from typing import Any

import httpx
import orjson
import pytest

from dashboard.together_api.client import TogetherClient
from dashboard.together_api.errors import InvalidRequestError
from dashboard.together_api.payloads import BatchStatus, EvaluationStatus, FineTuneStatus
from simulator.testing import SimulatorProcess

HOUR_SECONDS = 3_600
MODEL = "openai/gpt-oss-20b"
LINE = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'


def upload_file(simulator: SimulatorProcess, raw: bytes = LINE * 2_000, *, purpose: str = "fine-tune") -> str:
    answer = httpx.post(
        f"{simulator.url}/v1/files/upload",
        files={"file": ("lines.jsonl", raw)},
        data={"file_name": "lines.jsonl", "purpose": purpose},
        headers={"authorization": "Bearer sim-key"},
        timeout=30,
    )
    answer.raise_for_status()
    simulator.advance(600)
    return str(answer.json()["id"])


def start_fine_tune(simulator: SimulatorProcess, training_file: str, **fields: Any) -> str:
    model = simulator.call("GET", "/v1/fine-tunes/models/supported")["models"][0]
    body = {"training_file": training_file, "model": model, "n_epochs": 2, "n_checkpoints": 2, **fields}
    return str(simulator.call("POST", "/v1/fine-tunes", body)["id"])


def test_a_fine_tune_is_estimated_followed_and_read_in_full(simulator, client: TogetherClient):
    file = client.get_file(upload_file(simulator))
    assert file.validation_report is not None
    assert file.validation_report.nlines == 2_000
    model = simulator.call("GET", "/v1/fine-tunes/models/supported")["models"][0]
    estimate = client.estimate_fine_tune_price(training_file=file.id, model=model, n_epochs=2)
    assert estimate.estimation_available
    assert (estimate.total_nano_dollars or 0) >= 4_000_000_000, "the minimum per job"

    job_id = start_fine_tune(simulator, file.id)
    simulator.advance(24 * HOUR_SECONDS)

    job = client.get_fine_tune(job_id)
    assert job.status == FineTuneStatus.COMPLETED
    assert job.total_price is not None
    assert job.total_price >= 4_000_000_000
    assert [event.type for event in job.events][-1] == "job_complete"
    events = client.list_fine_tune_events(job_id)
    assert events.complete
    assert {event.id for event in events.items} == {event.id for event in job.events}
    assert all(event.created_at for event in events.items)
    checkpoints = client.list_fine_tune_checkpoints(job_id)
    assert checkpoints.complete
    assert checkpoints.items
    assert client.get_fine_tune_metrics(job_id, resolution=5).metrics
    assert job_id in {item.id for item in client.list_fine_tunes().items}


def test_a_running_fine_tune_is_cancelled_and_a_completed_one_is_not(simulator, client: TogetherClient):
    job_id = start_fine_tune(simulator, upload_file(simulator))

    asked = client.cancel_fine_tune(job_id)

    assert asked.status in {FineTuneStatus.CANCEL_REQUESTED, FineTuneStatus.CANCELLED}
    simulator.advance(HOUR_SECONDS)
    assert client.get_fine_tune(job_id).status == FineTuneStatus.CANCELLED
    with pytest.raises(InvalidRequestError):
        client.cancel_fine_tune(job_id)


def start_batch(simulator: SimulatorProcess) -> str:
    requests = [
        {"custom_id": f"r{index}", "body": {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}}
        for index in range(50)
    ]
    raw = b"\n".join(orjson.dumps(request) for request in requests)
    file_id = upload_file(simulator, raw, purpose="batch-api")
    body = {"endpoint": "/v1/chat/completions", "input_file_id": file_id, "model_id": MODEL}
    return str(simulator.call("POST", "/v1/batches", body)["job"]["id"])


def test_a_batch_runs_to_its_end(simulator, client: TogetherClient):
    batch_id = start_batch(simulator)
    assert client.get_batch(batch_id).status == BatchStatus.VALIDATING

    simulator.advance(24 * HOUR_SECONDS)

    batch = client.get_batch(batch_id)
    assert (batch.status, batch.progress, batch.model_id) == (BatchStatus.COMPLETED, 100.0, MODEL)
    assert batch.output_file_id
    assert batch.completed_at is not None
    assert client.get_file(batch.output_file_id).id == batch.output_file_id
    assert batch.raw in client.list_batches().raw_items


def test_a_batch_is_cancelled_once(simulator, client: TogetherClient):
    batch_id = start_batch(simulator)

    assert client.cancel_batch(batch_id).id == batch_id
    simulator.advance(HOUR_SECONDS)

    assert client.get_batch(batch_id).status == BatchStatus.CANCELLED
    with pytest.raises(InvalidRequestError):
        client.cancel_batch(batch_id)


def start_evaluation(simulator: SimulatorProcess) -> str:
    rows = b"\n".join(orjson.dumps({"prompt": f"question {index}"}) for index in range(20))
    judge = {
        "model": MODEL,
        "model_source": "external",
        "system_template": "Grade {{prompt}}",
        "external_api_token": "sk-abcdefghijklmnopqrstu",
    }
    parameters = {
        "judge": judge,
        "input_data_file_path": upload_file(simulator, rows, purpose="eval"),
        "model_to_evaluate": {"model": MODEL, "model_source": "serverless"},
        "min_score": 0.0,
        "max_score": 10.0,
        "pass_threshold": 7.0,
    }
    body = {"type": "score", "parameters": parameters}
    return str(simulator.call("POST", "/v1/evaluation", body)["workflow_id"])


def test_an_evaluation_runs_to_its_scores_and_forgets_the_token_of_its_judge(
    simulator, client: TogetherClient
):
    evaluation_id = start_evaluation(simulator)
    simulator.advance(24 * HOUR_SECONDS)

    evaluation = client.get_evaluation(evaluation_id)

    assert (evaluation.type, evaluation.status) == ("score", EvaluationStatus.COMPLETED)
    assert evaluation.results is not None
    assert evaluation.results.aggregated_scores is not None
    assert 0 <= (evaluation.results.aggregated_scores.mean_score or -1) <= 10
    assert evaluation.results.result_file_id
    assert b"external_api_token" not in orjson.dumps(evaluation.raw)
    assert evaluation_id in {item.id for item in client.list_evaluations().items}


def test_a_short_list_of_evaluations_says_that_there_may_be_more(simulator, client: TogetherClient):
    for _ in range(2):
        start_evaluation(simulator)

    short = client.list_evaluations(limit=1)

    assert (len(short.items), short.complete) == (1, False)
    assert client.list_evaluations().complete
