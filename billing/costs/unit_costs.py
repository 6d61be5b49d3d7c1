"""Cost per million tokens by endpoint, and what serverless asks for the same model.

Traffic is kept in half hours, so the period is narrowed to whole ones. The cost of time whose traffic is not known
(`use` unknown) stays out: its tokens are not zero but unknown.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.db.models import Sum

from billing.amounts import ZERO, Cost
from billing.costs.break_even import TokenPrice, Traffic, UnitCost
from billing.costs.queries import NO_FILTERS, CostQuery, GroupBy
from billing.costs.sums import load_costs
from billing.models import Use
from dashboard.core.periods import Period
from dashboard.mirror.models import CatalogueModel, TrafficHalfHour

_HALF_HOUR = timedelta(minutes=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def load_unit_costs(query: CostQuery, *, now: datetime) -> dict[str, UnitCost]:
    """Return unit costs by key of the endpoint (CostRow.key), for the endpoints that the query's filters leave.

    An endpoint that others share or owned for a part of the period is left out where the query asks for a part of its
    cost: its tokens are not told apart by team.
    """
    period = narrow(Period(query.period.start, max(query.period.start, min(query.period.end, now))))
    if period is None:
        return {}
    query = replace(query, period=period, group_by=GroupBy.ENDPOINT, bucket=None)
    totals = _by_endpoint(query, now=now)
    unseen = _by_endpoint(
        replace(query, filters=replace(query.filters, uses=frozenset({Use.UNKNOWN.value}))), now=now
    )
    keys = [key for key in totals if key.isdecimal()]
    whole = (
        _by_endpoint(
            CostQuery(period, UTC, GroupBy.ENDPOINT, filters=replace(NO_FILTERS, endpoints=frozenset(keys))),
            now=now,
        )
        if keys
        else {}
    )
    traffic = _load_traffic([int(key) for key in keys], period)
    return {
        key: UnitCost(totals[key], _less(totals[key], unseen.get(key, ZERO)), traffic.get(key, Traffic()))
        for key in keys
        if totals[key] == whole.get(key)
    }


def narrow(period: Period) -> Period | None:
    """Return the whole half hours within the period; None when there is none."""
    start = _EPOCH - ((_EPOCH - period.start) // _HALF_HOUR) * _HALF_HOUR
    end = _EPOCH + ((period.end - _EPOCH) // _HALF_HOUR) * _HALF_HOUR
    return Period(start, end) if start < end else None


def load_serverless_prices(models: Iterable[str]) -> dict[str, TokenPrice]:
    """Return by model what its tokens cost serverless; models without such an offer are left out. One query."""
    found = CatalogueModel.objects.filter(
        name__in=set(models),
        origin=CatalogueModel.Origin.SERVERLESS,
        is_serverless=True,
        absent_since=None,
        input_nano_usd__isnull=False,
        output_nano_usd__isnull=False,
    ).order_by("-pk")
    return {
        name: TokenPrice(given, taken)
        for name, given, taken in found.values_list("name", "input_nano_usd", "output_nano_usd")
        if given is not None and taken is not None
    }


def _by_endpoint(query: CostQuery, *, now: datetime) -> dict[str, Cost]:
    return {row.key: row.total for row in load_costs(query, now=now).rows}


def _load_traffic(endpoint_ids: list[int], period: Period) -> dict[str, Traffic]:
    rows = (
        TrafficHalfHour.objects.filter(
            endpoint_id__in=endpoint_ids, start__gte=period.start, start__lt=period.end
        )
        .values("endpoint_id")
        .annotate(
            all_requests=Sum("requests"), all_input=Sum("input_tokens"), all_output=Sum("output_tokens")
        )
    )
    return {
        str(row["endpoint_id"]): Traffic(
            int(row["all_requests"]), int(row["all_input"]), int(row["all_output"])
        )
        for row in rows
    }


def _less(total: Cost, part: Cost) -> Cost:
    return Cost(
        total.low - part.low,
        total.high - part.high,
        total.idle_low - part.idle_low,
        total.idle_high - part.idle_high,
        total.unpriced_us - part.unpriced_us,
        total.unknown_us - part.unknown_us,
    )
