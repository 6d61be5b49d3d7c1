"""Batches and evaluations of the demo's month."""

from dataclasses import dataclass
from typing import Any, Final

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from simulator.identifiers import derive_number, derive_uuid
from simulator.jobs import batches, evaluations
from simulator.jobs.batches import Batch, Load, plan_batch
from simulator.jobs.evaluations import Evaluation, plan_evaluation
from simulator.jobs.owner import Step, Tempo
from simulator.resources.jobs_access import owner_in
from simulator.scenarios.job_files import add_file
from simulator.world import Project, World

_SMALL, _LARGE = "openai/gpt-oss-20b", "openai/gpt-oss-120b"


@dataclass(frozen=True)
class BatchPlan:
    """One batch; `end` is forced at a share of its run, "" = it runs to its end."""

    name: str
    person: str
    model: str
    ago_ms: int
    requests: int
    kilobytes: int
    failing: int = 0
    end: str = ""
    fault: str | None = None
    window_ms: int = batches.WINDOW_MS


_BATCHES: Final = (
    BatchPlan("tickets-2026-10.jsonl", "mira.okafor", _SMALL, 16 * DAY_MS + 3 * HOUR_MS, 18_000, 22_000),
    BatchPlan("handbook-summaries.jsonl", "sofia.marin", _LARGE, 9 * DAY_MS + 2 * HOUR_MS, 4_200, 9_600, failing=37),
    BatchPlan("catalogue-descriptions.jsonl", "dana.petrov", _LARGE, 6 * DAY_MS + HOUR_MS, 50_000, 61_000,
              end=batches.CANCELLED),
    BatchPlan("corpus-labels.jsonl", "arjun.rao", "Qwen/Qwen3.5-9B-FP8", 5 * DAY_MS + 4 * HOUR_MS, 44_000, 52_000,
              window_ms=2 * HOUR_MS),
    BatchPlan("tickets-broken.jsonl", "jonas.lind", _SMALL, 2 * DAY_MS + 2 * HOUR_MS, 900, 700,
              fault="Line 412 needs custom_id and body."),
    BatchPlan("tickets-2026-11.jsonl", "mira.okafor", _SMALL, 55 * MINUTE_MS, 42_000, 54_000),
)  # fmt: skip


#: Type -> (name, person, days ago, rows, outcome); the newest ones still work when the demo begins.
_EVALUATIONS: Final = {
    "classify": (
        ("tickets-intents", "mira.okafor", 24.1, 1_200, ""),
        ("toxicity-support", "jonas.lind", 18.2, 800, ""),
        ("clause-risk", "lena.hofmann", 13.1, 300, ""),
        ("handbook-topics", "sofia.marin", 7.2, 900, ""),
        ("query-language", "dana.petrov", 1.1, 0, evaluations.USER_ERROR),
        ("tickets-intents-v3", "mira.okafor", 0.004, 1_200, ""),
    ),
    "score": (
        ("legal-drafts-v3", "lena.hofmann", 26.2, 300, ""),
        ("legal-drafts-v4", "lena.hofmann", 19.1, 300, ""),
        ("answers-tone", "jonas.lind", 11.1, 800, ""),
        ("translation-quality", "sofia.marin", 5.05, 900, evaluations.ERROR),
        ("summaries", "arjun.rao", 4.15, 700, ""),
        ("triage-answers", "mira.okafor", 0.06, 30_000, ""),
    ),
    "compare": (
        ("legal-v3-or-v4", "lena.hofmann", 19.05, 300, ""),
        ("rerank-old-new", "tom.weiss", 8.1, 1_000, ""),
        ("judge-32b-or-oss", "arjun.rao", 6.1, 700, ""),
        ("handbook-ft-or-base", "sofia.marin", 5.1, 900, ""),
        ("rewrite-ft-or-base", "dana.petrov", 2.1, 1_000, ""),
        ("tone-dpo-or-base", "jonas.lind", 0.0003, 800, ""),
    ),
}


def add_batches(world: World, projects: dict[str, Project], teams: dict[str, str]) -> None:
    """Submit the batches in the past; what has not ended by the start goes on."""
    for plan in _BATCHES:
        owner = owner_in(projects[teams[plan.person]], name=plan.person)
        created_ms = _round(world.start_ms - plan.ago_ms)
        stored = add_file(
            world,
            name=plan.name,
            owner=owner,
            purpose="batch-api",
            at_ms=created_ms - 5 * MINUTE_MS,
            lines=plan.requests,
            size_bytes=plan.kilobytes * 1_000,
            shape="batch",
        )
        load = Load(plan.requests, stored.tokens, plan.failing)
        steps = plan_batch(created_ms, load, window_ms=plan.window_ms, fault=plan.fault)
        if plan.end:
            steps[-1] = Step(created_ms + load.run_ms * 2 // 5, plan.end)
        batch = Batch(
            batch_id=derive_uuid(world.seed, "batch", plan.name),
            owner=owner,
            created_ms=created_ms,
            endpoint="/v1/chat/completions",
            model=plan.model,
            input_file_id=stored.file_id,
            input_bytes=stored.size_bytes,
            load=load,
            tempo=slow_tempo(world, created_ms),
            steps=steps,
            window_ms=plan.window_ms,
        )
        world.jobs.add_batch(batch)


def _round(at_ms: int) -> int:
    return at_ms - at_ms % SECOND_MS


def slow_tempo(world: World, created_ms: int) -> Tempo:
    """Return a tempo that `--speed` shortens ten times less: people should see how the demo's jobs move."""
    speed = max(1.0, world.speed / 10)
    return Tempo.of_job(created_ms=created_ms, world_start_ms=world.start_ms, speed=speed)


def add_evaluations(world: World, projects: dict[str, Project], teams: dict[str, str]) -> None:
    """Run the evaluations of the month, oldest first; a team's evaluations of one size share their file."""
    planned = [(kind, plan) for kind, plans in _EVALUATIONS.items() for plan in plans]
    datasets: dict[str, str] = {}
    for kind, (name, person, days_ago, rows, outcome) in sorted(planned, key=lambda item: -item[1][2]):
        owner = owner_in(projects[teams[person]], name=person)
        created_ms = _round(world.start_ms - round(days_ago * DAY_MS))
        dataset = f"{teams[person].lower()}-eval-{rows}.jsonl"
        if rows and dataset not in datasets:
            datasets[dataset] = add_file(
                world,
                name=dataset,
                owner=owner,
                purpose="eval",
                at_ms=created_ms - 4 * MINUTE_MS,
                lines=rows,
                size_bytes=rows * 420,
                shape="rows",
            ).file_id
        file_id = datasets.get(dataset, "file-deleted-meanwhile")
        fault = None if rows else f"Input file {file_id} not found or empty"
        steps = plan_evaluation(created_ms, samples=rows, fault=fault)
        if outcome == evaluations.ERROR:
            middle_ms = (steps[-2].at_ms + steps[-1].at_ms) // 2
            steps[-1] = Step(middle_ms, evaluations.ERROR, "The judge model did not answer")
        world.jobs.add_evaluation(
            Evaluation(
                evaluation_id=f"eval-{derive_uuid(world.seed, 'evaluation', name)}",
                owner=owner,
                created_ms=created_ms,
                kind=kind,
                parameters=make_parameters(kind, name, file_id),
                samples=rows,
                tempo=slow_tempo(world, created_ms),
                steps=steps,
            )
        )


def make_parameters(kind: str, name: str, file_id: str) -> dict[str, Any]:
    """Return the parameters of a type; about half judge answers that are in the file already."""
    generates = derive_number(name) % 2 == 0
    judged: dict[str, Any] = {
        "model": _SMALL,
        "model_source": "serverless",
        "system_template": "Answer the customer.",
        "input_template": "{{prompt}}",
        "max_tokens": 512,
        "temperature": 0.2,
    }
    parameters: dict[str, Any] = {
        "input_data_file_path": file_id,
        "judge": {
            "model": _LARGE,
            "model_source": "serverless",
            "system_template": f"You judge {name.replace('-', ' ')}.",
        },
    }
    if kind == "compare":
        other = {**judged, "model": "Qwen/Qwen3.5-9B-FP8"}
        return parameters | {
            "model_a": judged if generates else "answer_a",
            "model_b": other if generates else "answer_b",
        }
    parameters["model_to_evaluate"] = judged if generates else "answer"
    if kind == "classify":
        return parameters | {"labels": ["good", "vague", "wrong"], "pass_labels": ["good"]}
    return parameters | {"min_score": 0.0, "max_score": 10.0, "pass_threshold": 7.0}
