"""What if: the cost to come of one thing that runs on, stops now, or runs by a weekly schedule. Pure.

Exact for a rate that stays as it is: whole ticks (billing/amounts.py), the range of v1 kept, an unknown price counted
as time and never as zero. What autoscaling will do is no question here: the forecast answers that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from billing.amounts import ZERO, Cost
from billing.burn import Burn
from dashboard.core.periods import Period, reach

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
DAYS_PER_WEEK = 7


@dataclass(frozen=True, slots=True)
class WeeklySlot:
    """One stretch a week in local clocks: Monday is 0. An end at or before the start lies on the day after."""

    weekday: int
    start: time
    end: time

    def __post_init__(self) -> None:
        if not 0 <= self.weekday < DAYS_PER_WEEK:
            raise ValueError(f"{self.weekday} is no day of the week")

    def on(self, day: date, *, zone: tzinfo) -> Period | None:
        """Return the slot that begins on `day`; None where a change of clocks leaves nothing of it.

        Clocks that are set forward over an edge move it to the first instant after it; of an hour that is shown twice
        the first counts.
        """
        last = day if self.end > self.start else day + _DAY
        start = reach(datetime.combine(day, self.start), zone=zone)
        end = reach(datetime.combine(last, self.end), zone=zone)
        return Period(start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something runs in every week, by the clocks of a zone."""

    slots: tuple[WeeklySlot, ...]
    zone: tzinfo

    def running(self, period: Period) -> list[Period]:
        """Return the stretches of the period in which it runs, in order; those that touch are one."""
        first = period.start.astimezone(self.zone).date() - _DAY
        last = period.end.astimezone(self.zone).date()
        found = []
        for number in range((last - first).days + 1):
            day = first + number * _DAY
            for slot in self.slots:
                if slot.weekday != day.weekday():
                    continue
                one = slot.on(day, zone=self.zone)
                if one and (clipped := one.clip(period)):
                    found.append(clipped)
        return _join(found)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Costs to come until `period.end`, under each course; `running` is when the schedule has it run."""

    period: Period
    runs_on: Cost
    stops_now: Cost
    scheduled: Cost
    running: tuple[Period, ...]

    @property
    def scheduled_time(self) -> timedelta:
        """Return how long the schedule has it run."""
        return sum((one.duration for one in self.running), timedelta())

    @property
    def kept_by_stop(self) -> Cost:
        """Return what stopping now leaves unspent."""
        return _subtract(self.runs_on, self.stops_now)

    @property
    def kept_by_schedule(self) -> Cost:
        """Return what the schedule leaves unspent."""
        return _subtract(self.runs_on, self.scheduled)


def ask_what_if(burn: Burn, *, now: datetime, until: datetime, schedule: Schedule) -> WhatIf:
    """Return what a thing that burns `burn` while it runs costs from now on, under each course."""
    period = Period(now, max(now, until))
    running = tuple(schedule.running(period))
    return WhatIf(
        period=period,
        runs_on=cost_of(burn, [period]),
        stops_now=ZERO,
        scheduled=cost_of(burn, running),
        running=running,
    )


def cost_of(burn: Burn, periods: Iterable[Period]) -> Cost:
    """Return what the rate costs over the periods; time at an unknown price is counted as such."""
    microseconds = sum(one.duration // _MICROSECOND for one in periods)
    return Cost(
        low=burn.low * microseconds,
        high=burn.high * microseconds,
        unpriced_us=microseconds if burn.unpriced_replicas else 0,
    )


def _subtract(whole: Cost, part: Cost) -> Cost:
    """Return what is left of a cost at one rate when a part of its time is taken away."""
    return Cost(
        whole.low - part.low, whole.high - part.high, unpriced_us=whole.unpriced_us - part.unpriced_us
    )


def _join(periods: list[Period]) -> list[Period]:
    joined: list[Period] = []
    for one in sorted(periods, key=lambda period: period.start):
        if joined and one.start <= joined[-1].end:
            joined[-1] = Period(joined[-1].start, max(joined[-1].end, one.end))
        else:
            joined.append(one)
    return joined
