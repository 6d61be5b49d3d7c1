"""What a model runs on: configs joined with tested pairs, sizes, prices and the room that is left."""

import pytest

from dashboard.mirror.models import Hardware, HardwarePrice, ModelConfig, Resource
from dashboard.mirror.offers import find_model, list_offers, load_cheapest, read_rooms
from dashboard.mirror.sync_models import sync_model_catalogue
from tests import factories, model_factories
from tests.mirror.conftest import Mirror

MODEL = "openai/gpt-oss-20b"


@pytest.fixture
def offered(mirror: Mirror) -> Mirror:
    mirror.sync_catalogue()
    sync_model_catalogue(mirror.connection, clock=mirror.clock)
    return mirror


def test_every_tested_pair_is_an_offer_with_its_price_and_regions(offered: Mirror):
    model = find_model(offered.connection, MODEL, user=factories.make_admin())
    assert model is not None
    listed = offered.simulator.call("GET", f"/v2/supported-models/{MODEL}")["deploymentProfiles"]

    offers = list_offers(offered.connection, model)

    assert {one.config for one in offers} == {one["config"] for one in listed}
    assert {one.path for one in offers} == {one["model"] for one in listed}
    for offer in offers:
        size = Hardware.objects.get(connection=offered.connection, generation="v2", name=offer.hardware)
        price = HardwarePrice.objects.get(hardware=size, valid_until=None)
        assert offer.nano_usd_per_hour == price.nano_usd_per_hour
        assert [room.region for room in offer.rooms] == [one["name"] for one in size.payload["regions"]]
    assert [one.nano_usd_per_hour for one in offers] == sorted(one.nano_usd_per_hour for one in offers)
    cheapest = load_cheapest([offered.connection])
    assert cheapest[offered.connection.pk, model.reference_ids[0]] == offers[0].nano_usd_per_hour


def test_a_pair_without_a_listed_config_is_found_by_its_gpus(offered: Mirror):
    model = find_model(offered.connection, MODEL, user=factories.make_admin())
    assert model is not None
    before = list_offers(offered.connection, model)
    ModelConfig.objects.all().delete()

    after = list_offers(offered.connection, model)

    assert [(one.config, one.hardware, one.nano_usd_per_hour) for one in after] == [
        (one.config, one.hardware, one.nano_usd_per_hour) for one in before
    ]


def test_an_own_model_runs_its_own_weights_on_the_hardware_of_its_base(offered: Mirror):
    project = offered.connection.project_set.first()
    base = offered.simulator.call("GET", f"/v2/supported-models/{MODEL}")
    own = model_factories.make_own_model(project=project, name="acme/own")
    Resource.objects.filter(pk=own.pk).update(payload={"id": own.remote_id, "baseModelId": base["id"]})

    model = find_model(offered.connection, "acme/own", user=factories.make_admin())

    assert model is not None
    offers = list_offers(offered.connection, model)
    assert {one.config for one in offers} == {one["config"] for one in base["deploymentProfiles"]}
    assert {one.path for one in offers} == {f"projects/{project.remote_id}/models/{own.remote_id}"}
    assert model.base == MODEL


def test_models_of_other_teams_are_not_found(offered: Mirror):
    project = factories.make_project(connection=offered.connection, team=factories.make_team())
    own = model_factories.make_own_model(project=project)

    assert find_model(offered.connection, own.remote_id, user=factories.make_operator()) is None


@pytest.mark.parametrize(
    ("regions", "rooms"),
    [
        (None, []),
        ([{"name": "a"}], [("a", None, False)]),
        ([{"name": "a", "headroom": {"value": 0, "relation": "RELATION_EQ"}}], [("a", 0, False)]),
        ([{"name": "a", "headroom": {"value": "4", "relation": "RELATION_GTE"}}], [("a", 4, True)]),
        ([{"name": "a", "headroom": {"value": None}}, {"name": ""}], [("a", None, False)]),
    ],
)
def test_room_that_is_not_told_is_unknown_not_none(regions, rooms):
    found = read_rooms({"name": "1xh100", "regions": regions})

    assert [(one.region, one.replicas, one.is_at_least) for one in found] == rooms
