"""Fine-tuning jobs, their events, checkpoints, metrics and price estimates (contract section 6)."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from dashboard.together_api.payloads.base import (
    Items,
    LooseTimestamp,
    Payload,
    Resource,
    Table,
    Text,
    Timestamp,
    fingerprint,
    nano_dollars,
    parse_items,
)


class FineTuneStatus(StrEnum):
    """Known values of `status`; the field itself is plain `str` so that a new member survives."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPRESSING = "compressing"
    UPLOADING = "uploading"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    ERROR = "error"
    COMPLETED = "completed"


class TrainingType(Payload):
    """SDK `finetune_response.TrainingType` (a union there): Full | Lora; the `lora_` fields only for the latter."""

    type: Text = ""
    lora_r: int | None = None
    lora_alpha: int | None = None
    lora_dropout: float | None = None
    lora_trainable_modules: str | None = None


class TrainingMethod(Payload):
    """SDK `finetune_response.TrainingMethod` (a union there): sft | dpo; `train_on_inputs` may be "auto"."""

    method: Text = ""
    train_on_inputs: bool | str | None = None
    dpo_beta: float | None = None


class FineTuneProgress(Payload):
    """SDK `finetune_response.Progress`; seconds to the next state, and only when an estimate is available."""

    estimate_available: bool | None = None
    seconds_remaining: int | None = None


class FineTuneEvent(Resource):
    """SDK `finetune_event.FinetuneEvent`; `type` and `level` are open sets, `created_at` is not promised RFC 3339.

    An event has no id: its content is its identity.
    """

    object: Text = ""
    type: Text = ""
    level: str | None = None
    message: Text = ""
    created_at: LooseTimestamp = None
    step: int | None = None
    total_steps: int | None = None
    token_count: int | None = None
    param_count: int | None = None
    checkpoint_path: str | None = None
    model_path: str | None = None
    wandb_url: str | None = None

    @classmethod
    def identify(cls, raw: Any) -> str | None:
        """Return the hash of the event's content as hexadecimal digits, None for what is no event."""
        return fingerprint(raw).hex() if isinstance(raw, dict) and raw.get("type") else None

    @property
    def id(self) -> str:
        """The identity, "" when the body names no type."""
        return self.identify(self.raw) or ""


class FineTune(Resource):
    """SDK `finetune_response.FinetuneResponse` (single) and `fine_tuning_list_response.Data` (list item, truncated).

    `total_price` is nano-dollars. `steps_completed` is what a cancel pays for; only the SDK's hand-written type has
    it. `created_at` and `updated_at` are promised for list items only. The remaining seconds change with every read
    of a running job; they are shown, so they count in the fingerprint.
    """

    id: Text
    status: Text = ""
    user_id: Text = ""
    owner_address: str | None = None
    model: str | None = None
    model_output_name: str | None = None
    suffix: str | None = None
    job_id: str | None = None
    training_file: str | None = None
    validation_file: str | None = None
    from_checkpoint: str | None = None
    from_hf_model: str | None = None
    training_type: TrainingType | None = None
    training_method: TrainingMethod | None = None
    n_epochs: int | None = None
    n_checkpoints: int | None = None
    n_evals: int | None = None
    batch_size: int | str | None = None
    learning_rate: float | None = None
    epochs_completed: int | None = None
    steps_completed: int | None = None
    total_steps: int | None = None
    queue_depth: int | None = None
    progress: FineTuneProgress | None = None
    token_count: int | None = None
    param_count: int | None = None
    total_price: int | None = None
    trainingfile_numlines: int | None = None
    trainingfile_size: int | None = None
    early_stopped: bool | None = None
    adapter_object_id: str | None = None
    adapter_object_name: str | None = None
    model_object_id: str | None = None
    model_object_name: str | None = None
    wandb_project_name: str | None = None
    wandb_url: str | None = None
    created_at: Timestamp = None
    started_at: Timestamp = None
    updated_at: Timestamp = None

    @property
    def events(self) -> Items[FineTuneEvent]:
        """The readable events of the body; list items bring none. A malformed event does not cost the job."""
        entries = self.raw.get("events")
        return parse_items(FineTuneEvent, entries)[0] if isinstance(entries, list) else ()


class FineTuneCheckpoint(Resource):
    """SDK `fine_tuning_list_checkpoints_response.Data`; `checkpoint` is model | adapter, None in older answers.

    A checkpoint has no id: its step and its artifact are its identity.
    """

    step: int
    checkpoint_type: Text = ""
    checkpoint: str | None = None
    path: Text = ""
    object_id: str | None = None
    object_name: str | None = None
    object_revision_id: str | None = None
    created_at: LooseTimestamp = None

    @classmethod
    def identify(cls, raw: Any) -> str | None:
        """Return "step/artifact" (the display label where no artifact is named), None without a step."""
        step = raw.get("step") if isinstance(raw, dict) else None
        if isinstance(step, bool) or not isinstance(step, int | str) or step == "":
            return None
        artifact = raw.get("checkpoint") or raw.get("checkpoint_type") or raw.get("checkpointType") or ""
        return f"{step}/{artifact}"

    @property
    def id(self) -> str:
        """The identity."""
        return f"{self.step}/{self.checkpoint or self.checkpoint_type}"


class FineTuneMetrics(Resource):
    """SDK `fine_tuning_list_metrics_response.FineTuningListMetricsResponse`; names are an open set, null = no value."""

    metrics: Items[Table[float | None]] = ()


class FineTunePriceEstimate(Resource):
    """SDK `fine_tuning_estimate_price_response` (a union there); prices are dollars.

    `estimation_available` None or False = no estimate, and `unavailable_reason` says why. None = not told.
    """

    estimation_available: bool | None = None
    unavailable_reason: str | None = None
    estimated_total_price: Decimal | None = None
    user_limit: Decimal | None = None
    allowed_to_proceed: bool | None = None
    estimated_train_token_count: float | None = None
    estimated_eval_token_count: float | None = None

    @property
    def total_nano_dollars(self) -> int | None:
        """The estimated price in nano-dollars, None when there is no estimate."""
        return nano_dollars(self.estimated_total_price)

    @property
    def limit_nano_dollars(self) -> int | None:
        """The credit limit in nano-dollars, None when it is not told."""
        return nano_dollars(self.user_limit)
