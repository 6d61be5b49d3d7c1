"""The page of one job, kind by kind: what the provider told is shown, what it did not tell is said to be missing."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.test import Client

from dashboard.mirror.models import Resource, ResourceKind
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


def read(client: Client, resource: Resource, **headers: str) -> str:
    response = client.get(f"/jobs/{resource.kind}/{resource.pk}/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    """Return the text of a page, without tags and with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture
def tuned(desk: Desk) -> Resource:
    file = desk.resource(ResourceKind.FILE, "train.jsonl", remote_id="file-1", size_bytes=3 * 2**20)
    model = desk.resource(ResourceKind.MODEL, "acme/tuned-1", remote_id="ml_1")
    job = desk.resource(
        ResourceKind.FINE_TUNE, "acme/tuned-1", state="completed", model="Qwen/Qwen3.5-9B", progress=1.0,
        total_nano_usd=6_710_000_000, tokens=1_850_000, variety="LoRA SFT",
        remote_created_at=NOW - timedelta(hours=3), started_at=NOW - timedelta(hours=2), finished_at=NOW,
        links={"input": file.remote_id, "base": "Qwen/Qwen3.5-9B", "model": model.remote_id},
        payload={"learning_rate": 1e-5, "n_epochs": 3, "wandb_url": "https://wandb.ai/acme/runs/1"},
    )  # fmt: skip
    for event, minutes in (
        ("job_pending", 180), ("job_start", 120), ("model_downloading", 119), ("training_start", 115),
        ("checkpoint_save", 60), ("training_complete", 20), ("model_compressing", 20),
        ("model_compression_complete", 15), ("model_uploading", 15), ("model_upload_complete", 5), ("job_complete", 1),
    ):  # fmt: skip
        factories.make_resource_event(job, event, at=NOW - timedelta(minutes=minutes))
    factories.make_resource_document(
        job,
        "body",
        {"steps_completed": 300, "total_steps": 300, "epochs_completed": 3, "param_count": 9_653_104_368},
    )
    factories.make_resource_document(
        job, "metrics",
        {"metrics": [
            {"train/global_step": 1.0, "train/loss": 2.5, "train/learning_rate": 1e-5},
            {"train/global_step": 2.0, "train/loss": 1.75},
            {"train/global_step": 2.0, "eval/loss": 1.9},
        ]},
    )  # fmt: skip
    factories.make_resource_document(
        job, "checkpoints",
        {"data": [{"step": 150, "checkpoint_type": "Intermediate", "object_id": "ml_150", "path": "s3://x"}]},
    )  # fmt: skip
    return job


def test_a_fine_tune_tells_price_tokens_epochs_and_steps(tuned: Resource, viewer_client: Client):
    text = words(read(viewer_client, tuned))

    assert "$6.71" in text
    assert "the provider's own total" in text
    assert "1.9 M" in text
    assert "9.7 B parameters" in text
    assert "3 of 3 step 300 of 300" in text
    assert "took 3 h 00 min" in text


def test_the_stages_follow_from_the_events(tuned: Resource, viewer_client: Client):
    html = read(viewer_client, tuned)

    assert re.findall(r'class="ui-stage ui-stage-(\w+)"', html) == ["done"] * 6
    assert "Training 1 h 35 min" in words(html)


def test_the_curves_are_drawn_and_stand_in_a_table(tuned: Resource, viewer_client: Client):
    html = read(viewer_client, tuned)

    drawn = re.search(r'<script id="loss-data" type="application/json">(.*?)</script>', html)
    assert drawn is not None
    series = json.loads(drawn[1])["series"]
    assert [one["label"] for one in series] == ["Training loss", "Evaluation loss"]
    assert [one["values"] for one in series] == [[2.5, 1.75], [None, 1.9]]
    table = html[html.index('aria-label="Loss by step"') :]
    assert "2.5000" in table
    assert "1.9000" in table
    assert "1.0e-05" in table
    assert "chart.umd.min.js" in html


def test_files_models_and_checkpoints_are_linked(tuned: Resource, viewer_client: Client):
    html = read(viewer_client, tuned)

    file = Resource.objects.get(kind="file")
    assert f'href="/files/{file.pk}/"' in html
    assert "acme/tuned-1" in html
    assert "ml_150" in html
    assert "Qwen/Qwen3.5-9B" in html


def test_the_endpoints_that_serve_the_model_are_named(tuned: Resource, desk: Desk, viewer_client: Client):
    serving = desk.endpoint("tuned-live", model="acme/tuned-1")
    serving.deployments.update(model_id="projects/p/models/ml_1/revisions/2", model="acme/tuned-1")
    desk.endpoint("other", model="acme/other")

    html = read(viewer_client, tuned)

    assert f'Served by <a class="ui-link" href="/endpoints/{serving.pk}/">tuned-live</a>' in html
    assert ">other<" not in html


def test_without_an_endpoint_the_page_says_so(tuned: Resource, viewer_client: Client):
    assert "No endpoint serves it." in read(viewer_client, tuned)


def test_weights_and_biases_is_linked_only_over_https(desk: Desk, viewer_client: Client, tuned: Resource):
    bad = desk.resource(ResourceKind.FINE_TUNE, payload={"wandb_url": "javascript:alert(1)"})

    assert 'href="https://wandb.ai/acme/runs/1"' in read(viewer_client, tuned)
    assert "javascript:" not in read(viewer_client, bad)


def test_restarts_and_refunds_are_told(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.FINE_TUNE, state="error", state_message="node lost")
    factories.make_resource_event(job, "job_restarted", message="The job was restarted")
    factories.make_resource_event(job, "job_error", message="The job failed", level="error")
    factories.make_resource_event(job, "refund", message="The job was refunded in full")

    text = words(read(viewer_client, job))

    assert "Restarted by the provider" in text
    assert "Refunded" in text
    assert "refunded by the provider" in text
    assert "node lost" in text


def test_a_failed_fine_tune_says_why_with_the_words_of_its_feed(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.FINE_TUNE, state="error")
    factories.make_resource_event(job, "job_error", message="The training file has no valid format")

    assert "The provider says: The training file has no valid format" in words(read(viewer_client, job))


def test_a_young_fine_tune_says_what_is_not_known_yet(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.FINE_TUNE, state="pending", remote_created_at=NOW - timedelta(minutes=4))

    html = read(viewer_client, job)

    assert re.findall(r'class="ui-stage ui-stage-(\w+)"', html) == ["now"] + ["ahead"] * 5
    assert "No loss yet" in html
    assert "queued for 4 min" in html
    assert "chart.umd.min.js" not in html


def test_own_base_models_are_named(desk: Desk, viewer_client: Client):
    job = desk.resource(
        ResourceKind.FINE_TUNE,
        payload={
            "from_hf_model": "acme/base-7b",
            "hf_model_revision": "main",
            "training_type": {"type": "Lora", "lora_r": 8, "lora_alpha": 16},
        },
    )

    text = words(read(viewer_client, job))

    assert "Own base model acme/base-7b" in text
    assert "Its revision main" in text
    assert "Lora, rank 8, alpha 16" in text


@pytest.mark.parametrize(
    "payload",
    [
        {"training_type": "Lora", "training_method": 5, "lr_scheduler": [], "wandb_url": 7},
        {"n_epochs": "three", "steps_completed": None, "param_count": {}, "early_stopped": "no"},
    ],
)
def test_bodies_of_another_shape_do_no_harm(desk: Desk, viewer_client: Client, payload: dict[str, Any]):
    job = desk.resource(ResourceKind.FINE_TUNE, payload=payload)
    for name in ("body", "metrics", "checkpoints"):
        factories.make_resource_document(job, name, {"metrics": "none", "data": [1, None, {"step": "x"}]})

    assert "No loss" in read(viewer_client, job)


def test_a_batch_tells_its_deadline_and_files(desk: Desk, viewer_client: Client):
    desk.resource(ResourceKind.FILE, "questions.jsonl", remote_id="file-in", size_bytes=2048)
    job = desk.resource(
        ResourceKind.BATCH, "b-1", progress=0.42, expires_at=NOW + timedelta(hours=20), size_bytes=2048,
        links={"input": "file-in", "errors": "file-not-mirrored"},
    )  # fmt: skip

    html = read(viewer_client, job)

    assert "due in 20 h 00 min" in html
    assert 'width="42"' in html
    assert "questions.jsonl" in html
    assert "Error file" in html
    assert "file-not-mirrored" in html


@pytest.mark.parametrize(
    ("results", "shown"),
    [
        ({"aggregated_scores": {"mean_score": 7.4, "std_score": 1.2, "pass_percentage": 88.0}, "failed_samples": 3},
         ("Mean score 7.40", "Standard deviation 1.20", "Passed 88.0%", "Failed samples 3")),
        ({"A_wins": 60, "B_wins": 30, "Ties": 10}, ("A wins 60", "B wins 30", "Ties 10")),
        ({"label_counts": '{"good": 90, "bad": 10}', "pass_percentage": 90, "invalid_label_count": 0},
         ("Passed 90.0%", "good 90", "bad 10", "Invalid labels 0")),
        ({"label_counts": "no json"}, ("No result",)),
    ],
)  # fmt: skip
def test_an_evaluation_shows_the_results_of_its_type(
    desk: Desk, viewer_client: Client, results: dict[str, Any], shown: tuple[str, ...]
):
    job = desk.resource(
        ResourceKind.EVALUATION,
        payload={
            "results": results,
            "parameters": {"judge": {"model": "openai/gpt-oss-120b"}, "model_to_evaluate": "acme/tuned"},
        },
    )

    text = words(read(viewer_client, job))

    assert "Judge openai/gpt-oss-120b" in text
    assert "Judged acme/tuned" in text
    for part in shown:
        assert part in text


def test_an_upload_tells_its_steps_and_tries(desk: Desk, viewer_client: Client):
    desk.resource(ResourceKind.MODEL, "acme/voice-8b", remote_id="ml_9")
    job = desk.resource(
        ResourceKind.UPLOAD, "ml_9", links={"model": "ml_9"}, payload={"restartCount": 1, "maxRestarts": 3}
    )
    factories.make_resource_event(job, "download.started", message="Downloading 12 files")

    text = words(read(viewer_client, job))

    assert "acme/voice-8b" in text
    assert "1 restarts of 3" in text
    assert "Download started Downloading 12 files" in text


def test_a_v1_upload_shows_where_it_came_from(desk: Desk, viewer_client: Client):
    job = desk.resource(
        ResourceKind.UPLOAD_V1,
        "acme/old",
        payload={"args": {"modelSource": "acme/old-hf", "description": "old one"}},
    )

    text = words(read(viewer_client, job))

    assert "From acme/old-hf" in text
    assert "Description old one" in text


def test_the_states_it_went_through_are_listed(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.BATCH)
    factories.make_resource_change(job, "VALIDATING", at=NOW - timedelta(hours=2))
    factories.make_resource_change(job, "IN_PROGRESS", at=NOW - timedelta(hours=1, minutes=30))

    text = words(read(viewer_client, job))

    assert "Running 10:30 1 h 30 min IN_PROGRESS seen by polling Queued 10:00 30 min VALIDATING" in text


def test_a_job_that_is_gone_keeps_its_page(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.BATCH, absent_since=NOW - timedelta(days=1))

    assert "The provider no longer lists it" in read(viewer_client, job)


@pytest.mark.parametrize("address", ["/jobs/fine-tune/999999/", "/jobs/cluster/1/", "/jobs/no-kind/1/"])
def test_what_does_not_exist_is_not_found(desk: Desk, viewer_client: Client, address: str):
    assert viewer_client.get(address).status_code == 404


def test_a_job_is_found_under_its_own_kind_only(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.BATCH)

    assert viewer_client.get(f"/jobs/fine-tune/{job.pk}/").status_code == 404


def test_other_teams_see_nothing_of_it(tuned: Resource, other_operator_client: Client):
    assert other_operator_client.get(f"/jobs/fine-tune/{tuned.pk}/").status_code == 404
    assert other_operator_client.get(f"/resources/{tuned.pk}/events/").status_code == 404
    assert other_operator_client.get(f"/resources/{tuned.pk}/raw/").status_code == 404


def test_links_to_what_another_team_owns_stay_unnamed(desk: Desk, viewer_client: Client, other_team):
    project = factories.make_project(connection=desk.connection, team=other_team)
    factories.make_resource(
        kind=ResourceKind.FILE, project=project, remote_id="file-theirs", name="secret-name.jsonl"
    )
    job = desk.resource(ResourceKind.BATCH, links={"input": "file-theirs"})

    html = read(viewer_client, job)

    assert "secret-name" not in html
    assert "file-theirs" in html


def test_all_events_are_paged_into_the_past(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.FINE_TUNE, remote_created_at=NOW - timedelta(days=9))
    for number in range(60):
        factories.make_resource_event(
            job, "epoch_complete", message=f"Epoch {number:02} done", at=NOW - timedelta(hours=60 - number)
        )
    factories.make_resource_event(job, "warning", message="Nobody knows when", at=None)

    first = viewer_client.get(f"/resources/{job.pk}/events/").content.decode()
    older = re.search(r'rel="next"\s+href="([^"]+)"', first)
    assert older is not None
    second = viewer_client.get(older[1]).content.decode()

    seen = re.findall(r"Epoch (\d\d) done", first + second)
    assert sorted(seen) == [f"{number:02}" for number in range(60)]
    assert "Nobody knows when" in second


def test_raw_payloads_are_for_operators(tuned: Resource, viewer_client: Client, operator_client: Client):
    assert viewer_client.get(f"/resources/{tuned.pk}/raw/").status_code == 403
    html = operator_client.get(f"/resources/{tuned.pk}/raw/").content.decode()

    assert "learning_rate" in html
    assert "steps_completed" in html


def test_the_live_part_is_the_page_without_its_frame(tuned: Resource, viewer_client: Client):
    html = read(viewer_client, tuned, **{"HX-Request": "true"})

    assert "<html" not in html
    assert html.strip().startswith('<div class="ui-stack" id="resource"')
    assert 'data-live="fine-tune,actions,projects,endpoints,ownership"' in html


def test_details_that_were_never_read_are_asked_for_when_a_person_opens_the_page(
    desk: Desk, viewer_client: Client, monkeypatch: pytest.MonkeyPatch
):
    sent: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        Celery, "send_task", lambda self, name, **options: sent.append((name, options["kwargs"]))
    )
    new = desk.resource(ResourceKind.FINE_TUNE)
    known = desk.resource(ResourceKind.FINE_TUNE, details_read_at=NOW)

    read(viewer_client, new, **{"HX-Request": "true"})
    read(viewer_client, known)
    assert sent == []
    read(viewer_client, new)

    assert sent == [("mirror.open_details", {"resource_id": new.pk})]
