"""Strict reading of what a fine-tune is created with: defaults filled in, limits checked."""

from typing import Any

from simulator.call import Call
from simulator.errors import bad_request
from simulator.jobs.files import BYTES_PER_TOKEN, INVALID_FORMAT, StoredFile
from simulator.jobs.fine_tunes import DEFAULT_SEQUENCE, FineTune, Patience, Settings, Work
from simulator.jobs.trainable import (
    DEFAULT_RANK,
    MAX_CHECKPOINTS,
    MAX_EPOCHS,
    MAX_EVALS,
    MAX_RANK,
    Trainable,
    trainable_models,
)
from simulator.resources.files import find_file

#: Never kept: `pop`ped from the body, so that the journal does not see them either.
_SECRETS = ("wandb_api_key", "wandb_key", "hf_api_token")


def read_settings(call: Call, fields: dict[str, Any]) -> tuple[Settings, Trainable]:
    """Return what is asked for. Raises 400 with the field that is wrong."""
    for name in _SECRETS:
        fields.pop(name, None)
    parent = find_parent(call, fields)
    model_name = parent.settings.model if parent else fields.get("model")
    trainable = trainable_models().get(model_name) if isinstance(model_name, str) else None
    if trainable is None:
        raise bad_request(f"model {model_name} is not supported for fine-tuning", param="model")
    if fields.get("from_hf_model") and parent:
        raise bad_request("give from_hf_model or from_checkpoint, not both", param="from_hf_model")
    method = _read_method(fields)
    kind = _read_type(fields, parent)
    is_dpo = method["method"] == "dpo"
    try:
        limits = trainable.batches(is_full=kind["type"] == "Full")
    except ValueError as error:
        raise bad_request(str(error), param="training_type") from error
    most = limits.most_dpo if is_dpo else limits.most_sft
    batch_size = fields.get("batch_size", "max")
    if batch_size == "max":
        batch_size = most
    context = trainable.context_dpo if is_dpo else trainable.context_sft
    scheduler = fields.get("lr_scheduler") or {}
    arguments = scheduler.get("lr_scheduler_args") or {}
    settings = Settings(
        model=trainable.name,
        training_file=_text(fields, "training_file"),
        validation_file=fields.get("validation_file") or "",
        n_epochs=_whole(fields, "n_epochs", 1, least=1, most=MAX_EPOCHS),
        n_evals=_whole(fields, "n_evals", 0, least=0, most=MAX_EVALS),
        n_checkpoints=_whole(fields, "n_checkpoints", 1, least=1, most=MAX_CHECKPOINTS),
        batch_size=_whole(
            {"batch_size": batch_size}, "batch_size", most, least=min(limits.least, most), most=most
        ),
        learning_rate=float(fields.get("learning_rate") or 1e-5),
        schedule=scheduler.get("lr_scheduler_type", "cosine"),
        min_ratio=float(arguments.get("min_lr_ratio") or 0.0),
        cycles=float(arguments.get("num_cycles") or 0.5),
        warmup_ratio=float(fields.get("warmup_ratio") or 0.0),
        max_grad_norm=float(fields.get("max_grad_norm", 1.0)),
        weight_decay=float(fields.get("weight_decay") or 0.0),
        packing=bool(fields.get("packing", True)),
        max_seq_length=_whole(
            fields, "max_seq_length", min(DEFAULT_SEQUENCE, context), least=512, most=context
        ),
        training_type=kind,
        training_method=method,
        suffix=str(fields.get("suffix") or ""),
        wandb_project_name=fields.get("wandb_project_name"),
        wandb_name=fields.get("wandb_name"),
        wandb_entity=fields.get("wandb_entity"),
        from_checkpoint=fields.get("from_checkpoint"),
        from_hf_model=fields.get("from_hf_model"),
        hf_model_revision=fields.get("hf_model_revision"),
        random_seed=fields.get("random_seed"),
        train_vision=bool((fields.get("multimodal_params") or {}).get("train_vision")),
        patience=_read_patience(fields),
    )
    if settings.schedule not in {"linear", "cosine"}:
        raise bad_request("lr_scheduler_type must be linear or cosine", param="lr_scheduler")
    if len(settings.suffix) > 40:
        raise bad_request("suffix must have at most 40 characters", param="suffix")
    return settings, trainable


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name} is required", param=name)
    return value


def _whole(fields: dict[str, Any], name: str, default: int, *, least: int, most: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or not least <= value <= most:
        raise bad_request(f"{name} must be between {least} and {most}", param=name)
    return value


def find_parent(call: Call, fields: dict[str, Any]) -> FineTune | None:
    """Return the job that `from_checkpoint` continues (id or output name, `:step` optional). Raises 400."""
    wanted = fields.get("from_checkpoint")
    if not wanted:
        return None
    if fields.get("model"):
        raise bad_request("give model or from_checkpoint, not both", param="from_checkpoint")
    name = str(wanted).partition(":")[0]
    for job in call.world.jobs.fine_tunes.values():
        owned = job.owner.organization_id == call.identity.organization.organization_id
        if owned and name in {job.fine_tune_id, job.output_name}:
            return job
    raise bad_request(f"checkpoint {wanted} not found", param="from_checkpoint")


def _read_method(fields: dict[str, Any]) -> dict[str, Any]:
    method = fields.get("training_method") or {"method": "sft", "train_on_inputs": "auto"}
    if not isinstance(method, dict) or method.get("method") not in {"sft", "dpo"}:
        raise bad_request("training_method must be sft or dpo", param="training_method")
    if method["method"] == "sft":
        return {"method": "sft", "train_on_inputs": method.get("train_on_inputs", "auto")}
    return {name: value for name, value in method.items() if value is not None}


def _read_type(fields: dict[str, Any], parent: FineTune | None) -> dict[str, Any]:
    """Return the training type: by default LoRA, or that of the job that is continued."""
    kind = fields.get("training_type")
    if kind is None:
        return dict(parent.settings.training_type) if parent else _lora({})
    if not isinstance(kind, dict) or kind.get("type") not in {"Full", "Lora"}:
        raise bad_request("training_type must be Full or Lora", param="training_type")
    if kind["type"] == "Full":
        return {"type": "Full"}
    rank = kind.get("lora_r", DEFAULT_RANK)
    if not isinstance(rank, int) or not 1 <= rank <= MAX_RANK:
        raise bad_request(f"lora_r must be between 1 and {MAX_RANK}", param="training_type")
    return _lora(kind)


def _lora(kind: dict[str, Any]) -> dict[str, Any]:
    rank = kind.get("lora_r", DEFAULT_RANK)
    return {
        "type": "Lora",
        "lora_r": rank,
        "lora_alpha": kind.get("lora_alpha", 2 * rank),
        "lora_dropout": kind.get("lora_dropout", 0.0),
        "lora_trainable_modules": kind.get("lora_trainable_modules", "all-linear"),
    }


def _read_patience(fields: dict[str, Any]) -> Patience | None:
    if not fields.get("early_stopping_enabled"):
        return None
    patience = Patience(
        evals=int(fields.get("early_stopping_patience") or 2),
        warmup_evals=int(fields.get("early_stopping_warmup_evals") or 1),
        min_delta=float(fields.get("early_stopping_min_delta") or 0.0),
    )
    if not fields.get("validation_file"):
        raise bad_request("early stopping requires a validation_file", param="validation_file")
    if (fields.get("n_evals") or 0) < patience.evals + patience.warmup_evals + 1:
        raise bad_request("early stopping requires more n_evals", param="n_evals")
    return patience


def read_files(call: Call, fields: dict[str, Any]) -> tuple[StoredFile, StoredFile | None]:
    """Return training and validation file. Raises 404 for an unknown one and 400 for one without content."""
    training = find_file(call, _text(fields, "training_file"))
    validation = find_file(call, fields["validation_file"]) if fields.get("validation_file") else None
    for stored in (training, validation):
        if stored is not None and stored.content is None and not call.world.any_id:
            raise bad_request(f"file {stored.file_id} has no content", param="training_file")
    return training, validation


def measure(
    settings: Settings, trainable: Trainable, training: StoredFile, validation: StoredFile | None
) -> Work:
    """Return how much there is to train on. Without packing each line takes a whole sequence (documented)."""
    tokens, eval_tokens = _tokens(settings, training), 0
    if validation is not None:
        eval_tokens = _tokens(settings, validation)
    return Work(
        billions=trainable.billions,
        lines=max(1, training.lines),
        file_bytes=training.size_bytes,
        train_tokens=tokens,
        eval_tokens=eval_tokens,
    )


def _tokens(settings: Settings, stored: StoredFile) -> int:
    if settings.packing:
        return max(1, stored.size_bytes // BYTES_PER_TOKEN)
    return max(1, stored.lines) * settings.max_seq_length


def is_invalid(stored: StoredFile, now_ms: int) -> bool:
    """Tell whether the validation of a file has failed or is bound to."""
    return stored.status(now_ms) == INVALID_FORMAT or (
        stored.findings is not None and not stored.findings.valid
    )
