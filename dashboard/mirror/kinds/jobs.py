"""Fine-tunes, batches and evaluations as resources (contract sections 6 and 7). Pure but for the calls it names."""

from dashboard.core import resource_states, status
from dashboard.mirror.kinds.source import Source
from dashboard.mirror.models import ResourceKind, ResourceLink
from dashboard.mirror.resource_readings import ResourceReading, name_links
from dashboard.together_api import payloads

Relation = ResourceLink.Relation


def read_fine_tune(body: payloads.FineTune) -> ResourceReading:
    """Return the columns of a fine-tune; `total_price` is nano-dollars (contract 1.8).

    Its `started_at` is the start of the present stage (SDK 3.1.1): of an ended job that is its end.
    """
    meaning = resource_states.read_state(ResourceKind.FINE_TUNE, body.status)
    remaining = None
    if body.progress and body.progress.estimate_available:
        remaining = body.progress.seconds_remaining
    name = body.model_output_name or body.suffix or body.id
    return ResourceReading(
        kind=ResourceKind.FINE_TUNE.value,
        remote_id=body.id,
        name=name,
        state=body.status,
        model=body.model or body.from_hf_model or "",
        owner=body.owner_address or body.user_id,
        variety=_describe_training(body),
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        started_at=body.started_at if meaning.is_moving else None,
        finished_at=None if meaning.is_moving else body.started_at or body.updated_at,
        progress=_measure_progress(body),
        seconds_remaining=remaining if remaining is None else max(remaining, 0),
        size_bytes=body.trainingfile_size,
        tokens=body.token_count,
        total_nano_usd=body.total_price,
        links=name_links(
            (Relation.INPUT, body.training_file),
            (Relation.VALIDATION, body.validation_file),
            (Relation.BASE, body.model),
            (Relation.MODEL, body.model_output_name),
            (Relation.MODEL, body.model_object_id),
            (Relation.MODEL, body.adapter_object_id),
        ),
    )


def _describe_training(body: payloads.FineTune) -> str:
    kind = body.training_type.type if body.training_type else ""
    method = body.training_method.method if body.training_method else ""
    return " ".join(part for part in ({"Lora": "LoRA"}.get(kind, kind), method.upper()) if part)


def _measure_progress(body: payloads.FineTune) -> float | None:
    if body.status == payloads.FineTuneStatus.COMPLETED:
        return 1.0
    if body.total_steps and body.steps_completed is not None:
        return _limit(body.steps_completed / body.total_steps)
    if body.n_epochs and body.epochs_completed is not None:
        return _limit(body.epochs_completed / body.n_epochs)
    return None


def _limit(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def read_batch(body: payloads.Batch) -> ResourceReading:
    """Return the columns of a batch; `progress` is a percentage there and a share here."""
    return ResourceReading(
        kind=ResourceKind.BATCH.value,
        remote_id=body.id,
        name=body.id,
        state=body.status,
        state_message=body.error or "",
        model=body.model_id or "",
        owner=body.user_id or "",
        variety=body.endpoint or "",
        remote_created_at=body.created_at,
        finished_at=body.completed_at,
        expires_at=body.job_deadline,
        progress=None if body.progress is None else _limit(body.progress / 100),
        size_bytes=body.file_size_bytes,
        links=name_links(
            (Relation.INPUT, body.input_file_id),
            (Relation.OUTPUT, body.output_file_id),
            (Relation.ERRORS, body.error_file_id),
            (Relation.BASE, body.model_id),
        ),
    )


def read_evaluation(body: payloads.Evaluation) -> ResourceReading:
    """Return the columns of an evaluation; what it judges is in its parameters."""
    meaning = resource_states.read_state(ResourceKind.EVALUATION, body.status)
    is_ended = meaning in (status.COMPLETED, status.FAILED)
    model = _find_judged_model(body)
    data_file = body.parameters.get("input_data_file_path")
    return ResourceReading(
        kind=ResourceKind.EVALUATION.value,
        remote_id=body.id,
        name=f"{body.type or 'evaluation'} {model or 'given answers'}",
        state=body.status,
        state_message=(body.results.error if body.results else None) or "",
        model=model,
        owner=body.owner_id or "",
        variety=body.type,
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        finished_at=body.updated_at if is_ended else None,
        progress=1.0 if meaning is status.COMPLETED else None,
        links=name_links(
            (Relation.INPUT, data_file if isinstance(data_file, str) else None),
            (Relation.OUTPUT, body.results.result_file_id if body.results else None),
            (Relation.BASE, model),
        ),
    )


def _find_judged_model(body: payloads.Evaluation) -> str:
    """Return the model under `model_to_evaluate` or `model_a`, empty for answers that were given as a column.

    Both hold either a block that names a model, or the name of a column of the data (SDK 3.1.1).
    """
    for key in ("model_to_evaluate", "model_a"):
        block = body.parameters.get(key)
        if isinstance(block, dict) and isinstance(block.get("model"), str):
            return str(block["model"])
    return ""


FINE_TUNES = Source(
    kind=ResourceKind.FINE_TUNE,
    payload=payloads.FineTune,
    list=lambda client, scope: client.list_fine_tunes(),
    get=lambda client, scope, remote_id: client.get_fine_tune(remote_id),
    read=read_fine_tune,
)
BATCHES = Source(
    kind=ResourceKind.BATCH,
    payload=payloads.Batch,
    list=lambda client, scope: client.list_batches(),
    get=lambda client, scope, remote_id: client.get_batch(remote_id),
    read=read_batch,
)
EVALUATIONS = Source(
    kind=ResourceKind.EVALUATION,
    payload=payloads.Evaluation,
    list=lambda client, scope: client.list_evaluations(),
    get=lambda client, scope, remote_id: client.get_evaluation(remote_id),
    read=read_evaluation,
)
