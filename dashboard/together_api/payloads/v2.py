"""v2 endpoints, deployments and events (contract 3.2, 3.3, 3.6; SDK 3.1.1 types named in each docstring)."""

from enum import StrEnum

from dashboard.together_api.payloads.base import Items, Payload, Resource, Text, Timestamp


class DeploymentState(StrEnum):
    """Known values of a deployment's state; fields are plain `str` so that a new member survives."""

    PROVISIONING = "DEPLOYMENT_STATE_PROVISIONING"
    READY = "DEPLOYMENT_STATE_READY"
    SCALING = "DEPLOYMENT_STATE_SCALING"
    DEGRADED = "DEPLOYMENT_STATE_DEGRADED"
    FAILED = "DEPLOYMENT_STATE_FAILED"
    STOPPED = "DEPLOYMENT_STATE_STOPPED"
    STOPPING = "DEPLOYMENT_STATE_STOPPING"


class ScalingPolicy(Payload):
    """SDK `scaling_policy.ScalingPolicy`."""

    type: Text = ""
    value: int | None = None
    period_seconds: int | None = None


class ScalingRules(Payload):
    """SDK `scaling_rules.ScalingRules`."""

    policies: Items[ScalingPolicy] = ()
    select_policy: str | None = None


class ScalingMetric(Payload):
    """SDK `scaling_metric.ScalingMetric`; utilisation targets are 0-100."""

    name: Text = ""
    type: Text = ""
    target: float | None = None
    percentile: str | None = None


class Autoscaling(Payload):
    """SDK `deployment_autoscaling.DeploymentAutoscaling`; bounds 0/0 = stopped; windows are text like "300s"."""

    min_replicas: int | None = None
    max_replicas: int | None = None
    scale_up_window: str | None = None
    scale_down_window: str | None = None
    scale_to_zero_window: str | None = None
    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None
    scaling_metrics: Items[ScalingMetric] = ()


class TrafficSplitEntry(Payload):
    """SDK `endpoint_traffic_split_entry.EndpointTrafficSplitEntry`."""

    deployment_id: Text = ""
    weight: float | None = None


class DeploymentSummary(Payload):
    """SDK `endpoint_deployment_summary.EndpointDeploymentSummary`: the newest ten, embedded in an endpoint."""

    id: Text
    name: Text = ""
    state: Text = ""
    model: Text = ""
    model_id: Text = ""
    hardware: str | None = None
    traffic_mode: Text = ""
    autoscaling: Autoscaling | None = None
    desired_replicas: int | None = None
    ready_replicas: int | None = None
    estimated_effective_traffic_share: float | None = None
    created_at: Timestamp = None


class Endpoint(Resource):
    """SDK `endpoint.Endpoint`: a name and a traffic split over deployments; costs nothing by itself."""

    id: Text
    project_id: Text = ""
    name: Text = ""
    etag: Text = ""
    endpoint_type: Text = ""
    visibility: Text = ""
    active_rollout_id: str | None = None
    traffic_split: Items[TrafficSplitEntry] = ()
    deployments: Items[DeploymentSummary] = ()
    created_at: Timestamp = None
    updated_at: Timestamp = None


class RegionReplicas(Payload):
    """SDK `deployment_status.DetailsRegion`."""

    region: Text = ""
    ready_replicas: int | None = None
    scheduled_replicas: int | None = None


class StatusDetails(Payload):
    """SDK `deployment_status.Details`."""

    region: Items[RegionReplicas] = ()


class DeploymentStatus(Payload):
    """SDK `deployment_status.DeploymentStatus`; `ready_replicas` is what bills (contract section 2)."""

    state: Text = ""
    message: Text = ""
    ready_replicas: int | None = None
    scheduled_replicas: int | None = None
    details: StatusDetails | None = None


class CompliancePolicy(Payload):
    """SDK `deployment_placement_config.CompliancePolicy`."""

    hipaa: bool | None = None


class PlacementRules(Payload):
    """SDK `deployment_placement_config.DeploymentPlacementConfig`."""

    regions: Items[str] = ()
    constraint: str | None = None
    compliance_policy: CompliancePolicy | None = None


class Placement(Payload):
    """SDK `endpoint_deployment.Placement` (a union there): inline rules or the id of a saved profile."""

    inline: PlacementRules | None = None
    profile: str | None = None


class RuntimeInfo(Payload):
    """SDK `runtime_info.RuntimeInfo`."""

    engine_type: str | None = None
    engine_version: str | None = None
    function_calling_supported: bool | None = None
    structured_output_supported: bool | None = None


class Deployment(Resource):
    """SDK `endpoint_deployment.EndpointDeployment`: the thing that costs money.

    `inactive_timeout` is minutes, 0 or None = off. `desired_replicas` is what was asked for, not what bills.
    `max_concurrent_requests_per_replica` travels as digits in a string.
    """

    id: Text
    project_id: Text = ""
    endpoint_id: Text = ""
    name: Text = ""
    etag: Text = ""
    model: Text = ""
    model_id: Text = ""
    model_revision_id: Text = ""
    config: Text = ""
    config_id: Text = ""
    hardware: Text = ""
    traffic_mode: Text = ""
    autoscaling: Autoscaling | None = None
    status: DeploymentStatus | None = None
    desired_replicas: int | None = None
    estimated_effective_traffic_share: float | None = None
    inactive_timeout: int | None = None
    max_concurrent_requests_per_replica: int | None = None
    placement: Placement | None = None
    runtime_info: RuntimeInfo | None = None
    speculator: str | None = None
    speculator_id: str | None = None
    speculator_revision_id: str | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None

    @property
    def state(self) -> str:
        """The provider's state word, "" when the body has no status."""
        return self.status.state if self.status else ""

    @property
    def ready_replicas(self) -> int | None:
        """Replicas that bill right now, None when the body does not say."""
        return self.status.ready_replicas if self.status else None


class EndpointEvent(Resource):
    """SDK `endpoint_list_events_response.EndpointListEventsResponse`; `type` is an open set, there is no actor."""

    id: Text
    endpoint_id: Text = ""
    deployment_id: str | None = None
    created_at: Timestamp = None
    type: Text = ""
    level: Text = ""
    source: Text = ""
    source_kind: Text = ""
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    name: str | None = None
    old_replicas: int | None = None
    new_replicas: int | None = None
    paths: Items[str] = ()
    replica_id: str | None = None
    node_id: str | None = None
    cluster_id: str | None = None
    container_name: str | None = None
    service_type: str | None = None
    log_excerpt: str | None = None
    subject_id: str | None = None
    version: int | None = None
