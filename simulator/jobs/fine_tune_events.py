"""The events of a fine-tune, as they follow from its course."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from simulator.clock import SECOND_MS
from simulator.jobs import course as courses
from simulator.jobs.fine_tunes import FineTune

#: After the start of the run: (milliseconds, type, message).
_SETUP: Final = (
    (0, "job_start", "Job started"),
    (5 * SECOND_MS, "model_downloading", "Downloading model"),
    (80 * SECOND_MS, "model_download_complete", "Model downloaded"),
    (85 * SECOND_MS, "training_data_downloading", "Downloading training data"),
    (130 * SECOND_MS, "training_data_download_complete", "Training data downloaded"),
)
_VALIDATION: Final = (
    (135 * SECOND_MS, "validation_data_downloading", "Downloading validation data"),
    (150 * SECOND_MS, "validation_data_download_complete", "Validation data downloaded"),
)
_WANDB_MS: Final = 160 * SECOND_MS


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `at_ms` is world time once it leaves this module."""

    at_ms: int
    kind: str
    message: str
    level: str = "info"
    step: int = 0


def wandb_url(job: FineTune) -> str:
    """Return where the run is shown at Weights & Biases; empty = it is not."""
    project = job.settings.wandb_project_name
    if not project:
        return ""
    entity = job.settings.wandb_entity or job.owner.organization_slug
    return f"https://wandb.ai/{entity}/{project}/runs/{job.fine_tune_id[3:11]}"


def model_path(job: FineTune, *, step: int | None = None) -> str:
    """Return the storage path of the final model, or of a checkpoint."""
    suffix = "model" if step is None else f"checkpoint-{step}"
    return f"s3://together-dev/finetune/{job.owner.organization_id}/{job.output_name}/{job.fine_tune_id}/{suffix}"


def list_events(job: FineTune, *, now_ms: int) -> list[Event]:
    """Return what happened until now, oldest first."""
    plan_ms = job.tempo.to_plan(now_ms)
    events = sorted(
        (event for event in _all_events(job) if event.at_ms <= plan_ms), key=lambda event: event.at_ms
    )
    return [replace(event, at_ms=job.tempo.to_world(event.at_ms)) for event in events]


def _all_events(job: FineTune) -> Iterator[Event]:
    course, settings = job.course, job.settings
    cut_ms = course.end_ms if course.outcome in {courses.CANCELLED, courses.ERROR} else None
    asked_ms = next((s.at_ms for s in course.statuses if s.status == courses.CANCEL_REQUESTED), cut_ms)
    for event in _planned_events(job):
        if asked_ms is None or event.at_ms <= asked_ms:
            yield event
    for note in course.notes:
        yield Event(note.at_ms, note.kind, note.message, note.level, note.step)
    if settings.patience and not settings.validation_file:
        yield Event(job.created_ms, "warning", "Early stopping needs a validation file", "warning")


def _planned_events(job: FineTune) -> Iterator[Event]:
    course, settings = job.course, job.settings
    yield Event(job.created_ms, "job_pending", "Job created")
    running_ms = next((s.at_ms for s in course.statuses if s.status == courses.RUNNING), None)
    if running_ms is not None:
        setup = _SETUP + (_VALIDATION if settings.validation_file else ())
        for after_ms, kind, message in setup:
            yield Event(running_ms + after_ms, kind, message)
        if url := wandb_url(job):
            yield Event(running_ms + _WANDB_MS, "wandb_init", f"Logging to {url}")
    if course.legs:
        yield Event(
            course.legs[0].start_ms, "training_start", f"Training started for {job.total_steps} steps"
        )
        yield from _training_events(job)
    yield from _delivery_events(job)


def _training_events(job: FineTune) -> Iterator[Event]:
    last = job.course.legs[-1].last
    for step in job.checkpoint_steps():
        if step <= last and (at_ms := job.course.when(step)) is not None:
            yield Event(at_ms, "checkpoint_save", f"Checkpoint saved at step {step}", step=step)
    for epoch in range(1, job.settings.n_epochs + 1):
        step = epoch * job.steps_per_epoch
        if step <= last and (at_ms := job.course.when(step)) is not None:
            message = f"Epoch {epoch} of {job.settings.n_epochs} completed"
            yield Event(at_ms, "epoch_complete", message, step=step)


def _delivery_events(job: FineTune) -> Iterator[Event]:
    last = job.course.legs[-1].last if job.course.legs else 0
    told = {
        courses.COMPRESSING: (
            ("training_complete", "Training completed"),
            ("model_compressing", "Compressing"),
        ),
        courses.UPLOADING: (("model_compression_complete", "Compressed"), ("model_uploading", "Uploading")),
        courses.COMPLETED: (("model_upload_complete", "Model uploaded"), ("job_complete", "Job completed")),
    }
    for status in job.course.statuses:
        for kind, message in told.get(status.status, ()):
            yield Event(status.at_ms, kind, message, step=last)
