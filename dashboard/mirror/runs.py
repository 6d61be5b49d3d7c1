"""One pass of a sync as a row: lock, outcome, counts, error."""

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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


@dataclass(slots=True)
class Recording:
    """A pass under way: its row, what it counts, its clock and the lock that it holds."""

    run: SyncRun
    tally: Tally
    clock: Callable[[], datetime]
    lock: ExitStack
    is_ended: bool = False

    @contextmanager
    def conclude(self) -> Iterator[None]:
        """Run the block as the last part of the pass, then record how it ended and let go of the lock.

        An ApiError ends the run as failed and is swallowed: it is recorded, shown and tried again at the next tick.
        Any other error is recorded and raised.
        """
        try:
            yield
        except Exception as error:
            self.end(error)
            if not isinstance(error, ApiError):
                raise
        else:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        """Record the end, by `error` if there is one, and let go of the lock."""
        self.is_ended = True
        outcome = SyncRun.Outcome.FAILED
        if isinstance(error, ApiError):
            logger.warning(
                "sync of %s failed for connection %s: %s", self.run.resource, self.run.connection_id, error
            )
            self.tally.report_error(error)
        elif error is not None:
            self.tally.report(f"Internal error: {type(error).__name__}. The log has the details.")
        else:
            outcome = _judge(self.tally)
        with self.lock:
            _finish(self.run, self.tally, outcome, self.clock())


@contextmanager
def record_run(
    connection: Connection, resource: SyncRun.Resource, *, clock: Callable[[], datetime] = timezone.now
) -> Iterator[tuple[SyncRun, Tally] | None]:
    """Run the block under the resource's lock as a SyncRun; yield None when another run holds the lock.

    Errors of the block are treated as `Recording.conclude` says.
    """
    with record_runs(connection, [resource], clock=clock) as recordings:
        if resource not in recordings:
            yield None
            return
        one = recordings[resource]
        with one.conclude():
            yield one.run, one.tally


@contextmanager
def record_runs(
    connection: Connection,
    resources: Sequence[SyncRun.Resource],
    *,
    clock: Callable[[], datetime] = timezone.now,
) -> Iterator[Mapping[SyncRun.Resource, Recording]]:
    """Begin a run of each resource whose lock is free; yield those, the others are recorded as busy.

    Each is concluded on its own, in any order. What is still under way at the end of the block ends as the block does.
    """
    with ExitStack() as stack:
        locks = {resource: stack.enter_context(ExitStack()) for resource in resources}
        held = {
            resource
            for resource, lock in locks.items()
            if lock.enter_context(try_lock(_LOCKS[resource], key=connection.pk))
        }
        runs = _begin(connection, resources, held, now=clock())
        recordings = {
            resource: Recording(run, Tally(), clock, locks[resource])
            for resource, run in runs.items()
            if resource in held
        }
        try:
            yield recordings
        except Exception as error:
            _end_all(recordings.values(), error)
            raise
        else:
            _end_all(recordings.values(), None)


def _end_all(recordings: Iterable[Recording], error: Exception | None) -> None:
    for one in recordings:
        if not one.is_ended:
            one.end(error)


def _begin(
    connection: Connection,
    resources: Sequence[SyncRun.Resource],
    held: Container[SyncRun.Resource],
    *,
    now: datetime,
) -> dict[SyncRun.Resource, SyncRun]:
    """Write the rows of these passes: running where the lock is held, else ended at once. One statement."""
    rows = {
        resource: SyncRun(
            connection=connection,
            resource=resource,
            started_at=now,
            finished_at=None if resource in held else now,
            outcome=SyncRun.Outcome.RUNNING if resource in held else SyncRun.Outcome.BUSY,
        )
        for resource in resources
    }
    with _unhurried_commit():
        SyncRun.objects.bulk_create(rows.values())
    return rows


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
