"""Learn what resources cost by the hour: from the bill, and for RL resources from the provider's estimate."""

import functools
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta

from django.db.models import Max, Q
from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch
from dashboard.mirror.models import Resource, ResourceKind, SyncRun, UnitPrice
from dashboard.mirror.runs import Tally, record_run
from dashboard.mirror.session import Clock, Session, open_session
from dashboard.mirror.store_unit_prices import store_unit_prices
from dashboard.mirror.unit_prices import ATTRIBUTES, Billable, DerivedPrice, derive_prices
from dashboard.together_api import payloads
from dashboard.together_api.errors import is_not_enabled

# The bill of the running month is at most an hour late (contract 10): at the turn of a month the last hours of the old
# one are read, too.
TURN_OF_MONTH = timedelta(hours=6)


# Each reading asks for the whole month by the hour, the API offers no less: so only now and then, sooner while a price
# is missing, at once for what bills and is new.
AGAIN_AFTER = timedelta(hours=6)
AGAIN_WHILE_UNKNOWN = timedelta(minutes=30)


def sync_unit_prices(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Read the bill of the present month by the hour and write the prices it tells, as one recorded run."""
    billing = list(
        Resource.objects.filter(connection=connection, absent_since=None, units__gt=0)
        .exclude(sku="")
        .annotate(changed_at=Max("changes__at", filter=~Q(changes__not_before=None, changes__source="poll")))
        .order_by("pk")
    )
    if not billing or not _is_due(connection, billing, now=clock()):
        return
    with record_run(connection, SyncRun.Resource.UNIT_PRICES, clock=clock) as recorded:
        if recorded is None:
            return
        run, tally = recorded
        with open_session(connection, clock=clock) as session:
            billed = _read_bill(session, billing, tally)
            estimated = _read_estimates(session, billing, tally)
        source = UnitPrice.PriceSource
        tally.updated += store_unit_prices(connection, billed, source=source.BILL, now=run.started_at)
        tally.updated += store_unit_prices(connection, estimated, source=source.ESTIMATE, now=run.started_at)


def _is_due(connection: Connection, billing: Sequence[Resource], *, now: datetime) -> bool:
    """Return whether the bill should be read now. One query."""
    last = (
        SyncRun.objects.filter(connection=connection, resource=SyncRun.Resource.UNIT_PRICES)
        .exclude(outcome=SyncRun.Outcome.BUSY)
        .aggregate(at=Max("started_at"))["at"]
    )
    if last is None:
        return True
    unknown = [row for row in billing if row.nano_usd_per_unit_hour is None]
    if any(row.first_observed_at > last for row in unknown):
        return True
    return bool(now - last >= (AGAIN_WHILE_UNKNOWN if unknown else AGAIN_AFTER))


def _read_bill(session: Session, billing: Sequence[Resource], tally: Tally) -> list[DerivedPrice]:
    billables = [
        Billable(
            kind=row.kind,
            remote_id=row.remote_id,
            sku=row.sku,
            units=row.units,
            most_units=max(row.units, row.gpu_count),
            first_seen_at=row.first_observed_at,
            changed_at=row.changed_at,  # type: ignore[attr-defined]  # annotation
        )
        for row in billing
        if row.kind in ATTRIBUTES
    ]
    if not billables:
        return []
    now = session.clock()
    months = {now.strftime("%Y-%m"), (now - TURN_OF_MONTH).strftime("%Y-%m")}
    answers = session.run(
        fetch.gather(
            {
                month: functools.partial(session.client.get_billing_usage, month=month, granularity="hour")
                for month in months
            },
            clock=session.clock,
        )
    )
    windows: list[payloads.UsageWindow] = []
    for answer in answers.values():
        if answer.value is not None:
            windows += answer.value.windows.items
        elif answer.error is not None and is_not_enabled(answer.error):
            tally.unavailable_reason = answer.error.sentence
        else:
            tally.report_error(answer.error)
    tally.seen += len(windows)
    return list(derive_prices(windows, billables).values())


def _read_estimates(session: Session, billing: Sequence[Resource], tally: Tally) -> list[DerivedPrice]:
    """Ask what an hour of each kind of RL resources costs: a POST that only reads (contract 16)."""
    wanted = {row.sku: row for row in billing if row.kind == ResourceKind.RL_RESOURCE}
    answers = session.run(
        fetch.gather(
            {sku: functools.partial(_ask_cost, session, row) for sku, row in wanted.items()},
            clock=session.clock,
        )
    )
    prices = []
    for sku, answer in answers.items():
        tally.report_error(answer.error)
        nano = None if answer.value is None else answer.value.nano_dollars_per_hour
        if nano is not None:
            prices.append(DerivedPrice(sku, nano, f"estimate-cost of {answer.fetched_at:%Y-%m-%d %H:%M} UTC"))
    return prices


def _ask_cost(session: Session, row: Resource) -> Awaitable[payloads.RlCost]:
    body = payloads.RlResource.parse(row.payload)
    layout = body.compute_config or payloads.RlComputeConfig()
    return session.client.estimate_rl_cost(
        base_model=body.base_model,
        base_weights_ref=body.base_weights_ref,
        gpu_type=layout.gpu_type,
        num_generator_replicas=layout.num_generator_replicas,
    )
