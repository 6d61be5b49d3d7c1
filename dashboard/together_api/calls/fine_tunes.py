"""Fine-tuning jobs (contract section 6). Bodies are snake_case; nothing is paged."""

from collections.abc import Mapping
from typing import Any

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.fine_tunes import (
    FineTune,
    FineTuneCheckpoint,
    FineTuneEvent,
    FineTuneMetrics,
    FineTunePriceEstimate,
)
from dashboard.together_api.requests import ApiCall, Flow

_FINE_TUNES = "/v1/fine-tunes"
_FINE_TUNE = f"{_FINE_TUNES}/{{fine_tune_id}}"


def list_fine_tunes() -> Flow[Listing[FineTune]]:
    """Return all jobs, truncated: without events and without most of what the single read has."""
    return (yield from fetch_all(FineTune, ApiCall(template=_FINE_TUNES)))


def get_fine_tune(fine_tune_id: str) -> Flow[FineTune]:
    """Return one job in full; is_absent(error) when it is gone."""
    return (yield from fetch_one(FineTune, ApiCall(template=_FINE_TUNE, ids=_ids(fine_tune_id))))


def list_fine_tune_events(fine_tune_id: str) -> Flow[Listing[FineTuneEvent]]:
    """Return the events of a job in the order the API sends them."""
    call = ApiCall(template=f"{_FINE_TUNE}/events", ids=_ids(fine_tune_id))
    return (yield from fetch_all(FineTuneEvent, call))


def list_fine_tune_checkpoints(fine_tune_id: str) -> Flow[Listing[FineTuneCheckpoint]]:
    """Return the checkpoints of a job."""
    call = ApiCall(template=f"{_FINE_TUNE}/checkpoints", ids=_ids(fine_tune_id))
    return (yield from fetch_all(FineTuneCheckpoint, call))


def get_fine_tune_metrics(fine_tune_id: str, *, resolution: int | None = None) -> Flow[FineTuneMetrics]:
    """Return training metrics; `resolution` = how many evenly sampled points, None = the API's choice."""
    call = ApiCall(template=f"{_FINE_TUNE}/metrics", ids=_ids(fine_tune_id), query={"resolution": resolution})
    return (yield from fetch_one(FineTuneMetrics, call))


def cancel_fine_tune(fine_tune_id: str) -> Flow[FineTune]:
    """Ask for the end of a job, with priority (its steps cost). Accepted is not cancelled: read back."""
    call = ApiCall(method="POST", template=f"{_FINE_TUNE}/cancel", ids=_ids(fine_tune_id), priority="stop")
    return (yield from fetch_one(FineTune, call))


def estimate_fine_tune_price(
    *,
    training_file: str,
    model: str | None = None,
    n_epochs: int | None = None,
    n_evals: int | None = None,
    validation_file: str | None = None,
    training_type: Mapping[str, Any] | None = None,
    training_method: Mapping[str, Any] | None = None,
    from_checkpoint: str | None = None,
) -> Flow[FineTunePriceEstimate]:
    """Return what a job would cost; changes nothing, so it is repeated like a read.

    `training_type` such as `{"type": "Lora", "lora_r": 8, "lora_alpha": 16}` (None = LoRA), `training_method` such as
    `{"method": "sft", "train_on_inputs": "auto"}`.
    """
    body = without_none(
        {
            "training_file": training_file,
            "model": model,
            "n_epochs": n_epochs,
            "n_evals": n_evals,
            "validation_file": validation_file,
            "training_type": dict(training_type) if training_type is not None else None,
            "training_method": dict(training_method) if training_method is not None else None,
            "from_checkpoint": from_checkpoint,
        }
    )
    call = ApiCall(method="POST", template=f"{_FINE_TUNES}/estimate-price", body=body, read_only=True)
    return (yield from fetch_one(FineTunePriceEstimate, call))


def _ids(fine_tune_id: str) -> dict[str, str]:
    return {"fine_tune_id": fine_tune_id}
