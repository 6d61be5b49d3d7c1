"""One pass of a sync as a row: lock, outcome, counts, error."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from dashboard.accounts.connections import report_health
from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, try_lock
from dashboard.mirror.models import SyncRun
from dashboard.mirror.observations import Written
from dashboard.together_api.errors import ApiError, AuthenticationError

logger = logging.getLogger(__name__)

_UNWELL = (Connection.Health.REFUSED, Connection.Health.FAILING)
# Each pass has the lock of its name: SyncRun.Resource.FINE_TUNES is Lock.SYNC_FINE_TUNES.
_LOCKS = {resource: Lock[f"SYNC_{resource.name}"] for resource in SyncRun.Resource}


@dataclass(slots=True)
class Tally:
    """What a pass counted; a problem makes it partial, the first ones are the run's error, notes follow them.

    Items that could not be read are a note: one odd body for ever must not make all the rest look stale for ever.
    """

    seen: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    absent: int = 0
    malformed: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_key_refused: bool = False
    # Why the provider does not offer this to the key: an answer, no error. Empty: it does.
    unavailable_reason: str = ""

    def add_written(self, written: Written) -> None:
        """Count the rows that a store call wrote."""
        self.created += written.created
        self.updated += written.updated
        self.absent += written.absent

    def report(self, problem: str) -> None:
        """Note a sentence for people; the pass goes on and ends as partial."""
        if problem not in self.problems:
            self.problems.append(problem)

    def note_malformed(self, count: int) -> None:
        """Count items that were kept because they could not be read."""
        self.malformed += count
        if self.malformed:
            noun = "item" if self.malformed == 1 else "items"
            self.notes = [f"{self.malformed} {noun} could not be read; kept under Settings."]

    def report_error(self, error: ApiError | None) -> None:
        """Note why there is no answer; the pass goes on without it."""
        if error is not None:
            self.report(error.sentence)
            self.is_key_refused = self.is_key_refused or isinstance(error, AuthenticationError)


@contextmanager
def record_run(
    connection: Connection, resource: SyncRun.Resource, *, clock: Callable[[], datetime] = timezone.now
) -> Iterator[tuple[SyncRun, Tally] | None]:
    """Run the block under the resource's lock as a SyncRun; yield None when another run holds the lock.

    An ApiError ends the run as failed and is swallowed: it is recorded, shown and tried again at the next tick.
    Any other error is recorded and raised.
    """
    with try_lock(_LOCKS[resource], key=connection.pk) as is_held:
        started_at = clock()
        if not is_held:
            SyncRun.objects.create(
                connection=connection,
                resource=resource,
                started_at=started_at,
                finished_at=started_at,
                outcome=SyncRun.Outcome.BUSY,
            )
            yield None
            return
        with _unhurried_commit():
            run = SyncRun.objects.create(
                connection=connection,
                resource=resource,
                started_at=started_at,
                outcome=SyncRun.Outcome.RUNNING,
            )
        tally = Tally()
        try:
            yield run, tally
        except ApiError as error:
            logger.warning("sync of %s failed for connection %s: %s", resource, connection.pk, error)
            tally.report_error(error)
            _finish(run, tally, SyncRun.Outcome.FAILED, clock())
        except Exception as error:
            tally.report(f"Internal error: {type(error).__name__}. The log has the details.")
            _finish(run, tally, SyncRun.Outcome.FAILED, clock())
            raise
        else:
            _finish(run, tally, _judge(tally), clock())


def _judge(tally: Tally) -> SyncRun.Outcome:
    if tally.problems:
        return SyncRun.Outcome.PARTIAL
    return SyncRun.Outcome.UNAVAILABLE if tally.unavailable_reason else SyncRun.Outcome.COMPLETE


def _finish(run: SyncRun, tally: Tally, outcome: SyncRun.Outcome, now: datetime) -> None:
    run.outcome = outcome
    run.finished_at = now
    run.seen, run.created, run.updated = tally.seen, tally.created, tally.updated
    run.unchanged, run.absent, run.malformed = tally.unchanged, tally.absent, tally.malformed
    run.error = " ".join([*tally.problems[:3], *tally.notes]) or tally.unavailable_reason
    with _unhurried_commit():
        run.save(
            update_fields=[
                "outcome",
                "finished_at",
                "seen",
                "created",
                "updated",
                "unchanged",
                "absent",
                "malformed",
                "error",
            ]
        )
        if run.resource == SyncRun.Resource.ENDPOINTS:
            _report_health(run.connection, tally, outcome, now)
        # Open pages show the age of what they show: a finished pass moves it even when nothing changed.
        live.announce(["sync"])


@contextmanager
def _unhurried_commit() -> Iterator[None]:
    """Run the block as a transaction whose commit does not wait for the disk.

    Losing the last run's row in a power cut loses nothing that the next pass does not write again, and a pass
    that finds nothing new should cost little more than its listing (bench/sync).
    """
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO OFF")
        yield


def find_previous_start(
    connection: Connection, resource: SyncRun.Resource, *, before: SyncRun
) -> datetime | None:
    """Return when the last complete pass before this one began: what it saw bounds every later edge from below."""
    return (
        SyncRun.objects.filter(
            connection=connection,
            resource=resource,
            outcome=SyncRun.Outcome.COMPLETE,
            started_at__lt=before.started_at,
        )
        .order_by("-finished_at")
        .values_list("started_at", flat=True)
        .first()
    )


def _report_health(connection: Connection, tally: Tally, outcome: SyncRun.Outcome, now: datetime) -> None:
    """Let the connection say what this pass learnt about its key; a partial pass says nothing against it.

    What "Test" found out in words stays while the key goes on working.
    """
    if tally.is_key_refused:
        report_health(connection, health=Connection.Health.REFUSED, detail=tally.problems[0], now=now)
    elif outcome is SyncRun.Outcome.FAILED:
        report_health(connection, health=Connection.Health.FAILING, detail=tally.problems[0], now=now)
    elif outcome is SyncRun.Outcome.COMPLETE and connection.health in _UNWELL:
        report_health(
            connection, health=Connection.Health.WORKING, detail="The last sync read everything.", now=now
        )
