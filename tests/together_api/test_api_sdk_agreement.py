"""Every field we name exists in the official SDK 3.1.1; v1 names come from the OpenAPI file of April 2026."""

from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from together import types as sdk
from together.types import (
    deployment_placement_config,
    deployment_status,
    endpoint_analytics_response,
    supported_model,
    whoami_response,
)
from together.types.chat import chat_completion_usage
from together.types.endpoints import inference_instance_type
from together.types.organization import billing_usage_line_item, billing_usage_report, billing_usage_window

from dashboard.together_api import stream
from dashboard.together_api.payloads import analytics, base, catalogue, identity, usage, v1, v2

# Ours, theirs, and the fields of ours that other evidence than the SDK supports.
PAIRS: list[tuple[type[base.Payload], list[Any], set[str]]] = [
    (v2.Endpoint, [sdk.Endpoint], set()),
    (v2.DeploymentSummary, [sdk.EndpointDeploymentSummary], set()),
    (v2.TrafficSplitEntry, [sdk.EndpointTrafficSplitEntry], set()),
    (v2.Deployment, [sdk.EndpointDeployment], set()),
    (v2.DeploymentStatus, [sdk.DeploymentStatus], set()),
    (v2.StatusDetails, [deployment_status.Details], set()),
    (v2.RegionReplicas, [deployment_status.DetailsRegion], set()),
    (v2.Autoscaling, [sdk.DeploymentAutoscaling], set()),
    (v2.ScalingRules, [sdk.ScalingRules], set()),
    (v2.ScalingPolicy, [sdk.ScalingPolicy], set()),
    (v2.ScalingMetric, [sdk.ScalingMetric], set()),
    (v2.PlacementRules, [sdk.DeploymentPlacementConfig], set()),
    (v2.CompliancePolicy, [deployment_placement_config.CompliancePolicy], set()),
    (
        v2.Placement,
        [sdk.endpoint_deployment.PlacementInline, sdk.endpoint_deployment.PlacementProfile],
        set(),
    ),
    (v2.RuntimeInfo, [sdk.RuntimeInfo], set()),
    (v2.EndpointEvent, [sdk.EndpointListEventsResponse], set()),
    (analytics.Analytics, [sdk.EndpointAnalyticsResponse], set()),
    (analytics.Metrics, [endpoint_analytics_response.Metrics], {"deploymentId"}),
    (analytics.DeploymentAnalytics, [endpoint_analytics_response.DeploymentAnalytics], set()),
    (analytics.MetricsOfDeployment, [sdk.DeploymentMetrics], set()),
    (analytics.RequestMetrics, [sdk.RequestMetrics], set()),
    (analytics.TokenMetrics, [sdk.TokenMetrics], set()),
    (analytics.LatencyMetrics, [sdk.LatencyMetrics], set()),
    (analytics.ThroughputMetrics, [sdk.ThroughputMetrics], set()),
    (analytics.ResourceUtilization, [sdk.ResourceUtilization], set()),
    (analytics.ErrorMetrics, [sdk.ErrorMetrics], set()),
    (analytics.TimeRange, [sdk.MetricsTimeRange], set()),
    (analytics.TimeSeriesPoint, [sdk.TimeSeriesDataPoint], set()),
    (catalogue.InstanceType, [inference_instance_type.InferenceInstanceType], set()),
    (catalogue.InstanceRegion, [inference_instance_type.Region], set()),
    (catalogue.Headroom, [inference_instance_type.RegionHeadroom], set()),
    (catalogue.ComplianceHeadroom, [inference_instance_type.RegionCompliance], set()),
    (catalogue.CompliancePolicyRef, [inference_instance_type.RegionCompliancePolicy], set()),
    (catalogue.SupportedModel, [sdk.SupportedModel], set()),
    (catalogue.SupportedModelPricing, [supported_model.Pricing], set()),
    (catalogue.DeploymentProfile, [sdk.SupportedModelDeploymentProfile], set()),
    (catalogue.PerformanceBenchmarks, [sdk.SupportedModelPerformanceBenchmarks], set()),
    (usage.UsageReport, [billing_usage_report.BillingUsageReport], set()),
    (usage.UsageWindow, [billing_usage_window.BillingUsageWindow], set()),
    (usage.UsageLine, [billing_usage_line_item.BillingUsageLineItem], set()),
    (usage.AppliedCredit, [billing_usage_line_item.AppliedCredit], set()),
    (identity.Project, [sdk.Project], set()),
    (identity.ApiKeyRef, [sdk.whoami_api_key.WhoamiAPIKey], set()),
    (identity.OrganizationRef, [sdk.whoami_organization.WhoamiOrganization], set()),
    (identity.ProjectRef, [sdk.whoami_project.WhoamiProject], set()),
    (identity.UserRef, [sdk.whoami_user.WhoamiUser], set()),
    # Recorded traffic (contract 11.1) carries these three; the SDK's type does not name them.
    (
        stream.ChatUsage,
        [chat_completion_usage.ChatCompletionUsage],
        {"reasoning_tokens", "cached_tokens", "prompt_tokens_details"},
    ),
]


def wire_names(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def our_wire_names(model: type[BaseModel], *, snake_case: bool) -> set[str]:
    return {name if snake_case else (info.alias or name) for name, info in model.model_fields.items()}


@pytest.mark.parametrize(("ours", "theirs", "extra"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_fields_exist_in_the_sdk(ours: type[base.Payload], theirs: list[Any], extra: set[str]):
    known = set().union(*(wire_names(model) for model in theirs))
    is_snake = any("_" in name for name in known)

    assert our_wire_names(ours, snake_case=is_snake) - extra <= known


@pytest.mark.parametrize(("ours", "theirs", "extra"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_fields_that_the_sdk_promises_are_read(ours: type[base.Payload], theirs: list[Any], extra: set[str]):
    promised = {
        info.alias or name
        for model in theirs
        for name, info in model.model_fields.items()
        if info.is_required() and name not in {"object", "data"}
    }
    is_snake = any("_" in name for model in theirs for name in wire_names(model))

    assert promised <= our_wire_names(ours, snake_case=is_snake)


def test_whoami_reads_every_variant_of_the_sdk():
    union = get_args(whoami_response.WhoamiResponse)[0]
    variants = get_args(union)

    assert get_origin(union) is not None
    assert len(variants) == 5
    for variant in variants:
        assert wire_names(variant) <= our_wire_names(identity.Whoami, snake_case=True)


def test_deployment_states_are_those_of_the_sdk():
    literal = sdk.DeploymentStatus.model_fields["state"].annotation

    assert {state.value for state in v2.DeploymentState} == set(get_args(literal))


# OpenAPI of 28 April 2026: schemas DedicatedEndpoint, ListEndpoint, HardwareWithStatus, EndpointPricing,
# HardwareSpec, HardwareAvailability, Autoscaling; `inactive_timeout` is in the PATCH body and SDK 2.41's type.
V1_NAMES: list[tuple[type[base.Payload], set[str]]] = [
    (
        v1.V1Endpoint,
        {
            "object", "id", "name", "display_name", "model", "hardware", "type", "owner", "state", "autoscaling",
            "created_at", "inactive_timeout",
        },
    ),
    (v1.V1Autoscaling, {"min_replicas", "max_replicas"}),
    (v1.V1Hardware, {"object", "id", "pricing", "specs", "availability", "updated_at"}),
    (v1.HardwarePricing, {"cents_per_minute"}),
    (v1.HardwareSpecs, {"gpu_type", "gpu_link", "gpu_memory", "gpu_count"}),
    (v1.HardwareAvailability, {"status"}),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "names"), V1_NAMES, ids=[pair[0].__name__ for pair in V1_NAMES])
def test_v1_fields_are_those_of_the_specification(ours: type[base.Payload], names: set[str]):
    assert set(ours.model_fields) == names
