"""Acts on resources as pages show them: under way on a row or a page, and the newest that has ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from dashboard.core import status
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.receipts import OpenAct, Receipt, assemble_receipt, open_actions_of_resources
from dashboard.mirror.models import Resource

Kind = StopAction.Kind
# What the provider must show for the act to be done.
_AWAITED = {
    Kind.STOP: "it to be at rest",
    Kind.DELETE: "its absence",
    Kind.CANCEL: "its end",
    Kind.RESIZE: "the new size",
    Kind.CREATE: "it to appear",
    Kind.UPLOAD: "the end of the upload",
}
# What a row is called once an act left us, until the provider's state was read back.
_PASSING = {Kind.STOP: status.STOPPING, Kind.DELETE: status.DELETING, Kind.CANCEL: status.CANCELLING}


@dataclass(frozen=True, slots=True)
class ActLine:
    """An act under way in words."""

    act: OpenAct
    url: str
    awaited: str


def load_acts(resources: Iterable[Resource], *, now: datetime) -> dict[int, tuple[ActLine, ...]]:
    """Return the open acts by resource, oldest first; resources without any are left out. One query."""
    found = open_actions_of_resources([one.pk for one in resources], now=now)
    return {pk: tuple(describe_open(act) for act in acts) for pk, acts in found.items()}


def describe_open(act: OpenAct) -> ActLine:
    """Return an open act with its address and what it waits for."""
    return ActLine(
        act=act,
        url=reverse("action", args=[act.public_id]),
        awaited=_AWAITED.get(Kind(act.kind), "the provider's state"),
    )


def choose_status(mirrored: status.Status, acts: Sequence[ActLine]) -> status.Status:
    """Return what a resource is called: Cancelling once a cancel left us, never Cancelled before it was read back."""
    if not (mirrored.may_bill or mirrored.is_moving):
        return mirrored
    for line in acts:
        passing = _PASSING.get(Kind(line.act.kind))
        if line.act.state == StopAction.State.SENT and passing is not None:
            return passing
    return mirrored


def find_last_receipt(resource: Resource, *, now: datetime) -> Receipt | None:
    """Return the receipt of the newest act on it that has ended, None before the first. One query."""
    action = (
        StopAction.objects.filter(resource=resource)
        .exclude(state__in=StopAction.OPEN_STATES)
        .select_related("resource", "endpoint", "deployment")
        .defer("resource__payload")
        .order_by("-requested_at", "-pk")
        .first()
    )
    return assemble_receipt(action, steps=(), now=now) if action else None
