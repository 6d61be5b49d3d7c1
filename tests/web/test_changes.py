"""Settings of a deployment and the split of an endpoint: what differs is asked for, nothing else."""

import uuid
from typing import Any

import pytest
from django.test import Client

from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Deployment, Endpoint
from tests import factories
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


@pytest.fixture
def endpoint(desk: Desk) -> Endpoint:
    """An endpoint with settings of its own."""
    found = desk.endpoint("docs-qa", min_replicas=1, max_replicas=2, inactive_timeout_minutes=0)
    deployment = found.deployments.get()
    deployment.payload = {
        "autoscaling": {
            "minReplicas": 1,
            "maxReplicas": 2,
            "scaleDownWindow": "300s",
            "scalingMetrics": [
                {"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}
            ],
        },
        "maxConcurrentRequestsPerReplica": "63",
    }
    deployment.save(update_fields=["payload"])
    found.payload = {"trafficSplit": [{"deploymentId": deployment.remote_id, "weight": 2}]}
    found.save(update_fields=["payload"])
    return found


def settings(endpoint: Endpoint, **changes: Any) -> dict[str, Any]:
    """Return the form as it opens, with changes."""
    values = {
        "key": str(uuid.uuid4()),
        "deployment": endpoint.deployments.earliest("pk").pk,
        "min_replicas": 1,
        "max_replicas": 2,
        "inactive_timeout": 0,
        "scale_up_window": "",
        "scale_down_window": 300,
        "metric": "inflight_requests",
        "metric_target": "8",
        "metric_percentile": "",
        "max_concurrent": 63,
    }
    return values | changes


def test_the_form_opens_with_what_is_so(endpoint: Endpoint, operator_client: Client):
    html = operator_client.get(f"/endpoints/{endpoint.pk}/settings/").content.decode()

    assert 'name="scale_down_window" value="300"' in html
    assert '<option value="inflight_requests" selected>' in html
    assert 'name="max_concurrent" value="63"' in html
    assert not StopAction.objects.exists()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"max_replicas": 4}, {"minReplicas": 1, "maxReplicas": 4}),
        ({"scale_down_window": 600}, {"scaleDownWindow": "600s"}),
        (
            {"metric": "gpu_utilization", "metric_target": 80},
            {
                "scalingMetrics": [
                    {"name": "gpu_utilization", "type": "METRIC_TARGET_TYPE_UTILIZATION", "target": 80.0}
                ]
            },
        ),
        ({"inactive_timeout": 90}, {"inactiveTimeout": 90}),
    ],
)
def test_only_what_differs_is_asked_for(
    endpoint: Endpoint, operator_client: Client, changes: dict[str, Any], wanted: dict[str, Any]
):
    response = operator_client.post(f"/endpoints/{endpoint.pk}/settings/", settings(endpoint, **changes))

    action = StopAction.objects.get()
    assert response.status_code == 302
    assert action.kind == "configure"
    assert action.arguments["settings"] == wanted
    assert AuditEvent.objects.filter(action="endpoint.configure_requested").count() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Nothing differs"),
        ({"inactive_timeout": 10}, "30 to 1440 minutes"),
        ({"min_replicas": 3}, "the upper bound lies below"),
        ({"metric": "ttft", "metric_target": ""}, "A target is needed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    endpoint: Endpoint, operator_client: Client, changes: dict[str, Any], sentence: str
):
    response = operator_client.post(f"/endpoints/{endpoint.pk}/settings/", settings(endpoint, **changes))

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not StopAction.objects.exists()


def test_a_v1_endpoint_has_bounds_and_a_timer_only(desk: Desk, operator_client: Client):
    deployment = factories.make_v1_endpoint(project=desk.project)

    html = operator_client.get(f"/endpoints/{deployment.endpoint_id}/settings/").content.decode()

    assert 'name="inactive_timeout"' in html
    assert 'name="scale_down_window"' not in html
    assert "windows and metrics exist on v2" in html


def test_what_is_stopped_keeps_its_bounds_for_the_start(desk: Desk, operator_client: Client):
    endpoint = desk.stopped("voice")

    html = operator_client.get(f"/endpoints/{endpoint.pk}/settings/").content.decode()

    assert 'name="min_replicas"' not in html
    assert 'name="inactive_timeout"' in html


def test_the_split_shows_weights_their_sum_and_what_they_mean(
    desk: Desk, endpoint: Endpoint, operator_client: Client
):
    desk.deployment(endpoint)

    html = operator_client.get(f"/endpoints/{endpoint.pk}/split/").content.decode()

    assert 'value="2"' in html
    assert 'value="0"' in html
    assert "100%" in html
    assert "none" in html


def test_other_weights_are_one_act(desk: Desk, endpoint: Endpoint, operator_client: Client):
    second = desk.deployment(endpoint)
    first: Deployment = endpoint.deployments.earliest("pk")
    form = {"key": str(uuid.uuid4()), f"weight_{first.pk}": 1, f"weight_{second.pk}": 3}

    operator_client.post(f"/endpoints/{endpoint.pk}/split/", form)
    operator_client.post(f"/endpoints/{endpoint.pk}/split/", form)

    action = StopAction.objects.get()
    assert action.kind == "split"
    assert action.arguments["settings"]["trafficSplit"] == {first.remote_id: 1.0, second.remote_id: 3.0}


def test_the_same_weights_are_no_act(desk: Desk, endpoint: Endpoint, operator_client: Client):
    second = desk.deployment(endpoint)
    first: Deployment = endpoint.deployments.earliest("pk")
    url = f"/endpoints/{endpoint.pk}/split/"

    response = operator_client.post(
        url, {"key": str(uuid.uuid4()), f"weight_{first.pk}": 2, f"weight_{second.pk}": 0}
    )

    assert response.status_code == 422
    assert "Nothing differs" in response.content.decode()
    assert not StopAction.objects.exists()


def test_a_negative_weight_is_refused_at_its_field(desk: Desk, endpoint: Endpoint, operator_client: Client):
    first = endpoint.deployments.get()

    response = operator_client.post(
        f"/endpoints/{endpoint.pk}/split/", {"key": str(uuid.uuid4()), f"weight_{first.pk}": -1}
    )

    assert response.status_code == 422
    assert "greater than or equal to 0" in response.content.decode()
    assert not StopAction.objects.exists()


@pytest.mark.parametrize("page", ["settings", "split"])
def test_people_without_right_are_refused_and_nothing_happens(
    endpoint: Endpoint, viewer_client: Client, other_operator_client: Client, page: str
):
    url = f"/endpoints/{endpoint.pk}/{page}/"

    assert viewer_client.post(url, settings(endpoint)).status_code == 403
    assert other_operator_client.post(url, settings(endpoint)).status_code == 404
    assert not StopAction.objects.exists()
