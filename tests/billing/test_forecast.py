"""The forecast: order of its ends, what is certain, what is planned, short months and DST."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.amounts import TICKS_PER_NANO, Cost
from billing.forecast import Forecast, HourCost, PlannedCharge, PlannedCourse, forecast
from billing.forecast_plans import PlannedChange

HOUR = timedelta(hours=1)
DOLLAR = 1_000_000_000
NOW = datetime(2026, 11, 18, 13, 49, 13, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)


def make_hours(rates: list[int], *, until: datetime = NOW) -> list[HourCost]:
    """Return hours that end with the full hour before `until`, oldest first; rates in dollars."""
    edge = until.replace(minute=0, second=0, microsecond=0)
    return [HourCost(edge - (len(rates) - place) * HOUR, rate * DOLLAR) for place, rate in enumerate(rates)]


def spend(dollars: int) -> Cost:
    ticks = dollars * DOLLAR * TICKS_PER_NANO
    return Cost(ticks, ticks)


def look(hours: list[HourCost], **more: object) -> Forecast:
    defaults: dict[str, object] = {
        "burn_nano": 0,
        "spent": spend(100),
        "now": NOW,
        "until": MONTH_END,
        "zone": UTC,
    }
    return forecast(hours, **(defaults | more))  # type: ignore[arg-type]


def test_what_never_changes_goes_on_as_it_is() -> None:
    found = look(make_hours([10] * 24 * 56), burn_nano=10 * DOLLAR)

    hours = Decimal((MONTH_END - NOW) / HOUR)
    assert abs(found.left - 10 * DOLLAR * hours) < DOLLAR
    assert found.p50 == 100 * DOLLAR + found.left
    assert not found.is_short
    assert not found.is_at_least


def test_a_working_week_is_found_again() -> None:
    begin = NOW.replace(minute=0, second=0) - 24 * 56 * HOUR
    rates = [
        40 if (begin + n * HOUR).weekday() < 5 and 8 <= (begin + n * HOUR).hour < 18 else 2
        for n in range(24 * 56)
    ]

    found = look(make_hours(rates), burn_nano=40 * DOLLAR)

    by_day = {f"{day.period.start:%a}": float(day.p50) / DOLLAR for day in found.by_day[1:]}
    assert by_day["Sat"] == pytest.approx(48, abs=8)
    assert by_day["Mon"] == pytest.approx(428, abs=8)
    # Nobody would say so from the burn of a Wednesday at noon.
    assert float(found.left) / DOLLAR < 0.6 * 40 * (MONTH_END - NOW) / HOUR


def test_without_history_the_burn_is_all_and_the_range_is_wide() -> None:
    found = look([], burn_nano=5 * DOLLAR)

    assert found.history_days == 0
    assert found.is_short
    assert "guess" in found.basis
    assert found.p90 - found.p10 > found.left / 4


def test_little_history_makes_the_range_wider() -> None:
    short = look(make_hours([10] * 24 * 4), burn_nano=10 * DOLLAR)
    long = look(make_hours([10] * 24 * 50), burn_nano=10 * DOLLAR)

    assert short.is_short
    assert "4 days" in short.basis
    assert short.p90 - short.p10 > long.p90 - long.p10


@pytest.mark.parametrize(
    ("spent", "is_burn_complete"),
    [
        (Cost(10, 10, unpriced_us=1), True),
        (Cost(10, 10, unknown_us=1), True),
        (Cost(10, 10), False),
    ],
)
def test_what_is_not_known_makes_it_at_least(spent: Cost, is_burn_complete: bool) -> None:
    found = look(make_hours([1] * 48), spent=spent, is_burn_complete=is_burn_complete)

    assert found.is_at_least


def test_an_armed_stop_takes_the_thing_out_of_what_is_to_come() -> None:
    hours = make_hours([30] * 24 * 30)
    own = tuple(make_hours([20] * 24 * 30))
    stop = NOW + 24 * HOUR
    course = PlannedCourse(20 * DOLLAR, (PlannedChange(stop, -20 * DOLLAR),), history=own)

    without = look(hours, burn_nano=30 * DOLLAR)
    found = look(hours, burn_nano=30 * DOLLAR, courses=[course])

    assert found.left < without.left
    rest = Decimal((MONTH_END - NOW) / HOUR) * 10 * DOLLAR
    assert abs(found.left - rest - 24 * 20 * DOLLAR) < DOLLAR


def test_a_schedule_is_followed_to_the_hour() -> None:
    morning = datetime(2026, 11, 19, 8, tzinfo=UTC)
    changes = (PlannedChange(morning, 12 * DOLLAR), PlannedChange(morning + 10 * HOUR, -12 * DOLLAR))

    found = look([], courses=[PlannedCourse(0, changes)])

    assert found.left == 120 * DOLLAR
    assert found.by_day[1].p50 == 120 * DOLLAR


def test_what_comes_back_after_every_timer_is_not_written_off() -> None:
    days = [20 if 9 <= hour < 18 else 0 for _ in range(28) for hour in range(24)]
    own = tuple(one for one in make_hours(days) if one.nano_usd)
    course = PlannedCourse(20 * DOLLAR, (PlannedChange(NOW + HOUR, -20 * DOLLAR),), history=own)

    found = look(make_hours(days), burn_nano=20 * DOLLAR, courses=[course])

    assert not course.is_lasting
    assert found.left > 12 * 9 * 15 * DOLLAR


def test_a_running_job_counts_only_as_far_as_it_costs_more_than_jobs_do() -> None:
    edge = NOW.replace(minute=0, second=0)
    jobs = [HourCost(edge - (n + 1) * HOUR, 5 * DOLLAR, 5 * DOLLAR) for n in range(24 * 28)]
    usual = [PlannedCharge(NOW + 10 * HOUR, 50 * DOLLAR)]
    large = [PlannedCharge(NOW + 10 * HOUR, 4_050 * DOLLAR)]

    base = look(jobs)

    assert look(jobs, charges=usual).left == base.left
    assert abs(look(jobs, charges=large).left - base.left - 4_000 * DOLLAR) < DOLLAR


def test_at_the_end_of_the_month_it_is_what_was_spent() -> None:
    found = look(make_hours([10] * 240, until=MONTH_END), now=MONTH_END, burn_nano=10 * DOLLAR)

    assert found.p10 == found.p50 == found.p90 == 100 * DOLLAR
    assert found.by_day == ()


@pytest.mark.parametrize(
    ("zone", "now", "until", "days", "hours"),
    [
        ("Europe/Berlin", "2026-10-01T09:30+02:00", "2026-11-01T00:00+01:00", 31, 735.5),
        ("Europe/Berlin", "2026-03-28T12:00+01:00", "2026-04-01T00:00+02:00", 4, 83),
        ("America/New_York", "2026-11-01T00:00-04:00", "2026-12-01T00:00-05:00", 30, 721),
        ("Asia/Kolkata", "2026-02-27T23:59+05:30", "2026-03-01T00:00+05:30", 2, 24 + 1 / 60),
    ],
)
def test_days_are_those_of_the_zone_and_miss_no_hour(
    zone: str, now: str, until: str, days: int, hours: float
) -> None:
    at, end = datetime.fromisoformat(now).astimezone(UTC), datetime.fromisoformat(until)

    found = look(
        make_hours([7] * 24 * 30, until=at), now=at, until=end, zone=ZoneInfo(zone), burn_nano=7 * DOLLAR
    )

    assert len(found.by_day) == days
    assert float(found.left) / DOLLAR == pytest.approx(7 * hours, rel=1e-6)
    assert found.by_day[-1].period.end == end


rates = st.lists(st.integers(0, 500), max_size=24 * 20)


@given(rates, st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 60 * 24 * 12))
def test_the_ends_are_in_order_and_never_below_what_was_spent(
    history: list[int], burn: int, dollars: int, minutes: int
) -> None:
    now = NOW + timedelta(minutes=minutes)

    found = look(make_hours(history, until=now), now=now, burn_nano=burn, spent=spend(dollars))

    assert spend(dollars).nano_low <= found.p10 <= found.p50 <= found.p90
    for day in found.by_day:
        assert 0 <= day.p10 <= day.p50 <= day.p90
    assert found.p50 == spend(dollars).nano_low + found.left


@given(rates, st.integers(0, 10**11), st.integers(0, 1000), st.integers(1, 1000))
def test_who_spent_more_ends_higher(history: list[int], burn: int, dollars: int, more: int) -> None:
    hours = make_hours(history)

    less, greater = (look(hours, burn_nano=burn, spent=spend(one)) for one in (dollars, dollars + more))

    assert greater.p50 - less.p50 == more * DOLLAR
    assert greater.p10 > less.p10
    assert greater.p90 > less.p90


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 24 * 11))
def test_a_planned_stop_never_raises_it(own: int, rest: int, hours_left: int) -> None:
    hours = make_hours([own + rest] * 24 * 21)
    course = PlannedCourse(
        own * DOLLAR,
        (PlannedChange(NOW + hours_left * HOUR, -own * DOLLAR),),
        history=tuple(make_hours([own] * 24 * 21)),
    )

    without = look(hours, burn_nano=(own + rest) * DOLLAR)
    found = look(hours, burn_nano=(own + rest) * DOLLAR, courses=[course])

    assert found.p50 < without.p50
