"""Statements: what each team's months came to, open ones as drafts, closed ones as they were frozen."""

from dataclasses import dataclass
from datetime import date, datetime

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from billing import statements
from billing.amounts import Cost, add_costs
from billing.costs import CostQuery, GroupBy, load_costs
from billing.costs.queries import GONE
from billing.exports.stream import month_period
from billing.models import MeterKind, Statement
from billing.rules import load_rules, reporting_zone
from billing.statement_bodies import StatementBody, thaw
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import Membership, Team, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core.periods import Bucket, Period, add_months
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_dialog
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot
from dashboard.web.templatetags.costs import describe_missing
from dashboard.web.views.settings.leaving import leave

# In an address: what nobody owns.
UNOWNED = "unowned"
# Months that are listed while they are open; the earlier ones are told by the explorer.
OPEN_MONTHS = 3
CLOSED_MONTHS = 24


@dataclass(frozen=True, slots=True)
class TeamLine:
    """One team's month in the list."""

    name: str
    url: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class MonthPanel:
    """One month: its teams, and whether it is closed. `close_url` empty: it cannot be closed now."""

    month: date
    lines: list[TeamLine]
    total: Cost
    closed_at: datetime | None
    closed_by: str
    is_over: bool
    close_url: str


def list_statements(request: HttpRequest) -> HttpResponse:
    """List months, newest first, each with its teams."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        rules = load_rules()
        closed = _closed_panels(snapshot.user)
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs_statements"),
            "panels": [*_open_panels(snapshot.user, closed, now=snapshot.now), *closed],
            "zone_name": rules.reporting_zone,
            "may_close": user_may(snapshot.user, Right.MANAGE_COSTS),
        }
        return render(request, "costs/statements/page.html", context)


def _closed_panels(user: User) -> list[MonthPanel]:
    rows = _visible(user).select_related("closed_by").order_by("-month", "team_name")
    by_month: dict[date, list[Statement]] = {}
    for row in rows:
        by_month.setdefault(row.month, []).append(row)
    return [
        MonthPanel(
            month,
            lines := [
                TeamLine(row.team_name, _address(month, row.team_key), thaw(row.body).total) for row in found
            ],
            add_costs(line.cost for line in lines),
            found[0].closed_at,
            str(found[0].closed_by or ""),
            is_over=True,
            close_url="",
        )
        for month, found in list(by_month.items())[:CLOSED_MONTHS]
    ]


def _open_panels(user: User, closed: list[MonthPanel], *, now: datetime) -> list[MonthPanel]:
    """Return the newest open months, as their drafts have them: with what is corrected of closed ones."""
    rules = load_rules()
    zone = reporting_zone(rules)
    this = statements.first_of_month(now, zone_name=rules.reporting_zone)
    latest = Statement.objects.order_by("-month").values_list("month", flat=True).first()
    first = max(add_months(this, 1 - OPEN_MONTHS), add_months(latest, 1) if latest else date.min)
    if first > this:
        return []
    period = Period(month_period(first, zone=zone).start, now)
    sees_all = user_may(user, Right.SEE_ALL_PROJECTS)
    table = load_costs(CostQuery(period, zone, GroupBy.TEAM, Bucket.MONTH, user=user), now=now)
    panels = []
    for place, piece in reversed(list(enumerate(table.periods))):
        month = statements.first_of_month(piece.start, zone_name=rules.reporting_zone)
        corrected = statements.sum_open_corrections(month, user=user, now=now) if latest else {}
        costs = {
            (row.key, name): row.buckets[place] + corrected.pop(name, Cost())
            for row in table.rows
            for name in [row.label if row.key else ""]
        }
        # Who spent nothing may have a correction all the same.
        keys = {name: str(pk) for pk, name in Team.objects.values_list("pk", "name")} if corrected else {}
        costs |= {(keys.get(name, name and f"{GONE}{name}"), name): cost for name, cost in corrected.items()}
        lines = [
            TeamLine(name, _address(month, key), cost)
            for (key, name), cost in costs.items()
            if cost != Cost() and (key or sees_all)
        ]
        panels.append(
            MonthPanel(
                month,
                lines,
                add_costs(line.cost for line in lines),
                None,
                "",
                is_over=month < this,
                close_url=_close_url(user, month, now=now, zone_name=rules.reporting_zone),
            )
        )
    return panels


def _close_url(user: User, month: date, *, now: datetime, zone_name: str) -> str:
    if not user_may(user, Right.MANAGE_COSTS):
        return ""
    try:
        statements.check_closable(month, zone_name=zone_name, now=now)
    except statements.StatementError:
        return ""
    return reverse("costs_statement_close", args=[f"{month:%Y-%m}"])


def show_statement(request: HttpRequest, month: date, team: str) -> HttpResponse:
    """Show a team's month, for reading and for paper. 404 for a team that is not the person's."""
    now = timezone.now()
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    key = "" if team == UNOWNED else team
    if not _may_see(request.user, key):
        raise Http404
    rules = load_rules()
    closed = _visible(request.user).filter(month=month, team_key=key).select_related("closed_by").first()
    if closed is not None:
        name, zone_name, body = closed.team_name, closed.zone, thaw(closed.body)
    else:
        if Statement.objects.filter(month=month).exists() or month > now.date():
            raise Http404
        zone_name = rules.reporting_zone
        name = _team_name(key)
        drafts = statements.draft_month(month, zone_name=zone_name, now=now)
        body = drafts.get(name) or StatementBody(month, zone_name, name)
    context = {
        "now": now,
        "closed": closed,
        "body": body,
        "missing": describe_missing(body.total),
        "name": name,
        "kinds": dict(MeterKind.choices),
        "zone_name": zone_name,
        "is_over": month_period(month, zone=reporting_zone(rules)).end <= now,
        "cost_tabs": list_tabs(request.user, current="costs_statements"),
    }
    return render(request, "costs/statements/one.html", context)


def close_month(request: HttpRequest, month: date) -> HttpResponse:
    """Confirm and close a month for all teams."""
    now = timezone.now()
    zone_name = load_rules().reporting_zone
    refusal = ""
    try:
        if request.method == "POST":
            made = statements.close_month(month, zone_name=zone_name, actor=actor_of(request), now=now)
            messages.success(request, f"{month:%B %Y} is closed: {len(made)} statements")
            return leave(request, "costs_statements")
        statements.check_closable(month, zone_name=zone_name, now=now)
    except statements.StatementError as error:
        refusal = error.sentence
    context = {
        "month": month,
        "zone_name": zone_name,
        "refusal": refusal,
        "unsettled": statements.list_unsettled(month_period(month, zone=reporting_zone(load_rules()))),
        "action": reverse("costs_statement_close", args=[f"{month:%Y-%m}"]),
        "cancel_url": reverse("costs_statements"),
        "cancel_label": "Leave it open",
    }
    status = 409 if refusal else 200
    return render_dialog(
        request, "costs/statements/_close.html", context, title="Close a month", status=status
    )


def _visible(user: User) -> QuerySet[Statement]:
    rows = Statement.objects.all()
    if user_may(user, Right.SEE_ALL_PROJECTS):
        return rows
    return rows.filter(team_key__in=_own_keys(user))


def _own_keys(user: User) -> list[str]:
    return [str(pk) for pk in Membership.objects.filter(user=user).values_list("team_id", flat=True)]


def _may_see(user: User, key: str) -> bool:
    return user_may(user, Right.SEE_ALL_PROJECTS) or key in _own_keys(user)


def _team_name(key: str) -> str:
    """Return the name under which the team's cost is told. Raises Http404 for no team."""
    if not key:
        return ""
    if key.startswith("gone:"):
        return key.removeprefix("gone:")
    team = Team.objects.filter(pk=int(key)).first() if key.isdecimal() else None
    if team is None:
        raise Http404
    return team.name


def _address(month: date, key: str) -> str:
    return reverse("costs_statement", args=[month, key or UNOWNED])


class MonthConverter:
    """A month in an address: `2026-10`; of a century in which there may be a ledger."""

    regex = r"2[01][0-9]{2}-(?:0[1-9]|1[0-2])"

    def to_python(self, value: str) -> date:
        return date.fromisoformat(f"{value}-01")

    def to_url(self, value: date | str) -> str:
        return value if isinstance(value, str) else f"{value:%Y-%m}"
