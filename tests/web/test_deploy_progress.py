"""The stages of a deploy, as its receipt tells them."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import deploys
from dashboard.lifecycle.receipts import Receipt, ReceiptLine, read_receipt
from dashboard.web.deploy.progress import read_progress
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
CHECK, ENDPOINT = "Dry run: the provider checks it", "Create the endpoint"
DEPLOYMENT, TRAFFIC = "Create the deployment", "Set the traffic split: weight 1"


def line(what: str, note: str = "", state: str = "") -> ReceiptLine:
    return ReceiptLine(NOW, what, what, state, None, note, "", timedelta())


def accept(*notes: str) -> list[ReceiptLine]:
    return [one for note in notes for one in (line("sent", note), line("answered", "Accepted"))]


@pytest.fixture
def receipt(desk: Desk) -> Receipt:
    made = deploys.request_deploy(
        desk.project,
        endpoint_name="qwen",
        deployment_name="qwen",
        model="projects/p/models/m",
        config="projects/p/configs/c",
        min_replicas=1,
        max_replicas=2,
        model_label="Qwen/Qwen3-32B",
        actor=Actor.for_process("tests"),
        idempotency_key="one",
    )
    return read_receipt(made.action.public_id, now=NOW)


@pytest.mark.parametrize(
    ("lines", "fields", "states", "advice"),
    [
        ([], {}, "now ahead ahead ahead ahead ahead", ""),
        ([line("sent", CHECK)], {}, "now ahead ahead ahead ahead ahead", ""),
        (accept(CHECK), {}, "done now ahead ahead ahead ahead", ""),
        (accept(CHECK, ENDPOINT, DEPLOYMENT), {}, "done done done ahead now ahead", ""),
        (
            # The answer to the create was lost; what came after shows that it arrived.
            [*accept(CHECK), line("sent", ENDPOINT), line("sent", DEPLOYMENT), line("answered")],
            {},
            "done done done ahead now ahead",
            "",
        ),
        (
            accept(CHECK, ENDPOINT, DEPLOYMENT, TRAFFIC),
            {"is_open": False, "confirmed_at": NOW},
            "done done done done done done",
            "",
        ),
        (
            accept(CHECK, DEPLOYMENT),
            {"is_open": False, "confirmed_at": NOW},
            "done skipped done skipped done done",
            "",
        ),
        (
            [line("sent", CHECK)],
            {"is_open": False},
            "failed ahead ahead ahead ahead ahead",
            "Nothing was made",
        ),
        (
            accept(CHECK, ENDPOINT),
            {"is_open": False},
            "done done ahead ahead ahead ahead",
            "The empty endpoint stays",
        ),
        (
            accept(CHECK, ENDPOINT, DEPLOYMENT),
            {"is_open": False},
            "done done done ahead failed ahead",
            "The deployment stays",
        ),
    ],
)
def test_stages_follow_what_was_sent_and_accepted(
    receipt: Receipt, lines: list[ReceiptLine], fields: dict[str, Any], states: str, advice: str
):
    found = read_progress(replace(receipt, lines=tuple(lines), **fields))

    assert " ".join(stage.state for stage in found.stages) == states
    assert found.advice.startswith(advice)
    assert bool(found.advice) == bool(advice)


def test_the_page_of_a_deploy_shows_its_stages_and_says_what_it_will_burn(receipt: Receipt, operator_client):
    html = operator_client.get(f"/actions/{receipt.public_id}/").content.decode()

    assert html.count('class="ui-stage ui-stage-') == 6
    assert 'aria-current="step"' in html
    assert "It bills from the first ready replica on" in html


def test_a_deploys_receipt_names_endpoint_and_deployment_once(
    desk: Desk, operator_client: Client, receipt: Receipt
):
    html = operator_client.get(f"/actions/{receipt.public_id}/").content.decode()

    facts = html.split("<h2>Receipt</h2>")[1]
    assert len(re.findall(r"<dd>\s*qwen\s*</dd>", facts)) == 1
    assert facts.count("<dt>Deployment</dt>") == 1
    assert "<dt>Endpoint</dt>" not in facts
