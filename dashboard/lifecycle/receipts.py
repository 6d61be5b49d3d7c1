"""Read acts for people: the receipt of one, what is open on a list of endpoints, what is overdue."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from dashboard.core import status
from dashboard.lifecycle import wants
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.orders import read_columns
from dashboard.lifecycle.verdicts import Concern, Memo, measure_concern
from dashboard.lifecycle.verdicts.limits import LATE_AFTER


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One step; `state` without its prefix, `since_previous` None on the first line."""

    at: datetime
    what: str
    label: str
    state: str
    ready_replicas: int | None
    note: str
    request_id: str
    since_previous: timedelta | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One act from the wish to the proof. Burn in nano-dollars per hour, None = price unknown.

    `lasted` runs from the request to the end, or to now while open. `confirmed_at` is set only when the provider's
    state was read back. `may_be_closed` says that actions.cancel_action would end it, `may_be_undone` that
    deploys.request_undo would delete what it made. `wanted` and `made` are (label, value) pairs; `endpoint_id` and
    `resource_id` are None while what it makes is not mirrored. `notes` are sentences on what did not go as it should;
    empty when all went well.
    """

    number: str
    public_id: uuid.UUID
    kind: str
    kind_label: str
    state: str
    state_label: str
    title: str
    project_id: int | None
    endpoint_id: int | None
    endpoint_name: str
    deployment_name: str
    resource_id: int | None
    resource_kind: str
    wanted: tuple[tuple[str, str], ...]
    made: tuple[tuple[str, str], ...]
    origin: str
    origin_label: str
    requested_by_label: str
    reason: str
    min_replicas: int | None
    max_replicas: int | None
    burn_low_at_request: int | None
    burn_high_at_request: int | None
    requested_at: datetime
    sent_at: datetime | None
    confirmed_at: datetime | None
    finished_at: datetime | None
    lasted: timedelta
    outcome: str
    last_error: str
    send_count: int
    is_open: bool
    may_be_closed: bool
    may_be_undone: bool
    concern: Concern
    lines: tuple[ReceiptLine, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenAct:
    """An act under way, for a row of a list: enough for "stopping, sent 14:05:03, waiting for STOPPED, 12 s".

    `endpoint_id` and `resource_id` None: it makes what is not mirrored yet; `title` names it.
    """

    public_id: uuid.UUID
    number: str
    kind: str
    kind_label: str
    title: str
    target_name: str
    state: str
    endpoint_id: int | None
    deployment_id: int | None
    resource_id: int | None
    requested_at: datetime
    sent_at: datetime | None
    seen_state: str
    last_error: str
    concern: Concern


@dataclass(frozen=True, slots=True)
class Overdue:
    """A stop that is not confirmed in time: what still burns (nano-dollars per hour, None = unknown), and why.

    `endpoint_name` is the resource's name when it is no endpoint (`resource_id` set).
    """

    public_id: uuid.UUID
    number: str
    endpoint_id: int | None
    resource_id: int | None
    endpoint_name: str
    deployment_name: str
    due_at: datetime
    is_sent: bool
    seen_state: str
    burn_low: int | None
    burn_high: int | None
    last_error: str
    concern: Concern


def read_receipt(public_id: uuid.UUID, *, now: datetime, visible: Q | None = None) -> Receipt:
    """Return the receipt of an act. Raises StopAction.DoesNotExist, also outside `visible`. Two queries.

    `visible` is a condition on StopAction, e.g. ``visibility.project_filter(user, path="project__")``.
    """
    action = (
        StopAction.objects.filter(visible or Q())
        .select_related("endpoint", "deployment", "resource")
        .get(public_id=public_id)
    )
    return assemble_receipt(action, steps=list(action.steps.order_by("at", "id")), now=now)


def assemble_receipt(action: StopAction, *, steps: Sequence[ActionStep], now: datetime) -> Receipt:
    """Return the receipt from loaded rows; `steps` in order of time. No query."""
    concern = measure_concern(read_columns(action), now=now) if action.is_open else Concern.NONE
    return Receipt(
        number=action.number,
        public_id=action.public_id,
        kind=action.kind,
        kind_label=action.get_kind_display(),
        state=action.state,
        state_label=action.get_state_display(),
        title=action.title,
        project_id=action.project_id,
        endpoint_id=action.endpoint_id,
        endpoint_name=action.endpoint.display_name if action.endpoint else "",
        deployment_name=action.deployment.name if action.deployment else "",
        resource_id=action.resource_id,
        resource_kind=action.resource.kind if action.resource else "",
        wanted=wants.describe(action.kind, action.arguments),
        made=tuple(
            (label.capitalize(), remote_id) for label, remote_id in Memo.read(action.made).ids.items()
        ),
        origin=action.origin,
        origin_label=action.get_origin_display(),
        requested_by_label=action.requested_by_label,
        reason=action.reason,
        min_replicas=action.min_replicas,
        max_replicas=action.max_replicas,
        burn_low_at_request=action.burn_low_at_request,
        burn_high_at_request=action.burn_high_at_request,
        requested_at=action.requested_at,
        sent_at=action.sent_at,
        confirmed_at=action.finished_at if action.state == StopAction.State.OBSERVED else None,
        finished_at=action.finished_at,
        lasted=(action.finished_at or now) - action.requested_at,
        outcome=action.outcome,
        last_error=action.last_error,
        send_count=action.send_count,
        is_open=action.is_open,
        may_be_closed=_may_be_closed(action),
        may_be_undone=_may_be_undone(action),
        concern=concern,
        lines=tuple(_lay_out(steps)),
        notes=tuple(_note_troubles(action, concern)),
    )


def _may_be_closed(action: StopAction) -> bool:
    """Tell whether a person may end it: not sent yet, or a stop that left its target failed, which bills nothing."""
    if action.state == StopAction.State.REQUESTED:
        return True
    has_failed = status.read_state(action.seen_state) is status.FAILED
    is_sent_stop = (action.kind, action.state) == (StopAction.Kind.STOP, StopAction.State.SENT)
    return is_sent_stop and has_failed


def _may_be_undone(action: StopAction) -> bool:
    """Tell whether a deploy that is not done has made something that a deletion in order would take away again."""
    if action.kind != StopAction.Kind.DEPLOY or action.endpoint is None or action.sent_at is None:
        return False
    if not action.is_open and action.state != StopAction.State.REFUSED:
        return False
    made = action.deployment if action.arguments.get("endpoint_id") else action.endpoint
    return made is not None and made.absent_since is None


def open_actions(endpoint_ids: Iterable[int], *, now: datetime) -> dict[int, list[OpenAct]]:
    """Return the open acts of these endpoints by endpoint id, oldest first; endpoints without any are left out.

    One query.
    """
    rows = _find_open(Q(endpoint_id__in=list(endpoint_ids)))
    return _group(rows, by=lambda row: row.endpoint_id, now=now)


def open_actions_of_resources(resource_ids: Iterable[int], *, now: datetime) -> dict[int, list[OpenAct]]:
    """Return the open acts of these resources by resource id, oldest first. One query."""
    rows = _find_open(Q(resource_id__in=list(resource_ids)))
    return _group(rows, by=lambda row: row.resource_id, now=now)


def open_actions_of_projects(visible: Q, *, now: datetime) -> list[OpenAct]:
    """Return the open acts on what has no row yet (deploys, creates, uploads), oldest first. One query.

    `visible` is a condition on StopAction.
    """
    rows = _find_open(visible & Q(endpoint=None, resource=None))
    return [_describe_open(row, now=now) for row in rows]


def _find_open(condition: Q) -> QuerySet[StopAction]:
    return (
        StopAction.objects.filter(condition, state__in=StopAction.OPEN_STATES)
        .select_related("endpoint", "deployment", "resource")
        .defer("endpoint__payload", "deployment__payload", "resource__payload")
        .order_by("requested_at", "pk")
    )


def _group(
    rows: Iterable[StopAction], *, by: Callable[[StopAction], int | None], now: datetime
) -> dict[int, list[OpenAct]]:
    grouped: dict[int, list[OpenAct]] = {}
    for row in rows:
        key = by(row)
        if key is not None:
            grouped.setdefault(key, []).append(_describe_open(row, now=now))
    return grouped


def _describe_open(row: StopAction, *, now: datetime) -> OpenAct:
    return OpenAct(
        public_id=row.public_id,
        number=row.number,
        kind=row.kind,
        kind_label=row.get_kind_display(),
        title=row.title,
        target_name=row.target_name,
        state=row.state,
        endpoint_id=row.endpoint_id,
        deployment_id=row.deployment_id,
        resource_id=row.resource_id,
        requested_at=row.requested_at,
        sent_at=row.sent_at,
        seen_state=status.shorten_state(row.seen_state),
        last_error=row.last_error,
        concern=measure_concern(read_columns(row), now=now),
    )


def overdue(*, now: datetime, visible: Q | None = None) -> list[Overdue]:
    """Return the stops that are late or escalated, dearest first: the red banner. One query."""
    rows = (
        StopAction.objects.filter(visible or Q(), kind=StopAction.Kind.STOP, state__in=StopAction.OPEN_STATES)
        .filter(Q(due_at__lte=now - LATE_AFTER) | Q(escalated_at__isnull=False))
        .select_related("endpoint", "deployment", "resource")
        .defer("endpoint__payload", "deployment__payload", "resource__payload")
    )
    found = [_describe_overdue(row, now=now) for row in rows]
    return sorted(found, key=lambda one: (-(one.burn_high or 0), one.due_at))


def _describe_overdue(row: StopAction, *, now: datetime) -> Overdue:
    low, high = _read_burn(row)
    if row.deployment is not None:
        price = row.deployment.nano_usd_per_hour
        low = None if price is None else row.deployment.billable_low * price
        high = None if price is None else row.deployment.billable_high * price
    concern = measure_concern(read_columns(row), now=now)
    return Overdue(
        public_id=row.public_id,
        number=row.number,
        endpoint_id=row.endpoint_id,
        resource_id=row.resource_id,
        endpoint_name=row.endpoint.display_name if row.endpoint else row.title,
        deployment_name=row.deployment.name if row.deployment else "",
        due_at=row.due_at,
        is_sent=row.sent_at is not None,
        seen_state=status.shorten_state(row.seen_state),
        burn_low=low,
        burn_high=high,
        last_error=row.last_error,
        concern=Concern.ESCALATED if row.escalated_at else concern,
    )


def _read_burn(row: StopAction) -> tuple[int | None, int | None]:
    if row.endpoint is not None:
        return row.endpoint.burn_low, row.endpoint.burn_high
    if row.resource is None or row.resource.unpriced_units:
        return None, None
    return row.resource.burn, row.resource.burn


def _lay_out(steps: Sequence[ActionStep]) -> Iterable[ReceiptLine]:
    previous: datetime | None = None
    for step in steps:
        yield ReceiptLine(
            at=step.at,
            what=step.what,
            label=ActionStep.What(step.what).label,
            state=status.shorten_state(step.state),
            ready_replicas=step.ready_replicas,
            note=step.note,
            request_id=step.provider_request_id,
            since_previous=None if previous is None else step.at - previous,
        )
        previous = step.at


def _note_troubles(action: StopAction, concern: Concern) -> Iterable[str]:
    if action.is_open and concern >= Concern.UNCONFIRMED:
        last = status.shorten_state(action.seen_state) or "no state"
        minutes = 10 if concern is Concern.ESCALATED else 5
        yield f"Not confirmed after {minutes} min: the provider still reports {last}"
    if action.is_open and action.last_error:
        yield action.last_error
    if action.escalated_at and not action.is_open:
        yield "Was escalated before it ended"
    if action.send_count > 1:
        yield f"Sent {action.send_count} times"
