"""The stages of a fine-tune, read from its events and its status. Pure (contract section 6 names the events)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

State = Literal["done", "now", "ahead", "failed", "skipped"]

# Stage -> (word, provider states in which it runs, events that begin it, events that end it).
_STAGES: Final = (
    ("Queued", ("pending", "queued"), ("job_pending",), ("job_start",)),
    (
        "Downloading",
        (),
        ("model_downloading", "training_data_downloading", "validation_data_downloading"),
        ("training_start",),
    ),
    ("Training", (), ("training_start",), ("training_complete", "early_stopped")),
    ("Compressing", ("compressing",), ("model_compressing",), ("model_compression_complete",)),
    ("Uploading", ("uploading",), ("model_uploading",), ("model_upload_complete",)),
    ("Completed", ("completed",), ("job_complete",), ()),
)
_ENDED_BADLY: Final = ("error", "cancelled", "cancel_requested")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as the stages need it; `at` None = its time could not be read."""

    type: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `lasted` None = not told, or not begun."""

    word: str
    state: State
    started_at: datetime | None = None
    ended_at: datetime | None = None
    lasted: timedelta | None = None


def read_stages(
    entries: Sequence[Entry],
    *,
    status: str,
    created_at: datetime | None,
    finished_at: datetime | None,
    now: datetime,
) -> tuple[Stage, ...]:
    """Return the six stages of a job in the provider's ``status``; `entries` stand oldest first.

    After a restart what is begun anew counts; what is not retold (a training that goes on from a checkpoint) stays
    as it was.
    """
    attempt = _last_attempt(entries)
    word = status.lower()
    reached = _find_reached(attempt, entries, word)
    stages = []
    for place, (label, _, begins, ends) in enumerate(_STAGES):
        started = _find_first(attempt, begins) or _find_first(entries, begins)
        # The queue is left once, whatever is begun anew later.
        if not place:
            started = _find_first(entries, begins) or created_at
        ended = (_find_first(attempt, ends) if place else None) or _find_first(entries, ends)
        if place == len(_STAGES) - 1:
            ended = started = started or (finished_at if word == "completed" else None)
        is_told = place in (0, len(_STAGES) - 1) or any(entry.type in (*begins, *ends) for entry in entries)
        if word == "completed" or place < reached:
            lasted = ended - started if started and ended and ended > started else None
            stages.append(Stage(label, "done" if is_told else "skipped", started, ended, lasted))
        elif place > reached:
            stages.append(Stage(label, "skipped" if word in _ENDED_BADLY else "ahead"))
        else:
            stages.append(_describe_present(label, word, started, finished_at=finished_at, now=now))
    return tuple(stages)


def _describe_present(
    label: str, word: str, started: datetime | None, *, finished_at: datetime | None, now: datetime
) -> Stage:
    """Return the stage that the job is in, or in which it ended."""
    if word in ("error", "cancelled"):
        lasted = finished_at - started if finished_at and started and finished_at > started else None
        return Stage(label, "failed", started, finished_at, lasted)
    return Stage(label, "now", started, None, now - started if started and now > started else None)


def _find_reached(attempt: Sequence[Entry], entries: Sequence[Entry], word: str) -> int:
    """Return the place of the stage that the job is in, or was in when it ended."""
    for place, (_, states, _, _) in enumerate(_STAGES):
        if word in states:
            return place
    reached = _find_last_begun(attempt) or _find_last_begun(entries)
    # A job that the provider calls running has left the queue, whatever its feed has told so far.
    return max(reached, 1) if word == "running" else reached


def _find_last_begun(entries: Sequence[Entry]) -> int:
    types = {entry.type for entry in entries}
    begun = [place for place, (_, _, begins, _) in enumerate(_STAGES) if types & set(begins)]
    return max(begun, default=0)


def _last_attempt(entries: Sequence[Entry]) -> Sequence[Entry]:
    places = [place for place, entry in enumerate(entries) if entry.type == "job_restarted"]
    return entries[places[-1] :] if places else entries


def _find_first(entries: Sequence[Entry], types: Sequence[str]) -> datetime | None:
    return next((entry.at for entry in entries if entry.type in types and entry.at is not None), None)
