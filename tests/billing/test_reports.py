"""Scheduled reports: claimed, sent, tried again, told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.core import mail, signing
from django.db import connection

from billing import reports
from billing.costs import CostFilters
from billing.exports.formats import FileType, Format
from billing.models import ReportDelivery, ReportSchedule
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.webhooks.posting import post
from tests import factories
from tests.cost_factories import make_interval, make_meter
from tests.webhooks.receiver import Receiver, receive, resolve

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
DUE = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
ACTOR = Actor.for_process("test")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def outbox(settings, mailoutbox):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    return mailoutbox


def _plan(**changes) -> reports.ReportPlan:
    defaults = {
        "name": "Yesterday",
        "format": Format.DAYS,
        "frequency": "daily",
        "recipients": ("books@example.com", "ines@example.com"),
        "site": "https://desk.example.com/",
    }
    return reports.ReportPlan(**(defaults | changes))


def _add(**changes) -> ReportSchedule:
    return reports.add_schedule(_plan(**changes), actor=ACTOR, now=NOW)[0]


def _send(receiver: Receiver | None = None, *, now: datetime = DUE) -> int:
    tls = receiver.tls if receiver else None
    return reports.send_due(now=now, send=partial(post, allow_private=True, resolve=resolve, tls=tls))


def _outcomes() -> list[tuple[str, str]]:
    return list(ReportDelivery.objects.order_by("pk").values_list("outcome", "detail"))


def test_nothing_goes_out_before_its_time(outbox):
    schedule = _add()

    assert (schedule.due_at, _send(now=DUE - timedelta(seconds=1)), outbox) == (DUE, 0, [])


def test_a_mail_holds_a_link_and_no_figures_of_others(outbox):
    schedule = _add()
    meter = make_meter()
    make_interval(meter, start=DUE - timedelta(hours=20), end=DUE - timedelta(hours=19))

    assert _send() == 1

    letter = outbox[0]
    assert (letter.bcc, letter.to, letter.attachments) == (["books@example.com", "ines@example.com"], [], [])
    assert "costs-days-2026-11-19-2026-11-19.csv\n$5.40" in letter.body
    link = next(line for line in letter.body.splitlines() if line.startswith("https://"))
    opened = reports.open_link(link.split("/")[-2])
    assert opened is not None
    assert (opened[0], opened[1].start) == (schedule, datetime(2026, 11, 19, tzinfo=UTC))
    schedule.refresh_from_db()
    assert schedule.due_at == DUE + timedelta(days=1)
    assert _outcomes() == [("sent", "Mailed to 2.")]
    assert _send() == 0


def test_a_webhook_gets_the_file(receiver):
    _add(recipients=(), webhook_url=receiver.url, format=Format.FOCUS_1_2)
    make_interval(make_meter(), start=DUE - timedelta(hours=20), end=DUE - timedelta(hours=19))

    _send(receiver)

    assert receiver.bodies[0].startswith(b"BilledCost,BillingAccountId")
    assert b"\r\n5.4," in receiver.bodies[0]
    assert (
        'filename="costs-focus-1.2-estimate-2026-11-19-2026-11-19.csv"'
        in receiver.headers[0]["Content-Disposition"]
    )
    assert _outcomes() == [("sent", "Posted to hooks.example.com.")]


def test_a_file_that_is_too_large_is_told_as_a_link(receiver, monkeypatch):
    monkeypatch.setattr(reports, "LARGEST_POSTED", 10)
    _add(recipients=(), webhook_url=receiver.url)

    _send(receiver)

    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert b'"link": "https://desk.example.com/costs/reports/file/' in receiver.bodies[0]


def test_a_webhook_is_tried_three_times_and_people_get_one_mail(receiver, outbox):
    receiver.statuses = [503]
    schedule = _add(webhook_url=receiver.url)

    now = DUE
    for _ in range(3):
        assert _send(receiver, now=now) == 1
        assert _send(receiver, now=now) == 0
        schedule.refresh_from_db()
        now = schedule.due_at

    assert [outcome for outcome, _ in _outcomes()] == ["failed"] * 3
    assert _outcomes()[0][1] == "Mailed to 2. hooks.example.com answered with status 503."
    deliveries = ReportDelivery.objects.order_by("pk")
    assert [one.retry_at and one.retry_at - one.at for one in deliveries] == [
        timedelta(minutes=1),
        timedelta(minutes=10),
        None,
    ]
    assert (len(outbox), now) == (1, DUE + timedelta(days=1))


def test_a_try_after_midnight_is_of_the_same_day(receiver):
    receiver.statuses = [500, 200]
    schedule = _add(recipients=(), webhook_url=receiver.url)
    late = datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC)

    _send(receiver, now=late)
    _send(receiver, now=late + timedelta(minutes=1))

    assert set(schedule.deliveries.values_list("period_start", flat=True)) == {
        datetime(2026, 11, 19, tzinfo=UTC)
    }
    assert [outcome for outcome, _ in _outcomes()] == ["failed", "sent"]


def test_what_is_refused_is_not_tried_again(receiver):
    receiver.statuses = [404]
    schedule = _add(recipients=(), webhook_url=receiver.url)

    _send(receiver)

    schedule.refresh_from_db()
    assert schedule.due_at == DUE + timedelta(days=1)
    assert ReportDelivery.objects.get().retry_at is None


def test_the_address_of_a_webhook_is_sealed_and_not_in_the_audit_trail(receiver):
    schedule, secret = reports.add_schedule(_plan(webhook_url=receiver.url), actor=ACTOR, now=NOW)

    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM billing_reportschedule t")
        row = cursor.fetchone()[0]
    told = str(AuditEvent.objects.get(action="report.scheduled").detail)
    assert "key=secret" not in row + told
    assert secret not in row + told
    assert schedule.webhook_host == "hooks.example.com"


def test_a_disabled_schedule_rests_and_what_was_missed_is_not_sent():
    schedule = _add()
    reports.set_enabled(schedule, is_enabled=False, actor=ACTOR, now=NOW)

    assert _send(now=DUE + timedelta(days=3)) == 0

    reports.set_enabled(schedule, is_enabled=True, actor=ACTOR, now=DUE + timedelta(days=3))
    assert _send(now=DUE + timedelta(days=3)) == 0


def test_run_now_goes_out_with_the_next_pass():
    schedule = _add()

    reports.request_run(schedule, actor=ACTOR, now=NOW)

    assert _send(now=NOW) == 1
    assert AuditEvent.objects.filter(action="report.run_requested").exists()


def test_filters_and_file_are_kept():
    filters = CostFilters(teams=frozenset({"7", ""}), tags=frozenset({"env=prod"}))
    schedule = _add(filters=filters, file_type=FileType.PARQUET)
    person = factories.make_viewer()

    order = reports.make_order(
        ReportSchedule.objects.get(pk=schedule.pk),
        reports.last_complete("daily", now=NOW, zone=UTC),
        zone=UTC,
        user=person,
    )

    assert (order.wanted.filters, order.file_type, order.wanted.user) == (filters, FileType.PARQUET, person)


def test_a_forged_link_opens_nothing():
    schedule = _add()

    assert reports.open_link(signing.dumps([schedule.pk, "2026-11-19", "2026-11-20"], salt="other")) is None
    assert mail.outbox == []
