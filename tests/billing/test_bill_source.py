"""What only the bill tells is metered from it once, and the past before our first look is filled in from it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from billing import bill_source
from billing.amounts import TICKS_PER_NANO
from billing.models import BilledLine, BillReading, LedgerEntry, Meter, MeterKind
from dashboard.accounts.models import Connection
from tests import cost_factories, factories

NOW = datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(db: None) -> Connection:
    connection = factories.make_connection(organization_id=cost_factories.ORGANISATION)
    read_until(connection, NOW)
    return connection


def read_until(connection: Connection, now: datetime) -> None:
    BillReading.objects.update_or_create(
        connection=connection,
        month=date(2026, 11, 1),
        granularity="hour",
        defaults={
            "state": "read", "read_at": now, "succeeded_at": now, "latest_window_end": now.replace(minute=0),
        },
    )  # fmt: skip


def at(hours: float) -> datetime:
    return UNTIL - 10 * HOUR + timedelta(hours=hours)


def bill(meter: Meter | None, hour: int, cost: str, **fields) -> BilledLine:
    position = BilledLine.objects.filter(start=at(hour)).count()
    known = {
        "billing_account_id": cost_factories.ORGANISATION, "granularity": "hour", "start": at(hour),
        "end": at(hour + 1), "position": position, "product_name": "Tokens", "cost": Decimal(cost),
        "meter": meter, "observed_at": NOW,
    }  # fmt: skip
    return BilledLine.objects.create(**(known | fields))


def serverless(**fields) -> Meter:
    return cost_factories.make_meter(kind=MeterKind.SERVERLESS, metered_from=None, sku="", **fields)


def posted(meter: Meter) -> int:
    """Return what stands in the journal, nano-dollars."""
    total = 0
    for entry in LedgerEntry.objects.filter(meter=meter):
        us = (entry.end - entry.start) // timedelta(microseconds=1)
        ticks = entry.rate_low * us + entry.lump_nano_usd * TICKS_PER_NANO
        total += -ticks if entry.kind == "reversal" else ticks
    return total // TICKS_PER_NANO


def test_tokens_are_posted_once_and_exactly(connection):
    meter = serverless()
    bill(meter, 0, "0.25")
    bill(meter, 0, "0.50")
    bill(meter, 3, "1.000000001")

    bill_source.meter_bill(connection, now=NOW)
    again = bill_source.meter_bill(connection, now=NOW)

    assert posted(meter) == 1_750_000_001
    assert again.is_nothing
    meter.refresh_from_db()
    assert (meter.metered_from, meter.settled_until) == (at(0), UNTIL)


def test_a_window_that_the_provider_changed_is_corrected(connection):
    meter = serverless()
    line = bill(meter, 0, "0.25")
    bill_source.meter_bill(connection, now=NOW)
    line.cost = Decimal("0.75")
    line.save()
    read_until(connection, NOW + HOUR)

    bill_source.meter_bill(connection, now=NOW + HOUR)

    assert posted(meter) == 750_000_000
    kinds = list(LedgerEntry.objects.filter(meter=meter).values_list("kind", flat=True))
    assert kinds.count("reversal") == 1
    assert LedgerEntry.objects.filter(reason=bill_source.REASON).exists()


def test_lines_that_went_to_another_meter_are_taken_back(connection):
    stray, meter = serverless(), serverless()
    line = bill(stray, 0, "0.25")
    bill_source.meter_bill(connection, now=NOW)
    line.meter = meter
    line.save()

    bill_source.meter_bill(connection, now=NOW)

    assert (posted(stray), posted(meter)) == (0, 250_000_000)
    assert bill_source.meter_bill(connection, now=NOW).is_nothing


def test_credits_are_no_part_of_what_use_cost(connection):
    meter = serverless()
    bill(meter, 0, "2")
    bill(meter, 0, "-1.5", credit="CREDIT")
    bill(meter, 1, "0", credit="CREDIT", quantity=Decimal(4), unit_price=Decimal("0.5"))

    bill_source.meter_bill(connection, now=NOW)

    assert posted(meter) == 4_000_000_000


def test_a_mirrored_thing_never_gets_spans_of_the_bill_from_here(connection):
    deployment = factories.make_deployment()
    meter = cost_factories.make_meter(deployment=deployment, metered_from=None)
    bill(meter, 0, "5.49")
    gone = cost_factories.make_meter(kind=MeterKind.CLUSTER, metered_from=at(0))
    cost_factories.make_interval(gone, start=at(0), end=at(1))
    bill(gone, 0, "5.49")

    assert list(bill_source.gather(connection, now=NOW)) == []


def test_what_was_deleted_before_we_looked_is_metered_by_the_hour(connection):
    meter = cost_factories.make_meter(kind=MeterKind.CLUSTER, metered_from=None)
    bill(meter, 0, "16.76")
    bill(meter, 1, "16.76")

    bill_source.meter_bill(connection, now=NOW)

    spans = list(meter.intervals.order_by("start"))
    assert [(one.start, one.end, one.condition, one.rate_low) for one in spans] == [
        (at(0), at(2), "bills", 16_760_000_000),
        (at(2), UNTIL, "free", 0),
    ]


def test_the_past_of_a_mirrored_thing_is_told_up_to_its_first_edge(connection):
    meter = cost_factories.make_meter(deployment=factories.make_deployment())
    bill(meter, 0, "5.49")
    bill(meter, 1, "5.49")
    bill(meter, 4, "5.49")

    told = bill_source.load_backfill({meter: at(2)})

    assert [(one.start, one.end, one.rate_low, one.source) for one in told[meter.pk]] == [
        (at(0), at(2), 5_490_000_000, "bill")
    ]


def test_without_a_bill_there_is_no_past(connection):
    BillReading.objects.all().delete()
    meter = cost_factories.make_meter()

    assert bill_source.load_backfill({meter: at(2)}) == {}
    assert list(bill_source.gather(connection, now=NOW)) == []


def test_gathering_costs_few_queries_however_many_meters(connection, django_assert_max_num_queries):
    for number in range(20):
        meter = serverless()
        bill(meter, number % 5, "0.25")

    with django_assert_max_num_queries(5):
        assert len(list(bill_source.gather(connection, now=NOW))) == 20
