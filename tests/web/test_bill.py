"""Costs > Against the bill: three numbers, named gaps, and what lies beneath."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing import bill_alerts
from billing.models import BilledLine, BillReading, Meter
from dashboard.core.periods import Period
from dashboard.web.costs.agreement import build_agreement
from tests import cost_factories, factories
from tests.cost_factories import ORGANISATION, make_agreement

pytestmark = pytest.mark.django_db

NOW = factories.NOW
DAY = date(2026, 11, 19)
START = datetime(2026, 11, 19, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_noon(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def meter() -> Meter:
    return cost_factories.make_meter(
        deployment=factories.make_deployment(name="chat-h100"), gpu_count=1, sku="v2/1xnvidia-h100-80gb"
    )


def read(state: str = "read", **fields) -> BillReading:
    known = {
        "month": date(2026, 11, 1), "granularity": "hour", "state": state, "read_at": NOW - timedelta(minutes=4),
        "succeeded_at": NOW if state == "read" else None, "latest_window_end": NOW if state == "read" else None,
    }  # fmt: skip
    reader = factories.make_connection(organization_id=ORGANISATION)
    return BillReading.objects.create(connection=reader, **(known | fields))


def bill(meter: Meter | None, cost: str, *, hour: int = 0, **fields) -> BilledLine:
    known = {
        "billing_account_id": ORGANISATION, "granularity": "hour", "start": START + timedelta(hours=hour),
        "end": START + timedelta(hours=hour + 1), "position": BilledLine.objects.count(), "cost": Decimal(cost),
        "product_name": "Dedicated Inference - H100", "meter": meter, "observed_at": NOW,
    }  # fmt: skip
    return BilledLine.objects.create(**(known | fields))


def page(client, name: str = "costs_bill", *args, **query: str) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    import re

    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_whole_gap_with_names_is_explained(finance_client, meter):
    read()
    make_agreement(
        meter, day=DAY, projected="31", metered="30", billed="29",
        to_metered={"start-up": "-1"}, to_billed={"credit": "-1"},
    )  # fmt: skip
    make_agreement(day=DAY)

    told = words(page(finance_client))

    assert "every dollar explained" in told
    assert "Projected $31.00" in told
    assert "Start-up we reckoned, not billed −1.00 Gap −1.00" in told
    assert "Credits −1.00 Gap −1.00" in told
    assert "Billed $29.00" in told
    assert "The bill is complete through" in told


def test_what_is_unexplained_is_said_in_the_head_and_opposite_gaps_do_not_cancel(finance_client, meter):
    read()
    other = cost_factories.make_meter()
    make_agreement(meter, day=DAY, metered="10", billed="16.2", to_billed={"unexplained": "6.2"})
    make_agreement(other, day=DAY, metered="10", billed="3.8", to_billed={"unexplained": "-6.2"})
    make_agreement(day=DAY)

    told = words(page(finance_client))

    assert "$12.40 unexplained" in told
    assert "every dollar explained" not in told


STATES = [
    ("never", None, "The bill has not been read yet."),
    ("not-offered", {"error": "404"}, "The provider’s usage API is not open to this organisation."),
    ("failed", {"error": "Too many requests (429)."}, "Too many requests (429)."),
    (
        "read",
        {"malformed": 3, "error": "3 parts of it could not be read."},
        "3 parts of it could not be read.",
    ),
]


@pytest.mark.parametrize(("state", "fields", "expected"), STATES, ids=[one[0] for one in STATES])
def test_a_bill_that_cannot_be_read_says_why(finance_client, meter, state, fields, expected):
    if fields is not None:
        read(state, **fields)
    make_agreement(meter, day=DAY, projected="31", metered="30", billed=None)
    make_agreement(day=DAY, billed=None)

    told = words(page(finance_client))

    assert expected in told
    assert "Metered $30.00" in told
    assert "No bill to compare with" in told


def test_days_that_the_bill_does_not_cover_are_left_out_of_the_sum(meter):
    make_agreement(meter, day=DAY, metered="10", billed="10")
    make_agreement(day=DAY)
    make_agreement(meter, day=date(2026, 11, 20), metered="7", billed=None)
    make_agreement(day=date(2026, 11, 20), billed=None)

    told = build_agreement(Period(START, NOW), now=NOW)

    assert told.numbers.metered_low == told.numbers.billed == Decimal(10_000_000_000)
    assert (told.first_day, told.last_day, told.open_days) == (DAY, DAY, 1)


def test_the_panel_costs_few_queries(meter, django_assert_max_num_queries):
    for number in range(1, 20):
        make_agreement(meter, day=date(2026, 11, number), metered="1", billed="2", to_billed={"price": "1"})
        make_agreement(day=date(2026, 11, number))

    with django_assert_max_num_queries(5):
        build_agreement(Period(START - timedelta(days=18), NOW), now=NOW)


def test_days_and_resources_are_listed_with_their_causes_and_lead_on(finance_client, meter):
    make_agreement(meter, day=DAY, metered="10", billed="12", to_billed={"price": "2"})
    make_agreement(day=DAY)

    html = page(finance_client)

    assert reverse("costs_bill_day", args=["2026-11-19"]) in html
    assert reverse("costs_bill_meter", args=[meter.pk]) in html
    assert "price +2.00" in words(html)


def test_the_largest_gap_stands_first(finance_client, meter):
    quiet = cost_factories.make_meter(name="quiet")
    make_agreement(quiet, day=DAY, metered="100", billed="100")
    make_agreement(meter, day=DAY, metered="10", billed="12", to_billed={"price": "2"})
    make_agreement(day=DAY)

    told = words(page(finance_client, "costs_bill_day", "2026-11-19"))

    assert told.index("chat-h100") < told.index("quiet")


def test_the_period_is_chosen_by_its_address(finance_client, meter):
    make_agreement(meter, day=date(2026, 10, 3), metered="4.44", billed="4.44")
    make_agreement(day=date(2026, 10, 3))

    assert "4.44" not in words(page(finance_client))
    assert "4.44" in words(page(finance_client, period="last-month"))
    assert "4.44" in words(
        page(finance_client, **{"period": "custom", "from": "2026-10-01", "to": "2026-10-05"})
    )
    assert "4.44" not in words(page(finance_client, period="nonsense"))


def test_lines_that_match_nothing_show_their_attributes(finance_client):
    bill(None, "3.5", product_name="Mystery", attributes={"region": "us"}, dimensions={"tier": "2"})
    bill(None, "1.5", hour=1, product_name="Mystery", attributes={"region": "us"}, dimensions={"tier": "2"})
    make_agreement(day=DAY, billed="5", to_billed={"not-mirrored": "5"})

    told = words(page(finance_client))

    assert "Mystery region us, tier 2" in told
    assert "5.00" in told


def test_a_meter_shows_its_days(finance_client, meter):
    make_agreement(meter, day=DAY, metered="10", billed="12", to_billed={"price": "2"})

    html = page(finance_client, "costs_bill_meter", meter.pk)

    assert reverse("costs_bill_evidence", args=["2026-11-19", meter.pk]) in html


def test_the_evidence_sets_our_intervals_beside_the_lines(finance_client, meter):
    read()
    cost_factories.make_interval(
        meter, start=START, end=START + timedelta(hours=1), evidence="event evt_1 of 00:00", state="READY"
    )
    bill(meter, "6.4", quantity=Decimal(1), unit_price=Decimal("6.4"), attributes={"deployment_id": "dep_1"})
    make_agreement(meter, day=DAY, metered="5.4", billed="6.4", to_billed={"price": "1"})

    told = page(finance_client, "costs_bill_evidence", "2026-11-19", meter.pk)

    assert "00:00:00–01:00:00 1 at $5.40/h, READY" in words(told)
    assert "event evt_1 of 00:00" in told
    assert "Dedicated Inference - H100, 1 at $6.4" in words(told)
    assert "billed at $6.4000 per unit and hour, metered at $5.4000" in words(told)
    assert reverse("costs_interval", args=[meter.pk, START.isoformat()]) in told


def test_the_evidence_of_lines_without_a_meter_is_the_lines(finance_client):
    read()
    bill(None, "3.5", product_name="Mystery", attributes={"region": "us"})
    make_agreement(day=DAY, billed="3.5", to_billed={"not-mirrored": "3.5"})

    told = words(page(finance_client, "costs_bill_evidence", "2026-11-19", 0))

    assert "Mystery region us" in told
    assert "not mirrored +3.50" in told


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("costs_bill_day", ["nonsense"]),
        ("costs_bill_day", ["2026-11-18"]),
        ("costs_bill_meter", [999_999]),
        ("costs_bill_evidence", ["2026-11-19", 999_999]),
        ("costs_bill_evidence", ["2026-11-18", 0]),
    ],
)
def test_what_is_not_there_is_not_found(finance_client, name, args):
    make_agreement(day=DAY)

    assert finance_client.get(reverse(name, args=args)).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_finance_and_admin_see_the_bill(role, request):
    make_agreement(day=DAY)
    client = request.getfixturevalue(f"{role}_client")

    for name, args in (
        ("costs_bill", []),
        ("costs_bill_day", ["2026-11-19"]),
        ("costs_bill_evidence", ["2026-11-19", 0]),
    ):
        assert client.get(reverse(name, args=args)).status_code == 403
    assert client.get(reverse("costs_bill")).status_code == 403


def test_anonymous_people_sign_in_first_and_nothing_is_posted(client, finance_client):
    assert client.get(reverse("costs_bill")).status_code == 302
    assert finance_client.post(reverse("costs_bill")).status_code == 405


def test_a_swap_is_the_same_fragment_with_one_root(finance_client, meter):
    make_agreement(meter, day=DAY, metered="10", billed="10")
    make_agreement(day=DAY)

    told = finance_client.get(reverse("costs_bill"), headers={"HX-Request": "true"}).content.decode()

    assert told.strip().startswith('<div class="ui-stack" id="bill"')
    assert "<html" not in told


@pytest.mark.parametrize(("role", "expected"), [("finance", True), ("admin", True), ("operator", False)])
def test_an_unexplained_bill_is_told_above_pages(role, expected, request):
    cache.set(bill_alerts.NOTICE_KEY, {"count": 1, "day": "2026-11-19", "nano": "12400000000"})
    client = request.getfixturevalue(f"{role}_client")

    told = words(client.get(reverse("overview")).content.decode())

    assert ("$12.40 of the bill of 19 November is unexplained." in told) is expected


@pytest.mark.parametrize("name", ["costs_bill", "costs_bill_day"])
def test_queries_do_not_grow_with_resources(finance_client, name):
    args = ["2026-11-19"] if name == "costs_bill_day" else []

    def fill(count: int) -> None:
        for _ in range(count):
            one = cost_factories.make_meter(deployment=factories.make_deployment())
            make_agreement(one, day=DAY, metered="1", billed="2", to_billed={"price": "1"})
            bill(None, "1")

    def count() -> int:
        page(finance_client, name, *args)
        with CaptureQueriesContext(connection) as captured:
            page(finance_client, name, *args)
        return len(captured)

    make_agreement(day=DAY)
    fill(3)
    few = count()
    fill(30)

    assert count() == few <= 30
