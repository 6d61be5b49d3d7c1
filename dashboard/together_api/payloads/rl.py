"""RL post-training: GPU resources, sessions and what an hour costs (contract section 13)."""

from decimal import Decimal
from enum import StrEnum

from dashboard.together_api.payloads.base import (
    LooseTimestamp,
    Payload,
    Resource,
    Text,
    Timestamp,
    nano_dollars,
)


class RlStatus(StrEnum):
    """Known values of a resource's `status`; the field itself is plain `str` so that a new member survives."""

    PENDING = "MODEL_RESOURCES_STATUS_PENDING"
    CREATING = "MODEL_RESOURCES_STATUS_CREATING"
    READY = "MODEL_RESOURCES_STATUS_READY"
    ERROR = "MODEL_RESOURCES_STATUS_ERROR"
    STOPPING = "MODEL_RESOURCES_STATUS_STOPPING"
    STOPPED = "MODEL_RESOURCES_STATUS_STOPPED"


class RlComputeConfig(Payload):
    """SDK `post_training.model_resources.ComputeConfig`; 0 generator replicas = the trainer only."""

    gpu_type: str | None = None
    num_generator_replicas: int | None = None


class RlStatusDetails(Payload):
    """SDK `post_training.model_resources.StatusDetails`; older resources of the same kind that wait, None = unknown."""

    queue_position: int | None = None


class RlError(Payload):
    """SDK `post_training.model_resources_error.ModelResourcesError` and the same of sessions."""

    code: Text = ""
    message: Text = ""
    occurred_at: LooseTimestamp = None


class RlResource(Resource):
    """SDK `post_training.model_resources.ModelResources`; `inactive_timeout` is seconds.

    `expires_at` is the earliest time it can stop for inactivity and moves with every operation. What an hour costs
    is in no body: ask estimate-cost.
    """

    id: Text
    base_model: Text = ""
    base_weights_ref: str | None = None
    compute_config: RlComputeConfig | None = None
    lora_enabled: bool | None = None
    status: Text = ""
    status_details: RlStatusDetails | None = None
    error: RlError | None = None
    inactive_timeout: int | None = None
    created_by: Text = ""
    created_at: Timestamp = None
    updated_at: Timestamp = None
    expires_at: Timestamp = None


class RlSession(Resource):
    """SDK `post_training.session.Session`; `step` may travel as digits in a string.

    The versions of `policy_state` run with every step and are shown to nobody: left out of the fingerprint.
    """

    unshown_fields = ("policy_state",)

    id: Text
    model_resources_id: Text = ""
    base_model: Text = ""
    display_name: str | None = None
    status: Text = ""
    step: int | None = None
    error: RlError | None = None
    created_by: Text = ""
    created_at: Timestamp = None
    updated_at: Timestamp = None


class RlCost(Resource):
    """SDK `post_training.model_resources_estimate_cost_response`: the major unit of `currency` per hour."""

    currency: Text = ""
    price_per_hour: Decimal | None = None

    @property
    def nano_dollars_per_hour(self) -> int | None:
        """The price in nano-dollars, None when it is not told or not in US dollars."""
        return nano_dollars(self.price_per_hour) if self.currency.upper() == "USD" else None
