"""What each stretch truly cost, from the simulator's own states: integers, as exact as its bill."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.ledger_script import Script
from simulator.testing import SimulatorProcess

MILLISECOND = timedelta(milliseconds=1)
MICROSECONDS = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(at: datetime) -> int:
    """Return milliseconds since 1970, rounded down."""
    return (at - _EPOCH) // MILLISECOND


@dataclass(frozen=True, slots=True)
class Truth:
    """One deployment: its phases (at_ms, ready), and its prices (from_ms, nano-dollars per replica and hour)."""

    phases: Sequence[tuple[int, int]]
    prices: Sequence[tuple[int, int]]

    def cost(self, start: datetime, end: datetime) -> int:
        """Return what `[start, end)` cost, in ticks."""
        begin, finish = _to_us(start), _to_us(end)
        first = max(0, bisect_right(self.phases, begin // MICROSECONDS, key=lambda phase: phase[0]) - 1)
        total = 0
        for place in range(first, len(self.phases)):
            at_ms, ready = self.phases[place]
            until_ms = (
                self.phases[place + 1][0] if place + 1 < len(self.phases) else finish // MICROSECONDS + 1
            )
            total += ready * self._price(
                max(begin, at_ms * MICROSECONDS), min(finish, until_ms * MICROSECONDS)
            )
            if until_ms * MICROSECONDS >= finish:
                break
        return total

    def _price(self, begin: int, finish: int) -> int:
        total = 0
        for place, (from_ms, nano) in enumerate(self.prices):
            until = self.prices[place + 1][0] * MICROSECONDS if place + 1 < len(self.prices) else finish
            starts = begin if place == 0 else max(begin, from_ms * MICROSECONDS)
            total += max(0, min(finish, until) - starts) * nano
        return total

    def edges(self, start: datetime, end: datetime) -> list[datetime]:
        """Return when the number of ready replicas changed inside of `[start, end)`."""
        found, before = [], 0
        for at_ms, ready in self.phases:
            at = _EPOCH + at_ms * MILLISECOND
            if ready != before and start <= at < end:
                found.append(at)
            before = ready
        return found


def _to_us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def read_phases(simulator: SimulatorProcess, ids: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Return the phases so far of each deployment that is still there."""
    found: dict[str, list[tuple[int, int]]] = {}
    for one in ids:
        told = simulator.admin("GET", f"/deployments/{one}")
        found[one] = [(phase["at_ms"], phase["ready"]) for phase in told["timeline"]]
    return found


def foresee(
    flags: Mapping[str, object], script: Script, ids: Sequence[str], *, end: datetime
) -> dict[str, list[tuple[int, int]]]:
    """Play the script with nobody looking on and return the phases: the same world plays the same again."""
    with SimulatorProcess(**flags) as simulator:
        phases: dict[str, list[tuple[int, int]]] = {}
        for act in script.acts:
            _move(simulator, act.at)
            if act.words == "delete":
                phases |= _end(read_phases(simulator, [script.deleted]), act.at)
            act.play(simulator)
        _move(simulator, end)
        return phases | read_phases(simulator, [one for one in ids if one not in phases])


def _end(phases: dict[str, list[tuple[int, int]]], at: datetime) -> dict[str, list[tuple[int, int]]]:
    return {one: [*known, (to_ms(at), 0)] for one, known in phases.items()}


def _move(simulator: SimulatorProcess, at: datetime) -> None:
    now = datetime.fromisoformat(simulator.admin("GET", "/clock")["now"])
    if at > now:
        simulator.advance((at - now) / timedelta(seconds=1))
