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


class ModelWeights(Payload):
    """SDK `model_weights.ModelWeights`; `context_length` travels as digits in a string."""

    type: str | None = None
    architecture: str | None = None
    context_length: int | None = None


class ProjectModel(Resource):
    """SDK `model.Model`: a model that a project owns (uploaded or fine-tuned); neither time nor size (contract 3.8)."""

    id: Text
    name: Text = ""
    project_id: Text = ""
    organization_id: Text = ""
    visibility: Text = ""
    base_model: Text = ""
    base_model_id: Text = ""
    description: str | None = None
    weights: ModelWeights | None = None


class ConfigSelector(Payload):
    """SDK `models.selector.Selector`."""

    key: Text = ""
    value: str | None = None


class ModelCertification(Payload):
    """SDK `models.certification.Certification`: whether model and config were tested together."""

    certification_type: Text = ""
    certified_at: Timestamp = None
    certified_by: Text = ""
    model: Text = ""
    model_revision_id: Text = ""
    target: Text = ""


class ModelConfig(Resource):
    """SDK `models.config.Config`: how a model runs; `reference_model` and `draft_model` are resource names."""

    id: Text
    project_id: Text = ""
    reference_model: Text = ""
    reference_model_id: Text = ""
    draft_model: str | None = None
    selectors: Items[ConfigSelector] = ()
    certifications: Items[ModelCertification] = ()

    @property
    def hardware(self) -> str | None:
        """The hardware name "<count>x<type>" as deployments spell it (contract 3.3), None when a selector lacks."""
        values = {selector.key: selector.value for selector in self.selectors}
        count, kind = values.get("accelerator_count"), values.get("accelerator_type")
        return f"{count}x{kind}" if count and kind else None
