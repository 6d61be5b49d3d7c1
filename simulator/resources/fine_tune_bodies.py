"""The bodies of a fine-tune: the truncated one of lists and writes, the full one, events and checkpoints."""

from typing import Any

from simulator.clock import MINUTE_MS, SECOND_MS, format_time
from simulator.identifiers import derive_number
from simulator.jobs import course as courses
from simulator.jobs.fine_tune_events import Event, list_events, model_path, wandb_url
from simulator.jobs.fine_tunes import FineTune, find_halt
from simulator.jobs.rates import to_nano
from simulator.world import World


def _echo(job: FineTune) -> dict[str, Any]:
    """Return the settings that both bodies repeat; None = left out."""
    settings = job.settings
    scheduler: dict[str, Any] = {"min_lr_ratio": settings.min_ratio}
    if settings.schedule == "cosine":
        scheduler["num_cycles"] = settings.cycles
    return {
        "model": settings.model,
        "model_output_name": job.output_name,
        "training_file": settings.training_file,
        "validation_file": settings.validation_file,
        "n_epochs": settings.n_epochs,
        "n_evals": settings.n_evals,
        "n_checkpoints": settings.n_checkpoints,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "lr_scheduler": {"lr_scheduler_type": settings.schedule, "lr_scheduler_args": scheduler},
        "warmup_ratio": settings.warmup_ratio,
        "max_grad_norm": settings.max_grad_norm,
        "weight_decay": settings.weight_decay,
        "training_type": settings.training_type,
        "training_method": settings.training_method,
        "from_checkpoint": settings.from_checkpoint,
        "from_hf_model": settings.from_hf_model,
        "hf_model_revision": settings.hf_model_revision,
        "wandb_project_name": settings.wandb_project_name,
    }


def _state(job: FineTune, now_ms: int) -> dict[str, Any]:
    plan_ms = job.tempo.to_plan(now_ms)
    present = job.course.present(plan_ms)
    changed_ms = max(
        [job.tempo.to_world(present.at_ms)]
        + [job.tempo.to_world(note.at_ms) for note in job.course.notes if note.at_ms <= plan_ms]
    )
    if present.status == courses.RUNNING and job.course.steps_done(plan_ms):
        changed_ms = max(changed_ms, now_ms - now_ms % MINUTE_MS)
    body: dict[str, Any] = {
        "id": job.fine_tune_id,
        "status": present.status,
        "user_id": job.owner.user_id,
        "created_at": format_time(job.created_ms),
        "updated_at": format_time(changed_ms),
        "started_at": None,
        "token_count": job.tokens_of(job.course.steps_done(plan_ms)),
        "total_price": to_nano(job.price_usd(now_ms)),
        "progress": _describe_progress(job, plan_ms, now_ms),
    }
    if present.status not in {courses.PENDING, courses.QUEUED}:
        body["started_at"] = format_time(job.tempo.to_world(present.at_ms))
    halted = [note for note in job.course.notes if note.kind == "early_stopped" and note.at_ms <= plan_ms]
    if job.settings.patience is not None:
        body["early_stopped"] = bool(halted)
        if halted and (halt := find_halt(job)) is not None:
            body["early_stopping_best_step"], body["early_stopping_best_metric"] = halt[1], halt[2]
    return body


def _describe_progress(job: FineTune, plan_ms: int, now_ms: int) -> dict[str, Any]:
    """Return the time to the next status; unknown before training runs and after the end."""
    status, next_ms = job.course.status(plan_ms), job.course.next_status_ms(plan_ms)
    trains = status != courses.RUNNING or job.course.steps_done(plan_ms) > 0
    known = next_ms is not None and status not in {courses.PENDING, courses.QUEUED} and trains
    seconds = (job.tempo.to_world(next_ms) - now_ms) // SECOND_MS if known and next_ms is not None else 0
    return {"estimate_available": known, "seconds_remaining": max(0, seconds)}


def describe_truncated(job: FineTune, *, now_ms: int) -> dict[str, Any]:
    """Return the item of the list, which POST and cancel answer too. It has no events."""
    settings = job.settings
    body = {
        **_state(job, now_ms),
        **_echo(job),
        "owner_address": job.owner.address,
        "suffix": settings.suffix or None,
        "packing": settings.packing,
        "max_seq_length": settings.max_seq_length,
        "random_seed": settings.random_seed,
        "wandb_name": settings.wandb_name,
        "wandb_entity": settings.wandb_entity,
        "events": [],
    }
    return _without_nulls(body)


def describe_created(job: FineTune, *, now_ms: int) -> dict[str, Any]:
    """Return the answer of POST; the SDK's hand-written type wants `adapter_output_name` in it."""
    name = None if job.settings.is_full else adapter_name(job)
    return {**describe_truncated(job, now_ms=now_ms), "adapter_output_name": name}


def _without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def adapter_name(job: FineTune) -> str:
    return f"{job.output_name}-adapter"


def describe_full(world: World, job: FineTune, *, now_ms: int) -> dict[str, Any]:
    plan_ms = job.tempo.to_plan(now_ms)
    settings = job.settings
    done = job.course.steps_done(plan_ms)
    status = job.course.status(plan_ms)
    body = {
        **_state(job, now_ms),
        **_echo(job),
        "job_id": f"job-{derive_number(job.fine_tune_id) & 0xFFFFFFFFFFFF:012x}",
        "train_on_inputs": settings.training_method.get("train_on_inputs"),
        "param_count": round(job.work.billions * 1_000_000_000),
        "trainingfile_numlines": job.work.lines,
        "trainingfile_size": job.work.file_bytes,
        "epochs_completed": done // job.steps_per_epoch,
        "steps_completed": done,
        "total_steps": job.total_steps,
        "evals_completed": sum(step <= done for step in job.eval_steps()),
        "eval_steps": job.total_steps // settings.n_evals if job.eval_steps() else None,
        "queue_depth": _queue_depth(job, plan_ms),
        "events": [describe_event(job, event) for event in list_events(job, now_ms=now_ms)],
    }
    if settings.train_vision:
        body["multimodal_params"] = {"train_vision": True}
    if any(event["type"] == "wandb_init" for event in body["events"]):
        body["wandb_url"] = wandb_url(job)
    if status == courses.COMPLETED:
        body["model_output_path"] = model_path(job)
        body |= _describe_objects(world, job)
    return _without_nulls(body)


def _queue_depth(job: FineTune, plan_ms: int) -> int:
    """Return the jobs ahead: it moves up one place every two minutes."""
    if job.course.status(plan_ms) != courses.QUEUED:
        return 0
    next_ms = job.course.next_status_ms(plan_ms)
    return 1 + (next_ms - plan_ms) // (2 * MINUTE_MS) if next_ms is not None else 1


def _describe_objects(world: World, job: FineTune) -> dict[str, Any]:
    """Return the registry's ids of what the job made; nothing for what has been deleted since."""
    body: dict[str, Any] = {}
    names = {"model": job.output_name} | ({} if job.settings.is_full else {"adapter": adapter_name(job)})
    for kind, name in names.items():
        model = world.catalogue.by_name.get(name)
        if model is not None and model.project_id == job.owner.project_id:
            body[f"{kind}_object_id"] = model.model_id
            body[f"{kind}_object_name"] = f"{job.owner.project_slug}/{name.rpartition('/')[2]}"
            body[f"{kind}_object_revision_id"] = model.revision_id
    return body


def describe_event(job: FineTune, event: Event) -> dict[str, Any]:
    """Return an event with every field that the specification of April 2026 requires."""
    trained = job.tokens_of(min(event.step, job.total_steps)) if event.step else 0
    return {
        "object": "fine-tune-event",
        "created_at": format_time(event.at_ms),
        "level": event.level,
        "message": event.message,
        "type": event.kind,
        "param_count": round(job.work.billions * 1_000_000_000) if event.kind == "training_start" else 0,
        "token_count": trained,
        "total_steps": job.total_steps,
        "wandb_url": wandb_url(job) if event.kind == "wandb_init" else "",
        "step": event.step,
        "checkpoint_path": model_path(job, step=event.step) if event.kind == "checkpoint_save" else "",
        "model_path": model_path(job) if event.kind in {"model_upload_complete", "job_complete"} else "",
        "training_offset": 0,
        "hash": f"{derive_number(job.fine_tune_id, event.kind, event.step, event.at_ms):016x}",
    }


def describe_checkpoints(world: World, job: FineTune, *, now_ms: int) -> list[dict[str, Any]]:
    """Return the checkpoints that were saved, newest first; of a completed job the last is the final model."""
    plan_ms = job.tempo.to_plan(now_ms)
    status, last = job.course.status(plan_ms), job.course.steps_done(plan_ms)
    items: list[dict[str, Any]] = []
    for step in job.checkpoint_steps():
        at_ms = job.course.when(step)
        if at_ms is None or at_ms > plan_ms or (step == job.total_steps and status != courses.COMPLETED):
            continue
        if step < last or status != courses.COMPLETED:
            items.append(_describe_checkpoint(job, step, at_ms, "Intermediate", model_path(job, step=step)))
    if status == courses.COMPLETED:
        final_ms = job.course.end_ms
        kinds = (
            [("model", "Final")]
            if job.settings.is_full
            else [("model", "Final Merged"), ("adapter", "Final Adapter")]
        )
        objects = _describe_objects(world, job)
        for kind, label in kinds:
            path = model_path(job) + ("-adapter" if kind == "adapter" else "")
            item = _describe_checkpoint(job, last, final_ms, label, path)
            item["checkpoint"] = kind
            item |= {
                name.removeprefix(f"{kind}_"): value
                for name, value in objects.items()
                if name.startswith(f"{kind}_")
            }
            items.append(item)
    return items[::-1]


def _describe_checkpoint(job: FineTune, step: int, at_ms: int, label: str, path: str) -> dict[str, Any]:
    return {
        "step": step,
        "created_at": format_time(job.tempo.to_world(at_ms)),
        "path": path,
        "checkpoint_type": f"{label} (step {step})",
    }
