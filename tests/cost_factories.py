"""Objects of billing for tests: meters, intervals, owners. Times default to `NOW`; an ended interval is settled."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.amounts import TICKS_PER_NANO
from billing.models import (
    AgreementCause,
    AgreementDay,
    Condition,
    IntervalSource,
    Meter,
    MeteredInterval,
    MeterKind,
    Ownership,
    Use,
)
from dashboard.accounts.models import Team
from dashboard.mirror.models import Deployment, Resource
from tests.factories import H100_NANO_USD_PER_HOUR, NOW

_numbers = itertools.count(1)
ORGANISATION = "org_7Jb2acme"


def make_meter(
    *, deployment: Deployment | None = None, resource: Resource | None = None, **fields: Any
) -> Meter:
    """Return a meter of a deployment, of a resource, or of something that the mirror does not hold."""
    number = next(_numbers)
    subject = deployment or resource
    if deployment is not None:
        known: dict[str, Any] = {
            "kind": MeterKind.DEPLOYMENT,
            "deployment": deployment,
            "endpoint": deployment.endpoint,
            "endpoint_name": deployment.endpoint.display_name,
            "project": deployment.endpoint.project,
            "model": deployment.model,
            "hardware": deployment.hardware,
            "sku": f"{deployment.generation}/{deployment.hardware}",
        }
    elif resource is not None:
        known = {
            "kind": resource.kind,
            "resource": resource,
            "project": resource.project,
            "model": resource.model,
            "hardware": resource.hardware,
            "sku": resource.sku,
        }
    else:
        known = {"kind": MeterKind.OTHER, "sku": "v2/1xnvidia-h100-80gb"}
    if subject is not None:
        known |= {"connection": subject.connection, "remote_id": subject.remote_id, "name": subject.name}
        known |= {
            "sub_account_id": known["project"].remote_id,
            "sub_account_name": known["project"].name,
        }
    defaults = {
        "billing_account_id": ORGANISATION,
        "remote_id": f"meter_{number}",
        "name": f"meter {number}",
        "metered_from": NOW - timedelta(days=30),
    }
    return Meter.objects.create(**(defaults | known | fields))


def make_interval(
    meter: Meter,
    *,
    start: datetime,
    end: datetime | None,
    units: int = 1,
    nano_usd_per_hour: int | None = H100_NANO_USD_PER_HOUR,
    **fields: Any,
) -> MeteredInterval:
    """Return an interval of `units` at a known price (None: unknown)."""
    rate = 0 if nano_usd_per_hour is None else units * nano_usd_per_hour
    defaults = {
        "condition": Condition.BILLS,
        "units_low": units,
        "units_high": units,
        "sku": meter.sku,
        "list_nano_usd_per_hour": nano_usd_per_hour,
        "nano_usd_per_hour": nano_usd_per_hour,
        "rate_low": rate,
        "rate_high": rate,
        "use": Use.BUSY,
        "source": IntervalSource.EVENT,
        "is_settled": end is not None,
    }
    return MeteredInterval.objects.create(meter=meter, start=start, end=end, **(defaults | fields))


def make_ownership(meter: Meter, *, team: Team | None = None, **fields: Any) -> Ownership:
    """Return an ownership for ever, of the team or of nobody."""
    defaults = {
        "team": team,
        "team_name": team.name if team else "",
        "source": Ownership.Source.MANUAL if team else Ownership.Source.NOBODY,
    }
    return Ownership.objects.create(meter=meter, **(defaults | fields))


def make_agreement(
    meter: Meter | None = None,
    *,
    day: date | None = None,
    projected: str = "0",
    metered: str = "0",
    billed: str | None = "0",
    to_metered: dict[str, str] | None = None,
    to_billed: dict[str, str] | None = None,
    **fields: Any,
) -> AgreementDay:
    """Return a compared day of a meter, or of what matches none; amounts and causes in dollars."""
    day = day or NOW.date()
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    defaults = {
        "billing_account_id": ORGANISATION,
        "zone": "UTC",
        "start": start,
        "end": start + timedelta(days=1),
        "projected": _ticks(projected),
        "metered_low": _ticks(metered),
        "metered_high": _ticks(metered),
        "billed": None if billed is None else _ticks(billed),
        "computed_at": NOW,
    }
    row = AgreementDay.objects.create(meter=meter, day=day, **(defaults | fields))
    for step, causes in (("metered", to_metered), ("billed", to_billed)):
        for cause, dollars in (causes or {}).items():
            AgreementCause.objects.create(agreement=row, step=step, cause=cause, ticks=_ticks(dollars))
    return row


def _ticks(dollars: str) -> int:
    return int(Decimal(dollars) * 1_000_000_000 * TICKS_PER_NANO)
