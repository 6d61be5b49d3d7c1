"""Scheduled reports as pages: adding, running, resting, deleting, and the link of a mail."""

from datetime import UTC, datetime, timedelta

import pytest

from billing import reports
from billing.exports.formats import Format
from billing.models import ReportDelivery, ReportSchedule
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.core.periods import Period
from tests import factories
from tests.conftest import sign_in
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen")]
FORM = {
    "name": "Month for the books",
    "frequency": "monthly",
    "format": "focus-1.2",
    "file": "csv",
    "basis": "estimate",
    "grain": "day",
    "recipients": "books@example.com, ines@example.com\nbooks@example.com",
}


@pytest.fixture
def finance():
    return sign_in(factories.make_finance())


@pytest.fixture
def schedule() -> ReportSchedule:
    plan = reports.ReportPlan(
        name="Daily", format=Format.DAYS, frequency="daily", recipients=("books@example.com",)
    )
    return reports.add_schedule(plan, actor=Actor.for_process("test"), now=NOW)[0]


def test_a_report_is_scheduled_with_the_filters_of_the_explorer(finance, team):
    response = finance.post(f"/costs/reports/add/?team={team.pk}&period=today", FORM)

    made = ReportSchedule.objects.get()
    assert response.url == f"/costs/reports/{made.pk}/"
    assert made.recipients == ["books@example.com", "ines@example.com"]
    assert made.query == {
        "basis": "estimate",
        "grain": "day",
        "file": "csv",
        "filters": {"teams": [str(team.pk)]},
        "site": "http://testserver/",
    }
    assert made.due_at == datetime(2026, 12, 1, 6, tzinfo=UTC)
    assert AuditEvent.objects.get(action="report.scheduled").target_label == "Month for the books"


def test_the_secret_of_a_webhook_is_shown_once(finance):
    url = "https://hooks.example.com/in?key=secret"

    shown = finance.post("/costs/reports/add/", FORM | {"webhook_url": url}).content.decode()

    made = ReportSchedule.objects.get()
    assert "shown this once" in shown
    later = finance.get(f"/costs/reports/{made.pk}/").content.decode()
    assert "shown this once" not in later
    assert "webhook at hooks.example.com" in later
    assert "key=secret" not in shown + later


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipients": "books"}, "books is no mail address."),
        ({"recipients": ""}, "Mail addresses, a webhook, or both are needed."),
        ({"webhook_url": "http://example.com/"}, "must begin with https"),
        ({"recipients": ",".join(f"p{n}@example.com" for n in range(21))}, "20 addresses at most"),
        ({"frequency": "hourly"}, "Select a valid choice"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_what_makes_no_sense_is_refused(finance, change, words):
    response = finance.post("/costs/reports/add/", FORM | change)

    assert (response.status_code, words in response.content.decode()) == (422, True)
    assert not ReportSchedule.objects.exists()


def test_the_list_tells_what_became_of_each(finance, schedule):
    ReportDelivery.objects.create(
        schedule=schedule, period_start=NOW, period_end=NOW, at=NOW, outcome="failed", detail="No answer."
    )

    page = finance.get("/costs/reports/").content.decode()

    assert "Daily" in page
    assert "Failed" in page
    assert "21 Nov 2026, 06:00" in page


def test_an_empty_list_says_what_a_report_is(finance):
    assert "No report is scheduled" in finance.get("/costs/reports/").content.decode()


def test_run_disable_enable_delete(finance, schedule):
    finance.post(f"/costs/reports/{schedule.pk}/run/")
    schedule.refresh_from_db()
    assert schedule.due_at == NOW

    finance.post(f"/costs/reports/{schedule.pk}/disable/")
    schedule.refresh_from_db()
    assert not schedule.is_enabled

    finance.post(f"/costs/reports/{schedule.pk}/enable/")
    schedule.refresh_from_db()
    assert (schedule.is_enabled, schedule.due_at) == (True, NOW + timedelta(hours=18))

    assert "Delete Daily?" in finance.get(f"/costs/reports/{schedule.pk}/delete/").content.decode()
    assert ReportSchedule.objects.exists()
    finance.post(f"/costs/reports/{schedule.pk}/delete/")
    assert not ReportSchedule.objects.exists()


def test_people_without_the_right_are_refused(schedule, team):
    client = sign_in(factories.make_operator(teams=(team,)))

    for path in ("", "add/", f"{schedule.pk}/"):
        assert client.get(f"/costs/reports/{path}").status_code == 403
    assert client.post(f"/costs/reports/{schedule.pk}/delete/").status_code == 403
    assert ReportSchedule.objects.exists()


def test_a_link_wants_somebody_signed_in_and_shows_what_they_may_see(client, schedule, team):
    link = reports.make_link(schedule, Period(NOW - timedelta(days=1), NOW))

    assert client.get(link).status_code == 302
    opened = sign_in(factories.make_viewer(teams=(team,))).head(link)
    assert opened["Content-Disposition"] == 'attachment; filename="costs-days-2026-11-19-2026-11-20.csv"'


def test_a_forged_link_is_not_found(finance):
    assert finance.get("/costs/reports/file/forged/").status_code == 404
