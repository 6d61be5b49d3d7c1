"""Every call of the 3.x SDK for jobs, with strict validation of the declared types."""

import itertools
import json

import pytest
from together import BadRequestError, NotFoundError, Together

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
LINE = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
NUMBERS = itertools.count(1)
JUDGE = {"model": "openai/gpt-oss-120b", "model_source": "serverless", "system_template": "Judge."}


@pytest.fixture(scope="module")
def lenient(process):
    """Yield the same client without strict validation: it lets purposes pass that SDK 3.1.1 does not name."""
    with Together(base_url=process.url, api_key="sim-key", max_retries=0) as client:
        yield client


@pytest.fixture
def upload(client, process, tmp_path):
    """Return a function that uploads lines in the way of the SDK and waits for their validation."""

    def send(*lines, purpose="fine-tune"):
        path = tmp_path / f"data-{next(NUMBERS)}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        stored = client.files.upload(path, purpose=purpose, check=False)
        process.advance(5)
        return stored

    return send


@pytest.fixture
def training_file(upload):
    return upload(*[{**LINE, "number": number} for number in range(2_000)]).id


def test_an_upload_is_validated_read_and_deleted(client, upload):
    stored = upload(LINE, LINE)

    read = client.files.retrieve(stored.id)
    assert (stored.processing_status, read.processing_status) == ("QUEUED", "COMPLETED")
    assert read.validation_report.dataset_format == "CONVERSATION"
    assert read.validation_report.nlines == 2
    assert client.files.content(stored.id).read().count(b"\n") == read.validation_report.nlines
    assert client.files.delete(stored.id).deleted is True
    with pytest.raises(NotFoundError):
        client.files.retrieve(stored.id)


def test_the_same_file_twice_is_one_file(client, tmp_path):
    path = tmp_path / "same.jsonl"
    path.write_text(json.dumps(LINE) + "\n")

    first, second = (client.files.upload(path, purpose="fine-tune", check=False) for _ in range(2))

    assert first.id == second.id


def test_files_of_every_purpose_are_listed(client, lenient):
    files = lenient.files.list().data

    assert {stored.purpose for stored in files} >= {
        "fine-tune",
        "batch-api",
        "eval",
        "eval-output",
        "batch-generated",
    }
    for stored in files:
        if stored.purpose in {"fine-tune", "batch-api", "eval"}:
            assert client.files.retrieve(stored.id).filename == stored.filename


def test_fine_tunes_in_every_state_parse(client):
    jobs = client.fine_tuning.list().data

    assert {job.status for job in jobs} >= {"completed", "running", "cancelled", "error"}
    for job in jobs:
        full = client.fine_tuning.retrieve(job.id)
        assert full.events == client.fine_tuning.list_events(job.id).data
        checkpoints = client.fine_tuning.list_checkpoints(job.id).data
        assert bool(checkpoints) or job.status != "completed"
        assert client.fine_tuning.list_metrics(job.id, resolution=10).metrics is not None


def test_a_fine_tune_from_creation_to_its_model(client, process, training_file):
    created = client.fine_tuning.create(
        training_file=training_file, model=MODEL, n_epochs=2, n_checkpoints=2, lora=True, suffix="sdk"
    )
    assert created.status == "pending"
    process.advance(60)
    job = client.fine_tuning.retrieve(created.id)

    assert job.status == "completed"
    assert job.total_price == 4_000_000_000
    model = client.models.retrieve(job.api_model_object_id)
    assert model.name == job.x_model_output_name
    assert client.fine_tuning.content(ft_id=job.id, checkpoint="merged").read()[:2] == b"\x1f\x8b"
    assert client.fine_tuning.retrieve_tokenized_dataset(job.id).size > 0
    with pytest.raises(BadRequestError):
        client.fine_tuning.cancel(job.id)
    assert client.fine_tuning.delete(job.id).message


def test_a_fine_tune_is_cancelled(client, process, training_file):
    created = client.fine_tuning.create(training_file=training_file, model=MODEL, n_epochs=20, lora=True)
    process.advance(9)

    assert client.fine_tuning.cancel(created.id).status == "cancel_requested"
    process.advance(5)
    assert client.fine_tuning.retrieve(created.id).status == "cancelled"


def test_prices_limits_and_previews(client, training_file):
    estimate = client.fine_tuning.estimate_price(training_file=training_file, model=MODEL, n_epochs=3)
    limits = client.fine_tuning.model_limits(model_name=MODEL)
    preview = client.fine_tuning.preview(training_file=training_file, model=MODEL, top_k=2)

    assert estimate.estimation_available is True
    assert estimate.estimated_total_price == 4.0
    assert limits.lora_training.max_rank == 64
    assert [row.num_tokens for row in preview.rows] == [2, 2]


def test_an_estimate_on_a_new_file_is_not_available(client, tmp_path):
    path = tmp_path / "fresh.jsonl"
    path.write_text(json.dumps({**LINE, "fresh": True}) + "\n")
    stored = client.files.upload(path, purpose="fine-tune", check=False)

    estimate = client.fine_tuning.estimate_price(training_file=stored.id, model=MODEL)

    assert (estimate.estimation_available, estimate.unavailable_reason) == (False, "train_file_not_validated")


def test_batches(client, process, upload):
    listed = client.batches.list()
    assert {job.status for job in listed} >= {"COMPLETED", "FAILED", "EXPIRED", "CANCELLED"}
    for job in listed:
        assert client.batches.retrieve(job.id) == job
    lines = [{"custom_id": str(n), "body": {"model": "openai/gpt-oss-20b"}} for n in range(2_000)]
    stored = upload(*lines, purpose="batch-api")

    created = client.batches.create(endpoint="/v1/chat/completions", input_file_id=stored.id).job
    process.advance(3)
    cancelled = client.batches.cancel(created.id)

    assert (created.status, cancelled.status) == ("VALIDATING", "CANCELLED")
    assert 0 < cancelled.progress < 100
    with pytest.raises(NotFoundError, match="not found"):
        client.batches.retrieve("unknown")


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        ("classify", {"labels": ["a", "b"], "pass_labels": ["a"]}, "label_counts"),
        ("score", {"min_score": 0, "max_score": 5, "pass_threshold": 3}, "aggregated_scores"),
        ("compare", {"model_a": "one", "model_b": "two"}, "a_wins"),
    ],
)
def test_evaluations(client, process, upload, kind, parameters, field):
    stored = upload(*[{"prompt": "a"}] * 50, purpose="eval")

    created = client.evals.create(
        type=kind, parameters={"input_data_file_path": stored.id, "judge": JUDGE, **parameters}
    )
    process.advance(30)

    job = client.evals.retrieve(created.workflow_id)
    status = client.evals.status(created.workflow_id)
    assert (job.status, status.status) == ("completed", "completed")
    assert getattr(job.results, field, None) is not None
    assert len(client.evals.list()) == 10
    assert {each.status for each in client.evals.list(limit=50, status="error")} == {"error"}
