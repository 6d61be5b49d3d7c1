"""The provider's bill is read completely, again where it moved, and its refusals are states."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from billing import agreements, bill_import, bill_plan, bill_source, bill_store
from billing.meters import ensure_bill_meter, ensure_meters
from billing.models import AgreementDay, BilledLine, BillingRules, BillReading, Meter, MeterKind
from dashboard.mirror.models import MalformedPayload
from tests.mirror.conftest import Mirror, organize

__all__ = ["organize"]

START = "2026-11-10T00:30:00Z"
HOUR = timedelta(hours=1)


@pytest.fixture
def past(db: None, organize) -> Mirror:
    """Start on 10 November, with two months behind it."""
    return organize(start=START)


@pytest.fixture
def bill(past: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The same, read for the current month alone."""
    monkeypatch.setattr(bill_plan, "MONTHS_BACK", 0)
    return past


def read(mirror: Mirror) -> set[datetime]:
    return bill_import.import_bill(mirror.connection, clock=mirror.clock)


def reading(mirror: Mirror, month: date) -> BillReading:
    return BillReading.objects.get(connection=mirror.connection, month=month)


def truth(mirror: Mirror, start: datetime, end: datetime) -> Decimal:
    told = mirror.simulator.admin("GET", f"/bill?from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}")
    return Decimal(told["cost_usd"])


def billed(start: datetime, end: datetime) -> Decimal:
    return sum((one.cost for one in BilledLine.objects.filter(start__gte=start, end__lte=end)), Decimal(0))


NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)


def test_the_past_is_read_newest_first_and_in_several_passes(past):
    read(past)

    months = list(BillReading.objects.order_by("-month").values_list("month", flat=True))
    assert months == [NOVEMBER, OCTOBER, date(2026, 9, 1)]

    for _ in range(5):
        read(past)
    assert BillReading.objects.count() == 13
    assert BillReading.objects.order_by("month").first().month == date(2025, 11, 1)


def test_lines_are_those_of_the_bill_to_the_last_digit(bill):
    read(bill)

    start, end = datetime(2026, 11, 8, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    # Every line is printed to nine decimals at least.
    assert abs(billed(start, end) - truth(bill, start, end)) < Decimal("1e-6")
    assert billed(start, end) > 100


def test_a_month_by_the_hour_takes_several_pages(bill):
    read(bill)

    assert len(bill.simulator.admin("GET", "/requests?path=/v1/billing/usage")) == 5
    assert BilledLine.objects.filter(granularity="day").count() == 0


def test_the_same_bill_writes_nothing_again(bill):
    read(bill)
    before = set(BilledLine.objects.values_list("pk", flat=True))
    bill.now += timedelta(minutes=20)

    changed = read(bill)

    assert changed == set()
    assert set(BilledLine.objects.values_list("pk", flat=True)) >= before


def test_later_hours_come_from_the_newest_pages_alone(bill):
    read(bill)
    bill.simulator.admin("DELETE", "/requests")
    bill.advance(7200)

    changed = read(bill)

    assert len(bill.simulator.admin("GET", "/requests?path=/v1/billing/usage")) == 2
    assert changed == {datetime(2026, 11, 10, hour, tzinfo=UTC) for hour in (0, 1)}


def test_a_window_that_changed_is_replaced_as_a_whole(bill):
    read(bill)
    at = datetime(2026, 11, 9, 3, tzinfo=UTC)
    before = BilledLine.objects.filter(start=at).count()
    bill.simulator.admin(
        "POST", "/bill/lines", attributes={"session_id": "s-1"}, cost="2.5", at="2026-11-09T03:20:00Z"
    )
    bill.now += timedelta(minutes=20)

    changed = read(bill)

    assert changed == {at}
    assert BilledLine.objects.filter(start=at).count() == before + 1
    line = BilledLine.objects.get(start=at, attributes__session_id="s-1")
    assert (line.meter.kind, line.meter.remote_id, line.match) == (
        "other",
        "session_id:s-1",
        "session_id s-1",
    )


def test_a_bill_that_is_not_open_is_a_state_and_is_asked_for_once_a_day(bill):
    bill.simulator.admin("PATCH", "/world", usage_enabled=False)
    read(bill)
    bill.simulator.admin("DELETE", "/requests")

    bill.now += timedelta(hours=23)
    read(bill)

    assert reading(bill, NOVEMBER).state == "not-offered"
    assert BillReading.objects.count() == 1
    assert bill.simulator.admin("GET", "/requests?path=/v1/billing/usage") == []

    bill.simulator.admin("PATCH", "/world", usage_enabled=True)
    bill.now += timedelta(hours=2)
    read(bill)
    assert reading(bill, NOVEMBER).state == "read"


@pytest.mark.parametrize(
    ("kind", "word"), [("forbidden", "403"), ("rate_limit", "429"), ("server_error", "5")]
)
def test_a_refusal_is_kept_with_its_reason_and_what_was_read_stays(bill, kind, word):
    read(bill)
    lines = BilledLine.objects.count()
    bill.break_with(kind, route="/v1/billing/usage")
    bill.now += timedelta(minutes=20)

    read(bill)

    row = reading(bill, NOVEMBER)
    assert row.state == "failed"
    assert word in row.error
    assert row.succeeded_at == row.read_at - timedelta(minutes=20)
    assert BilledLine.objects.count() == lines


def test_a_window_that_cannot_be_read_costs_itself(bill):
    bill.break_with("malformed_item", route="/v1/billing/usage")

    read(bill)

    row = reading(bill, NOVEMBER)
    assert row.state == "read"
    assert row.malformed > 0
    assert MalformedPayload.objects.filter(resource="billing-usage").count() > 0
    assert BilledLine.objects.count() > 100


def test_lines_find_the_meters_of_the_mirror_and_the_rest_get_their_own(bill):
    bill.sync_catalogue()
    bill.sync_endpoints()
    for group in ("clusters", "volumes", "containers", "rl", "fine_tunes", "batches", "evaluations"):
        bill.sync_group(group)
    ensure_meters(bill.connection, now=bill.now)

    read(bill)

    kinds = set(BilledLine.objects.values_list("meter__kind", flat=True))
    assert {MeterKind.DEPLOYMENT, MeterKind.CLUSTER, MeterKind.VOLUME, MeterKind.CONTAINER} <= kinds
    mirrored = Meter.objects.filter(kind="deployment").exclude(deployment=None)
    assert mirrored.filter(billed_lines__match__startswith="deployment_id").exists()
    assert not BilledLine.objects.filter(meter=None).exists()


def test_what_the_mirror_learns_later_is_matched_again(bill):
    read(bill)
    bill.sync_catalogue()
    bill.sync_endpoints()
    ensure_meters(bill.connection, now=bill.now)
    meter = Meter.objects.filter(kind="deployment", deployment__generation="v2", billed_lines__gt=0).first()
    # As if the bill had named the endpoint alone, before anybody knew of its deployment.
    stray = ensure_bill_meter(
        meter.billing_account_id,
        kind="deployment",
        remote_id=meter.endpoint.remote_id,
        name="",
        connection=None,
    )
    line = BilledLine.objects.filter(meter=meter).first()
    line.attributes = {"endpoint_id": meter.endpoint.remote_id}
    line.meter = stray
    line.save()

    changed = bill_store.match_again(bill.connection, now=bill.now)

    line.refresh_from_db()
    assert changed == {line.start}
    assert (line.meter, line.match) == (
        meter,
        f"endpoint_id {meter.endpoint.remote_id}, which has one deployment",
    )


def test_the_bill_is_complete_through_the_last_full_hour(bill):
    read(bill)

    covered = bill_source.load_coverage(bill.connection.organization_id)

    assert covered[-1].end == datetime(2026, 11, 10, 0, tzinfo=UTC)
    assert covered[-1].granularity == "hour"


def test_a_bill_without_hours_is_read_by_the_day_and_compared_by_days_of_utc(bill):
    bill.simulator.admin("PATCH", "/world", usage_hourly=False)
    read(bill)

    row = reading(bill, NOVEMBER)
    assert (row.state, row.granularity) == ("read", "day")
    assert set(BilledLine.objects.values_list("granularity", flat=True)) == {"day"}
    days = BilledLine.objects.filter(start=datetime(2026, 11, 8, tzinfo=UTC))
    told = sum((one.cost for one in days), Decimal(0))
    start, end = datetime(2026, 11, 8, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    assert abs(told - truth(bill, start, end)) < Decimal("1e-6")

    BillingRules.objects.create(pk=1, reporting_zone="America/New_York")
    agreements.reconcile(bill.connection.organization_id, now=bill.now)
    compared = AgreementDay.objects.filter(meter=None, day=date(2026, 11, 8)).get()
    assert (compared.start, compared.end, compared.zone) == (start, end, "UTC")
    total = sum((one.billed or 0 for one in AgreementDay.objects.filter(day=date(2026, 11, 8))), Decimal(0))
    assert total == told * 10**9 * 3_600_000_000

    bill.now += timedelta(minutes=20)
    assert read(bill) == set()
    assert reading(bill, NOVEMBER).state == "read"

    # Hours that are offered later take the place of the days.
    bill.simulator.admin("PATCH", "/world", usage_hourly=True)
    bill.now += timedelta(minutes=20)
    read(bill)
    assert set(BilledLine.objects.values_list("granularity", flat=True)) == {"hour"}
    assert BillReading.objects.filter(month=NOVEMBER).count() == 1


def test_a_cursor_that_grew_old_begins_the_month_again(bill):
    read(bill)
    BillReading.objects.update(cursor="bm90LWEtY3Vyc29y")
    bill.now += timedelta(minutes=20)

    assert read(bill) == set()

    row = reading(bill, NOVEMBER)
    assert (row.state, row.whole_at) == ("read", bill.now)
