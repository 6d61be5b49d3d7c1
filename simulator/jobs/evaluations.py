"""An evaluation: a judge model classifies, scores or compares what models said to the rows of a file."""

import math
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.identifiers import derive_number
from simulator.jobs.owner import Owner, Step, Tempo, step_at

PENDING: Final = "pending"
QUEUED: Final = "queued"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
ERROR: Final = "error"
USER_ERROR: Final = "user_error"
STATUSES: Final = (PENDING, QUEUED, RUNNING, COMPLETED, ERROR, USER_ERROR)
ENDED: Final = frozenset({COMPLETED, ERROR, USER_ERROR})
TYPES: Final = ("classify", "score", "compare")

_QUEUE_MS: Final = 20 * SECOND_MS
_START_MS: Final = 50 * SECOND_MS
_SAMPLES_PER_SECOND: Final = 2
LEAST_RUN_MS: Final = 2 * MINUTE_MS
#: Tokens per sample: of the judge and of each model that has to answer first.
_JUDGE_TOKENS: Final = (620, 90)
_MODEL_TOKENS: Final = (340, 210)


@dataclass
class Evaluation:
    """One evaluation job. Its steps are in plan time; every method takes time of the world."""

    evaluation_id: str
    owner: Owner
    created_ms: int
    kind: str
    parameters: dict[str, Any]
    samples: int
    tempo: Tempo
    steps: list[Step]

    @property
    def end_ms(self) -> int:
        return self.tempo.to_world(self.steps[-1].at_ms)

    @property
    def result_file_id(self) -> str:
        return f"file-{self.evaluation_id.removeprefix('eval-')}-results"

    def present(self, now_ms: int) -> Step:
        return step_at(self.steps, self.tempo.to_plan(now_ms))

    def status(self, now_ms: int) -> str:
        return self.present(now_ms).status

    def put(self, now_ms: int, status: str, message: str = "") -> None:
        """Put the evaluation into a status now; it stays there."""
        plan_ms = self.tempo.to_plan(now_ms)
        self.steps = [step for step in self.steps if step.at_ms <= plan_ms]
        self.steps.append(Step(plan_ms, status, message))

    def models(self) -> dict[str, str]:
        """Return the models that work, by role (judge, a, b): {role: "source model"} without pre-made answers."""
        found = {}
        for role, field in (
            ("judge", "judge"),
            ("a", "model_to_evaluate"),
            ("a", "model_a"),
            ("b", "model_b"),
        ):
            config = self.parameters.get(field)
            if isinstance(config, dict):
                found[role] = f"{config.get('model_source')} {config.get('model')}"
        return found

    def tokens(self) -> list[tuple[str, int, int]]:
        """Return (model, input tokens, output tokens) of the serverless models of a completed job."""
        passes = (
            2 if self.kind == "compare" and not self.parameters.get("disable_position_bias_correction") else 1
        )
        used = []
        for role, text in self.models().items():
            source, _, model = text.partition(" ")
            each = _JUDGE_TOKENS if role == "judge" else _MODEL_TOKENS
            count = self.samples * (passes if role == "judge" else 1)
            if source == "serverless":
                used.append((model, each[0] * count, each[1] * count))
        return used

    def results(self, now_ms: int) -> dict[str, Any] | None:
        """Return the results in the shape of the type, {error} after a failure, None before the end."""
        present = self.present(now_ms)
        if present.status in {ERROR, USER_ERROR}:
            return {"error": present.message or "The evaluation failed"}
        if present.status != COMPLETED:
            return None
        make = {"classify": _classify, "score": _score, "compare": _compare}[self.kind]
        return {**make(self), "result_file_id": self.result_file_id}


def plan_evaluation(created_ms: int, *, samples: int, fault: str | None = None) -> list[Step]:
    """Return the steps of an evaluation; `fault` is a mistake of the user (None = none)."""
    running_ms = created_ms + _QUEUE_MS + _START_MS
    steps = [
        Step(created_ms, PENDING, "Job is pending evaluation"),
        Step(created_ms + _QUEUE_MS, QUEUED, "Job is queued"),
    ]
    if fault is not None:
        return [*steps, Step(running_ms, USER_ERROR, fault)]
    end_ms = running_ms + max(LEAST_RUN_MS, samples * SECOND_MS // _SAMPLES_PER_SECOND)
    return [
        *steps,
        Step(running_ms, RUNNING, "Evaluation is running"),
        Step(end_ms, COMPLETED, "Evaluation is completed"),
    ]


def _share(evaluation: Evaluation, *parts: object) -> float:
    """Return a number within [0, 1) that depends on the evaluation and every part."""
    return derive_number(evaluation.evaluation_id, *parts) / 2**64


def _losses(evaluation: Evaluation) -> tuple[int, int]:
    """Return failed generations and failed judgements: a few in a thousand."""
    generated = any(role != "judge" for role in evaluation.models())
    failed = int(evaluation.samples * 0.004 * _share(evaluation, "generation")) if generated else 0
    return failed, int(evaluation.samples * 0.006 * _share(evaluation, "judge"))


def _classify(evaluation: Evaluation) -> dict[str, Any]:
    failed, unjudged = _losses(evaluation)
    invalid = int(evaluation.samples * 0.01 * _share(evaluation, "invalid"))
    valid = evaluation.samples - failed - unjudged - invalid
    labels = [str(label) for label in evaluation.parameters.get("labels", ())]
    weights = [0.2 + _share(evaluation, "label", label) for label in labels]
    counts = {
        label: int(valid * weight / sum(weights)) for label, weight in zip(labels, weights, strict=True)
    }
    counts[labels[0]] += valid - sum(counts.values())
    passed = sum(counts.get(str(label), 0) for label in evaluation.parameters.get("pass_labels", ()))
    return {
        "label_counts": orjson.dumps(counts).decode(),
        "pass_percentage": round(100 * passed / max(1, valid), 2),
        "generation_fail_count": failed,
        "judge_fail_count": unjudged,
        "invalid_label_count": invalid,
    }


def _score(evaluation: Evaluation) -> dict[str, Any]:
    failed, unjudged = _losses(evaluation)
    parameters = evaluation.parameters
    low, high = float(parameters.get("min_score", 0)), float(parameters.get("max_score", 10))
    mean = low + (high - low) * (0.55 + 0.35 * _share(evaluation, "mean"))
    deviation = (high - low) * (0.08 + 0.1 * _share(evaluation, "deviation"))
    threshold = float(parameters.get("pass_threshold", (low + high) / 2))
    above = 0.5 * math.erfc((threshold - mean) / (deviation * math.sqrt(2)))  # share of a normal distribution
    return {
        "aggregated_scores": {
            "mean_score": round(mean, 3),
            "std_score": round(deviation, 3),
            "pass_percentage": round(100 * above, 2),
        },
        "failed_samples": failed + unjudged,
        "generation_fail_count": failed,
        "judge_fail_count": unjudged,
        "invalid_score_count": int(evaluation.samples * 0.005 * _share(evaluation, "invalid")),
    }


def _compare(evaluation: Evaluation) -> dict[str, Any]:
    failed, unjudged = _losses(evaluation)
    valid = evaluation.samples - failed - unjudged
    ties = int(valid * (0.08 + 0.2 * _share(evaluation, "ties")))
    wins = int((valid - ties) * (0.3 + 0.4 * _share(evaluation, "wins")))
    return {
        "num_samples": evaluation.samples,
        "A_wins": wins,
        "B_wins": valid - ties - wins,
        "Ties": ties,
        "generation_fail_count": failed,
        "judge_fail_count": unjudged,
    }
