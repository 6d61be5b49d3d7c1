"""A gap that stays unexplained is told once: in the audit trail, by mail, above the pages."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing import bill_alerts
from billing.agreement_days import AgreementPeriod
from billing.agreements import Reckoned
from billing.models import BillAlert
from billing.reconciliation import TICKS_PER_USD, Cause, DayAgreement
from dashboard.accounts.models import AuditEvent
from tests import factories
from tests.cost_factories import ORGANISATION

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 19)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


def day(dollars: int, *, on: date = DAY, other: int = 0) -> Reckoned:
    start = datetime(on.year, on.month, on.day, tzinfo=UTC)

    def agreement(amount: int) -> DayAgreement:
        causes = {Cause.UNEXPLAINED: amount * TICKS_PER_USD} if amount else {}
        return DayAgreement(0, 0, 0, amount * TICKS_PER_USD, {}, causes)

    period = AgreementPeriod(on, "UTC", start, start + timedelta(days=1), HOUR)
    return Reckoned(period, {None: agreement(0), 1: agreement(dollars), 2: agreement(other)})


def judge(*days: Reckoned, now: datetime = NOW) -> list[BillAlert]:
    return bill_alerts.judge_days(ORGANISATION, days, now=now)


@pytest.mark.usefixtures("operator")
def test_a_gap_that_stays_is_told_to_those_who_manage_costs(finance, admin, mailoutbox):
    judge(day(6))
    assert bill_alerts.read_notice() is None

    judge(day(6), now=NOW + HOUR)

    assert [mail.to for mail in mailoutbox] == [[finance.email], [admin.email]]

    alert = BillAlert.objects.get()
    assert (alert.day, alert.unexplained_nano_usd, alert.mailed_at) == (DAY, 6_000_000_000, NOW + HOUR)
    assert (
        AuditEvent.objects.filter(
            action="bill.gap_unexplained", target_label="bill of 19 November 2026"
        ).count()
        == 1
    )
    notice = bill_alerts.read_notice()
    assert notice is not None
    assert (notice.count, notice.day, notice.nano) == (1, DAY, 6_000_000_000)


@pytest.mark.usefixtures("finance", "operator")
def test_a_mail_names_the_days_and_the_amounts(monkeypatch):
    sent = []
    monkeypatch.setattr(bill_alerts, "send_mail", lambda *given: sent.append(given))
    judge(day(6), day(7, on=date(2026, 11, 18)))

    judge(day(6), day(7, on=date(2026, 11, 18)), now=NOW + HOUR)
    judge(day(6), day(9, on=date(2026, 11, 17)), now=NOW + 3 * HOUR)

    assert len(sent) == 1
    subject, body, _, to = sent[0]
    assert subject == "Bill: $13.00 unexplained"
    assert "18 November 2026: $7.00 unexplained\n19 November 2026: $6.00 unexplained" in body
    assert len(to) == 1


def test_the_next_mail_goes_a_day_later_with_what_came_meanwhile(finance, monkeypatch):
    sent = []
    monkeypatch.setattr(bill_alerts, "send_mail", lambda *given: sent.append(given[0]))
    judge(day(6))
    judge(now=NOW + HOUR)
    judge(day(9, on=date(2026, 11, 18)), now=NOW + 2 * HOUR)

    judge(now=NOW + 24 * HOUR)
    judge(now=NOW + 25 * HOUR)
    judge(now=NOW + 50 * HOUR)

    assert sent == ["Bill: $6.00 unexplained", "Bill: $9.00 unexplained"]


CASES = [
    ("at the limit", day(5), NOW, False),
    ("above it", day(6), NOW, True),
    ("too much here does not excuse too little there", day(3, other=-3), NOW, True),
    ("a day that is not over", day(6, on=NOW.date()), NOW, False),
    ("a day that has just ended", day(6), datetime(2026, 11, 20, 1, tzinfo=UTC), False),
]


@pytest.mark.parametrize(("told", "now", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_only_a_day_that_is_over_and_above_the_limit_alerts(told, now, expected):
    assert bool(judge(told, now=now)) is expected
    assert BillAlert.objects.exists() is expected


def test_what_is_explained_meanwhile_is_never_told(finance, monkeypatch):
    monkeypatch.setattr(bill_alerts, "send_mail", lambda *given: pytest.fail("nobody should be told"))
    judge(day(6))

    judge(day(0), now=NOW + HOUR)
    judge(now=NOW + 2 * HOUR)

    assert BillAlert.objects.get().resolved_at == NOW + HOUR
    assert not AuditEvent.objects.exists()
    assert bill_alerts.read_notice() is None


@pytest.mark.usefixtures("finance")
def test_what_was_told_and_is_explained_later_is_recorded():
    judge(day(6))
    judge(now=NOW + HOUR)

    judge(day(1), now=NOW + 5 * HOUR)

    assert AuditEvent.objects.filter(action="bill.gap_explained").count() == 1


def test_days_far_back_are_told_above_pages_for_a_week_only():
    BillAlert.objects.create(
        billing_account_id=ORGANISATION, day=DAY, unexplained_nano_usd=9, raised_at=NOW - timedelta(days=8)
    )

    judge()

    assert bill_alerts.read_notice() is None


def test_nobody_to_tell_loses_nothing():
    factories.make_viewer()
    judge(day(6))

    judge(now=NOW + HOUR)

    assert BillAlert.objects.get().mailed_at == NOW + HOUR
