"""The level of spending in the days to come, from several simple rules weighed by how each did before. Pure.

A level is a day's rate with the week taken out, dollars per hour. No single rule fits every organisation: where things
rarely change the last day is best, where people come and go a month's mean is. So each rule forecasts from every past
day, and its weight for "tomorrow", "this week" or "later" follows from how far off it was at that distance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, median

# Days ahead, first and last: rules are weighed, and errors told, for each of these apart.
SPANS = ((1, 1), (2, 3), (4, 7), (8, 14), (15, 31))
# Weight falls with this power of the error: between averaging all rules (0) and trusting the best alone.
_SHARPNESS = 3.0
# Past days from which rules are judged, at most: six weeks.
_MOST_ORIGINS = 42
# As many invented days of every rule's mean error are added, so that three lucky days decide nothing.
_PRIOR_ORIGINS = 4.0
_TREND_DAYS = 28
_LEAST_TREND_DAYS = 14
# A trend loses this share of its slope a day: growth of eight weeks rarely goes on for ever.
_DAMPING = 0.97
# Daily changes beyond so many usual ones begin a new regime.
_BREAK = 4.0

# Levels up to a day, the level that the burn at its end spoke of -> level now and its slope per day.
Rule = Callable[[Sequence[float], float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Expected level by span of days ahead, and how far off that was before: errors (signed) by span."""

    levels: tuple[float, ...]
    errors: tuple[tuple[float, ...], ...]


def look_ahead(levels: Sequence[float], seen: Sequence[float], *, burn_level: float) -> Outlook:
    """Return the outlook from past levels, oldest first.

    `seen[i]` is the level that the burn at the end of day i spoke of, and `burn_level` the one of the burn now.
    Without a whole day of history the burn is all there is, and no error is known.
    """
    if not levels:
        return Outlook((burn_level,) * len(SPANS), ((),) * len(SPANS))
    origins = range(max(1, len(levels) - _MOST_ORIGINS), len(levels))
    past = [[rule(levels[:at], seen[at - 1]) for at in origins] for rule in RULES]
    now = [rule(levels, burn_level) for rule in RULES]
    sums = [0.0, *accumulate(levels)]
    expected, errors = [], []
    for first, last in SPANS:
        # What really came, from each day that has at least the first day of the span after it.
        truths = [
            (_mean_between(sums, at + first - 1, min(at + last, len(levels))), place)
            for place, at in enumerate(origins)
            if at + first <= len(levels)
        ]
        ahead = (first + last) / 2
        misses = [[_project(values[place], ahead) - truth for truth, place in truths] for values in past]
        weights = _weigh(misses)
        expected.append(
            sum(weight * _project(value, ahead) for weight, value in zip(weights, now, strict=True))
        )
        errors.append(
            tuple(
                sum(weight * miss[number] for weight, miss in zip(weights, misses, strict=True))
                for number in range(len(truths))
            )
        )
    return Outlook(tuple(expected), tuple(errors))


def _mean_between(sums: Sequence[float], first: int, last: int) -> float:
    """Return the mean of the values `[first, last)` from their running sums."""
    return (sums[last] - sums[first]) / (last - first)


def _project(value: tuple[float, float], ahead: float) -> float:
    level, slope = value
    if not slope:
        return level
    return level + slope * _DAMPING * (1 - _DAMPING**ahead) / (1 - _DAMPING)


def _weigh(misses: Sequence[Sequence[float]]) -> list[float]:
    """Return the weight of each rule, together 1."""
    sums = [sum(abs(miss) for miss in of_rule) for of_rule in misses]
    count = len(misses[0])
    usual = fmean(sums) / count if count else 1.0
    losses = [(total + _PRIOR_ORIGINS * usual) / (count + _PRIOR_ORIGINS) for total in sums]
    least = min(losses)
    if not least:
        return [1 / len(losses)] * len(losses)
    raw = [(least / loss) ** _SHARPNESS for loss in losses]
    return [one / sum(raw) for one in raw]


# --- Rules ------------------------------------------------------------------------------------------------------


def _mean_of(days: int) -> Rule:
    def rule(levels: Sequence[float], seen: float) -> tuple[float, float]:
        return fmean(levels[-days:]), 0.0

    return rule


def _burn(levels: Sequence[float], seen: float) -> tuple[float, float]:
    """Go on as it burns now."""
    return seen, 0.0


def _half_burn(levels: Sequence[float], seen: float) -> tuple[float, float]:
    """Take the middle between what burns now and the last day."""
    return (seen + levels[-1]) / 2, 0.0


def _middle(levels: Sequence[float], seen: float) -> tuple[float, float]:
    """Take the median of two weeks: outages and peaks do not count."""
    return median(levels[-14:]), 0.0


def _regime(levels: Sequence[float], seen: float) -> tuple[float, float]:
    """Take the mean since the last lasting change; a single day out of line is skipped."""
    noise = _usual_change(levels)
    kept = [levels[-1]]
    skipped = 0
    for level in reversed(levels[:-1]):
        if abs(level - fmean(kept)) <= noise:
            kept.append(level)
            skipped = 0
            continue
        skipped += 1
        if skipped > 1:
            break
    return fmean(kept), 0.0


def _trend(levels: Sequence[float], seen: float) -> tuple[float, float]:
    """Go on with the slope of four weeks (Theil and Sen: the median of all slopes), damped."""
    recent = levels[-_TREND_DAYS:]
    if len(recent) < _LEAST_TREND_DAYS:
        return fmean(levels[-7:]), 0.0
    gap = 7
    slope = median((later - earlier) / gap for earlier, later in zip(recent, recent[gap:], strict=False))
    week = recent[-7:]
    return fmean(week) + slope * (len(week) - 1) / 2, slope


def _usual_change(levels: Sequence[float]) -> float:
    changes = [abs(later - earlier) for earlier, later in pairwise(levels)]
    floor = 0.02 * abs(fmean(levels))
    return max(floor, _BREAK * median(changes)) if changes else floor


RULES: tuple[Rule, ...] = (
    _burn,
    _half_burn,
    _mean_of(1),
    _mean_of(3),
    _mean_of(7),
    _mean_of(14),
    _mean_of(28),
    _middle,
    _regime,
    _trend,
)
