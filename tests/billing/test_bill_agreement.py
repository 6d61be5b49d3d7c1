"""Held to the simulator: what was metered against what it bills, and every fault gets its own name."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from billing import agreements, bill_import, bill_plan, passes
from billing.amounts import to_nano
from billing.models import (
    AgreementDay,
    BilledLine,
    BillingRules,
    LedgerEntry,
    Meter,
    MeteredInterval,
    MeterKind,
)
from tests.mirror.conftest import Mirror, organize

__all__ = ["organize"]

START = "2026-11-10T00:30:00Z"
TODAY, YESTERDAY = date(2026, 11, 10), date(2026, 11, 9)


@pytest.fixture
def bill(db: None, organize, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """An organisation whose endpoints were read at 00:30, with the bill of its current month alone."""
    monkeypatch.setattr(bill_plan, "MONTHS_BACK", 0)
    mirror = organize(start=START)
    mirror.sync_all()
    return mirror


def compare(mirror: Mirror) -> None:
    """Meter, read the bill, meter what only the bill tells, compare."""
    passes.meter_connection(mirror.connection, now=mirror.now)
    bill_import.import_bill(mirror.connection, clock=mirror.clock)
    passes.meter_connection(mirror.connection, now=mirror.now)
    agreements.reconcile(mirror.connection.organization_id, now=mirror.now)


def meter_of(mirror: Mirror, name: str) -> Meter:
    return Meter.objects.get(deployment=mirror.deployment(name))


def usd(ticks: Decimal | None) -> Decimal | None:
    return None if ticks is None else round(to_nano(int(ticks)) / 10**9, 4)


def causes(meter: Meter | None, day: date) -> dict[str, Decimal]:
    row = AgreementDay.objects.get(meter=meter, day=day)
    return {one.cause: usd(one.ticks) for one in row.causes.filter(step="billed")}


def running(mirror: Mirror) -> Meter:
    """Return the meter of a v2 deployment that ran all of yesterday and today with one price."""
    for meter in Meter.objects.filter(kind=MeterKind.DEPLOYMENT, deployment__generation="v2").order_by(
        "remote_id"
    ):
        spans = meter.intervals.filter(start__gte=datetime(2026, 11, 9, tzinfo=UTC))
        if spans and all(span.condition == "bills" and span.units_low for span in spans):
            return meter
    raise AssertionError("no deployment ran all the time")


def test_endpoints_of_v2_agree_to_the_last_digit_and_the_rest_has_names(bill):
    bill.advance(7200)
    bill.sync_all()

    compare(bill)

    rows = AgreementDay.objects.filter(meter__deployment__generation="v2", day__lt=TODAY, billed__gt=0)
    assert rows.count() > 40
    for row in rows.prefetch_related("causes"):
        assert abs(row.billed - row.metered_low) < 10**10, row  # less than ten nano-dollars
        assert {one.cause for one in row.causes.all() if one.step == "billed"} <= {"rounding"}
    for row in AgreementDay.objects.exclude(billed=None).prefetch_related("causes"):
        parts = {"metered": 0, "billed": 0}
        for one in row.causes.all():
            parts[one.step] += one.ticks
        assert row.metered_low - row.projected == parts["metered"]
        assert row.billed - row.metered_low == parts["billed"]


def test_every_line_is_in_exactly_one_day(bill):
    bill.advance(3600)
    compare(bill)

    billed = sum((one.cost for one in BilledLine.objects.all()), Decimal(0))
    told = sum((row.billed or 0 for row in AgreementDay.objects.all()), Decimal(0))

    assert told == billed * 10**9 * 3_600_000_000


def test_what_only_the_bill_tells_is_metered_from_it_and_nothing_else_is(bill):
    bill.advance(3600)
    compare(bill)

    from_bill = Meter.objects.filter(intervals__source="bill", intervals__condition="bills").distinct()
    kinds = set(from_bill.values_list("kind", flat=True))
    assert {MeterKind.BATCH, MeterKind.EVALUATION} <= kinds
    mixed = MeteredInterval.objects.filter(meter__kind=MeterKind.BATCH).exclude(source="bill")
    assert not mixed.exists()
    batch = from_bill.filter(kind=MeterKind.BATCH).first()
    lines = sum((line.cost for line in batch.billed_lines.all()), Decimal(0))
    posted = sum(
        entry.lump_nano_usd * (-1 if entry.kind == "reversal" else 1)
        for entry in LedgerEntry.objects.filter(meter=batch)
    )
    assert posted == round(lines * 10**9)


def test_each_fault_gets_its_name(bill):
    passes.meter_connection(bill.connection, now=bill.now)
    meter = running(bill)
    old = meter.intervals.filter(condition="bills").latest("start").nano_usd_per_hour
    bill.advance(1800)
    bill.simulator.admin("POST", "/prices", hardware=meter.deployment.hardware, cents_per_hour=1_000)
    bill.advance(1800)  # 01:30: half an hour at the new price before anybody looks
    bill.sync_all()
    bill.break_with("unavailable", route="/v1/endpoints")
    bill.advance(3600)
    bill.sync_endpoints()
    bill.simulator.admin("DELETE", "/faults")
    attributes = {"endpoint_id": meter.endpoint.remote_id, "deployment_id": meter.remote_id}
    bill.simulator.admin(
        "POST", "/bill/lines", attributes=attributes, cost="-20", credit="CREDIT", at="2026-11-10T01:10:00Z"
    )
    bill.simulator.admin(
        "POST", "/bill/lines", attributes={}, cost="3", product_name="Mystery", at="2026-11-10T01:10:00Z"
    )
    bill.advance(3600)  # 03:30: the hour from 03:00 is late
    bill.sync_all()

    compare(bill)

    units = meter.intervals.filter(condition="bills").latest("start").units_low
    dearer = (Decimal(10) - Decimal(old) / 10**9) * units / 2
    told = causes(meter, TODAY)
    assert told["credit"] == Decimal(-20)
    assert abs(told["price"] - dearer) < Decimal("0.05")  # seconds around 01:30
    late = AgreementDay.objects.filter(day=TODAY, causes__cause="lag", causes__ticks__lt=0)
    assert late.exists()
    assert set(told) <= {"credit", "price", "lag", "rounding", "missing-interval"}
    assert causes(None, TODAY) == {"not-mirrored": Decimal(3)}
    v1 = AgreementDay.objects.filter(meter__deployment__generation="v1", day=TODAY).exclude(billed=0)
    assert v1.exists()
    for row in v1:
        assert "unexplained" not in causes(row.meter, TODAY)


def test_without_a_bill_there_is_no_billed_number_and_the_rest_goes_on(bill):
    bill.simulator.admin("PATCH", "/world", usage_enabled=False)
    bill.advance(7200)
    bill.sync_all()

    compare(bill)

    rows = AgreementDay.objects.exclude(meter=None)
    assert rows.filter(metered_low__gt=0).exists()
    assert not AgreementDay.objects.exclude(billed=None).exists()
    assert not rows.filter(causes__step="billed").exists()


def test_a_day_is_one_of_the_reporting_zone(bill):
    BillingRules.objects.create(pk=1, reporting_zone="America/New_York")
    bill.advance(3600)

    compare(bill)

    row = AgreementDay.objects.get(meter=None, day=YESTERDAY)
    assert row.start == datetime(2026, 11, 9, 5, tzinfo=UTC)
    assert row.end - row.start == timedelta(days=1)


def test_comparing_again_writes_nothing_but_the_time(bill):
    bill.advance(3600)
    compare(bill)
    account_id = bill.connection.organization_id
    for minutes in (20, 40):  # the older days
        agreements.reconcile(account_id, now=bill.now + timedelta(minutes=minutes))
    before = set(AgreementDay.objects.filter(day__lt=TODAY).values_list("pk", flat=True))

    told = agreements.reconcile(account_id, now=bill.now + timedelta(minutes=60))

    assert {one.period.day for one in told} == {TODAY, YESTERDAY}
    assert set(AgreementDay.objects.filter(day__lt=TODAY).values_list("pk", flat=True)) == before
