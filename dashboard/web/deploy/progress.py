"""How far a deploy is, as six stages read from the lines of its receipt. Pure but for the receipt's type."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from dashboard.lifecycle.receipts import Receipt, ReceiptLine

State = Literal["done", "now", "ahead", "failed", "skipped"]

# Word -> how the note of the line begins with which its write was sent (lifecycle/verdicts/deploys.py).
_WRITES: Final = (
    ("Checked", "Dry run"),
    ("Endpoint", "Create the endpoint"),
    ("Deployment", "Create the deployment"),
    ("Traffic", "Set the traffic split"),
)
_ACCEPTED: Final = "answered"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage with the time at which it was reached; `note` says what is special about it."""

    word: str
    state: State
    at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class DeployProgress:
    """The stages, and what to do when it ended without being ready; empty = nothing."""

    stages: tuple[Stage, ...]
    advice: str


def read_progress(receipt: Receipt) -> DeployProgress:
    """Return how far the deploy of the receipt is."""
    is_ready = receipt.confirmed_at is not None
    has_ended_badly = not receipt.is_open and not is_ready
    stages = [_read_write(word, begins, receipt.lines) for word, begins in _WRITES]
    made = _name_reached(stages)
    if has_ended_badly:
        stages = [_fail(stage) for stage in stages]
    has_deployment = stages[2].state == "done"
    starting: State = "ahead"
    if is_ready:
        starting = "done"
    elif has_deployment:
        starting = "failed" if has_ended_badly else "now"
    seen = next((line.state for line in reversed(receipt.lines) if line.state), "")
    stages += [
        Stage("Starting", starting, note=seen.lower() if starting == "now" else ""),
        Stage("Ready", "done" if is_ready else "ahead", at=receipt.confirmed_at),
    ]
    stages = [_skip(stage, is_ready=is_ready) for stage in stages]
    if receipt.is_open and not any(stage.state == "now" for stage in stages):
        stages = _mark_next(stages)
    return DeployProgress(tuple(stages), _advise(made) if has_ended_badly else "")


def _read_write(word: str, begins: str, lines: Sequence[ReceiptLine]) -> Stage:
    """Return the stage of one write: done once an answer followed it, now while none has."""
    sent = [place for place, line in enumerate(lines) if line.what == "sent" and line.note.startswith(begins)]
    if not sent:
        return Stage(word, "ahead")
    later = lines[sent[-1] + 1 :]
    answered = next((line for line in later if line.what in (_ACCEPTED, "sent")), None)
    # The next write is sent only when this one's effect was read back, whatever became of its answer.
    return Stage(word, "done", at=answered.at) if answered else Stage(word, "now", at=lines[sent[-1]].at)


def _fail(stage: Stage) -> Stage:
    return Stage(stage.word, "failed", at=stage.at) if stage.state == "now" else stage


def _skip(stage: Stage, *, is_ready: bool) -> Stage:
    """Return what was never needed as skipped: the endpoint was there, no traffic was wanted, nothing was to check."""
    return Stage(stage.word, "skipped", note="not needed") if is_ready and stage.state == "ahead" else stage


def _mark_next(stages: Sequence[Stage]) -> list[Stage]:
    found = list(stages)
    place = next((number for number, stage in enumerate(found) if stage.state == "ahead"), None)
    if place is not None:
        found[place] = Stage(found[place].word, "now")
    return found


def _name_reached(stages: Sequence[Stage]) -> str:
    """Return the last write that was accepted, empty for none."""
    return next((stage.word for stage in reversed(stages) if stage.state == "done"), "")


def _advise(reached: str) -> str:
    if reached in ("", "Checked"):
        return "Nothing was made. Change what was refused and create it again."
    if reached == "Endpoint":
        return "The empty endpoint stays and costs nothing: deploy into it, or delete it."
    return "The deployment stays: look at its state on the endpoint's page; stop and delete it there if it is no use."
