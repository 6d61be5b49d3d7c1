"""Every status once: its value, word, colour role and shape, and the provider states that it stands for.

Pure. Words and shapes are those of the design language, "Status"; the states are those of contract 3.5 (v2)
and 4 (v1). A state that is not listed is Unknown: shown with the provider's own word, counted as billing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Role = Literal["run", "start", "idle", "fail", "stop", "stale"]
Shape = Literal["disc", "ring", "diamond", "half", "triangle", "square", "hollow", "check"]

V2_PREFIX = "DEPLOYMENT_STATE_"


@dataclass(frozen=True)
class Status:
    """What people read about a resource. ``value`` is stored (16 characters at most), the rest is derived."""

    value: str
    word: str
    role: Role
    shape: Shape
    note: str
    # False only where the provider's documents say so (contract 2); True means "count its replicas".
    may_bill: bool
    # True while the provider is expected to move it by itself: read more often.
    is_moving: bool = False


RUNNING = Status("running", "Running", "run", "disc", "serving, billed", may_bill=True)
STARTING = Status("starting", "Starting", "start", "ring", "not billed yet", may_bill=False, is_moving=True)
SCALING = Status(
    "scaling",
    "Scaling",
    "start",
    "ring",
    "some replicas ready, those are billed",
    may_bill=True,
    is_moving=True,
)
IDLE = Status("idle", "Idle", "idle", "diamond", "billed, no counted request", may_bill=True)
DEGRADED = Status("degraded", "Degraded", "idle", "half", "fewer replicas than wanted", may_bill=True)
FAILED = Status("failed", "Failed", "fail", "triangle", "not billed, needs a person", may_bill=False)
STOPPING = Status(
    "stopping",
    "Stopping",
    "stop",
    "square",
    "stop sent, replicas still ready are billed",
    may_bill=True,
    is_moving=True,
)
STOPPED = Status("stopped", "Stopped", "stop", "square", "read back from the provider", may_bill=False)
EMPTY = Status(
    "empty", "No deployment", "stale", "hollow", "nothing that could run, not billed", may_bill=False
)
UNKNOWN = Status("unknown", "Unknown", "stale", "hollow", "counted as billed", may_bill=True)
ABSENT = Status("absent", "Gone", "stale", "hollow", "no longer listed by the provider", may_bill=False)

# What jobs, files, models, clusters, volumes and containers add (core/resource_states.py maps their states).
QUEUED = Status(
    "queued", "Queued", "start", "ring", "waiting for its turn, not billed", may_bill=False, is_moving=True
)
WORKING = Status(
    "working", "Running", "run", "disc", "billed by what it processes", may_bill=True, is_moving=True
)
FINISHING = Status(
    "finishing",
    "Finishing",
    "start",
    "ring",
    "the work is done, its result is stored",
    may_bill=False,
    is_moving=True,
)
COMPLETED = Status("completed", "Completed", "stop", "check", "ended well", may_bill=False)
CANCELLING = Status(
    "cancelling", "Cancelling", "stop", "square", "asked to end, not ended yet", may_bill=True, is_moving=True
)
CANCELLED = Status("cancelled", "Cancelled", "stop", "square", "ended by somebody", may_bill=False)
EXPIRED = Status("expired", "Expired", "fail", "triangle", "not done by its deadline", may_bill=False)
AVAILABLE = Status("available", "Ready", "run", "disc", "usable, not billed", may_bill=False)
ATTACHED = Status("attached", "Attached", "run", "disc", "billed while it exists", may_bill=True)
UNATTACHED = Status(
    "unattached", "Not attached", "idle", "diamond", "billed, and nothing uses it", may_bill=True
)
PAUSED = Status("paused", "Paused", "stop", "square", "kept by the provider, not running", may_bill=False)
SCALED_TO_ZERO = Status(
    "scaled_to_zero", "Scaled to zero", "stop", "square", "no replica runs, not billed", may_bill=False
)
DELETING = Status(
    "deleting", "Deleting", "stop", "square", "billed until it is gone", may_bill=True, is_moving=True
)

ALL = (
    RUNNING, STARTING, SCALING, IDLE, DEGRADED, FAILED, STOPPING, STOPPED, EMPTY, UNKNOWN, ABSENT,
    QUEUED, WORKING, FINISHING, COMPLETED, CANCELLING, CANCELLED, EXPIRED,
    AVAILABLE, ATTACHED, UNATTACHED, PAUSED, SCALED_TO_ZERO, DELETING,
)  # fmt: skip
BY_VALUE = {status.value: status for status in ALL}

# v2 names stand without their prefix; no name means different things in the two generations.
BY_STATE = {
    "READY": RUNNING,
    "STARTED": RUNNING,
    "PROVISIONING": STARTING,
    "PENDING": STARTING,
    "STARTING": STARTING,
    "SCALING": SCALING,
    "DEGRADED": DEGRADED,
    "FAILED": FAILED,
    "ERROR": FAILED,
    "STOPPING": STOPPING,
    "STOPPED": STOPPED,
}


def read_state(state: str) -> Status:
    """Return the status of a provider ``state`` of either generation; Unknown for one that is not listed."""
    return BY_STATE.get(shorten_state(state).upper(), UNKNOWN)


def read_value(value: str) -> Status:
    """Return the status stored as ``value``; Unknown for a value of another version."""
    return BY_VALUE.get(value, UNKNOWN)


def shorten_state(state: str) -> str:
    """Return the provider's word without the v2 prefix: ``DEPLOYMENT_STATE_READY`` becomes ``READY``."""
    return state.removeprefix(V2_PREFIX)


def roll_up(statuses: Iterable[Status]) -> Status:
    """Return the status of an endpoint from those of its present deployments; Empty when it has none.

    What may cost money or needs a person wins over what rests: a deployment that nobody can name makes the
    endpoint Unknown, a failed one beside a serving one makes it Degraded.
    """
    present = set(statuses)
    if not present:
        return EMPTY
    if UNKNOWN in present:
        return UNKNOWN
    if present & {RUNNING, SCALING, DEGRADED, IDLE}:
        if present & {DEGRADED, FAILED}:
            return DEGRADED
        if present & {SCALING, STARTING}:
            return SCALING
        return RUNNING if RUNNING in present else IDLE
    for status in (STARTING, STOPPING, FAILED, STOPPED):
        if status in present:
            return status
    return EMPTY


def mark_stale(status: Status) -> Status:
    """Return ``status`` as it reads when last seen too long ago: "Was running", hollow, billing as before."""
    if status.shape == "hollow":
        return status
    return replace(
        status,
        word=f"Was {status.word.lower()}",
        role="stale",
        shape="hollow",
        note="last state is older than 5 min",
    )
