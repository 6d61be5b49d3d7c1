"""Rules of ending a job (cancel) and of stopping what is no deployment: containers and RL resources.

A cancel may be too late: then it ends with what happened instead. A stop is never refused, like any other stop.
"""

from datetime import datetime
from typing import Final

from dashboard.core import status
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import (
    Act,
    Done,
    Escalate,
    Kind,
    Order,
    Refused,
    RetryAt,
    Send,
    Step,
    Superseded,
    Wait,
)
from dashboard.lifecycle.verdicts.refusals import judge_absence, judge_read, judge_write
from dashboard.lifecycle.verdicts.sights import Failure, Gone, SeenResource, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind

_ACTS: Final = {Kind.CANCEL: Act.CANCEL, Kind.STOP: Act.STOP}
_ENDED: Final = (status.CANCELLED, status.STOPPED, status.SCALED_TO_ZERO)
_ENDING: Final = (status.CANCELLING, status.STOPPING)
# Ended otherwise, and bills nothing any more.
_OVER: Final = (status.COMPLETED, status.FAILED, status.EXPIRED)


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a cancel or of the stop of a resource."""
    if isinstance(sight, Unread):
        return _judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return _judge_gone(order, now=now)
    seen = expect(sight, SeenResource)
    if seen.status in _ENDED and not seen.ready_replicas:
        if not order.is_sent:
            return Done(f"Was {seen.short} already; nothing was sent")
        return Done(f"State read back from the provider as {seen.short}")
    if seen.status in _OVER:
        when = "after it was sent" if order.is_sent else "before it was sent"
        told = f": {seen.message}" if seen.message else ""
        return Superseded(f"Ended as {seen.short} {when}{told}")
    if seen.status in _ENDING:
        return Wait(limits.next_look(order, now=now), f"Is {seen.short}; waiting for its end")
    if order.kind is Kind.CANCEL and seen.status is status.FINISHING:
        return _decide_finishing(order, seen, now=now)
    return _decide_running(order, seen, now=now)


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the call failed; a stop is never refused."""
    if order.kind is Kind.CANCEL:
        if failure.kind is ErrorKind.ABSENT:
            return RetryAt(
                limits.retry_time(order, failure, now=now), "Unknown to the provider; reading it again"
            )
        return judge_write(order, failure, now=now)
    if failure.outcome_unknown:
        return Wait(
            limits.next_look(order, now=now), f"The answer was lost ({failure.sentence}) The state tells"
        )
    return _persist(order, failure, now=now, doing="The stop was not accepted")


def _judge_read(order: Order, failure: Failure, *, now: datetime) -> Step:
    if order.kind is Kind.CANCEL:
        return judge_read(order, failure, now=now)
    return _persist(order, failure, now=now, doing="The state could not be read")


def _persist(order: Order, failure: Failure, *, now: datetime, doing: str) -> Step:
    at = limits.retry_time(order, failure, now=now)
    reason = f"{doing}: {failure.sentence}"
    needs_person = failure.kind in (ErrorKind.DENIED, ErrorKind.PAYMENT, ErrorKind.INVALID)
    return Escalate(at, reason) if needs_person else RetryAt(at, reason)


def _judge_gone(order: Order, *, now: datetime) -> Step:
    verdict = judge_absence(order, now=now)
    return Superseded(verdict.reason) if isinstance(verdict, Refused) else verdict


def _decide_finishing(order: Order, seen: SeenResource, *, now: datetime) -> Step:
    if order.is_sent:
        return Wait(limits.next_look(order, now=now), f"Sent; is {seen.short}")
    return Refused(f"Is {seen.short}: the work is done and paid, only its result is stored")


def _decide_running(order: Order, seen: SeenResource, *, now: datetime) -> Step:
    act = _ACTS[order.kind]
    if not order.is_sent:
        if order.kind is Kind.CANCEL and now - order.due_at >= limits.SEND_WITHIN:
            return Refused("Could not be sent within 10 min")
        return Send(act, f"Is {seen.short}")
    if not limits.may_send_again(order, now=now):
        return Wait(limits.next_look(order, now=now), f"Sent; still {seen.short}")
    if order.kind is Kind.CANCEL and order.send_count >= limits.MAX_SENDS:
        return Refused(f"Accepted {order.send_count} times without effect: still {seen.short}")
    return Send(act, f"Accepted, but still {seen.short}; sent again")
