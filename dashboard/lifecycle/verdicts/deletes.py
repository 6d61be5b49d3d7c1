"""Rules of a delete: only what does not run, out of the traffic split first, confirmed by its absence."""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import Act, Done, Order, Refused, RetryAt, Send, Step, Wait
from dashboard.lifecycle.verdicts.refusals import judge_absence, judge_read, judge_write
from dashboard.lifecycle.verdicts.sights import Failure, Gone, Seen, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a delete."""
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return _decide_absence(order, now=now)
    sight = expect(sight, Seen)
    if order.is_whole_endpoint and sight.running:
        return Refused(f"Still has running deployments: {', '.join(sight.running)}. Stop them first")
    if not order.is_whole_endpoint or sight.state:
        if sight.status == status.STOPPING:
            if now - order.due_at >= limits.DRAIN_WITHIN:
                return Refused("Still STOPPING after 30 min; only what is STOPPED can be deleted")
            return Wait(limits.next_look(order, now=now), "Still STOPPING; is deleted once it is STOPPED")
        if not sight.is_stopped and sight.status != status.FAILED:
            return Refused(f"Is {sight.short}; stop it first")
    return _decide_deletable(order, sight, now=now)


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after a call of the delete failed."""
    if failure.kind is ErrorKind.ABSENT:
        return RetryAt(
            limits.retry_time(order, failure, now=now), "Unknown to the provider; reading it again"
        )
    return judge_write(order, failure, now=now)


def _decide_absence(order: Order, *, now: datetime) -> Step:
    if order.is_answered:
        return Done("Deleted: the provider accepted it and does not know it any more")
    verdict = judge_absence(order, now=now)
    if isinstance(verdict, Refused):
        return Done(verdict.reason)
    return verdict


def _decide_deletable(order: Order, seen: Seen, *, now: datetime) -> Step:
    guarded = order.failures < limits.GUARDED_FAILURES
    if seen.is_in_traffic:
        if order.send_count >= limits.MAX_SENDS:
            return Refused(
                "Still part of the endpoint's traffic split although it was taken out; look at the split"
            )
        return Send(Act.LEAVE_TRAFFIC, "Still part of the traffic split; taken out first", guarded=True)
    if not order.is_sent:
        return Send(Act.DELETE, "Stopped and without traffic", guarded=guarded)
    if not limits.may_send_again(order, now=now):
        return Wait(limits.next_look(order, now=now), "Sent; still there")
    if order.send_count >= limits.MAX_SENDS:
        return Refused(f"Accepted {order.send_count} times without effect: still there")
    return Send(Act.DELETE, "Accepted, but still there; sent again", guarded=guarded)
