"""Costs > Owners: the rules in order with what each of them owns, and everything metered with its owner."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from billing.amounts import ZERO, Cost
from billing.models import Meter, MeterKind, Ownership, OwnershipRule
from billing.ownership_facts import read_rule
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.owner_lines import OPEN, describe_source, name_team
from dashboard.web.costs.owner_previews import load_meter_costs
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.forms import SearchForm
from dashboard.web.htmx import render_page
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot

ROWS_PER_PAGE = 50
KIND_LABELS = {str(value): str(label) for value, label in MeterKind.choices}
_OTHERS = (
    (Ownership.Source.MANUAL, "By hand", "before all rules"),
    (Ownership.Source.PROJECT, "Its project’s team", "where no rule gives it to a team"),
    (Ownership.Source.NOBODY, "Nobody", "waits under Unowned while it costs something"),
)


@dataclass(slots=True)
class Holding:
    """How much one source owns now: things, and what they cost in the last 30 days whoever owned them then."""

    things: int = 0
    cost: Cost = ZERO


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as the table shows it."""

    rule: OwnershipRule
    conditions: str
    team: str
    is_team_gone: bool
    holding: Holding
    is_first: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class OtherRow:
    """What decides where no rule does."""

    label: str
    text: str
    source: str
    holding: Holding


@dataclass(frozen=True, slots=True)
class MeterRow:
    """A metered thing with its present owner; `ownership` None = not looked at yet."""

    meter: Meter
    kind_label: str
    ownership: Ownership | None
    team: str
    reason: str
    cost: Cost


def list_owners(request: HttpRequest) -> HttpResponse:
    """Show rules and things, or the live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        search = SearchForm(request.GET).read()
        chosen = _read_choice(request)
        costs = load_meter_costs(now=snapshot.now)
        by_rule, by_source = _add_holdings(costs)
        page = Paginator(_find_meters(search, chosen), ROWS_PER_PAGE).get_page(request.GET.get("page"))
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs_owners"),
            "rules": _build_rules(by_rule),
            "others": [
                OtherRow(label, text, source.value, by_source.get(source.value, Holding()))
                for source, label, text in _OTHERS
            ],
            "retired_count": OwnershipRule.objects.exclude(retired_at=None).count(),
            "search": search,
            "chosen": chosen,
            "clear_url": reverse("costs_owners"),
            "page": page,
            "rows": [_build_row(meter, costs) for meter in page],
        }
        return render_page(request, "costs/owners/page.html", "costs/owners/_owners.html", context)


@dataclass(frozen=True, slots=True)
class Choice:
    """The things of one rule or one source alone; `name` is the parameter."""

    name: str
    value: str
    label: str


def _read_choice(request: HttpRequest) -> Choice | None:
    rule_id = request.GET.get("rule", "")
    if rule_id.isdecimal() and len(rule_id) < 19:
        rule = OwnershipRule.objects.filter(pk=rule_id).first()
        return Choice("rule", rule_id, f"rule {rule.name}") if rule else None
    for source, label, _ in _OTHERS:
        if request.GET.get("source") == source:
            return Choice("source", source.value, label.lower())
    return None


def _find_meters(search: str, chosen: Choice | None) -> QuerySet[Meter]:
    present = Ownership.objects.filter(OPEN)
    found = Meter.objects.order_by("name", "pk").prefetch_related(
        Prefetch("ownerships", present.select_related("team", "rule", "decided_by"), to_attr="present")
    )
    mine = present.filter(meter=OuterRef("pk"))
    if search:
        found = found.filter(
            Q(name__icontains=search)
            | Q(endpoint_name__icontains=search)
            | Q(remote_id__icontains=search)
            | Q(sub_account_name__icontains=search)
            | Exists(mine.filter(Q(team_name__icontains=search) | Q(owner__icontains=search)))
        )
    if chosen is not None and chosen.name == "rule":
        found = found.filter(Exists(mine.filter(rule_id=int(chosen.value), source=Ownership.Source.RULE)))
    elif chosen is not None:
        found = found.filter(Exists(mine.filter(source=chosen.value)))
    return found


def _add_holdings(costs: Mapping[int, Cost]) -> tuple[dict[int, Holding], dict[str, Holding]]:
    by_rule: dict[int, Holding] = {}
    by_source: dict[str, Holding] = {}
    rows = Ownership.objects.filter(OPEN).values_list("meter_id", "source", "rule_id")
    for meter_id, source, rule_id in rows.iterator():
        if source == Ownership.Source.RULE:
            holding = by_rule.setdefault(rule_id or 0, Holding())
        else:
            holding = by_source.setdefault(source, Holding())
        holding.things += 1
        holding.cost += costs.get(meter_id, ZERO)
    return by_rule, by_source


def _build_rules(by_rule: Mapping[int, Holding]) -> list[RuleRow]:
    rules = list(OwnershipRule.objects.filter(retired_at=None).select_related("team"))
    return [
        RuleRow(
            rule=rule,
            conditions=read_rule(rule).describe_conditions(kind_label=KIND_LABELS.get(rule.kind, "")),
            team=rule.team.name if rule.team else rule.team_name,
            is_team_gone=rule.team is None and bool(rule.team_name),
            holding=by_rule.get(rule.pk, Holding()),
            is_first=place == 0,
            is_last=place == len(rules) - 1,
        )
        for place, rule in enumerate(rules)
    ]


def _build_row(meter: Meter, costs: Mapping[int, Cost]) -> MeterRow:
    present: list[Ownership] = meter.present  # type: ignore[attr-defined]  # of the prefetch
    ownership = present[0] if present else None
    return MeterRow(
        meter=meter,
        kind_label=KIND_LABELS.get(meter.kind, meter.kind),
        ownership=ownership,
        team=name_team(ownership) if ownership else "",
        reason=describe_source(ownership) if ownership else "decided within a minute",
        cost=costs.get(meter.pk, ZERO),
    )
