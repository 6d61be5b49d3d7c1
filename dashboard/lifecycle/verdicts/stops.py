"""Rules of a stop: at least once, for ever, until the state was read back, and never against a person's restart.

What ends a stop: STOPPED without ready replicas; two 404 answers 30 s apart; or somebody started the thing again
after it had been stopping or stopped since the request (Superseded). "Somebody" is known from our own start
requests, from the mirror's state changes (the event feed sees what lies between two looks), from bounds that were
zero and are not any more, and from a start-up state that cannot follow the one we sent the stop in.
Limits, confessed: a restart between two looks, of which no event tells and which is already READY again, is taken
for a stop without effect; provisioning takes minutes, so this needs a wrong feed. And what had stopped before the
request, unknown to the mirror, and is started again before our first read, is stopped as was asked.
"""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import (
    Act,
    Done,
    Escalate,
    Order,
    RetryAt,
    Send,
    Step,
    Superseded,
    Wait,
)
from dashboard.lifecycle.verdicts.sights import Failure, Gone, Seen, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind

# These do not pass by waiting: somebody has to renew the key, its rights or the credit. Trying goes on regardless.
_NEEDS_PERSON = frozenset({ErrorKind.DENIED, ErrorKind.PAYMENT})


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a stop."""
    if isinstance(sight, Unread):
        return _judge(order, sight.failure, now=now, doing="The state could not be read")
    if isinstance(sight, Gone):
        return _judge_absence(order, now=now)
    sight = expect(sight, Seen)
    if sight.is_stopped:
        if not order.is_sent:
            return Done(f"Was {sight.short} already; nothing was sent")
        return Done(f"State read back from the provider as {sight.short}")
    if sight.status == status.STOPPING:
        return _decide_stopping(order, now=now)
    if sight.status == status.FAILED:
        return _decide_failed(order, sight, now=now)
    restart = _find_restart(order, sight)
    if restart:
        return Superseded(restart)
    return _decide_running(order, sight, now=now)


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the stop call failed; never a refusal."""
    if failure.outcome_unknown:
        return Wait(
            limits.next_look(order, now=now), f"The answer was lost ({failure.sentence}) The state tells"
        )
    if failure.kind is ErrorKind.CONFLICT:
        # Stale etag: somebody changed it this second. Read again before anything else.
        return RetryAt(limits.retry_time(order, failure, now=now), "Changed meanwhile; reading it again")
    return _judge(order, failure, now=now, doing="The stop was not accepted")


def _judge(order: Order, failure: Failure, *, now: datetime, doing: str) -> Step:
    at = limits.retry_time(order, failure, now=now)
    reason = f"{doing}: {failure.sentence}"
    return Escalate(at, reason) if failure.kind in _NEEDS_PERSON else RetryAt(at, reason)


def _judge_absence(order: Order, *, now: datetime) -> Step:
    first = order.absent_seen_at or now
    if now - first >= limits.ABSENT_CONFIRMED_AFTER:
        return Done("Gone: the provider does not know it any more, asked twice 30 s apart")
    return Wait(
        first + limits.ABSENT_CONFIRMED_AFTER, "Unknown to the provider; asked again before it counts"
    )


def _decide_stopping(order: Order, *, now: datetime) -> Step:
    if not order.is_sent:
        return Wait(limits.next_look(order, now=now), "Being stopped by somebody else; waiting for STOPPED")
    if order.last_sent_at is not None and now - order.last_sent_at >= limits.RESEND_STUCK_AFTER:
        return Send(
            Act.STOP,
            "Still STOPPING after 5 min; sent again",
            guarded=order.failures < limits.GUARDED_FAILURES,
        )
    return Wait(limits.next_look(order, now=now), "Waiting for STOPPED")


def _decide_failed(order: Order, seen: Seen, *, now: datetime) -> Step:
    told = f" ({seen.message})" if seen.message else ""
    if not order.is_sent:
        return Superseded(f"Ended as {seen.short} by itself before the stop was sent{told}; it bills nothing")
    # Not a success: what is left behind there is unknown. Stays open until somebody deletes it or closes the stop.
    return Escalate(
        limits.next_look(order, now=now),
        f"The stop ended as {seen.short}{told}: it bills nothing, but a person has to look at it",
    )


def _find_restart(order: Order, seen: Seen) -> str:
    """Return a sentence when somebody started it again after the request, else an empty string."""
    if order.opposed_at is not None:
        return "A start was asked for after this stop"
    was_down = order.effect_seen_at is not None or order.stopped_since_at is not None
    if was_down and not seen.wants_nothing:
        return f"Was being stopped and was started again by somebody since: {seen.short} now"
    if (
        order.is_sent
        and seen.status == status.STARTING
        and status.read_state(order.state_when_sent) in (status.RUNNING, status.SCALING, status.DEGRADED)
    ):
        return f"Was {status.shorten_state(order.state_when_sent)} when the stop was sent and starts anew"
    return ""


def _decide_running(order: Order, seen: Seen, *, now: datetime) -> Step:
    guarded = order.failures < limits.GUARDED_FAILURES
    if not order.is_sent:
        return Send(Act.STOP, f"Still {seen.short}", guarded=guarded)
    if limits.may_send_again(order, now=now):
        return Send(Act.STOP, f"Accepted, but still {seen.short}; sent again", guarded=guarded)
    return Wait(limits.next_look(order, now=now), f"Sent; still {seen.short}")
