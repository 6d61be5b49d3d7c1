"""Our ledger against the simulator's own bill, over a month on its virtual clock.

The same month is played twice: once with the event feed, once by polling alone. The real client, the real
sync and the real metering run at simulated times; prices, failures, API outages and worker downtime are in the script.
Looks come every 30 s, each up to 2 s early or late (as a real beat drifts): a grid that never moves would meet
autoscalers, which act on full minutes, at the same phase each time. Looks between which nothing in the organisation
changed are not sent: their passes are written down as complete at their time, which is what they would have been. A
changed price is read at the instant it changes: later by up to five minutes it would cost the difference over that
time, and finance can enter the true date.
"""

import argparse
import random
import statistics
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bench.figures import Figure, report
from bench.ledger_script import DAY, Outage, Script, write_script
from bench.ledger_truth import foresee, to_ms
from bench.stage import product_stage
from simulator.testing import SimulatorProcess

LOOK_EVERY = timedelta(seconds=30)
DRIFT_SECONDS = 2.0
METER_EVERY = timedelta(minutes=10)
FLAGS: dict[str, Any] = {"scenario": "demo", "clock": "virtual", "speed": 1, "seed": 7}
TICKS_PER_CENT = 3_600_000_000 * 10_000_000
MOST_POLLING_ERROR_PERCENT = 0.5
# A mean this many standard errors from zero would be a bias.
MOST_STANDARD_ERRORS = 3.0


@dataclass(slots=True)
class Result:
    """What the comparison found; `interval_errors` are our estimate less the truth of polled edges, in seconds."""

    deployments: int = 0
    feed_off_by_cents: int = 0
    feed_largest_ticks: int = 0
    feed_unknown_us: int = 0
    feed_bounds_missed: int = 0
    polling_intervals: int = 0
    polling_bounds_missed: int = 0
    polling_error_ticks: int = 0
    polling_true_ticks: int = 0
    polling_unknown_share: float = 0.0
    edge_errors: list[float] = field(default_factory=list)
    corrections: int = 0
    findings: list[str] = field(default_factory=list)
    looks: int = 0
    intervals: int = 0

    @property
    def polling_error_percent(self) -> float:
        return 100 * self.polling_error_ticks / self.polling_true_ticks if self.polling_true_ticks else 0.0

    @property
    def bias_standard_errors(self) -> float:
        """Return the mean error of polled edges in standard errors of that mean."""
        if len(self.edge_errors) < 2:
            return 0.0
        spread = statistics.stdev(self.edge_errors) / len(self.edge_errors) ** 0.5
        return statistics.mean(self.edge_errors) / spread if spread else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args(arguments)
    started = time.perf_counter()
    with product_stage():
        result = play_and_compare(days=asked.days, seed=asked.seed)
        return report(describe(result, days=asked.days, seconds=time.perf_counter() - started))


def describe(result: Result, *, days: int, seconds: float) -> list[Figure]:
    for words in result.findings[:20]:
        print(words)
    return [
        Figure(f"{days} simulated days, {result.deployments} deployments: took", seconds, "s"),
        Figure("looks that were sent", result.looks),
        Figure("metered intervals of both plays", result.intervals),
        Figure("reversals and corrections posted", result.corrections),
        Figure("feed: deployments that differ by a cent or more", result.feed_off_by_cents, "", 0),
        Figure("feed: largest difference of a deployment", result.feed_largest_ticks / TICKS_PER_CENT, "ct"),
        Figure("feed: seconds not known", result.feed_unknown_us / 1e6, "s", 0),
        Figure("feed: intervals whose bound misses the truth", result.feed_bounds_missed, "", 0),
        Figure(
            "polling: error over seen time",
            abs(result.polling_error_percent),
            "%",
            MOST_POLLING_ERROR_PERCENT,
        ),
        Figure("polling: the same with its sign", result.polling_error_percent * 1000, "m%"),
        Figure("polling: time not seen, of the true cost's time", 100 * result.polling_unknown_share, "%"),
        Figure("polling: mean error of an edge", _mean(result.edge_errors) * 1000, "ms"),
        Figure("polling: edges of known instant", len(result.edge_errors)),
        Figure(
            "polling: bias in standard errors", abs(result.bias_standard_errors), "", MOST_STANDARD_ERRORS
        ),
        Figure("polling: intervals held against the truth", result.polling_intervals),
        Figure("polling: intervals whose bound misses the truth", result.polling_bounds_missed, "", 0),
    ]


def _mean(values: Sequence[float]) -> float:
    return statistics.mean(values) if values else 0.0


def play_and_compare(
    *, days: int, seed: int, day: timedelta = DAY, most_targets: int | None = None
) -> Result:
    """Play the days and return what the comparison found. Django is set up over an empty database.

    A shorter `day` has the same acts; `most_targets` limits the deployments that the script acts on, None = all.
    """
    from bench.ledger_play import Play

    result = Result()
    phases: dict[str, list[tuple[int, int]]] = {}
    for reads_feed in (True, False):
        with SimulatorProcess(**FLAGS) as simulator:
            play = Play(simulator, reads_feed=reads_feed)
            script = write_script(
                play.choose_targets()[:most_targets], start=play.start, days=days, seed=seed
            )
            end = play.start + timedelta(days=days)
            phases = phases or foresee(FLAGS, script, play.deployment_ids(), end=end)
            changes = sorted({at for known in phases.values() for at, _ in known if at >= to_ms(play.start)})
            looks = draw_looks(play.start, end, script.outages, seed=seed)
            play.run(script, needed_looks(looks, changes, script), looks, end=end)
            play.compare(phases, result, end=end)
    result.polling_unknown_share /= (result.polling_true_ticks + result.polling_unknown_share) or 1
    return result


def draw_looks(start: datetime, end: datetime, outages: Sequence[Outage], *, seed: int) -> list[datetime]:
    """Return when the sync looks: every 30 s with a drift, not during outages."""
    chance = random.Random(seed)
    looks: list[datetime] = []
    at = start
    while at < end:
        if not any(outage.start <= at < outage.end for outage in outages):
            looks.append(at)
        step = LOOK_EVERY.total_seconds() + chance.uniform(-DRIFT_SECONDS, DRIFT_SECONDS)
        at += timedelta(milliseconds=round(step * 1000))
    return looks


def needed_looks(looks: Sequence[datetime], changes: Sequence[int], script: Script) -> set[datetime]:
    """Return the looks that would see something new, the first after each outage, and one before each."""
    times = [to_ms(look) for look in looks]
    needed = {looks[0], looks[-1]}
    instants = [
        *changes,
        *(to_ms(act.at) for act in script.acts),
        *(to_ms(one.end) for one in script.outages),
    ]
    for instant in instants:
        place = bisect_left(times, instant)
        needed |= set(looks[place : place + 2])
    return needed


if __name__ == "__main__":
    sys.exit(main())
