"""What the enforcer did while PostgreSQL was away: a file of JSON lines, replayed into ActionStep afterwards.

A line is on disk before the call it announces. Each carries an id, so that a replay that is itself cut off adds
nothing the second time.
"""

import json
import logging
import os
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from dashboard.core import live
from dashboard.lifecycle.models import ActionStep, StopAction

logger = logging.getLogger(__name__)

FILE_NAME = "enforcer-journal.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what happened to which act, when by PostgreSQL's clock as far as it was known."""

    action_id: int
    at: datetime
    what: str
    note: str = ""
    state: str = ""
    ready_replicas: int | None = None
    request_id: str = ""
    entry_id: uuid.UUID = field(default_factory=uuid.uuid4)


class Journal:
    """The file in one folder. Safe for the threads of one process, not for two processes on one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._replaying = folder / f"{FILE_NAME}.replaying"
        self._lock = threading.Lock()

    def append(self, entry: Entry) -> None:
        """Write one line to disk. A disk that takes none is logged and never keeps a stop from being sent."""
        line = json.dumps(
            {
                "id": str(entry.entry_id),
                "action": entry.action_id,
                "at": entry.at.isoformat(),
                "what": entry.what,
                "note": entry.note,
                "state": entry.state,
                "ready_replicas": entry.ready_replicas,
                "request_id": entry.request_id,
            }
        )
        logger.warning("from memory, PostgreSQL being away: %s", line)
        try:
            with self._lock, self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            logger.error("the journal %s cannot be written: %s", self._path.name, error)

    def replay(self) -> int:
        """Write all lines as steps and drop the file; return how many lines were new. One transaction."""
        with self._lock:
            if self._path.exists() and not self._replaying.exists():
                self._path.rename(self._replaying)
        if not self._replaying.exists():
            return 0
        entries = [
            entry for line in self._replaying.read_text("utf-8").splitlines() if (entry := _parse(line))
        ]
        count = _store(entries)
        self._replaying.unlink()
        return count


def _parse(line: str) -> Entry | None:
    """Return the entry, or None (and log) for a line that a crash cut."""
    try:
        raw: dict[str, Any] = json.loads(line)
        return Entry(
            action_id=int(raw["action"]),
            at=datetime.fromisoformat(raw["at"]),
            what=raw["what"],
            note=raw["note"],
            state=raw["state"],
            ready_replicas=raw["ready_replicas"],
            request_id=raw["request_id"],
            entry_id=uuid.UUID(raw["id"]),
        )
    except (ValueError, KeyError, TypeError):
        logger.error("a line of the journal cannot be read: %s", line[:200])
        return None


@transaction.atomic
def _store(entries: list[Entry]) -> int:
    known = dict(
        StopAction.objects.filter(pk__in={entry.action_id for entry in entries}).values_list(
            "pk", "endpoint_id"
        )
    )
    stored = set(
        ActionStep.objects.filter(journal_id__in=[entry.entry_id for entry in entries]).values_list(
            "journal_id", flat=True
        )
    )
    fresh = [entry for entry in entries if entry.action_id in known and entry.entry_id not in stored]
    ActionStep.objects.bulk_create(
        [
            ActionStep(
                action_id=entry.action_id,
                at=entry.at,
                what=entry.what,
                state=entry.state,
                ready_replicas=entry.ready_replicas,
                note=f"{entry.note} (from memory, PostgreSQL being away)".strip(),
                provider_request_id=entry.request_id,
                journal_id=entry.entry_id,
            )
            for entry in fresh
        ]
    )
    for entry in fresh:
        _mark_act(entry)
    if fresh:
        live.announce(["actions", "endpoints"], ids={known[entry.action_id] for entry in fresh})
    return len(fresh)


def _mark_act(entry: Entry) -> None:
    """Let the row know that it was sent and answered, so that nobody sends again without a look and patience."""
    open_rows = StopAction.objects.filter(pk=entry.action_id, state__in=StopAction.OPEN_STATES)
    if entry.what == ActionStep.What.SENT:
        open_rows.update(
            state=StopAction.State.SENT,
            sent_at=Coalesce(F("sent_at"), entry.at),
            last_sent_at=Greatest(F("last_sent_at"), entry.at),
            send_count=F("send_count") + 1,
        )
    elif entry.what == ActionStep.What.ANSWERED:
        open_rows.update(answered_at=Greatest(F("answered_at"), entry.at))
