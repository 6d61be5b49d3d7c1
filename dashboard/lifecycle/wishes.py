"""Write requested acts: the rows behind lifecycle/actions.py, which holds the rules."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from dashboard.accounts import audit
from dashboard.accounts.audit import Actor
from dashboard.core import live
from dashboard.core.locks import Lock
from dashboard.lifecycle.errors import GoneError, KeyReusedError
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.mirror.models import Deployment, Endpoint

# What every ending writes: no lease outlives its act.
ENDED_LEASE: dict[str, Any] = {"lease_owner": "", "lease_until": None}


@dataclass(frozen=True, slots=True)
class Requested:
    """What a request led to; `created` False = this act was open (or made by the same key) already."""

    action: StopAction
    created: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """One request, checked: what to write. `deployment` None = the whole endpoint."""

    kind: StopAction.Kind
    endpoint: Endpoint
    deployment: Deployment | None
    idempotency_key: str
    actor: Actor
    origin: StopAction.Origin
    reason: str
    min_replicas: int | None = None
    max_replicas: int | None = None


@contextmanager
def serialize_requests(endpoint_id: int) -> Iterator[None]:
    """Run the block in a transaction while no other request about the endpoint runs.

    An advisory lock, because a row lock would make a click wait for the sync that writes the same row.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # The two-key form takes 32-bit keys; two endpoints that share one merely queue.
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, %s)", [Lock.ENDPOINT_ACTS.value, endpoint_id % 2**31]
            )
        yield


def read_present(deployment: Deployment) -> Deployment:
    """Return the deployment as it is mirrored now. Raises GoneError when the provider no longer lists it."""
    fresh = Deployment.objects.select_related("endpoint").get(pk=deployment.pk)
    if fresh.absent_since is not None:
        raise GoneError(f"{fresh.name} is gone: the provider no longer lists it")
    return fresh


def open_acts(*deployments: Deployment) -> QuerySet[StopAction]:
    """Return the open acts on these deployments."""
    return StopAction.objects.filter(deployment__in=deployments, state__in=StopAction.OPEN_STATES)


def find_known(wish: Wish) -> Requested | None:
    """Return the act that this request repeats, None for a new one. Raises KeyReusedError."""
    same_key = StopAction.objects.filter(idempotency_key=wish.idempotency_key).first()
    if same_key is not None:
        if (same_key.kind, same_key.endpoint_id, same_key.deployment_id) != (
            wish.kind,
            wish.endpoint.pk,
            wish.deployment.pk if wish.deployment else None,
        ):
            raise KeyReusedError("This form was used for another act; open it again")
        return Requested(same_key, created=False)
    twin = StopAction.objects.filter(
        kind=wish.kind,
        endpoint=wish.endpoint,
        deployment=wish.deployment,
        min_replicas=wish.min_replicas,
        max_replicas=wish.max_replicas,
        state__in=StopAction.OPEN_STATES,
    ).first()
    return Requested(twin, created=False) if twin else None


def write_wish(wish: Wish) -> Requested:
    """Write the act with its first step and its audit row, and tell open pages. In the caller's transaction."""
    low, high = _estimate_burn(wish)
    action = StopAction.objects.create(
        kind=wish.kind,
        endpoint=wish.endpoint,
        deployment=wish.deployment,
        idempotency_key=wish.idempotency_key,
        origin=wish.origin,
        requested_by=wish.actor.user,
        requested_by_label=wish.actor.label,
        reason=wish.reason,
        min_replicas=wish.min_replicas,
        max_replicas=wish.max_replicas,
        burn_low_at_request=low,
        burn_high_at_request=high,
    )
    note = f"By {wish.actor.label}" + (f": {wish.reason}" if wish.reason else "")
    record_change(action, ActionStep.What.REQUESTED, actor=wish.actor, event="requested", note=note)
    action.refresh_from_db()
    return Requested(action, created=True)


def supersede_open(
    deployment: Deployment, kinds: Sequence[StopAction.Kind], *, by: str, actor: Actor
) -> list[StopAction]:
    """End the open acts of these kinds because of a newer request; return them. In the caller's transaction.

    One that was sent may still take effect: the newer act then meets that state and deals with it.
    """
    ended = []
    for action in open_acts(deployment).filter(kind__in=kinds).select_related("endpoint").order_by("pk"):
        when = "after it was sent" if action.sent_at else "before it was sent"
        outcome = f"{actor.label} asked for {by} {when}"
        hit = StopAction.objects.filter(pk=action.pk, state__in=StopAction.OPEN_STATES).update(
            state=StopAction.State.SUPERSEDED, finished_at=Now(), outcome=outcome, **ENDED_LEASE
        )
        if hit:
            record_change(action, ActionStep.What.SUPERSEDED, actor=actor, event="superseded", note=outcome)
            ended.append(action)
    return ended


def record_change(action: StopAction, what: ActionStep.What, *, actor: Actor, event: str, note: str) -> None:
    """Write a step and an audit row about an act and tell open pages. In the caller's transaction."""
    ActionStep.objects.create(action=action, what=what, note=note)
    audit.record(
        f"endpoint.{action.kind}_{event}",
        actor=actor,
        target=action.endpoint,
        detail={
            "action": str(action.public_id),
            "number": action.number,
            "deployment": action.deployment.name if action.deployment else "",
            "reason": note,
        },
    )
    live.announce(["actions", "endpoints"], ids=[action.endpoint_id])


def _estimate_burn(wish: Wish) -> tuple[int | None, int | None]:
    """Return nano-dollars per hour: what burns now, or for a start and scale what the bounds will burn.

    None = price unknown; never zero for "unknown".
    """
    if wish.deployment is None:
        return wish.endpoint.burn_low, wish.endpoint.burn_high
    price = wish.deployment.nano_usd_per_hour
    if price is None:
        return None, None
    low, high = wish.deployment.billable_low, wish.deployment.billable_high
    if wish.kind in (StopAction.Kind.START, StopAction.Kind.SCALE):
        low, high = wish.min_replicas or 0, wish.max_replicas or 0
    return low * price, high * price
