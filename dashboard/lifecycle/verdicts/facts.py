"""What a decision is made from, and what it can say. Frozen data, no behaviour but small questions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dashboard.core import status
from dashboard.together_api.errors import ErrorKind


class Kind(StrEnum):
    """What was asked for; values are those of StopAction.Kind."""

    STOP = "stop"
    START = "start"
    SCALE = "scale"
    DELETE = "delete"


class Act(StrEnum):
    """One write to the provider. LEAVE_TRAFFIC prepares a delete and is no sending of it."""

    STOP = "stop"
    START = "start"
    SCALE = "scale"
    LEAVE_TRAFFIC = "leave_traffic"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Order:
    """One act as far as it got: the columns of StopAction that decide, and two facts from elsewhere.

    `opposed_at`: a newer request for the opposite, None when there is none. `stopped_since_at`: the mirror recorded
    a stopping or stopped state later than the request, None when it did not.
    """

    kind: Kind
    generation: str
    requested_at: datetime
    due_at: datetime
    seed: int
    min_replicas: int | None = None
    max_replicas: int | None = None
    is_whole_endpoint: bool = False

    sent_at: datetime | None = None
    last_sent_at: datetime | None = None
    answered_at: datetime | None = None
    send_count: int = 0
    state_when_sent: str = ""
    effect_seen_at: datetime | None = None
    absent_seen_at: datetime | None = None
    failures: int = 0

    opposed_at: datetime | None = None
    stopped_since_at: datetime | None = None

    @property
    def is_sent(self) -> bool:
        """True once a write may have reached the provider."""
        return self.sent_at is not None

    @property
    def is_answered(self) -> bool:
        """True when the last write was accepted; False too when its answer was lost."""
        return (
            self.answered_at is not None
            and self.last_sent_at is not None
            and self.answered_at >= self.last_sent_at
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """The provider answered: this is how the resource is now.

    `min_replicas` and `max_replicas` are the wish the provider holds; None = not told. For a whole v2 endpoint
    `state` is empty and `running` names its deployments that are not stopped.
    """

    state: str
    ready_replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    message: str = ""
    is_in_traffic: bool = False
    running: tuple[str, ...] = ()

    @property
    def status(self) -> status.Status:
        """The product's word for the state; a state nobody documents is UNKNOWN and counts as running."""
        return status.read_state(self.state)

    @property
    def is_stopped(self) -> bool:
        """True for a stopped state without ready replicas: a contradiction is not proof."""
        return self.status == status.STOPPED and not self.ready_replicas

    @property
    def is_moving_down(self) -> bool:
        """True when the provider is stopping it or says it has."""
        return self.status in (status.STOPPING, status.STOPPED)

    @property
    def wants_nothing(self) -> bool:
        """True when the provider holds the wish for zero replicas (v2; v1 keeps its bounds while stopped)."""
        return self.max_replicas == 0

    @property
    def short(self) -> str:
        """The state without its prefix, for sentences."""
        return status.shorten_state(self.state) or "no state"


@dataclass(frozen=True, slots=True)
class Gone:
    """The provider says that it does not know the resource (404 of its own path)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: what kind, one sentence, what the provider asked for."""

    kind: ErrorKind
    sentence: str
    status: int | None = None
    code: str | None = None
    retry_after_seconds: float | None = None
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """The read failed: nothing is known."""

    failure: Failure


Sight = Seen | Gone | Unread


@dataclass(frozen=True, slots=True)
class Send:
    """Write to the provider now. `guarded` = with the etag just read, so that a change in between wins."""

    act: Act
    reason: str
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing failed; look again at `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Something failed that may pass; try again at `at`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """A person is needed and is told now; trying goes on at `at`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """What was asked for was read back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Superseded:
    """Somebody changed the world meanwhile; this act ends without touching it again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A final no; never the end of a stop."""

    reason: str


Step = Send | Wait | RetryAt | Escalate | Done | Superseded | Refused


def note_sight(order: Order, sight: Sight, *, now: datetime) -> Order:
    """Return the order with what this read adds to its memory.

    `absent_seen_at` is the first of an unbroken run of "unknown here" answers; `effect_seen_at` the first read
    that showed the provider acting on the wish (a read, not the answer to the write: an accepted stop
    without effect also answers politely).
    """
    if isinstance(sight, Unread):
        return order
    if isinstance(sight, Gone):
        return replace(order, absent_seen_at=order.absent_seen_at or now)
    order = replace(order, absent_seen_at=None)
    if order.effect_seen_at is None and _shows_effect(order, sight):
        return replace(order, effect_seen_at=now)
    return order


def _shows_effect(order: Order, seen: Seen) -> bool:
    if order.kind is Kind.STOP:
        # Also before anything was sent: somebody else's stop is an effect that must not be repeated later.
        return seen.is_moving_down or (order.is_sent and seen.wants_nothing)
    if not order.is_sent:
        return False
    if order.kind is Kind.START:
        return seen.status in (status.STARTING, status.SCALING, status.RUNNING, status.DEGRADED)
    if order.kind is Kind.SCALE:
        return (seen.min_replicas, seen.max_replicas) == (order.min_replicas, order.max_replicas)
    return False
