"""Times and counts of the act path, each with its unit and origin, and the small arithmetic on them. Pure."""

import hashlib
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from dashboard.lifecycle.verdicts.facts import Order
from dashboard.lifecycle.verdicts.memo import name_write
from dashboard.lifecycle.verdicts.sights import Failure

# Accepted and answered, yet still running after this: send again (fault plan, row 13). Judged.
RESEND_AFTER: Final = timedelta(seconds=60)
# Sent, but no answer known (crash, lost answer) and still running: the write may never have left.
RESEND_UNANSWERED_AFTER: Final = timedelta(seconds=10)
# A drain takes minutes; a stop repeated while STOPPING helps only something stuck. Judged.
RESEND_STUCK_AFTER: Final = timedelta(minutes=5)
# "Gone" is two 404 answers this far apart (fault plan, rows 6 and 12).
ABSENT_CONFIRMED_AFTER: Final = timedelta(seconds=30)
# Back-off between failures: 1, 2, 4 … capped, with jitter, for ever (reliability, 1.2).
BACK_OFF_FIRST_SECONDS: Final = 1.0
BACK_OFF_CAP_SECONDS: Final = 30.0
# After this many failures the etag is left out: a status that flickers must not fend off a stop for ever. Judged.
GUARDED_FAILURES: Final = 3
# A start or scale that could not be sent for so long is dropped: nobody expects its cost any more. Judged.
SEND_WITHIN: Final = timedelta(minutes=10)
# A start is sent at most so long after it was due, waiting for a stop to end included; a delete likewise. Judged.
DRAIN_WITHIN: Final = timedelta(minutes=30)
# Accepted so many times without effect: a final no for starts, scales, deletes. Judged.
MAX_SENDS: Final = 3

# Stop not confirmed since it was due: alert, red note, escalation (reliability 1.2; design-language, States).
LATE_AFTER: Final = timedelta(minutes=2)
UNCONFIRMED_AFTER: Final = timedelta(minutes=5)
ESCALATED_AFTER: Final = timedelta(minutes=10)


class Concern(IntEnum):
    """How worrying an open stop is."""

    NONE = 0
    LATE = 1
    UNCONFIRMED = 2
    ESCALATED = 3


def measure_concern(order: Order, *, now: datetime) -> Concern:
    """Return how worrying it is that this act is still open; only what ends cost worries (a start may take hours)."""
    if not order.is_urgent:
        return Concern.NONE
    waited = now - order.due_at
    if waited >= ESCALATED_AFTER:
        return Concern.ESCALATED
    if waited >= UNCONFIRMED_AFTER:
        return Concern.UNCONFIRMED
    return Concern.LATE if waited >= LATE_AFTER else Concern.NONE


def back_off(failures: int, *, seed: int) -> timedelta:
    """Return the pause after so many failures in a row: half to all of the doubled step, at most 30 s.

    The jitter comes from the seed, so that a replay waits as long as the run did.
    """
    step = min(BACK_OFF_CAP_SECONDS, BACK_OFF_FIRST_SECONDS * 2.0 ** min(max(failures - 1, 0), 10))
    digest = hashlib.blake2b(f"{seed}:{failures}".encode(), digest_size=4).digest()
    fraction = int.from_bytes(digest) / 0xFFFFFFFF
    return timedelta(seconds=step * (0.5 + 0.5 * fraction))


def retry_time(order: Order, failure: Failure, *, now: datetime) -> datetime:
    """Return when to try again: the back-off, or what the provider asked for where that is longer, at most 30 s."""
    asked = timedelta(seconds=min(failure.retry_after_seconds or 0.0, BACK_OFF_CAP_SECONDS))
    return now + max(back_off(order.failures, seed=order.seed), asked)


def next_look(order: Order, *, now: datetime) -> datetime:
    """Return when to look again while waiting: often at first, every 30 s in the end."""
    waited = now - (order.last_sent_at or order.requested_at)
    if waited < timedelta(seconds=30):
        seconds = 2
    elif waited < timedelta(minutes=2):
        seconds = 5
    elif waited < timedelta(minutes=10):
        seconds = 15
    else:
        seconds = 30
    return now + timedelta(seconds=seconds)


def may_send_again(order: Order, *, now: datetime) -> bool:
    """Return True when the last write had its time and something else may have to be tried; True if never sent."""
    if order.last_sent_at is None:
        return True
    patience = RESEND_AFTER if order.is_answered else RESEND_UNANSWERED_AFTER
    return now - order.last_sent_at >= patience


def may_repeat(order: Order, act: str, subject: str = "", *, now: datetime) -> bool:
    """Tell whether one of several writes is due: never sent, or nothing has come of it for long enough."""
    is_last = order.memo.last == name_write(act, subject)
    return not order.memo.count(act, subject) or not is_last or may_send_again(order, now=now)
