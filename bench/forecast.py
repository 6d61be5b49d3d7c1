"""Forecast of a month's cost on made-up organisations, against the two rules that anybody would use without it.

Every shape of bench/organisations.py, several seeds each: eight weeks of history, then one calendar month, forecast
from a random moment of day 3, 10 and 20. Judged per day: the mean error of p50 as a share of the month's true cost
(MAPE) against the burn now times the hours left, and against the month-to-date average; and how many months ended
between p10 and p90.

`--tune` runs the seeds on which the constants of billing/forecast.py were chosen and prints what they should be;
without it the reported seeds run, which were never looked at for that. `--shapes` adds the figures per shape.
"""

import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean

from bench.figures import Figure, report
from bench.organisations import SHAPES, Job, Organisation, Run, make_organisation
from billing.amounts import TICKS_PER_NANO, Cost
from billing.forecast import Forecast, HourCost, PlannedCharge, PlannedCourse, forecast
from billing.forecast_plans import PlannedChange

DAYS = (3, 10, 20)
TUNING_SEEDS = range(1000, 1040)
REPORTED_SEEDS = range(40)
MOST_RATIO = 0.9
LEAST_COVERAGE, MOST_COVERAGE = 0.75, 0.85
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One forecast beside what came, dollars."""

    shape: str
    day: int
    truth: float
    p10: float
    p50: float
    p90: float
    by_burn: float
    by_average: float
    spent: float

    @property
    def is_covered(self) -> bool:
        return self.p10 <= self.truth <= self.p90

    def error(self, value: float) -> float:
        return abs(value - self.truth) / self.truth


def main(arguments: Sequence[str]) -> int:
    is_tuning = "--tune" in arguments
    began = time.perf_counter()
    outcomes = list(play(TUNING_SEEDS if is_tuning else REPORTED_SEEDS))
    seconds = time.perf_counter() - began
    if "--shapes" in arguments:
        print_shapes(outcomes)
    if is_tuning:
        print_constants(outcomes)
    return report([*judge(outcomes), Figure("milliseconds a forecast", 1000 * seconds / len(outcomes), "ms")])


def play(seeds: Iterable[int], shapes: Iterable[str] = tuple(SHAPES)) -> Iterable[Outcome]:
    """Yield the outcome of every forecast."""
    seeds = list(seeds)
    for shape in shapes:
        for seed in seeds:
            one = make_organisation(shape, seed=seed)
            costs, lumps = one.hourly()
            for day in DAYS:
                yield play_day(one, costs, lumps, day=day)


def play_day(one: Organisation, costs: list[int], lumps: list[int], *, day: int) -> Outcome:
    """Return what is forecast on the given day of the month, at a random minute of it."""
    dice = random.Random(f"{one.shape}/{one.seed}/{day}")
    now = one.month + timedelta(days=day - 1, minutes=dice.randrange(24 * 60))
    at = one.hour_of(now)
    first, whole = round(one.hour_of(one.month)), int(at)
    # The hour that runs: jobs fall where they fall, the rest by its share.
    partial = round((costs[whole] - lumps[whole]) * (at - whole)) + sum(
        job.nano_usd for job in one.jobs if whole <= job.end < at
    )
    spent = sum(costs[first:whole]) + partial
    found = forecast(
        [HourCost(one.begin + n * _HOUR, costs[n], lumps[n]) for n in range(whole)],
        burn_nano=one.burn_at(at),
        spent=Cost(spent * TICKS_PER_NANO, spent * TICKS_PER_NANO),
        now=now,
        until=one.end,
        zone=one.zone,
        courses=[_plan(one, run, whole) for run in one.timers_at(at)],
        charges=[_charge(one, job) for job in one.jobs_at(at)],
    )
    left = (one.end - now) / _HOUR
    return _compare(
        one, found, truth=sum(costs[first:]), spent=spent, left=left, day=day, burn=one.burn_at(at)
    )


def _plan(one: Organisation, run: Run, whole: int) -> PlannedCourse:
    costs, _ = one.hourly(thing=run.thing)
    return PlannedCourse(
        nano_usd_per_hour=run.rate,
        changes=(PlannedChange(one.begin + run.end * _HOUR, -run.rate),),
        history=tuple(HourCost(one.begin + n * _HOUR, costs[n]) for n in range(whole) if costs[n]),
    )


def _charge(one: Organisation, job: Job) -> PlannedCharge:
    return PlannedCharge(one.begin + job.end * _HOUR, job.nano_usd)


def _compare(
    one: Organisation, found: Forecast, *, truth: int, spent: int, left: float, day: int, burn: int
) -> Outcome:
    gone = (one.end - one.month) / _HOUR - left
    return Outcome(
        shape=one.shape,
        day=day,
        truth=truth / 1e9,
        p10=float(found.p10) / 1e9,
        p50=float(found.p50) / 1e9,
        p90=float(found.p90) / 1e9,
        by_burn=(spent + burn * left) / 1e9,
        by_average=(spent + spent / gone * left) / 1e9,
        spent=spent / 1e9,
    )


def judge(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Return the figures of each day beside their targets."""
    figures = [
        Figure(
            f"organisation-months, {len({one.shape for one in outcomes})} shapes", len(outcomes) / len(DAYS)
        )
    ]
    for day in DAYS:
        those = [one for one in outcomes if one.day == day]
        ours = fmean(one.error(one.p50) for one in those)
        burn = fmean(one.error(one.by_burn) for one in those)
        average = fmean(one.error(one.by_average) for one in those)
        width = fmean((one.p90 - one.p10) / one.truth for one in those)
        coverage = fmean(one.is_covered for one in those)
        figures += [
            Figure(f"day {day}: MAPE of p50", 100 * ours, "%"),
            Figure(f"day {day}: MAPE of burn now x hours left", 100 * burn, "%"),
            Figure(f"day {day}: MAPE of month-to-date average", 100 * average, "%"),
            Figure(f"day {day}: p50 to the better rule", ours / min(burn, average), at_most=MOST_RATIO),
            Figure(
                f"day {day}: p10-p90, share of the true cost",
                100 * width,
                "%",
            ),
            Figure(
                f"day {day}: months within p10-p90",
                100 * coverage,
                "%",
                at_most=100 * MOST_COVERAGE,
                at_least=100 * LEAST_COVERAGE,
            ),
            Figure(f"day {day}: below p10", 100 * fmean(one.truth < one.p10 for one in those), "%"),
            Figure(f"day {day}: above p90", 100 * fmean(one.truth > one.p90 for one in those), "%"),
        ]
    return figures


def print_shapes(outcomes: Sequence[Outcome]) -> None:
    """Print errors and coverage of each shape and day."""
    for day in DAYS:
        for shape in dict.fromkeys(one.shape for one in outcomes):
            those = [one for one in outcomes if one.day == day and one.shape == shape]
            errors = [
                100 * fmean(one.error(value(one)) for one in those)
                for value in (lambda o: o.p50, lambda o: o.by_burn, lambda o: o.by_average)
            ]
            print(
                f"day {day:>2} {shape:<14} p50 {errors[0]:6.2f} %  burn {errors[1]:6.2f} %  average {errors[2]:6.2f} %"
                f"  covered {100 * fmean(one.is_covered for one in those):5.1f} %"
            )


def print_constants(outcomes: Sequence[Outcome]) -> None:
    """Print by how much each end of the range has to be stretched for one month in ten beyond it."""
    for day in (*DAYS, None):
        those = [one for one in outcomes if day in (None, one.day)]
        below = sorted((one.p50 - one.truth) / max(1e-9, one.p50 - one.p10) for one in those)
        above = sorted((one.truth - one.p50) / max(1e-9, one.p90 - one.p50) for one in those)
        place = int(0.9 * len(those))
        print(f"day {day}: stretch low x {below[place]:.3f}, high x {above[place]:.3f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
