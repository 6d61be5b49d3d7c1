"""Forecasts of what people see, from the metered intervals: loaded once, then shared by every page for some minutes.

A forecast is worked out by whoever asks first and kept in the cache; `billing.refresh_forecasts` works the usual ones
out before anybody asks. So the same forecast is the same on every page, while what is spent is always read anew.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from django.core.cache import cache

from billing.amounts import Cost
from billing.costs import NO_FILTERS, CostFilters, CostQuery, GroupBy, load_costs, sum_costs
from billing.forecast import SHORT_DAYS, Forecast, forecast
from billing.forecast_history import HourCost
from billing.forecast_inputs import Scope, load_burning, load_hours, load_planned
from billing.forecast_rows import Burning, RowInput, forecast_rows, share_rows
from billing.models import MeteredInterval
from dashboard.accounts.models import User
from dashboard.core.periods import Period, month_of

Found = TypeVar("Found")

# Seconds for which pages share a forecast. The task comes round before that.
FRESH_SECONDS = 600
# Seconds for the same from little history: just started, each further minute of metering tells much.
_SHORT_FRESH_SECONDS = 60
_HOUR_SECONDS = 3600
# Rows by the thousand share the whole by what they cost in this time.
_MANY = (GroupBy.METER, GroupBy.ENDPOINT)
_LATE = timedelta(days=14)
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

    Up to ten minutes old (`Forecast.now` says), one minute where little history makes it a guess.
    At most one query when it is in the cache, else about ten.
    """
    scope = _choose_scope(user, filters, since, until, now=now, zone=zone)
    return _share(_key(scope, GroupBy.NONE), lambda: _forecast_whole(scope, now=now), seconds=_fresh_seconds)


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
    seconds = _fresh_seconds(whole)
    found = _share(
        _key(scope, group_by), lambda: _forecast_rows(scope, group_by, whole), seconds=lambda _: seconds
    )
    return found or {}


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
            rows = _forecast_rows(scope, GroupBy.TEAM, whole)
            cache.set(key, whole, _fresh_seconds(whole))
            cache.set(_key(scope, GroupBy.TEAM), rows, _fresh_seconds(whole))
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


def _fresh_seconds(whole: Forecast | None) -> int:
    return _SHORT_FRESH_SECONDS if whole is None or whole.is_short else FRESH_SECONDS


def _share(key: str, compute: Callable[[], Found], *, seconds: Callable[[Found], int]) -> Found:
    known: Found | None = cache.get(key)
    if known is None:
        known = compute()
        if known:
            cache.set(key, known, seconds(known))
    return known


def _forecast_whole(scope: Scope, *, now: datetime) -> Forecast | None:
    until = scope.period.end
    gone = _gone(scope, now)
    spent = sum_costs(gone, now=now, filters=scope.filters, user=scope.user)
    hours = _load_hours(scope, now=now).get("", [])
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
    if group_by in _MANY:
        recent = replace(query, period=Period(now - _LATE, now))
        costs = {row.key: row.total.high for row in load_costs(recent, now=now).rows}
        return share_rows(costs, whole=whole, spent=spent)
    hours = _load_hours(scope, now=now, group_by=group_by)
    burning = load_burning(scope, now=now, group_by=group_by)
    inputs = {
        key: RowInput(hours.get(key, []), burning.get(key, Burning()), spent.get(key, Cost()))
        for key in {**spent, **hours, **burning}
    }
    return forecast_rows(inputs, whole=whole, zone=scope.zone)


def _load_hours(
    scope: Scope, *, now: datetime, group_by: GroupBy = GroupBy.NONE
) -> Mapping[str, list[HourCost]]:
    """Return the hours, read once an hour where few keys share them: corrections of the past may wait that long."""
    if group_by not in (GroupBy.NONE, GroupBy.TEAM):
        return load_hours(scope, now=now, group_by=group_by)
    edge = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    key = f"{_key(scope, group_by)}-{edge:%Y%m%d%H}"
    known: Mapping[str, list[HourCost]] | None = cache.get(key)
    if known is None:
        known = load_hours(scope, now=now, group_by=group_by)
        long_ago = edge - timedelta(days=SHORT_DAYS)
        is_short = all(hour.start > long_ago for hours in known.values() for hour in hours)
        cache.set(key, known, _SHORT_FRESH_SECONDS if is_short else _HOUR_SECONDS)
    return known


def _gone(scope: Scope, now: datetime) -> Period:
    """Return the part of the period that is over; empty before it begins."""
    start = scope.period.start
    return Period(start, max(start, min(now, scope.period.end)))
