"""What a period will have cost: p10, p50 and p90 from the hours before, the burn now and what is known to come. Pure.

The level of spending comes from billing/forecast_levels.py, the shape of the week from billing/forecast_history.py.
Things whose end is armed are taken out of the history and follow their own course; jobs that run already are added as
far as they cost more than jobs usually do (billing/forecast_plans.py).

The range comes from how far off the same method was on the organisation's own past days, mixed with what is usual
where few of them are known, and stretched so that four of five outcomes fall into it. Stretch and usual errors were
fitted on made-up organisations (`python -m bench.forecast --tune`) of other seeds than those that are reported: an
organisation that changes more often than those leaves its range more often.

Amounts that go in are exact; what comes out is an estimate, and no posted amount is ever made from it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from statistics import fmean

from billing.amounts import Cost
from billing.forecast_history import (
    DAYS_PER_WEEK,
    HOUR,
    HOURS_PER_DAY,
    History,
    HourCost,
    cut_history,
)
from billing.forecast_levels import SPANS, Outlook, look_ahead
from billing.forecast_plans import PlannedCharge, PlannedCourse, spread_charges, take_out
from dashboard.core.periods import Bucket, Period, cut

# Days of history below which a forecast calls itself short: a weekday was seen less than twice.
SHORT_DAYS = 14
# Usual mean error of the level by span, as a share of it, and how many own errors weigh as much as that.
USUAL_ERRORS = (0.09, 0.11, 0.14, 0.19, 0.23)
USUAL_WEIGHT = 12.0
# Ends of the range, in mean errors of the sum.
STRETCH_LOW = 1.15
STRETCH_HIGH = 1.4
# What nobody knows of yet and starts: by so much of the level the upper end rises further each day.
UNANNOUNCED = 0.006
_NANO = 1_000_000_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayForecast:
    """A local day, or what is left of today. Nano-dollars."""

    period: Period
    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the whole period will have cost, what is spent included. Nano-dollars; `by_day` begins now.

    `is_at_least`: something bills at an unknown price, or nobody knows whether it billed, so that the truth may lie
    above all three.
    """

    spent: Cost
    p10: Decimal
    p50: Decimal
    p90: Decimal
    by_day: tuple[DayForecast, ...]
    now: datetime
    until: datetime
    history_days: int
    is_at_least: bool = False

    @property
    def left(self) -> Decimal:
        """Return what is expected to come, nano-dollars."""
        return sum((day.p50 for day in self.by_day), Decimal(0))

    @property
    def is_short(self) -> bool:
        """True when little history makes the range wide."""
        return self.history_days < SHORT_DAYS

    @property
    def basis(self) -> str:
        """Return in one sentence what it rests on."""
        if not self.history_days:
            return "From the burn now alone: less than a day is metered, so the range is a guess."
        days = f"{self.history_days} day{'' if self.history_days == 1 else 's'}"
        if self.is_short:
            return f"From {days} of metering and the burn now: short, so the range is wide."
        return f"From the last {days}, the burn now and what is known to stop or start."


def forecast(
    history: Iterable[HourCost],
    *,
    burn_nano: int,
    spent: Cost,
    now: datetime,
    until: datetime,
    zone: tzinfo,
    courses: Sequence[PlannedCourse] = (),
    charges: Sequence[PlannedCharge] = (),
    is_burn_complete: bool = True,
) -> Forecast:
    """Return the forecast for what `spent` began, until `until`; days are those of `zone`.

    `burn_nano` is the rate now, nano-dollars per hour, that of `courses` included. `is_burn_complete` False: something
    burns at an unknown price. Where cost is a range, history and burn are its middle.
    """
    lasting = [course for course in courses if course.is_lasting]
    past = cut_history(take_out(list(history), lasting), now=now)
    burn = burn_nano - sum(course.nano_usd_per_hour for course in lasting)
    burn -= sum(course.fading_burn(now=now) for course in courses if not course.is_lasting)
    burn_level = past.level_of(max(0, burn) / _NANO, at=now)
    outlook = look_ahead(past.levels, past.levels_of_last_hours(), burn_level=burn_level)
    ahead = _Ahead(past, outlook, lasting, spread_charges(charges, flow=past.lump_flow * _NANO, now=now))
    periods = cut(Period(now, max(now, until)), bucket=Bucket.DAY, zone=zone)
    days = tuple(ahead.sum_day(one) for one in periods)
    spent_nano = (spent.nano_low + spent.nano_high) / 2
    left = sum((day.p50 for day in days), Decimal(0))
    low, high = ahead.measure_range(Period(now, max(now, until)))
    certain = min(left, ahead.sum_certain(Period(now, max(now, until))))
    return Forecast(
        spent=spent,
        p10=spent_nano + max(certain, left - low),
        p50=spent_nano + left,
        p90=spent_nano + left + high,
        by_day=days,
        now=now,
        until=until,
        history_days=len(past.days),
        is_at_least=not spent.is_complete or not is_burn_complete,
    )


class _Ahead:
    """The hours to come: what each is expected to cost, and how far off that may be."""

    def __init__(
        self,
        past: History,
        outlook: Outlook,
        courses: Sequence[PlannedCourse],
        charges: Sequence[tuple[datetime, float]],
    ) -> None:
        self.past, self.outlook, self.courses, self.charges = past, outlook, courses, charges
        self._days: dict[int, list[float]] = {}
        levels = past.levels[-4 * DAYS_PER_WEEK :]
        self._scale = fmean([abs(one) for one in levels] or [abs(outlook.levels[0])])
        # What merely goes on because its past is not known may as well stop: it errs as usual.
        self._unproven = sum(one.nano_usd_per_hour for one in courses if not one.changes) / _NANO

    def sum_day(self, period: Period) -> DayForecast:
        """Return the forecast of a day."""
        low, high = self.measure_range(period)
        p50 = self.sum_courses(period) + _to_nano(self._sum_base(period))
        for at, nano in self.charges:
            if period.start <= at < period.end:
                p50 += Decimal(round(nano))
        certain = min(p50, self.sum_certain(period))
        return DayForecast(period, max(certain, p50 - low), p50, p50 + high)

    def sum_courses(self, period: Period) -> Decimal:
        """Return what the known courses cost, nano-dollars."""
        return Decimal(round(sum(one.cost_between(period.start, period.end) for one in self.courses)))

    def sum_certain(self, period: Period) -> Decimal:
        """Return what those cost whose changes somebody armed, nano-dollars."""
        armed = [one for one in self.courses if one.changes]
        return Decimal(round(sum(one.cost_between(period.start, period.end) for one in armed)))

    def measure_range(self, period: Period) -> tuple[Decimal, Decimal]:
        """Return how far below and above the expectation the ends of the range lie, nano-dollars."""
        if period.is_empty:
            return Decimal(0), Decimal(0)
        first = (period.start - self.past.edge) / _DAY
        last = (period.end - self.past.edge) / _DAY
        size = 0.0
        for number, (begin, end) in enumerate(SPANS):
            days = min(last, end) - max(first, begin - 1)
            if number == len(SPANS) - 1:
                days = last - max(first, begin - 1)
            if days > 0:
                size += days * HOURS_PER_DAY * (self._error(number) + USUAL_ERRORS[number] * self._unproven)
        more = UNANNOUNCED * self._scale * HOURS_PER_DAY * (last**2 - first**2) / 2
        return _to_nano(size * STRETCH_LOW), _to_nano(size * STRETCH_HIGH + more)

    def _error(self, span: int) -> float:
        """Return the mean error of a span's level, dollars per hour: own errors, filled up with usual ones."""
        own = self.outlook.errors[span]
        usual = USUAL_ERRORS[span] * self._scale * (1 + max(0, SHORT_DAYS - len(self.past.days)) / SHORT_DAYS)
        return (sum(abs(one) for one in own) + USUAL_WEIGHT * usual) / (len(own) + USUAL_WEIGHT)

    def _sum_base(self, period: Period) -> float:
        """Return what everything without a known course is expected to cost, dollars."""
        total, at = 0.0, period.start
        while at < period.end:
            place = (at - self.past.edge) // HOUR
            end = min(period.end, self.past.edge + (place + 1) * HOUR)
            day, hour = divmod(place, HOURS_PER_DAY)
            total += self._expect_day(day)[hour] * ((end - at) / HOUR)
            at = end
        return total

    def _expect_day(self, day: int) -> list[float]:
        """Return the expected rates of the 24 hours of a day ahead (0 begins at `edge`); none is negative."""
        if day not in self._days:
            phase = (len(self.past.days) + day) % DAYS_PER_WEEK
            span = next((n for n, (_, last) in enumerate(SPANS) if day < last), len(SPANS) - 1)
            mean = max(0.0, self.outlook.levels[span] + self.past.weekly[phase])
            hours = [max(0.0, mean + lift) for lift in self.past.hourly[phase]]
            total = sum(hours)
            # Hours that would fall below zero were lifted to it: the others give that back.
            self._days[day] = [one * mean * HOURS_PER_DAY / total for one in hours] if total else hours
        return self._days[day]


def _to_nano(dollars: float) -> Decimal:
    return Decimal(round(dollars * _NANO))


__all__ = [
    "DayForecast",
    "Forecast",
    "HourCost",
    "PlannedCharge",
    "PlannedCourse",
    "forecast",
]
