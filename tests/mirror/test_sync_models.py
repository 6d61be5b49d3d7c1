"""The provider's catalogues and configs: what is offered, at what price, and what runs on what."""

from decimal import Decimal

import pytest
from django.db import transaction

from dashboard.mirror.model_readings import read_nano_usd, read_serverless_model
from dashboard.mirror.models import CatalogueModel, MalformedPayload, ModelConfig, SyncRun, TokenPrice
from dashboard.mirror.store_token_prices import write_token_prices
from dashboard.mirror.sync_models import sync_model_catalogue
from dashboard.together_api import payloads
from tests.mirror.conftest import Mirror


def sync(mirror: Mirror) -> SyncRun:
    sync_model_catalogue(mirror.connection, clock=mirror.clock)
    return SyncRun.objects.filter(resource=SyncRun.Resource.CATALOGUE).latest("pk")


@pytest.fixture
def offered(mirror: Mirror) -> Mirror:
    """The demo organisation with its projects and the catalogues read once."""
    mirror.sync_projects()
    sync(mirror)
    return mirror


def test_every_supported_model_has_its_products_and_list_price(offered: Mirror):
    listed = offered.simulator.call("GET", "/v2/supported-models?limit=500")["data"]

    found = {row.remote_id: row for row in CatalogueModel.objects.filter(origin="supported")}
    assert found.keys() == {one["id"] for one in listed}
    for one in listed:
        row, pricing = found[one["id"]], one.get("pricing", {})
        assert row.name == one["name"]
        assert row.is_serverless == ("PRODUCT_SERVERLESS" in one["products"])
        assert row.is_fine_tunable == ("PRODUCT_FINE_TUNING" in one["products"])
        wanted = round(Decimal(str(pricing["input"])) * 10**9) if pricing else None
        assert row.input_nano_usd == wanted


def test_the_serverless_list_has_no_price_of_zero(offered: Mirror):
    rows = CatalogueModel.objects.filter(origin="serverless")

    assert rows.filter(input_nano_usd__gt=0).exists()
    assert rows.filter(input_nano_usd=None).exists()
    assert not rows.filter(input_nano_usd=0, output_nano_usd=0).exists()


def test_configs_say_which_hardware_a_model_runs_on(offered: Mirror):
    body = offered.simulator.call("GET", "/v2/supported-models?limit=500")["data"][0]
    profile = body["deploymentProfiles"][0]

    config = ModelConfig.objects.get(name=profile["config"])

    assert config.reference_model_id == body["id"]
    assert config.hardware.startswith(f"{profile['gpuCount']}xnvidia-{profile['gpuType'].lower()}")


def test_a_second_pass_writes_nothing(offered: Mirror):
    run = sync(offered)

    assert (run.outcome, run.created, run.updated, run.absent) == ("complete", 0, 0, 0)
    assert run.unchanged == run.seen > 0


@pytest.mark.parametrize("path", ["/v1/models", "/v2/supported-models", "/v2/projects/*/configs"])
@pytest.mark.parametrize("kind", ["missing_item", "empty_list"])
def test_lists_that_lack_something_once_remove_nothing(offered: Mirror, path: str, kind: str):
    offered.break_with(kind, route=path)
    offered.advance(300)
    sync(offered)
    offered.simulator.clear_faults()
    offered.advance(300)

    sync(offered)

    for model in (CatalogueModel, ModelConfig):
        assert not model.objects.exclude(absent_since=None, missing_since=None).exists()


def test_one_list_that_fails_leaves_the_others_read(mirror: Mirror):
    mirror.sync_projects()
    mirror.break_with("server_error", route="/v2/supported-models")

    run = sync(mirror)

    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert CatalogueModel.objects.filter(origin="serverless").exists()
    assert not CatalogueModel.objects.filter(origin="supported").exists()
    assert ModelConfig.objects.exists()


def test_an_item_that_cannot_be_read_is_kept_and_skipped(offered: Mirror):
    offered.break_with("malformed_item", route="/v2/supported-models")
    offered.advance(300)

    run = sync(offered)

    assert run.malformed == MalformedPayload.objects.count() == 1
    assert not CatalogueModel.objects.exclude(missing_since=None).exists()


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [
        (1.0399999999999998, 1_040_000_000),
        (0.18, 180_000_000),
        (Decimal("0.0000000004"), 0),
        (None, None),
        (0.0, 0),
        (7, 7_000_000_000),
    ],
)
def test_floats_become_exact_nano_dollars(dollars, nano):
    assert read_nano_usd(dollars) == nano


@pytest.mark.parametrize(
    "pricing", [None, {}, {"input": 0, "output": 0}, {"input": None, "output": None, "hourly": 0}]
)
def test_a_model_without_a_price_is_not_called_serverless(pricing):
    body = payloads.Model.parse({"id": "acme/one", "type": "chat", "pricing": pricing, "organization": None})

    reading = read_serverless_model(body)

    assert (reading.is_serverless, reading.input_nano_usd, reading.publisher) == (False, None, "")


def test_a_token_price_has_its_history(offered: Mirror):
    row = CatalogueModel.objects.filter(origin="serverless", input_nano_usd__gt=0).order_by("pk").first()
    assert row is not None
    old = row.input_nano_usd
    first = TokenPrice.objects.get(catalogue_model=row, direction="input")

    offered.advance(3600)
    changed_at = offered.clock()
    row.input_nano_usd = 2 * (old or 0)
    with transaction.atomic():
        assert write_token_prices([row], now=changed_at) == 1

    steps = TokenPrice.objects.filter(catalogue_model=row, direction="input").order_by("valid_from")
    assert list(steps.values_list("nano_usd", "valid_from", "valid_until")) == [
        (old, first.valid_from, changed_at),
        (2 * (old or 0), changed_at, None),
    ]
    assert TokenPrice.objects.get(catalogue_model=row, direction="output").valid_until is None


def test_a_token_price_that_is_told_no_more_ends(offered: Mirror):
    row = CatalogueModel.objects.filter(origin="serverless", input_nano_usd__gt=0).order_by("pk").first()
    assert row is not None
    offered.advance(3600)
    row.input_nano_usd = row.output_nano_usd = None

    with transaction.atomic():
        assert write_token_prices([row], now=offered.clock()) == 2
        assert write_token_prices([row], now=offered.clock()) == 0

    ends = TokenPrice.objects.filter(catalogue_model=row).values_list("valid_until", flat=True)
    assert set(ends) == {offered.clock()}
