"""What a decision is made from besides what was read (sights.py), and what it can say. Frozen data, small questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from dashboard.core import status
from dashboard.lifecycle import wants
from dashboard.lifecycle.verdicts.memo import Memo
from dashboard.lifecycle.verdicts.settings import find_missing
from dashboard.lifecycle.verdicts.sights import Gone, Seen, SeenDeploy, SeenSettings, SeenTree, Sight, Unread

# Resources that bill while they exist: their deletion is escalated like a stop (contract section 2).
BILLS_WHILE_IT_EXISTS: Final = frozenset({"cluster", "volume"})


class Kind(StrEnum):
    """What was asked for; values are those of StopAction.Kind."""

    STOP = "stop"
    START = "start"
    SCALE = "scale"
    DELETE = "delete"
    CONFIGURE = "configure"
    SPLIT = "split"
    CANCEL = "cancel"
    RESIZE = "resize"
    CREATE = "create"
    UPLOAD = "upload"
    DEPLOY = "deploy"


class Act(StrEnum):
    """One write to the provider. LEAVE_TRAFFIC prepares a delete and is no sending of it; REHEARSE changes nothing."""

    STOP = "stop"
    START = "start"
    SCALE = "scale"
    LEAVE_TRAFFIC = "leave_traffic"
    DELETE = "delete"
    CONFIGURE = "configure"
    SPLIT = "split"
    CANCEL = "cancel"
    RESIZE = "resize"
    REHEARSE = "rehearse"
    CREATE_ENDPOINT = "create_endpoint"
    CREATE_DEPLOYMENT = "create_deployment"
    CREATE_VOLUME = "create_volume"
    CREATE_MODEL = "create_model"
    UPLOAD = "upload"

    @property
    def is_preparation(self) -> bool:
        """True when the act as a whole has not been sent by it and may still be taken back."""
        return self in (Act.LEAVE_TRAFFIC, Act.REHEARSE)


@dataclass(frozen=True, slots=True)
class Order:
    """One act as far as it got: the columns of StopAction that decide, and two facts from elsewhere.

    `opposed_at`: a newer request for the opposite, None when there is none. `stopped_since_at`: the mirror recorded
    a stopping or stopped state later than the request, None when it did not. `resource_kind` is empty for endpoints.
    """

    kind: Kind
    generation: str
    requested_at: datetime
    due_at: datetime
    seed: int
    min_replicas: int | None = None
    max_replicas: int | None = None
    is_whole_endpoint: bool = False
    is_in_order: bool = False
    resource_kind: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    memo: Memo = field(default_factory=Memo)

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
    def is_urgent(self) -> bool:
        """True for what ends cost: never given up for trouble that passes, and escalated when it takes too long."""
        if self.kind is Kind.STOP:
            return True
        return self.kind is Kind.DELETE and (self.is_in_order or self.resource_kind in BILLS_WHILE_IT_EXISTS)

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
class Send:
    """Write to the provider now. `guarded` = with the etag just read, so that a change in between wins.

    `subject` is the remote id of the part it is about, where the target has several.
    """

    act: Act
    reason: str
    guarded: bool = True
    subject: str = ""


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
    without effect also answers politely). Acts of several writes remember in their memo what they found.
    """
    if isinstance(sight, Unread):
        return order
    if isinstance(sight, Gone):
        return replace(order, absent_seen_at=order.absent_seen_at or now)
    order = replace(order, absent_seen_at=None)
    if isinstance(sight, SeenTree):
        down = [f"down:{part.id}" for part in sight.parts if part.seen.is_moving_down]
        return replace(order, memo=order.memo.note_made({}, down))
    if isinstance(sight, SeenDeploy):
        return replace(order, memo=_note_deploy(order.memo, sight))
    if isinstance(sight, SeenSettings):
        is_set = order.is_sent and not find_missing(order.arguments[wants.SETTINGS], sight.present)
        if is_set and order.effect_seen_at is None:
            return replace(order, effect_seen_at=now)
        return order
    if not isinstance(sight, Seen):
        return order
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


def _note_deploy(memo: Memo, sight: SeenDeploy) -> Memo:
    """Remember the ids of what is ours: an endpoint counts as ours only once we may have made it."""
    ids: dict[str, str] = {}
    if sight.endpoint_id and memo.count(Act.CREATE_ENDPOINT):
        ids["endpoint"] = sight.endpoint_id
    marks = []
    if sight.part is not None:
        ids["deployment"] = sight.part.id
        if sight.part.id in sight.weights:
            marks.append("split")
    return memo.note_made({name: value for name, value in ids.items() if memo.ids.get(name) != value}, marks)
