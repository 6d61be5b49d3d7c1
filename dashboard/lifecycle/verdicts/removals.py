"""Rules of deleting a cluster, volume or model: sent, seen going, gone by two 404 answers.

What bills while it exists is not given up for trouble that passes; a plain no of the provider ends it all the same:
a volume that a cluster holds, a reserved cluster.
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
from dashboard.lifecycle.verdicts.sights import Failure, Gone, SeenResource, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of the deletion of a resource."""
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return _decide_absence(order, now=now)
    seen = expect(sight, SeenResource)
    if seen.status is status.DELETING:
        return Wait(limits.next_look(order, now=now), f"Is {seen.short}; waiting until it is gone")
    if not order.is_sent:
        return Send(Act.DELETE, f"Is {seen.short}")
    if not limits.may_send_again(order, now=now):
        return Wait(limits.next_look(order, now=now), "Sent; still there")
    if order.send_count >= limits.MAX_SENDS and not order.is_urgent:
        return Refused(f"Accepted {order.send_count} times without effect: still there")
    return Send(Act.DELETE, "Accepted, but still there; sent again")


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the delete was not accepted."""
    if failure.kind is ErrorKind.ABSENT:
        return RetryAt(
            limits.retry_time(order, failure, now=now), "Unknown to the provider; reading it again"
        )
    return judge_write(order, failure, now=now)


def _decide_absence(order: Order, *, now: datetime) -> Step:
    verdict = judge_absence(order, now=now)
    if not isinstance(verdict, Refused):
        return verdict
    if order.is_sent:
        return Done("Deleted: the provider does not know it any more, asked twice 30 s apart")
    return Superseded(verdict.reason)
