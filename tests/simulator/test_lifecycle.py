from simulator import lifecycle
from simulator.lifecycle import Durations, Phase

D = Durations()
READY_2 = Phase(0, lifecycle.READY, 2, 2, 2, "", "")


def steps(plan):
    return [(phase.at_ms, phase.state, phase.ready, phase.desired) for phase in plan]


def test_start_bills_nothing_before_the_replicas_are_ready():
    assert steps(lifecycle.plan_start(1_000, 2, D)) == [
        (1_000, "PROVISIONING", 0, 2),
        (301_000, "PROVISIONING", 0, 2),
        (601_000, "READY", 2, 2),
    ]


def test_start_that_gets_stuck_fails_after_six_hours():
    assert steps(lifecycle.plan_stuck_start(0, 1, D)) == [
        (0, "PROVISIONING", 0, 1),
        (6 * 3_600_000, "FAILED", 0, 0),
    ]


def test_stop_keeps_replicas_ready_while_they_drain():
    assert steps(lifecycle.plan_stop(0, READY_2, D)) == [
        (0, "STOPPING", 2, 0),
        (45_000, "STOPPING", 0, 0),
        (90_000, "STOPPED", 0, 0),
    ]


def test_stop_of_a_start_has_nothing_to_drain():
    starting = lifecycle.plan_start(0, 1, D)[0]

    assert steps(lifecycle.plan_stop(5_000, starting, D)) == [
        (5_000, "STOPPING", 0, 0),
        (95_000, "STOPPED", 0, 0),
    ]


def test_stop_of_something_at_rest_plans_nothing():
    for state in ("STOPPED", "STOPPING", "FAILED"):
        assert lifecycle.plan_stop(0, Phase(0, state, 0, 0, 0, "", ""), D) == ()


def test_stop_behaviours_of_faults():
    assert lifecycle.plan_stop(0, READY_2, D, behaviour="ignored") == ()
    assert steps(lifecycle.plan_stop(0, READY_2, D, behaviour="endless")) == [(0, "STOPPING", 2, 0)]
    assert steps(lifecycle.plan_stop(0, READY_2, D, behaviour="fails"))[-1] == (90_000, "FAILED", 0, 0)


def test_scale_up_adds_replicas_one_after_another():
    assert steps(lifecycle.plan_scale(0, READY_2, 4, D)) == [
        (0, "SCALING", 2, 4),
        (180_000, "SCALING", 3, 4),
        (216_000, "READY", 4, 4),
    ]


def test_scale_down_keeps_the_surplus_ready_until_it_is_gone():
    assert steps(lifecycle.plan_scale(0, READY_2, 1, D)) == [(0, "SCALING", 2, 1), (30_000, "READY", 1, 1)]


def test_degradation_keeps_the_rest_serving_and_recovers():
    assert steps(lifecycle.plan_degradation(0, READY_2, 1, D)) == [
        (0, "DEGRADED", 1, 2),
        (240_000, "READY", 2, 2),
    ]


def test_recommendation_rounds_up_and_stays_within_the_bounds():
    cases = {0: 1, 100: 1, 101: 2, 250: 3, 10_000: 4}
    for requests, expected in cases.items():
        assert (
            lifecycle.recommend_replicas(requests, per_replica=100, min_replicas=1, max_replicas=4)
            == expected
        )


def test_speed_shortens_every_transition_and_never_to_nothing():
    fast = D.shortened(60)

    assert (fast.provision_ms, fast.stop_ms, fast.start_limit_ms) == (10_000, 1_500, 360_000)
    assert D.shortened(1e12).drain_ms == 1
