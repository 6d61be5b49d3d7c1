"""What appears when a job ends: the model of a fine-tune, the files of a batch or an evaluation."""

from simulator.identifiers import derive_uuid
from simulator.jobs import batches, evaluations
from simulator.jobs import course as courses
from simulator.jobs.batches import Batch
from simulator.jobs.content import Sample
from simulator.jobs.evaluations import Evaluation
from simulator.jobs.files import COMPLETED, StoredFile
from simulator.jobs.fine_tunes import FineTune
from simulator.jobs.owner import Owner, Step
from simulator.jobs.trainable import find_base
from simulator.world import World


def settle_jobs(world: World, now_ms: int) -> None:
    """Let everything happen that was due by now, at its own instant."""
    jobs = world.jobs
    for at_ms, identifier in jobs.take_due(now_ms):
        if identifier in jobs.fine_tunes:
            deliver_model(world, jobs.fine_tunes[identifier], at_ms)
        elif identifier in jobs.batches:
            deliver_answers(world, jobs.batches[identifier], at_ms)
        elif identifier in jobs.evaluations:
            deliver_results(world, jobs.evaluations[identifier], at_ms)


def deliver_model(world: World, job: FineTune, at_ms: int) -> None:
    """Register the model (and the adapter) of a job that is completed; a cancelled one delivers nothing."""
    if job.status(at_ms) != courses.COMPLETED or job.output_name in world.catalogue.by_name:
        return
    base = find_base(world.catalogue, job.settings.model)
    names = [(job.output_name, False)]
    if not job.settings.is_full:
        names.append((f"{job.output_name}-adapter", True))
    for name, is_adapter in names:
        world.registry.add_trained(
            name=name, project_id=job.owner.project_id, base=base, at_ms=at_ms, is_adapter=is_adapter
        )


def output_file_id(batch: Batch) -> str:
    return f"file-{derive_uuid(batch.batch_id, 'output')}"


def error_file_id(batch: Batch) -> str:
    return f"file-{derive_uuid(batch.batch_id, 'errors')}"


def deliver_answers(world: World, batch: Batch, at_ms: int) -> None:
    """Write the files of a batch that has ended: what was answered, and what failed."""
    if batch.status(at_ms) not in batches.ENDED:
        return
    failed = batch.requests_failed(at_ms)
    answered = batch.requests_done(at_ms) - failed
    if answered:
        _write(world, batch.owner, output_file_id(batch), "batch-generated", answered, 900, at_ms)
    if failed:
        _write(world, batch.owner, error_file_id(batch), "batch-generated", failed, 240, at_ms)


def deliver_results(world: World, evaluation: Evaluation, at_ms: int) -> None:
    if evaluation.status(at_ms) == evaluations.COMPLETED and evaluation.samples:
        file_id = evaluation.result_file_id
        _write(world, evaluation.owner, file_id, "eval-output", evaluation.samples, 700, at_ms)


def _write(
    world: World, owner: Owner, file_id: str, purpose: str, lines: int, line_bytes: int, at_ms: int
) -> None:
    if file_id in world.jobs.files:
        return
    world.jobs.files[file_id] = StoredFile(
        file_id=file_id,
        owner=owner,
        filename=f"{file_id.removeprefix('file-')[:13]}.jsonl",
        purpose=purpose,
        file_type="jsonl",
        created_ms=at_ms,
        content=Sample("answers", lines, lines * line_bytes, file_id),
        timeline=[Step(at_ms, COMPLETED)],
    )
