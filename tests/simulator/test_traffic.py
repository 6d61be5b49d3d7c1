from datetime import UTC, datetime

from simulator.clock import HOUR_MS, MINUTE_MS
from simulator.traffic import Profile, Traffic, Usage, shift_to_office_hours


def hours_since_epoch(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) // 3600


def requests_of_hour(traffic: Traffic, hour: int) -> int:
    return traffic.count_minutes(hour * 60, hour * 60 + 60).requests


def test_traffic_repeats_for_the_same_key_and_differs_for_another():
    one, same, other = (Traffic(key, Profile(50)) for key in (1, 1, 2))
    minutes = range(29_000_000, 29_000_400)

    assert [one.count_minute(m) for m in minutes] == [same.count_minute(m) for m in minutes]
    assert [one.count_minute(m) for m in minutes] != [other.count_minute(m) for m in minutes]


def test_office_hours_are_busy_and_nights_and_weekends_are_not():
    traffic = Traffic(5, Profile(100))
    wednesday_afternoon = requests_of_hour(traffic, hours_since_epoch(2026, 11, 18, 14))
    wednesday_night = requests_of_hour(traffic, hours_since_epoch(2026, 11, 18, 3))
    saturday_afternoon = requests_of_hour(traffic, hours_since_epoch(2026, 11, 21, 14))

    assert wednesday_afternoon > 10 * wednesday_night
    assert wednesday_afternoon > 5 * saturday_afternoon


def test_a_demo_started_on_a_sunday_night_is_shifted_into_office_hours():
    start_ms = hours_since_epoch(2026, 11, 22, 3) * HOUR_MS
    shifted = Traffic(5, Profile(100, shift_hours=shift_to_office_hours(start_ms)))
    plain = Traffic(5, Profile(100))

    assert requests_of_hour(shifted, start_ms // HOUR_MS) > 10 * requests_of_hour(plain, start_ms // HOUR_MS)


def test_sums_over_hours_equal_sums_over_minutes():
    traffic = Traffic(8, Profile(37.5, "bursts"))
    first = 29_000_017
    last = first + 500
    total = traffic.count_minutes(first, last)

    single = [traffic.count_minute(minute) for minute in range(first, last)]
    assert total == Usage(*(sum(column) for column in zip(*single, strict=True)))
    assert total == traffic.count_minutes(first, last)  # the second time from memory


def test_no_request_after_the_profile_went_quiet():
    quiet_ms = 29_000_000 * MINUTE_MS
    traffic = Traffic(8, Profile(500, "steady", quiet_after_ms=quiet_ms))

    assert traffic.count_minute(28_999_999).requests > 0
    assert traffic.count_minutes(29_000_000, 29_000_100) == Usage()


def test_failed_requests_are_part_of_the_requests():
    traffic = Traffic(8, Profile(100, "steady", failed_per_mille=20))
    total = traffic.count_minutes(29_000_000, 29_001_000)

    assert 0.01 < total.failed / total.requests < 0.04
