from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.clock import HOUR_MS, MINUTE_MS
from simulator.lifecycle import Durations
from simulator.traffic import Profile, Traffic, Usage
from simulator.workload import FOREVER_MS, Pace, Workload

T0 = 1_700_000_040_000 - 1_700_000_040_000 % HOUR_MS  # a full hour
PACE = Pace(T0, Durations(), Durations())


def running(*, bounds=(1, 1), profile=None, **settings_):
    """Return a workload that became ready at T0 + 10 minutes."""
    workload = Workload(PACE, Traffic(99, profile or Profile()), *bounds, **settings_)
    workload.start(T0)
    workload.advance(T0 + 10 * MINUTE_MS)
    return workload


def test_rest_needs_no_further_look():
    assert running().next_change_ms() == FOREVER_MS


def test_idle_limit_counts_from_ready_when_nothing_was_ever_asked():
    workload = running(idle_limit_ms=30 * MINUTE_MS)

    workload.advance(T0 + 39 * MINUTE_MS)
    assert workload.state == "READY"

    workload.advance(T0 + 40 * MINUTE_MS)
    assert workload.state == "STOPPING"
    assert workload.present.source == "inactivity-monitor"
    assert (workload.min_replicas, workload.max_replicas) == (0, 0)

    workload.advance(T0 + 42 * MINUTE_MS)
    assert workload.state == "STOPPED"


def test_a_request_postpones_the_idle_stop():
    workload = running(idle_limit_ms=30 * MINUTE_MS)
    workload.traffic.inject(T0 + 26 * MINUTE_MS, Usage(1))

    workload.advance(T0 + 55 * MINUTE_MS)
    assert workload.state == "READY"

    workload.advance(T0 + 57 * MINUTE_MS)
    stopping = next(phase for phase in workload.timeline if phase.state == "STOPPING")
    assert stopping.at_ms == T0 + 56 * MINUTE_MS


def test_autoscaler_follows_traffic_up_and_down():
    workload = running(bounds=(1, 3), replica_capacity=100.0)
    for minute in range(T0 // MINUTE_MS + 12, T0 // MINUTE_MS + 30):
        workload.traffic.inject(minute * MINUTE_MS, Usage(250))

    workload.advance(T0 + 90 * MINUTE_MS)

    desired = [phase.desired for phase in workload.timeline]
    assert max(desired) == 3
    assert workload.present.ready == 1


def test_ready_replicas_are_unchanged_while_a_scale_up_is_in_progress():
    workload = running(bounds=(1, 2))
    workload.scale(T0 + 20 * MINUTE_MS, 2)

    workload.advance(T0 + 22 * MINUTE_MS)
    assert (workload.state, workload.present.ready, workload.present.desired) == ("SCALING", 1, 2)

    workload.advance(T0 + 23 * MINUTE_MS)
    assert (workload.state, workload.present.ready) == ("READY", 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4 * HOUR_MS), min_size=1, max_size=12))
def test_the_timeline_does_not_depend_on_when_somebody_looks(waits):
    profile = Profile(240, "bursts")
    patient = running(bounds=(1, 4), profile=profile, replica_capacity=80.0, idle_limit_ms=45 * MINUTE_MS)
    curious = running(bounds=(1, 4), profile=profile, replica_capacity=80.0, idle_limit_ms=45 * MINUTE_MS)
    end = T0 + 10 * MINUTE_MS
    for wait in waits:
        end += wait
        curious.advance(end)

    patient.advance(end)

    assert patient.timeline == curious.timeline


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6 * HOUR_MS), st.integers(0, 6 * HOUR_MS))
def test_served_traffic_never_shrinks_as_time_goes_on(first, second):
    workload = running(profile=Profile(60, "steady"))
    early, late = sorted((T0 + first, T0 + second))

    before, after = workload.count_served(T0, early), workload.count_served(T0, late)

    assert all(less <= more for less, more in zip(before, after, strict=True))


def test_traffic_is_served_only_while_a_replica_is_ready():
    workload = running(profile=Profile(60, "steady"))
    workload.stop(T0 + 60 * MINUTE_MS)
    workload.advance(T0 + 120 * MINUTE_MS)

    assert workload.count_served(T0, T0 + 10 * MINUTE_MS).requests == 0
    assert workload.count_served(T0 + 10 * MINUTE_MS, T0 + 60 * MINUTE_MS).requests > 0
    assert workload.count_served(T0 + 62 * MINUTE_MS, T0 + 120 * MINUTE_MS).requests == 0


def test_a_profile_that_went_quiet_tells_the_last_request():
    workload = running(profile=replace(Profile(600, "steady"), quiet_after_ms=T0 + 33 * MINUTE_MS))

    assert workload.idle_since_ms(T0 + 80 * MINUTE_MS) == T0 + 33 * MINUTE_MS


def test_a_limit_set_on_something_long_idle_stops_it_now_and_not_in_the_past():
    workload = running()
    now_ms = T0 + 5 * HOUR_MS
    workload.idle_limit_ms = 30 * MINUTE_MS
    workload.note_settings(now_ms)

    workload.advance(now_ms + MINUTE_MS)

    stopping = next(phase for phase in workload.timeline if phase.state == "STOPPING")
    assert stopping.at_ms == now_ms + 1


def test_a_request_counts_in_the_stretch_that_served_it():
    workload = running()
    workload.traffic.inject(T0 + 10 * MINUTE_MS + 1, Usage(1, 7, 3))
    workload.traffic.inject(T0 + 9 * MINUTE_MS, Usage(5))

    assert workload.count_served(T0, T0 + HOUR_MS) == Usage(1, 7, 3)
