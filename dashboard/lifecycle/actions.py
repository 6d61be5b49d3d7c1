"""Ask for an act, or take it back: rows only, no HTTP. The one door for clicks, policies, budgets and the API.

Each request writes the act, its first step and its audit row in one transaction and tells open pages; the enforcer
listens to the same notice and sends within about a second. Requests about one endpoint queue on an advisory lock,
so that two clicks cannot pass each other. A repeated request returns the open act (`created` False).
Rights are the caller's to check.
"""

from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from dashboard.accounts.audit import Actor
from dashboard.core import status
from dashboard.lifecycle.errors import (
    GoneError,
    NotFittingError,
    TooLateError,
    UnderWayError,
)
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.values import check_bounds
from dashboard.lifecycle.wants import IN_ORDER, MAX_REPLICAS
from dashboard.lifecycle.wishes import (
    ENDED,
    Asker,
    Requested,
    Wish,
    find_known,
    open_acts,
    read_present,
    record_change,
    serialize_requests,
    supersede_open,
    write_wish,
)
from dashboard.mirror.models import Deployment, Endpoint

Kind = StopAction.Kind
State = StopAction.State
Origin = StopAction.Origin

_AT_REST = (status.STOPPED, status.FAILED)
# Acts that make a deployment run, or run otherwise: a stop or a deletion ends them.
_RUNS_ON = (Kind.START, Kind.SCALE, Kind.CONFIGURE, Kind.DEPLOY)
_FAILED_WORDS = [
    prefix + word
    for word, meaning in status.BY_STATE.items()
    if meaning is status.FAILED
    for prefix in ("", status.V2_PREFIX)
]


def request_stop(
    deployment: Deployment,
    *,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that the deployment be stopped. Raises GoneError, NotFittingError, UnderWayError, KeyReusedError.

    An open start or change of scale is superseded, sent or not.
    """
    with serialize_requests("endpoint", deployment.endpoint_id):
        deployment = read_present(deployment)
        present = status.read_state(deployment.state)
        asker = Asker(actor, idempotency_key, origin, reason)
        wish = Wish(Kind.STOP, asker, endpoint=deployment.endpoint, deployment=deployment)
        known = find_known(wish)
        if known:
            return known
        if present in _AT_REST:
            raise NotFittingError(f"{deployment.name} is {present.word.lower()} and bills nothing")
        supersede_open(open_acts(deployment), _RUNS_ON, by="a stop", actor=actor)
        return write_wish(wish)


def request_stop_of_endpoint(
    endpoint: Endpoint,
    *,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> list[Requested]:
    """Ask that every deployment of the endpoint that is not at rest be stopped: one act each, all or none.

    Raises NotFittingError when nothing of it runs, and what request_stop raises.
    """
    with transaction.atomic():
        running = [one for one in _find_present(endpoint) if status.read_state(one.state) not in _AT_REST]
        if not running:
            raise NotFittingError(f"Nothing of {endpoint.display_name} runs")
        return [
            request_stop(
                one,
                actor=actor,
                idempotency_key=f"{idempotency_key}:{one.pk}",
                origin=origin,
                reason=reason,
            )
            for one in running
        ]


def request_start(
    deployment: Deployment,
    *,
    min_replicas: int,
    max_replicas: int,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that the deployment be started with these bounds; waits until a stop under way at the provider has ended.

    An open stop is superseded, sent or not. Raises InvalidBoundsError and what request_stop raises.
    """

    def check(present: Deployment, found: status.Status) -> None:
        if found is status.FAILED:
            raise NotFittingError(
                f"{present.name} has failed, which is final at the provider: create a new deployment instead"
            )
        has_open_stop = open_acts(present).filter(kind=Kind.STOP).exists()
        if found not in (status.STOPPED, status.STOPPING) and not has_open_stop:
            raise NotFittingError(f"{present.name} is {found.word.lower()} already")

    return _request_bounds(
        Kind.START,
        deployment,
        bounds=(min_replicas, max_replicas),
        asker=Asker(actor, idempotency_key, origin, reason),
        check=check,
        replaces=[Kind.STOP, Kind.START, Kind.SCALE],
        by="a start",
    )


def request_scale(
    deployment: Deployment,
    *,
    min_replicas: int,
    max_replicas: int,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask for other replica bounds of something that runs. Raises like request_start; a stop is asked for apart."""

    def check(present: Deployment, found: status.Status) -> None:
        if found in (*_AT_REST, status.STOPPING):
            raise NotFittingError(f"{present.name} is {found.word.lower()}: only what runs can be scaled")
        if (present.min_replicas, present.max_replicas) == (min_replicas, max_replicas):
            raise NotFittingError(f"{present.name} has these bounds already", field="max_replicas")
        if open_acts(present).filter(kind=Kind.STOP).exists():
            raise UnderWayError(f"{present.name} is being stopped")

    return _request_bounds(
        Kind.SCALE,
        deployment,
        bounds=(min_replicas, max_replicas),
        asker=Asker(actor, idempotency_key, origin, reason),
        check=check,
        replaces=[Kind.SCALE, Kind.CONFIGURE],
        by="a change to other bounds",
    )


def _request_bounds(
    kind: Kind,
    deployment: Deployment,
    *,
    bounds: tuple[int, int],
    asker: Asker,
    check: Callable[[Deployment, status.Status], None],
    replaces: Sequence[Kind],
    by: str,
) -> Requested:
    """Write a start or scale that `check` does not refuse; acts of the kinds `replaces` end because of it."""
    check_bounds(*bounds)
    with serialize_requests("endpoint", deployment.endpoint_id):
        deployment = read_present(deployment)
        wish = Wish(
            kind,
            asker,
            endpoint=deployment.endpoint,
            deployment=deployment,
            min_replicas=bounds[0],
            max_replicas=bounds[1],
        )
        known = find_known(wish)
        if known:
            return known
        check(deployment, status.read_state(deployment.state))
        refuse_beside_delete(deployment)
        # Of changed settings only those of the bounds stand against it.
        others = Q(kind=Kind.CONFIGURE) & ~Q(arguments__settings__has_key=MAX_REPLICAS)
        replaced = open_acts(deployment).exclude(others)
        supersede_open(replaced, replaces, by=by, actor=asker.actor)
        return write_wish(wish)


def request_delete(
    target: Deployment | Endpoint,
    *,
    in_order: bool = False,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that a v2 deployment, or a whole endpoint of either generation, be deleted.

    `in_order` = it may run: it is stopped first, and each step waits for the one before to be read back (stopped, out
    of the traffic split, deployments gone, endpoint gone). Otherwise it must be at rest. The one deployment of a v1
    endpoint is the endpoint. Raises GoneError, NotFittingError, UnderWayError and KeyReusedError.
    """
    endpoint_id = target.endpoint_id if isinstance(target, Deployment) else target.pk
    with serialize_requests("endpoint", endpoint_id):
        endpoint = Endpoint.objects.select_related("project", "connection").get(pk=endpoint_id)
        is_whole = isinstance(target, Endpoint) or endpoint.generation == "v1"
        deployment = read_present(target) if isinstance(target, Deployment) and not is_whole else None
        wish = Wish(
            Kind.DELETE,
            Asker(actor, idempotency_key, origin, reason),
            endpoint=endpoint,
            deployment=deployment,
            arguments={IN_ORDER: True} if in_order else {},
        )
        known = find_known(wish)
        if known:
            return known
        if endpoint.absent_since is not None:
            raise GoneError(f"{endpoint.display_name} is gone already")
        concerned = [deployment] if deployment else _find_present(endpoint)
        running = [one.name for one in concerned if status.read_state(one.state) not in _AT_REST]
        if running and not in_order:
            raise NotFittingError(f"{', '.join(running)} must be stopped first")
        if _open_deletes(endpoint, deployment).exists():
            raise UnderWayError(f"{endpoint.display_name} is being deleted")
        # An open stop does not exclude it: what failed while stopping is ended by its deletion.
        starting = open_acts(*concerned)
        if deployment is None:
            starting |= StopAction.objects.filter(endpoint=endpoint, state__in=StopAction.OPEN_STATES)
        starting = starting.filter(kind__in=_RUNS_ON)
        if in_order:
            supersede_open(starting, _RUNS_ON, by="a deletion", actor=actor)
        elif starting.exists():
            raise UnderWayError("A start or change of scale is under way here; wait for its end")
        return write_wish(wish)


def cancel_action(action: StopAction, *, actor: Actor) -> StopAction:
    """Take back an act before it was sent. Raises TooLateError otherwise.

    A stop whose target was last seen as failed may be closed too: nothing is left to wait for, a person looked at it.
    Safe against a claim under way: what it writes next, before sending, no longer hits the row.
    """
    may_end = Q(state=State.REQUESTED) | Q(kind=Kind.STOP, state=State.SENT, seen_state__in=_FAILED_WORDS)
    with transaction.atomic():
        hit = StopAction.objects.filter(may_end, pk=action.pk).update(
            state=State.CANCELLED, finished_at=Now(), outcome=f"Cancelled by {actor.label}", **ENDED
        )
        action = _read_again(action)
        if not hit:
            if action.is_open:
                raise TooLateError("It was sent to the provider already; ask for the opposite instead")
            raise TooLateError(f"It has ended already: {action.get_state_display().lower()}")
        record_change(
            action, ActionStep.What.CANCELLED, actor=actor, event="cancelled", note=f"By {actor.label}"
        )
    return action


def send_again(action: StopAction, *, actor: Actor) -> StopAction:
    """Bring the next attempt of an open act forward to now, re-sending included. Raises TooLateError when it has ended.

    The state is still read first: what has stopped meanwhile is not stopped again.
    """
    with transaction.atomic():
        hit = StopAction.objects.filter(pk=action.pk, state__in=StopAction.OPEN_STATES).update(
            # Without a last sending there is no patience to wait out.
            next_try_at=Now(),
            last_sent_at=None,
            failures=0,
        )
        action = _read_again(action)
        if not hit:
            raise TooLateError(f"It has ended already: {action.get_state_display().lower()}")
        note = f"Sent again by {actor.label}"
        record_change(action, ActionStep.What.REQUESTED, actor=actor, event="sent_again", note=note)
    return action


def _read_again(action: StopAction) -> StopAction:
    return StopAction.objects.select_related("endpoint", "deployment", "resource", "project").get(
        pk=action.pk
    )


def _find_present(endpoint: Endpoint) -> list[Deployment]:
    return list(
        Deployment.objects.filter(endpoint=endpoint, absent_since=None)
        .select_related("endpoint")
        .order_by("pk")
    )


def refuse_beside_delete(deployment: Deployment) -> None:
    """Raise UnderWayError while the deployment or its endpoint is being deleted."""
    if _open_deletes(deployment.endpoint, deployment).exists():
        raise UnderWayError(f"{deployment.name} is being deleted")


def _open_deletes(endpoint: Endpoint, deployment: Deployment | None) -> "QuerySet[StopAction]":
    """Return the open deletes of the endpoint as a whole and of this deployment; None = of any of its deployments."""
    deletes = StopAction.objects.filter(endpoint=endpoint, kind=Kind.DELETE, state__in=StopAction.OPEN_STATES)
    return deletes if deployment is None else deletes.filter(Q(deployment=None) | Q(deployment=deployment))
