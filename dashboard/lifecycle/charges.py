"""What ending or deleting something costs and takes along, in words, and which acts fit its state. Pure.

Facts: contract sections 2, 6, 7 and 8.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dashboard.core import money, resource_states, status

# Dollars per fine-tune job, in nano-dollars (contract section 2).
FINE_TUNE_MINIMUM: Final = 4_000_000_000

_CANCELLABLE: Final = (status.QUEUED, status.WORKING, status.UNKNOWN)
_RUNS: Final = (
    status.RUNNING, status.SCALING, status.STARTING, status.QUEUED, status.DEGRADED, status.UNKNOWN,
)  # fmt: skip
_CANCEL_KINDS: Final = ("fine-tune", "batch")
_STOP_KINDS: Final = ("container", "rl-resource")
_RESIZE_KINDS: Final = ("cluster", "volume")
_DELETE_KINDS: Final = ("cluster", "volume", "model")


class Thing(Protocol):
    """What is read of any mirrored resource (mirror.Resource)."""

    kind: str
    state: str


class Job(Thing, Protocol):
    """What is read of a mirrored job."""

    total_nano_usd: int | None
    progress: float | None
    payload: Mapping[str, Any]


class Volume(Protocol):
    """What is read of a mirrored volume."""

    name: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelCharge:
    """What a cancel will cost: one sentence, and facts beside it."""

    sentence: str
    details: tuple[str, ...] = ()


def may_cancel(resource: Thing) -> bool:
    """Tell whether it is a job that takes a cancel in its present state."""
    return resource.kind in _CANCEL_KINDS and _read(resource) in _CANCELLABLE


def may_stop_resource(resource: Thing) -> bool:
    """Tell whether a container or RL resource in this state takes a stop."""
    return resource.kind in _STOP_KINDS and _read(resource) in _RUNS


def may_resize(resource: Thing) -> bool:
    """Tell whether the size of a cluster or volume can be changed in this state."""
    return resource.kind in _RESIZE_KINDS and _read(resource) not in (
        status.DELETING,
        status.FAILED,
        status.PAUSED,
    )


def may_delete(resource: Thing) -> bool:
    """Tell whether it can be deleted: not while that is under way already."""
    return resource.kind in _DELETE_KINDS and _read(resource) is not status.DELETING


def _read(resource: Thing) -> status.Status:
    return resource_states.read_state(resource.kind, resource.state)


def describe_cancel_charge(job: Job) -> CancelCharge:
    """Return what cancelling the job will be charged. Nothing is computed that the provider does not tell."""
    seen = resource_states.read_state(job.kind, job.state)
    if job.kind == "batch":
        return _describe_batch(job, is_waiting=seen is status.QUEUED)
    if seen is status.QUEUED:
        return CancelCharge("It has not started: nothing is known to be charged for cancelling it now.")
    least = money.format_dollars(FINE_TUNE_MINIMUM)
    details = [f"The provider charges at least {least} for a job that has trained."]
    steps, total = job.payload.get("steps_completed"), job.payload.get("total_steps")
    if steps is not None:
        of = f" of {total}" if total else ""
        details.append(f"{steps}{of} steps are done so far.")
    elif job.progress is not None:
        details.append(f"About {job.progress:.0%} is done so far.")
    if job.total_nano_usd:
        details.append(f"The whole job is priced at {money.format_dollars(job.total_nano_usd)}.")
    return CancelCharge(
        f"The tokens of the steps that are done when it ends are charged, at least {least}.", tuple(details)
    )


def _describe_batch(job: Job, *, is_waiting: bool) -> CancelCharge:
    if is_waiting:
        return CancelCharge(
            "It is still being checked: nothing is known to be charged for cancelling it now."
        )
    done = () if job.progress is None else (f"About {job.progress:.0%} of the requests are done so far.",)
    return CancelCharge("The tokens of the requests that are done when it ends are charged.", done)


def describe_cluster_deletion(
    volumes: Iterable[Volume],
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names of a cluster's volumes: those that go with it, those that stay and bill on, those untold.

    A volume stays when it is independent of its cluster's life (contract 2); most bodies do not tell that.
    """
    goes: list[str] = []
    stays: list[str] = []
    untold: list[str] = []
    for volume in volumes:
        is_independent = volume.payload.get("is_lifecycle_independent")
        group = untold if is_independent is None else stays if is_independent else goes
        group.append(volume.name)
    return tuple(goes), tuple(stays), tuple(untold)
