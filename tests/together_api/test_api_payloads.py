"""Bodies survive what real APIs do to them: unknown fields and members, nulls, digits as text, both casings."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dashboard.together_api.payloads import (
    Analytics,
    Deployment,
    DeploymentState,
    Endpoint,
    EndpointEvent,
    InstanceType,
    Model,
    Page,
    Project,
    Resource,
    SupportedModel,
    UsageWindow,
    V1Endpoint,
    V1Hardware,
    Whoami,
    fingerprint,
    parse_items,
)

# The example bodies of the contract (sections 3.2-3.8, 4, 10), completed where it abbreviates.
DEPLOYMENT: dict[str, Any] = {
    "id": "dep_3XvT1",
    "projectId": "proj_4Kq9prod",
    "endpointId": "ep_8mZq2",
    "name": "acme-prod/support-bot/qwen-h100",
    "etag": "W1a9d0",
    "model": "projects/proj_platform/models/ml_CbJNwQC2Zq/revisions/rv_91aLs",
    "modelId": "ml_CbJNwQC2Zq",
    "modelRevisionId": "rv_91aLs",
    "config": "projects/proj_platform/configs/cr_1",
    "configId": "cr_1",
    "hardware": "1xnvidia-h100-80gb",
    "desiredReplicas": 2,
    "inactiveTimeout": 60,
    "trafficMode": "TRAFFIC_MODE_LIVE",
    "autoscaling": {
        "minReplicas": 1,
        "maxReplicas": 3,
        "scaleDownWindow": "300s",
        "scalingMetrics": [
            {"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}
        ],
    },
    "status": {
        "state": "DEPLOYMENT_STATE_READY",
        "message": "All replicas ready",
        "readyReplicas": 2,
        "scheduledReplicas": 2,
        "details": {"region": [{"region": "us-east-1", "readyReplicas": 2, "scheduledReplicas": 2}]},
    },
    "maxConcurrentRequestsPerReplica": "63",
    "placement": {"inline": {"regions": ["us-east-1"], "compliancePolicy": {"hipaa": True}}},
    "createdAt": "2026-11-20T09:00:00Z",
    "updatedAt": "2026-11-20T09:00:00.123456789Z",
}
ENDPOINT: dict[str, Any] = {
    "id": "ep_8mZq2",
    "projectId": "proj_4Kq9prod",
    "name": "acme-prod/support-bot",
    "endpointType": "ENDPOINT_TYPE_DEDICATED",
    "visibility": "VISIBILITY_PRIVATE",
    "etag": "W7f3c1",
    "createdAt": "2026-11-20T09:00:00Z",
    "updatedAt": "2026-11-20T09:00:00Z",
    "trafficSplit": [{"deploymentId": "dep_3XvT1", "weight": 1}],
    "deployments": [
        {
            "id": "dep_3XvT1",
            "name": "acme-prod/support-bot/qwen-h100",
            "state": "DEPLOYMENT_STATE_READY",
            "model": "projects/p/models/m/revisions/r",
            "modelId": "ml_CbJNwQC2Zq",
            "hardware": "1xnvidia-h100-80gb",
            "trafficMode": "TRAFFIC_MODE_LIVE",
            "estimatedEffectiveTrafficShare": 1.0,
            "desiredReplicas": 2,
            "readyReplicas": 2,
            "autoscaling": {"minReplicas": 1, "maxReplicas": 3},
            "createdAt": "2026-11-20T09:00:00Z",
        }
    ],
}
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "endpointId": "ep_8mZq2",
    "deploymentId": "dep_3XvT1",
    "sourceKind": "SOURCE_KIND_DEPLOYMENT",
    "source": "autoscaler",
    "type": "deployment.scaled",
    "level": "LEVEL_INFO",
    "createdAt": "2026-11-20T09:00:00Z",
    "message": "Scaled from 1 to 2",
    "oldReplicas": 1,
    "newReplicas": 2,
}
V1_ENDPOINT: dict[str, Any] = {
    "object": "endpoint",
    "id": "endpoint-d23901de-ef8f-44bf-b3e7-de9c1ca8f2d7",
    "name": "acme/Qwen/Qwen3.5-9B-FP8-a32b82a1",
    "display_name": "Support bot (v1)",
    "model": "Qwen/Qwen3.5-9B-FP8",
    "hardware": "1x_nvidia_h100_80gb_sxm",
    "type": "dedicated",
    "owner": "acme",
    "state": "STARTED",
    "autoscaling": {"min_replicas": 1, "max_replicas": 2},
    "created_at": "2026-03-04T10:43:55.405Z",
}
V1_HARDWARE: dict[str, Any] = {
    "object": "hardware",
    "id": "1x_nvidia_h100_80gb_sxm",
    "pricing": {"cents_per_minute": 9.15},
    "specs": {"gpu_type": "h100-80gb", "gpu_link": "sxm", "gpu_memory": 80, "gpu_count": 1},
    "availability": {"status": "available"},
    "updated_at": "2026-11-20T09:00:00Z",
}
INSTANCE_TYPE: dict[str, Any] = {
    "id": "it_h100x1",
    "name": "1xnvidia-h100-80gb",
    "gpuType": "H100",
    "gpuCount": 1,
    "gpuMemoryGib": 80,
    "priceCentsPerHour": 549,
    "description": "One H100",
    "regions": [{"name": "us-east-1", "headroom": {"value": 4, "relation": "RELATION_GTE"}}],
}
USAGE_WINDOW: dict[str, Any] = {
    "date": "2026-11-19",
    "start_time": "2026-11-19T00:00:00Z",
    "end_time": "2026-11-20T00:00:00Z",
    "line_items": [
        {
            "product_name": "Dedicated Inference - H100",
            "quantity": "48",
            "unit_price": "5.49",
            "cost": "263.52",
            "pricing_dimensions": {"hardware": "1xnvidia-h100-80gb"},
            "attributes": {"endpoint_id": "ep_8mZq2", "deployment_id": "dep_3XvT1"},
            "applied_credit": {"type": "PREPAID"},
        }
    ],
}
ANALYTICS: dict[str, Any] = {
    "endpointId": "ep_8mZq2",
    "timeRange": {"startTime": "2026-11-20T08:00:00Z", "endTime": "2026-11-20T09:00:00Z"},
    "metrics": {
        "requestMetrics": {"totalRequests": "12", "requestsByStatusCode": {"200": "11", "500": "1"}},
        "tokenMetrics": {"totalInputTokens": "9007199254740993"},
        "latencyMetrics": {"ttftP50Ms": 120.5},
    },
    "timeSeries": [{"timestamp": "2026-11-20T08:00:00Z", "values": {"requests": 3.0, "odd": None}}],
}
MODEL: dict[str, Any] = {"id": "openai/gpt-oss-20b", "created": 0, "pricing": {"input": 0.05, "hourly": 0}}
SUPPORTED: dict[str, Any] = {
    "id": "arch_1",
    "name": "openai/gpt-oss-20b",
    "status": "SUPPORTED_MODEL_STATUS_RECOMMENDED",
    "contextLength": "131072",
    "pricing": {"input": 1.0399999999999998},
    "deploymentProfiles": [{"profileId": "p", "gpuType": "H100", "gpuCount": 1, "modelName": "x"}],
    "createdAt": "2026-11-20T09:00:00Z",
}
PROJECT: dict[str, Any] = {"id": "proj_1", "name": "Prod", "slug": "prod", "organization_id": "org_1"}

SAMPLES: list[tuple[type[Resource], dict[str, Any]]] = [
    (Deployment, DEPLOYMENT),
    (Endpoint, ENDPOINT),
    (EndpointEvent, EVENT),
    (V1Endpoint, V1_ENDPOINT),
    (V1Hardware, V1_HARDWARE),
    (InstanceType, INSTANCE_TYPE),
    (UsageWindow, USAGE_WINDOW),
    (Analytics, ANALYTICS),
    (Model, MODEL),
    (SupportedModel, SUPPORTED),
    (Project, PROJECT),
]
IDENTITIES = {"id", "start_time", "end_time"}


def test_deployment_reads_nested_parts_and_digits_as_text():
    deployment = Deployment.parse(DEPLOYMENT)

    assert deployment.state == DeploymentState.READY
    assert deployment.ready_replicas == 2
    assert deployment.max_concurrent_requests_per_replica == 63
    assert deployment.autoscaling is not None
    assert (deployment.autoscaling.min_replicas, deployment.autoscaling.max_replicas) == (1, 3)
    assert deployment.autoscaling.scaling_metrics[0].target == 8
    assert deployment.updated_at == datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
    assert deployment.raw is DEPLOYMENT


def test_prices_are_exact_decimals_never_floats():
    assert V1Hardware.parse(V1_HARDWARE).pricing.cents_per_minute == Decimal("9.15")  # type: ignore[union-attr]
    assert InstanceType.parse(INSTANCE_TYPE).price_cents_per_hour == Decimal(549)
    line = UsageWindow.parse(USAGE_WINDOW).line_items[0]
    assert (line.quantity, line.unit_price, line.cost) == (Decimal(48), Decimal("5.49"), Decimal("263.52"))
    assert SupportedModel.parse(SUPPORTED).pricing.input == Decimal("1.0399999999999998")  # type: ignore[union-attr]


def test_analytics_counters_beyond_double_precision_stay_exact():
    analytics = Analytics.parse(ANALYTICS)

    assert analytics.metrics is not None
    assert analytics.metrics.token_metrics is not None
    assert analytics.metrics.token_metrics.total_input_tokens == 9007199254740993
    assert analytics.metrics.request_metrics is not None
    assert analytics.metrics.request_metrics.requests_by_status_code == {"200": 11, "500": 1}
    assert analytics.metrics.request_metrics.failed_requests is None, "missing is not zero"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T09:00:00Z", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("2026-11-20T10:00:00+01:00", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("2026-11-20T09:00:00.5", datetime(2026, 11, 20, 9, 0, 0, 500_000, tzinfo=UTC)),
        (1780235459, datetime(2026, 5, 31, 13, 50, 59, tzinfo=UTC)),
        ("", None),
        (0, None),
        ("0001-01-01T00:00:00Z", None),
        (None, None),
    ],
)
def test_times_come_as_aware_utc_in_every_spelling_of_the_contract(text: Any, moment: datetime | None):
    parsed = Endpoint.parse({"id": "ep", "createdAt": text}).created_at

    assert parsed == moment
    assert parsed is None or parsed.tzinfo is UTC


@given(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_any_rfc3339_time_is_read_back_as_the_same_instant(moment: datetime, offset_minutes: int):
    text = moment.astimezone(timezone(timedelta(minutes=offset_minutes))).isoformat()

    assert Endpoint.parse({"id": "ep", "createdAt": text}).created_at == moment


@pytest.mark.parametrize(("model", "body"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_null_in_any_field_but_the_identity_is_survived(model: type[Resource], body: dict[str, Any]):
    for name in body.keys() - IDENTITIES:
        model.parse({**body, name: None})
    without = {name: value for name, value in body.items() if name in IDENTITIES}
    model.parse(without)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
unknown_fields = st.dictionaries(
    st.text(alphabet="abcxyz", min_size=1, max_size=6).map("zz".__add__), json_values, max_size=4
)


@given(st.sampled_from(SAMPLES), unknown_fields)
def test_unknown_fields_change_nothing_and_are_kept(
    sample: tuple[type[Resource], dict[str, Any]], extra: dict[str, Any]
):
    model, body = sample

    parsed = model.parse({**body, **extra})

    known = {name: getattr(parsed, name) for name in model.model_fields}
    assert known == {name: getattr(model.parse(body), name) for name in model.model_fields}
    assert parsed.raw == {**body, **extra}


@given(st.text(min_size=1))
def test_unknown_enum_members_survive_as_plain_text(member: str):
    deployment = Deployment.parse({**DEPLOYMENT, "status": {"state": member}, "trafficMode": member})
    endpoint = Endpoint.parse({**ENDPOINT, "endpointType": member, "visibility": member})

    assert (deployment.state, deployment.traffic_mode) == (member, member)
    assert (endpoint.endpoint_type, endpoint.visibility) == (member, member)
    assert V1Endpoint.parse({**V1_ENDPOINT, "state": member}).state == member


@given(json_values)
def test_no_entry_can_break_a_page(entry: Any):
    page = Page(model=Deployment, entries=(DEPLOYMENT, entry, DEPLOYMENT), next_cursor=None, envelope={})

    assert len(page.items) + len(page.malformed) == 3
    assert page.items[0].id == "dep_3XvT1"


def test_a_malformed_item_keeps_its_body_its_id_and_a_reason():
    bad = {**DEPLOYMENT, "id": "dep_bad", "autoscaling": {"minReplicas": "many"}}

    items, malformed = parse_items(Deployment, [DEPLOYMENT, bad, "text"])

    assert [item.id for item in items] == ["dep_3XvT1"]
    assert [(item.id, item.raw) for item in malformed] == [("dep_bad", bad), (None, "text")]
    assert "autoscaling.minReplicas" in malformed[0].error
    assert "many" not in malformed[0].error, "values stay out of messages"


def test_numbers_in_optional_text_are_read_and_in_promised_text_are_malformed():
    metric = {"name": "ttft", "type": "METRIC_TARGET_TYPE_VALUE", "target": 5, "percentile": 95}
    deployment = Deployment.parse({"id": "dep_1", "autoscaling": {"scalingMetrics": [metric]}})

    _, malformed = parse_items(Endpoint, [{"id": "ep_1", "name": 17}, {"id": 5}])

    assert deployment.autoscaling is not None
    assert deployment.autoscaling.scaling_metrics[0].percentile == "95"
    assert [item.id for item in malformed] == ["ep_1", None]


def test_items_parse_lazily_and_raw_items_never_parse():
    page = Page(model=Deployment, entries=({"id": 1.5j},), next_cursor=None, envelope={})

    assert page.raw_items == ({"id": 1.5j},)
    assert "_parsed" not in page.__dict__
    assert page.malformed
    assert page.items == ()


def test_payloads_are_frozen():
    with pytest.raises(ValidationError):
        Deployment.parse(DEPLOYMENT).etag = "other"


@pytest.mark.parametrize("casing", ["camelCase", "snake_case"])
def test_both_casings_are_read(casing: str):
    body = (
        {"id": "d", "inactiveTimeout": 30, "autoscaling": {"minReplicas": 2}}
        if casing == "camelCase"
        else {"id": "d", "inactive_timeout": 30, "autoscaling": {"min_replicas": 2}}
    )

    deployment = Deployment.parse(body)

    assert deployment.inactive_timeout == 30
    assert deployment.autoscaling is not None
    assert deployment.autoscaling.min_replicas == 2


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5), st.randoms())
def test_fingerprint_depends_on_content_and_not_on_order(body: dict[str, Any], random: Any):
    names = list(body)
    random.shuffle(names)

    assert fingerprint({name: body[name] for name in names}) == fingerprint(body)
    assert len(fingerprint(body)) == 16
    assert fingerprint({**body, "another-field": 1}) != fingerprint(body)


def test_fingerprint_sees_a_change_deep_inside():
    changed = orjson.loads(orjson.dumps(DEPLOYMENT))
    changed["status"]["details"]["region"][0]["readyReplicas"] = 1

    assert fingerprint(changed) != fingerprint(DEPLOYMENT)
    assert Deployment.parse(DEPLOYMENT).fingerprint == fingerprint(DEPLOYMENT)


def test_both_whoami_bodies_give_the_same_identity():
    nested = {
        "type": "project_api_key",
        "api_key": {"id": "key_1"},
        "organization": {"id": "org_1", "name": "Acme"},
        "project": {"id": "proj_1", "name": "Prod", "slug": "prod"},
    }
    flat = {
        "api_key_id": "key_1",
        "organization_id": "org_1",
        "organization_name": "Acme",
        "project_id": "proj_1",
        "project_name": "Prod",
        "project_slug": "prod",
    }

    assert Whoami.from_flat(flat).model_dump() == Whoami.parse(nested).model_dump()
    organization_wide = Whoami.from_flat({"api_key_id": "k", "organization_id": "org_1"})
    assert (organization_wide.type, organization_wide.project_id) == ("org_api_key", None)
