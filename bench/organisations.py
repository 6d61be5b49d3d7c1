"""Made-up organisations for benchmarks: what ran, hour by hour, over eight weeks and one calendar month.

Each is made of things that run (endpoints, clusters, volumes) and of jobs that cost a lump when they end. Nothing in
here knows how a forecast is made: shapes are told in terms of what people and traffic do, and what happens later in
the month is known beforehand only where somebody armed a timer or a job is already running.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

HISTORY_DAYS = 56
_HOUR = timedelta(hours=1)
# Nano-dollars per replica and hour (contract 1.8 and product.md: one H100 $5.40, eight $43.20; others of that size).
_H100, _H200, _L40, _B200, _TIB = 5_400_000_000, 6_600_000_000, 2_100_000_000, 9_000_000_000, 110_000_000
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch at one rate, in hours since the beginning. `known_from`: since when its end is an armed timer."""

    thing: str
    start: float
    end: float
    rate: int
    known_from: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Costs `nano_usd` when it ends; while it runs, its cost to come is told by the provider."""

    start: float
    end: float
    nano_usd: int


@dataclass(slots=True)
class Organisation:
    """Eight weeks and one month of an organisation. Hours are counted from `begin`."""

    shape: str
    seed: int
    zone: ZoneInfo
    begin: datetime
    month: datetime
    end: datetime
    random: random.Random
    runs: list[Run] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    local: list[datetime] = field(default_factory=list)

    @property
    def hours(self) -> int:
        """Return how many hours there are, the month's included."""
        return (self.end - self.begin) // _HOUR

    def hour_of(self, at: datetime) -> float:
        """Return a time as hours since the beginning."""
        return (at - self.begin) / _HOUR

    def hourly(self, *, thing: str = "") -> tuple[list[int], list[int]]:
        """Return what each hour cost and how much of it fell due at once, in nano-dollars; of one thing, or of all."""
        costs = [0] * self.hours
        for run in self.runs:
            if thing and run.thing != thing:
                continue
            for hour in range(max(0, math.floor(run.start)), min(self.hours, math.ceil(run.end))):
                share = min(run.end, hour + 1) - max(run.start, hour)
                costs[hour] += round(run.rate * share)
        lumps = [0] * self.hours
        if not thing:
            for job in self.jobs:
                if 0 <= job.end < self.hours:
                    lumps[math.floor(job.end)] += job.nano_usd
        return [cost + lump for cost, lump in zip(costs, lumps, strict=True)], lumps

    def burn_at(self, hour: float) -> int:
        """Return the rate at that moment, nano-dollars per hour."""
        return sum(run.rate for run in self.runs if run.start <= hour < run.end)

    def timers_at(self, hour: float) -> list[Run]:
        """Return the runs whose end is armed at that moment."""
        return [
            run
            for run in self.runs
            if run.known_from is not None and run.start <= hour < run.end and run.known_from <= hour
        ]

    def jobs_at(self, hour: float) -> list[Job]:
        """Return the jobs that run at that moment."""
        return [job for job in self.jobs if job.start <= hour < job.end]


def make_organisation(shape: str, *, seed: int) -> Organisation:
    """Return one organisation-month. The same shape and seed make the same one."""
    dice = random.Random(f"{shape}/{seed}")
    zone = ZoneInfo(dice.choice(_ZONES))
    year, number = 2025 + dice.randrange(2), 1 + dice.randrange(12)
    month = datetime(year, number, 1, tzinfo=zone)
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    one = Organisation(
        shape=shape,
        seed=seed,
        zone=zone,
        begin=month.astimezone(UTC) - timedelta(days=HISTORY_DAYS),
        month=month.astimezone(UTC),
        end=after.astimezone(UTC),
        random=dice,
    )
    one.local = [(one.begin + hour * _HOUR).astimezone(zone) for hour in range(one.hours)]
    SHAPES[shape](one)
    return one


# --- What organisations are made of -----------------------------------------------------------------------------


def _run_always(one: Organisation, count: int, *, churn_days: float = 60) -> None:
    """Add endpoints that run day and night; every `churn_days` on average each is resized."""
    dice = one.random
    for number in range(count):
        at, replicas = 0.0, dice.randint(1, 3)
        price = dice.choice((_H100, _H200, _L40, _B200))
        while at < one.hours:
            until = min(float(one.hours), at + dice.expovariate(1 / (24 * churn_days)))
            one.runs.append(Run(f"always-{number}", at, until, replicas * price))
            at, replicas = until, max(1, replicas + dice.choice((-1, 1)))
    one.runs.append(Run("volumes", 0, one.hours, dice.randint(1, 12) * _TIB))


def _run_office(one: Organisation, count: int, *, attendance: float = 0.93) -> None:
    """Add endpoints that people start in the morning and stop in the evening; now and then one is left on."""
    dice = one.random
    holidays = {one.begin.date() + timedelta(days=dice.randrange(90)) for _ in range(2)}
    for number in range(count):
        rate = dice.randint(1, 4) * dice.choice((_H100, _H200))
        for hour, local in enumerate(one.local):
            if local.hour or local.weekday() > 4 or local.date() in holidays or dice.random() > attendance:
                continue
            start = hour + dice.uniform(7, 9.5)
            end = hour + (dice.uniform(16.5, 20) if dice.random() > 0.04 else dice.uniform(24, 31))
            one.runs.append(Run(f"office-{number}", start, end, rate))


def _run_weekends(one: Organisation) -> None:
    """Add a batch load on weekends, of varying size."""
    dice, rate = one.random, one.random.randint(4, 12) * _H100
    for hour, local in enumerate(one.local):
        if not local.hour and local.weekday() == 5:
            start = hour + dice.uniform(0, 8)
            one.runs.append(Run("weekend", start, start + dice.uniform(22, 44), rate))


def _run_scaled(one: Organisation, *, most: int, growth_per_week: float = 0.0, swing: float = 0.7) -> None:
    """Add an endpoint whose replicas follow traffic: by hour, weekday, and a slow mood of its own."""
    dice, price = one.random, one.random.choice((_H100, _L40))
    peak, mood, weekend = dice.uniform(12, 17), 0.0, dice.uniform(0.35, 0.9)
    for hour, local in enumerate(one.local):
        mood = 0.98 * mood + dice.gauss(0, 0.025)
        curve = 1 - swing / 2 + swing / 2 * math.cos((local.hour - peak) / 24 * math.tau)
        week = weekend if local.weekday() > 4 else 1.0
        load = most * curve * week * math.exp(mood + growth_per_week * (hour / 168 - 8))
        one.runs.append(Run("scaled", hour, hour + 1, max(1, math.ceil(load - 0.5)) * price))


def _run_launches(one: Organisation, *, per_week: float, life_days: float) -> None:
    """Add endpoints that are launched unannounced and live for some time."""
    dice, at, number = one.random, 0.0, 0
    while (at := at + dice.expovariate(per_week / 168)) < one.hours:
        rate = dice.randint(1, 4) * dice.choice((_H100, _H200, _B200))
        number += 1
        one.runs.append(Run(f"launch-{number}", at, at + dice.expovariate(1 / (24 * life_days)), rate))


def _run_sandboxes(one: Organisation, count: int) -> None:
    """Add endpoints that researchers start when they need them and that an idle limit stops hours later."""
    dice = one.random
    for number in range(count):
        at, rate = 0.0, dice.randint(1, 8) * _H100
        while (at := at + dice.expovariate(1 / 40)) < one.hours:
            if one.local[int(at)].hour < 8 and dice.random() < 0.8:
                continue
            until = at + dice.lognormvariate(1.6, 0.9)
            known = until - 1 if dice.random() < 0.5 else None
            one.runs.append(Run(f"sandbox-{number}", at, until, rate, known_from=known))
            at = until


def _run_cluster(one: Organisation, *, month_hour: float) -> None:
    """Add a cluster that is rented once, for days; in half of the cases its end is armed from the start."""
    dice = one.random
    rate = dice.choice((8, 16, 32)) * 2_990_000_000
    armed = month_hour if dice.random() < 0.5 else None
    one.runs.append(Run("cluster", month_hour, month_hour + dice.uniform(2, 12) * 24, rate, known_from=armed))


def _run_jobs(one: Organisation, *, per_day: float, dollars: float) -> None:
    """Add jobs: arrivals by the clock of people, cost log-normal, charged at the end."""
    dice, at = one.random, 0.0
    while (at := at + dice.expovariate(per_day / 24)) < one.hours:
        local = one.local[int(at)]
        if (local.weekday() > 4 or not 8 <= local.hour < 20) and dice.random() < 0.6:
            continue
        cost = dollars * dice.lognormvariate(0, 1.1)
        one.jobs.append(Job(at, at + dice.lognormvariate(0.7, 0.8), round(max(4.0, cost) * 1e9)))


def _break_down(one: Organisation, *, per_month: float) -> None:
    """Let the provider fail: for hours nothing of a part of the things is ready, so nothing bills."""
    dice, at = one.random, 0.0
    while (at := at + dice.expovariate(per_month / 720)) < one.hours:
        until = at + dice.lognormvariate(1.8, 0.7)
        things = {run.thing for run in one.runs}
        hit = {thing for thing in sorted(things) if dice.random() < 0.7}
        kept: list[Run] = []
        for run in one.runs:
            if run.thing not in hit or run.end <= at or until <= run.start:
                kept.append(run)
                continue
            if run.start < at:
                kept.append(Run(run.thing, run.start, at, run.rate))
            if until < run.end:
                kept.append(Run(run.thing, until, run.end, run.rate, run.known_from))
        one.runs = kept
        at = until


# --- Shapes -----------------------------------------------------------------------------------------------------


def _steady(one: Organisation) -> None:
    _run_always(one, one.random.randint(3, 7))


def _office(one: Organisation) -> None:
    _run_always(one, 1)
    _run_office(one, one.random.randint(3, 7))


def _weekends(one: Organisation) -> None:
    _run_always(one, 2)
    _run_weekends(one)


def _growth(one: Organisation) -> None:
    _run_scaled(one, most=one.random.randint(8, 20), growth_per_week=one.random.uniform(0.03, 0.09))
    _run_always(one, 1)


def _launches(one: Organisation) -> None:
    _run_always(one, 3)
    _run_launches(one, per_week=one.random.uniform(0.3, 1.0), life_days=60)


def _outages(one: Organisation) -> None:
    _run_always(one, 3)
    _run_scaled(one, most=8)
    _break_down(one, per_month=one.random.uniform(2, 5))


def _jobs(one: Organisation) -> None:
    _run_always(one, 1)
    _run_jobs(one, per_day=one.random.uniform(6, 25), dollars=one.random.uniform(8, 30))


def _one_cluster(one: Organisation) -> None:
    _run_always(one, one.random.randint(2, 4))
    _run_office(one, 2)
    _run_cluster(one, month_hour=24 * (HISTORY_DAYS + one.random.uniform(-4, 24)))


def _big_stop(one: Organisation) -> None:
    _run_always(one, 2)
    _run_office(one, 1)
    dice = one.random
    at = 24 * (HISTORY_DAYS + dice.uniform(-3, 34))
    armed = at - 24 * dice.uniform(1, 5) if dice.random() < 0.5 else None
    one.runs.append(Run("big", 0, at, dice.randint(3, 8) * _H200, known_from=armed))


def _scaled(one: Organisation) -> None:
    _run_scaled(one, most=one.random.randint(6, 24), swing=0.9)
    _run_scaled(one, most=one.random.randint(2, 8), swing=0.5)


def _research(one: Organisation) -> None:
    _run_always(one, 1)
    _run_sandboxes(one, one.random.randint(4, 9))
    _run_jobs(one, per_day=3, dollars=40)


def _mixed(one: Organisation) -> None:
    _run_always(one, 2)
    _run_office(one, 2)
    _run_scaled(one, most=6)
    _run_sandboxes(one, 2)
    _run_launches(one, per_week=0.25, life_days=40)
    _run_jobs(one, per_day=4, dollars=15)
    _break_down(one, per_month=0.5)


SHAPES: dict[str, Callable[[Organisation], None]] = {
    "steady": _steady,
    "office hours": _office,
    "weekends": _weekends,
    "growth": _growth,
    "launches": _launches,
    "outages": _outages,
    "many jobs": _jobs,
    "one cluster": _one_cluster,
    "big stop": _big_stop,
    "autoscaled": _scaled,
    "research": _research,
    "mixed": _mixed,
}
