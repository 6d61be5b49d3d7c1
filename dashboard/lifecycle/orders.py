"""Turn a row of StopAction into the Order that the verdicts decide on, and an Order back into columns."""

from datetime import datetime
from typing import Any

from dashboard.core import status
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.verdicts import Kind, Memo, Order
from dashboard.lifecycle.wants import IN_ORDER
from dashboard.mirror.models import StateChange

# Words of both generations that mean "is down or on its way there", as StateChange stores them.
DOWN_STATES = tuple(
    word
    for name, meaning in status.BY_STATE.items()
    if meaning in (status.STOPPING, status.STOPPED)
    for word in (name, f"{status.V2_PREFIX}{name}")
)
_OPPOSITE = {
    StopAction.Kind.STOP: StopAction.Kind.START,
    StopAction.Kind.START: StopAction.Kind.STOP,
    StopAction.Kind.SCALE: StopAction.Kind.STOP,
    StopAction.Kind.CONFIGURE: StopAction.Kind.STOP,
    StopAction.Kind.DEPLOY: StopAction.Kind.STOP,
}


def build_order(action: StopAction) -> Order:
    """Return the order of an act with what happened around it. At most two queries."""
    return read_columns(
        action, opposed_at=_find_opposed(action), stopped_since_at=_find_stopped_since(action)
    )


def read_columns(
    action: StopAction, *, opposed_at: datetime | None = None, stopped_since_at: datetime | None = None
) -> Order:
    """Return the order from the row alone. No query."""
    return Order(
        kind=Kind(action.kind),
        generation=action.endpoint.generation if action.endpoint else "",
        requested_at=action.requested_at,
        due_at=action.due_at,
        seed=action.pk,
        min_replicas=action.min_replicas,
        max_replicas=action.max_replicas,
        is_whole_endpoint=action.deployment_id is None,
        is_in_order=bool(action.arguments.get(IN_ORDER)),
        resource_kind=action.resource.kind if action.resource else "",
        arguments=action.arguments,
        memo=Memo.read(action.made),
        sent_at=action.sent_at,
        last_sent_at=action.last_sent_at,
        answered_at=action.answered_at,
        send_count=action.send_count,
        state_when_sent=action.state_when_sent,
        effect_seen_at=action.effect_seen_at,
        absent_seen_at=action.absent_seen_at,
        failures=action.failures,
        opposed_at=opposed_at,
        stopped_since_at=stopped_since_at,
    )


def memory_columns(order: Order) -> dict[str, Any]:
    """Return the columns that a read may have changed (verdicts.note_sight)."""
    return {
        "effect_seen_at": order.effect_seen_at,
        "absent_seen_at": order.absent_seen_at,
        "made": order.memo.write(),
    }


def _find_opposed(action: StopAction) -> datetime | None:
    """Return when the opposite of the act was asked for later than the act itself, None when it was not.

    Requests that ended without touching anything oppose nothing.
    """
    opposite = _OPPOSITE.get(StopAction.Kind(action.kind))
    if opposite is None or action.deployment_id is None:
        return None
    return (
        StopAction.objects.filter(
            deployment_id=action.deployment_id, kind=opposite, requested_at__gt=action.requested_at
        )
        .exclude(state__in=[StopAction.State.CANCELLED, StopAction.State.REFUSED], sent_at=None)
        .order_by("requested_at")
        .values_list("requested_at", flat=True)
        .first()
    )


def _find_stopped_since(action: StopAction) -> datetime | None:
    """Return when the mirror first saw the target going down after a stop was asked for, None when it did not.

    The event feed tells what happened between two of our looks: a restart by somebody that we slept through.
    """
    if action.kind != StopAction.Kind.STOP or action.deployment_id is None:
        return None
    return (
        StateChange.objects.filter(
            deployment_id=action.deployment_id,
            at__gt=action.requested_at,
            # Both: a provider whose clock runs ahead must not turn yesterday's stop into one after this request.
            recorded_at__gt=action.requested_at,
            state__in=DOWN_STATES,
        )
        .order_by("at")
        .values_list("at", flat=True)
        .first()
    )
