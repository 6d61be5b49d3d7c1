"""The owner page of one metered thing: who owned it when, assigning it by hand, its tags, sharing its cost."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from billing.costs import CostFilters, sum_costs, visible_meters
from billing.models import CostSplit, Meter, Ownership
from billing.ownership import OwnershipRefusedError, assign_by_hand, retag
from billing.ownership_splits import SplitRefusedError, end_split, set_split
from billing.rules import load_rules, reporting_zone
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import Membership, Team, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core.periods import Period
from dashboard.web.costs.intervals import find_subject_url
from dashboard.web.costs.owner_forms import AssignForm, FixedSharesForm, TagsForm, UsageSharesForm
from dashboard.web.costs.owner_lines import describe_source, name_team
from dashboard.web.costs.owners import KIND_LABELS
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

REFUSED = 422
LOOKED_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of the page; those that were refused are bound."""

    assign: AssignForm
    tags: TagsForm
    fixed: FixedSharesForm
    usage: UsageSharesForm


@dataclass(frozen=True, slots=True)
class Tenure:
    """A line of the history."""

    row: Ownership
    team: str
    reason: str


def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one thing's owners over time, and the forms that the person may send."""
    meter = _find(request, pk)
    return _render(request, meter, _propose(meter))


def assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Give it to a team by hand, or back to the rules."""
    meter = _find(request, pk)
    now = timezone.now()
    form = AssignForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            row = assign_by_hand(
                meter,
                team=data["team"],
                owner=data["owner"],
                cost_centre=data["cost_centre"],
                tags=data["tags"],
                valid_from=form.read_since(now=now, zone=reporting_zone(load_rules())),
                actor=actor_of(request),
                now=now,
            )
        except OwnershipRefusedError as error:
            form.add_error("since_date" if data["since"] == "date" else "since", f"{error}.")
        else:
            messages.success(request, f"{meter.name} belongs to {row.team_name or 'nobody'}")
            return redirect("costs_owner", pk=pk)
    return _render(request, meter, replace(_propose(meter), assign=form))


def tag(request: HttpRequest, pk: int) -> HttpResponse:
    """Set the tags that people keep on it."""
    meter = _find(request, pk)
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    if not may_tag(request.user, _find_present(meter)):
        raise PermissionDenied(f"{meter.name} belongs to another team")
    form = TagsForm(request.POST)
    if form.is_valid():
        retag(meter, tags=form.cleaned_data["tags"], actor=actor_of(request), now=timezone.now())
        messages.success(request, f"The tags of {meter.name} are set from now on")
        return redirect("costs_owner", pk=pk)
    return _render(request, meter, replace(_propose(meter), tags=form))


def split(request: HttpRequest, pk: int) -> HttpResponse:
    """Share its cost among teams from now on."""
    meter = _find(request, pk)
    forms = _propose(meter)
    form: Form
    if request.POST.get("method") == CostSplit.Method.USAGE:
        method = CostSplit.Method.USAGE
        form = UsageSharesForm(request.POST)
        forms = replace(forms, usage=form)
        shares: dict[Team, Decimal | None] = {}
        if form.is_valid():
            shares = dict.fromkeys(form.cleaned_data["teams"])
    else:
        method = CostSplit.Method.FIXED
        form = FixedSharesForm(request.POST, teams=_list_teams())
        forms = replace(forms, fixed=form)
        if form.is_valid():
            shares = dict(form.read_shares())
    if form.is_valid():
        try:
            set_split(meter, method=method, shares=shares, actor=actor_of(request), now=timezone.now())
        except SplitRefusedError as error:
            form.add_error("teams" if method == CostSplit.Method.USAGE else None, f"{error}.")
        else:
            messages.success(request, f"The cost of {meter.name} is shared from now on")
            return redirect("costs_owner", pk=pk)
    return _render(request, meter, forms)


def unsplit(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the owner bear the whole cost again."""
    meter = _find(request, pk)
    if end_split(meter, actor=actor_of(request), now=timezone.now()):
        messages.success(request, f"The cost of {meter.name} is its owner’s alone from now on")
    else:
        messages.info(request, f"The cost of {meter.name} was not shared any more")
    return redirect("costs_owner", pk=pk)


def may_tag(user: User, present: Ownership | None) -> bool:
    """Tell whether the person may set tags: what nobody owns, what the own teams own; Finance and Admin all."""
    if user_may(user, Right.MANAGE_COSTS):
        return True
    if not user_may(user, Right.CLAIM_COSTS):
        return False
    team_id = None if present is None else present.team_id
    return team_id is None or Membership.objects.filter(user=user, team_id=team_id).exists()


def _find(request: HttpRequest, pk: int) -> Meter:
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    seen = Meter.objects.filter(visible_meters(request.user))
    return get_object_or_404(seen.select_related("resource", "endpoint", "project"), pk=pk)


def _find_present(meter: Meter) -> Ownership | None:
    return Ownership.objects.filter(meter=meter, valid_until=None).select_related("team").first()


def _list_teams() -> list[Team]:
    return list(Team.objects.all())


def _propose(meter: Meter) -> Forms:
    present = _find_present(meter)
    teams = _list_teams()
    open_split = CostSplit.objects.filter(meter=meter, valid_until=None).first()
    shares = list(open_split.shares.all()) if open_split else []
    is_manual = present is not None and present.source == Ownership.Source.MANUAL
    kept = (
        (present.hand_tags if present.hand_tags is not None or not is_manual else present.tags)
        if present
        else {}
    )
    return Forms(
        assign=AssignForm(
            initial={
                "team": present.team_id if present and is_manual else None,
                "owner": present.owner if present else "",
                "cost_centre": present.cost_centre if present and is_manual else "",
                "tags": kept or {},
            }
        ),
        tags=TagsForm(initial={"tags": kept or {}}),
        fixed=FixedSharesForm(teams=teams, initial={f"share_{one.team_id}": one.percent for one in shares}),
        usage=UsageSharesForm(
            initial={"teams": [one.team_id for one in shares] if shares and shares[0].percent is None else []}
        ),
    )


def _render(request: HttpRequest, meter: Meter, forms: Forms) -> HttpResponse:
    snapshot = take_snapshot(request)
    user, now = snapshot.user, snapshot.now
    history = [
        Tenure(row, name_team(row), describe_source(row))
        for row in Ownership.objects.filter(meter=meter)
        .select_related("team", "rule", "decided_by")
        .order_by(F("valid_from").desc(nulls_last=True))
    ]
    present = next((one for one in history if one.row.valid_until is None), None)
    only = CostFilters(meters=frozenset({str(meter.pk)}))
    splits = (
        CostSplit.objects.filter(meter=meter).select_related("decided_by").prefetch_related("shares__team")
    )
    context = page_context(request, snapshot) | {
        "cost_tabs": list_tabs(user, current="costs_owners"),
        "meter": meter,
        "kind_label": KIND_LABELS.get(meter.kind, meter.kind),
        "subject_url": find_subject_url(meter),
        "present": present,
        "history": history,
        "spent": sum_costs(Period(now - LOOKED_BACK, now), now=now, filters=only, user=user),
        "splits": list(splits.order_by("-valid_from")),
        "forms": forms,
        "may_manage": user_may(user, Right.MANAGE_COSTS),
        "may_tag": may_tag(user, present.row if present else None),
        "zone_name": str(reporting_zone(load_rules())),
    }
    is_refused = any(
        form.is_bound and form.errors for form in (forms.assign, forms.tags, forms.fixed, forms.usage)
    )
    return render(request, "costs/owners/meter.html", context, status=REFUSED if is_refused else 200)
