"""What if it runs on, stops now, or follows a week: exact sums, clocks that change, what is not known."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.amounts import TICKS_PER_NANO, ZERO, Cost
from billing.burn import Burn
from billing.projection import Schedule, WeeklySlot, ask_what_if, cost_of
from dashboard.core.periods import Period

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 18, 13, 49, 13, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)
H100 = Burn(5_400_000_000, 5_400_000_000)
BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = tuple(WeeklySlot(day, time(8), time(18)) for day in range(5))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_running_on_costs_the_rate_times_the_time_left_to_the_tick() -> None:
    found = ask_what_if(H100, now=NOW, until=MONTH_END, schedule=Schedule(OFFICE, UTC))

    seconds = int((MONTH_END - NOW).total_seconds())
    assert found.runs_on == Cost(5_400_000_000 * seconds * 10**6, 5_400_000_000 * seconds * 10**6)
    assert found.stops_now == ZERO
    assert found.kept_by_stop == found.runs_on


def test_working_hours_cost_what_is_left_of_today_and_the_days_after() -> None:
    found = ask_what_if(H100, now=NOW, until=MONTH_END, schedule=Schedule(OFFICE, UTC))

    # 18 November is a Wednesday: the rest of it, 19 and 20, 23 to 27, and Monday 30.
    assert len(found.running) == 9
    assert found.scheduled_time == timedelta(hours=4, minutes=10, seconds=47) + 80 * HOUR
    assert found.scheduled.nano_low == 5_400_000_000 * (80 + 4 + (10 * 60 + 47) / 3600)


def test_a_range_stays_a_range() -> None:
    found = ask_what_if(Burn(10, 30), now=NOW, until=NOW + HOUR, schedule=Schedule((), UTC))

    assert (found.runs_on.nano_low, found.runs_on.nano_high) == (10, 30)
    assert found.scheduled == ZERO
    assert found.kept_by_schedule == found.runs_on


def test_an_unknown_price_is_time_and_never_zero() -> None:
    found = ask_what_if(Burn(unpriced_replicas=2), now=NOW, until=NOW + HOUR, schedule=Schedule(OFFICE, UTC))

    assert found.runs_on.unpriced_us == 3_600_000_000
    assert not found.runs_on.is_complete
    assert found.stops_now.is_complete


def test_nothing_is_left_after_the_end() -> None:
    found = ask_what_if(H100, now=MONTH_END, until=NOW, schedule=Schedule(OFFICE, UTC))

    assert found.runs_on == found.scheduled == ZERO


@pytest.mark.parametrize(
    ("start", "end", "day", "hours"),
    [
        pytest.param(time(8), time(18), "2026-10-25", 10, id="day that the clocks change, after it"),
        pytest.param(time(0), time(0), "2026-10-25", 25, id="whole day, clocks set back"),
        pytest.param(time(0), time(0), "2026-03-29", 23, id="whole day, clocks set forward"),
        pytest.param(time(2, 30), time(5), "2026-03-29", 2, id="start in the hour that is left out"),
        pytest.param(time(2), time(3), "2026-03-29", 0, id="only the hour that is left out"),
        pytest.param(time(1), time(2, 30), "2026-10-25", 1.5, id="end in the hour that comes twice"),
        pytest.param(time(22), time(6), "2026-10-24", 9, id="over the night that is longer"),
    ],
)
def test_a_slot_follows_the_clocks_of_its_zone(start: time, end: time, day: str, hours: float) -> None:
    local = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    slot = WeeklySlot(local.weekday(), start, end)

    found = slot.on(local.date(), zone=BERLIN)

    assert (found.duration if found else timedelta()) == hours * HOUR


def test_a_night_shift_that_began_yesterday_still_runs() -> None:
    night = Schedule((WeeklySlot(1, time(22), time(6)),), UTC)

    found = night.running(Period(at("2026-11-18T02:00Z"), at("2026-11-19T00:00Z")))

    assert found == [Period(at("2026-11-18T02:00Z"), at("2026-11-18T06:00Z"))]


def test_slots_that_touch_are_not_counted_twice() -> None:
    double = Schedule((WeeklySlot(2, time(8), time(12)), WeeklySlot(2, time(11), time(18))), UTC)

    found = double.running(Period(at("2026-11-18T00:00Z"), at("2026-11-19T00:00Z")))

    assert found == [Period(at("2026-11-18T08:00Z"), at("2026-11-18T18:00Z"))]


def test_a_weekday_is_one_of_seven() -> None:
    with pytest.raises(ValueError, match="no day of the week"):
        WeeklySlot(7, time(8), time(18))


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
slots = st.lists(
    st.builds(
        WeeklySlot,
        st.integers(0, 6),
        st.times().map(lambda t: t.replace(second=0, microsecond=0)),
        st.just(time(18)),
    ),
    max_size=6,
)


@given(slots, zones, instants, st.timedeltas(timedelta(), timedelta(days=40)), st.integers(0, 10**11))
def test_a_schedule_never_costs_more_than_running_on_and_cuts_add_up(
    week: list[WeeklySlot], zone: str, start: datetime, length: timedelta, rate: int
) -> None:
    schedule = Schedule(tuple(week), ZoneInfo(zone))
    middle, end = start + length / 2, start + length

    found = ask_what_if(Burn(rate, rate), now=start, until=end, schedule=schedule)

    assert 0 <= found.scheduled.low <= found.runs_on.low
    halves = [schedule.running(Period(start, middle)), schedule.running(Period(middle, end))]
    assert sum(cost_of(Burn(rate, rate), half).low for half in halves) == found.scheduled.low
    for earlier, later in zip(found.running, found.running[1:], strict=False):
        assert earlier.end < later.start


@given(zones, instants)
def test_every_hour_of_every_day_is_the_whole_period(zone: str, start: datetime) -> None:
    always = Schedule(tuple(WeeklySlot(day, time(0), time(0)) for day in range(7)), ZoneInfo(zone))
    period = Period(start, start + timedelta(days=31))

    assert always.running(period) == [period]
    assert cost_of(H100, always.running(period)).nano_low == 5_400_000_000 * 31 * 24
    assert TICKS_PER_NANO == 3_600_000_000
