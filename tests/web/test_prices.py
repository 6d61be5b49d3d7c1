"""Costs > Prices and the counting rules: who may see and change them, what is shown, and what is refused."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import BillingRules, Discount, PriceEntry
from dashboard.accounts.models import AuditEvent
from dashboard.mirror.models import Generation, ResourceKind
from tests import factories
from tests.conftest import sign_in
from tests.cost_factories import make_interval, make_meter
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
SIZE = "v2/1xnvidia-h100-80gb"
LIST = "/costs/prices/"
DAY = timedelta(days=1)


def url(name: str, *args: Any) -> str:
    return reverse(f"costs_prices{name}", args=args)


def sku_url(sku: str) -> str:
    return url("_sku", sku)


def finance() -> Client:
    return sign_in(factories.make_finance())


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def priced(desk: Desk) -> Desk:
    """A desk with an endpoint at the catalogue's price and a volume whose price nobody knows."""
    factories.make_hardware(connection=desk.connection, name="1xnvidia-h100-80gb")
    desk.endpoint("chat", hardware="1xnvidia-h100-80gb")
    desk.resource(ResourceKind.VOLUME, "data", sku="volume", units=4, state="available")
    return desk


# The list


def test_anonymous_people_are_sent_to_sign_in(client: Client):
    assert client.get(LIST).status_code == 302
    assert client.get(sku_url(SIZE)).status_code == 302


def test_everybody_reads_prices_and_only_finance_is_offered_to_change_them(priced: Desk):
    viewer = sign_in(factories.make_viewer(teams=(priced.team,)))

    page, one = viewer.get(LIST), viewer.get(sku_url(SIZE))

    assert page.status_code == one.status_code == 200
    assert "Counting rules" not in page.content.decode()
    assert "Enter the price" not in one.content.decode()
    assert "Enter the price" in finance().get(sku_url(SIZE)).content.decode()


def test_what_is_used_at_an_unknown_price_comes_first_and_is_counted(priced: Desk):
    response = finance().get(LIST)

    rows = response.context["page"].object_list
    assert [row.priced.sku for row in rows[:2]] == ["volume", SIZE]
    assert response.context["strip"].unknown_used == 1
    assert response.context["strip"].used == 2
    assert rows[0].burn.unpriced_replicas == 4
    assert "price unknown" in response.content.decode()


def test_a_volume_is_quoted_per_month_and_an_endpoint_per_hour(priced: Desk):
    PriceEntry.objects.create(sku="volume", nano_usd=224_438_356, valid_from=NOW - DAY, note="quote 7")

    rows = {row.priced.sku: row for row in finance().get(LIST).context["page"]}

    assert (rows["volume"].line.pays, rows["volume"].quote) == ("163.84", "TiB and month")
    assert (rows["volume"].line.source, rows["volume"].burn.high) == ("Finance", 4 * 224_438_356)
    assert (rows[SIZE].line.pays, rows[SIZE].quote) == ("5.40", "replica and hour")


def test_other_spellings_of_the_hardware_are_one_line(priced: Desk):
    priced.endpoint("other", hardware="1xH100-80GB")

    rows = [row for row in finance().get(LIST).context["page"] if row.priced.is_used]

    assert [(row.priced.sku, row.priced.usage.things) for row in rows] == [("volume", 1), (SIZE, 2)]


@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ("q=h100", [SIZE]),
        ("show=unknown", ["volume"]),
        ("show=used", ["volume", SIZE]),
        ("show=endpoints&q=volume", []),
        ("show=compute", ["volume"]),
        ("show=nonsense&q=shared", ["volume"]),
    ],
)
def test_search_and_chips_choose(priced: Desk, query: str, skus: list[str]):
    response = finance().get(f"{LIST}?{query}")

    assert [row.priced.sku for row in response.context["page"]] == skus
    assert ("Nothing matches" in response.content.decode()) == (not skus)


def test_people_see_the_use_of_their_own_projects_only(priced: Desk):
    viewer = sign_in(factories.make_viewer(teams=(factories.make_team("Others"),)))

    rows = viewer.get(LIST).context["page"].object_list

    assert [(row.priced.sku, row.priced.usage.things) for row in rows] == [(SIZE, 0)]
    assert viewer.get(sku_url("volume")).status_code == 404


def test_without_any_price_the_page_says_so(db: None):
    assert "No price is known yet" in finance().get(LIST).content.decode()


def test_the_fragment_alone_answers_htmx(priced: Desk):
    response = finance().get(LIST, headers={"HX-Request": "true"})

    assert response.content.decode().strip().startswith('<div class="ui-stack" id="prices"')


# One price


def test_the_history_names_every_step_and_its_source(priced: Desk):
    PriceEntry.objects.create(
        sku=SIZE, nano_usd=3_000_000_000, valid_from=NOW - DAY, valid_until=NOW + DAY, note="contract 12"
    )
    Discount.objects.create(sku="*", percent=10, valid_from=NOW, note="frame")

    response = finance().get(sku_url(SIZE))

    steps = [(step.pays, step.off, step.source, step.is_now) for step in response.context["history"]]
    assert steps == [
        ("4.86", "10%", "Catalogue", False),
        ("2.70", "10%", "Finance", True),
        ("3.00", "", "Finance", False),
        ("5.40", "", "Catalogue", False),
        ("5.40", "", "Catalogue", False),
    ]
    assert "contract 12" in text_of(response)
    assert "first seen" in text_of(response)


def test_a_sku_that_is_neither_used_nor_priced_is_not_found(priced: Desk):
    assert finance().get(sku_url("volume/none")).status_code == 404
    assert finance().post(url("_enter", "volume/none"), {"amount": "1", "note": "x"}).status_code == 404


def test_finance_enters_the_price_of_a_tib_and_month(priced: Desk):
    response = finance().post(url("_enter", "volume"), {"amount": "163.84", "note": "invoice 4"})

    assert response.status_code == 302
    entry = PriceEntry.objects.get()
    assert (entry.nano_usd, entry.valid_from, entry.note) == (224_438_356, NOW, "invoice 4")
    event = AuditEvent.objects.get(action="price.entered")
    assert event.detail["sku"] == "volume"


def test_a_price_of_tokens_is_per_million(priced: Desk):
    PriceEntry.objects.create(
        sku="tokens/a/b/input", unit="million-tokens", nano_usd=1, valid_from=NOW - DAY, note="first"
    )

    finance().post(
        url("_enter", "tokens/a/b/input"), {"amount": "0.17", "valid_from": "2026-11-21T09:00", "note": "new"}
    )

    entry = PriceEntry.objects.latest("pk")
    assert (entry.nano_usd, entry.unit) == (170_000_000, "million-tokens")
    assert entry.valid_from.isoformat() == "2026-11-21T09:00:00+00:00"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"amount": "", "note": "x"}, "required"),
        ({"amount": "-1", "note": "x"}, "greater than or equal to 0"),
        ({"amount": "NaN", "note": "x"}, "Enter a number"),
        ({"amount": "2000000", "note": "x"}, "less than or equal to 1000000"),
        ({"amount": "1", "note": ""}, "required"),
        ({"amount": "1", "note": "x", "valid_from": "yesterday"}, "Write a day and time"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused_in_its_field(priced: Desk, form: dict[str, str], words: str):
    response = finance().post(url("_enter", "volume"), form)

    assert response.status_code == 422
    assert words in text_of(response)
    assert not PriceEntry.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="price").exists()


def test_a_price_that_would_change_what_is_posted_names_the_earliest_moment(priced: Desk):
    make_interval(make_meter(sku=SIZE), start=NOW - DAY / 2, end=NOW - DAY / 4)

    response = finance().post(
        url("_enter", SIZE), {"amount": "3", "note": "late", "valid_from": "2026-11-20T01:00"}
    )

    assert response.status_code == 422
    assert "The earliest is 2026-11-20 06:00:00 UTC" in text_of(response)
    assert 'value="3"' in response.content.decode()
    assert not PriceEntry.objects.exists()


def test_finance_enters_a_general_discount(priced: Desk):
    response = finance().post(url("_discount", "*"), {"percent": "12.5", "note": "frame"}, follow=True)

    assert Discount.objects.get().percent == Decimal("12.5")
    assert "12.5%" in text_of(response)
    assert AuditEvent.objects.filter(action="discount.entered").exists()
    assert finance().get(LIST).context["strip"].general_discount == "12.5"


def test_everything_else_has_a_discount_but_no_price(priced: Desk):
    assert finance().post(url("_enter", "*"), {"amount": "1", "note": "x"}).status_code == 404
    assert "Enter the price" not in finance().get(sku_url("*")).content.decode()


@pytest.mark.parametrize("percent", ["101", "-1", "", "a"])
def test_a_discount_is_between_nothing_and_all(priced: Desk, percent: str):
    response = finance().post(url("_discount", "volume"), {"percent": percent, "note": "x"})

    assert response.status_code == 422
    assert not Discount.objects.exists()


def test_a_price_is_ended_and_one_to_come_withdrawn(priced: Desk):
    holding = PriceEntry.objects.create(
        sku="volume", nano_usd=5, valid_from=NOW - DAY, valid_until=NOW + DAY, note="a"
    )
    coming = PriceEntry.objects.create(sku="volume", nano_usd=6, valid_from=NOW + DAY, note="b")
    someone = finance()
    assert text_of(someone.get(sku_url("volume"))).count("Withdraw") == 1

    someone.post(url("_end", holding.pk))
    someone.post(url("_end", coming.pk))

    holding.refresh_from_db()
    assert holding.valid_until == NOW
    assert list(PriceEntry.objects.values_list("pk", flat=True)) == [holding.pk]
    assert AuditEvent.objects.filter(action="price.ended").count() == 2


def test_ending_twice_says_so(priced: Desk):
    row = Discount.objects.create(
        sku="volume", percent=5, valid_from=NOW - 2 * DAY, valid_until=NOW - DAY, note="a"
    )

    response = finance().post(url("_discount_end", row.pk), follow=True)

    assert "It has ended already" in text_of(response)
    assert not AuditEvent.objects.filter(action="discount.ended").exists()


@pytest.mark.parametrize("make", [factories.make_viewer, factories.make_operator])
def test_others_change_no_price(priced: Desk, make: Any):
    row = PriceEntry.objects.create(sku="volume", nano_usd=5, valid_from=NOW - DAY, note="a")
    someone = sign_in(make(teams=(priced.team,)))

    answers = [
        someone.post(url("_enter", "volume"), {"amount": "1", "note": "x"}),
        someone.post(url("_discount", "volume"), {"percent": "1", "note": "x"}),
        someone.post(url("_end", row.pk)),
        someone.get("/costs/rules/"),
        someone.post("/costs/rules/", {}),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert list(PriceEntry.objects.values_list("nano_usd", "valid_until")) == [(5, None)]
    assert not Discount.objects.exists()


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("post", LIST),
        ("post", sku_url("volume")),
        ("get", url("_enter", "volume")),
        ("get", url("_discount", "volume")),
        ("get", url("_end", 1)),
        ("get", url("_discount_end", 1)),
    ],
)
def test_wrong_methods_are_refused(priced: Desk, method: str, address: str):
    assert getattr(finance(), method)(address).status_code == 405


def test_what_is_not_there_cannot_be_ended(priced: Desk):
    assert finance().post(url("_end", 999)).status_code == 404


# Counting rules


def rules_form(**fields: Any) -> dict[str, Any]:
    usual = {"reporting_zone": "UTC", "rounding": "exact", "idle_after_minutes": 15, "unexplained": "5"}
    return usual | fields


def test_the_rules_are_changed_and_audited(priced: Desk):
    someone = finance()
    assert "cut at its midnight" in text_of(someone.get("/costs/rules/"))

    response = someone.post(
        "/costs/rules/", rules_form(reporting_zone="Asia/Kolkata", rounding="minute", unexplained="12.40")
    )

    assert response.status_code == 302
    rules = BillingRules.objects.get()
    assert (rules.reporting_zone, rules.rounding) == ("Asia/Kolkata", "minute")
    assert rules.unexplained_nano_usd == 12_400_000_000
    detail = AuditEvent.objects.get(action="billing.rules_changed").detail
    assert detail["rounding"] == {"before": "exact", "after": "minute"}
    assert "idle_after_minutes" not in detail


@pytest.mark.parametrize(
    "wrong",
    [
        {"reporting_zone": "Mars/Olympus"},
        {"rounding": "hour"},
        {"idle_after_minutes": 0},
        {"unexplained": "-1"},
    ],
)
def test_rules_that_make_no_sense_change_nothing(priced: Desk, wrong: dict[str, Any]):
    response = finance().post("/costs/rules/", rules_form(**wrong))

    assert response.status_code == 422
    assert not BillingRules.objects.exists()
    assert not AuditEvent.objects.filter(action="billing.rules_changed").exists()


def test_a_v1_size_has_its_own_price(priced: Desk):
    factories.make_hardware(
        connection=priced.connection,
        generation=Generation.V1,
        name="1x_nvidia_h100_80gb_sxm",
        nano_usd_per_hour=5_400_000_000,
    )

    response = finance().get(sku_url("v1/1x_nvidia_h100_80gb_sxm"))

    assert response.context["line"].pays == "5.40"
