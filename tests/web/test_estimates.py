"""What a fine-tune would cost: the question is written once, the answer is told as it is, or why there is none."""

import re
from typing import Any

import pytest
from django.test import Client

from dashboard.lifecycle.models import PriceEstimate, StopAction
from dashboard.mirror.models import CatalogueModel, Resource, ResourceKind
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
URL = "/jobs/estimate/"


@pytest.fixture
def file(desk: Desk) -> Resource:
    return desk.resource(
        ResourceKind.FILE, "train.jsonl", remote_id="file-1", variety="fine-tune", size_bytes=3 * 2**20
    )


def question(file: Resource, **changes: Any) -> dict[str, Any]:
    return {
        "training_file": file.pk, "model": "Qwen/Qwen3-8B", "training_type": "Lora", "lora_rank": 16, "method": "sft",
        "epochs": 3,
    } | changes  # fmt: skip


def answer(desk: Desk, **columns: Any) -> PriceEstimate:
    defaults = {
        "project": desk.project,
        "arguments": {"model": "Qwen/Qwen3-8B", "n_epochs": 3},
        "answered_at": NOW,
    }
    return PriceEstimate.objects.create(**(defaults | columns))


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_form_offers_usable_training_files_and_trainable_models(
    desk: Desk, file: Resource, operator_client: Client
):
    desk.resource(ResourceKind.FILE, "answers.jsonl", variety="batch-api")
    desk.resource(ResourceKind.FILE, "broken.jsonl", variety="fine-tune", state="INVALID_FORMAT")
    CatalogueModel.objects.create(
        connection=desk.connection, remote_id="m1", origin="supported", name="Qwen/Qwen3-8B", is_fine_tunable=True,
        payload={}, fingerprint=b"1" * 16, first_observed_at=NOW, observed_at=NOW,
    )  # fmt: skip

    html = operator_client.get(URL).content.decode()

    assert "train.jsonl, 3 MiB" in html
    assert "answers.jsonl" not in html
    assert "broken.jsonl" not in html
    assert '<option value="Qwen/Qwen3-8B">' in html
    assert not PriceEstimate.objects.exists()


def test_a_question_is_written_in_the_providers_words(file: Resource, operator_client: Client):
    response = operator_client.post(URL, question(file))

    estimate = PriceEstimate.objects.get()
    assert response["Location"] == f"{URL}{estimate.public_id}/"
    assert estimate.project == file.project
    assert estimate.arguments == {
        "training_file": "file-1", "model": "Qwen/Qwen3-8B", "n_epochs": 3, "n_evals": None, "validation_file": None,
        "training_type": {"type": "Lora", "lora_r": 16, "lora_alpha": 32},
        "training_method": {"method": "sft", "train_on_inputs": "auto"}, "from_checkpoint": None,
    }  # fmt: skip
    assert not StopAction.objects.exists()


def test_full_training_and_preferences_are_asked_as_such(file: Resource, operator_client: Client):
    operator_client.post(URL, question(file, training_type="Full", method="dpo", lora_rank=""))

    arguments = PriceEstimate.objects.get().arguments
    assert arguments["training_type"] == {"type": "Full"}
    assert arguments["training_method"] == {"method": "dpo"}


def test_with_htmx_the_answer_is_awaited_in_place(file: Resource, operator_client: Client):
    html = operator_client.post(URL, question(file), headers={"HX-Request": "true"}).content.decode()

    estimate = PriceEstimate.objects.get()
    assert "<html" not in html
    assert 'data-live="estimates"' in html
    assert f'hx-get="{URL}{estimate.public_id}/"' in html
    assert "Asking the provider." in html


@pytest.mark.parametrize(
    "changes",
    [
        {"training_file": ""},
        {"training_file": "999999"},
        {"model": ""},
        {"epochs": "0"},
        {"method": "x"},
        {"lora_rank": "-1"},
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_asked(
    file: Resource, operator_client: Client, changes: dict[str, str]
):
    response = operator_client.post(URL, question(file, **changes))

    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.content.decode()
    assert not PriceEstimate.objects.exists()


def test_both_files_must_be_of_one_project(desk: Desk, file: Resource, admin_client: Client):
    project = factories.make_project(connection=desk.connection)
    other = factories.make_resource(kind=ResourceKind.FILE, project=project, variety="fine-tune")

    response = admin_client.post(URL, question(file, validation_file=other.pk))

    assert response.status_code == 422
    assert "Both files must be of one project." in response.content.decode()
    assert not PriceEstimate.objects.exists()


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"state": "answered", "nano_usd": 6_710_000_000, "train_tokens": 1_850_000, "is_allowed": True},
         ("About $6.71.", "1.9 M")),
        ({"state": "answered", "nano_usd": 120_000_000}, ("About $0.12.", "Any fine-tune costs at least $4.00.")),
        ({"state": "answered", "nano_usd": 90_000_000_000, "is_allowed": False, "limit_nano_usd": 50_000_000_000},
         ("The account may not spend that.", "It may spend $50.00.")),
        ({"state": "answered", "reason": "multimodal_dataset"}, ("gives no estimate", "The file holds images")),
        ({"state": "answered", "reason": "a_new_reason"}, ("a_new_reason",)),
        ({"state": "failed", "reason": "The provider answered 503."}, ("No answer.", "The provider answered 503.")),
        ({"state": "pending", "answered_at": None, "requested_at": NOW}, ("Asking the provider.",)),
    ],
)  # fmt: skip
def test_the_answer_is_told_as_it_is(
    desk: Desk, operator_client: Client, columns: dict[str, Any], shown: tuple[str, ...]
):
    estimate = answer(desk, **columns)

    text = words(operator_client.get(f"{URL}{estimate.public_id}/").content.decode())

    for part in shown:
        assert part in text
    if columns.get("nano_usd") is None:
        assert "$0" not in text[text.index("Answer") :]


def test_an_answer_that_is_there_waits_for_nothing(desk: Desk, operator_client: Client):
    estimate = answer(desk, state="answered", nano_usd=1)

    html = operator_client.get(f"{URL}{estimate.public_id}/", headers={"HX-Request": "true"}).content.decode()

    assert html.strip().startswith("<section")
    assert "data-live" not in html


def test_questions_of_another_team_are_not_found(desk: Desk, other_operator_client: Client):
    estimate = answer(desk)

    assert other_operator_client.get(f"{URL}{estimate.public_id}/").status_code == 404


def test_files_of_another_team_cannot_be_asked_about(file: Resource, other_operator_client: Client):
    assert other_operator_client.post(URL, question(file)).status_code == 422
    assert not PriceEstimate.objects.exists()


def test_viewers_and_finance_may_not_ask(file: Resource, viewer_client: Client, finance_client: Client):
    for client in (viewer_client, finance_client):
        assert client.post(URL, question(file)).status_code == 403
        assert URL not in client.get("/jobs/").content.decode()
    assert not PriceEstimate.objects.exists()
