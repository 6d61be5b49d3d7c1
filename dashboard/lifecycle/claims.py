"""Claim one act at a time, and write about it only while the claim holds.

A claim is a lease on the row, not a state: any number of Celery threads and enforcers ask, SKIP LOCKED gives each
another row, a lease that ran out is taken over, and what the old owner writes late hits no row (generation).
All times are PostgreSQL's, so that the clock of a worker cannot matter.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.notify import announce_act

logger = logging.getLogger(__name__)

# Seconds. Above the worst HTTP time of one pass (provider.py: three calls of 10 s), far below what a stop may wait.
LEASE_SECONDS = 40

# What a pass needs of what the act is about.
LOADED = (
    "endpoint__connection", "endpoint__project", "deployment__endpoint", "deployment__connection",
    "resource__connection", "resource__project", "project__connection",
)  # fmt: skip

_CLAIM = """
WITH candidate AS (
    SELECT id, lease_owner AS former_owner, lease_until AS former_until FROM lifecycle_stopaction
    WHERE state IN ('requested', 'sent') AND due_at <= now() AND next_try_at <= now()
      AND (lease_until IS NULL OR lease_until < now())
    -- Stops before anything else, what was never sent before what is only watched, then the oldest, then the dearest.
    ORDER BY (kind = 'stop') DESC, (sent_at IS NULL) DESC, due_at, burn_high_at_request DESC NULLS LAST, id
    LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE lifecycle_stopaction action
SET lease_owner = %s, lease_until = now() + make_interval(secs => %s), generation = generation + 1,
    attempts = attempts + 1
FROM candidate WHERE action.id = candidate.id
RETURNING action.id, action.generation, now(), candidate.former_until IS NOT NULL, candidate.former_owner
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """One row held under a lease. `former_owner` is who let it expire, empty when nobody did."""

    action: StopAction
    generation: int
    owner: str
    claimed_at: datetime
    former_owner: str = ""
    _claimed_monotonic: float = field(default_factory=time.monotonic)

    def read_clock(self) -> datetime:
        """Return PostgreSQL's time, carried on by our own monotonic clock since the claim. No query."""
        return self.claimed_at + timedelta(seconds=time.monotonic() - self._claimed_monotonic)


def claim_next(owner: str) -> Claim | None:
    """Claim the most urgent due act, or return None when nothing is due. Two statements, its own transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [owner, LEASE_SECONDS])
            row = cursor.fetchone()
        if row is None:
            return None
        action_id, generation, now, was_taken_over, former_owner = row
        action = StopAction.objects.select_related(*LOADED).get(pk=action_id)
    return Claim(
        action=action,
        generation=generation,
        owner=owner,
        claimed_at=now,
        former_owner=former_owner if was_taken_over else "",
    )


def write(claim: Claim, columns: dict[str, Any], *, steps: Sequence[ActionStep] = ()) -> bool:
    """Write columns and steps if the claim still holds; return False (and log) when it was lost.

    Runs in the caller's transaction or in its own. Steps wake the open pages that show the endpoint.
    """
    with transaction.atomic():
        hit = StopAction.objects.filter(
            pk=claim.action.pk, generation=claim.generation, state__in=StopAction.OPEN_STATES
        ).update(**columns)
        if not hit:
            logger.warning(
                "late write about %s dropped: claim %s of %s was taken over or the act has ended",
                claim.action.number,
                claim.generation,
                claim.owner,
            )
            return False
        if steps:
            ActionStep.objects.bulk_create(steps)
            announce_act(claim.action)
    return True


def release(claim: Claim, columns: dict[str, Any], *, steps: Sequence[ActionStep] = ()) -> bool:
    """Write like `write` and end the lease; `columns` says when to try next."""
    return write(claim, columns | {"lease_owner": "", "lease_until": None}, steps=steps)
