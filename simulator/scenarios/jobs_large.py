"""Two thousand jobs over all kinds, for measuring: 700 fine-tunes, 500 batches, 800 evaluations."""

from collections.abc import Sequence
from typing import Final

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from simulator.identifiers import derive_number, derive_uuid
from simulator.jobs import course as courses
from simulator.jobs.batches import Batch, Load, plan_batch
from simulator.jobs.endings import settle_jobs
from simulator.jobs.evaluations import TYPES, Evaluation, plan_evaluation
from simulator.jobs.files import StoredFile
from simulator.jobs.fine_tunes import FineTune, Settings, Work
from simulator.jobs.inspection import Findings
from simulator.jobs.owner import Owner, Tempo
from simulator.jobs.trainable import trainable_models
from simulator.resources.jobs_access import owner_in
from simulator.scenarios.job_files import add_file
from simulator.scenarios.jobs_small import make_parameters
from simulator.world import Project, World

FINE_TUNES: Final = 700
BATCHES: Final = 500
EVALUATIONS: Final = 800
_FILES: Final = 60
_PAST_MS: Final = 60 * DAY_MS
_MODELS: Final = (
    "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference",
    "Qwen/Qwen3-32B",
    "openai/gpt-oss-20b",
    "mistralai/Mistral-7B-Instruct-v0.2",
)


def add_large_jobs(world: World, projects: Sequence[Project]) -> None:
    """Spread the jobs over sixty days; one in fifty of each kind works when the world begins."""
    owners = [owner_in(project, name=f"person-{place}") for place, project in enumerate(projects)]
    files = {
        purpose: [_add_file(world, purpose, number, owners[number % len(owners)]) for number in range(_FILES)]
        for purpose in ("fine-tune", "batch-api", "eval")
    }
    for number in range(FINE_TUNES):
        _add_fine_tune(world, number, owners[number % len(owners)], files["fine-tune"][number % _FILES])
    for number in range(BATCHES):
        _add_batch(world, number, owners[number % len(owners)], files["batch-api"][number % _FILES])
    for number in range(EVALUATIONS):
        _add_evaluation(world, number, owners[number % len(owners)], files["eval"][number % _FILES])
    settle_jobs(world, world.start_ms)


def _add_file(world: World, purpose: str, number: int, owner: Owner) -> StoredFile:
    lines = 500 + 37 * number
    shape = {"fine-tune": "instruction", "batch-api": "batch", "eval": "rows"}[purpose]
    return add_file(
        world,
        name=f"{shape}-{number:02d}.jsonl",
        owner=owner,
        purpose=purpose,
        at_ms=world.start_ms - _PAST_MS - HOUR_MS,
        lines=lines,
        size_bytes=lines * 2_400,
        shape=shape,
        findings=Findings(lines, "INSTRUCTION") if purpose == "fine-tune" else None,
    )


def _created_ms(world: World, number: int, count: int) -> int:
    """Return the creation: evenly over the past, every fiftieth within the last minutes."""
    if number % 50 == 49:
        return world.start_ms - (1 + number % 7) * MINUTE_MS
    ago_ms = _PAST_MS - number * (_PAST_MS - DAY_MS) // count
    return (world.start_ms - ago_ms) // SECOND_MS * SECOND_MS


def _tempo(world: World, created_ms: int) -> Tempo:
    return Tempo.of_job(created_ms=created_ms, world_start_ms=world.start_ms, speed=world.speed)


def _add_fine_tune(world: World, number: int, owner: Owner, training: StoredFile) -> None:
    created_ms = _created_ms(world, number, FINE_TUNES)
    trainable = trainable_models()[_MODELS[number % len(_MODELS)]]
    settings = Settings(
        model=trainable.name,
        training_file=training.file_id,
        n_epochs=1 + number % 3,
        batch_size=trainable.lora.most_sft,
        max_seq_length=4_096,
        suffix=f"run-{number:03d}",
    )
    work = Work(trainable.billions, training.lines, training.size_bytes, training.tokens, 0)
    job = FineTune(
        fine_tune_id=f"ft-{derive_uuid(world.seed, 'fine-tune', number)}",
        owner=owner,
        created_ms=created_ms,
        settings=settings,
        work=work,
        course=courses.plan_course(
            created_ms, total_steps=work.total_steps(settings), step_ms=work.step_ms(settings)
        ),
        tempo=_tempo(world, created_ms),
        output_name=f"{owner.organization_slug}/{trainable.name.rpartition('/')[2]}-run-{number:03d}",
    )
    middle_ms = job.course.when(max(1, job.total_steps // 2)) or created_ms
    if number % 10 == 3:
        job.course = courses.cancel(job.course, middle_ms)
    elif number % 10 == 7:
        job.course = courses.fail(job.course, middle_ms, message="Loss is not finite")
    world.jobs.add_fine_tune(job)


def _add_batch(world: World, number: int, owner: Owner, stored: StoredFile) -> None:
    created_ms = _created_ms(world, number, BATCHES)
    load = Load(stored.lines, stored.tokens, failing=number % 4)
    fault = "Line 3 is not valid JSON." if number % 10 == 3 else None
    batch = Batch(
        batch_id=derive_uuid(world.seed, "batch", number),
        owner=owner,
        created_ms=created_ms,
        endpoint="/v1/chat/completions",
        model="openai/gpt-oss-20b",
        input_file_id=stored.file_id,
        input_bytes=stored.size_bytes,
        load=load,
        tempo=_tempo(world, created_ms),
        steps=plan_batch(created_ms, load, fault=fault),
    )
    world.jobs.add_batch(batch)


def _add_evaluation(world: World, number: int, owner: Owner, stored: StoredFile) -> None:
    created_ms = _created_ms(world, number, EVALUATIONS)
    kind = TYPES[number % len(TYPES)]
    name = f"evaluation-{derive_number(world.seed, number) % 1_000:03d}"
    evaluation = Evaluation(
        evaluation_id=f"eval-{derive_uuid(world.seed, 'evaluation', number)}",
        owner=owner,
        created_ms=created_ms,
        kind=kind,
        parameters=make_parameters(kind, name, stored.file_id),
        samples=stored.lines,
        tempo=_tempo(world, created_ms),
        steps=plan_evaluation(created_ms, samples=stored.lines),
    )
    world.jobs.add_evaluation(evaluation)
