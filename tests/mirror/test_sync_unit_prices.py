"""Prices per unit, read from a simulated bill and held to the simulator's own."""

import pytest

from dashboard.mirror import sync_unit_prices
from dashboard.mirror.models import Resource, SyncRun, UnitPrice
from tests.mirror.conftest import Mirror


@pytest.fixture
def rented(mirror: Mirror) -> Mirror:
    """The demo organisation with all that bills by the hour beside endpoints."""
    mirror.sync_projects()
    for name in ("clusters", "volumes", "containers", "rl"):
        mirror.sync_group(name)
    return mirror


def read_prices(mirror: Mirror) -> str:
    run = mirror._run(sync_unit_prices.sync_unit_prices)
    return str(run.outcome)


def test_everything_that_bills_has_the_price_of_the_bill(rented: Mirror):
    assert set(Resource.objects.filter(units__gt=0).values_list("nano_usd_per_unit_hour", flat=True)) == {
        None
    }

    outcome = read_prices(rented)

    assert outcome == "complete"
    billing = Resource.objects.filter(units__gt=0)
    assert {row.kind for row in billing} == {"cluster", "volume", "container", "rl-resource"}
    assert not billing.filter(nano_usd_per_unit_hour=None).exists()
    assert not billing.exclude(unpriced_units=0).exists()
    for row in billing:
        assert row.burn == row.units * row.nano_usd_per_unit_hour
    assert not UnitPrice.objects.filter(evidence="").exists()


def test_a_volume_burns_by_the_hour_what_its_billed_hour_cost(rented: Mirror):
    read_prices(rented)

    bill = rented.simulator.call("GET", "/v1/billing/usage?granularity=hour&limit=1000")
    newest = max(bill["data"], key=lambda window: window["start_time"])
    billed = {
        line["attributes"]["volume_id"]: float(line["cost"])
        for line in newest["line_items"]
        if "volume_id" in line["attributes"]
    }
    old_enough = Resource.objects.filter(kind="volume", remote_id__in=list(billed))
    assert len(old_enough) >= 4
    for volume in old_enough:
        assert volume.burn / 1e9 == pytest.approx(billed[volume.remote_id], rel=1e-6)


def test_prices_stay_what_they_were_while_the_bill_says_the_same(rented: Mirror):
    read_prices(rented)
    before = set(UnitPrice.objects.values_list("sku", "nano_usd_per_hour"))

    rented.advance(7 * 3600)
    read_prices(rented)

    assert set(UnitPrice.objects.values_list("sku", "nano_usd_per_hour")) == before


def test_without_a_usage_api_prices_are_unknown_and_said_to_be(rented: Mirror):
    rented.simulator.admin("PATCH", "/world", usage_enabled=False)

    outcome = read_prices(rented)

    assert outcome == "unavailable"
    assert not UnitPrice.objects.filter(source="bill").exists()
    assert not Resource.objects.filter(kind="volume", unpriced_units=0).exists()


def test_the_bill_is_left_alone_while_every_price_is_known_and_fresh(rented: Mirror):
    read_prices(rented)
    rented.advance(3600)

    sync_unit_prices.sync_unit_prices(rented.connection, clock=rented.clock)

    assert SyncRun.objects.filter(resource=SyncRun.Resource.UNIT_PRICES).count() == 1


def test_the_bill_is_read_again_for_something_without_a_price(rented: Mirror):
    read_prices(rented)
    UnitPrice.objects.filter(sku="volume").delete()
    Resource.objects.filter(kind="volume").update(nano_usd_per_unit_hour=None)
    rented.advance(3600)

    read_prices(rented)

    assert SyncRun.objects.filter(resource=SyncRun.Resource.UNIT_PRICES).count() == 2
    assert not Resource.objects.filter(kind="volume", nano_usd_per_unit_hour=None).exists()
