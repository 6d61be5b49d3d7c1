"""Every field we name exists in the official SDK 3.1.1; v1 names come from the OpenAPI file of April 2026."""

from enum import StrEnum
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from together import types as sdk
from together.lib.types import fine_tuning as handwritten
from together.types import (
    batch_job,
    beta,
    cluster,
    cluster_list_regions_response,
    deployment_placement_config,
    deployment_status,
    endpoint_analytics_response,
    evaluation_job,
    file_response,
    fine_tuning_cancel_response,
    fine_tuning_estimate_price_response,
    fine_tuning_list_checkpoints_response,
    fine_tuning_list_metrics_response,
    fine_tuning_list_response,
    finetune_event,
    finetune_response,
    model_list_files_response,
    model_list_revisions_response,
    model_weights,
    post_training,
    supported_model,
    whoami_response,
)
from together.types import (
    clusters as sdk_clusters,
)
from together.types import (
    models as sdk_models,
)
from together.types.beta import deployment as jig
from together.types.chat import chat_completion_usage
from together.types.endpoints import inference_instance_type
from together.types.models import remote_upload_events_response
from together.types.organization import billing_usage_line_item, billing_usage_report, billing_usage_window
from together.types.post_training import (
    model_resources,
    model_resources_error,
    model_resources_estimate_cost_response,
    session,
    session_error,
)

from dashboard.together_api import stream
from dashboard.together_api.payloads import (
    analytics,
    base,
    batches,
    catalogue,
    clusters,
    containers,
    evaluations,
    files,
    fine_tunes,
    identity,
    rl,
    uploads,
    usage,
    v1,
    v2,
)

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
    (catalogue.ProjectModel, [sdk.Model], set()),
    (catalogue.ModelWeights, [model_weights.ModelWeights], set()),
    (catalogue.ModelConfig, [sdk_models.Config], set()),
    (catalogue.ConfigSelector, [sdk_models.Selector], set()),
    (catalogue.ModelCertification, [sdk_models.Certification], set()),
    # `steps_completed` and `total_steps` are in the SDK's hand-written type only (contract section 6).
    (
        fine_tunes.FineTune,
        [
            finetune_response.FinetuneResponse,
            fine_tuning_list_response.Data,
            fine_tuning_cancel_response.FineTuningCancelResponse,
        ],
        {"steps_completed", "total_steps"},
    ),
    (
        fine_tunes.TrainingType,
        [finetune_response.TrainingTypeFullTrainingType, finetune_response.TrainingTypeLoRaTrainingType],
        set(),
    ),
    (
        fine_tunes.TrainingMethod,
        [
            finetune_response.TrainingMethodTrainingMethodSft,
            finetune_response.TrainingMethodTrainingMethodDpo,
        ],
        set(),
    ),
    (fine_tunes.FineTuneProgress, [finetune_response.Progress], set()),
    (fine_tunes.FineTuneEvent, [finetune_event.FinetuneEvent], set()),
    (fine_tunes.FineTuneCheckpoint, [fine_tuning_list_checkpoints_response.Data], set()),
    (
        fine_tunes.FineTuneMetrics,
        [fine_tuning_list_metrics_response.FineTuningListMetricsResponse],
        set(),
    ),
    (
        fine_tunes.FineTunePriceEstimate,
        [
            fine_tuning_estimate_price_response.AvailableEstimate,
            fine_tuning_estimate_price_response.UnavailableEstimate,
        ],
        set(),
    ),
    (batches.Batch, [batch_job.BatchJob], set()),
    (evaluations.Evaluation, [evaluation_job.EvaluationJob], set()),
    (
        evaluations.EvaluationResults,
        [
            evaluation_job.ResultsEvaluationClassifyResults,
            evaluation_job.ResultsEvaluationScoreResults,
            evaluation_job.ResultsEvaluationCompareResults,
            evaluation_job.ResultsError,
        ],
        set(),
    ),
    (
        evaluations.AggregatedScores,
        [evaluation_job.ResultsEvaluationScoreResultsAggregatedScores],
        set(),
    ),
    (evaluations.EvaluationStatusUpdate, [evaluation_job.StatusUpdate], set()),
    # `Processed` is in the OpenAPI file only.
    (files.File, [file_response.FileResponse], {"Processed"}),
    (files.ValidationReport, [file_response.ValidationReport], set()),
    (
        uploads.ModelUpload,
        [
            sdk_models.RemoteUploadListResponse,
            sdk_models.RemoteUploadRetrieveResponse,
            sdk_models.RemoteUploadCreateResponse,
        ],
        set(),
    ),
    (uploads.UploadEvent, [remote_upload_events_response.Data], set()),
    (uploads.ModelRevision, [model_list_revisions_response.Data], set()),
    (uploads.RevisionProblem, [model_list_revisions_response.DataValidationError], set()),
    (uploads.ModelFiles, [model_list_files_response.ModelListFilesResponse], {"nextCursor"}),
    (uploads.ModelFile, [model_list_files_response.Data], set()),
    (clusters.Cluster, [cluster.Cluster], set()),
    (clusters.ClusterNode, [cluster.GPUWorkerNode, cluster.ControlPlaneNode], set()),
    (clusters.ClusterNode, [cluster.DeletedGPUWorkerNode, cluster.ControlPlaneNode], set()),
    (clusters.PhaseTransition, [cluster.PhaseTransition], set()),
    (clusters.PhaseTransition, [cluster.GPUWorkerNodePhaseTransition], set()),
    (clusters.NodeLifecycleEvent, [cluster.NodeLifecycleEvent], set()),
    (clusters.ClusterAddOn, [cluster.AddOn], set()),
    (clusters.ClusterVolume, [cluster.Volume], set()),
    (clusters.ClusterRegion, [cluster_list_regions_response.Region], set()),
    (clusters.DriverVersion, [cluster_list_regions_response.RegionDriverVersion], set()),
    (clusters.Volume, [sdk_clusters.ClusterStorage], set()),
    (containers.Container, [beta.Deployment], set()),
    (
        containers.ContainerAutoscaling,
        [
            jig.AutoscalingHTTPAutoscalingConfig,
            jig.AutoscalingQueueAutoscalingConfig,
            jig.AutoscalingCustomMetricAutoscalingConfig,
        ],
        set(),
    ),
    (containers.ContainerReplica, [jig.ReplicaEvents], set()),
    (containers.ContainerVolume, [jig.Volume], set()),
    (containers.EnvironmentVariable, [jig.EnvironmentVariable], set()),
    (rl.RlResource, [post_training.ModelResources], set()),
    (rl.RlComputeConfig, [model_resources.ComputeConfig], set()),
    (rl.RlStatusDetails, [model_resources.StatusDetails], set()),
    (rl.RlError, [model_resources_error.ModelResourcesError], set()),
    (rl.RlError, [session_error.SessionError], set()),
    (rl.RlSession, [session.Session], set()),
    (
        rl.RlCost,
        [model_resources_estimate_cost_response.ModelResourcesEstimateCostResponse],
        set(),
    ),
    # Recorded traffic (contract 11.1) carries these three; the SDK's type does not name them.
    (
        stream.ChatUsage,
        [chat_completion_usage.ChatCompletionUsage],
        {"reasoning_tokens", "cached_tokens", "prompt_tokens_details"},
    ),
]

# What the SDK promises and we leave out on purpose: secrets are dropped, the rest stays in `raw`.
LEFT_OUT: dict[type[base.Payload], set[str]] = {
    clusters.Cluster: {"kube_config"},
    clusters.ClusterAddOn: {"config", "state"},
    uploads.ModelUpload: {"remoteUrl"},
    rl.RlResource: {"optimizer_config"},
    rl.RlSession: {"inference_checkpoints", "training_checkpoints", "policy_state", "metadata"},
}
PAIR_NAMES = [f"{pair[0].__name__}-{pair[1][0].__name__}" for pair in PAIRS]


def wire_names(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def writes_snake_case(names: set[str]) -> bool:
    """Envelopes keep `next_cursor` beside camelCase (contract 1.1)."""
    return any("_" in name for name in names - {"next_cursor"})


def our_wire_names(model: type[BaseModel], *, snake_case: bool) -> set[str]:
    return {
        name if snake_case and info.alias == to_camel(name) else (info.alias or name)
        for name, info in model.model_fields.items()
    }


@pytest.mark.parametrize(("ours", "theirs", "extra"), PAIRS, ids=PAIR_NAMES)
def test_fields_exist_in_the_sdk(ours: type[base.Payload], theirs: list[Any], extra: set[str]):
    known = set().union(*(wire_names(model) for model in theirs))
    is_snake = writes_snake_case(known)

    assert our_wire_names(ours, snake_case=is_snake) - extra <= known


@pytest.mark.parametrize(("ours", "theirs", "extra"), PAIRS, ids=PAIR_NAMES)
def test_fields_that_the_sdk_promises_are_read(ours: type[base.Payload], theirs: list[Any], extra: set[str]):
    promised = {
        info.alias or name
        for model in theirs
        for name, info in model.model_fields.items()
        if info.is_required() and name not in {"object", "data"}
    }
    is_snake = writes_snake_case(set().union(*(wire_names(model) for model in theirs)))

    assert promised - LEFT_OUT.get(ours, set()) <= our_wire_names(ours, snake_case=is_snake)


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


# Ours, theirs, and the members of ours that only documentation names.
WORDS: list[tuple[type[StrEnum], Any, set[str]]] = [
    (fine_tunes.FineTuneStatus, finetune_response.FinetuneResponse.model_fields["status"], set()),
    (batches.BatchStatus, batch_job.BatchJob.model_fields["status"], set()),
    (evaluations.EvaluationStatus, evaluation_job.EvaluationJob.model_fields["status"], set()),
    (uploads.UploadStatus, sdk_models.RemoteUploadListResponse.model_fields["status"], set()),
    (clusters.ClusterStatus, cluster.Cluster.model_fields["status"], {"Queued", "Scheduled"}),
    (clusters.ClusterBilling, cluster.Cluster.model_fields["billing_type"], set()),
    (clusters.VolumeStatus, sdk_clusters.ClusterStorage.model_fields["status"], set()),
    (containers.ContainerStatus, beta.Deployment.model_fields["status"], set()),
    (rl.RlStatus, post_training.ModelResources.model_fields["status"], set()),
]


@pytest.mark.parametrize(
    ("ours", "field", "documented"), WORDS, ids=[f"{words[0].__name__}" for words in WORDS]
)
def test_states_of_the_other_resources_are_those_of_the_sdk(
    ours: type[StrEnum], field: Any, documented: set[str]
):
    annotation = field.annotation
    known = {word for member in (annotation, *get_args(annotation)) for word in get_args(member)}

    assert {state.value for state in ours} - documented == {word for word in known if isinstance(word, str)}


def test_steps_completed_is_in_the_hand_written_type():
    assert {"steps_completed", "total_steps"} <= wire_names(handwritten.FinetuneResponse)


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
    # JobInfoSuccessResponse and ModelUploadSuccessResponse.data.
    (
        uploads.V1Job,
        {"type", "job_id", "status", "status_updates", "args", "created_at", "updated_at"},
    ),
    (uploads.V1JobUpdate, {"status", "message", "timestamp"}),
    (uploads.V1JobArguments, {"model_name", "model_source", "description"}),
    (uploads.V1UploadTicket, {"job_id", "model_name", "model_id", "model_source"}),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "names"), V1_NAMES, ids=[pair[0].__name__ for pair in V1_NAMES])
def test_v1_fields_are_those_of_the_specification(ours: type[base.Payload], names: set[str]):
    assert set(ours.model_fields) == names
