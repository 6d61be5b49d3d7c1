"""Ask for other settings: autoscaling, idle timeout, concurrency, traffic split. Rows only; rules as in actions.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.accounts.audit import Actor
from dashboard.core import status
from dashboard.lifecycle import wants
from dashboard.lifecycle.actions import refuse_beside_delete
from dashboard.lifecycle.errors import GoneError, InvalidValueError, NotFittingError, UnderWayError
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.values import (
    check_autoscaling,
    check_concurrency,
    check_idle_minutes,
    check_weight,
)
from dashboard.lifecycle.wishes import (
    Asker,
    Requested,
    Wish,
    find_known,
    open_acts,
    read_present,
    serialize_requests,
    supersede_open,
    write_wish,
)
from dashboard.mirror.models import Deployment, Endpoint, Generation

Kind = StopAction.Kind
Origin = StopAction.Origin
_V1_SETTINGS = frozenset({wants.MIN_REPLICAS, wants.MAX_REPLICAS, wants.INACTIVE_TIMEOUT})


def request_configure(
    deployment: Deployment,
    *,
    autoscaling: Mapping[str, Any] | None = None,
    inactive_timeout: int | None = None,
    max_concurrent: int | None = None,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask for other settings of a deployment; None = leave alone.

    `autoscaling` holds the changes only, in camelCase (wants.AUTOSCALING); both bounds or neither, and only for what
    runs. `inactive_timeout` in minutes, 0 = never. v1 takes bounds and `inactive_timeout`. An open change of other
    settings is superseded. Raises InvalidValueError, InvalidBoundsError and what request_scale raises.
    """
    settings = dict(autoscaling or {})
    check_autoscaling(settings)
    check_concurrency(max_concurrent)
    check_idle_minutes(inactive_timeout, is_v1=deployment.generation == Generation.V1)
    if inactive_timeout is not None:
        settings[wants.INACTIVE_TIMEOUT] = inactive_timeout
    if max_concurrent is not None:
        settings[wants.MAX_CONCURRENT] = max_concurrent
    if not settings:
        raise InvalidValueError("Nothing was changed")
    if deployment.generation == Generation.V1 and not settings.keys() <= _V1_SETTINGS:
        raise NotFittingError("v1 endpoints have replica bounds and an idle timeout only")
    with serialize_requests("endpoint", deployment.endpoint_id):
        deployment = read_present(deployment)
        asker = Asker(actor, idempotency_key, origin, reason)
        wish = Wish(
            Kind.CONFIGURE,
            asker,
            endpoint=deployment.endpoint,
            deployment=deployment,
            arguments={wants.SETTINGS: settings},
        )
        known = find_known(wish)
        if known:
            return known
        _check_configurable(deployment, settings)
        refuse_beside_delete(deployment)
        replaced = [Kind.CONFIGURE, Kind.SCALE] if wants.MAX_REPLICAS in settings else [Kind.CONFIGURE]
        supersede_open(open_acts(deployment), replaced, by="other settings", actor=actor)
        return write_wish(wish)


def _check_configurable(deployment: Deployment, settings: Mapping[str, Any]) -> None:
    present = status.read_state(deployment.state)
    if present is status.FAILED:
        raise NotFittingError(f"{deployment.name} has failed; its settings cannot be changed")
    if wants.MAX_REPLICAS not in settings:
        return
    if present in (status.STOPPED, status.STOPPING):
        raise NotFittingError(
            f"{deployment.name} is {present.word.lower()}: start it with these bounds instead",
            field="max_replicas",
        )
    if open_acts(deployment).filter(kind=Kind.STOP).exists():
        raise UnderWayError(f"{deployment.name} is being stopped")


def request_split(
    endpoint: Endpoint,
    *,
    weights: Mapping[int, float],
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask for another traffic split: {id of the deployment's row: weight}; {} = nobody is served.

    Who is not named gets nothing. An open change of the split is superseded. Raises InvalidValueError (field
    ``weights``), NotFittingError, GoneError and KeyReusedError.
    """
    for weight in weights.values():
        check_weight(weight, field="weights")
    with serialize_requests("endpoint", endpoint.pk):
        endpoint = Endpoint.objects.select_related("project").get(pk=endpoint.pk)
        if endpoint.absent_since is not None:
            raise GoneError(f"{endpoint.display_name} is gone: the provider no longer lists it")
        if endpoint.generation == Generation.V1:
            raise NotFittingError("A v1 endpoint is one deployment: there is nothing to split")
        rows = list(Deployment.objects.filter(endpoint=endpoint, pk__in=weights, absent_since=None))
        _check_split(rows, weights)
        split = {row.remote_id: float(weights[row.pk]) for row in rows if weights[row.pk]}
        wish = Wish(
            Kind.SPLIT,
            Asker(actor, idempotency_key, origin, reason),
            endpoint=endpoint,
            arguments={
                wants.SETTINGS: {wants.TRAFFIC_SPLIT: split},
                wants.LABELS: {row.remote_id: row.name for row in rows},
            },
        )
        known = find_known(wish)
        if known:
            return known
        open_here = StopAction.objects.filter(endpoint=endpoint, state__in=StopAction.OPEN_STATES)
        if open_here.filter(kind=Kind.DELETE, deployment=None).exists():
            raise UnderWayError(f"{endpoint.display_name} is being deleted")
        supersede_open(open_here, [Kind.SPLIT], by="another split", actor=actor)
        return write_wish(wish)


def _check_split(rows: Sequence[Deployment], weights: Mapping[int, float]) -> None:
    if len(rows) != len(weights):
        raise InvalidValueError("One of the deployments is not of this endpoint, or is gone", field="weights")
    failed = [row.name for row in rows if weights[row.pk] and status.read_state(row.state) is status.FAILED]
    if failed:
        raise InvalidValueError(f"{', '.join(failed)} has failed and cannot serve", field="weights")
    if weights and not any(weights.values()):
        raise InvalidValueError("All weights are 0: nobody would be served", field="weights")
