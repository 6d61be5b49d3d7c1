"""The deploy wizard: every step by its address, nothing lost, one deployment per form."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client

from dashboard.accounts.models import AuditEvent, Team
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import CatalogueModel, Hardware
from tests import factories, model_factories
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
REGIONS = [
    {"name": "us-east-1", "headroom": {"value": 4, "relation": "RELATION_GTE"}},
    {"name": "eu-north-1", "headroom": {"value": 0, "relation": "RELATION_EQ"}},
    {"name": "us-west-2"},
]


def make_hardware(desk: Desk, name: str, price: int | None, **fields: Any) -> Hardware:
    hardware = factories.make_hardware(
        connection=desk.connection, name=name, nano_usd_per_hour=price, gpu_type="H100", **fields
    )
    hardware.payload = {"id": name, "name": name, "regions": REGIONS}
    hardware.save(update_fields=["payload"])
    return hardware


@pytest.fixture
def offered(desk: Desk) -> CatalogueModel:
    """A model of the catalogue that runs on one or two H100."""
    model = model_factories.make_catalogue_model(connection=desk.connection, name="Qwen/Qwen3-32B")
    one = make_hardware(desk, "1xnvidia-h100-80gb", 5_400_000_000)
    two = make_hardware(desk, "2xnvidia-h100-80gb", 10_800_000_000, gpu_count=2)
    for hardware in (two, one):
        model_factories.make_config(model=model, hardware=hardware, remote_id=f"cr_{hardware.gpu_count}")
    return model


def fill(desk: Desk, **changes: Any) -> dict[str, Any]:
    values = {
        "model": "Qwen/Qwen3-32B",
        "project": desk.project.pk,
        "endpoint": "new",
        "endpoint_name": "qwen",
        "deployment_name": "qwen-1xh100",
        "config": "cr_1",
        "min_replicas": 1,
        "max_replicas": 3,
        "inactive_timeout": 60,
        "weight": 1,
    }
    return values | changes


def send(client: Client, values: dict[str, Any], **changes: Any):
    return client.post("/deploy/", values | {"key": str(uuid.uuid4())} | changes)


def test_the_first_step_lists_own_models_and_the_catalogue_with_the_least_price(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    model_factories.make_own_model(project=desk.project, base=offered, name="acme/support-v3")

    html = operator_client.get("/deploy/").content.decode()

    assert "acme/support-v3" in html
    assert "Qwen/Qwen3-32B" in html
    assert html.count("5.40") == 2
    assert "model=Qwen%2FQwen3-32B" in html


def test_a_search_narrows_and_says_when_nothing_matches(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    found = operator_client.get("/deploy/?q=qwen3 32b", headers={"HX-Request": "true"}).content.decode()
    nothing = operator_client.get("/deploy/?q=zephyr").content.decode()

    assert "Qwen/Qwen3-32B" in found
    assert "<html" not in found
    assert "No model matches “zephyr”" in nothing


def test_hardware_comes_cheapest_first_with_what_fits_where(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    html = operator_client.get("/deploy/?model=Qwen/Qwen3-32B").content.decode()

    assert html.index("1× H100") < html.index("2× H100")
    assert re.search(r'value="cr_1"\s+checked', html)
    assert "4 or more fit now" in html
    assert "none free now" in html
    assert "not told" in html


def test_the_price_counts_all_replicas_and_prints_minute_hour_and_month(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    headers = {"HX-Request": "true", "HX-Target": "aside#deploy-price"}

    html = operator_client.get("/deploy/", fill(desk, config="cr_2"), headers=headers).content.decode()

    assert html.strip().startswith('<aside class="ui-deploy-price" id="deploy-price"')
    assert "$0.18–0.54" in html
    assert "$10.80–32.40/h" in html
    assert "$7,884–23,652" in html


def test_an_unknown_price_is_said_and_never_zero(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    odd = make_hardware(desk, "1xnvidia-x900", None)
    model_factories.make_config(model=offered, hardware=odd, remote_id="cr_x")

    html = operator_client.get("/deploy/", fill(desk, config="cr_x", step="review")).content.decode()

    assert "Price unknown." in html
    assert re.search(r"<span>Create</span>", html)


def test_what_is_invalid_renders_again_and_loses_nothing(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    values = fill(
        desk, min_replicas=3, max_replicas=2, inactive_timeout=20, endpoint_name="my endpoint", step="review"
    )

    response = operator_client.get("/deploy/", values)

    html = response.content.decode()
    assert response.status_code == 422
    assert "the upper bound lies below the lower one" in html
    assert "30 to 1440 minutes" in html
    assert "Letters, digits, dots" in html
    assert 'value="my endpoint"' in html
    assert 'value="20"' in html


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metric": "gpu_utilization"}, "A target is needed: %."),
        ({"metric": "gpu_utilization", "metric_target": 140}, "A percentage from 0 to 100."),
        (
            {"metric": "gpu_utilization", "metric_target": 80, "metric_percentile": "p95"},
            "not measured in percentiles",
        ),
        ({"region": "us-west-9"}, "Select a valid choice"),
        ({"config": "cr_9"}, "Select a valid choice"),
        ({"weight": -1}, "greater than or equal to 0"),
        ({"endpoint_name": ""}, "A new endpoint needs a name"),
        ({"project": "99999"}, "Select a valid choice"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(
    desk: Desk, offered: CatalogueModel, operator_client: Client, changes: dict[str, Any], sentence: str
):
    response = send(operator_client, fill(desk, **changes))

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not StopAction.objects.exists()


def test_the_review_says_everything_and_carries_it(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    values = fill(
        desk,
        region="us-east-1",
        region_required="on",
        metric="inflight_requests",
        metric_target=8,
        scale_down_window=600,
        step="review",
    )

    html = operator_client.get("/deploy/", values).content.decode()

    assert "1 to 3 replicas, by traffic" in html
    assert "on requests in flight, 8 per replica, down after 600s" in html
    assert "only in us-east-1" in html
    assert "60 min without a request" in html
    assert "Create, burns" in html
    assert 'name="metric_target" value="8"' in html
    assert 'name="step"' not in html
    assert not StopAction.objects.exists()


def test_creating_asks_for_one_deployment_with_all_of_it(
    desk: Desk, offered: CatalogueModel, operator_client: Client, operator
):
    values = fill(desk, region="us-east-1", metric="ttft", metric_target=300, metric_percentile="p95")

    response = send(operator_client, values)

    action = StopAction.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/actions/{action.public_id}/"
    assert (action.kind, action.project_id, action.target_name) == ("deploy", desk.project.pk, "qwen")
    assert (action.min_replicas, action.max_replicas) == (1, 3)
    assert (action.burn_low_at_request, action.burn_high_at_request) == (5_400_000_000, 16_200_000_000)
    wanted = str(action.arguments)
    for part in ("cr_1", "us-east-1", "ENFORCEMENT_PREFERRED", "ttft", "p95", "METRIC_TARGET_TYPE_VALUE"):
        assert part in wanted
    assert AuditEvent.objects.filter(action="endpoint.deploy_requested", actor=operator).count() == 1


def test_the_same_form_sent_twice_creates_once(desk: Desk, offered: CatalogueModel, operator_client: Client):
    key = str(uuid.uuid4())

    first = send(operator_client, fill(desk), key=key)
    second = send(operator_client, fill(desk), key=key)

    assert first["Location"] == second["Location"]
    assert StopAction.objects.count() == 1


def test_values_that_nobody_sent_are_never_deployed(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    foreign = factories.make_project(connection=desk.connection, team=Team.objects.create(name="Elsewhere"))

    response = operator_client.post(
        "/deploy/", {"model": "Qwen/Qwen3-32B", "project": foreign.pk, "key": str(uuid.uuid4())}
    )

    assert response.status_code == 422
    assert not StopAction.objects.exists()


def test_a_form_without_its_key_shows_the_review_again(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    response = send(operator_client, fill(desk), key="")

    assert response.status_code == 200
    assert re.search(r'name="key" value="[0-9a-f-]{36}"', response.content.decode())
    assert not StopAction.objects.exists()


def test_a_name_that_is_taken_is_refused_at_its_field(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    desk.endpoint("qwen")

    response = send(operator_client, fill(desk))

    assert response.status_code == 422
    assert "An endpoint of this name exists" in response.content.decode()
    assert not StopAction.objects.exists()


def test_the_first_name_offered_is_a_free_one(desk: Desk, offered: CatalogueModel, operator_client: Client):
    desk.endpoint("qwen3-32b")

    html = operator_client.get("/deploy/?model=Qwen/Qwen3-32B").content.decode()

    assert 'value="qwen3-32b-2"' in html


def test_a_deployment_may_join_an_endpoint_and_sees_its_share(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    endpoint = desk.endpoint("busy")
    endpoint.payload = {"trafficSplit": [{"deploymentId": "dep_1", "weight": 3}]}
    endpoint.save(update_fields=["payload"])
    values = fill(desk, endpoint=endpoint.pk, endpoint_name="")

    html = operator_client.get("/deploy/", values | {"step": "review"}).content.decode()
    send(operator_client, values)

    assert "25% of the endpoint&#x27;s requests (weight 1)" in html
    assert StopAction.objects.get().endpoint_id == endpoint.pk


def test_an_own_model_runs_on_the_hardware_of_its_base_in_its_own_project(
    desk: Desk, offered: CatalogueModel, operator_client: Client, team: Team
):
    other = factories.make_project(connection=desk.connection, team=team, name="aaa")
    own = model_factories.make_own_model(project=desk.project, base=offered, name="acme/support-v3")

    html = operator_client.get("/deploy/?model=acme/support-v3").content.decode()
    send(operator_client, fill(desk, model=own.remote_id))

    assert f'<option value="{desk.project.pk}" selected>' in html
    assert f'<option value="{other.pk}">' in html
    assert f"models/{own.remote_id}" in str(StopAction.objects.get().arguments)


def test_a_model_that_v2_does_not_offer_is_explained_with_its_replacement(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    model_factories.make_deprecation("acme/gone", replacement="Qwen/Qwen3-32B", is_dedicated_possible=False)

    html = operator_client.get("/deploy/?model=acme/gone").content.decode()

    assert "acme/gone is not offered on v2 dedicated endpoints." in html
    assert "leaves serverless on 30 Nov 2026, in 10 days" in html
    assert "Deploy Qwen/Qwen3-32B" in html


def test_the_timer_is_priced_by_what_others_did(desk: Desk, offered: CatalogueModel, operator_client: Client):
    busy = desk.endpoint("busy")
    desk.traffic(busy, per_minute=5, minutes=23 * 60)

    html = operator_client.get("/deploy/", fill(desk)).content.decode()
    off = operator_client.get("/deploy/", fill(desk, inactive_timeout=0)).content.decode()

    assert "assumes 2" in html
    assert "what 1 endpoint of yours would have run" in html
    assert "Stopped when idle" not in off


def test_who_may_not_operate_is_refused_and_other_teams_projects_are_no_choice(
    desk: Desk,
    offered: CatalogueModel,
    viewer_client: Client,
    finance_client: Client,
    other_operator_client: Client,
):
    assert viewer_client.get("/deploy/").status_code == 403
    assert send(finance_client, fill(desk)).status_code == 403
    response = other_operator_client.get("/deploy/?model=Qwen/Qwen3-32B")
    send(other_operator_client, fill(desk))

    assert "No project to deploy into" in response.content.decode()
    assert not StopAction.objects.exists()


def test_a_link_may_bring_hardware_and_bounds_of_a_v1_endpoint(
    desk: Desk, offered: CatalogueModel, operator_client: Client
):
    url = "/deploy/?model=Qwen/Qwen3-32B&hardware=2x_nvidia_h100_80gb_sxm&low=2&high=4&endpoint_name=faq"

    html = operator_client.get(url).content.decode()

    assert re.search(r'value="cr_2"\s+checked', html)
    assert re.search(r'name="min_replicas" value="2"', html)
    assert re.search(r'name="max_replicas" value="4"', html)
    assert 'value="faq"' in html
