"""Months that are closed: frozen with a hash, corrected by the next one, verified."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from billing.amounts import add_costs
from billing.costs import sum_costs
from billing.exports.stream import month_period
from billing.models import LedgerEntry, MeteredInterval, Statement, Use
from billing.statement_bodies import freeze, thaw
from billing.statements import StatementError, close_month, draft_month, verify_statements
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from tests import factories
from tests.cost_factories import make_interval, make_meter, make_ownership

pytestmark = pytest.mark.django_db
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
AT = datetime(2026, 10, 6, 3, tzinfo=UTC)
# After everything, also after the database's own clock stamps a posting.
LATER = datetime(2100, 1, 1, tzinfo=UTC)
ACTOR = Actor.for_process("test")


def _post(interval: MeteredInterval, *, kind: str = "charge", **fields) -> LedgerEntry:
    columns = {
        field.attname: getattr(interval, field.attname)
        for field in MeteredInterval._meta.concrete_fields
        if field.name not in {"id", "is_settled"}
    }
    key = f"{kind}/{interval.pk}/{LedgerEntry.objects.count()}"
    return LedgerEntry.objects.create(**(columns | {"kind": kind, "key": key} | fields))


@pytest.fixture
def spend(team):
    meter, lonely = make_meter(name="support-bot"), make_meter(name="left-over")
    make_ownership(meter, team=team)
    entries = [
        _post(make_interval(meter, start=AT, end=AT + timedelta(hours=2), units=3)),
        _post(make_interval(meter, start=AT + timedelta(hours=2), end=AT + timedelta(hours=3), use=Use.IDLE)),
        _post(make_interval(lonely, start=AT, end=AT + timedelta(minutes=20))),
    ]
    return meter, entries


def _reprice(entry: LedgerEntry, *, rate: int) -> None:
    interval = MeteredInterval.objects.get(meter=entry.meter, start=entry.start)
    _post(interval, kind="reversal", reverses=entry, reason="price told late")
    prices = dict.fromkeys(("nano_usd_per_hour", "list_nano_usd_per_hour", "rate_low", "rate_high"), rate)
    _post(interval, kind="correction", reason="price told late", **prices)
    MeteredInterval.objects.filter(pk=interval.pk).update(**prices)


def test_a_draft_says_what_each_team_spent_and_adds_up(spend):
    bodies = draft_month(OCTOBER, zone_name="UTC", now=LATER)

    assert set(bodies) == {"Search", ""}
    body = bodies["Search"]
    assert [(line.name, line.cost.low) for line in body.lines] == [
        ("support-bot", 7 * 5_400_000_000 * 3_600_000_000)
    ]
    assert body.spent.idle_low == 5_400_000_000 * 3_600_000_000
    total = sum_costs(month_period(OCTOBER, zone=UTC), now=LATER)
    assert add_costs(each.total for each in bodies.values()) == total


def test_a_body_reads_back_as_it_was_frozen(spend):
    for body in draft_month(OCTOBER, zone_name="UTC", now=LATER).values():
        assert thaw(freeze(body)) == body


def test_closing_freezes_every_team_with_a_chain_of_hashes(spend):
    drafts = draft_month(OCTOBER, zone_name="UTC", now=LATER)
    person = factories.make_finance()

    close_month(OCTOBER, zone_name="UTC", actor=Actor.for_person(person), now=LATER)

    first, second = Statement.objects.order_by("pk")
    assert {one.team_name: thaw(one.body) for one in (first, second)} == drafts
    assert (first.previous_sha256, second.previous_sha256) == ("", first.sha256)
    assert first.closed_by == person
    assert AuditEvent.objects.get(action="statement.closed").detail["statements"] == 2
    assert verify_statements() == []


def test_what_is_posted_later_is_told_by_the_next_statement_alone(spend):
    meter, entries = spend
    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)
    frozen = Statement.objects.get(team_name="Search").body
    make_interval(meter, start=AT + timedelta(days=30), end=AT + timedelta(days=30, hours=1))
    _reprice(entries[0], rate=6 * 5_490_000_000)

    close_month(NOVEMBER, zone_name="UTC", actor=ACTOR, now=LATER)
    close_month(date(2026, 12, 1), zone_name="UTC", actor=ACTOR, now=LATER)

    assert Statement.objects.get(team_name="Search", month=OCTOBER).body == frozen
    november = thaw(Statement.objects.get(team_name="Search", month=NOVEMBER).body)
    assert [(one.month, one.name, one.reason) for one in november.corrections] == [
        (OCTOBER, "support-bot", "price told late")
    ]
    assert november.corrected.low == 2 * 3_600_000_000 * (6 * 5_490_000_000 - 3 * 5_400_000_000)
    december = Statement.objects.filter(month=date(2026, 12, 1))
    assert [thaw(one.body).corrections for one in december] == [()]
    assert verify_statements() == []


def test_what_is_not_settled_is_named_and_becomes_a_correction(spend):
    meter, _ = spend
    late = make_interval(
        meter, start=AT + timedelta(days=1), end=AT + timedelta(days=1, hours=1), is_settled=False
    )

    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)
    _post(late)

    assert thaw(Statement.objects.get(team_name="Search").body).unsettled == ("support-bot",)
    # A team is not told what others run.
    assert thaw(Statement.objects.get(team_name="").body).unsettled == ()
    draft = draft_month(NOVEMBER, zone_name="UTC", now=LATER)["Search"]
    assert draft.corrected.low == 5_400_000_000 * 3_600_000_000
    # Of two open months the first tells it: once.
    december = draft_month(date(2026, 12, 1), zone_name="UTC", now=LATER)
    assert not any(body.corrections for body in december.values())


@pytest.mark.parametrize(
    ("month", "now", "sentence"),
    [
        (
            date(2026, 12, 1),
            LATER,
            "November 2026 is open: months are closed in order.",
        ),
        (NOVEMBER, datetime(2026, 11, 20, tzinfo=UTC), "November 2026 is not over in UTC."),
        (OCTOBER, LATER, "October 2026 is closed already."),
        (date(2026, 9, 1), LATER, "October 2026 is closed: an earlier month would change what it told."),
    ],
)
def test_a_month_that_cannot_be_closed_says_why(spend, month, now, sentence):
    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)

    with pytest.raises(StatementError) as refused:
        close_month(month, zone_name="UTC", actor=ACTOR, now=now)

    assert refused.value.sentence == sentence
    assert set(Statement.objects.values_list("month", flat=True)) == {OCTOBER}


def test_the_month_is_that_of_the_zone(spend):
    meter, _ = spend
    # 00:30 on 1 October in Berlin, still September in UTC.
    edge = datetime(2026, 9, 30, 22, 30, tzinfo=UTC)
    make_interval(meter, start=edge, end=edge + timedelta(hours=1))

    assert len(draft_month(OCTOBER, zone_name="UTC", now=LATER)["Search"].lines) == 1
    in_utc = draft_month(OCTOBER, zone_name="UTC", now=LATER)["Search"].spent
    in_berlin = draft_month(OCTOBER, zone_name="Europe/Berlin", now=LATER)["Search"].spent
    assert in_berlin.low - in_utc.low == 5_400_000_000 * 3_600_000_000


def test_a_month_without_cost_is_closed_too(db):
    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)

    assert Statement.objects.get().team_key == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("body = jsonb_set(body, '{lines,0,cost,low}', '\"1\"')", "its content does not fit its hash"),
        ("previous_sha256 = 'x'", "it does not follow the statement before it"),
    ],
)
def test_verifying_finds_what_was_changed(spend, change, sentence):
    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)
    with connection.cursor() as cursor:
        # Checks of foreign keys that wait for the end would hold the table.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE billing_statement DISABLE TRIGGER statement_refuse_change")
        cursor.execute(f"UPDATE billing_statement SET {change} WHERE team_name = 'Search'")
        cursor.execute("ALTER TABLE billing_statement ENABLE TRIGGER statement_refuse_change")

    assert sentence in {fault.sentence for fault in verify_statements()}
    with pytest.raises(CommandError, match="faults in closed statements"):
        call_command("statements", "verify", stderr=StringIO())


def test_the_command_says_what_it_checked(spend):
    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)
    said = StringIO()

    call_command("statements", "verify", stdout=said)

    assert said.getvalue().startswith("2 statements: each content fits its hash")


def test_the_database_refuses_to_change_a_closed_month(spend):
    close_month(OCTOBER, zone_name="UTC", actor=ACTOR, now=LATER)

    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        Statement.objects.all().update(team_name="x")
