"""The bill against sums done by hand: 1x H100 costs 549 cents per hour and replica."""

from decimal import Decimal
from fractions import Fraction

import pytest

from simulator.metering import print_decimal


def bill(sim, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return sim.admin("GET", f"/bill?{text}")


def test_nothing_is_billed_before_ready(sim):
    endpoint_id = sim.create_endpoint()
    sim.create_deployment(endpoint_id)
    sim.advance(599)

    assert bill(sim)["cost_usd"] == "0"


def test_ninety_minutes_of_one_replica(sim):
    sim.start_deployment()  # ready at minute 10
    sim.advance(90 * 60)

    assert bill(sim)["cost_usd"] == "8.235"  # 1.5 h x 5.49
    assert bill(sim)["resources"][0]["ready_minutes"] == "90"


def test_draining_replicas_are_billed_and_a_stopped_deployment_is_not(sim):
    ids = sim.start_deployment()
    sim.advance(3600)
    sim.stop(ids)
    sim.advance(86_400)

    assert bill(sim)["resources"][0]["ready_ms"] == 3_600_000 + 45_000
    assert bill(sim)["cost_usd"] == "5.558625"  # 3645 s x 5.49 / 3600


def test_only_ready_replicas_of_a_degraded_deployment_are_billed(sim):
    ids = sim.start_deployment(autoscaling={"minReplicas": 3, "maxReplicas": 3})
    sim.admin(
        "POST", f"/deployments/{ids[1]}/state", {"state": "DEGRADED", "ready": 1, "desired": 3, "stay": True}
    )
    sim.advance(3600)

    assert bill(sim)["cost_usd"] == "5.49"


def test_a_scaled_up_replica_is_billed_from_when_it_is_ready(sim):
    ids = sim.start_deployment()
    sim.patch(ids, {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}})  # the second one needs 3 minutes
    sim.advance(3600)

    assert bill(sim)["resources"][0]["ready_minutes"] == "117"


def test_a_price_change_holds_from_its_instant_on(sim):
    sim.start_deployment()
    sim.advance(1800)
    sim.admin("POST", "/prices", {"hardware": "1xnvidia-h100-80gb", "cents_per_hour": 600})
    sim.advance(1800)

    assert bill(sim)["cost_usd"] == "5.745"  # 0.5 x 5.49 + 0.5 x 6.00
    assert sim.get("/v2/public/inference-instance-types/it_h100x1")["priceCentsPerHour"] == 600


def test_minutes_add_up_to_the_total(sim):
    ids = sim.start_deployment(autoscaling={"minReplicas": 2, "maxReplicas": 2})
    sim.advance(754.321)
    sim.stop(ids)
    sim.advance(300)

    answer = bill(sim, granularity="minute")

    assert sum(line["ready_ms"] for line in answer["lines"]) == answer["resources"][0]["ready_ms"]
    assert sum(Decimal(line["cost_usd"]) for line in answer["lines"]) == pytest.approx(
        Decimal(answer["cost_usd"]), abs=Decimal("1e-7")
    )


def test_what_a_deleted_deployment_cost_stays_on_the_bill(sim):
    ids = sim.start_deployment()
    sim.advance(3600)
    sim.admin("DELETE", f"/deployments/{ids[1]}")
    sim.advance(3600)

    assert bill(sim)["cost_usd"] == "5.49"


def test_two_gpus_cost_twice_as_much_per_replica(sim):
    model = sim.world.catalogue.by_name["meta-llama/Llama-3.3-70B-Instruct-Turbo"]
    config = sim.world.catalogue.config_for(model, "2xnvidia-h100-80gb")
    sim.start_deployment(model=model.path, config=config.config_id)
    sim.advance(3600)

    assert bill(sim)["cost_usd"] == "10.98"


def test_v1_endpoints_bill_by_their_own_price_list(demo):
    running = next(item for item in demo.world.legacy.values() if item.workload.present.ready)
    now_ms = demo.clock.now_ms()
    ready_ms = running.workload.count_ready_ms(0, now_ms)

    line = bill(demo, id=running.endpoint_id)["resources"][0]

    assert Fraction(line["cost_usd"]) == pytest.approx(
        Fraction(ready_ms, 60_000) * Fraction(9, 100), abs=1e-8
    )


def test_decimals_are_plain_and_exact():
    assert print_decimal(Fraction(0)) == "0"
    assert print_decimal(Fraction(100)) == "100"
    assert print_decimal(Fraction(549, 100)) == "5.49"
    assert print_decimal(Fraction(1, 3)) == "0.333333333"
    assert print_decimal(Fraction(1, 10**7), places=12) == "0.0000001"
