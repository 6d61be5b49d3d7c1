"""Decide the next step of an act from its row, what the provider says, and the time. Pure.

`decide` after a read, `judge_failure` after a write that failed. Both only compute; lifecycle/reconcile.py acts. The
same code runs in the Celery task, in the enforcer, and in the enforcer's memory while PostgreSQL is away.
"""

from datetime import datetime
from typing import Final

from dashboard.lifecycle.verdicts import deletes, scales, starts, stops
from dashboard.lifecycle.verdicts.facts import (
    Act,
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
    Sight,
    Step,
    Superseded,
    Unread,
    Wait,
    note_sight,
)
from dashboard.lifecycle.verdicts.limits import Concern, measure_concern

__all__ = [
    "Act",
    "Concern",
    "Done",
    "Escalate",
    "Failure",
    "Gone",
    "Kind",
    "Order",
    "Refused",
    "RetryAt",
    "Seen",
    "Send",
    "Sight",
    "Step",
    "Superseded",
    "Unread",
    "Wait",
    "decide",
    "judge_failure",
    "measure_concern",
    "note_sight",
]

_RULES: Final = {Kind.STOP: stops, Kind.START: starts, Kind.SCALE: scales, Kind.DELETE: deletes}


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step; `order` must already carry the sight (`note_sight`)."""
    return _RULES[order.kind].decide(order, sight, now=now)


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the write `act` failed; `order.failures` already counts this one.

    A failure whose outcome is unknown is not a failure to be judged: the next read tells (Wait).
    """
    return _RULES[order.kind].judge_failure(order, act, failure, now=now)
