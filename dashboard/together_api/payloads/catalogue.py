"""What can be rented and what can run on it (contract 3.8)."""

from decimal import Decimal

from dashboard.together_api.payloads.base import Items, Payload, Resource, Text, Timestamp


class Headroom(Payload):
    """SDK `inference_instance_type.RegionHeadroom`: best-effort count of further replicas; RELATION_GTE = at least."""

    value: int | None = None
    relation: Text = ""


class CompliancePolicyRef(Payload):
    """SDK `inference_instance_type.RegionCompliancePolicy`."""

    hipaa: bool | None = None


class ComplianceHeadroom(Payload):
    """SDK `inference_instance_type.RegionCompliance`; entries overlap, never sum them."""

    policy: CompliancePolicyRef | None = None
    headroom: Headroom | None = None


class InstanceRegion(Payload):
    """SDK `inference_instance_type.Region`."""

    name: Text = ""
    headroom: Headroom | None = None
    compliance: Items[ComplianceHeadroom] = ()


class InstanceType(Resource):
    """SDK `endpoints.inference_instance_type.InferenceInstanceType`.

    `price_cents_per_hour` is US cents per hour for one running replica (of `gpu_count` GPUs); None = price unknown.
    """

    id: Text
    name: Text = ""
    description: Text = ""
    gpu_type: Text = ""
    gpu_count: int | None = None
    gpu_memory_gib: int | None = None
    price_cents_per_hour: Decimal | None = None
    regions: Items[InstanceRegion] = ()


class SupportedModelPricing(Payload):
    """SDK `supported_model.Pricing`, USD per 1 M tokens."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None


class PerformanceBenchmarks(Payload):
    """SDK `supported_model_performance_benchmarks.SupportedModelPerformanceBenchmarks`."""

    decoding_speed_tps: float | None = None
    max_context_length: int | None = None
    time_to_first_token_ms: int | None = None


class DeploymentProfile(Payload):
    """SDK `supported_model_deployment_profile.SupportedModelDeploymentProfile`: a tested model + config pair."""

    profile_id: Text = ""
    config: Text = ""
    model: Text = ""
    model_name: Text = ""
    gpu_type: Text = ""
    gpu_count: int | None = None
    parallelism: Text = ""
    quantization: Text = ""
    certified_config_revision_id: Text = ""
    certified_model_revision_id: Text = ""
    adapter_mode: str | None = None
    performance_benchmarks: PerformanceBenchmarks | None = None


class SupportedModel(Resource):
    """SDK `supported_model.SupportedModel`; `context_length` travels as digits in a string."""

    id: Text
    name: Text = ""
    display_name: Text = ""
    display_type: Text = ""
    publisher: Text = ""
    status: Text = ""
    description: str | None = None
    base_model: Text = ""
    base_model_id: Text = ""
    architecture: str | None = None
    products: Items[str] = ()
    capabilities: Items[str] = ()
    features: Items[str] = ()
    input_modalities: Items[str] = ()
    output_modalities: Items[str] = ()
    context_length: int | None = None
    pricing: SupportedModelPricing | None = None
    deployment_profiles: Items[DeploymentProfile] = ()
    created_at: Timestamp = None
    updated_at: Timestamp = None


class ProjectModel(Resource):
    """SDK `projects.model.Model`: a model that a project owns (uploaded or fine-tuned); contract 3.8."""

    id: Text
    name: Text = ""
    project_id: Text = ""
    organization_id: Text = ""
    visibility: Text = ""
    base_model: Text = ""
    base_model_id: Text = ""
    description: str | None = None
