"""What is known of the past, cut for forecasting: days of 24 hours that end now, and the shape of a week. Pure.

Floats throughout: these are statistics, from which no stored amount is ever made. Rates are dollars per hour.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean

HOUR = timedelta(hours=1)
HOURS_PER_DAY = 24
DAYS_PER_WEEK = 7
# Eight weeks: enough for a weekday to be seen eight times, short enough to be about the present.
MOST_DAYS = 56
_NANO = 1e9
# Weeks from which the outer values are left out, so that one outage or launch does not become a habit.
_LEAST_TO_TRIM = 4


@dataclass(frozen=True, slots=True)
class HourCost:
    """What an hour cost, nano-dollars; `lump_nano_usd` is the part of it that was charged at once (jobs, tokens)."""

    start: datetime
    nano_usd: int
    lump_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """The last days up to `edge`, oldest first. A day is 24 hours long and ends at the hour of `edge`.

    `days[i]` is the mean rate of day i. The day that begins at `edge` has the number `len(days)`; days with the same
    number modulo 7 fall on the same weekday. `weekly[p]` is how much a day of phase p lies above or below the level;
    `hourly[p][h]` the same for an hour against its day. Both hold zeros while too little is known.
    """

    edge: datetime
    days: tuple[float, ...]
    weekly: tuple[float, ...]
    hourly: tuple[tuple[float, ...], ...]
    # Rate in the last hour of each day, lumps left out, and what lumps add on average.
    last_hours: tuple[float, ...]
    lump_flow: float

    @property
    def levels(self) -> list[float]:
        """Return the days with the week taken out."""
        return [rate - self.weekly[number % DAYS_PER_WEEK] for number, rate in enumerate(self.days)]

    def level_of(self, rate: float, *, at: datetime) -> float:
        """Return the level that a rate of this moment speaks of: without its hour and its weekday, with lumps."""
        return rate + self.lump_flow - self._lift(at)

    def levels_of_last_hours(self) -> list[float]:
        """Return the same for the last hour of each day: what could be seen at its end."""
        return [
            rate
            + self.lump_flow
            - self.weekly[number % DAYS_PER_WEEK]
            - self.hourly[number % DAYS_PER_WEEK][-1]
            for number, rate in enumerate(self.last_hours)
        ]

    def _lift(self, at: datetime) -> float:
        """Return what hour and weekday add at a moment, between the middles of the hours around it."""
        hours = (at - self.edge) / HOUR - 0.5
        place = int(hours // 1)
        share = hours - place
        return (1 - share) * self._lift_of_hour(place) + share * self._lift_of_hour(place + 1)

    def _lift_of_hour(self, place: int) -> float:
        day, hour = divmod(place, HOURS_PER_DAY)
        phase = (len(self.days) + day) % DAYS_PER_WEEK
        return self.weekly[phase] + self.hourly[phase][hour]


def cut_history(hours: Iterable[HourCost], *, now: datetime) -> History:
    """Return the history before the present hour; hours that are missing between the first and now cost nothing."""
    edge = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    earliest = edge - MOST_DAYS * HOURS_PER_DAY * HOUR
    known = [one for one in hours if earliest <= one.start < edge]
    if not known:
        return _shape(edge, [], [])
    count = (edge - min(one.start for one in known)) // HOUR
    count -= count % HOURS_PER_DAY
    begin = edge - count * HOUR
    costs, lumps = [0.0] * count, [0.0] * count
    for one in known:
        place = (one.start - begin) // HOUR
        if place >= 0:
            costs[place] += one.nano_usd / _NANO
            lumps[place] += one.lump_nano_usd / _NANO
    return _shape(edge, costs, lumps)


def _shape(edge: datetime, costs: list[float], lumps: list[float]) -> History:
    days = _mean_days(costs)
    weekly = _find_weekly(days)
    running = [cost - lump for cost, lump in zip(costs, lumps, strict=True)]
    recent = lumps[-4 * DAYS_PER_WEEK * HOURS_PER_DAY :]
    return History(
        edge=edge,
        days=tuple(days),
        weekly=tuple(weekly),
        hourly=_find_hourly(running),
        last_hours=tuple(running[HOURS_PER_DAY - 1 :: HOURS_PER_DAY]),
        lump_flow=fmean(recent) if recent else 0.0,
    )


def _mean_days(costs: Sequence[float]) -> list[float]:
    return [fmean(costs[at : at + HOURS_PER_DAY]) for at in range(0, len(costs), HOURS_PER_DAY)]


def _find_weekly(days: Sequence[float]) -> list[float]:
    """Return what each weekday adds to the week around it; zeros with less than two weeks."""
    if len(days) < 2 * DAYS_PER_WEEK:
        return [0.0] * DAYS_PER_WEEK
    found: list[list[float]] = [[] for _ in range(DAYS_PER_WEEK)]
    for number, rate in enumerate(days):
        first = min(max(0, number - DAYS_PER_WEEK // 2), len(days) - DAYS_PER_WEEK)
        found[number % DAYS_PER_WEEK].append(rate - fmean(days[first : first + DAYS_PER_WEEK]))
    lifts = [_trimmed_mean(values) for values in found]
    middle = fmean(lifts)
    return [lift - middle for lift in lifts]


def _find_hourly(costs: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Return what each hour of each weekday adds to its day; all weekdays alike with less than two weeks."""
    days = [costs[at : at + HOURS_PER_DAY] for at in range(0, len(costs), HOURS_PER_DAY)]
    shapes = [[cost - fmean(day) for cost in day] for day in days]
    if len(days) < 2 * DAYS_PER_WEEK:
        mean = _mean_shape(shapes)
        return (mean,) * DAYS_PER_WEEK
    return tuple(_mean_shape(shapes[phase::DAYS_PER_WEEK]) for phase in range(DAYS_PER_WEEK))


def _mean_shape(shapes: Sequence[Sequence[float]]) -> tuple[float, ...]:
    if not shapes:
        return (0.0,) * HOURS_PER_DAY
    hours = [_trimmed_mean([shape[hour] for shape in shapes]) for hour in range(HOURS_PER_DAY)]
    middle = fmean(hours)
    return tuple(hour - middle for hour in hours)


def _trimmed_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest, where there are enough."""
    if len(values) < _LEAST_TO_TRIM:
        return fmean(values)
    return fmean(sorted(values)[1:-1])
