"""One pass of metering over a connection: every source in turn, under one lock."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import DatabaseError

from billing.bill_source import meter_bill
from billing.deployment_source import meter_deployments
from billing.ledger import PostingResult
from billing.resource_source import meter_resources
from dashboard.accounts.models import Connection
from dashboard.core.locks import Lock, try_lock

logger = logging.getLogger(__name__)

Meterer = Callable[..., PostingResult]
# Each meters the things of its kind, and none of another's.
SOURCES: Sequence[Meterer] = (meter_deployments, meter_resources, meter_bill)


def meter_connection(connection: Connection, *, now: datetime) -> PostingResult | None:
    """Meter everything of a connection that changed; None when another pass is under way.

    A source that fails is logged and does not stop the others; the next pass tries it again.
    """
    total = PostingResult()
    with try_lock(Lock.METERING, key=connection.pk) as is_held:
        if not is_held:
            return None
        for source in SOURCES:
            try:
                total.add(source(connection, now=now))
            except (DatabaseError, ArithmeticError, LookupError, TypeError, ValueError):
                logger.exception("%s failed for connection %s", source.__name__, connection.pk)
                total.failed += 1
    return total
