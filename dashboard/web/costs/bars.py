"""The bars of the explorer: what was spent per bucket, stacked by group, and beneath the days to come their forecast.

Numbers for a canvas are floats of dollars; nothing is computed from them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse

from billing.amounts import Cost, add_costs, to_nano
from billing.costs import CostRow, CostTable, GroupBy
from billing.forecast import Forecast
from dashboard.core import money, period_words
from dashboard.core.periods import Bucket, Period
from dashboard.web.charts import Chart, Series
from dashboard.web.costs.asked import NOTHING, Question, parameter_of

# So many groups have a colour of their own; the rest share the last one.
COLOURS = ("c1", "c2", "c3", "c4", "c5")
RANGE_WIDTH = 1000
_AT_ONCE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """One bucket in the table beside the chart: what it cost in all, and where its intervals are."""

    label: str
    total: Cost
    url: str


@dataclass(frozen=True, slots=True)
class Range:
    """A forecast as a strip of a box RANGE_WIDTH wide: a band from p10 to p90, marks at p50 and at what is spent."""

    low: float
    width: float
    middle: float
    spent: float


def colours_of(table: CostTable) -> dict[str, str]:
    """Return the colour of each row that has one of its own; the others share the last."""
    drawn = [row for row in table.rows if row.total.high]
    if len(drawn) <= len(COLOURS):
        return {row.key: colour for row, colour in zip(drawn, COLOURS, strict=False)}
    named = {row.key: colour for row, colour in zip(drawn, COLOURS[:-1], strict=False)}
    return named | {row.key: COLOURS[-1] for row in drawn[len(named) :]}


def build_chart(
    question: Question, table: CostTable, *, forecast: Forecast | None, now: datetime
) -> Chart | None:
    """Return the stacked bars; None when nothing cost anything and nothing is forecast."""
    if not table.total.high and forecast is None:
        return None
    to_come = _list_days_to_come(question, table, forecast=forecast)
    labels = [_label(question, period, now=now) for period in table.periods]
    labels += [_label(question, day, now=now) for day, *_ in to_come[1:]]
    padding: list[float | None] = [None] * (len(labels) - len(table.periods))
    series = [
        Series(label, [*_dollars(costs), *padding], colour, links)
        for label, colour, costs, links in _list_stacks(question, table)
    ]
    uncertain = [_usd(cost.high - cost.low) for cost in table.buckets]
    if any(uncertain):
        series.append(Series("v1 range: up to the most replicas", [*uncertain, *padding], "stop"))
    whiskers: list[tuple[float, float] | None] = [None] * len(labels)
    if to_come:
        start = len(table.periods) - 1
        pale: list[float | None] = [None] * len(labels)
        for place, (_, low, middle, high) in enumerate(to_come):
            # Of today the forecast is what is left: it stands on what is spent.
            pale[start + place] = _nano_usd(middle)
            if place:
                whiskers[start + place] = (_nano_usd(low), _nano_usd(high))
        series.append(Series("forecast p50, whisker p10–p90", pale, "band"))
    return Chart(kind="bar", labels=labels, series=series, unit="usd", is_stacked=True, whiskers=whiskers)


def _list_days_to_come(
    question: Question, table: CostTable, *, forecast: Forecast | None
) -> list[tuple[Period, money.Nano, money.Nano, money.Nano]]:
    """Return today and the days after it with their forecast; empty unless the bars are days."""
    if forecast is None or question.query.bucket is not Bucket.DAY or not table.periods:
        return []
    today = table.periods[-1]
    return [
        (day.period, day.p10, day.p50, day.p90) for day in forecast.by_day if day.period.start >= today.start
    ]


def _list_stacks(question: Question, table: CostTable) -> list[tuple[str, str, list[Cost], list[str | None]]]:
    """Return label, colour, buckets and addresses of each series: named groups, then the rest as one."""
    colours = colours_of(table)
    drawn = [row for row in table.rows if row.key in colours]
    is_crowded = len(drawn) > len(COLOURS)
    named = drawn[: len(COLOURS) - 1] if is_crowded else drawn
    stacks = [
        (
            row.label,
            colours[row.key],
            list(row.buckets),
            [bar_url(question, period, row) for period in table.periods],
        )
        for row in named
    ]
    if is_crowded:
        rest = drawn[len(named) :]
        sums = [add_costs(row.buckets[place] for row in rest) for place in range(len(table.periods))]
        stacks.append(
            (f"{len(rest)} others", COLOURS[-1], sums, [bar_url(question, one) for one in table.periods])
        )
    return stacks  # type: ignore[return-value]  # a list of str is a list of str | None here


def bar_url(question: Question, within: Period, row: CostRow | None = None) -> str:
    """Return the intervals beneath a bar."""
    changes: dict[str, str | list[str]] = {
        "start": within.start.isoformat(),
        "end": within.end.isoformat(),
    }
    parameter = parameter_of(question.query.group_by)
    if row is not None and parameter:
        is_tag = question.query.group_by is GroupBy.TAG
        changes[parameter] = [f"{question.query.tag_key}={row.key}" if is_tag else row.key or NOTHING]
    return f"{reverse('costs_intervals')}?{question.url_query(**changes)}"


def build_figures(question: Question, table: CostTable, *, now: datetime) -> list[Figure]:
    """Return the chart's numbers for those who read tables, newest first."""
    return [
        Figure(_label(question, period, now=now, is_full=True), total, bar_url(question, period))
        for period, total in zip(reversed(table.periods), reversed(table.buckets), strict=True)
    ]


def lay_out_range(forecast: Forecast) -> Range | None:
    """Return where the forecast lies between nothing and a little above its p90; None when all of it is nothing."""
    top = forecast.p90 * 11 / 10
    if top <= 0:
        return None
    low, middle, high = (
        float(value / top) * RANGE_WIDTH for value in (forecast.p10, forecast.p50, forecast.p90)
    )
    spent = float(to_nano(forecast.spent.high) / top) * RANGE_WIDTH
    return Range(round(low, 1), round(high - low, 1), round(middle, 1), round(min(spent, RANGE_WIDTH), 1))


def _label(question: Question, piece: Period, *, now: datetime, is_full: bool = False) -> str:
    """Return what stands under a bar; in a table, where nothing stands beside it, with its day."""
    bucket, zone = question.query.bucket or Bucket.DAY, question.query.zone
    if bucket is Bucket.DAY and piece.start <= now < piece.end + _AT_ONCE and not is_full:
        return "today"
    words = period_words.describe_piece(piece, bucket=bucket, zone=zone)
    if bucket is Bucket.HOUR and is_full:
        return f"{piece.start.astimezone(zone):%-d %b}, {words}"
    return words


def _dollars(costs: list[Cost]) -> list[float | None]:
    return [_usd(cost.low) for cost in costs]


def _usd(ticks: int) -> float:
    return _nano_usd(to_nano(ticks))


def _nano_usd(nano: money.Nano) -> float:
    return float(money.round_dollars(nano, places=2))
