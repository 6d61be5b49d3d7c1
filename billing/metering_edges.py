"""Bring the edges of a deployment's life into one line of what billed when, with what is not certain about it. Pure.

Events are exact and go before polls. A poll saw its edge somewhere in `(not_before, at]`: the middle is the estimate
(no bias), and until the edge is certain the number of replicas lies between the one before and the one after.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# An event may carry the provider's clock, a poll ours (as mirror/timeline.py). Seconds, judged.
CLOCK_TOLERANCE = timedelta(seconds=5)
# The sync looks every 30 s; after four such intervals without a complete pass nobody saw what happened (our choice).
BLIND_AFTER = timedelta(minutes=2)
# State word of an edge that says "no longer there" (mirror/store_absence.py); no provider state is spelled like this.
GONE = "ABSENT"
EVENT = "event"
POLL = "poll"

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Edge:
    """From `at` on: this state, and `low` to `high` replicas that bill.

    `not_before` of a poll: the last look that would have shown it; None = exact, or no bound known. `name` says in
    words where it comes from: an event's id. `is_steady`: it changes once at most between two looks, however far apart
    (a volume that grows or goes), so that the middle and the bounds hold where else nobody would know.
    """

    at: datetime
    state: str
    low: int
    high: int
    source: str = EVENT
    not_before: datetime | None = None
    sku: str = ""
    name: str = ""
    is_steady: bool = False

    @property
    def content(self) -> tuple[str, int, int]:
        """Return what two edges have to share to say the same."""
        return (self.state, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Turn:
    """A settled edge: estimated at `at`, certainly in `[earliest, latest]`; exact where all three are the same."""

    at: datetime
    earliest: datetime
    latest: datetime
    edge: Edge

    @property
    def is_exact(self) -> bool:
        return self.earliest == self.latest

    @property
    def is_unseen(self) -> bool:
        """True when it lies between two looks so far apart that its middle says nothing."""
        return not self.edge.is_steady and self.latest - self.earliest > BLIND_AFTER


def settle_edges(edges: Iterable[Edge]) -> list[Turn]:
    """Return the edges that count, in order of time.

    A poll adds nothing when the events show what it saw at some time within its bound. A poll that contradicts them
    counts until the next edge: the feed does not promise to tell everything.
    """
    ordered = sorted(edges, key=lambda edge: (edge.at, edge.source == POLL))
    events = [edge for edge in ordered if edge.source != POLL]
    times = [event.at for event in events]
    turns: list[Turn] = []
    for edge in ordered:
        last = turns[-1] if turns else None
        if last is not None and last.edge.content == edge.content and last.edge.sku == edge.sku:
            continue
        if edge.source != POLL:
            turns.append(Turn(edge.at, edge.at, edge.at, edge))
            continue
        follows_events = last is None or last.edge.source != POLL
        if follows_events and _is_told(edge, events, times):
            continue
        earliest = edge.at if edge.not_before is None else min(edge.not_before, edge.at)
        if last is not None:
            earliest = max(earliest, last.latest)
        turns.append(Turn(earliest + (edge.at - earliest) / 2, earliest, edge.at, edge))
    return turns


def _is_told(poll: Edge, events: Sequence[Edge], times: Sequence[datetime]) -> bool:
    """Return True when the events alone show the poll's content at some time within its bound."""
    lower = (poll.not_before or poll.at) - CLOCK_TOLERANCE
    first = max(0, bisect_right(times, lower) - 1)
    last = bisect_right(times, poll.at + CLOCK_TOLERANCE)
    return any(event.content == poll.content for event in events[first:last])


def find_blind(
    gaps: Iterable[tuple[datetime, datetime | None]], *, known_until: datetime | None, now: datetime
) -> list[Stretch]:
    """Return when nobody looked, in order: the gaps without what the event feed, read until `known_until`, tells.

    A gap that goes on ends at `now`. `known_until` None: there is no feed.
    """
    found: list[Stretch] = []
    for start, end in sorted(gaps, key=lambda gap: gap[0]):
        begins = start if known_until is None else max(start, known_until)
        ends = min(now, end or now)
        if begins < ends:
            found.append((begins, ends))
    return found


def name_turn(turn: Turn) -> str:
    """Return the evidence of an edge as one sentence."""
    edge = turn.edge
    if edge.source != POLL:
        return f"{edge.state}, event {edge.name} at {_print(edge.at)}." if edge.name else f"{edge.state}."
    if turn.is_exact:
        return f"{edge.state}, seen at {_print(edge.at)}."
    seen, unseen = _print(turn.latest), _print(turn.earliest)
    return f"{edge.state}, first seen at {seen}, not yet at {unseen}; the middle is taken."


def _print(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
