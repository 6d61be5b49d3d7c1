"""One pass of metering over a connection: every source in turn, under one lock."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import DatabaseError

from billing.bill_source import meter_bill
from billing.deployment_source import meter_deployments
from billing.ledger import Gathered, PostingResult, post_all
from billing.metering import Condition, Source, unknown
from billing.models import MeteredInterval
from billing.resource_source import meter_resources
from dashboard.accounts.models import Connection
from dashboard.core.locks import Lock, try_lock

logger = logging.getLogger(__name__)

NO_CONNECTION = "No connection looks at it any more."

Meterer = Callable[..., PostingResult]
# Each meters the things of its kind, and none of another's.
SOURCES: Sequence[Meterer] = (meter_deployments, meter_resources, meter_bill)


def meter_connection(connection: Connection, *, now: datetime) -> PostingResult | None:
    """Meter everything of a connection that changed; None when another pass is under way.

    Of a disabled one only what nobody looks at any more is written: its endpoints become unknown.
    A source that fails is logged and does not stop the others; the next pass tries it again.
    """
    total = PostingResult()
    with try_lock(Lock.METERING, key=connection.pk) as is_held:
        if not is_held:
            return None
        for source in SOURCES if connection.is_enabled else (meter_deployments,):
            try:
                total.add(source(connection, now=now))
            except (DatabaseError, ArithmeticError, LookupError, TypeError, ValueError):
                logger.exception("%s failed for connection %s", source.__name__, connection.pk)
                total.failed += 1
    return total


def end_orphans(*, now: datetime) -> PostingResult:
    """Say of what runs on without a connection that nobody knows any more; what was metered until now stays.

    A disabled connection keeps its meters: that nobody looks is found by `meter_deployments` itself.
    """
    running = MeteredInterval.objects.filter(
        is_settled=False, end=None, condition=Condition.BILLS.value, start__lt=now, meter__connection=None
    )
    rows = running.exclude(source=Source.BILL.value).select_related("meter").order_by("meter_id")
    return post_all(
        (
            Gathered(
                row.meter, [unknown(now, None, evidence=NO_CONNECTION)], now, row.meter.settled_until or now
            )
            for row in rows
        ),
        now=now,
    )
