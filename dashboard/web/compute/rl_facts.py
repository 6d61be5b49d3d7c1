"""What the pages of RL resources and sessions say of a body beyond the mirrored columns. Pure (contract 13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from dashboard.web.resources.bodies import Fact, number_of, part_of, text_of

# Checkpoints that the page lists, newest first; the raw payload has all.
MOST_CHECKPOINTS = 50


@dataclass(frozen=True, slots=True)
class SessionCheckpoint:
    """A saved state of a session: one that training goes on from, or one that can serve. None = not told."""

    step: int | None
    purpose: str
    checkpoint_id: str
    created_at: datetime | None


def list_session_checkpoints(body: Mapping[str, Any]) -> tuple[SessionCheckpoint, ...]:
    """Return the saved states of a session, newest step first."""
    found = []
    for name, purpose in (("training_checkpoints", "to go on from"), ("inference_checkpoints", "to serve")):
        rows = body.get(name)
        for row in rows if isinstance(rows, list) else []:
            if not isinstance(row, dict):
                continue
            step = number_of(row, "step")
            found.append(
                SessionCheckpoint(
                    step=None if step is None else int(step),
                    purpose=purpose,
                    checkpoint_id=text_of(row, "id"),
                    created_at=_read_time(text_of(row, "created_at")),
                )
            )
    found.sort(key=lambda one: (one.step is not None, one.step or 0, one.purpose), reverse=True)
    return tuple(found[:MOST_CHECKPOINTS])


def list_session_facts(body: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return the settings of a session that its body tells."""
    adapter = part_of(body, "lora_config")
    tracking = part_of(part_of(body, "metadata"), "wandb")
    run = "/".join(filter(None, (text_of(tracking, name) for name in ("entity", "project", "run_name"))))
    facts = [
        Fact("Type", text_of(body, "type").removeprefix("SESSION_TYPE_").replace("_", " ").lower()),
        Fact("LoRA rank", text_of(adapter, "rank")),
        Fact("LoRA alpha", text_of(adapter, "alpha")),
        Fact("LoRA dropout", text_of(adapter, "dropout")),
        Fact("Weights & Biases", run),
    ]
    return tuple(fact for fact in facts if fact.value)


def read_queue_position(body: Mapping[str, Any]) -> int | None:
    """Return how many resources wait before these, None when not told."""
    position = number_of(part_of(body, "status_details"), "queue_position")
    return None if position is None else int(position)


def _read_time(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None
