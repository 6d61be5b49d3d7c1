"""When a budget's thresholds are reached, and whether acting on that is safe. Pure.

Amounts are nano-dollars. A threshold of what was spent counts the lower bound: what may not have been spent triggers
nothing. One of the forecast counts its p50. A crossing is told once in a period; acts go on while it stays reached.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from dashboard.core import money, periods
from dashboard.core.periods import Period


class Basis(StrEnum):
    """What is held against the budget; values of BudgetThreshold.Basis."""

    ACTUAL = "actual"
    FORECAST = "forecast"


class Action(StrEnum):
    """What a threshold does, mildest first; values of BudgetThreshold.Action."""

    NOTIFY = "notify"
    CONFIRM_STARTS = "confirm-starts"
    DRAIN_IDLE = "drain-idle"
    STOP_ALL = "stop-all"


# What stops something, and therefore waits when the amount may be wrong.
STOPPING = frozenset({Action.DRAIN_IDLE, Action.STOP_ALL})
# A price that rose by at least so much may be a typing error (our choice).
SUSPICIOUS_FACTOR = Decimal("1.5")
# How long before the budget's period prices are looked at too: one that was typed wrong late in a month, and that
# nobody confirmed, must not stop everything in the next (our choice).
LOOK_BACK = timedelta(days=31)
# 31 days and the hour that a clock may be put back.
LONGEST_MONTH = timedelta(days=31, hours=1)
# Part of the spent amount that must come from such prices, or at unknown prices, before acts wait (our choice).
SUSPICIOUS_SHARE = Decimal("0.05")


@dataclass(frozen=True, slots=True, order=True)
class Threshold:
    """At `percent` of the budget, by what was spent or by the forecast, `action` happens."""

    percent: int
    basis: Basis
    action: Action

    def amount(self, nano_usd: int) -> Decimal:
        """Return at how many nano-dollars it is reached."""
        return Decimal(nano_usd) * self.percent / 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What a budget's scope cost in its period: spent as bounds, forecast of the whole period (None: none yet)."""

    spent_low: Decimal
    spent_high: Decimal
    forecast: Decimal | None
    nano_usd_per_hour: Decimal = Decimal(0)

    def of(self, basis: Basis) -> Decimal | None:
        """Return the amount that a threshold of this basis looks at; None while nobody knows it."""
        return self.spent_low if basis is Basis.ACTUAL else self.forecast


@dataclass(frozen=True, slots=True)
class PriceDoubt:
    """Cost in the scope that rests on a price which may be wrong: `nano_usd` of what was spent, and why."""

    nano_usd: Decimal
    reason: str


def period_of(
    *, is_monthly: bool, starts_on: date | None, ends_on: date | None, now: datetime, zone: tzinfo
) -> Period:
    """Return the budget's period that holds `now`, whole; that of a custom one whatever the time is.

    Raises ValueError for a custom budget without days.
    """
    if is_monthly:
        return periods.month_of(now, zone=zone)
    if starts_on is None or ends_on is None:
        raise ValueError("a budget for some days needs its first and its last day")
    return periods.days_between(starts_on, ends_on, zone=zone)


def list_reached(thresholds: Iterable[Threshold], figures: Figures, *, nano_usd: int) -> list[Threshold]:
    """Return the thresholds that are reached, lowest first."""
    return sorted(
        one
        for one in thresholds
        if (amount := figures.of(one.basis)) is not None and amount >= one.amount(nano_usd)
    )


def find_next(thresholds: Iterable[Threshold], figures: Figures, *, nano_usd: int) -> Threshold | None:
    """Return the threshold that will be reached next: the smallest distance that is left; None when all are."""
    left = [
        (one.amount(nano_usd) - amount, one)
        for one in thresholds
        if (amount := figures.of(one.basis)) is not None and amount < one.amount(nano_usd)
    ]
    return min(left)[1] if left else None


def find_new(reached: Sequence[Threshold], *, known: Collection[Threshold]) -> list[Threshold]:
    """Return those that were not told of yet in this period."""
    return [one for one in reached if one not in known]


def must_hold(doubts: Iterable[PriceDoubt], *, spent_low: Decimal, confirmed_at: datetime | None) -> str:
    """Return why acts that stop something wait, as a sentence; empty when they need not.

    A price that rose steeply, or one that was unknown, may be a typing error, and one typing error must not stop an
    organisation (what comparable tools are blamed for). Finance or an Admin confirms the price, and it goes on.
    """
    if confirmed_at is not None:
        return ""
    found = [one for one in doubts if one.nano_usd > 0]
    doubtful = sum((one.nano_usd for one in found), Decimal(0))
    if not found or doubtful <= spent_low * SUSPICIOUS_SHARE:
        return ""
    worst = max(found, key=lambda one: one.nano_usd)
    amount = money.format_dollars(doubtful)
    return f"{amount} of what counts as spent rests on a price that may be wrong: {worst.reason}"


def reached_at(threshold: Threshold, figures: Figures, *, nano_usd: int, now: datetime) -> datetime | None:
    """Return when the present burn reaches a threshold of what was spent; None: not in ten years."""
    if threshold.basis is not Basis.ACTUAL or figures.nano_usd_per_hour <= 0:
        return None
    left = threshold.amount(nano_usd) - figures.spent_low
    if left <= 0:
        return now
    hours = left / figures.nano_usd_per_hour
    return now + timedelta(hours=float(hours)) if hours < 24 * 3650 else None


def describe(threshold: Threshold, *, nano_usd: int, scope: str, has_people: bool = True) -> str:
    """Return the threshold in words: `at $56,000 spent: stop idle endpoints of Research`.

    `has_people`: the scope is a team's, whose people are told too.
    """
    amount = format_limit(threshold.amount(nano_usd))
    basis = "spent" if threshold.basis is Basis.ACTUAL else "forecast"
    if threshold.action is Action.NOTIFY:
        people = f" and the people of {scope}" if has_people and scope else ""
        return f"at {amount} {basis}: tell who manages costs{people}"
    return f"at {amount} {basis}: {_WORDS[threshold.action]} {scope}".rstrip()


def format_limit(nano_usd: money.Nano) -> str:
    """Return an amount that somebody set: whole dollars without cents, `$70,000`, `$12.50`."""
    return money.format_dollars(nano_usd, places=2 if nano_usd % money.NANO_PER_DOLLAR else 0)


_WORDS = {
    Action.CONFIRM_STARTS: "ask again before anything is started in",
    Action.DRAIN_IDLE: "stop idle endpoints of",
    Action.STOP_ALL: "stop all endpoints of",
}
