"""Forecasts of the rows of a table, so that what is left of them sums to what is left of the whole. Pure.

The dearest rows are forecast one by one. The many small ones are forecast together and share the outcome by what they
cost of late: one by one they would take seconds and say little more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from billing.amounts import ZERO, Cost
from billing.forecast import DayForecast, Forecast, forecast
from billing.forecast_history import HourCost

# Rows with a forecast of their own: some milliseconds each.
MOST_ALONE = 40
_LATE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Burning:
    """A rate in nano-dollars per hour, middle of its range; incomplete where a price is unknown."""

    nano: int = 0
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class RowInput:
    """What a row's forecast is made from."""

    hours: Sequence[HourCost]
    burning: Burning
    spent: Cost


def forecast_rows(inputs: Mapping[str, RowInput], *, whole: Forecast, zone: tzinfo) -> dict[str, Forecast]:
    """Return the forecast of each row by its key; days are those of the zone."""
    weights = {key: _weigh(row, now=whole.now) for key, row in inputs.items()}
    ranked = sorted(inputs, key=lambda key: (-weights[key], key))
    alone, pooled = ranked[:MOST_ALONE], ranked[MOST_ALONE:]
    # What is to come alone: what was spent is added at the end, untouched by any share.
    rows = {key: _look_ahead(inputs[key], whole=whole, zone=zone) for key in alone}
    if pooled:
        pool = _look_ahead(_pool(inputs[key] for key in pooled), whole=whole, zone=zone)
        total = sum(weights[key] for key in pooled)
        for key in pooled:
            rows[key] = _scale(pool, Decimal(weights[key]) / total if total else Decimal(0))
    left = sum((row.left for row in rows.values()), Decimal(0))
    factor = whole.left / left if left else Decimal(1)
    return {key: _add_spent(_scale(row, factor), inputs[key]) for key, row in rows.items()}


def share_rows(
    costs: Mapping[str, int], *, whole: Forecast, spent: Mapping[str, Cost]
) -> dict[str, Forecast]:
    """Return the forecast of each row as its part of the whole, by what it cost of late (any unit).

    For rows by the thousand, whose hours would take longer to read than anybody waits; ranges are parts as well.
    """
    gone = whole.p50 - whole.left
    pool = replace(whole, p10=whole.p10 - gone, p50=whole.left, p90=whole.p90 - gone)
    total = sum(costs.values())
    return {
        key: _add_spent(
            _scale(pool, Decimal(costs.get(key, 0)) / total if total else Decimal(0)),
            RowInput((), Burning(), spent.get(key, ZERO)),
        )
        for key in {**spent, **costs}
    }


def _look_ahead(row: RowInput, *, whole: Forecast, zone: tzinfo) -> Forecast:
    return forecast(
        row.hours,
        burn_nano=row.burning.nano,
        spent=ZERO,
        now=whole.now,
        until=whole.until,
        zone=zone,
    )


def _weigh(row: RowInput, *, now: datetime) -> int:
    """Return what the row cost of late, and burns now."""
    return sum(one.nano_usd for one in row.hours if now - one.start < _LATE) + row.burning.nano


def _pool(rows: Iterable[RowInput]) -> RowInput:
    hours: dict[datetime, HourCost] = {}
    burn = 0
    for row in rows:
        burn += row.burning.nano
        for one in row.hours:
            known = hours.get(one.start, HourCost(one.start, 0))
            hours[one.start] = HourCost(
                one.start, known.nano_usd + one.nano_usd, known.lump_nano_usd + one.lump_nano_usd
            )
    return RowInput(list(hours.values()), Burning(burn), ZERO)


def _scale(row: Forecast, factor: Decimal) -> Forecast:
    return replace(
        row,
        p10=row.p10 * factor,
        p50=row.p50 * factor,
        p90=row.p90 * factor,
        by_day=tuple(
            DayForecast(day.period, day.p10 * factor, day.p50 * factor, day.p90 * factor)
            for day in row.by_day
        ),
    )


def _add_spent(row: Forecast, source: RowInput) -> Forecast:
    spent = (source.spent.nano_low + source.spent.nano_high) / 2
    return replace(
        row,
        spent=source.spent,
        p10=row.p10 + spent,
        p50=row.p50 + spent,
        p90=row.p90 + spent,
        is_at_least=not source.spent.is_complete or not source.burning.is_complete,
    )
