"""A month of jobs at Fernhill: fine-tunes of four teams in every state, and the files they were made of."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from simulator.identifiers import derive_number, derive_uuid
from simulator.jobs import course as courses
from simulator.jobs.endings import settle_jobs
from simulator.jobs.files import StoredFile
from simulator.jobs.fine_tunes import (
    FineTune,
    Patience,
    Settings,
    Work,
    apply_credit,
    apply_early_stopping,
    restart_course,
)
from simulator.jobs.inspection import Findings
from simulator.jobs.trainable import trainable_models
from simulator.resources.jobs_access import owner_in
from simulator.scenarios.job_files import add_file
from simulator.scenarios.jobs_small import add_batches, add_evaluations, slow_tempo
from simulator.world import Project, World

_LLAMA_8B: Final = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
_LLAMA_70B: Final = "meta-llama/Llama-3.3-70B-Instruct-Reference"
LEGAL_V4: Final = "fernhill/Llama-3.1-8B-legal-v4"
_LORA: Final = {
    "type": "Lora",
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "lora_trainable_modules": "all-linear",
}
_FULL: Final = {"type": "Full"}
_SFT: Final = {"method": "sft", "train_on_inputs": "auto"}
_DPO: Final = {"method": "dpo", "dpo_beta": 0.1, "dpo_normalize_logratios_by_length": False}


@dataclass(frozen=True)
class FilePlan:
    """One training file; its name tells the team that uploaded it."""

    name: str
    person: str
    lines: int
    megabytes: float
    shape: str = "conversation"
    error: str | None = None


@dataclass(frozen=True)
class JobPlan:
    """One fine-tune; `ago_ms` is before the start, `at` the share of its training at which something happens."""

    suffix: str
    person: str
    model: str
    ago_ms: int
    training: str
    settings: dict[str, Any] = field(default_factory=dict)
    validation: str = ""
    event: str = ""  # restart | fail | cancel | billing_limit | cancel_queued | invalid_file
    at: float = 0.5
    queue_ms: int = courses.QUEUE_MS
    output: str = ""


TEAMS: Final = {
    "mira.okafor": "Support", "jonas.lind": "Support", "dana.petrov": "Search", "tom.weiss": "Search",
    "lena.hofmann": "Research", "arjun.rao": "Research", "sofia.marin": "Docs",
}  # fmt: skip

_FILES: Final = (
    FilePlan("legal-clauses-v3.jsonl", "lena.hofmann", 9_200, 24.6),
    FilePlan("legal-clauses-v4.jsonl", "lena.hofmann", 12_400, 34.1),
    FilePlan("legal-clauses-v5.jsonl", "lena.hofmann", 18_900, 52.3),
    FilePlan("legal-holdout.jsonl", "lena.hofmann", 600, 1.6),
    FilePlan("tickets-2026-q3.jsonl", "mira.okafor", 21_000, 31.5),
    FilePlan("tickets-holdout.jsonl", "mira.okafor", 900, 1.4),
    FilePlan("tone-preferences.jsonl", "jonas.lind", 3_800, 11.2, "preference"),
    FilePlan("query-rewrites.jsonl", "dana.petrov", 5_400, 1.1, "instruction"),
    FilePlan("rerank-pairs.jsonl", "tom.weiss", 16_500, 19.8, "instruction"),
    FilePlan("rerank-holdout.jsonl", "tom.weiss", 800, 0.9, "instruction"),
    FilePlan("handbook-qa.jsonl", "sofia.marin", 7_700, 15.9),
    FilePlan("translations-de-en.jsonl", "sofia.marin", 26_000, 29.4, "instruction"),
    FilePlan("judge-verdicts.jsonl", "arjun.rao", 11_000, 42.0),
    FilePlan("handbook-draft.jsonl", "sofia.marin", 420, 0.8, error="Line 118 is not valid JSON."),
)  # fmt: skip


def _days(days: float, hours: float = 0.0) -> int:
    """Return milliseconds before the start, which is a Wednesday at 14:00."""
    return round(days * DAY_MS + hours * HOUR_MS)


_JOBS: Final = (
    JobPlan("legal-v3", "lena.hofmann", _LLAMA_8B, _days(27, 2.3), "legal-clauses-v3.jsonl",
            {"n_epochs": 2, "n_evals": 4, "learning_rate": 2e-5}, "legal-holdout.jsonl"),
    JobPlan("legal-v4", "lena.hofmann", _LLAMA_8B, _days(20, 3.1), "legal-clauses-v4.jsonl",
            {"n_epochs": 3, "n_evals": 9, "n_checkpoints": 3, "learning_rate": 1.5e-5, "warmup_ratio": 0.05,
             "wandb_project_name": "fernhill-legal", "wandb_name": "legal-v4", "wandb_entity": "fernhill"},
            "legal-holdout.jsonl", output=LEGAL_V4),
    JobPlan("pretrain-probe", "arjun.rao", _LLAMA_70B, _days(15, 3.9), "judge-verdicts.jsonl",
            {"n_epochs": 4, "training_type": _FULL}, event="billing_limit", at=0.45),
    JobPlan("triage-v2", "mira.okafor", _LLAMA_70B, _days(13, 3.4), "tickets-2026-q3.jsonl",
            {"n_epochs": 2, "n_evals": 6, "n_checkpoints": 4, "learning_rate": 1e-5}, "tickets-holdout.jsonl",
            event="restart", at=0.63),
    JobPlan("tone-dpo", "jonas.lind", "Qwen/Qwen2.5-7B-Instruct", _days(12, 1.0), "tone-preferences.jsonl",
            {"n_epochs": 1, "training_method": _DPO, "learning_rate": 5e-6}),
    JobPlan("rerank", "tom.weiss", "Qwen/Qwen3-8B", _days(9, 2.2), "rerank-pairs.jsonl",
            {"n_epochs": 6, "n_evals": 24, "training_type": _FULL, "learning_rate": 1e-5,
             "patience": Patience(evals=2, warmup_evals=1)}, "rerank-holdout.jsonl"),
    JobPlan("clauses-byom", "lena.hofmann", "mistralai/Mistral-7B-Instruct-v0.2", _days(8, 2.7),
            "legal-clauses-v4.jsonl",
            {"from_hf_model": "fernhill/mistral-7b-clauses-base", "hf_model_revision": "main"}),
    JobPlan("rewrite", "dana.petrov", "meta-llama/Llama-3.2-3B-Instruct", _days(7, 0.6), "query-rewrites.jsonl",
            {"n_epochs": 3}),
    JobPlan("handbook", "sofia.marin", "openai/gpt-oss-20b", _days(6, 3.0), "handbook-qa.jsonl",
            {"n_epochs": 2, "n_checkpoints": 2}),
    JobPlan("translate", "sofia.marin", "google/gemma-3-27b-it", _days(5, 2.9), "translations-de-en.jsonl",
            {"n_epochs": 3, "learning_rate": 2e-5}, event="cancel", at=0.38),
    JobPlan("judge", "arjun.rao", "Qwen/Qwen3-32B", _days(2, 3.6), "judge-verdicts.jsonl",
            {"n_epochs": 2, "n_checkpoints": 2, "learning_rate": 9e-4}, event="fail", at=0.31),
    JobPlan("handbook-draft", "sofia.marin", "openai/gpt-oss-20b", _days(1, 4.2), "handbook-draft.jsonl",
            event="invalid_file"),
    JobPlan("rewrite-again", "dana.petrov", "meta-llama/Llama-3.2-3B-Instruct", _days(1, 1.5),
            "query-rewrites.jsonl", event="cancel_queued"),
    JobPlan("triage-v3", "mira.okafor", _LLAMA_70B, _days(0, 3.2), "tickets-2026-q3.jsonl",
            {"n_epochs": 4, "n_evals": 8, "n_checkpoints": 4, "learning_rate": 1e-5, "warmup_ratio": 0.03,
             "wandb_project_name": "fernhill-triage"}, "tickets-holdout.jsonl"),
    JobPlan("legal-v5", "lena.hofmann", _LLAMA_8B, _days(0, 0.2), "legal-clauses-v5.jsonl",
            {"n_epochs": 3, "n_evals": 6, "from_checkpoint": LEGAL_V4}, "legal-holdout.jsonl",
            queue_ms=100 * MINUTE_MS),
)  # fmt: skip


def add_demo_jobs(world: World, projects: dict[str, Project]) -> None:
    """Upload the files, run the jobs, and let what has ended by the start have its effects."""
    files = {}
    for plan in _FILES:
        used_ms = [job.ago_ms for job in _JOBS if plan.name in {job.training, job.validation}]
        files[plan.name] = _add_file(world, plan, projects, ago_ms=max(used_ms) + 20 * MINUTE_MS)
    for job in _JOBS:
        add_job(world, job, files, projects)
    add_batches(world, projects, TEAMS)
    add_evaluations(world, projects, TEAMS)
    settle_jobs(world, world.start_ms)


def _add_file(world: World, plan: FilePlan, projects: dict[str, Project], *, ago_ms: int) -> StoredFile:
    formats = {"conversation": "CONVERSATION", "preference": "PREFERENCE_OPENAI"}
    return add_file(
        world,
        name=plan.name,
        owner=owner_in(projects[TEAMS[plan.person]], name=plan.person),
        purpose="fine-tune",
        at_ms=world.start_ms - ago_ms,
        lines=plan.lines,
        size_bytes=round(plan.megabytes * 1_000_000),
        shape=plan.shape,
        findings=Findings(plan.lines, formats.get(plan.shape, "INSTRUCTION"), plan.error),
    )


def add_job(
    world: World, plan: JobPlan, files: dict[str, StoredFile], projects: dict[str, Project]
) -> FineTune:
    """Create a job in the past and let happen to it what its plan says."""
    training, validation = files[plan.training], files.get(plan.validation)
    trainable = trainable_models()[plan.model]
    kind = plan.settings.get("training_type", _LORA)
    method = plan.settings.get("training_method", _SFT)
    limits = trainable.batches(is_full=kind["type"] == "Full")
    context = trainable.context_dpo if method["method"] == "dpo" else trainable.context_sft
    settings = Settings(
        model=plan.model,
        training_file=training.file_id,
        validation_file=validation.file_id if validation else "",
        suffix=plan.suffix,
        batch_size=limits.most_dpo if method["method"] == "dpo" else limits.most_sft,
        max_seq_length=min(context, 4_096),
        **{"training_type": kind, "training_method": method, **plan.settings},
    )
    work = Work(
        billions=trainable.billions,
        lines=training.lines,
        file_bytes=training.size_bytes,
        train_tokens=training.tokens,
        eval_tokens=validation.tokens if validation else 0,
    )
    owner = owner_in(projects[TEAMS[plan.person]], name=plan.person)
    jitter_ms = derive_number(world.seed, plan.suffix) % (20 * MINUTE_MS) if plan.ago_ms > DAY_MS else 0
    created_ms = world.start_ms - plan.ago_ms - jitter_ms
    created_ms -= created_ms % SECOND_MS
    fine_tune_id = f"ft-{derive_uuid(world.seed, 'fine-tune', plan.suffix)}"
    ending = f"{derive_number(fine_tune_id) & 0xFFFFFFFF:08x}"
    base_name = plan.model.rpartition("/")[2]
    job = FineTune(
        fine_tune_id=fine_tune_id,
        owner=owner,
        created_ms=created_ms,
        settings=settings,
        work=work,
        course=courses.plan_course(
            created_ms,
            total_steps=work.total_steps(settings),
            step_ms=work.step_ms(settings),
            queue_ms=plan.queue_ms,
        ),
        tempo=slow_tempo(world, created_ms),
        output_name=plan.output or f"{owner.organization_slug}/{base_name}-{plan.suffix}-{ending}",
    )
    _let_happen(job, plan)
    world.jobs.add_fine_tune(job)
    return job


def _let_happen(job: FineTune, plan: JobPlan) -> None:
    apply_early_stopping(job)
    at_ms = job.course.when(max(1, round(job.total_steps * plan.at))) or job.course.end_ms
    match plan.event:
        case "restart":
            job.course = restart_course(job, at_ms)
        case "fail":
            step = job.course.steps_done(at_ms)
            job.course = courses.fail(job.course, at_ms, message=f"Loss is not finite at step {step}")
        case "cancel":
            job.course = courses.cancel(job.course, at_ms)
        case "cancel_queued":
            job.course = courses.cancel(job.course, job.created_ms + 2 * MINUTE_MS)
        case "invalid_file":
            message = "The training file has no valid format: see its validation_report"
            job.course = courses.fail(job.course, job.created_ms + 30 * SECOND_MS, message=message)
        case "billing_limit":
            price = job.price_usd(job.created_ms)
            apply_credit(job, credit_usd=price * Fraction(str(plan.at)))
