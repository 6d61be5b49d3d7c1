"""Costs > Unowned: what costs and has no team, priced per day, one click from being claimed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from billing.amounts import ZERO, Cost, add_costs
from billing.burn import Burn, add_burns
from billing.costs import CostFilters, CostQuery, GroupBy, load_costs
from billing.models import Meter
from billing.ownership import claim
from billing.ownership_inbox import WINDOW, unowned_meters
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import Team, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import operable_team_ids
from dashboard.core import money
from dashboard.core.periods import Period
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.intervals import find_subject_url
from dashboard.web.costs.owner_forms import ClaimForm
from dashboard.web.costs.owners import KIND_LABELS
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.resources.rows import burn_of
from dashboard.web.snapshot import take_snapshot
from dashboard.web.targets import burn_of_deployment

ROWS_PER_PAGE = 50
WEEK = timedelta(days=7)
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class UnownedRow:
    """A thing without an owner; `per_day` is nano-dollars at the burn of now, `since` None = not told."""

    meter: Meter
    kind_label: str
    url: str
    owner_url: str
    stop_url: str
    burn: Burn
    week: Cost
    month: Cost
    made_by: str
    where: str
    since: datetime | None

    @property
    def per_day(self) -> Burn:
        """What a day costs at the burn of now."""
        return Burn(
            self.burn.low * HOURS_PER_DAY, self.burn.high * HOURS_PER_DAY, self.burn.unpriced_replicas
        )


def list_unowned(request: HttpRequest) -> HttpResponse:
    """Show the inbox, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        user, now = snapshot.user, snapshot.now
        rows = _load_rows(user, now=now)
        page = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
        teams = list(claimable_teams(user))
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(user, current="costs_unowned"),
            "page": page,
            "count": len(rows),
            "burn": add_burns(row.burn for row in rows),
            "per_day_text": describe_per_day(rows),
            "week": add_costs(row.week for row in rows),
            "month": add_costs(row.month for row in rows),
            "teams": teams,
            "may_claim": user_may(user, Right.CLAIM_COSTS) and bool(teams),
            "lacks_team": user_may(user, Right.CLAIM_COSTS) and not teams,
            "may_manage": user_may(user, Right.MANAGE_COSTS),
        }
        return render_page(request, "costs/unowned/page.html", "costs/unowned/_unowned.html", context)


def describe_per_day(rows: Sequence[UnownedRow]) -> str:
    """Return what a day of all rows costs at the burn of now: ``$1,054.08–1,183.68``, ``at least $129.60``."""
    total = add_burns(row.per_day for row in rows)
    if total.unpriced_replicas and not total.high:
        return money.PRICE_UNKNOWN
    text = money.format_range(total.low, total.high, currency=True)
    return f"at least {text}" if total.unpriced_replicas else text


def claim_unowned(request: HttpRequest) -> HttpResponse:
    """Give the chosen things to a team: an Operator to an own one, Finance and Admin to any."""
    snapshot = take_snapshot(request)
    user = snapshot.user
    form = ClaimForm(
        request.POST,
        teams=claimable_teams(user),
        meters=unowned_meters(user, now=snapshot.now),
    )
    if not form.is_valid():
        told = "one of your teams" if "team" in form.errors else "what nobody owns: it has an owner meanwhile"
        messages.error(request, f"Nothing was claimed. Choose {told}")
        return redirect("costs_unowned")
    meters = list(form.read_meters())
    if not meters:
        messages.info(request, "Nothing was selected")
        return redirect("costs_unowned")
    team = form.cleaned_data["team"]
    given = claim(meters, team=team, actor=actor_of(request))
    name = meters[0].name if len(given) == 1 else f"{len(given)} things"
    messages.success(request, f"{name} {'belongs' if len(given) == 1 else 'belong'} to {team} now")
    return redirect("costs_unowned")


def claimable_teams(user: User) -> QuerySet[Team]:
    """Return the teams for which the person may claim. No query yet."""
    if user_may(user, Right.MANAGE_COSTS):
        return Team.objects.all()
    if user_may(user, Right.CLAIM_COSTS):
        return Team.objects.filter(people=user)
    return Team.objects.none()


def _load_rows(user: User, *, now: datetime) -> list[UnownedRow]:
    """Return everything in the inbox, dearest first. About six queries."""
    meters = list(
        unowned_meters(user, now=now)
        .select_related("deployment", "resource", "endpoint", "project")
        .defer(
            "deployment__payload",
            "deployment__fingerprint",
            "resource__payload",
            "resource__fingerprint",
            "endpoint__payload",
            "endpoint__fingerprint",
            "project__payload",
        )
    )
    if not meters:
        return []
    weeks, months = (_load_spent(user, length, now=now) for length in (WEEK, WINDOW))
    operable = operable_team_ids(user)
    rows = [
        _build_row(meter, week=weeks.get(meter.pk, ZERO), month=months.get(meter.pk, ZERO), operable=operable)
        for meter in meters
    ]
    return sorted(
        rows,
        key=lambda row: (
            -row.burn.high,
            -row.burn.unpriced_replicas,
            -row.week.high,
            -row.month.high,
            row.meter.name,
            row.meter.pk,
        ),
    )


def _load_spent(user: User, length: timedelta, *, now: datetime) -> dict[int, Cost]:
    """Return what was spent while nobody owned it, by meter."""
    query = CostQuery(
        Period(now - length, now),
        UTC,
        group_by=GroupBy.METER,
        filters=CostFilters(teams=frozenset({""})),
        user=user,
    )
    return {int(row.key): row.total for row in load_costs(query, now=now).rows if row.key}


def _build_row(meter: Meter, *, week: Cost, month: Cost, operable: frozenset[int] | None) -> UnownedRow:
    burn, since = Burn(), meter.metered_from
    if meter.deployment is not None and meter.deployment.absent_since is None:
        burn = burn_of_deployment(meter.deployment)
    elif meter.resource is not None:
        since = meter.resource.remote_created_at or since
        if meter.resource.absent_since is None:
            burn = burn_of(meter.resource)
    return UnownedRow(
        meter=meter,
        kind_label=KIND_LABELS.get(meter.kind, meter.kind),
        url=find_subject_url(meter),
        owner_url=reverse("costs_owner", args=[meter.pk]),
        stop_url=_find_stop_url(meter, burn, operable),
        burn=burn,
        week=week,
        month=month,
        made_by=meter.creator,
        where=", ".join(_list_places(meter)),
        since=since,
    )


def _find_stop_url(meter: Meter, burn: Burn, operable: frozenset[int] | None) -> str:
    """Return the confirmation page of a stop; empty for what does not run, or what the person may not stop."""
    if meter.endpoint is None or meter.deployment is None or burn.is_zero:
        return ""
    if operable is not None and (meter.project is None or meter.project.team_id not in operable):
        return ""
    return f"{reverse('endpoint_stop', args=[meter.endpoint.pk])}?deployment={meter.deployment.pk}"


def _list_places(meter: Meter) -> Sequence[str]:
    told = (meter.sub_account_name, meter.region, meter.hardware)
    return [word for word in told if word]
