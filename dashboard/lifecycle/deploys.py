"""Ask for a new deployment, or that a deploy be taken back with what it made. Rows only; rules as in actions.py.

All names are on the row before the first call: the deployment's ends with a part of the act's own id, so that a lost
answer is found by its name and nothing is made twice (verdicts/deploys.py).
"""

import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import transaction

from dashboard.accounts.audit import Actor
from dashboard.lifecycle.actions import request_delete
from dashboard.lifecycle.errors import (
    GoneError,
    InvalidValueError,
    NotFittingError,
    TooLateError,
    UnderWayError,
)
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.values import (
    check_autoscaling,
    check_bounds,
    check_concurrency,
    check_idle_minutes,
    check_name,
    check_weight,
)
from dashboard.lifecycle.wants import DeployWant
from dashboard.lifecycle.wishes import (
    Asker,
    Requested,
    Wish,
    find_known,
    serialize_requests,
    supersede_open,
    write_wish,
)
from dashboard.mirror.models import Endpoint, Generation, Project

Kind = StopAction.Kind
Origin = StopAction.Origin
# Characters of the act's id at the end of a deployment's name: 16 million, within one endpoint.
UNIQUE_CHARACTERS = 6


def request_deploy(
    project: Project,
    *,
    endpoint: Endpoint | None = None,
    endpoint_name: str = "",
    deployment_name: str = "",
    model: str,
    config: str,
    min_replicas: int,
    max_replicas: int,
    autoscaling: Mapping[str, Any] | None = None,
    inactive_timeout: int | None = None,
    max_concurrent: int | None = None,
    placement: Mapping[str, Any] | None = None,
    weight: float | None = 1.0,
    model_label: str = "",
    hardware_label: str = "",
    nano_usd_per_hour: int | None = None,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that a model be deployed into `endpoint`, or into a new one named `endpoint_name`.

    `model` and `config` are the provider's resource names, the labels what people call them. `weight` None = no
    traffic. `nano_usd_per_hour` is the price of one replica, None = unknown. The provider's dry run is the act's first
    step. Raises InvalidValueError and InvalidBoundsError (fields named as the arguments), NotFittingError,
    UnderWayError, GoneError and KeyReusedError.
    """
    check_bounds(min_replicas, max_replicas)
    check_autoscaling(autoscaling or {})
    check_idle_minutes(inactive_timeout)
    check_concurrency(max_concurrent)
    check_weight(weight, field="weight")
    for field, value in (("model", model), ("config", config)):
        if not value:
            raise InvalidValueError("Choose one", field=field)
    public_id = uuid.uuid4()
    name = endpoint.display_name if endpoint is not None else check_name(endpoint_name, field="endpoint_name")
    base = check_name(deployment_name or name, field="deployment_name")[: 63 - UNIQUE_CHARACTERS - 1]
    want = DeployWant(
        endpoint_name=name,
        deployment_name=f"{base}-{public_id.hex[:UNIQUE_CHARACTERS]}",
        model=model,
        config=config,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        endpoint_id=endpoint.remote_id if endpoint is not None else "",
        autoscaling=dict(autoscaling or {}),
        inactive_timeout=inactive_timeout,
        max_concurrent=max_concurrent,
        placement=dict(placement) if placement else None,
        weight=weight or None,
        model_label=model_label,
        hardware_label=hardware_label,
    )
    price = nano_usd_per_hour
    wish = Wish(
        Kind.DEPLOY,
        Asker(actor, idempotency_key, origin, reason),
        endpoint=endpoint,
        project=project,
        target_name=name,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        arguments=want.write(),
        burn=(None, None) if price is None else (min_replicas * price, max_replicas * price),
        public_id=public_id,
    )
    # One endpoint name at a time in a project: two forms that ask for the same new name meet here.
    with serialize_requests("project", project.pk), _serialize_into(endpoint):
        known = find_known(wish)
        if known:
            return known
        _check_free(project, endpoint, name)
        return write_wish(wish)


def _serialize_into(endpoint: Endpoint | None) -> AbstractContextManager[None]:
    """Let no deletion of the endpoint pass the deploy into it."""
    return nullcontext() if endpoint is None else serialize_requests("endpoint", endpoint.pk)


def _check_free(project: Project, endpoint: Endpoint | None, name: str) -> None:
    open_deploys = StopAction.objects.filter(
        project=project, kind=Kind.DEPLOY, state__in=StopAction.OPEN_STATES
    )
    if endpoint is None:
        taken = Endpoint.objects.filter(
            project=project, generation=Generation.V2, display_name=name, absent_since=None
        )
        if taken.exists():
            raise NotFittingError(
                f"{name} exists already: deploy into it, or choose another name", field="endpoint_name"
            )
        if open_deploys.filter(target_name=name, arguments__endpoint_id="").exists():
            raise UnderWayError(f"{name} is being made already", field="endpoint_name")
        return
    fresh = Endpoint.objects.get(pk=endpoint.pk)
    if fresh.absent_since is not None:
        raise GoneError(f"{name} is gone: the provider no longer lists it", field="endpoint_name")
    if fresh.generation == Generation.V1:
        raise NotFittingError("A v1 endpoint takes no further deployment; make a v2 endpoint instead")
    acts = StopAction.objects.filter(endpoint=fresh, deployment=None, state__in=StopAction.OPEN_STATES)
    if acts.filter(kind=Kind.DELETE).exists():
        raise UnderWayError(f"{name} is being deleted")
    if acts.filter(kind=Kind.DEPLOY).exists():
        raise UnderWayError(f"Another deployment into {name} is being made; wait until it exists")


def request_undo(
    action: StopAction,
    *,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that what a deploy made be deleted again, in order; the deploy ends as superseded.

    An endpoint that it made goes as a whole, of one that was there before only the deployment. Raises TooLateError
    when it has not made anything that is mirrored, and what request_delete raises.
    """
    with transaction.atomic():
        action = StopAction.objects.select_related("endpoint", "deployment").get(pk=action.pk)
        if action.kind != Kind.DEPLOY or action.endpoint is None:
            raise TooLateError("Nothing that it made is known yet; wait for its next step")
        made_endpoint = not DeployWant.read(action.arguments).endpoint_id
        target = action.endpoint if made_endpoint else action.deployment
        if target is None:
            raise TooLateError("It has not made a deployment yet; take it back instead")
        supersede_open(StopAction.objects.filter(pk=action.pk), [Kind.DEPLOY], by="its deletion", actor=actor)
        return request_delete(
            target,
            in_order=True,
            actor=actor,
            idempotency_key=idempotency_key,
            origin=origin,
            reason=reason or f"takes back {action.number}",
        )
