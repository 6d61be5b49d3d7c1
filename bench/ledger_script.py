"""What happens to the simulated organisation in a month: starts, stops, scale-ups, failures, prices, a deletion.

Drawn from a seed, so that it can be played twice: once to learn when anything changes, once with our sync looking on.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulator.testing import SimulatorProcess

DAY = timedelta(days=1)
# How often each deployment is acted on; the organisation's own autoscaling and idle stops come on top.
ACTS_PER_DAY = 3
# Of a long script: the share of days on which a deployment is acted on.
ACTIVE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody does at an instant, as calls of the simulator: (method, path, body)."""

    at: datetime
    words: str
    calls: tuple[tuple[str, str, dict[str, Any]], ...]

    def play(self, simulator: SimulatorProcess) -> None:
        """Do it. Raises SimulatorError for a refusal."""
        for method, path, body in self.calls:
            if path.startswith("/v"):
                simulator.call(method, path, body)
            else:
                simulator.admin(method, path, body)


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch in which nobody looks: the API fails, or our worker is down (then nothing is metered either)."""

    start: datetime
    end: datetime
    is_worker_down: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment that the script acts on."""

    project_id: str
    endpoint_id: str
    deployment_id: str
    hardware: str
    is_v1: bool = False


@dataclass(slots=True)
class Script:
    """All acts in order of time, the prices that change (hardware -> instant), and the outages."""

    acts: list[Act] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    deleted: str = ""


def write_script(
    targets: Sequence[Target], *, start: datetime, days: int, seed: int, day: timedelta = DAY
) -> Script:
    """Return the script of `days` days; of one day it is the same in small, and a shorter `day` is denser."""
    chance = random.Random(seed)
    script = Script()
    for target in targets:
        for number in range(days):
            if days <= 2 or chance.random() < ACTIVE_SHARE:
                script.acts += _act_on(target, start + number * day, chance, day=day)
    script.acts += _change_prices(targets, start=start, length=days * day, chance=chance)
    if days > 2:
        gone = next(one for one in reversed(targets) if not one.is_v1)
        script.deleted = gone.deployment_id
        at = start + (days - 1) * day + timedelta(hours=7, milliseconds=chance.randrange(1000))
        script.acts = [act for act in script.acts if act.at < at or gone.deployment_id not in act.words]
        script.acts += [
            Act(at, f"stop {gone.deployment_id}", (_force(gone, "STOPPED"),)),
            Act(at + timedelta(minutes=9), "delete", (("DELETE", f"/deployments/{gone.deployment_id}", {}),)),
        ]
    script.acts.sort(key=lambda act: act.at)
    script.outages = list(_draw_outages(start, days * day, chance))
    return script


def _act_on(target: Target, start: datetime, chance: random.Random, *, day: timedelta) -> Iterator[Act]:
    """Yield a day's acts: up, trouble, down, at any millisecond."""
    times = sorted(chance.randrange(int(day / timedelta(milliseconds=1))) for _ in range(ACTS_PER_DAY))
    for place, offset in enumerate(times):
        at = start + timedelta(milliseconds=offset)
        if place == 0:
            state, ready = ("PROVISIONING", 0) if chance.random() < 0.5 else ("READY", chance.randint(1, 3))
        elif place == 1:
            state, ready = chance.choice([("DEGRADED", 1), ("SCALING", 2), ("READY", 2), ("READY", 3)])
        else:
            state, ready = chance.choice([("STOPPING", 0), ("STOPPED", 0), ("READY", 1), ("STOPPING", 0)])
        if target.is_v1:
            # Its bounds are 1..1 here, and its listing tells nothing else: it runs or it does not.
            state, ready = ("READY", 1) if ready else ("STOPPED", 0)
        yield Act(at, f"{state} {target.deployment_id}", (_force(target, state, ready),))


def _force(target: Target, state: str, ready: int = 0) -> tuple[str, str, dict[str, Any]]:
    body: dict[str, Any] = {"state": state}
    if ready:
        body |= {"ready": ready, "desired": max(ready, 2) if state in {"DEGRADED", "SCALING"} else ready}
    return "POST", f"/deployments/{target.deployment_id}/state", body


def _change_prices(
    targets: Sequence[Target], *, start: datetime, length: timedelta, chance: random.Random
) -> Iterator[Act]:
    """Yield price changes at a quarter and at three quarters of the time."""
    for share, factor in ((0.25, 1.2), (0.75, 0.9)):
        at = start + length * share
        for hardware in sorted({one.hardware for one in targets if not one.is_v1}):
            cents = round(400 * factor) + chance.randrange(200)
            yield Act(at, "price", (("POST", "/prices", {"hardware": hardware, "cents_per_hour": cents}),))


def _draw_outages(start: datetime, length: timedelta, chance: random.Random) -> Iterator[Outage]:
    """Yield three outages a week, two at least, of 10 minutes to 3 hours, every other one of our own worker."""
    count = max(2, length // DAY * 3 // 7)
    longest = min(180, length // timedelta(minutes=1) // 8)
    for number in range(count):
        begins = start + length * ((number + 0.6) / (count + 1)) + timedelta(seconds=chance.randrange(600))
        yield Outage(begins, begins + timedelta(minutes=chance.randint(10, longest)), bool(number % 2))
