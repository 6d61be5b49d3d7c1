"""What the person's things have cost this hour, today and this month, and what the month will cost: read as one.

The sums are those of the explorer (billing/costs), as of `at`; from there the page counts on with the burn now.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.cache import cache

from billing.amounts import ZERO, Cost
from billing.costs import CostQuery, load_costs, sum_costs
from billing.costs.visibility import find_sight
from billing.forecast import Forecast
from billing.forecasts import load_forecast
from billing.models import MeteredInterval
from billing.rules import load_rules, reporting_zone
from dashboard.accounts.models import User
from dashboard.core.periods import Bucket, Period, month_of
from dashboard.web.costs.bars import Range, lay_out_range

# Seconds for which people who see the same share the sums; the page counts on by itself meanwhile.
FRESH_SECONDS = 30
_VERSION = "money-1"


@dataclass(frozen=True, slots=True)
class Money:
    """What was spent up to `at`, and the forecast of the month that contains it; days are those of `zone_name`."""

    at: datetime
    this_hour: Cost
    today: Cost
    month: Cost
    month_name: str
    zone_name: str
    forecast: Forecast | None

    @property
    def range_bar(self) -> Range | None:
        """Return the forecast's range as a drawing."""
        return lay_out_range(self.forecast) if self.forecast else None


def read_money(user: User, *, now: datetime) -> Money | None:
    """Return the sums that the person sees; None before anything is metered.

    One query at most when somebody who sees the same asked in the last half minute, else about ten.
    """
    sight = repr(find_sight(user))
    key = f"{_VERSION}-{hashlib.sha256(sight.encode()).hexdigest()}"
    known: Money | None = cache.get(key)
    if known is not None and known.at <= now:
        return known
    found = _sum_money(user, now=now)
    if found is not None:
        cache.set(key, found, FRESH_SECONDS)
    return found


def _sum_money(user: User, *, now: datetime) -> Money | None:
    if not MeteredInterval.objects.exists():
        return None
    rules = load_rules()
    zone = reporting_zone(rules)
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    month = Period(month_of(now, zone=zone).start, now)
    days = load_costs(CostQuery(month, zone, bucket=Bucket.DAY, user=user), now=now)
    return Money(
        at=now,
        this_hour=sum_costs(Period(hour, now), now=now, user=user),
        today=days.buckets[-1] if days.buckets else ZERO,
        month=days.total,
        month_name=f"{now.astimezone(zone):%B}",
        zone_name=rules.reporting_zone,
        forecast=load_forecast(user=user, now=now, zone=zone),
    )
