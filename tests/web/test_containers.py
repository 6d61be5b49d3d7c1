"""Containers: replicas, scaling and the names of their environment, never a value."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from tests.compute_factories import make_unit_price, write_time
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
BODY: dict[str, Any] = {
    "image": "registry.example/fernhill/ticket-router:2.4.1",
    "gpu_type": "h100-80gb",
    "gpu_count": 1,
    "cpu": 8,
    "memory": "64",
    "min_replicas": 1,
    "max_replicas": 4,
    "desired_replicas": 3,
    "ready_replicas": 2,
    "capacity_type": "stable",
    "autoscaling": {"metric": "HTTPTotalRequests", "target": 400, "time_interval_minutes": 10},
    "environment_variables": [{"name": "LOG_LEVEL"}, {"name": "CRM_PASSWORD"}],
    "volumes": [{"name": "weights", "mount_path": "/models"}],
    "replica_events": {
        "router-0": {
            "replica_status": "Running",
            "replica_ready_since": write_time(NOW - timedelta(hours=1)),
            "revision_id": "74057ffb-f98a",
            "image": "registry.example/fernhill/ticket-router:2.4.1",
        },
        "router-1": {
            "replica_status": "Waiting",
            "replica_status_reason": "ImagePullBackOff",
            "replica_status_message": "manifest unknown",
            "revision_id": "74057ffb-f98a",
        },
    },
}


def read(client: Client, url: str = "/containers/") -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def make_container(desk: Desk, name: str = "ticket-router", **fields: Any) -> Resource:
    defaults: dict[str, Any] = {
        "hardware": "h100-80gb",
        "units": 2,
        "gpu_count": 3,
        "sku": "container/h100-80gb",
        "nano_usd_per_unit_hour": 5_490_000_000,
        "payload": BODY,
    }
    return desk.resource(ResourceKind.CONTAINER, name, **(defaults | fields))


def test_rows_say_image_replicas_and_gpus(desk: Desk, viewer_client: Client):
    make_container(desk)

    html = words(read(viewer_client))

    assert "ticket-router:2.4.1" in html
    assert "2 of 3 ready 1 to 4 replicas, on requests" in html
    assert "1 × H100 80GB" in html
    assert "10.98" in html


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?status=running", ["ready-one"]),
        ("?status=zero", ["sleeping"]),
        ("?status=failed", ["broken"]),
        ("?q=sleep", ["sleeping"]),
        ("?hardware=h200-140gb", ["sleeping"]),
    ],
)
def test_filters_narrow(desk: Desk, viewer_client: Client, query: str, names: list[str]):
    make_container(desk, "ready-one")
    make_container(desk, "sleeping", state="ScaledToZero", units=0, hardware="h200-140gb")
    make_container(desk, "broken", state="Failed", units=0, state_message="manifest unknown")

    html = read(viewer_client, f"/containers/{query}")

    assert re.findall(r'class="ui-t-name"[^>]*>([^<]+)<', html) == names


def test_a_failed_one_says_why(desk: Desk, viewer_client: Client):
    make_container(desk, "broken", state="Failed", units=0, state_message="manifest unknown")

    assert "manifest unknown" in words(read(viewer_client))


def test_the_page_tells_replicas_scaling_and_names_only(desk: Desk, viewer_client: Client):
    make_unit_price(connection=desk.connection, sku="container/h100-80gb", nano=5_490_000_000)
    container = make_container(desk)

    html = words(read(viewer_client, f"/containers/{container.pk}/"))

    assert "Replicas 2 ready of 3 1 to 4 replicas" in html
    assert "On requests 400 requests in 10 min" in html
    assert "Per GPU-hour $5.49 from the bill" in html
    assert "router-1 Waiting manifest unknown not ready 74057ffb" in html
    assert "CRM_PASSWORD LOG_LEVEL" in html
    assert "Names only: values are dropped" in html
    assert "weights at /models" in html
    assert "8 cores, 64 GiB" in html


def test_a_value_that_slipped_into_the_body_is_not_shown(desk: Desk, viewer_client: Client):
    body = BODY | {"environment_variables": [{"name": "TOKEN", "value": "hunter2"}]}
    container = make_container(desk, payload=body)

    assert "hunter2" not in read(viewer_client, f"/containers/{container.pk}/")


def test_an_empty_body_says_what_is_not_told(desk: Desk, viewer_client: Client):
    container = make_container(desk, payload={}, hardware="", units=0, state="Dreaming")

    html = words(read(viewer_client, f"/containers/{container.pk}/"))

    assert "Unknown (Dreaming)" in html
    assert "bounds not told" in html
    assert "No replica" in html


def test_only_people_who_may_act_see_the_stop(
    desk: Desk, viewer_client: Client, operator_client: Client, other_operator_client: Client
):
    container = make_container(desk)
    page = f"/containers/{container.pk}/"

    assert "/stop/" not in read(viewer_client, page)
    assert f"{page}stop/" in read(operator_client, page)
    assert other_operator_client.get(page).status_code == 404


def test_states_of_the_list(desk: Desk, viewer_client: Client):
    assert "No container" in read(viewer_client)

    SyncRun.objects.filter(resource=SyncRun.Resource.CONTAINERS).update(
        outcome=SyncRun.Outcome.UNAVAILABLE, error="403: sales-gated."
    )

    assert "Not offered to this key" in read(viewer_client)
