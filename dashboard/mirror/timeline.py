"""Turn recorded edges into a line of states. Pure.

Two sources see the same transition: the event feed with its exact time, and polling with a bound. Where both
are there, the event wins; the rows themselves are never changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# An event may carry the provider's clock, a poll ours; edges this close are the same one. Seconds, judged.
CLOCK_TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Edge:
    """From `at` on: this state, these ready replicas (None = not told). See models.StateChange."""

    at: datetime
    state: str
    ready_replicas: int | None
    source: str
    not_before: datetime | None = None

    def describes_same(self, other: "Edge") -> bool:
        """Return True when both edges lead to the same state with the same replicas."""
        return self.state == other.state and self.ready_replicas == other.ready_replicas


@dataclass(frozen=True, slots=True)
class Stretch:
    """A half-open span `[start, end)` in one state; `end` None = still so."""

    start: datetime
    end: datetime | None
    state: str
    ready_replicas: int | None
    source: str


def settle(edges: Iterable[Edge]) -> list[Edge]:
    """Return the edges in order of time, without polls that an event explains and without repeats.

    A poll is explained when an event leading to the same state lies inside the poll's bound.
    """
    ordered = sorted(edges, key=lambda edge: (edge.at, edge.source == "poll"))
    events = [edge for edge in ordered if edge.source != "poll"]
    settled: list[Edge] = []
    for edge in ordered:
        if edge.source == "poll" and _is_explained(edge, events):
            continue
        if settled and settled[-1].describes_same(edge):
            continue
        settled.append(edge)
    return settled


def _is_explained(poll: Edge, events: Sequence[Edge]) -> bool:
    lower = (poll.not_before or poll.at) - CLOCK_TOLERANCE
    upper = poll.at + CLOCK_TOLERANCE
    return any(lower <= event.at <= upper and event.describes_same(poll) for event in events)


def lay_out(edges: Iterable[Edge], *, start: datetime, end: datetime) -> list[Stretch]:
    """Return the stretches inside `[start, end)`; the last one ends at `end`.

    Before the first known edge there is no stretch: nothing is invented.
    """
    settled = settle(edges)
    stretches: list[Stretch] = []
    for position, edge in enumerate(settled):
        following = settled[position + 1].at if position + 1 < len(settled) else end
        begins, ends = max(edge.at, start), min(following, end)
        if begins < ends:
            stretches.append(Stretch(begins, ends, edge.state, edge.ready_replicas, edge.source))
    return stretches


def cut_by_day(stretches: Iterable[Stretch]) -> dict[str, list[Stretch]]:
    """Return the stretches cut at midnight UTC, by ISO date."""
    days: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        rest = stretch
        while rest.end is not None and rest.start < rest.end:
            midnight = rest.start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            cut = min(midnight, rest.end)
            days.setdefault(rest.start.date().isoformat(), []).append(replace(rest, end=cut))
            rest = replace(rest, start=cut)
    return days
