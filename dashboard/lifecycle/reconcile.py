"""Bring due acts forward: claim, read the provider's state, decide, send, write what was seen.

The same function serves the Celery task and the enforcer; either alone is enough, both at once are harmless.
No transaction is open during HTTP. What is about to be sent is written first: a crash can make us send twice,
never forget that we sent. Only a read ends an act as observed.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction

from dashboard.accounts import audit
from dashboard.accounts.crypto import CryptoError
from dashboard.lifecycle import claims, crashes, provider, reflection
from dashboard.lifecycle.claims import Claim
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.orders import build_order, memory_columns
from dashboard.lifecycle.provider import Courier, Look
from dashboard.lifecycle.verdicts import (
    Act,
    Concern,
    Done,
    Escalate,
    Failure,
    Gone,
    Kind,
    Order,
    Refused,
    RetryAt,
    Seen,
    Send,
    Step,
    Superseded,
    Unread,
    Wait,
    decide,
    judge_failure,
    measure_concern,
    note_sight,
)
from dashboard.lifecycle.wishes import record_audit
from dashboard.together_api.errors import ApiError, ErrorKind

logger = logging.getLogger(__name__)

# Seconds. One call of reconcile_once goes on while rows are due, then gives its thread back.
PASS_SECONDS = 20
# An accepted write is looked at after this; seconds.
FIRST_LOOK_SECONDS = 1

What = ActionStep.What
State = StopAction.State
_ENDINGS: dict[type[Step], tuple[State, What]] = {
    Done: (State.OBSERVED, What.DONE),
    Superseded: (State.SUPERSEDED, What.SUPERSEDED),
    Refused: (State.REFUSED, What.REFUSED),
}


def reconcile_once(owner: str, *, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Bring every due act one step forward, one at a time; return how many. For any number of callers at once.

    `owner` is ``<process>/<anything that tells callers apart>``. Takes no further row once `is_stopping` says so.
    """
    handled = 0
    until = time.monotonic() + PASS_SECONDS
    while not is_stopping() and time.monotonic() < until and (claim := claims.claim_next(owner)) is not None:
        _advance(claim)
        handled += 1
    return handled


def _advance(claim: Claim) -> None:
    crashes.pass_point("claim")
    action = claim.action
    order = build_order(action)
    try:
        courier = provider.open_courier(action)
    except CryptoError as error:
        failure = Failure(kind=ErrorKind.DENIED, sentence=f"What is stored sealed cannot be opened: {error}.")
        _settle(claim, order, Look(sight=Unread(failure)))
        return
    fetched_at = claim.read_clock()
    look = courier.look(order)
    _reflect(claim, look, fetched_at=fetched_at, answered_at=claim.read_clock())
    step = _settle(claim, order, look)
    if isinstance(step, Send):
        _send(claim, order, look, step, courier=courier)


def _settle(claim: Claim, order: Order, look: Look) -> Step:
    """Decide on a read and write everything but a sending; return the decision."""
    now = claim.read_clock()
    if isinstance(look.sight, Unread):
        order = replace(order, failures=order.failures + 1)
    order = note_sight(order, look.sight, now=now)
    step = decide(order, look.sight, now=now)
    if not isinstance(step, Send):
        if isinstance(step, Done):
            crashes.pass_point("write")
        columns, steps = _describe_sight(claim, order, look, now=now)
        _write_step(claim, order, step, columns=columns, steps=steps, request_id=look.request_id, now=now)
    return step


def _send(claim: Claim, order: Order, look: Look, step: Send, *, courier: Courier) -> None:
    """Write that it is being sent, send it, write how that went."""
    action, now = claim.action, claim.read_clock()
    order = note_sight(order, look.sight, now=now)
    columns, steps = _describe_sight(claim, order, look, now=now)
    before: dict[str, Any] = {"last_sent_at": order.last_sent_at, "made": order.memo.write()}
    order = replace(order, memo=order.memo.note_send(step.act, step.subject))
    columns |= {"send_count": _count_sends(order), "made": order.memo.write()}
    is_sending = _is_sending(order, step)
    if is_sending:
        columns |= {"state": State.SENT, "sent_at": order.sent_at or now, "last_sent_at": now}
        if isinstance(look.sight, Seen):
            columns["state_when_sent"] = look.sight.state
        if step.act is Act.STOP and provider.strip_bounds(look.autoscaling):
            columns["autoscaling_before"] = dict(look.autoscaling)
    steps.append(ActionStep(action=action, at=now, what=What.SENT, note=step.reason))
    if not claims.write(claim, columns, steps=steps):
        return
    crashes.pass_point("call")
    if step.act is Act.START and not provider.strip_bounds(look.autoscaling):
        look = replace(look, autoscaling=reflection.recall_autoscaling(action))
    order = replace(order, **{name: columns[name] for name in ("sent_at", "last_sent_at") if name in columns})
    try:
        answer = courier.send(step, order=order, look=look)
    except ApiError as error:
        crashes.pass_point("verify")
        _write_failure(claim, order, step.act, error, last_sent_before=before)
        return
    crashes.pass_point("verify")
    now = claim.read_clock()
    columns = {
        "failures": 0,
        "last_error": "",
        "next_try_at": now + timedelta(seconds=FIRST_LOOK_SECONDS),
        "made": order.memo.note_made(answer.ids, answer.marks).write(),
    }
    if is_sending:
        columns["answered_at"] = now
    answered = ActionStep(
        action=action, at=now, what=What.ANSWERED, note="Accepted", provider_request_id=courier.request_id
    )
    claims.release(claim, columns, steps=[answered])


def _is_sending(order: Order, step: Send) -> bool:
    """Tell whether the write is the act itself. In a deletion in order each one is; what only prepares is not."""
    return not step.act.is_preparation or (order.is_in_order and step.act is Act.LEAVE_TRAFFIC)


def _count_sends(order: Order) -> int:
    """Return how often the act was sent; for one of several writes, how often the most repeated of them."""
    if order.is_in_order or order.kind in (Kind.DEPLOY, Kind.UPLOAD):
        return max(order.memo.sends.values(), default=0)
    return order.send_count + 1


def _write_failure(
    claim: Claim, order: Order, act: Act, error: ApiError, *, last_sent_before: dict[str, Any]
) -> None:
    now = claim.read_clock()
    order = replace(order, failures=order.failures + 1)
    failure = provider.describe_failure(error)
    step = judge_failure(order, act, failure, now=now)
    # A refusal for certain left nothing behind: the patience after a sending does not apply.
    columns: dict[str, Any] = {} if failure.outcome_unknown else dict(last_sent_before)
    steps: list[ActionStep] = []
    if isinstance(step, Wait):
        columns |= {"failures": order.failures, "last_error": step.reason}
        note = What.FAILED
        steps.append(
            ActionStep(
                action=claim.action,
                at=now,
                what=note,
                note=step.reason,
                provider_request_id=error.request_id or "",
            )
        )
        columns["next_try_at"] = step.until
        claims.release(claim, columns, steps=steps)
        return
    _write_step(claim, order, step, columns=columns, steps=steps, request_id=error.request_id or "", now=now)


def _describe_sight(
    claim: Claim, order: Order, look: Look, *, now: datetime
) -> tuple[dict[str, Any], list[ActionStep]]:
    """Return columns and lines of the receipt for what was just read; a line only when something changed."""
    action = claim.action
    columns: dict[str, Any] = memory_columns(order)
    steps: list[ActionStep] = []
    if action.attempts == 1:
        steps.append(ActionStep(action=action, at=claim.claimed_at, what=What.CLAIMED, note=claim.owner))
    elif claim.former_owner:
        note = f"{claim.owner}, after the lease of {claim.former_owner} ran out"
        steps.append(ActionStep(action=action, at=claim.claimed_at, what=What.CLAIMED, note=note))
    sight = look.sight
    if not isinstance(sight, Gone | Unread) and (
        action.seen_at is None
        or (sight.state, sight.ready_replicas) != (action.seen_state, action.seen_ready_replicas)
        or action.absent_seen_at is not None
    ):
        columns |= {"seen_state": sight.state, "seen_ready_replicas": sight.ready_replicas, "seen_at": now}
        steps.append(
            ActionStep(
                action=action,
                at=now,
                what=What.SEEN,
                state=sight.state,
                ready_replicas=sight.ready_replicas,
                note=sight.message,
                provider_request_id=look.request_id,
            )
        )
    elif isinstance(sight, Gone) and action.absent_seen_at is None:
        note = "Unknown to the provider (404)"
        steps.append(
            ActionStep(action=action, at=now, what=What.SEEN, note=note, provider_request_id=look.request_id)
        )
    return columns, steps


def _write_step(
    claim: Claim,
    order: Order,
    step: Step,
    *,
    columns: dict[str, Any],
    steps: list[ActionStep],
    request_id: str,
    now: datetime,
) -> None:
    action = claim.action
    ending = _ENDINGS.get(type(step))
    if ending is not None and isinstance(step, Done | Superseded | Refused):
        columns |= {"state": ending[0], "finished_at": now, "outcome": step.reason, "last_error": ""}
        columns["sealed_arguments"] = ""
        # What is gone has no state: the last one that was read would contradict the note beside it.
        is_gone = columns.get("absent_seen_at", action.absent_seen_at) is not None
        state = "" if is_gone else columns.get("seen_state", action.seen_state)
        steps.append(ActionStep(action=action, at=now, what=ending[1], note=step.reason, state=state))
        _release_audited(claim, columns, steps=steps, event=ending[0].value, reason=step.reason)
        return
    event = ""
    if isinstance(step, Wait):
        columns |= {"failures": 0, "last_error": "", "next_try_at": step.until}
    elif isinstance(step, RetryAt | Escalate):
        columns |= {"failures": order.failures, "last_error": step.reason, "next_try_at": step.at}
        if step.reason != action.last_error:
            steps.append(
                ActionStep(
                    action=action, at=now, what=What.FAILED, note=step.reason, provider_request_id=request_id
                )
            )
    if action.escalated_at is None and (
        isinstance(step, Escalate) or measure_concern(order, now=now) is Concern.ESCALATED
    ):
        event, columns["escalated_at"] = "escalated", now
        note = step.reason if isinstance(step, Escalate) else "Not confirmed 10 min after it was due"
        steps.append(ActionStep(action=action, at=now, what=What.ESCALATED, note=note))
    if event:
        _release_audited(claim, columns, steps=steps, event=event, reason=steps[-1].note)
    else:
        claims.release(claim, columns, steps=steps)


def _release_audited(
    claim: Claim, columns: dict[str, Any], *, steps: list[ActionStep], event: str, reason: str
) -> None:
    """End or escalate with its audit row in the same transaction, and only where the claim still holds."""
    action = claim.action
    with transaction.atomic():
        if claims.release(claim, columns, steps=steps):
            actor = audit.Actor.for_process(claim.owner.partition("/")[0])
            record_audit(action, event, actor=actor, reason=reason)


def _reflect(claim: Claim, look: Look, *, fetched_at: datetime, answered_at: datetime) -> None:
    """Let the mirror know what was read; a mirror that cannot be written does not hold up a stop."""
    try:
        reflection.reflect_look(claim, look, fetched_at=fetched_at, answered_at=answered_at)
    except DatabaseError:
        number = claim.action.number
        logger.warning("what %s read could not be written to the mirror", number, exc_info=True)
