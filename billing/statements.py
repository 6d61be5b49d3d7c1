"""Statements per team and month: drafts of open months, closed ones as they were frozen; sole writer of Statement.

Months are closed in order, all teams at once. A later correction is told by the first statement that is closed after it
was posted. Each statement's hash holds the one before it, in the order of their keys.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import connection, models, transaction
from django.db.models import Q

from billing.amounts import Cost, add_costs
from billing.exports.lines import Line
from billing.exports.segments import ClosedMonth
from billing.exports.stream import list_closed_months, month_period, stream_corrections, stream_month
from billing.models import Condition, MeteredInterval, Statement
from billing.statement_bodies import StatementBody, build_bodies, freeze, hash_statement, read_cost, thaw
from dashboard.accounts import audit
from dashboard.accounts.models import Team, User
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.core.periods import Period, add_months, month_of

# More names would not be read.
MOST_UNSETTLED = 50


class StatementError(Exception):
    """A month cannot be closed; `sentence` says why."""

    retryable = False

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Fault:
    """What verifying found wrong with a statement."""

    statement: Statement
    sentence: str


def first_of_month(at: datetime, *, zone_name: str) -> date:
    """Return the first day of the month in which the instant lies, by the clocks of the zone."""
    return month_of(at, zone=ZoneInfo(zone_name)).start.astimezone(ZoneInfo(zone_name)).date().replace(day=1)


def draft_month(
    month: date, *, zone_name: str, now: datetime, user: User | None = None
) -> dict[str, StatementBody]:
    """Return the bodies of an open month by name of the team, as they would be closed from what is known best now."""
    period = month_period(month, zone=ZoneInfo(zone_name))
    return build_bodies(
        month,
        zone=zone_name,
        lines=stream_month(period, posted_until=None, user=user, now=now),
        corrections=_open_corrections(month, user=user, now=now),
    )


def sum_open_corrections(month: date, *, user: User | None, now: datetime) -> dict[str, Cost]:
    """Return by name of the team what the draft of an open month holds of earlier ones. Up to four queries."""
    corrections = _open_corrections(month, user=user, now=now)
    bodies = build_bodies(month, zone="", lines=(), corrections=corrections)
    return {name: body.corrected for name, body in bodies.items()}


def list_unsettled(period: Period) -> list[str]:
    """Return the names of resources with cost in the period that is not posted yet. One query."""
    rows = MeteredInterval.objects.filter(is_settled=False, start__lt=period.end)
    rows = rows.filter(Q(end=None) | Q(end__gt=period.start)).exclude(condition=Condition.FREE)
    names = rows.values_list("meter__name", flat=True).order_by("meter__name").distinct()
    return list(names[:MOST_UNSETTLED])


def check_closable(month: date, *, zone_name: str, now: datetime) -> None:
    """Raise StatementError when the month cannot be closed: not over, closed, or before one that is."""
    if month_period(month, zone=ZoneInfo(zone_name)).end > now:
        raise StatementError(f"{month:%B %Y} is not over in {zone_name}.")
    latest = Statement.objects.aggregate(latest=models.Max("month"))["latest"]
    if latest is None or month == add_months(latest, 1):
        return
    if month > latest:
        raise StatementError(f"{add_months(latest, 1):%B %Y} is open: months are closed in order.")
    if Statement.objects.filter(month=month).exists():
        raise StatementError(f"{month:%B %Y} is closed already.")
    raise StatementError(f"{latest:%B %Y} is closed: an earlier month would change what it told.")


@transaction.atomic
def close_month(month: date, *, zone_name: str, actor: audit.Actor, now: datetime) -> list[Statement]:
    """Freeze the month for all teams. Raises StatementError. Nothing is posted meanwhile."""
    hold_until_commit(Lock.STATEMENTS)
    hold_until_commit(Lock.METERING)
    check_closable(month, zone_name=zone_name, now=now)
    posted_until = min(now, _database_clock())
    period = month_period(month, zone=ZoneInfo(zone_name))
    bodies = build_bodies(
        month,
        zone=zone_name,
        lines=stream_month(period, posted_until=posted_until, now=now),
        corrections=_corrections(_closed_before(month), posted_until=posted_until, user=None, now=now),
        present=stream_month(period, posted_until=None, now=now),
    )
    keys = {name: str(pk) for pk, name in Team.objects.values_list("pk", "name")}
    # A month without any cost is closed too.
    bodies = bodies or {"": StatementBody(month, zone_name, "")}
    statements = [
        _add(body, team_key=keys.get(name, name), posted_until=posted_until, actor=actor)
        for name, body in sorted(bodies.items())
    ]
    audit.record(
        "statement.closed",
        actor=actor,
        target=statements[0],
        detail={"month": month.isoformat(), "statements": len(statements), "sha256": statements[-1].sha256},
    )
    return statements


def _add(body: StatementBody, *, team_key: str, posted_until: datetime, actor: audit.Actor) -> Statement:
    last = Statement.objects.order_by("-pk").first()
    previous = last.sha256 if last else ""
    frozen = freeze(body)
    return Statement.objects.create(
        month=body.month,
        zone=body.zone,
        team_key=team_key,
        team_name=body.team,
        body=frozen,
        sha256=hash_statement(frozen, posted_until=posted_until, team_key=team_key, previous_sha256=previous),
        previous_sha256=previous,
        posted_until=posted_until,
        closed_by=actor.user,
    )


def verify_statements() -> list[Fault]:
    """Return what is wrong: a hash that does not fit, a chain that is broken, a sum that the ledger does not have."""
    faults: list[Fault] = []
    previous = ""
    by_month: dict[date, list[Statement]] = defaultdict(list)
    for statement in Statement.objects.order_by("pk"):
        expected = hash_statement(
            statement.body,
            posted_until=statement.posted_until,
            team_key=statement.team_key,
            previous_sha256=statement.previous_sha256,
        )
        if statement.sha256 != expected:
            faults.append(Fault(statement, "its content does not fit its hash"))
        if statement.previous_sha256 != previous:
            faults.append(Fault(statement, "it does not follow the statement before it"))
        previous = statement.sha256
        by_month[statement.month].append(statement)
    for statements in by_month.values():
        one = statements[0]
        told = add_costs(thaw(each.body).spent for each in statements)
        period = month_period(one.month, zone=ZoneInfo(one.zone))
        lines = stream_month(period, posted_until=one.posted_until, now=one.posted_until)
        posted = add_costs(read_cost(line) for line in lines)
        if (told.low, told.high) != (posted.low, posted.high):
            faults.append(Fault(one, "the ledger's postings of then come to another sum"))
    return faults


def _closed_before(month: date) -> list[ClosedMonth]:
    return [one for one in list_closed_months() if one.first < month]


def _open_corrections(month: date, *, user: User | None, now: datetime) -> list[tuple[date, Line]]:
    """Return the corrections that the month would tell if it were closed next; of open months, the first tells them."""
    closed = _closed_before(month)
    if not closed or add_months(closed[-1].first, 1) != month:
        return []
    return _corrections(closed, posted_until=now, user=user, now=now)


def _corrections(
    closed: list[ClosedMonth], *, posted_until: datetime, user: User | None, now: datetime
) -> list[tuple[date, Line]]:
    """Return what was posted for closed months since the last of them was closed, with the month that it is of."""
    if not closed:
        return []
    posted_from = max(month.posted_until for month in closed)
    months = {month.period.start: month.first for month in closed}
    lines = stream_corrections(closed, posted_from=posted_from, posted_until=posted_until, user=user, now=now)
    return [(months[line.start], line) for line in lines]


def _database_clock() -> datetime:
    """Return the clock that stamps postings, which may not be this machine's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    return row[0]
