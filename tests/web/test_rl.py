"""RL training: resources and sessions in one list, and a page of each."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.mirror.models import Resource, ResourceKind, SyncRun, UnitPrice
from tests.compute_factories import make_unit_price, write_time
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
SKU = "rl/meta-llama/Llama-3.1-8B-Instruct/H100-80GB/2"


def read(client: Client, url: str = "/rl/") -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def list_names(html: str) -> list[str]:
    return re.findall(r'class="ui-t-name"[^>]*>([^<]+)<', html)


def make_set(desk: Desk, **fields: Any) -> Resource:
    defaults: dict[str, Any] = {
        "remote_id": "mr-1",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "hardware": "H100-80GB",
        "variety": "2 generators",
        "units": 1,
        "sku": SKU,
        "nano_usd_per_unit_hour": 87_840_000_000,
        "expires_at": NOW + timedelta(minutes=50),
        "payload": {"inactive_timeout": 3600, "compute_config": {"num_generator_replicas": 2}},
    }
    return desk.resource(ResourceKind.RL_RESOURCE, "Llama-set", **(defaults | fields))


def make_session(desk: Desk, name: str = "triage-grpo", **fields: Any) -> Resource:
    body = {
        "step": "1733",
        "type": "SESSION_TYPE_TRAINER_AND_GENERATOR",
        "lora_config": {"rank": 32, "alpha": 64},
        "training_checkpoints": [
            {"id": "ck-1", "step": "100", "created_at": write_time(NOW - timedelta(hours=3))},
            {"id": "ck-2", "step": "1700", "created_at": write_time(NOW - timedelta(hours=1))},
        ],
        "inference_checkpoints": [{"id": "ck-3", "step": 1500}, "odd"],
    }
    defaults: dict[str, Any] = {
        "variety": "step 1733",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "links": {"rl-resource": "mr-1"},
        "payload": body,
    }
    return desk.resource(ResourceKind.RL_SESSION, name, **(defaults | fields))


def test_resources_and_sessions_stand_in_one_list(desk: Desk, viewer_client: Client):
    make_set(desk)
    make_session(desk)

    html = words(read(viewer_client))

    assert "H100 80GB, 1 session stops unused in 50:00" in html
    assert "87.84" in html
    assert "step 1733" in html
    assert "no own price" in html
    assert list_names(read(viewer_client, "/rl/?kind=rl-session")) == ["triage-grpo"]
    assert list_names(read(viewer_client, "/rl/?kind=rl-resource")) == ["Llama-set"]


def test_the_page_of_resources_tells_timer_sessions_and_price(desk: Desk, viewer_client: Client):
    make_unit_price(
        connection=desk.connection, sku=SKU, nano=87_840_000_000,
        source=UnitPrice.PriceSource.ESTIMATE, evidence="estimate-cost of 2026-11-18 12:00 UTC",
    )  # fmt: skip
    resource = make_set(desk)
    session = make_session(desk)

    html = read(viewer_client, f"/rl/resources/{resource.pk}/")

    assert f'href="/rl/sessions/{session.pk}/"' in html
    shown = words(html)
    assert "trainer and 2 generators" in shown
    assert "after 1 h 00 min without use" in shown
    assert "estimate: estimate-cost of 2026-11-18 12:00 UTC" in shown
    assert "No session that you see runs on it" not in shown


def test_resources_without_a_running_session_are_flagged(desk: Desk, viewer_client: Client):
    resource = make_set(desk)
    make_session(desk, state="TRAINING_SESSION_STATUS_STOPPED")

    assert "No session that you see runs on it" in read(viewer_client, f"/rl/resources/{resource.pk}/")


def test_the_page_of_a_session_tells_steps_and_checkpoints(desk: Desk, viewer_client: Client):
    resource = make_set(desk)
    session = make_session(desk)

    html = read(viewer_client, f"/rl/sessions/{session.pk}/")
    shown = words(html)

    assert f'href="/rl/resources/{resource.pk}/"' in html
    assert "Step 1,733" in shown
    assert "Checkpoints 3 newest at step 1700" in shown
    assert re.search(r"1,700 to go on from .* 1,500 to serve not told ck-3 100 to go on from", shown)
    assert "LoRA rank 32" in shown
    assert "$87.84/h for the whole set" in shown


def test_only_people_who_may_act_see_the_stop(
    desk: Desk, viewer_client: Client, operator_client: Client, other_operator_client: Client
):
    resource = make_set(desk)
    page = f"/rl/resources/{resource.pk}/"

    assert f"{page}stop/" not in read(viewer_client, page)
    assert f"{page}stop/" in read(operator_client, page)
    assert other_operator_client.get(page).status_code == 404
    assert viewer_client.get(f"/rl/sessions/{resource.pk}/").status_code == 404


def test_states_of_the_list(desk: Desk, viewer_client: Client):
    assert "No resource" in read(viewer_client)

    SyncRun.objects.filter(resource=SyncRun.Resource.RL).update(
        outcome=SyncRun.Outcome.UNAVAILABLE, error="404: not enabled."
    )

    assert "Not offered to this key" in read(viewer_client)
