"""Forecasts of what people see, from the metered intervals: loaded once, then shared by every page for some minutes.

A forecast is worked out by whoever asks first and kept in the cache; `billing.refresh_forecasts` works the usual ones
out before anybody asks. So the same forecast is the same on every page, while what is spent is always read anew.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import TypeVar

from django.core.cache import cache

from billing.amounts import Cost
from billing.costs import NO_FILTERS, CostFilters, CostQuery, GroupBy, load_costs, sum_costs
from billing.forecast import DayForecast, Forecast, forecast
from billing.forecast_inputs import Burning, Scope, load_burning, load_hours, load_planned
from billing.models import MeteredInterval
from dashboard.accounts.models import User
from dashboard.core.periods import Period, month_of

Found = TypeVar("Found")

# Seconds for which pages share a forecast. The task comes round before that.
FRESH_SECONDS = 600
# Part of every key: what other code than this has cached is not read.
_VERSION = "forecast-1"


def load_forecast(
    *,
    user: User | None,
    now: datetime,
    zone: tzinfo,
    filters: CostFilters = NO_FILTERS,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Forecast | None:
    """Return the forecast of a period, by default of the present month in the zone; None before metering begins.

    Up to ten minutes old (`Forecast.now` says). At most one query when it is in the cache, else about ten.
    """
    scope = _choose_scope(user, filters, since, until, now=now, zone=zone)
    return _share(_key(scope, GroupBy.NONE), lambda: _forecast_whole(scope, now=now))


def load_forecasts(
    *,
    user: User | None,
    group_by: GroupBy,
    now: datetime,
    zone: tzinfo,
    filters: CostFilters = NO_FILTERS,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Mapping[str, Forecast]:
    """Return the same for each row of `load_costs` that is grouped like this, by its key; empty before metering.

    What is left of the rows sums to what is left of the whole, which knows of planned ends and jobs: a row alone does
    not. Ranges do not sum, errors partly cancel. Not offered for tags.
    """
    scope = _choose_scope(user, filters, since, until, now=now, zone=zone)
    whole = load_forecast(user=user, now=now, zone=zone, filters=filters, since=since, until=until)
    if whole is None:
        return {}
    return _share(_key(scope, group_by), lambda: _forecast_rows(scope, group_by, whole)) or {}


def refresh_usual(users: Iterable[User | None], *, now: datetime, zone: tzinfo) -> int:
    """Work out what the pages of these people show, by team too; return for how many different sights."""
    seen = set()
    for user in users:
        scope = _choose_scope(user, NO_FILTERS, None, None, now=now, zone=zone)
        key = _key(scope, GroupBy.NONE)
        if key in seen:
            continue
        seen.add(key)
        whole = _forecast_whole(scope, now=now)
        if whole is not None:
            cache.set(key, whole, FRESH_SECONDS)
            cache.set(_key(scope, GroupBy.TEAM), _forecast_rows(scope, GroupBy.TEAM, whole), FRESH_SECONDS)
    return len(seen)


def _choose_scope(
    user: User | None,
    filters: CostFilters,
    since: datetime | None,
    until: datetime | None,
    *,
    now: datetime,
    zone: tzinfo,
) -> Scope:
    month = month_of(now, zone=zone)
    return Scope(user, filters, Period(since or month.start, until or month.end), zone)


def _key(scope: Scope, group_by: GroupBy) -> str:
    return f"{_VERSION}-{hashlib.sha256(f'{scope.describe()} {group_by}'.encode()).hexdigest()}"


def _share(key: str, compute: Callable[[], Found]) -> Found:
    known: Found | None = cache.get(key)
    if known is None:
        known = compute()
        if known:
            cache.set(key, known, FRESH_SECONDS)
    return known


def _forecast_whole(scope: Scope, *, now: datetime) -> Forecast | None:
    until = scope.period.end
    gone = _gone(scope, now)
    spent = sum_costs(gone, now=now, filters=scope.filters, user=scope.user)
    hours = load_hours(scope, now=now).get("", [])
    burning = load_burning(scope, now=now).get("", Burning())
    if not hours and not spent.high and not burning.nano and not MeteredInterval.objects.exists():
        return None
    courses, charges = load_planned(scope, now=now)
    return forecast(
        hours,
        burn_nano=burning.nano,
        spent=spent,
        now=now,
        until=until,
        zone=scope.zone,
        courses=courses,
        charges=charges,
        is_burn_complete=burning.is_complete,
    )


def _forecast_rows(scope: Scope, group_by: GroupBy, whole: Forecast) -> dict[str, Forecast]:
    now = whole.now
    query = CostQuery(
        _gone(scope, now), scope.zone, group_by=group_by, filters=scope.filters, user=scope.user
    )
    spent = {row.key: row.total for row in load_costs(query, now=now).rows}
    hours = load_hours(scope, now=now, group_by=group_by)
    burning = load_burning(scope, now=now, group_by=group_by)
    rows = {
        key: forecast(
            hours.get(key, []),
            burn_nano=burning.get(key, Burning()).nano,
            spent=spent.get(key, Cost()),
            now=now,
            until=whole.until,
            zone=scope.zone,
            is_burn_complete=burning.get(key, Burning()).is_complete,
        )
        for key in {**spent, **hours, **burning}
    }
    left = sum((row.left for row in rows.values()), Decimal(0))
    if not left:
        return rows
    return {key: _scale(row, whole.left / left) for key, row in rows.items()}


def _gone(scope: Scope, now: datetime) -> Period:
    """Return the part of the period that is over; empty before it begins."""
    start = scope.period.start
    return Period(start, max(start, min(now, scope.period.end)))


def _scale(row: Forecast, factor: Decimal) -> Forecast:
    spent = row.p50 - row.left
    return replace(
        row,
        p10=spent + (row.p10 - spent) * factor,
        p50=spent + row.left * factor,
        p90=spent + (row.p90 - spent) * factor,
        by_day=tuple(
            DayForecast(day.period, day.p10 * factor, day.p50 * factor, day.p90 * factor)
            for day in row.by_day
        ),
    )
