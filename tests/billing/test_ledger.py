"""Meters, intervals and journal in the database: what a pass writes, and what it leaves alone."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from billing import deployment_source, passes, tasks
from billing.deployment_source import meter_deployments
from billing.ledger import NEWLY_PRICED, Gathered, PostingResult, post_all, post_spans
from billing.metering import SpanDraft, free
from billing.meters import ensure_bill_meter, ensure_meters
from billing.models import (
    BilledLine,
    BillReading,
    LedgerEntry,
    Meter,
    MeteredInterval,
    MeterKind,
    PriceEntry,
    SightGap,
)
from billing.verification import Scope, verify
from dashboard.accounts.models import Connection
from dashboard.core.locks import Lock
from dashboard.mirror.models import Deployment, EventCursor, Source, StateChange
from tests import cost_factories, factories
from tests.factories import H100_NANO_USD_PER_HOUR, NOW

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def bills(start: datetime, end: datetime | None, *, units: int = 1, nano: int = 5_490_000_000) -> SpanDraft:
    return SpanDraft(
        start, end, "bills", "event", units_low=units, units_high=units, sku="v2/1xnvidia-h100-80gb",
        nano_usd_per_hour=nano, list_nano_usd_per_hour=nano, rate_low=units * nano, rate_high=units * nano,
    )  # fmt: skip


def assert_whole() -> None:
    assert [(one.name, one.findings) for one in verify(Scope()) if one.count] == []


@pytest.fixture
def deployment() -> Deployment:
    """Return a v2 deployment that was made two hours ago, ready since ten minutes after, its feed read until now."""
    row = factories.make_deployment(
        remote_created_at=NOW - 2 * HOUR, state_since=NOW - 2 * HOUR + 10 * MINUTE
    )
    price(row)
    add_event(row, NOW - 2 * HOUR, "PROVISIONING", 0)
    EventCursor.objects.create(endpoint=row.endpoint, read_until=NOW)
    look(row.connection, NOW - MINUTE)
    return row


def price(deployment: Deployment) -> None:
    PriceEntry.objects.create(
        sku=f"v2/{deployment.hardware}",
        nano_usd=H100_NANO_USD_PER_HOUR,
        valid_from=NOW - timedelta(days=90),
        note="contract",
    )


def add_event(deployment: Deployment, at: datetime, state: str, ready: int) -> StateChange:
    return StateChange.objects.create(
        deployment=deployment,
        at=at,
        state=f"DEPLOYMENT_STATE_{state}",
        ready_replicas=ready,
        hardware=deployment.hardware,
        source=Source.EVENT,
        event_id=f"evt_{state}_{at.isoformat()}",
    )


def look(connection: Connection, *times: datetime) -> None:
    for at in times:
        factories.make_sync_run(connection=connection, started_at=at, finished_at=at)


def read_feed(deployment: Deployment, until: datetime) -> None:
    EventCursor.objects.filter(endpoint=deployment.endpoint).update(read_until=until)


def tell(meter: Meter) -> list[tuple[datetime, datetime | None, str, bool]]:
    rows = meter.intervals.order_by("start")
    return [(row.start, row.end, row.condition, row.is_settled) for row in rows]


def test_a_first_pass_fills_the_past_from_the_events(deployment: Deployment) -> None:
    result = meter_deployments(deployment.connection, now=NOW)

    meter = Meter.objects.get(deployment=deployment)
    ready = NOW - 2 * HOUR + 10 * MINUTE
    assert tell(meter) == [(NOW - 2 * HOUR, ready, "free", True), (ready, None, "bills", False)]
    assert (meter.metered_from, meter.sku, meter.kind) == (
        NOW - 2 * HOUR,
        f"v2/{deployment.hardware}",
        MeterKind.DEPLOYMENT,
    )
    assert (result.inserted, result.charged) == (2, 0)
    assert_whole()


def test_a_second_pass_over_the_same_writes_nothing(deployment: Deployment) -> None:
    meter_deployments(deployment.connection, now=NOW)

    assert meter_deployments(deployment.connection, now=NOW + MINUTE).is_nothing


def test_what_stands_still_is_not_even_read(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    meter_deployments(deployment.connection, now=NOW)
    StateChange.objects.update(recorded_at=NOW - HOUR)
    asked: list[object] = []
    original = deployment_source.load_lives
    monkeypatch.setattr(
        deployment_source, "load_lives", lambda *args, **more: asked.append(args) or original(*args, **more)
    )

    meter_deployments(deployment.connection, now=NOW + MINUTE)

    assert not asked


def test_a_pass_asks_as_many_queries_for_thirty_meters_as_for_three() -> None:
    def count(connection: Connection) -> int:
        with CaptureQueriesContext(database) as captured:
            meter_deployments(connection, now=NOW)
        return len(captured)

    few = factories.make_endpoint()
    for _ in range(3):
        factories.make_deployment(endpoint=few)
    first = count(few.connection)
    many = factories.make_endpoint()
    for _ in range(30):
        factories.make_deployment(endpoint=many)

    assert count(many.connection) == first


def test_an_interval_that_ended_is_posted_once_the_feed_was_read_past_it(deployment: Deployment) -> None:
    stopped = NOW - 20 * MINUTE
    add_event(deployment, stopped, "STOPPED", 0)
    read_feed(deployment, stopped + MINUTE)
    meter_deployments(deployment.connection, now=NOW)
    assert not LedgerEntry.objects.exists()

    read_feed(deployment, NOW + 2 * HOUR)
    look(deployment.connection, *(NOW + minute * MINUTE for minute in range(121)))
    meter_deployments(deployment.connection, now=NOW + 2 * HOUR)

    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.start, entry.end) == ("charge", NOW - 110 * MINUTE, stopped)
    assert entry.rate_low == H100_NANO_USD_PER_HOUR
    assert_whole()


def test_an_event_that_comes_after_posting_is_a_reversal_and_a_correction(deployment: Deployment) -> None:
    stopped = NOW - 90 * MINUTE
    add_event(deployment, stopped, "STOPPED", 0)
    meter_deployments(deployment.connection, now=NOW)
    before = LedgerEntry.objects.get()

    add_event(deployment, stopped - 5 * MINUTE, "DEGRADED", 2)
    meter_deployments(deployment.connection, now=NOW + MINUTE)

    reversal = LedgerEntry.objects.get(kind="reversal")
    corrections = LedgerEntry.objects.filter(kind="correction").order_by("start")
    assert (reversal.reverses, reversal.start, reversal.end) == (before, before.start, before.end)
    assert [(one.start, one.end, one.units_low) for one in corrections] == [
        (before.start, stopped - 5 * MINUTE, 1),
        (stopped - 5 * MINUTE, stopped, 2),
    ]
    assert all(one.reason for one in [reversal, *corrections])
    assert meter_deployments(deployment.connection, now=NOW + MINUTE).is_nothing
    assert_whole()


def test_nobody_looking_becomes_a_row_and_looking_again_ends_it() -> None:
    v1 = factories.make_v1_endpoint(remote_created_at=NOW - 2 * HOUR)
    look(v1.connection, NOW - MINUTE)
    meter_deployments(v1.connection, now=NOW)
    meter = Meter.objects.get(deployment=v1)
    assert tell(meter)[-1][2] == "bills"

    meter_deployments(v1.connection, now=NOW + 10 * MINUTE)
    assert tell(meter)[-1][:3] == (NOW - MINUTE, None, "unknown")

    look(v1.connection, NOW + 20 * MINUTE)
    meter_deployments(v1.connection, now=NOW + 21 * MINUTE)

    assert [(start, condition) for start, _, condition, _ in tell(meter)[-3:]] == [
        (NOW - 2 * HOUR, "bills"),
        (NOW - MINUTE, "unknown"),
        (NOW + 20 * MINUTE, "bills"),
    ]
    gap = SightGap.objects.get()
    assert (gap.start, gap.end) == (NOW - MINUTE, NOW + 20 * MINUTE)
    assert_whole()


def test_the_feed_read_later_fills_what_nobody_looked_at(deployment: Deployment) -> None:
    meter_deployments(deployment.connection, now=NOW)
    meter = Meter.objects.get(deployment=deployment)
    meter_deployments(deployment.connection, now=NOW + 30 * MINUTE)
    assert tell(meter)[-1][2] == "unknown"

    add_event(deployment, NOW + 10 * MINUTE, "STOPPED", 0)
    read_feed(deployment, NOW + 40 * MINUTE)
    look(deployment.connection, NOW + 40 * MINUTE)
    meter_deployments(deployment.connection, now=NOW + 40 * MINUTE)

    assert [one[2] for one in tell(meter)] == ["free", "bills", "free"]
    assert tell(meter)[1][1] == NOW + 10 * MINUTE


def test_the_feed_that_comes_back_after_days_corrects_what_was_posted_as_unknown(
    deployment: Deployment,
) -> None:
    meter_deployments(deployment.connection, now=NOW)
    meter = Meter.objects.get(deployment=deployment)
    look(deployment.connection, *(NOW + 60 * MINUTE + minute * MINUTE for minute in range(3 * 24 * 60)))
    later = NOW + timedelta(days=3)
    meter_deployments(deployment.connection, now=later)
    assert [start for start, _, condition, _ in tell(meter) if condition == "unknown"] == [NOW]
    assert LedgerEntry.objects.filter(condition="unknown", kind="charge").count() == 1

    read_feed(deployment, later)
    meter_deployments(deployment.connection, now=later + MINUTE)

    assert {condition for _, _, condition, _ in tell(meter)} == {"free", "bills"}
    assert LedgerEntry.objects.filter(condition="unknown", kind="reversal").count() == 1
    assert meter_deployments(deployment.connection, now=later + MINUTE).is_nothing
    assert_whole()


def test_the_bill_tells_the_hours_before_the_first_look() -> None:
    v1 = factories.make_v1_endpoint(remote_created_at=NOW - 5 * HOUR)
    StateChange.objects.update(source=Source.POLL, event_id="", at=NOW - HOUR, not_before=NOW - 5 * HOUR)
    look(v1.connection, NOW - MINUTE)
    meter_deployments(v1.connection, now=NOW)
    meter = Meter.objects.get(deployment=v1)
    assert [(start, condition) for start, _, condition, _ in tell(meter)] == [
        (NOW - 5 * HOUR, "unknown"),
        (NOW - HOUR, "bills"),
    ]

    bill(meter, NOW - 4 * HOUR, NOW - 3 * HOUR, "5.40")
    bill(meter, NOW - 2 * HOUR, NOW - HOUR, "5.40")
    look(v1.connection, NOW)
    meter_deployments(v1.connection, now=NOW + MINUTE)

    rows = meter.intervals.order_by("start").values_list("start", "condition", "source", "rate_low")
    assert list(rows)[:4] == [
        (NOW - 5 * HOUR, "unknown", "estimate", 0),
        (NOW - 4 * HOUR, "bills", "bill", 5_400_000_000),
        (NOW - 3 * HOUR, "free", "bill", 0),
        (NOW - 2 * HOUR, "bills", "bill", 5_400_000_000),
    ]
    assert meter_deployments(v1.connection, now=NOW + MINUTE).is_nothing
    assert_whole()


def bill(meter: Meter, start: datetime, end: datetime, cost: str) -> None:
    """Write an hour of the bill and say that the month was read."""
    BilledLine.objects.create(
        billing_account_id=meter.billing_account_id, granularity="hour", start=start, end=end, position=0,
        product_name="Dedicated endpoint", cost=Decimal(cost), meter=meter, observed_at=NOW,
    )  # fmt: skip
    BillReading.objects.update_or_create(
        connection=meter.connection, month=NOW.date().replace(day=1), granularity="hour",
        defaults={
            "state": "read", "read_at": NOW, "succeeded_at": NOW, "changed_at": NOW + timedelta(seconds=1),
            "latest_window_end": NOW,
        },
    )  # fmt: skip


def test_an_open_interval_is_cut_at_midnight(deployment: Deployment) -> None:
    meter_deployments(deployment.connection, now=NOW)
    midnight = NOW.replace(hour=0, minute=0) + timedelta(days=1)
    look(deployment.connection, *(NOW + minute * MINUTE for minute in range(24 * 60)))
    read_feed(deployment, midnight + HOUR)

    meter_deployments(deployment.connection, now=midnight + HOUR)

    meter = Meter.objects.get(deployment=deployment)
    assert [start for start, _, condition, _ in tell(meter) if condition == "bills"][-1] == midnight
    assert_whole()


def test_a_price_that_changes_cuts_the_open_interval_and_leaves_the_past(deployment: Deployment) -> None:
    meter_deployments(deployment.connection, now=NOW)
    entry = PriceEntry.objects.get()
    PriceEntry.objects.filter(pk=entry.pk).update(valid_until=NOW)
    PriceEntry.objects.create(sku=entry.sku, nano_usd=7_000_000_000, valid_from=NOW, note="new contract")

    meter_deployments(deployment.connection, now=NOW + MINUTE)

    rows = MeteredInterval.objects.filter(condition="bills").order_by("start")
    assert [(row.start, row.nano_usd_per_hour) for row in rows] == [
        (NOW - 110 * MINUTE, H100_NANO_USD_PER_HOUR),
        (NOW, 7_000_000_000),
    ]


def test_a_price_entered_for_a_posted_past_without_one_corrects_it() -> None:
    row = factories.make_deployment(
        remote_created_at=NOW - 3 * HOUR, state_since=NOW - 3 * HOUR, nano_usd_per_hour=None
    )
    add_event(row, NOW - 2 * HOUR, "STOPPED", 0)
    EventCursor.objects.create(endpoint=row.endpoint, read_until=NOW)
    look(row.connection, NOW - MINUTE)
    meter_deployments(row.connection, now=NOW)
    assert LedgerEntry.objects.get().nano_usd_per_hour is None

    price(row)
    meter_deployments(row.connection, now=NOW + MINUTE)

    assert list(LedgerEntry.objects.order_by("id").values_list("kind", "nano_usd_per_hour")) == [
        ("charge", None),
        ("reversal", None),
        ("correction", H100_NANO_USD_PER_HOUR),
    ]
    assert set(LedgerEntry.objects.exclude(kind="charge").values_list("reason", flat=True)) == {NEWLY_PRICED}
    assert_whole()


def test_a_deployment_that_vanished_ends_within_the_bound_of_its_absence(deployment: Deployment) -> None:
    StateChange.objects.create(
        deployment=deployment, at=NOW, not_before=NOW - 30 * timedelta(seconds=1), state="ABSENT",
        ready_replicas=0, source=Source.POLL,
    )  # fmt: skip

    meter_deployments(deployment.connection, now=NOW + MINUTE)

    last = MeteredInterval.objects.get(condition="bills")
    assert (last.end, last.end_earliest, last.end_latest) == (
        NOW - timedelta(seconds=15),
        NOW - timedelta(seconds=30),
        NOW,
    )


def test_a_meter_that_cannot_be_posted_is_noted_and_stops_nobody() -> None:
    good, bad = cost_factories.make_meter(metered_from=None), cost_factories.make_meter(metered_from=None)
    hole = [free(NOW - 2 * HOUR, NOW - HOUR, state="", source="event"), bills(NOW, None)]

    result = post_all(
        [
            Gathered(bad, hole, NOW - 2 * HOUR, NOW),
            Gathered(good, [bills(NOW - HOUR, None)], NOW - HOUR, NOW),
        ],
        now=NOW,
    )

    bad.refresh_from_db()
    assert result == PostingResult(inserted=1, failed=1)
    assert "expected" in bad.problem
    assert not bad.intervals.exists()
    assert good.intervals.count() == 1


def test_posting_by_hand_is_idempotent_and_moves_what_the_meter_says() -> None:
    meter = cost_factories.make_meter(metered_from=None)
    spans = [bills(NOW - 2 * HOUR, NOW - HOUR), bills(NOW - HOUR, None, units=2)]

    first = post_spans(meter, spans, since=NOW - 2 * HOUR, settled_until=NOW, now=NOW)
    second = post_spans(meter, spans, since=NOW - 2 * HOUR, settled_until=NOW, now=NOW)

    meter.refresh_from_db()
    assert (first.inserted, first.charged, second.is_nothing) == (2, 1, True)
    assert (meter.metered_from, meter.settled_until) == (NOW - 2 * HOUR, NOW)


def test_what_is_taken_back_and_posted_again_keeps_every_entry() -> None:
    meter = cost_factories.make_meter(metered_from=None)
    start = NOW - 2 * HOUR
    for units in (1, 2, 1, 2):
        spans = [bills(start, NOW - HOUR, units=units), free(NOW - HOUR, None, state="", source="event")]
        post_spans(meter, spans, since=start, settled_until=NOW, now=NOW)

    assert LedgerEntry.objects.filter(kind="reversal").count() == 3
    assert LedgerEntry.objects.exclude(kind="reversal").count() == 4
    assert_whole()


def test_meters_follow_the_mirror_and_outlive_it(deployment: Deployment) -> None:
    connection = deployment.connection
    ensure_meters(connection, now=NOW)
    Deployment.objects.filter(pk=deployment.pk).update(name="renamed")

    ensure_meters(connection, now=NOW)
    meter = Meter.objects.get()
    assert (meter.name, meter.deployment_id) == ("renamed", deployment.pk)

    deployment.delete()
    meter.refresh_from_db()
    assert (meter.name, meter.deployment_id) == ("renamed", None)
    assert list(ensure_meters(connection, now=NOW)) == [("deployment", meter.remote_id)]


def test_meters_made_before_the_organisation_was_known_are_given_to_it(deployment: Deployment) -> None:
    Connection.objects.filter(pk=deployment.connection_id).update(organization_id="")
    ensure_meters(Connection.objects.get(), now=NOW)
    assert Meter.objects.get().billing_account_id.startswith("connection-")

    Connection.objects.update(organization_id="org_1")
    ensure_meters(Connection.objects.get(), now=NOW)

    assert Meter.objects.get().billing_account_id == "org_1"


def test_a_meter_of_the_bill_is_made_once() -> None:
    made = [
        ensure_bill_meter("org_1", kind=MeterKind.SERVERLESS, remote_id="p/m", name="m", connection=None)
        for _ in range(2)
    ]

    assert made[0].pk == made[1].pk


def test_the_task_meters_every_connection(deployment: Deployment) -> None:
    tasks.meter()

    assert MeteredInterval.objects.filter(meter__deployment=deployment, condition="bills").exists()


def test_open_pages_hear_of_a_pass_that_wrote_something(deployment: Deployment) -> None:
    def list_notices() -> list[str]:
        with CaptureQueriesContext(database) as queries:
            tasks.meter()
        return [query["sql"] for query in queries if "pg_notify" in query["sql"]]

    first, second = list_notices(), list_notices()

    assert len(first) == 1
    assert '"billing"' in first[0]
    assert second == []


def test_what_a_disabled_connection_looked_at_becomes_unknown(deployment: Deployment) -> None:
    connection = deployment.connection
    passes.meter_connection(connection, now=NOW)
    Connection.objects.update(is_enabled=False)
    connection.refresh_from_db()

    passes.meter_connection(connection, now=NOW + HOUR)

    assert tell(Meter.objects.get())[-1][:3] == (NOW, None, "unknown")
    assert passes.meter_connection(connection, now=NOW + 2 * HOUR) == PostingResult()


def test_what_ran_when_its_connection_was_removed_is_not_charged_for_ever(deployment: Deployment) -> None:
    meter_deployments(deployment.connection, now=NOW)
    deployment.connection.delete()

    passes.end_orphans(now=NOW + MINUTE)

    meter = Meter.objects.get()
    assert [(end, condition) for _, end, condition, _ in tell(meter)][-2:] == [
        (NOW + MINUTE, "bills"),
        (None, "unknown"),
    ]
    assert passes.end_orphans(now=NOW + 2 * MINUTE).is_nothing
    assert_whole()


def test_a_pass_that_is_under_way_elsewhere_is_not_begun_twice(deployment: Deployment) -> None:
    other = database.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [Lock.METERING.value, deployment.connection_id])
            assert passes.meter_connection(deployment.connection, now=NOW) is None
    finally:
        other.close()

    assert not Meter.objects.exists()
