"""The open stops of deployments and endpoints, kept in memory with all that stopping needs.

So that they happen while PostgreSQL is away. Refreshed about every second. Nobody can take a stop back while the
database is down, so the copy is right; what was taken back in the second before is the limit, confessed. A process
that starts while PostgreSQL is down knows nothing and can do nothing. Nothing is ever ended here: that takes a row,
and the next pass with a database reads the state again.
"""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import OuterRef, Subquery

from dashboard.accounts.crypto import CryptoError
from dashboard.lifecycle import provider
from dashboard.lifecycle.journal import Entry, Journal
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.orders import DOWN_STATES, read_columns
from dashboard.lifecycle.provider import Courier, Look
from dashboard.lifecycle.verdicts import (
    Done,
    Escalate,
    Order,
    Refused,
    RetryAt,
    Seen,
    Send,
    Step,
    Superseded,
    Unread,
    Wait,
    decide,
    judge_failure,
    note_sight,
)
from dashboard.mirror.models import StateChange
from dashboard.together_api.errors import ApiError

logger = logging.getLogger(__name__)

# Most stops that are open at once, generously; beyond it only the oldest are kept.
MAX_STOPS = 2_000
THREADS = 4

What = ActionStep.What


@dataclass(frozen=True, slots=True)
class Armed:
    """One open stop as last read, and the way to the provider."""

    action_id: int
    order: Order
    courier: Courier


@dataclass(slots=True)
class _Progress:
    """How far a stop got in memory: its order, when to look again, what was last written to the journal."""

    order: Order
    next_at: datetime
    is_over: bool = False
    last_note: tuple[object, ...] = ()


@dataclass(slots=True)
class Memory:
    """The copy, its age, and the progress made without a database. One thread refreshes, another acts."""

    journal: Journal
    _armed: tuple[Armed, ...] = ()
    _read_at: datetime | None = None
    _read_monotonic: float = 0.0
    _progress: dict[int, _Progress] = field(default_factory=dict)

    @property
    def refreshed_monotonic(self) -> float | None:
        """Our monotonic time of the last refresh; None before the first one."""
        return None if self._read_at is None else self._read_monotonic

    @property
    def count(self) -> int:
        """How many stops are held."""
        return len(self._armed)

    def refresh(self) -> None:
        """Read the open stops and forget the progress made without them. Two queries. Raises django.db.Error."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT now()")
            now = cursor.fetchone()[0]
        rows = (
            StopAction.objects.filter(
                kind=StopAction.Kind.STOP, state__in=StopAction.OPEN_STATES, endpoint__isnull=False
            )
            .select_related("endpoint__connection", "endpoint__project", "deployment")
            .only(*_NEEDED)
            .annotate(stopped_since_at=Subquery(_FIRST_DOWN))
            .order_by("due_at", "pk")[:MAX_STOPS]
        )
        armed = []
        for row in rows:
            try:
                courier = provider.open_courier(row)
            except CryptoError as error:
                logger.error("the key of %s cannot be opened: %s", row.connection, error)
                continue
            order = read_columns(row, stopped_since_at=row.stopped_since_at)
            armed.append(Armed(row.pk, order, courier))
        self._armed, self._read_at, self._read_monotonic = tuple(armed), now, time.monotonic()
        self._progress = {}

    def act(self) -> int:
        """Bring the due stops forward without a database; return how many were looked at."""
        now = self._read_clock()
        due = [one for one in self._armed if one.order.due_at <= now and self._is_due(one, now=now)]
        if due:
            with ThreadPoolExecutor(max_workers=THREADS) as pool:
                list(pool.map(self._advance, due))
        return len(due)

    def _read_clock(self) -> datetime:
        """Return PostgreSQL's time as of the last refresh, carried on by our monotonic clock."""
        if self._read_at is None:
            raise RuntimeError("nothing is armed before the first refresh")
        return self._read_at + timedelta(seconds=time.monotonic() - self._read_monotonic)

    def _is_due(self, one: Armed, *, now: datetime) -> bool:
        progress = self._progress.get(one.action_id)
        return progress is None or (not progress.is_over and progress.next_at <= now)

    def _advance(self, one: Armed) -> None:
        progress = self._progress.setdefault(one.action_id, _Progress(one.order, self._read_clock()))
        look = one.courier.look(progress.order)
        now = self._read_clock()
        order = progress.order
        if isinstance(look.sight, Unread):
            order = replace(order, failures=order.failures + 1)
        progress.order = order = note_sight(order, look.sight, now=now)
        if isinstance(look.sight, Seen):
            note = (What.SEEN, look.sight.state, look.sight.ready_replicas)
            if note != progress.last_note:
                progress.last_note = note
                self._write(
                    one,
                    What.SEEN,
                    state=look.sight.state,
                    ready_replicas=look.sight.ready_replicas,
                    request_id=look.request_id,
                )
        step = decide(order, look.sight, now=now)
        if isinstance(step, Send):
            step = self._send(one, progress, step, look=look)
        self._plan(one, progress, step)

    def _send(self, one: Armed, progress: _Progress, step: Send, *, look: Look) -> Step:
        """Send the stop; return the step that follows its answer."""
        now = self._read_clock()
        before = progress.order
        progress.order = replace(
            before,
            sent_at=before.sent_at or now,
            last_sent_at=now,
            send_count=before.send_count + 1,
            state_when_sent=look.sight.state if isinstance(look.sight, Seen) else before.state_when_sent,
        )
        self._write(one, What.SENT, note=step.reason)
        try:
            one.courier.send(step, order=progress.order, look=look)
        except ApiError as error:
            failure = provider.describe_failure(error)
            failures = before.failures + 1
            if failure.outcome_unknown:
                progress.order = replace(progress.order, failures=failures)
            else:
                progress.order = replace(progress.order, failures=failures, last_sent_at=before.last_sent_at)
            return judge_failure(progress.order, step.act, failure, now=self._read_clock())
        now = self._read_clock()
        progress.order = replace(progress.order, answered_at=now, failures=0)
        self._write(one, What.ANSWERED, note="Accepted", request_id=one.courier.request_id)
        return Wait(now + timedelta(seconds=1), "Sent")

    def _plan(self, one: Armed, progress: _Progress, step: Step) -> None:
        """Note when to look again, or that nothing is left to do until the database is back."""
        if isinstance(step, Wait):
            progress.next_at = step.until
        elif isinstance(step, RetryAt | Escalate):
            progress.next_at = step.at
            if progress.last_note != (What.FAILED, step.reason):
                progress.last_note = (What.FAILED, step.reason)
                self._write(one, What.FAILED, note=step.reason)
        elif isinstance(step, Done | Superseded | Refused):
            progress.is_over = True

    def _write(
        self,
        one: Armed,
        what: str,
        *,
        note: str = "",
        state: str = "",
        ready_replicas: int | None = None,
        request_id: str = "",
    ) -> None:
        entry = Entry(
            action_id=one.action_id,
            at=self._read_clock(),
            what=what,
            note=note,
            state=state,
            ready_replicas=ready_replicas,
            request_id=request_id,
        )
        self.journal.append(entry)


# Named one by one: a column that another version of the code adds or drops must not blind the memory.
_NEEDED = (
    "kind", "requested_at", "due_at", "min_replicas", "max_replicas", "sent_at", "last_sent_at", "answered_at",
    "send_count", "state_when_sent", "effect_seen_at", "absent_seen_at", "failures", "deployment__remote_id",
    "endpoint__generation", "endpoint__remote_id", "endpoint__project__remote_id",
    "resource", "arguments", "made", "endpoint__connection__name", "endpoint__connection__key_ciphertext",
)  # fmt: skip

_FIRST_DOWN = (
    StateChange.objects.filter(
        deployment=OuterRef("deployment"),
        at__gt=OuterRef("requested_at"),
        recorded_at__gt=OuterRef("requested_at"),
        state__in=DOWN_STATES,
    )
    .order_by("at")
    .values("at")[:1]
)
