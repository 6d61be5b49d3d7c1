"""Ask for acts on what is no endpoint: cancel, stop, resize, delete. Rows only; rules as in actions.py.

What makes something new is in makings.py and reached from here too: one module for a page of resources.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.models import QuerySet

from dashboard.accounts.audit import Actor
from dashboard.core import resource_states, status
from dashboard.lifecycle import charges, wants
from dashboard.lifecycle.errors import InvalidValueError, NotFittingError, UnderWayError
from dashboard.lifecycle.makings import request_create_volume, request_upload
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.wishes import (
    Asker,
    Requested,
    Wish,
    find_known,
    read_present_resource,
    serialize_requests,
    supersede_open,
    write_wish,
)
from dashboard.mirror.models import Resource, ResourceKind

__all__ = [
    "request_cancel",
    "request_create_volume",
    "request_delete_resource",
    "request_resize",
    "request_stop_resource",
    "request_upload",
]

Kind = StopAction.Kind
Origin = StopAction.Origin
# Clusters grow and shrink by whole nodes (contract 8).
GPUS_PER_NODE = 8


def request_cancel(
    resource: Resource,
    *,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that a fine-tune or batch be cancelled. Raises GoneError, NotFittingError and KeyReusedError.

    What was done until then is charged (charges.describe_cancel_charge).
    """
    asker = Asker(actor, idempotency_key, origin, reason)
    with _ask(resource, Kind.CANCEL, asker) as (resource, wish, known):
        if known:
            return known
        if not charges.may_cancel(resource):
            raise NotFittingError(f"{resource.name} is {_word(resource)}: there is nothing to cancel")
        return write_wish(wish)


def request_stop_resource(
    resource: Resource,
    *,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that a container be scaled to nothing, or RL resources be stopped with their sessions.

    Raises GoneError, NotFittingError and KeyReusedError.
    """
    asker = Asker(actor, idempotency_key, origin, reason)
    with _ask(resource, Kind.STOP, asker) as (resource, wish, known):
        if known:
            return known
        if not charges.may_stop_resource(resource):
            raise NotFittingError(f"{resource.name} is {_word(resource)}: there is nothing to stop")
        return write_wish(wish)


def request_resize(
    resource: Resource,
    *,
    gpus: int | None = None,
    size_tib: int | None = None,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask for another size: `gpus` of a cluster (whole nodes of eight, not below its reserved part), TiB of a volume.

    A volume only grows. An open change to another size is superseded. Raises InvalidValueError (field ``gpus`` or
    ``size_tib``), GoneError, NotFittingError, UnderWayError and KeyReusedError.
    """
    asker = Asker(actor, idempotency_key, origin, reason)
    with serialize_requests("resource", resource.pk):
        resource = read_present_resource(resource)
        if not charges.may_resize(resource):
            raise NotFittingError(f"{resource.name} is {_word(resource)}: its size cannot be changed")
        settings = _check_size(resource, gpus=gpus, size_tib=size_tib)
        wish = Wish(Kind.RESIZE, asker, resource=resource, arguments={wants.SETTINGS: settings})
        known = find_known(wish)
        if known:
            return known
        if _open_acts(resource).filter(kind=Kind.DELETE).exists():
            raise UnderWayError(f"{resource.name} is being deleted")
        supersede_open(_open_acts(resource), [Kind.RESIZE], by="another size", actor=actor)
        return write_wish(wish)


def _check_size(resource: Resource, *, gpus: int | None, size_tib: int | None) -> dict[str, int]:
    if resource.kind == ResourceKind.CLUSTER:
        present = _read_count(resource.payload, "num_gpus")
        reserved = _read_count(resource.payload, "num_reserved_gpus") or 0
        if gpus is None or gpus < GPUS_PER_NODE or gpus % GPUS_PER_NODE:
            raise InvalidValueError("A cluster has whole nodes of eight GPUs", field="gpus")
        if gpus < reserved:
            raise InvalidValueError(
                f"{reserved} GPUs are reserved and paid until their term ends: not fewer than that",
                field="gpus",
            )
        if gpus == present:
            raise NotFittingError(f"{resource.name} has {gpus} GPUs already", field="gpus")
        return {wants.NUM_GPUS: gpus}
    present = _read_count(resource.payload, "size_tib")
    if size_tib is None or size_tib < 1:
        raise InvalidValueError("Whole TiB, at least one", field="size_tib")
    if present is not None and size_tib <= present:
        raise InvalidValueError(f"A volume only grows: it has {present} TiB", field="size_tib")
    return {wants.SIZE_TIB: size_tib}


def _read_count(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def request_delete_resource(
    resource: Resource,
    *,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that a cluster, volume or own model be deleted. Open changes of its size are superseded.

    Raises GoneError, NotFittingError and KeyReusedError.
    """
    asker = Asker(actor, idempotency_key, origin, reason)
    with _ask(resource, Kind.DELETE, asker) as (resource, wish, known):
        if known:
            return known
        if not charges.may_delete(resource):
            raise NotFittingError(f"{resource.name} is {_word(resource)}: it cannot be deleted here")
        supersede_open(_open_acts(resource), _REPLACED_BY_DELETE, by="its deletion", actor=actor)
        return write_wish(wish)


@contextmanager
def _ask(resource: Resource, kind: Kind, asker: Asker) -> Iterator[tuple[Resource, Wish, Requested | None]]:
    """Hold the resource's queue of requests; yield it as it is now, the wish, and the act that this request repeats."""
    with serialize_requests("resource", resource.pk):
        resource = read_present_resource(resource)
        wish = Wish(kind, asker, resource=resource)
        yield resource, wish, find_known(wish)


_REPLACED_BY_DELETE: Sequence[Kind] = (Kind.RESIZE, Kind.CREATE)


def _open_acts(resource: Resource) -> QuerySet[StopAction]:
    return StopAction.objects.filter(resource=resource, state__in=StopAction.OPEN_STATES)


def _word(resource: Resource) -> str:
    seen = resource_states.read_state(resource.kind, resource.state)
    return resource.state.lower() if seen is status.UNKNOWN and resource.state else seen.word.lower()
