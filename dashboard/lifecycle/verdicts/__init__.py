"""Decide the next step of an act from its row, what the provider says, and the time. Pure.

`decide` after a read, `judge_failure` after a write that failed. Both only compute; lifecycle/reconcile.py acts. The
same code runs in the Celery task, in the enforcer, and in the enforcer's memory while PostgreSQL is away.
"""

from datetime import datetime
from types import ModuleType
from typing import Final

from dashboard.lifecycle.verdicts import (
    changes,
    creations,
    deletes,
    deploys,
    endings,
    removals,
    scales,
    starts,
    stops,
    teardowns,
    uploads,
)
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
    note_sight,
)
from dashboard.lifecycle.verdicts.limits import Concern, measure_concern
from dashboard.lifecycle.verdicts.memo import Memo
from dashboard.lifecycle.verdicts.sights import (
    Failure,
    Gone,
    Part,
    Seen,
    SeenDeploy,
    SeenResource,
    SeenSettings,
    SeenTree,
    SeenUpload,
    SeenVolumes,
    Sight,
    Unread,
)

__all__ = [
    "Act",
    "Concern",
    "Done",
    "Escalate",
    "Failure",
    "Gone",
    "Kind",
    "Memo",
    "Order",
    "Part",
    "Refused",
    "RetryAt",
    "Seen",
    "SeenDeploy",
    "SeenResource",
    "SeenSettings",
    "SeenTree",
    "SeenUpload",
    "SeenVolumes",
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

_RULES: Final = {
    Kind.STOP: stops,
    Kind.START: starts,
    Kind.SCALE: scales,
    Kind.DELETE: deletes,
    Kind.CONFIGURE: changes,
    Kind.SPLIT: changes,
    Kind.RESIZE: changes,
    Kind.CANCEL: endings,
    Kind.CREATE: creations,
    Kind.UPLOAD: uploads,
    Kind.DEPLOY: deploys,
}


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step; `order` must already carry the sight (`note_sight`)."""
    step: Step = _choose_rules(order).decide(order, sight, now=now)
    return step


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the write `act` failed; `order.failures` already counts this one.

    A failure whose outcome is unknown is not a failure to be judged: the next read tells (Wait).
    """
    step: Step = _choose_rules(order).judge_failure(order, act, failure, now=now)
    return step


def _choose_rules(order: Order) -> ModuleType:
    if order.resource_kind:
        if order.kind is Kind.STOP:
            return endings
        if order.kind is Kind.DELETE:
            return removals
    if order.kind is Kind.DELETE and order.is_in_order:
        return teardowns
    return _RULES[order.kind]
