"""What all acts share that may end with the provider's no: everything but stops. Pure."""

from datetime import datetime

from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import Order, Refused, RetryAt, Step, Wait
from dashboard.lifecycle.verdicts.sights import Failure
from dashboard.together_api.errors import ErrorKind

# The call was understood and will not be carried out, now or later.
FINAL = (ErrorKind.DENIED, ErrorKind.PAYMENT, ErrorKind.INVALID, ErrorKind.UNEXPECTED)


def judge_read(order: Order, failure: Failure, *, now: datetime) -> Step:
    """Return the next step of an act that may end in a refusal, after a read failed."""
    if not order.is_sent:
        if failure.kind in (ErrorKind.DENIED, ErrorKind.PAYMENT):
            return Refused(failure.sentence)
        if now - order.due_at >= limits.SEND_WITHIN and not order.is_urgent:
            return Refused(f"Could not be sent within 10 min: {failure.sentence}")
    return RetryAt(
        limits.retry_time(order, failure, now=now), f"The state could not be read: {failure.sentence}"
    )


def judge_absence(order: Order, *, now: datetime) -> Step:
    """Return Refused once the provider denied knowing it twice, 30 s apart."""
    first = order.absent_seen_at or now
    if now - first >= limits.ABSENT_CONFIRMED_AFTER:
        return Refused("Gone: the provider does not know it any more, asked twice 30 s apart")
    return Wait(
        first + limits.ABSENT_CONFIRMED_AFTER, "Unknown to the provider; asked again before it counts"
    )


def judge_write(order: Order, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after a write failed that may be refused for good."""
    if failure.outcome_unknown:
        return Wait(
            limits.next_look(order, now=now), f"The answer was lost ({failure.sentence}) The state tells"
        )
    if failure.kind in FINAL:
        return Refused(failure.sentence)
    if now - order.due_at >= limits.SEND_WITHIN and not order.is_urgent:
        return Refused(f"Not accepted within 10 min: {failure.sentence}")
    return RetryAt(limits.retry_time(order, failure, now=now), failure.sentence)
