"""What the pages of jobs say of a body beyond the mirrored columns. Bodies are the provider's: any part may be missing
or of another type, and then nothing is said of it. Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """A pair of the facts panel."""

    label: str
    value: str
    is_mono: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One saved state of a training; `object_id` names a model that can be deployed, empty = none told."""

    step: int | None
    kind: str
    path: str
    object_id: str
    object_name: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Result:
    """A figure of an evaluation; `share` (0 to 1) draws a bar, None = none."""

    label: str
    value: str
    share: float | None = None

    @property
    def percent(self) -> int:
        """The share in whole percent."""
        return round((self.share or 0.0) * 100)


def text_of(body: Mapping[str, Any], *names: str) -> str:
    """Return the first of the fields that holds a text or a number, as text; empty when none does."""
    for name in names:
        value = body.get(name)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str | int | float) and value != "":
            return str(value)
    return ""


def number_of(body: Mapping[str, Any], *names: str) -> float | None:
    """Return the first of the fields that holds a number (or digits), None when none does."""
    for name in names:
        value = body.get(name)
        if isinstance(value, bool) or value is None:
            continue
        try:
            return float(value)
        except (TypeError, ValueError):
            continue
    return None


def link_of(body: Mapping[str, Any], name: str) -> str:
    """Return the field when it is an https address, else nothing: it becomes a link for people."""
    value = body.get(name)
    return value if isinstance(value, str) and value.startswith("https://") else ""


def part_of(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object within the body, an empty one when it is missing or something else."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


_TRAINING = (
    ("Learning rate", "learning_rate"),
    ("Batch size", "batch_size"),
    ("Warm-up ratio", "warmup_ratio"),
    ("Weight decay", "weight_decay"),
    ("Largest gradient norm", "max_grad_norm"),
    ("Evaluations", "n_evals"),
    ("Checkpoints", "n_checkpoints"),
    ("Suffix", "suffix"),
    ("From checkpoint", "from_checkpoint"),
    ("Own base model", "from_hf_model"),
    ("Its revision", "hf_model_revision"),
    ("Seed", "random_seed"),
)


def list_training_facts(body: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return the settings of a fine-tune that its body tells, bring-your-own-model fields included."""
    facts = [Fact(label, text_of(body, name)) for label, name in _TRAINING]
    kind, method = part_of(body, "training_type"), part_of(body, "training_method")
    if kind:
        rank, alpha = text_of(kind, "lora_r"), text_of(kind, "lora_alpha")
        detail = f", rank {rank}, alpha {alpha}" if rank and alpha else ""
        facts.insert(0, Fact("Type", f"{text_of(kind, 'type')}{detail}"))
        facts.append(Fact("LoRA modules", text_of(kind, "lora_trainable_modules")))
        facts.append(Fact("LoRA dropout", text_of(kind, "lora_dropout")))
    if method:
        facts.insert(1, Fact("Method", text_of(method, "method").upper()))
        facts.append(Fact("Trains on inputs", text_of(method, "train_on_inputs")))
        facts.append(Fact("DPO beta", text_of(method, "dpo_beta")))
    scheduler = part_of(body, "lr_scheduler")
    facts.append(Fact("Schedule", text_of(scheduler, "lr_scheduler_type")))
    early = text_of(body, "early_stopped")
    if early:
        best = text_of(body, "early_stopping_best_step")
        facts.append(Fact("Stopped early", f"{early}, best at step {best}" if best else early))
    return tuple(fact for fact in facts if fact.value)


def list_checkpoints(document: object) -> tuple[Checkpoint, ...]:
    """Return the saved states of a training in order of their steps."""
    rows = document.get("data") if isinstance(document, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            continue
        step = number_of(row, "step")
        found.append(
            Checkpoint(
                step=None if step is None else int(step),
                kind=text_of(row, "checkpoint_type", "checkpoint"),
                path=text_of(row, "path"),
                object_id=text_of(row, "object_id"),
                object_name=text_of(row, "object_name"),
                created_at=_read_time(row.get("created_at")),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.step is None, one.step or 0, one.kind)))


_RESULTS = (
    ("Failed generations", "generation_fail_count"),
    ("Failed judgements", "judge_fail_count"),
    ("Failed samples", "failed_samples"),
    ("Invalid labels", "invalid_label_count"),
    ("Invalid scores", "invalid_score_count"),
)


def list_results(body: Mapping[str, Any]) -> tuple[Result, ...]:
    """Return the figures of an evaluation in the shape of its type: score, compare, classify."""
    results = part_of(body, "results")
    scores = part_of(results, "aggregated_scores")
    found: list[Result] = []
    mean, deviation = number_of(scores, "mean_score"), number_of(scores, "std_score")
    if mean is not None:
        found.append(Result("Mean score", f"{mean:,.2f}"))
    if deviation is not None:
        found.append(Result("Standard deviation", f"{deviation:,.2f}"))
    passed = number_of(scores, "pass_percentage")
    if passed is None:
        passed = number_of(results, "pass_percentage")
    if passed is not None:
        found.append(Result("Passed", f"{passed:,.1f}%", min(max(passed / 100, 0.0), 1.0)))
    found += _list_shares(
        [
            (label, number_of(results, *names))
            for label, names in (
                ("A wins", ("A_wins", "a_wins")),
                ("B wins", ("B_wins", "b_wins")),
                ("Ties", ("Ties", "ties")),
            )
        ]
    )
    found += _list_shares(list(_read_labels(results.get("label_counts")).items()))
    for label, name in _RESULTS:
        count = number_of(results, name)
        if count is not None:
            found.append(Result(label, f"{count:,.0f}"))
    return tuple(found)


def _list_shares(counts: Sequence[tuple[str, float | None]]) -> list[Result]:
    known = [(label, count) for label, count in counts if count is not None]
    total = sum(count for _, count in known)
    return [Result(label, f"{count:,.0f}", count / total if total else None) for label, count in known]


def _read_labels(value: object) -> dict[str, float | None]:
    """Return label -> count, largest first; the API sends them as JSON within a string (contract section 7)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    if not isinstance(value, dict):
        return {}
    counts = {str(label): number_of({"count": count}, "count") for label, count in value.items()}
    return dict(sorted(counts.items(), key=lambda pair: -(pair[1] or 0.0)))


def list_judged(body: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return who judges and what is judged."""
    parameters = part_of(body, "parameters")
    facts = []
    for label, name in (
        ("Judge", "judge"),
        ("Judged", "model_to_evaluate"),
        ("Model A", "model_a"),
        ("Model B", "model_b"),
    ):
        value = parameters.get(name)
        shown = (
            text_of(value, "model", "model_name") if isinstance(value, dict) else text_of(parameters, name)
        )
        facts.append(Fact(label, shown))
    for label, name in (
        ("Lowest score", "min_score"),
        ("Highest score", "max_score"),
        ("Pass threshold", "pass_threshold"),
    ):
        facts.append(Fact(label, text_of(parameters, name)))
    labels = parameters.get("labels")
    if isinstance(labels, list):
        facts.append(Fact("Labels", ", ".join(str(label) for label in labels)))
    return tuple(fact for fact in facts if fact.value)


def _read_time(value: object) -> datetime | None:
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Report:
    """What the provider's check of a file found; None or empty = not told."""

    is_valid: bool | None
    lines: int | None
    dataset_format: str
    error: str
    error_type: str


def read_report(body: Mapping[str, Any]) -> Report | None:
    """Return the validation report of a file, None when it has none."""
    report = part_of(body, "validation_report")
    if not report:
        return None
    valid, lines = report.get("valid"), number_of(report, "nlines")
    return Report(
        is_valid=valid if isinstance(valid, bool) else None,
        lines=None if lines is None else int(lines),
        dataset_format=text_of(report, "dataset_format"),
        error=text_of(report, "error"),
        error_type=text_of(report, "error_type"),
    )
