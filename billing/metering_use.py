"""Split what ran into busy, idle and not known, by the traffic of its minutes. Pure.

Idle is a running stretch of at least `idle_after` in which every minute was read and none had a request. What was not
read is unknown: neither busy nor idle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.metering import Use
from billing.metering_edges import Stretch

# Between two readings a part of a minute may belong to neither (as mirror/store_traffic.py).
LONGEST_SEAM = timedelta(minutes=1)
# What runs on is read with a delay: its last minutes go on as what came before them, until they are read (our choice).
LONGEST_DELAY = timedelta(minutes=10)

UsePiece = tuple[datetime, datetime, Use]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of a deployment's requests from `since` on: stretches read, and stretches in use inside of them.

    A stretch in use may contain pauses shorter than the idle limit.
    """

    since: datetime
    known: Sequence[Stretch] = ()
    busy: Sequence[Stretch] = ()


def join_stretches(stretches: Iterable[Stretch], *, seam: timedelta = timedelta()) -> list[Stretch]:
    """Return the stretches in order, those joined that overlap or are at most `seam` apart."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1] + seam:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def split_use(
    start: datetime, end: datetime, *, traffic: Traffic | None, idle_after: timedelta, goes_on: bool
) -> list[UsePiece]:
    """Return the pieces of the running stretch `[start, end)` without hole; `goes_on`: it ends now, not for good."""
    if traffic is None:
        return [(start, end, Use.UNKNOWN)]
    begin = min(max(start, traffic.since), end)
    pieces: list[UsePiece] = [(start, begin, Use.UNKNOWN)] if start < begin else []
    position = begin
    for known_start, known_end in join_stretches(traffic.known, seam=LONGEST_SEAM):
        piece_start, piece_end = max(known_start, position), min(known_end, end)
        if piece_start >= piece_end:
            continue
        if piece_start - position > LONGEST_SEAM:
            pieces.append((position, piece_start, Use.UNKNOWN))
        else:
            piece_start = position
        pieces += _split_known(piece_start, piece_end, traffic.busy, idle_after)
        position = piece_end
    if position < end:
        patience = LONGEST_DELAY if goes_on else LONGEST_SEAM
        is_near = position > begin and end - position <= patience
        pieces.append((position, end, pieces[-1][2] if is_near else Use.UNKNOWN))
    return _join(pieces)


def _split_known(
    start: datetime, end: datetime, busy: Sequence[Stretch], idle_after: timedelta
) -> list[UsePiece]:
    pieces: list[UsePiece] = []
    position = start
    for busy_start, busy_end in [*busy, (end, end)]:
        begins, ends = max(busy_start, position), min(busy_end, end)
        if busy_end < position or begins > end:
            continue
        if position < begins:
            is_idle = begins - position >= idle_after
            pieces.append((position, begins, Use.IDLE if is_idle else Use.BUSY))
        if begins < ends:
            pieces.append((begins, ends, Use.BUSY))
        position = max(position, ends)
    return pieces


def _join(pieces: Iterable[UsePiece]) -> list[UsePiece]:
    joined: list[UsePiece] = []
    for start, end, use in pieces:
        if joined and joined[-1][2] == use:
            joined[-1] = (joined[-1][0], end, use)
        else:
            joined.append((start, end, use))
    return joined
