"""Statements as pages: months and teams, drafts and closed ones, who sees which."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from billing.models import LedgerEntry, Meter, MeteredInterval, Statement
from billing.statements import close_month
from dashboard.accounts.audit import Actor
from tests import factories
from tests.conftest import sign_in
from tests.cost_factories import make_interval, make_meter, make_ownership
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen")]
OCTOBER = date(2026, 10, 1)
AT = datetime(2026, 10, 6, 3, tzinfo=UTC)


@pytest.fixture
def spend(team, other_team):
    for owner, name in ((team, "search-bot"), (other_team, "legal-bot"), (None, "left-over")):
        meter = make_meter(name=name)
        if owner:
            make_ownership(meter, team=owner)
        interval = make_interval(meter, start=AT, end=AT + timedelta(hours=2))
        columns = {
            field.attname: getattr(interval, field.attname)
            for field in MeteredInterval._meta.concrete_fields
            if field.name not in {"id", "is_settled"}
        }
        LedgerEntry.objects.create(**columns, kind="charge", key=name, posted_at=AT + timedelta(hours=3))


def _correct(name: str, *, hours: int, posted_at: datetime) -> None:
    """Post a further cost of October once it is closed."""
    meter = Meter.objects.get(name=name)
    interval = make_interval(meter, start=AT + timedelta(days=1), end=AT + timedelta(days=1, hours=hours))
    columns = {
        field.attname: getattr(interval, field.attname)
        for field in MeteredInterval._meta.concrete_fields
        if field.name not in {"id", "is_settled"}
    }
    LedgerEntry.objects.create(
        **columns, kind="correction", key=f"{name}-late", posted_at=posted_at, reason="known late"
    )


def _close() -> None:
    close_month(OCTOBER, zone_name="UTC", actor=Actor.for_process("test"), now=NOW)


def test_finance_sees_all_teams_and_may_close(spend):
    page = sign_in(factories.make_finance()).get("/costs/statements/").content.decode()

    assert "October 2026" in page
    assert "provisional" in page
    for name in ("Search", "Legal", "Unowned"):
        assert name in page
    assert 'href="/costs/statements/2026-10/close/"' in page


def test_the_list_has_the_corrections_that_the_open_statement_tells(spend, team):
    _close()
    _correct("search-bot", hours=20, posted_at=NOW + timedelta(seconds=1))
    _correct("left-over", hours=10, posted_at=NOW + timedelta(seconds=1))

    with time_machine.travel(NOW + timedelta(seconds=2), tick=False):
        finance, viewer = sign_in(factories.make_finance()), sign_in(factories.make_viewer(teams=(team,)))
        of_team = finance.get(f"/costs/statements/2026-11/{team.pk}/").content.decode()
        every, own = (client.get("/costs/statements/").content.decode() for client in (finance, viewer))

    for page in (of_team, every, own):
        assert "108.00" in page
    assert "54.00" in every
    assert 'href="/costs/statements/2026-11/unowned/"' in every
    assert "54.00" not in own


def test_a_team_sees_its_own_and_may_not_close(spend, team):
    client = sign_in(factories.make_viewer(teams=(team,)))

    page = client.get("/costs/statements/").content.decode()

    assert "Search" in page
    assert "Legal" not in page
    assert "/costs/statements/2026-10/unowned/" not in page
    assert "/close/" not in page
    assert client.get("/costs/statements/2026-10/close/").status_code == 403


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_statement_is_the_teams_alone(spend, team, other_team, is_closed):
    if is_closed:
        _close()
    client = sign_in(factories.make_viewer(teams=(team,)))

    own = client.get(f"/costs/statements/2026-10/{team.pk}/")

    assert own.status_code == 200
    page = own.content.decode()
    assert "search-bot" in page
    assert "$10.80" in page
    assert ("Provisional." in page) is not is_closed
    assert (Statement.objects.filter(sha256__in=page.split()).exists() or "SHA-256" in page) is is_closed
    assert client.get(f"/costs/statements/2026-10/{other_team.pk}/").status_code == 404
    assert client.get("/costs/statements/2026-10/unowned/").status_code == 404


def test_the_unowned_have_a_statement_too(spend):
    page = sign_in(factories.make_finance()).get("/costs/statements/2026-10/unowned/").content.decode()

    assert "left-over" in page


@pytest.mark.parametrize(
    "path",
    [
        "2026-10/999999/",
        "2026-13/unowned/",
        "2027-10/unowned/",
        "2026-10/x/",
        "9999-12/close/",
        "0001-01/close/",
    ],
)
def test_what_is_no_statement_is_not_found(spend, path):
    assert sign_in(factories.make_finance()).get(f"/costs/statements/{path}").status_code == 404


def test_closing_asks_first_and_freezes_once(spend):
    client = sign_in(factories.make_finance())

    asked = client.get("/costs/statements/2026-10/close/")
    assert "Everything in it is settled." in asked.content.decode()
    assert not Statement.objects.exists()

    assert client.post("/costs/statements/2026-10/close/").status_code == 302
    assert Statement.objects.count() == 3
    again = client.post("/costs/statements/2026-10/close/")
    assert (again.status_code, "is closed already" in again.content.decode()) == (409, True)
    assert Statement.objects.count() == 3
    page = client.get("/costs/statements/").content.decode()
    assert "closed" in page


def test_a_month_that_runs_cannot_be_closed(spend):
    refused = sign_in(factories.make_finance()).post("/costs/statements/2026-11/close/")

    assert (refused.status_code, "is not over" in refused.content.decode()) == (409, True)
    assert not Statement.objects.exists()


def test_more_resources_cost_no_more_queries(spend, team, django_assert_max_num_queries):
    client = sign_in(factories.make_finance())
    with time_machine.travel(NOW, tick=False), django_assert_max_num_queries(40) as few:
        client.get(f"/costs/statements/2026-10/{team.pk}/")
        client.get("/costs/statements/")
    for number in range(12):
        meter = make_meter(name=f"more-{number}")
        make_ownership(meter, team=team)
        make_interval(meter, start=AT, end=AT + timedelta(hours=1))

    with time_machine.travel(NOW, tick=False), django_assert_max_num_queries(len(few)):
        client.get(f"/costs/statements/2026-10/{team.pk}/")
        client.get("/costs/statements/")
