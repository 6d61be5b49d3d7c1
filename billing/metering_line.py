"""Lay a deployment's edges out as stretches that bill, do not bill, or were not seen. Pure.

Only ready replicas bill, whatever the state (contract section 2); how many that is says each edge itself. A stretch
that nobody looked at is one of its own, never a hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing.metering import Condition
from billing.metering_edges import BLIND_AFTER, EVENT, GONE, POLL, Edge, Stretch, Turn, name_turn

NOT_SEEN = "Nobody looked: no complete pass of the sync between these times, and no event tells."
LOOKS_APART = (
    "The looks on both sides of it saw different things and lie too far apart to tell when it changed."
)
BEFORE_FIRST = "Nothing is known before the first event or look."
MADE = "Made, no state told yet."


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one condition; `start_turn` and `end_turn` are the edges at its ends, None = no edge of its own."""

    start: datetime
    end: datetime
    condition: Condition
    low: int = 0
    high: int = 0
    state: str = ""
    source: str = EVENT
    sku: str = ""
    evidence: str = ""
    start_turn: Turn | None = None
    end_turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Sliver:
    """The bound of an edge that was not seen: there `low` to `high` replicas billed."""

    start: datetime
    end: datetime
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Line:
    """Pieces that follow each other without a hole up to now, and what is not certain about their ends."""

    pieces: Sequence[Piece]
    slivers: Sequence[Sliver]


def draw_line(
    turns: Sequence[Turn],
    *,
    created_at: datetime | None,
    blind: Sequence[Stretch],
    ceiling: int,
    now: datetime,
) -> Line:
    """Return the line from the making of the deployment (or its first edge) up to `now`; empty without an edge.

    `ceiling` is how many replicas may have billed where nobody looked.
    """
    if not turns:
        return Line([], [])
    pieces = _lead_in(turns[0], created_at, ceiling)
    slivers: list[Sliver] = []
    before: Edge | None = None
    for place, turn in enumerate(turns):
        following = turns[place + 1] if place + 1 < len(turns) else None
        start = turn.latest if turn.is_unseen else turn.at
        if turn.is_unseen and before is not None:
            pieces.append(_fill_unseen(turn, before, ceiling))
        elif not turn.is_exact and not turn.is_unseen:
            known = before or turn.edge
            low = min(known.low, turn.edge.low) if before else 0
            slivers.append(Sliver(turn.earliest, turn.latest, low, max(known.high, turn.edge.high)))
        end = now if following is None else following.earliest if following.is_unseen else following.at
        if start < end:
            pieces.append(_describe(turn, start, min(end, now), following))
        before = turn.edge
    kept = [piece for piece in pieces if piece.start < piece.end and piece.start < now]
    return Line(_blind(kept, blind, ceiling), slivers)


def _lead_in(first: Turn, created_at: datetime | None, ceiling: int) -> list[Piece]:
    """Return what lies between the making of the deployment and its first edge."""
    end = first.latest if first.is_unseen else first.at
    if created_at is None or created_at >= end:
        return []
    if end - created_at <= BLIND_AFTER:
        return [Piece(created_at, end, Condition.FREE, source=first.edge.source, evidence=MADE)]
    return [
        Piece(
            created_at,
            end,
            Condition.UNKNOWN,
            high=ceiling,
            source="estimate",
            sku=first.edge.sku,
            evidence=BEFORE_FIRST,
        )
    ]


def _fill_unseen(turn: Turn, before: Edge, ceiling: int) -> Piece:
    """Return the stretch between two looks that lie far apart.

    Where both saw the same state with replicas that bill (the bounds of a v1 endpoint, which are read less often), it
    billed between the two; else nobody knows.
    """
    after = turn.edge
    if before.state == after.state and before.low and after.low:
        return Piece(
            turn.earliest,
            turn.latest,
            Condition.BILLS,
            min(before.low, after.low),
            max(before.high, after.high),
            after.state,
            POLL,
            after.sku,
            name_turn(turn),
        )
    high = max(ceiling, before.high, after.high)
    return Piece(
        turn.earliest,
        turn.latest,
        Condition.UNKNOWN,
        high=high,
        source="estimate",
        sku=after.sku or before.sku,
        evidence=LOOKS_APART,
    )


def _describe(turn: Turn, start: datetime, end: datetime, following: Turn | None) -> Piece:
    edge = turn.edge
    return Piece(
        start,
        end,
        Condition.BILLS if edge.high else Condition.FREE,
        edge.low,
        edge.high,
        edge.state,
        edge.source,
        edge.sku,
        name_turn(turn),
        start_turn=None if turn.is_unseen else turn,
        end_turn=None if following is None or following.is_unseen else following,
    )


def _blind(pieces: Sequence[Piece], blind: Sequence[Stretch], ceiling: int) -> list[Piece]:
    """Return the pieces with what nobody saw put over them; what is gone stays gone."""
    found: list[Piece] = []
    for piece in pieces:
        if piece.condition == Condition.UNKNOWN or piece.state == GONE:
            found.append(piece)
            continue
        position = piece.start
        for start, end in blind:
            begins, ends = max(start, position), min(end, piece.end)
            if begins >= ends:
                continue
            if position < begins:
                found.append(_part(piece, position, begins))
            found.append(
                Piece(
                    begins,
                    ends,
                    Condition.UNKNOWN,
                    high=max(ceiling, piece.high),
                    source="estimate",
                    sku=piece.sku,
                    evidence=NOT_SEEN,
                )
            )
            position = ends
        if position < piece.end:
            found.append(_part(piece, position, piece.end))
    return _join_unknown(found)


def _part(piece: Piece, start: datetime, end: datetime) -> Piece:
    """Return `[start, end)` of a piece; an end that is no longer its own has no edge."""
    return replace(
        piece,
        start=start,
        end=end,
        start_turn=piece.start_turn if start == piece.start else None,
        end_turn=piece.end_turn if end == piece.end else None,
    )


def _join_unknown(pieces: Sequence[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.condition == piece.condition == Condition.UNKNOWN
            and last.evidence == piece.evidence
        ):
            joined[-1] = replace(last, end=piece.end, high=max(last.high, piece.high))
        else:
            joined.append(piece)
    return joined
