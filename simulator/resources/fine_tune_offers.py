"""What can be fine-tuned, at what price, and how a file would be read: nothing here changes anything."""

from fractions import Fraction
from typing import Any, Final

import orjson
from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.errors import bad_request, not_found
from simulator.identifiers import derive_number
from simulator.jobs.content import Uploaded
from simulator.jobs.files import COMPLETED, FAILED, StoredFile
from simulator.jobs.fine_tunes import Work
from simulator.jobs.rates import price_of, rate_per_million
from simulator.jobs.trainable import describe_limits, trainable_models
from simulator.resources.files import find_file
from simulator.resources.fine_tune_requests import find_parent, is_invalid, measure, read_files, read_settings

_MOST_PREVIEW_ROWS: Final = 20


def list_supported(call: Call) -> Response:
    return json_answer({"models": sorted(trainable_models())})


def read_limits(call: Call) -> Response:
    name = call.query.get("model_name", "")
    model = trainable_models().get(name)
    if model is None and call.world.any_id:
        model = next(iter(trainable_models().values()))
    if model is None:
        raise not_found("fine-tuning model", name)
    return json_answer(describe_limits(model))


def estimate_price(call: Call) -> Response:
    """Answer what a job would cost, or why that cannot be said."""
    fields = dict(call.fields())
    if call.world.any_id:
        return json_answer(
            _estimate(call, next(iter(call.world.jobs.fine_tunes.values())).work, Fraction("0.48"), 1, 0)
        )
    training, validation = read_files(call, fields)
    reason = _unavailable_reason(training, validation, call.now_ms)
    if reason is not None:
        return json_answer({"estimation_available": False, "unavailable_reason": reason})
    if fields.get("from_checkpoint") and not fields.get("model"):
        fields.pop("model", None)
        find_parent(call, fields)
    settings, trainable = read_settings(call, fields)
    work = measure(settings, trainable, training, validation)
    rate = rate_per_million(billions=work.billions, is_full=settings.is_full, is_dpo=settings.is_dpo)
    evals = settings.n_evals if validation is not None else 0
    return json_answer(_estimate(call, work, rate, settings.n_epochs, evals))


def _estimate(call: Call, work: Work, rate: Fraction, n_epochs: int, n_evals: int) -> dict[str, Any]:
    trained, evaluated = n_epochs * work.train_tokens, n_evals * work.eval_tokens
    price = price_of(trained + evaluated, rate)
    limit = call.world.jobs.user_limit_usd
    return {
        "estimation_available": True,
        "estimated_total_price": float(price),
        "allowed_to_proceed": price <= limit,
        "user_limit": limit,
        "estimated_train_token_count": trained,
        "estimated_eval_token_count": evaluated,
    }


def _unavailable_reason(training: StoredFile, validation: StoredFile | None, now_ms: int) -> str | None:
    for stored, side in ((training, "train"), (validation, "eval")):
        if stored is None:
            continue
        status = stored.status(now_ms)
        if status == FAILED or (
            is_invalid(stored, now_ms) and status != COMPLETED and _has_ended(stored, now_ms)
        ):
            return f"{side}_file_invalid"
        if status != COMPLETED:
            return f"{side}_file_not_validated"
        if stored.findings is not None and stored.findings.is_multimodal:
            return "multimodal_dataset"
    return None


def _has_ended(stored: StoredFile, now_ms: int) -> bool:
    return stored.timeline[-1].at_ms <= now_ms


def preview(call: Call) -> Response:
    """Answer the first rows of a training file as tokens: words stand in for the model's own tokens."""
    fields = call.fields()
    stored = find_file(call, fields.get("training_file", ""))
    model = trainable_models().get(fields.get("model", ""))
    if model is None and call.world.any_id:
        model = next(iter(trainable_models().values()))
    if model is None:
        raise bad_request(f"model {fields.get('model')} is not supported for fine-tuning", param="model")
    on_inputs = bool(fields.get("train_on_inputs", False))
    count = fields.get("top_k") or 5
    if not isinstance(count, int) or not 1 <= count <= _MOST_PREVIEW_ROWS:
        raise bad_request(f"top_k must be between 1 and {_MOST_PREVIEW_ROWS}", param="top_k")
    dataset_format = (stored.findings and stored.findings.dataset_format) or "CONVERSATION"
    known = {"CONVERSATION": "conversation", "INSTRUCTION": "instruction"}
    return json_answer(
        {
            "model": model.name,
            "dataset_format": known.get(dataset_format, "general"),
            "max_seq_length": model.context_sft,
            "train_on_inputs": on_inputs,
            "rows": [_preview_row(line, on_inputs) for line in _first_lines(stored, count)],
        }
    )


def _first_lines(stored: StoredFile, count: int) -> list[dict[str, Any]]:
    if stored.content is None:
        raise bad_request(f"file {stored.file_id} has no content")
    head = stored.content.raw if isinstance(stored.content, Uploaded) else next(stored.content.chunks())
    try:
        return [orjson.loads(line) for line in head.splitlines()[:count]]
    except orjson.JSONDecodeError as error:
        raise bad_request("only JSONL files can be previewed", param="training_file") from error


def _preview_row(record: dict[str, Any], on_inputs: bool) -> dict[str, Any]:
    asked, answered = _texts(record)
    tokens = [*asked.split(), *answered.split()]
    first = 0 if on_inputs else len(asked.split())
    ids = [derive_number(token) % 128_000 for token in tokens]
    return {
        "input_ids": ids,
        "labels": [-100] * first + ids[first:],
        "num_tokens": len(tokens),
        "num_trained_tokens": len(tokens) - first,
        "tokens": tokens,
        "trained_spans": [[first, len(tokens)]] if first < len(tokens) else [],
        "truncated": False,
    }


def _texts(record: dict[str, Any]) -> tuple[str, str]:
    """Return what is asked and what is answered in one row."""
    messages = record.get("messages")
    if isinstance(messages, list):
        asked = [str(m.get("content", "")) for m in messages if m.get("role") != "assistant"]
        return " ".join(asked), " ".join(
            str(m.get("content", "")) for m in messages if m.get("role") == "assistant"
        )
    if "completion" in record:
        return str(record.get("prompt", "")), str(record["completion"])
    return "", str(record.get("text", ""))


ROUTES = [  # before `fine_tunes`, whose path would take these words for an id
    route("/v1/fine-tunes/models/supported", list_supported),
    route("/v1/fine-tunes/models/limits", read_limits),
    route("/v1/fine-tunes/estimate-price", estimate_price, "POST"),
    route("/v1/fine-tunes/preview", preview, "POST"),
]
