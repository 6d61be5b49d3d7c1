"""Rules of a deletion in order: stop, out of the traffic split, delete the deployments, delete the endpoint.

One act of many writes; each waits until the one before was read back. While something may run it is a stop: never
refused, told to people when it takes too long. Once all is at rest, a plain no of the provider ends it. A deployment
that somebody starts again after it was on its way down wins over the deletion.
"""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import (
    Act,
    Done,
    Escalate,
    Order,
    Refused,
    RetryAt,
    Send,
    Step,
    Superseded,
    Wait,
)
from dashboard.lifecycle.verdicts.refusals import judge_absence
from dashboard.lifecycle.verdicts.sights import Failure, Gone, Part, SeenTree, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind

_NEEDS_PERSON = (ErrorKind.DENIED, ErrorKind.PAYMENT)


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a deletion in order."""
    if isinstance(sight, Unread):
        return _persist(order, sight.failure, now=now, doing="The state could not be read")
    if isinstance(sight, Gone):
        return _decide_absence(order, now=now)
    tree = expect(sight, SeenTree)
    running = [part for part in tree.parts if not part.seen.is_at_rest]
    if running:
        return _decide_running(order, running, now=now)
    return _decide_rest(order, tree, now=now)


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after one of the writes failed."""
    if failure.outcome_unknown:
        return Wait(
            limits.next_look(order, now=now), f"The answer was lost ({failure.sentence}) The state tells"
        )
    at = limits.retry_time(order, failure, now=now)
    if failure.kind in (ErrorKind.CONFLICT, ErrorKind.ABSENT):
        return RetryAt(at, "Changed meanwhile; reading it again")
    if act is Act.STOP:
        return _persist(order, failure, now=now, doing="The stop was not accepted")
    if failure.kind in (*_NEEDS_PERSON, ErrorKind.INVALID, ErrorKind.UNEXPECTED):
        # At rest it bills nothing: a no is told, not fought.
        return Refused(f"{failure.sentence} It is stopped and bills nothing")
    return RetryAt(at, failure.sentence)


def _persist(order: Order, failure: Failure, *, now: datetime, doing: str) -> Step:
    at = limits.retry_time(order, failure, now=now)
    reason = f"{doing}: {failure.sentence}"
    return Escalate(at, reason) if failure.kind in _NEEDS_PERSON else RetryAt(at, reason)


def _decide_absence(order: Order, *, now: datetime) -> Step:
    verdict = judge_absence(order, now=now)
    if not isinstance(verdict, Refused):
        return verdict
    if order.is_sent:
        return Done("Deleted: the provider does not know it any more, asked twice 30 s apart")
    return Superseded(verdict.reason)


def _decide_running(order: Order, running: list[Part], *, now: datetime) -> Step:
    for part in running:
        was_down = f"down:{part.id}" in order.memo.marks
        if was_down and not part.seen.is_moving_down and not part.seen.wants_nothing:
            return Superseded(
                f"{part.name} was being stopped and was started again by somebody: {part.seen.short} now"
            )
    guarded = order.failures < limits.GUARDED_FAILURES
    for part in running:
        if part.seen.status == status.STOPPING:
            continue
        if limits.may_repeat(order, Act.STOP, part.id, now=now):
            again = "; sent again" if order.memo.count(Act.STOP, part.id) else ""
            return Send(
                Act.STOP, f"Stop {part.name}: is {part.seen.short}{again}", guarded=guarded, subject=part.id
            )
    names = ", ".join(f"{part.name} is {part.seen.short}" for part in running)
    return Wait(limits.next_look(order, now=now), f"Waiting for STOPPED: {names}")


def _decide_rest(order: Order, tree: SeenTree, *, now: datetime) -> Step:
    concerned = {part.id for part in tree.parts}
    # Of a whole endpoint the whole split goes, also entries of deployments that are gone already.
    left = set(tree.weights) if order.is_whole_endpoint else concerned & set(tree.weights)
    if left:
        return _write(order, Act.LEAVE_TRAFFIC, "", "Take it out of the traffic split", now=now)
    if not order.is_whole_endpoint:
        return _write(order, Act.DELETE, "", "Delete the deployment", now=now)
    for part in tree.parts:
        if order.generation != "v1":
            return _write(order, Act.DELETE, part.id, f"Delete {part.name}", now=now)
    return _write(order, Act.DELETE, "", "Delete the endpoint", now=now)


def _write(order: Order, act: Act, subject: str, what: str, *, now: datetime) -> Step:
    count = order.memo.count(act, subject)
    if not limits.may_repeat(order, act, subject, now=now):
        return Wait(limits.next_look(order, now=now), f"{what}: sent; waiting until it shows")
    if count >= limits.MAX_SENDS:
        return Refused(f"{what}: accepted {count} times without effect. It is stopped and bills nothing")
    return Send(act, what, guarded=order.failures < limits.GUARDED_FAILURES, subject=subject)
