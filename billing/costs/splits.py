"""Who bears what part of a shared meter's cost.

Remainders: the teams of a split stand in a row by id; a team gets what the shares up to its own come to in whole ticks,
counted from the interval's start, less what those before it got. So the parts sum to the whole to the tick, and the
part of a stretch does not depend on how it is cut.

By usage means: in proportion to what each of the teams spent in the period on what is not itself split by usage;
where none of them spent anything, in equal parts.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from billing.models import CostSplit
from dashboard.core.periods import Period

FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
# Hundredths of a per cent: fixed shares have two decimals.
_PARTS_PER_PERCENT = 100


@dataclass(frozen=True, slots=True)
class SharePart:
    """A team bears `(part_from, part_to]` of `whole` parts of a meter's cost over `[since, until)`."""

    meter_id: int
    since: datetime
    until: datetime
    team_id: int
    part_from: int
    part_to: int
    whole: int


def load_splits(period: Period) -> list[CostSplit]:
    """Return the splits that hold within the period, with their shares, in order of time. Two queries."""
    splits = CostSplit.objects.filter(valid_from__lt=period.end).prefetch_related("shares")
    return [
        split
        for split in splits.order_by("meter_id", "valid_from", "pk")
        if split.valid_until is None or split.valid_until > period.start
    ]


def cut_parts(
    splits: list[CostSplit], *, load_spent: Callable[[frozenset[int]], Mapping[int, int]]
) -> list[SharePart]:
    """Return the parts of each team.

    `load_spent` gives by team what it spent otherwise (ticks), asked at most once, with the meters split by usage.
    Where splits of a meter overlap the later one holds.
    """
    by_usage = frozenset(one.meter_id for one in splits if one.method == CostSplit.Method.USAGE)
    spent = load_spent(by_usage) if by_usage else {}
    parts: list[SharePart] = []
    for split, following in itertools.zip_longest(splits, splits[1:]):
        until = split.valid_until or FOR_EVER
        if following is not None and following.meter_id == split.meter_id:
            until = min(until, following.valid_from)
        if until > split.valid_from:
            parts += _cut_split(split, until, spent)
    return parts


def _cut_split(split: CostSplit, until: datetime, spent: Mapping[int, int]) -> list[SharePart]:
    shares = sorted(split.shares.all(), key=lambda share: share.team_id)
    if split.method == CostSplit.Method.USAGE:
        sizes = [max(0, spent.get(share.team_id, 0)) for share in shares]
    else:
        sizes = [int((share.percent or 0) * _PARTS_PER_PERCENT) for share in shares]
    if not any(sizes):
        sizes = [1] * len(shares)
    whole, reached, parts = sum(sizes), 0, []
    for share, size in zip(shares, sizes, strict=True):
        parts.append(
            SharePart(split.meter_id, split.valid_from, until, share.team_id, reached, reached + size, whole)
        )
        reached += size
    return parts


def part_parameters(parts: list[SharePart]) -> dict[str, Any]:
    """Return the arrays from which billing/costs/held.py makes `split`."""
    return {
        "split_meters": [part.meter_id for part in parts],
        "split_since": [part.since for part in parts],
        "split_until": [part.until for part in parts],
        "split_teams": [part.team_id for part in parts],
        "split_from": [part.part_from for part in parts],
        "split_to": [part.part_to for part in parts],
        "split_whole": [part.whole for part in parts],
    }
