"""A budget as its pages show it: figures in words, a bar, and the word for how it stands. No query of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from billing import budgets
from billing.budget_rules import STOPPING, Basis, Threshold, format_limit, reached_at
from billing.budgets import Status
from dashboard.core import money, period_words

BAR_WIDTH = 1000
# So much of the bar lies beyond its largest mark, so that the mark can be seen.
BAR_MARGIN = Decimal("1.04")


@dataclass(frozen=True, slots=True)
class Bar:
    """Places of a drawing BAR_WIDTH wide; `forecast` None = nobody knows."""

    spent: float
    maybe: float
    limit: float
    forecast: float | None
    ticks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands, as one word with its tone: warn, quiet, or plain."""

    word: str
    tone: str
    rank: int


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A threshold in words, with where it stands."""

    threshold: Threshold
    limit: str
    words: str
    is_reached: bool
    is_held: bool
    reached_at: datetime | None


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget with everything that a row or the head of its page says."""

    status: Status
    scope: str
    period: str
    limit: str
    percent: str
    bar: Bar
    standing: Standing
    following: str
    bar_label: str


def build_lines(found: Sequence[Status], *, now: datetime, zone: tzinfo) -> list[BudgetLine]:
    """Return a line for each, held and crossed ones first, switched-off ones last."""
    lines = [build_line(one, now=now, zone=zone) for one in found]
    return sorted(
        lines,
        key=lambda line: (line.standing.rank, -line.status.percent, line.status.budget.name.casefold()),
    )


def build_line(found: Status, *, now: datetime, zone: tzinfo) -> BudgetLine:
    """Return one budget's line."""
    limit = format_limit(found.budget.nano_usd)
    percent = describe_percent(found)
    forecast = found.figures.forecast
    told = "" if forecast is None else f", forecast {money.format_dollars(forecast, places=0)}"
    scope = budgets.name_scope(found.budget)
    return BudgetLine(
        status=found,
        scope=scope[0].upper() + scope[1:] if found.budget.scope == "organisation" else scope,
        period=period_words.describe_period(found.period, zone=zone, now=now),
        limit=limit,
        percent=percent,
        bar=lay_out_bar(found),
        standing=find_standing(found, now=now),
        following=_describe_following(found, now=now),
        bar_label=f"{percent} of {limit} spent{told}",
    )


def describe_percent(found: Status) -> str:
    """Return what part of the budget is spent: `54.7%`, `54.7–60.1%` where only bounds are known."""
    low, high = (
        f"{amount * 100 / found.budget.nano_usd:,.1f}"
        for amount in (found.figures.spent_low, found.figures.spent_high)
    )
    return f"{low}%" if low == high else f"{low}{money.EN_DASH}{high}%"


def find_standing(found: Status, *, now: datetime) -> Standing:
    """Return how the budget stands: switched off, held, crossed, to come, ended, or below its thresholds."""
    if not found.budget.is_enabled:
        return Standing("Switched off", "plain", 5)
    if not found.is_current:
        return (
            Standing("Begins later", "plain", 3)
            if now < found.period.start
            else Standing("Ended", "plain", 4)
        )
    if found.hold_reason:
        return Standing("Held", "warn", 0)
    if found.reached:
        by_spent = [one.percent for one in found.reached if one.basis is Basis.ACTUAL]
        if by_spent:
            return Standing(f"{max(by_spent)}% crossed", "warn", 1)
        return Standing(f"{max(one.percent for one in found.reached)}% by forecast", "warn", 1)
    return Standing("Below its thresholds" if found.thresholds else "No thresholds", "quiet", 2)


def lay_out_bar(found: Status) -> Bar:
    """Return where spent, forecast, budget and thresholds lie."""
    nano = Decimal(found.budget.nano_usd)
    figures = found.figures
    marks = [one.amount(found.budget.nano_usd) for one in found.thresholds]
    top = max(nano, figures.spent_high, figures.forecast or Decimal(0), *marks) * BAR_MARGIN

    def place(amount: Decimal) -> float:
        return round(float(amount * BAR_WIDTH / top), 1)

    return Bar(
        spent=place(figures.spent_low),
        maybe=place(figures.spent_high),
        limit=place(nano),
        forecast=None if figures.forecast is None else place(figures.forecast),
        ticks=tuple(place(mark) for mark in sorted(set(marks) - {nano})),
    )


def list_thresholds(found: Status, *, now: datetime) -> list[ThresholdLine]:
    """Return the thresholds, lowest first; `reached_at` is a guess at the burn of now, within the period only."""
    lines = []
    for one in sorted(found.thresholds):
        is_reached = one in found.reached
        at = reached_at(one, found.figures, nano_usd=found.budget.nano_usd, now=now)
        lines.append(
            ThresholdLine(
                threshold=one,
                limit=format_limit(one.amount(found.budget.nano_usd)),
                words=budgets.describe(one, found.budget).partition(": ")[2],
                is_reached=is_reached,
                is_held=is_reached and bool(found.hold_reason) and one.action in STOPPING,
                reached_at=at if not is_reached and at is not None and at < found.period.end else None,
            )
        )
    return lines


def _describe_following(found: Status, *, now: datetime) -> str:
    if not found.budget.is_enabled:
        return "Nothing: it is switched off"
    if found.hold_reason:
        return "Waits until somebody says that the prices are right"
    words = found.next_words(now=now)
    if words:
        return words[0].upper() + words[1:]
    if not found.is_current:
        return "Nothing until its first day" if now < found.period.start else "Nothing: its last day is over"
    return "Every threshold is reached" if found.thresholds else "Nothing: it has no threshold"
