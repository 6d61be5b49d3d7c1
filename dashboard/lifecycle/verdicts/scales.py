"""Rules of a change of replica bounds on something that runs."""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import Act, Done, Order, Refused, Send, Step, Superseded, Wait
from dashboard.lifecycle.verdicts.refusals import judge_absence, judge_read, judge_write
from dashboard.lifecycle.verdicts.sights import Failure, Gone, Seen, Sight, Unread, expect

_NOT_RUNNING = (status.STOPPED, status.STOPPING, status.FAILED)


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a scale; done when the bounds read back and the replicas lie within them."""
    if order.opposed_at is not None:
        return Superseded("A stop was asked for after this change")
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return judge_absence(order, now=now)
    sight = expect(sight, Seen)
    if sight.status in _NOT_RUNNING:
        if order.is_sent:
            return Superseded(f"Is {sight.short} since; the bounds do not matter any more")
        return Refused(
            f"Is {sight.short}; only something that runs can be scaled. Start it with these bounds"
        )
    if (sight.min_replicas, sight.max_replicas) == (order.min_replicas, order.max_replicas):
        return _decide_bounds_set(order, sight, now=now)
    if order.effect_seen_at is not None:
        return Superseded(
            f"Was set and was changed again by somebody to {sight.min_replicas}–{sight.max_replicas}"
        )
    if not order.is_sent:
        if now - order.due_at >= limits.SEND_WITHIN:
            return Refused("Could not be sent within 10 min")
        return Send(
            Act.SCALE,
            f"Is {sight.min_replicas}–{sight.max_replicas}",
            guarded=order.failures < limits.GUARDED_FAILURES,
        )
    if not limits.may_send_again(order, now=now):
        return Wait(limits.next_look(order, now=now), "Sent; the bounds have not changed yet")
    if order.send_count >= limits.MAX_SENDS:
        return Refused(f"Accepted {order.send_count} times without effect")
    return Send(Act.SCALE, "Accepted, but the bounds have not changed; sent again")


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the scale call failed."""
    return judge_write(order, failure, now=now)


def _decide_bounds_set(order: Order, seen: Seen, *, now: datetime) -> Step:
    bounds = f"Bounds read back as {seen.min_replicas}–{seen.max_replicas}"
    ready = seen.ready_replicas
    if ready is None:  # v1 does not tell; the bounds are all there is to confirm.
        return Done(bounds)
    if (order.min_replicas or 0) <= ready <= (order.max_replicas or 0):
        return Done(f"{bounds}, {ready} ready")
    if now - (order.last_sent_at or order.due_at) >= limits.SEND_WITHIN:
        return Done(
            f"{bounds}; after 10 min {ready} replicas are ready, the provider has not reached them yet"
        )
    return Wait(limits.next_look(order, now=now), f"{bounds}; {ready} ready so far")
