"""Prices as the database holds them: what is loaded, what finance may enter, and what stays as it is."""

from datetime import timedelta
from decimal import Decimal

import pytest

from billing.models import Condition, Discount, PriceEntry
from billing.price_book import EVERY_OTHER, Origin
from billing.price_entries import (
    PriceRefusedError,
    Validity,
    end_entry,
    enter_discount,
    enter_price,
)
from billing.prices import load_price_book
from billing.repricing import load_newly_priced
from dashboard.accounts import audit
from dashboard.accounts.models import AuditEvent
from dashboard.mirror.models import CatalogueModel, TokenPrice, UnitPrice
from tests import factories
from tests.cost_factories import make_interval, make_meter
from tests.factories import NOW
from tests.model_factories import make_catalogue_model

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
DOLLAR = 1_000_000_000
SIZE = "v2/1xnvidia-h100-80gb"
ACTOR = audit.Actor.for_process("tests")


def unit_price(sku: str, nano: int, **fields):
    defaults = {"valid_from": NOW - DAY, "source": UnitPrice.PriceSource.BILL, "evidence": "billed hour"}
    connection = fields.pop("connection", None) or factories.make_connection()
    return UnitPrice.objects.create(
        connection=connection, sku=sku, nano_usd_per_hour=nano, **(defaults | fields)
    )


def token_price(name: str, nano: int, origin=CatalogueModel.Origin.SERVERLESS, direction="input"):
    model = make_catalogue_model(name=name, origin=origin)
    return TokenPrice.objects.create(
        catalogue_model=model, direction=direction, nano_usd=nano, valid_from=NOW - DAY
    )


def price_now(sku: str, **choice):
    return load_price_book(**choice).at(sku, NOW)


def enter(sku: str, dollars: float, start=NOW, note="quote 7"):
    return enter_price(Validity(sku, start, note), nano_usd=int(dollars * DOLLAR), actor=ACTOR)


def discount(sku: str, percent: str, start=NOW):
    return enter_discount(Validity(sku, start, "frame"), percent=Decimal(percent), actor=ACTOR)


# Loading


def test_every_teller_is_in_the_book():
    factories.make_hardware(name="1xnvidia-h100-80gb", remote_id="hw_1", nano_usd_per_hour=5)
    unit_price("cluster/H100_SXM/ON_DEMAND", 6)
    unit_price("rl/a/b/1", 7, source=UnitPrice.PriceSource.ESTIMATE)
    token_price("Qwen/Qwen3-32B", 8)
    enter("volume", 2)

    book = load_price_book()

    told = {
        SIZE: (5, Origin.CATALOGUE),
        "v2/hw_1": (5, Origin.CATALOGUE),
        "cluster/H100_SXM/ON_DEMAND": (6, Origin.BILL),
        "rl/a/b/1": (7, Origin.ESTIMATE),
        "tokens/Qwen/Qwen3-32B/input": (8, Origin.CATALOGUE),
        "tokens/Qwen/Qwen3-32B/output": (None, Origin.UNKNOWN),
        "volume": (2 * DOLLAR, Origin.FINANCE),
        "container/h100-80gb": (None, Origin.UNKNOWN),
    }
    assert {sku: (book.at(sku, NOW).nano, book.at(sku, NOW).origin) for sku in told} == told


def test_a_book_of_some_skus_holds_these_only():
    factories.make_hardware(name="1xnvidia-h100-80gb", nano_usd_per_hour=5)
    unit_price("volume", 6)
    token_price("a/b", 8)

    book = load_price_book(["v2/1xH100-80GB", "tokens/a/b/input"])

    assert book.at(SIZE, NOW).nano == 5
    assert book.at("tokens/a/b/input", NOW).nano == 8
    assert book.at("volume", NOW).nano is None


def test_each_connection_has_its_own_prices_and_the_first_one_holds():
    first, second = factories.make_connection(), factories.make_connection()
    unit_price("volume", 9, connection=second)
    unit_price("volume", 6, connection=first)

    assert price_now("volume").nano == 6
    assert price_now("volume", connection_ids=[second.pk]).nano == 9
    assert price_now("volume", connection_ids=[]).nano is None


def test_the_serverless_catalogue_goes_before_the_other():
    token_price("a/b", 5, CatalogueModel.Origin.SUPPORTED)
    token_price("a/b", 6, CatalogueModel.Origin.SERVERLESS)

    assert price_now("tokens/a/b/input").nano == 6


def test_five_queries_load_all(django_assert_num_queries):
    with django_assert_num_queries(5):
        load_price_book()


# Entering


def test_a_price_closes_the_one_before_and_ends_where_the_next_begins():
    first = enter("volume", 1, NOW)
    third = enter("volume", 3, NOW + 4 * DAY)
    second = enter("volume", 2, NOW + 2 * DAY)

    first.refresh_from_db()
    assert first.valid_until == second.valid_from == NOW + 2 * DAY
    assert second.valid_until == third.valid_from
    assert third.valid_until is None
    assert AuditEvent.objects.filter(action="price.entered").count() == 3


def test_entries_of_one_size_replace_each_other_however_it_is_spelled():
    first = enter("v2/1xH100-80GB", 1, NOW)
    enter(SIZE, 2, NOW + DAY)

    first.refresh_from_db()
    assert first.valid_until == NOW + DAY


def test_two_entries_cannot_begin_at_once():
    enter("volume", 1)

    with pytest.raises(PriceRefusedError, match="that very moment"):
        enter("volume", 2)

    assert PriceEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("start", "posted", "earliest"),
    [
        (NOW - DAY, {}, NOW - HOUR),
        (NOW - 2 * HOUR, {}, NOW - HOUR),
        (NOW - HOUR, {}, None),
        (NOW + DAY, {}, None),
        # Nothing of this is posted at a known price of this SKU.
        (NOW - DAY, {"is_settled": False}, None),
        (NOW - DAY, {"nano_usd_per_hour": None}, None),
        (NOW - DAY, {"condition": Condition.FREE}, None),
        (NOW - DAY, {"sku": "container/cpu"}, None),
        # It is, in another spelling.
        (NOW - DAY, {"sku": "v2/1xH100-80GB"}, NOW - HOUR),
    ],
)
def test_what_is_posted_at_a_known_price_is_never_repriced(start, posted, earliest):
    meter = make_meter(sku=SIZE)
    make_interval(meter, start=NOW - 3 * HOUR, end=NOW - HOUR, **posted)

    if earliest is None:
        assert enter(SIZE, 3, start).valid_from == start
        return
    with pytest.raises(PriceRefusedError) as refused:
        enter(SIZE, 3, start)
    assert refused.value.earliest == earliest
    assert not PriceEntry.objects.exists()
    assert not AuditEvent.objects.exists()


def test_an_entry_may_fill_an_unknown_past_before_a_known_one():
    meter = make_meter(sku="volume")
    make_interval(meter, start=NOW - 4 * HOUR, end=NOW - 3 * HOUR, nano_usd_per_hour=None)
    make_interval(meter, start=NOW - 3 * HOUR, end=NOW - 2 * HOUR)
    PriceEntry.objects.create(sku="volume", nano_usd=5, valid_from=NOW - 3 * HOUR, note="first")

    entry = enter("volume", 4, NOW - 5 * HOUR)

    assert entry.valid_until == NOW - 3 * HOUR


def test_a_general_discount_spares_what_is_posted_too():
    make_interval(make_meter(sku=SIZE), start=NOW - 3 * HOUR, end=NOW - HOUR)

    with pytest.raises(PriceRefusedError):
        discount(EVERY_OTHER, "10", NOW - 2 * HOUR)

    assert discount(EVERY_OTHER, "10", NOW).valid_until is None
    assert AuditEvent.objects.get().action == "discount.entered"


def test_an_ended_price_gives_way_to_the_catalogue():
    factories.make_hardware(name="1xnvidia-h100-80gb", nano_usd_per_hour=5)
    entry = enter(SIZE, 3, NOW - DAY)

    end_entry(entry, at=NOW + DAY, actor=ACTOR)

    book = load_price_book()
    assert book.at(SIZE, NOW).nano == 3 * DOLLAR
    assert book.at(SIZE, NOW + DAY).nano == 5
    assert AuditEvent.objects.filter(action="price.ended").count() == 1


def test_an_entry_that_has_not_begun_is_withdrawn():
    entry = discount("volume", "10", NOW + DAY)

    end_entry(entry, at=NOW, actor=ACTOR)

    assert not Discount.objects.exists()
    assert AuditEvent.objects.get(action="discount.ended").detail["withdrawn"] is True


@pytest.mark.parametrize("at", [NOW - 2 * HOUR, NOW - 5 * HOUR])
def test_an_entry_that_is_posted_cannot_end_in_the_past(at):
    entry = enter("volume", 1, NOW - 4 * HOUR)
    make_interval(make_meter(sku="volume"), start=NOW - 3 * HOUR, end=NOW - HOUR)

    with pytest.raises(PriceRefusedError):
        end_entry(entry, at=at, actor=ACTOR)

    entry.refresh_from_db()
    assert entry.valid_until is None


def test_an_entry_ends_once():
    entry = enter("volume", 1, NOW - DAY)
    end_entry(entry, at=NOW, actor=ACTOR)

    with pytest.raises(PriceRefusedError, match="already"):
        end_entry(entry, at=NOW + DAY, actor=ACTOR)


# What waits for a price


def test_meters_that_wait_for_a_price_are_found_when_it_is_known():
    waiting, other = make_meter(sku="volume"), make_meter(sku="container/cpu")
    for meter in (waiting, other):
        make_interval(meter, start=NOW - 5 * HOUR, end=NOW - 3 * HOUR, nano_usd_per_hour=None)
        make_interval(meter, start=NOW - 3 * HOUR, end=NOW - HOUR, nano_usd_per_hour=None)
        make_interval(meter, start=NOW - HOUR, end=None, nano_usd_per_hour=None)
    ids = [waiting.pk, other.pk]
    assert load_newly_priced(ids, book=load_price_book()) == {}

    enter("volume", 1, NOW - 2 * HOUR)

    assert load_newly_priced(ids, book=load_price_book()) == {waiting.pk: NOW - 3 * HOUR}
