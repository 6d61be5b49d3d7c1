"""Rules of a start: waits until a stop has ended, may be refused for good, is never sent late.

A start costs money, so what could not be sent in time (10 min of failures, 30 min of waiting for a stop to end or of
our own absence) is dropped with its reason.
"""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import (
    Act,
    Done,
    Order,
    Refused,
    RetryAt,
    Send,
    Step,
    Superseded,
    Wait,
)
from dashboard.lifecycle.verdicts.refusals import judge_absence, judge_read, judge_write
from dashboard.lifecycle.verdicts.sights import Failure, Gone, Seen, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind

# The code is documented, the sentence is not (contract 1.5).
V1_CLOSED_CODE = "endpoints_v1_create_access_disabled"
V1_CLOSED_REASON = (
    "The provider no longer starts v1 endpoints;"
    " deploy the same model on the same hardware as a v2 endpoint instead"
)
FAILED_REASON = "The deployment has FAILED, which is final at the provider; create a new deployment instead"

_RUNS = (status.RUNNING, status.DEGRADED)


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a start."""
    if order.opposed_at is not None:
        return Superseded("A stop was asked for after this start")
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return judge_absence(order, now=now)
    sight = expect(sight, Seen)
    if sight.status in _RUNS or (sight.status == status.SCALING and sight.ready_replicas):
        if not order.is_sent:
            return Done(f"Was {sight.short} already; nothing was sent")
        return Done(f"State read back from the provider as {sight.short}")
    if sight.status == status.FAILED:
        told = f": {sight.message}" if sight.message else ""
        return Refused(f"Started, but it ended as {sight.short}{told}" if order.is_sent else FAILED_REASON)
    if sight.status == status.STOPPING:
        return _decide_stopping(order, now=now)
    if sight.status == status.STOPPED:
        return _decide_stopped(order, sight, now=now)
    return Wait(limits.next_look(order, now=now), f"{sight.short}; waiting for READY")


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the start call failed."""
    if failure.code == V1_CLOSED_CODE:
        return Refused(V1_CLOSED_REASON)
    if failure.kind is ErrorKind.INVALID and "must be stopped" in failure.sentence.lower():
        # The state changed between our read and our write; the next read decides.
        return RetryAt(limits.retry_time(order, failure, now=now), "It was not STOPPED yet; reading it again")
    return judge_write(order, failure, now=now)


def _decide_stopping(order: Order, *, now: datetime) -> Step:
    if order.effect_seen_at is not None:
        return Superseded("Was started and is being stopped again by somebody")
    if now - order.due_at >= limits.DRAIN_WITHIN:
        return Refused("Still STOPPING after 30 min; it can be started only once it is STOPPED")
    return Wait(limits.next_look(order, now=now), "Still STOPPING; can be started once it is STOPPED")


def _decide_stopped(order: Order, seen: Seen, *, now: datetime) -> Step:
    if order.effect_seen_at is not None:
        return Superseded("Was started and was stopped again by somebody")
    if not order.is_sent:
        if now - order.due_at >= limits.DRAIN_WITHIN:
            return Refused("Could not be sent within 30 min; nobody expects its cost any more")
        return Send(Act.START, f"Is {seen.short}", guarded=order.failures < limits.GUARDED_FAILURES)
    if not limits.may_send_again(order, now=now):
        return Wait(limits.next_look(order, now=now), f"Sent; still {seen.short}")
    if order.send_count >= limits.MAX_SENDS:
        return Refused(f"Accepted {order.send_count} times without effect: still {seen.short}")
    return Send(Act.START, f"Accepted, but still {seen.short}; sent again")
