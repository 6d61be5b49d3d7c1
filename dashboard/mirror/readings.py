"""Read typed bodies of the provider into the columns of the mirror. Pure.

What bills is decided here, once (contract section 2): a v2 deployment bills its ready replicas in whatever state
it says it is; a v1 endpoint bills while STARTED, and only its bounds are known; a state we do not know counts as
running until it is known.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard.together_api import payloads

# States in which a v2 deployment certainly has no ready replica, even when the body does not count them.
_V2_NOT_BILLED = frozenset(
    {
        payloads.DeploymentState.PROVISIONING,
        payloads.DeploymentState.STOPPED,
        payloads.DeploymentState.FAILED,
    }
)
_V1_NOT_BILLED = frozenset(
    {
        payloads.V1EndpointState.PENDING,
        payloads.V1EndpointState.STARTING,
        payloads.V1EndpointState.STOPPING,
        payloads.V1EndpointState.STOPPED,
        payloads.V1EndpointState.ERROR,
    }
)
# States that are left by themselves: looked at every few seconds instead of every thirty.
MOVING_STATES: tuple[str, ...] = (
    payloads.DeploymentState.PROVISIONING.value,
    payloads.DeploymentState.SCALING.value,
    payloads.DeploymentState.STOPPING.value,
    payloads.V1EndpointState.PENDING.value,
    payloads.V1EndpointState.STARTING.value,
    payloads.V1EndpointState.STOPPING.value,
)
NANO_PER_CENT = 10_000_000
MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class DeploymentReading:
    """The columns of mirror.Deployment that come from one body; None = the body does not say."""

    remote_id: str
    name: str
    model_id: str
    hardware: str
    state: str
    state_message: str
    min_replicas: int | None
    max_replicas: int | None
    desired_replicas: int | None
    ready_replicas: int | None
    billable_low: int
    billable_high: int
    traffic_share: float | None
    traffic_mode: str
    inactive_timeout_minutes: int | None
    etag: str
    remote_created_at: datetime | None
    remote_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class EndpointReading:
    """The columns of mirror.Endpoint that come from its own body (the roll-up columns do not)."""

    remote_id: str
    project_remote_id: str
    name: str
    display_name: str
    endpoint_type: str
    visibility: str
    etag: str
    remote_created_at: datetime | None
    remote_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class HardwareReading:
    """The columns of mirror.Hardware; `nano_usd_per_hour` is per replica, None = price unknown."""

    remote_id: str
    name: str
    gpu_type: str
    gpu_count: int | None
    gpu_memory_gib: int | None
    nano_usd_per_hour: int | None


def read_v2_endpoint(body: payloads.Endpoint) -> EndpointReading:
    """Return the columns of a v2 endpoint."""
    return EndpointReading(
        remote_id=body.id,
        project_remote_id=body.project_id,
        name=body.name,
        display_name=body.name.rsplit("/", 1)[-1] or body.id,
        endpoint_type=body.endpoint_type,
        visibility=body.visibility,
        etag=body.etag,
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
    )


def read_v2_deployment(body: payloads.Deployment) -> DeploymentReading:
    """Return the columns of a v2 deployment."""
    autoscaling = body.autoscaling or payloads.Autoscaling()
    low, high = bound_v2_billing(
        state=body.state,
        ready_replicas=body.ready_replicas,
        upper_bound=max(body.desired_replicas or 0, autoscaling.max_replicas or 0),
    )
    return DeploymentReading(
        remote_id=body.id,
        name=body.name.rsplit("/", 1)[-1] or body.id,
        model_id=body.model_id or _short_model(body.model),
        hardware=body.hardware,
        state=body.state,
        state_message=body.status.message if body.status else "",
        min_replicas=autoscaling.min_replicas,
        max_replicas=autoscaling.max_replicas,
        desired_replicas=body.desired_replicas,
        ready_replicas=body.ready_replicas,
        billable_low=low,
        billable_high=high,
        traffic_share=body.estimated_effective_traffic_share,
        traffic_mode=body.traffic_mode,
        inactive_timeout_minutes=body.inactive_timeout,
        etag=body.etag,
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
    )


def read_deployment(body: payloads.Deployment | payloads.V1Endpoint) -> DeploymentReading:
    """Return the columns of a deployment of either generation."""
    if isinstance(body, payloads.V1Endpoint):
        return read_v1_deployment(body)
    return read_v2_deployment(body)


def bound_v2_billing(*, state: str, ready_replicas: int | None, upper_bound: int) -> tuple[int, int]:
    """Return (low, high) of the replicas that bill.

    The ready count is a fact whatever the state. Without it nothing bills in the states that exclude ready
    replicas; in any other, also an unknown one, anything up to `upper_bound` may, and at least one: a stop sets the
    bounds to zero while replicas still drain.
    """
    if ready_replicas is not None:
        return ready_replicas, ready_replicas
    if state in _V2_NOT_BILLED:
        return 0, 0
    return 0, max(upper_bound, 1)


def read_v1_endpoint(body: payloads.V1Endpoint, *, project_remote_id: str) -> EndpointReading:
    """Return the columns of a v1 endpoint; the body names no project, the key's own is given."""
    return EndpointReading(
        remote_id=body.id,
        project_remote_id=project_remote_id,
        name=body.name,
        display_name=body.display_name or body.name.rsplit("/", 1)[-1] or body.id,
        endpoint_type=body.type,
        visibility="",
        etag="",
        remote_created_at=body.created_at,
        remote_updated_at=None,
    )


def read_v1_deployment(body: payloads.V1Endpoint) -> DeploymentReading:
    """Return the columns of the one deployment that a v1 endpoint is; running replicas are never told."""
    autoscaling = body.autoscaling or payloads.V1Autoscaling()
    low, high = bound_v1_billing(
        state=body.state, min_replicas=autoscaling.min_replicas, max_replicas=autoscaling.max_replicas
    )
    return DeploymentReading(
        remote_id=body.id,
        name=body.name,
        model_id=body.model,
        hardware=body.hardware or "",
        state=body.state,
        state_message="",
        min_replicas=autoscaling.min_replicas,
        max_replicas=autoscaling.max_replicas,
        desired_replicas=None,
        ready_replicas=None,
        billable_low=low,
        billable_high=high,
        traffic_share=None,
        traffic_mode="",
        inactive_timeout_minutes=body.inactive_timeout,
        etag="",
        remote_created_at=body.created_at,
        remote_updated_at=None,
    )


def bound_v1_billing(*, state: str, min_replicas: int | None, max_replicas: int | None) -> tuple[int, int]:
    """Return (low, high) of the replicas that bill: the bounds while STARTED or in a state we do not know."""
    if state in _V1_NOT_BILLED:
        return 0, 0
    low = min_replicas if min_replicas is not None else 1
    return low, max(low, max_replicas or low)


def read_instance_type(body: payloads.InstanceType) -> HardwareReading:
    """Return the columns and the price of a v2 instance type."""
    cents = body.price_cents_per_hour
    return HardwareReading(
        remote_id=body.id,
        name=body.name,
        gpu_type=body.gpu_type,
        gpu_count=body.gpu_count,
        gpu_memory_gib=body.gpu_memory_gib,
        nano_usd_per_hour=None if cents is None else int(Decimal(cents) * NANO_PER_CENT),
    )


def read_v1_hardware(body: payloads.V1Hardware) -> HardwareReading:
    """Return the columns and the price of v1 hardware (cents per minute there)."""
    cents = body.pricing.cents_per_minute if body.pricing else None
    specs = body.specs
    return HardwareReading(
        remote_id=body.id,
        name=body.id,
        gpu_type=specs.gpu_type if specs else "",
        gpu_count=specs.gpu_count if specs else None,
        gpu_memory_gib=int(specs.gpu_memory) if specs and specs.gpu_memory is not None else None,
        nano_usd_per_hour=None if cents is None else int(cents * MINUTES_PER_HOUR * NANO_PER_CENT),
    )


def find_price_key(hardware: str, *, offered: frozenset[str]) -> str | None:
    """Return the key of `offered` (names and ids of one generation) that a deployment's `hardware` means.

    As the provider's own CLI does: the name as it stands, else in lower case without ``nvidia-``; None = unknown.
    """
    if hardware in offered:
        return hardware
    shortened = hardware.lower().replace("nvidia-", "")
    by_short = {key.lower().replace("nvidia-", ""): key for key in sorted(offered)}
    return by_short.get(shortened)


def _short_model(resource_name: str) -> str:
    """Return the model id of ``projects/{p}/models/{m}/revisions/{r}``, or the text as it is."""
    parts = resource_name.split("/")
    return parts[3] if len(parts) >= 4 and parts[0] == "projects" and parts[2] == "models" else resource_name
