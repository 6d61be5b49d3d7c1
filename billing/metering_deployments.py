"""Meter one deployment: from edges, traffic and prices to spans that cover its life without a hole. Pure."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from billing.metering import Condition, SpanDraft, count_us, list_midnights
from billing.metering_edges import Edge, Stretch, settle_edges
from billing.metering_line import Line, Piece, Sliver, draw_line
from billing.metering_rounding import QUANTA_US, Rounding, Running, round_runs
from billing.metering_use import Traffic, UsePiece, split_use
from billing.price_book import PriceBook, PriceStep


@dataclass(frozen=True, slots=True)
class PostedPrice:
    """What a posted interval was charged at: a price that is posted stays, whatever the price book says now."""

    start: datetime
    end: datetime
    step: PriceStep
    sku: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one deployment. `traffic` None: it has no traffic signal (v1).

    `edges` reach back before what is asked for; `blind` are the stretches that nobody looked at (find_blind);
    `ceiling` is how many replicas may have billed in them.
    """

    edges: Sequence[Edge]
    created_at: datetime | None = None
    blind: Sequence[Stretch] = ()
    traffic: Traffic | None = None
    ceiling: int = 0
    rounding: str = "exact"
    idle_after: timedelta = timedelta(minutes=15)
    posted: Sequence[PostedPrice] = field(default=())


def meter_deployment(
    facts: Facts, *, prices: PriceBook, now: datetime, since: datetime | None = None
) -> list[SpanDraft]:
    """Return the spans from `since` (None: from its making) on; the last one goes on. Empty when nothing is known.

    A span that bills ends at midnight UTC, where the price changes and where its use changes.
    """
    line = draw_line(
        settle_edges(facts.edges),
        created_at=facts.created_at,
        blind=facts.blind,
        ceiling=facts.ceiling,
        now=now,
    )
    roundings = _round(line, facts.rounding)
    uses = _find_uses(line, facts, now=now)
    spans: list[SpanDraft] = []
    for piece, rounding in zip(line.pieces, roundings, strict=True):
        if since is not None and piece.end <= since and piece.end < now:
            continue
        pricer = _Pricer(piece, facts.posted, prices)
        spans.extend(
            _clip(span, since, piece, line.slivers, pricer)
            for span in _draft(piece, rounding, line.slivers, uses, pricer)
            if since is None or span.end is None or span.end > since
        )
    if spans and spans[-1].end == now:
        spans[-1] = replace(
            spans[-1],
            end=None,
            rounding_us=0,
            bound_low=None,
            bound_high=None,
            end_earliest=None,
            end_latest=None,
        )
    return spans


@dataclass(frozen=True, slots=True)
class _Pricer:
    """Prices of a piece, those that are posted first."""

    piece: Piece
    posted: Sequence[PostedPrice]
    book: PriceBook

    def steps(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, PriceStep]]:
        """Yield the prices of `[start, end)` in order, without a hole."""
        position = start
        for one in self.posted:
            begins, ends = max(one.start, position), min(one.end, end)
            if one.sku != self.piece.sku or begins >= ends:
                continue
            yield from self._ask(position, begins)
            yield begins, ends, one.step
            position = ends
        yield from self._ask(position, end)

    def _ask(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, PriceStep]]:
        for step in self.book.steps(self.piece.sku, start=start, end=end):
            yield step.start or start, step.end or end, step


def _draft(
    piece: Piece,
    rounding: Rounding,
    slivers: Sequence[Sliver],
    uses: Sequence[UsePiece],
    pricer: _Pricer,
) -> Iterator[SpanDraft]:
    if piece.condition != Condition.BILLS:
        yield _bound(
            _base(piece, piece.start, piece.end), piece, slivers, pricer, rounding=Rounding(), is_whole=True
        )
        return
    for start, end, step in _join_steps(pricer.steps(piece.start, piece.end)):
        for use_start, use_end, use in _cut_uses(uses, start, end):
            edges = [use_start, *list_midnights(use_start, use_end), use_end]
            for begins, ends in itertools.pairwise(edges):
                last = rounding if ends == piece.end else Rounding()
                nano = step.nano
                span = replace(
                    _base(piece, begins, ends),
                    list_nano_usd_per_hour=step.list_nano,
                    nano_usd_per_hour=nano,
                    price_source=step.source,
                    rate_low=piece.low * (nano or 0),
                    rate_high=piece.high * (nano or 0),
                    rounding_us=last.us,
                    use=use.value,
                )
                yield _bound(span, piece, slivers, pricer, rounding=last)


def _join_steps(
    steps: Iterator[tuple[datetime, datetime, PriceStep]],
) -> list[tuple[datetime, datetime, PriceStep]]:
    """Return the steps with neighbours joined that say the same."""
    joined: list[tuple[datetime, datetime, PriceStep]] = []
    for start, end, step in steps:
        if joined and _price_of(joined[-1][2]) == _price_of(step):
            joined[-1] = (joined[-1][0], end, joined[-1][2])
        else:
            joined.append((start, end, step))
    return joined


def _price_of(step: PriceStep) -> tuple[int | None, int | None, str]:
    return (step.list_nano, step.nano, step.source)


def _base(piece: Piece, start: datetime, end: datetime) -> SpanDraft:
    """Return the span with what the piece says; bounds of its edges only where the span ends with the piece."""
    opening = piece.start_turn if start == piece.start else None
    closing = piece.end_turn if end == piece.end else None
    return SpanDraft(
        start,
        end,
        piece.condition.value,
        piece.source,
        state=piece.state,
        units_low=piece.low,
        units_high=piece.high,
        sku=piece.sku,
        evidence=piece.evidence,
        start_earliest=None if opening is None or opening.is_exact else opening.earliest,
        start_latest=None if opening is None or opening.is_exact else opening.latest,
        end_earliest=None if closing is None or closing.is_exact else closing.earliest,
        end_latest=None if closing is None or closing.is_exact else closing.latest,
    )


def _bound(
    span: SpanDraft,
    piece: Piece,
    slivers: Sequence[Sliver],
    pricer: _Pricer,
    *,
    rounding: Rounding,
    is_whole: bool = False,
) -> SpanDraft:
    """Return the span with the bounds of its cost, where its edges or its replicas are not certain."""
    if span.end is None:
        return span
    inside = [one for one in slivers if one.start < span.end and span.start < one.end]
    is_unknown = piece.condition == Condition.UNKNOWN
    is_rounding_certain = rounding.at_least == rounding.at_most
    if not inside and not is_unknown and is_rounding_certain:
        return span
    base_low = 0 if is_unknown else piece.low
    low = high = 0
    for start, end, units_low, units_high in _cut_slivers(span.start, span.end, inside, base_low, piece.high):
        steps = pricer.steps(start, end) if is_whole else [(start, end, None)]
        for begins, ends, step in steps:
            nano = span.nano_usd_per_hour if step is None else step.nano
            if nano is None:
                if units_high:
                    return span
                continue
            length = count_us(begins, ends)
            low += units_low * nano * length
            high += units_high * nano * length
    low += span.rate_low * rounding.at_least
    high += span.rate_high * rounding.at_most
    return replace(span, bound_low=low, bound_high=high)


def _cut_slivers(
    start: datetime, end: datetime, slivers: Sequence[Sliver], low: int, high: int
) -> Iterator[tuple[datetime, datetime, int, int]]:
    """Yield the parts of `[start, end)` with the least and the most replicas that billed in each."""
    position = start
    for one in slivers:
        begins, ends = max(one.start, position), min(one.end, end)
        if begins >= ends:
            continue
        if position < begins:
            yield position, begins, low, high
        yield begins, ends, min(low, one.low), max(high, one.high)
        position = ends
    if position < end:
        yield position, end, low, high


def _clip(
    span: SpanDraft, since: datetime | None, piece: Piece, slivers: Sequence[Sliver], pricer: _Pricer
) -> SpanDraft:
    """Return the part of the span from `since` on."""
    if since is None or span.start >= since:
        return span
    clipped = replace(
        span, start=since, start_earliest=None, start_latest=None, bound_low=None, bound_high=None
    )
    rounding = Rounding(span.rounding_us, span.rounding_us, span.rounding_us)
    return _bound(
        clipped, piece, slivers, pricer, rounding=rounding, is_whole=piece.condition != Condition.BILLS
    )


def _round(line: Line, rule: str) -> list[Rounding]:
    if QUANTA_US[rule] == 1:
        return [Rounding()] * len(line.pieces)
    return round_runs(
        [
            Running(
                piece.start,
                piece.end,
                None if piece.condition == Condition.UNKNOWN else piece.high,
                is_exact=piece.start_turn is not None and piece.start_turn.is_exact,
            )
            for piece in line.pieces
        ],
        rule=rule,
    )


def _find_uses(line: Line, facts: Facts, *, now: datetime) -> list[UsePiece]:
    """Return the use of each running stretch: neighbouring pieces that bill are one."""
    found: list[UsePiece] = []
    pieces = [piece for piece in line.pieces if piece.condition == Condition.BILLS]
    place = 0
    while place < len(pieces):
        start = pieces[place].start
        while place + 1 < len(pieces) and pieces[place + 1].start == pieces[place].end:
            place += 1
        end = pieces[place].end
        found += split_use(start, end, traffic=facts.traffic, idle_after=facts.idle_after, goes_on=end == now)
        place += 1
    return found


def _cut_uses(uses: Sequence[UsePiece], start: datetime, end: datetime) -> Iterator[UsePiece]:
    for use_start, use_end, use in uses:
        begins, ends = max(use_start, start), min(use_end, end)
        if begins < ends:
            yield begins, ends, use
