"""v1 endpoints, hardware and zones (contract section 4; source: OpenAPI of April 2026, gone from SDK 3)."""

from decimal import Decimal
from enum import StrEnum

from dashboard.together_api.payloads.base import Payload, Resource, Text, Timestamp


class V1EndpointState(StrEnum):
    """Known values of `state`; the field itself is plain `str` so that a new member survives."""

    PENDING = "PENDING"
    STARTING = "STARTING"
    STARTED = "STARTED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    ERROR = "ERROR"


class V1Autoscaling(Payload):
    """OpenAPI `Autoscaling`: replica bounds; None = the body does not say."""

    min_replicas: int | None = None
    max_replicas: int | None = None


class V1Endpoint(Resource):
    """OpenAPI `DedicatedEndpoint` (single) and `ListEndpoint` (list item, without hardware, autoscaling, display_name).

    v1 reports no running replicas: while STARTED the cost is bounded by min_replicas..max_replicas x price.
    `inactive_timeout` is minutes, 0 or None = off.
    """

    id: Text
    object: Text = ""
    name: Text = ""
    model: Text = ""
    type: Text = ""
    owner: Text = ""
    state: Text = ""
    created_at: Timestamp = None
    display_name: str | None = None
    hardware: str | None = None
    autoscaling: V1Autoscaling | None = None
    inactive_timeout: int | None = None


class HardwarePricing(Payload):
    """OpenAPI `EndpointPricing`: US cents per minute per replica; x 0.6 = $/h."""

    cents_per_minute: Decimal | None = None


class HardwareSpecs(Payload):
    """OpenAPI `HardwareSpec`; `gpu_memory` in GB per GPU."""

    gpu_type: Text = ""
    gpu_link: Text = ""
    gpu_memory: float | None = None
    gpu_count: int | None = None


class HardwareAvailability(Payload):
    """OpenAPI `HardwareAvailability`: available | unavailable | insufficient, only when asked with `model`."""

    status: Text = ""


class V1Hardware(Resource):
    """OpenAPI `HardwareWithStatus`: what one replica runs on, and its price."""

    id: Text
    object: Text = ""
    pricing: HardwarePricing | None = None
    specs: HardwareSpecs | None = None
    availability: HardwareAvailability | None = None
    updated_at: Timestamp = None
