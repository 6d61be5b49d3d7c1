"""Write requested acts: the rows behind actions.py and its sisters, which hold the rules."""

import json
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from dashboard.accounts import audit, crypto
from dashboard.accounts.audit import Actor
from dashboard.core import resource_states
from dashboard.core.locks import Lock
from dashboard.lifecycle.errors import GoneError, KeyReusedError
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.notify import announce_act
from dashboard.mirror.models import Deployment, Endpoint, Project, Resource

# What every ending writes: no lease and no secret outlives its act.
ENDED: dict[str, Any] = {"lease_owner": "", "lease_until": None, "sealed_arguments": ""}
# Acts that make something new: two alike are two wishes, told apart by the names they carry.
_MAKING = (StopAction.Kind.DEPLOY, StopAction.Kind.CREATE, StopAction.Kind.UPLOAD)


@dataclass(frozen=True, slots=True)
class Requested:
    """What a request led to; `created` False = this act was open (or made by the same key) already."""

    action: StopAction
    created: bool


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, why, and the key that makes a repeated form one act."""

    actor: Actor
    idempotency_key: str
    origin: StopAction.Origin
    reason: str


@dataclass(frozen=True, slots=True)
class Wish:
    """One request, checked: what to write. `deployment` None beside an endpoint = the whole endpoint.

    `burn` in nano-dollars per hour (low, high), None = as the mirror has it. `secrets` are sealed to the row, whose
    `public_id` is known beforehand for names that are built from it.
    """

    kind: StopAction.Kind
    asker: Asker
    endpoint: Endpoint | None = None
    deployment: Deployment | None = None
    resource: Resource | None = None
    project: Project | None = None
    target_name: str = ""
    min_replicas: int | None = None
    max_replicas: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    burn: tuple[int | None, int | None] | None = None
    public_id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def name(self) -> str:
        """What people call the target."""
        if self.target_name:
            return self.target_name
        if self.resource is not None:
            return self.resource.name
        return self.endpoint.display_name if self.endpoint is not None else ""


@contextmanager
def serialize_requests(about: str, pk: int) -> Iterator[None]:
    """Run the block in a transaction while no other request about the same thing runs.

    `about` is ``endpoint``, ``resource`` or ``project``. An advisory lock, because a row lock would make a click
    wait for the sync that writes the same row.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # The two-key form takes 32-bit keys; two things that share one merely queue.
            key = zlib.crc32(f"{about}:{pk}".encode()) >> 1
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [Lock.ENDPOINT_ACTS.value, key])
        yield


def read_present(deployment: Deployment) -> Deployment:
    """Return the deployment as it is mirrored now. Raises GoneError when the provider no longer lists it."""
    fresh = Deployment.objects.select_related("endpoint__project").get(pk=deployment.pk)
    if fresh.absent_since is not None:
        raise GoneError(f"{fresh.name} is gone: the provider no longer lists it")
    return fresh


def read_present_resource(resource: Resource) -> Resource:
    """Return the resource as it is mirrored now. Raises GoneError when the provider no longer lists it."""
    fresh = Resource.objects.select_related("project").get(pk=resource.pk)
    if fresh.absent_since is not None:
        raise GoneError(f"{fresh.name} is gone: the provider no longer lists it")
    return fresh


def open_acts(*deployments: Deployment) -> QuerySet[StopAction]:
    """Return the open acts on these deployments."""
    return StopAction.objects.filter(deployment__in=deployments, state__in=StopAction.OPEN_STATES)


def find_known(wish: Wish) -> Requested | None:
    """Return the act that this request repeats, None for a new one. Raises KeyReusedError."""
    same_key = StopAction.objects.filter(idempotency_key=wish.asker.idempotency_key).first()
    if same_key is not None:
        if _describe_target(same_key) != _describe_target(wish):
            raise KeyReusedError("This form was used for another act; open it again")
        return Requested(same_key, created=False)
    if wish.kind in _MAKING:
        return None
    twin = StopAction.objects.filter(
        kind=wish.kind,
        endpoint=wish.endpoint,
        deployment=wish.deployment,
        resource=wish.resource,
        min_replicas=wish.min_replicas,
        max_replicas=wish.max_replicas,
        arguments=dict(wish.arguments),
        state__in=StopAction.OPEN_STATES,
    ).first()
    return Requested(twin, created=False) if twin else None


def _describe_target(one: StopAction | Wish) -> tuple[object, ...]:
    if one.kind in _MAKING:
        # The mirror may have found since what was made: the row then names it, the form does not.
        name = one.target_name if isinstance(one, StopAction) else one.name
        return (one.kind, one.project, name)
    return (one.kind, one.endpoint, one.deployment, one.resource)


def write_wish(wish: Wish) -> Requested:
    """Write the act with its first step and its audit row, and tell open pages. In the caller's transaction."""
    asker = wish.asker
    low, high = wish.burn if wish.burn is not None else _estimate_burn(wish)
    about = wish.endpoint or wish.resource
    action = StopAction.objects.create(
        public_id=wish.public_id,
        kind=wish.kind,
        endpoint=wish.endpoint,
        deployment=wish.deployment,
        resource=wish.resource,
        project=wish.project or (about.project if about is not None else None),
        target_name=wish.name,
        idempotency_key=asker.idempotency_key,
        origin=asker.origin,
        requested_by=asker.actor.user,
        requested_by_label=asker.actor.label,
        reason=asker.reason,
        min_replicas=wish.min_replicas,
        max_replicas=wish.max_replicas,
        arguments=dict(wish.arguments),
        burn_low_at_request=low,
        burn_high_at_request=high,
    )
    if wish.secrets:
        # Sealed to the row, so the row comes first; nobody sees it before the transaction ends.
        sealed = crypto.seal(json.dumps(dict(wish.secrets)), place=secrets_place(action))
        StopAction.objects.filter(pk=action.pk).update(sealed_arguments=sealed)
    note = f"By {asker.actor.label}" + (f": {asker.reason}" if asker.reason else "")
    record_change(action, ActionStep.What.REQUESTED, actor=asker.actor, event="requested", note=note)
    action.refresh_from_db()
    return Requested(action, created=True)


def secrets_place(action: StopAction) -> crypto.Place:
    """Return where the sealed arguments of the act live."""
    return crypto.Place("lifecycle_stopaction", action.pk, "sealed_arguments")


def supersede_open(
    acts: QuerySet[StopAction], kinds: Sequence[StopAction.Kind], *, by: str, actor: Actor
) -> list[StopAction]:
    """End those of the open acts that are of these kinds because of a newer request; return them.

    In the caller's transaction. One that was sent may still take effect: the newer act then meets that state and
    deals with it.
    """
    ended = []
    found = acts.filter(kind__in=kinds).select_related("endpoint", "resource", "project")
    for action in found.order_by("pk"):
        when = "after it was sent" if action.sent_at else "before it was sent"
        outcome = f"{actor.label} asked for {by} {when}"
        hit = StopAction.objects.filter(pk=action.pk, state__in=StopAction.OPEN_STATES).update(
            state=StopAction.State.SUPERSEDED, finished_at=Now(), outcome=outcome, **ENDED
        )
        if hit:
            record_change(action, ActionStep.What.SUPERSEDED, actor=actor, event="superseded", note=outcome)
            ended.append(action)
    return ended


def record_change(action: StopAction, what: ActionStep.What, *, actor: Actor, event: str, note: str) -> None:
    """Write a step and an audit row about an act and tell open pages. In the caller's transaction."""
    ActionStep.objects.create(action=action, what=what, note=note)
    record_audit(action, event, actor=actor, reason=note)
    announce_act(action)


def record_audit(action: StopAction, event: str, *, actor: Actor, reason: str) -> None:
    """Write the audit row of an event in the act's life. In the caller's transaction."""
    audit.record(
        f"{action.area}.{action.kind}_{event}",
        actor=actor,
        target=action.about,
        detail={
            "action": str(action.public_id),
            "number": action.number,
            "deployment": action.deployment.name if action.deployment else "",
            "name": action.target_name,
            "reason": reason,
        },
    )


def _estimate_burn(wish: Wish) -> tuple[int | None, int | None]:
    """Return nano-dollars per hour: what burns now, or for a start and scale what the bounds will burn.

    None = price unknown; never zero for "unknown".
    """
    if wish.resource is not None:
        return _burn_of_resource(wish.resource)
    if wish.deployment is None:
        return (wish.endpoint.burn_low, wish.endpoint.burn_high) if wish.endpoint else (None, None)
    price = wish.deployment.nano_usd_per_hour
    if price is None:
        return None, None
    low, high = wish.deployment.billable_low, wish.deployment.billable_high
    if wish.kind in (StopAction.Kind.START, StopAction.Kind.SCALE):
        low, high = wish.min_replicas or 0, wish.max_replicas or 0
    return low * price, high * price


def _burn_of_resource(resource: Resource) -> tuple[int | None, int | None]:
    """Return what it burns; jobs bill by what they process, which is no rate."""
    if resource.kind not in resource_states.UNITS or resource.unpriced_units:
        return None, None
    return resource.burn, resource.burn
