"""Shared volumes: states, sizes, clusters that take them along, and 163.84 USD per TiB and month of 730 hours."""

from decimal import Decimal

import pytest

from tests.simulator.test_clusters import CLUSTERS, bill, order, read, start

VOLUMES = f"{CLUSTERS}/storage/volumes"
HOUR_OF_TIB = Decimal("163.84") / 730


def create(sim, *, status=200, **fields):
    body = {"volume_name": "data", "size_tib": 10, "region": "us-central-8", **fields}
    return sim.send("POST", VOLUMES, {k: v for k, v in body.items() if v is not None}, status=status)


def make(sim, **fields):
    """Return the id of a volume that has just become available."""
    identifier = create(sim, **fields)["volume_id"]
    sim.advance(90)
    return identifier


def status_of(sim, identifier):
    return sim.get(f"{VOLUMES}/{identifier}")["status"]


def test_a_volume_is_provisioned_and_then_available(sim):
    created = create(sim)
    sim.advance(90)

    assert created["status"] == "provisioning"
    assert sim.get(f"{VOLUMES}/{created['volume_id']}") == {**created, "status": "available"}
    assert sim.get(VOLUMES)["volumes"] == [{**created, "status": "available"}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"volume_name": None}, "volume_name"),
        ({"size_tib": 0}, "size_tib"),
        ({"size_tib": 1.5}, "size_tib"),
        ({"region": "moon-1"}, "region"),
        ({"project_id": "proj_foreign"}, "project_id"),
        ({"instance_cluster_id": "none"}, "instance_cluster_id"),
    ],
)
def test_a_wrong_volume_is_refused(sim, fields, param):
    assert create(sim, status=400, **fields)["error"]["param"] == param
    assert sim.get(VOLUMES)["volumes"] == []


def test_it_costs_money_while_it_exists_attached_or_not(sim):
    identifier = create(sim)["volume_id"]
    sim.advance(730 * 3600)
    assert bill(sim, identifier) == Decimal("1638.4")

    sim.send("DELETE", f"{VOLUMES}/{identifier}")
    assert status_of(sim, identifier) == "deleting"
    sim.advance(60)
    cost = bill(sim, identifier)
    sim.advance(86_400)

    sim.get(f"{VOLUMES}/{identifier}", status=404)
    assert bill(sim, identifier) == cost


def test_the_usage_tells_tib_months_per_volume(sim):
    identifier = make(sim)
    sim.advance(2 * 3600)

    line = sim.get("/v1/billing/usage?granularity=hour")["data"][-1]["line_items"][0]

    assert (line["product_name"], line["unit_price"]) == ("Shared Storage", "163.84")
    assert line["quantity"] == "0.01369863"  # 10 TiB x 1 h / 730 h
    assert line["attributes"] == {"volume_id": identifier}
    assert line["pricing_dimensions"] == {"region": "us-central-8"}


def test_it_grows_but_never_shrinks(sim):
    identifier = make(sim)
    sim.advance(3600 - 90)

    grown = sim.send("PUT", VOLUMES, {"volume_id": identifier, "size_tib": 30})
    sim.send("PUT", VOLUMES, {"volume_id": identifier, "size_tib": 20}, status=400)
    sim.send("PUT", VOLUMES, {"volume_id": "none", "size_tib": 40}, status=404)
    sim.send("PUT", VOLUMES, {"size_tib": 40}, status=400)
    sim.advance(3600)

    assert grown["size_tib"] == 30
    assert bill(sim, identifier) == pytest.approx(40 * HOUR_OF_TIB, abs=Decimal("1e-9"))


def test_an_attached_volume_is_bound_and_cannot_be_deleted(sim):
    identifier = make(sim)
    cluster_id = start(sim, volume_id=identifier)

    sim.send("DELETE", f"{VOLUMES}/{identifier}", status=400)
    order(sim, volume_id=identifier, status=400)  # by another cluster it is not taken

    assert status_of(sim, identifier) == "bound"
    assert [volume["volume_id"] for volume in read(sim, cluster_id)["volumes"]] == [identifier]


@pytest.mark.parametrize(("stays", "expected"), [(True, ["available"]), (False, [])])
def test_a_deleted_cluster_takes_its_volume_along_unless_it_is_independent(sim, stays, expected):
    shared = {
        "volume_name": "inline",
        "size_tib": 1,
        "region": "us-central-8",
        "is_lifecycle_independent": stays,
    }
    cluster_id = start(sim, shared_volume=shared)
    assert [volume["status"] for volume in sim.get(VOLUMES)["volumes"]] == ["bound"]

    sim.send("DELETE", f"{CLUSTERS}/{cluster_id}")
    sim.advance(300)

    assert [volume["status"] for volume in sim.get(VOLUMES)["volumes"]] == expected


def test_the_inline_volume_of_a_refused_cluster_is_not_made(sim):
    shared = {"volume_name": "inline", "size_tib": 1, "region": "us-east-2"}

    order(sim, shared_volume=shared, status=400)

    assert sim.get(VOLUMES)["volumes"] == []


def test_a_volume_of_another_region_cannot_be_attached(sim):
    order(sim, volume_id=make(sim, region="us-east-2"), status=400)


def test_without_credit_access_is_revoked_and_the_cost_goes_on(sim):
    identifier = make(sim)
    sim.admin("POST", "/credit", {"exhausted": True})
    before = bill(sim, identifier)
    sim.advance(3600)

    assert status_of(sim, identifier) == "access_revoked"
    assert bill(sim, identifier) - before == pytest.approx(10 * HOUR_OF_TIB, abs=Decimal("1e-9"))
    sim.admin("POST", "/credit", {"exhausted": False})
    assert status_of(sim, identifier) == "available"


def test_the_list_can_be_narrowed_to_a_project(sim):
    make(sim)

    assert len(sim.get(f"{VOLUMES}?projectId={sim.project.project_id}")["volumes"]) == 1
    assert sim.get(f"{VOLUMES}?projectId=proj_other")["volumes"] == []


def test_another_organisation_sees_nothing(sim):
    identifier = make(sim)
    foreign = next(p for p in sim.world.projects.values() if p.organization.name == "thornfield")
    sim.world.add_key("foreign", foreign)

    assert sim.get(VOLUMES, key="foreign")["volumes"] == []
    sim.send("DELETE", f"{VOLUMES}/{identifier}", key="foreign", status=404)
    assert status_of(sim, identifier) == "available"


def test_a_state_can_be_forced(sim):
    identifier = make(sim)

    sim.admin("POST", f"/volumes/{identifier}/state", {"state": "failed"})
    assert status_of(sim, identifier) == "failed"
    sim.admin("POST", f"/volumes/{identifier}/state", {"state": "melted"}, status=400)
    sim.admin("DELETE", f"/volumes/{identifier}")
    sim.get(f"{VOLUMES}/{identifier}", status=404)


def test_the_demo_has_a_volume_that_nobody_uses_for_forty_days(demo):
    volumes = {volume["volume_name"]: volume for volume in demo.get(VOLUMES)["volumes"]}
    forgotten = volumes["llama-70b-checkpoints"]

    assert len(volumes) == 5
    assert (forgotten["status"], forgotten["size_tib"]) == ("available", 20)
    last_40_days = demo.admin("GET", f"/bill?id={forgotten['volume_id']}&from=2026-10-09T13:49:00Z")[
        "cost_usd"
    ]
    assert Decimal(last_40_days) == pytest.approx(20 * 960 * HOUR_OF_TIB, abs=Decimal("1e-6"))
