"""When thresholds are reached, what comes next, and when acting waits because a price may be wrong."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import budget_rules
from billing.budget_rules import Action, Basis, Figures, PriceDoubt, Threshold

NOW = datetime(2026, 11, 18, 13, 49, tzinfo=UTC)
DOLLAR = 1_000_000_000
BUDGET = 70_000 * DOLLAR


def figures(spent: int, forecast: int | None = None, *, most: int | None = None, burn: int = 0) -> Figures:
    return Figures(
        spent_low=Decimal(spent * DOLLAR),
        spent_high=Decimal((spent if most is None else most) * DOLLAR),
        forecast=None if forecast is None else Decimal(forecast * DOLLAR),
        nano_usd_per_hour=Decimal(burn * DOLLAR),
    )


TELL_80 = Threshold(80, Basis.ACTUAL, Action.NOTIFY)
STOP_100 = Threshold(100, Basis.ACTUAL, Action.STOP_ALL)
DRAIN_90_FORECAST = Threshold(90, Basis.FORECAST, Action.DRAIN_IDLE)
ALL = (TELL_80, STOP_100, DRAIN_90_FORECAST)


@pytest.mark.parametrize(
    ("known", "reached"),
    [
        (figures(0, 0), []),
        (figures(55_999, 62_999), []),
        (figures(56_000, 62_999), [TELL_80]),
        (figures(10_000, 63_000), [DRAIN_90_FORECAST]),
        (figures(70_000, 80_000), [TELL_80, DRAIN_90_FORECAST, STOP_100]),
        # No forecast yet is no reason to act.
        (figures(60_000), [TELL_80]),
        # What may not have been spent (v1) triggers nothing.
        (figures(55_000, most=90_000), []),
    ],
)
def test_a_threshold_is_reached_by_what_it_looks_at(known: Figures, reached: list[Threshold]) -> None:
    assert budget_rules.list_reached(ALL, known, nano_usd=BUDGET) == reached


def test_the_next_threshold_is_the_one_with_least_left() -> None:
    assert budget_rules.find_next(ALL, figures(50_000, 60_000), nano_usd=BUDGET) == DRAIN_90_FORECAST
    assert budget_rules.find_next(ALL, figures(55_000, 60_000), nano_usd=BUDGET) == TELL_80
    assert budget_rules.find_next(ALL, figures(80_000, 90_000), nano_usd=BUDGET) is None


def test_a_crossing_is_told_once() -> None:
    assert budget_rules.find_new([TELL_80, STOP_100], known={TELL_80}) == [STOP_100]


@pytest.mark.parametrize(
    ("doubts", "confirmed_at", "is_held"),
    [
        ([], None, False),
        ([PriceDoubt(Decimal(0), "nothing")], None, False),
        ([PriceDoubt(Decimal(5_000 * DOLLAR), "H100 rose from $5.40 to $54.00")], None, True),
        ([PriceDoubt(Decimal(5_000 * DOLLAR), "H100 rose from $5.40 to $54.00")], NOW, False),
        ([PriceDoubt(Decimal(100 * DOLLAR), "H100 rose from $5.40 to $8.20")], None, False),
        ([PriceDoubt(Decimal(2_000 * DOLLAR), "a"), PriceDoubt(Decimal(1_900 * DOLLAR), "b")], None, True),
    ],
)
def test_acts_wait_while_much_of_the_amount_rests_on_a_doubtful_price(
    doubts: list[PriceDoubt], confirmed_at: datetime | None, *, is_held: bool
) -> None:
    reason = budget_rules.must_hold(doubts, spent_low=Decimal(70_000 * DOLLAR), confirmed_at=confirmed_at)

    assert bool(reason) is is_held
    if is_held:
        assert doubts[0].reason in reason


def test_a_month_is_that_of_the_zone_and_custom_days_are_both_included() -> None:
    zone = ZoneInfo("America/New_York")

    month = budget_rules.period_of(is_monthly=True, starts_on=None, ends_on=None, now=NOW, zone=zone)
    days = budget_rules.period_of(
        is_monthly=False, starts_on=date(2026, 10, 31), ends_on=date(2026, 11, 1), now=NOW, zone=zone
    )

    assert (month.start, month.end) == (
        datetime(2026, 11, 1, 4, tzinfo=UTC),
        datetime(2026, 12, 1, 5, tzinfo=UTC),
    )
    # The day on which clocks are set back has 25 hours.
    assert days.duration == timedelta(hours=49)


def test_the_burn_says_when_it_will_be_reached() -> None:
    at = budget_rules.reached_at(TELL_80, figures(55_000, burn=100), nano_usd=BUDGET, now=NOW)

    assert at == NOW + timedelta(hours=10)
    assert budget_rules.reached_at(TELL_80, figures(57_000, burn=100), nano_usd=BUDGET, now=NOW) == NOW
    assert budget_rules.reached_at(TELL_80, figures(55_000), nano_usd=BUDGET, now=NOW) is None
    assert budget_rules.reached_at(DRAIN_90_FORECAST, figures(1, burn=9), nano_usd=BUDGET, now=NOW) is None


def test_a_threshold_is_said_in_words() -> None:
    drain = Threshold(80, Basis.ACTUAL, Action.DRAIN_IDLE)

    assert budget_rules.describe(drain, nano_usd=BUDGET, scope="Research") == (
        "at $56,000 spent: stop idle endpoints of Research"
    )


thresholds = st.builds(
    Threshold, st.integers(1, 300), st.sampled_from(list(Basis)), st.sampled_from(list(Action))
)


@given(st.lists(thresholds, max_size=8), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_spending_more_never_reaches_less(
    given_thresholds: list[Threshold], spent: int, more: int, budget: int
) -> None:
    nano = budget * DOLLAR
    before = budget_rules.list_reached(given_thresholds, figures(spent, spent), nano_usd=nano)
    after = budget_rules.list_reached(given_thresholds, figures(spent + more, spent + more), nano_usd=nano)

    assert set(before) <= set(after)
    following = budget_rules.find_next(given_thresholds, figures(spent, spent), nano_usd=nano)
    assert (following is None) == (set(before) == set(given_thresholds))
