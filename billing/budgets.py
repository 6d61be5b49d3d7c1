"""What the scope of a budget spent and will spend, and which of its thresholds are reached; sole writer of Budget*."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum

from billing import budget_rules
from billing.amounts import ZERO, Cost, to_nano
from billing.budget_doubts import list_doubts
from billing.budget_rules import Action, Basis, Figures, Threshold
from billing.costs import CostFilters, CostQuery, GroupBy, load_costs, sum_costs
from billing.forecast import Forecast
from billing.forecasts import load_forecast
from billing.models import Budget, BudgetCrossing, BudgetThreshold, Meter, MeteredInterval
from dashboard.accounts import audit
from dashboard.core import money
from dashboard.core.periods import Period


@dataclass(frozen=True, slots=True)
class Status:
    """A budget in its present period. `forecast` None: not in its period, or nothing to forecast from yet."""

    budget: Budget
    period: Period
    thresholds: tuple[Threshold, ...]
    spent: Cost
    forecast: Forecast | None
    figures: Figures
    reached: tuple[Threshold, ...]
    following: Threshold | None
    hold_reason: str
    is_current: bool

    @property
    def percent(self) -> Decimal:
        """Per cent of the budget that is spent, at least."""
        return self.figures.spent_low * 100 / self.budget.nano_usd

    def next_words(self, *, now: datetime) -> str:
        """Return what happens next and, at the present burn, when: a sentence without a full stop; empty: nothing."""
        if self.following is None:
            return ""
        words = describe(self.following, self.budget)
        at = budget_rules.reached_at(self.following, self.figures, nano_usd=self.budget.nano_usd, now=now)
        if at is None or at >= self.period.end:
            return words
        return f"{words}; at the burn now that is on {at:%-d %B, %H:%M} UTC"


def name_scope(budget: Budget) -> str:
    """Return what the budget is for: a team's name, a project's, a tag, the organisation."""
    if budget.scope == Budget.Scope.TEAM:
        return budget.team.name if budget.team else "a team that is gone"
    if budget.scope == Budget.Scope.PROJECT:
        return budget.project.name if budget.project else "a project that is gone"
    return budget.tag if budget.scope == Budget.Scope.TAG else "the whole organisation"


def describe(threshold: Threshold, budget: Budget) -> str:
    """Return a threshold of the budget in words, with its amount."""
    has_people = budget.team is not None or (budget.project is not None and budget.project.team is not None)
    return budget_rules.describe(
        threshold, nano_usd=budget.nano_usd, scope=name_scope(budget), has_people=has_people
    )


def filters_of(budget: Budget) -> CostFilters:
    """Return the filters that give the cost of the budget's scope."""
    if budget.scope == Budget.Scope.TEAM:
        return CostFilters(teams=frozenset({str(budget.team_id)}))
    if budget.scope == Budget.Scope.PROJECT:
        return CostFilters(projects=frozenset({str(budget.project_id)}))
    if budget.scope == Budget.Scope.TAG:
        return CostFilters(tags=frozenset({budget.tag}))
    return CostFilters()


def meters_of(budget: Budget, *, exempt: Iterable[Meter] | None = None) -> QuerySet[Meter]:
    """Return what belongs to the scope now and is not exempt; `exempt` None = as it was saved."""
    left_out = budget.exempt.values("pk") if exempt is None else [meter.pk for meter in exempt]
    meters = Meter.objects.exclude(pk__in=left_out)
    owned_now = Q(ownerships__valid_until=None)
    if budget.scope == Budget.Scope.TEAM:
        return meters.filter(owned_now, ownerships__team=budget.team)
    if budget.scope == Budget.Scope.PROJECT:
        return meters.filter(project=budget.project)
    if budget.scope == Budget.Scope.TAG:
        key, _, value = budget.tag.partition("=")
        return meters.filter(owned_now, ownerships__tags__contains={key: value})
    return meters


def load_statuses(budgets: Iterable[Budget], *, now: datetime, zone: tzinfo) -> list[Status]:
    """Return each budget with its figures; what teams, or projects, spent in one period is read at once.

    Beyond that one query per budget, and what its doubtful prices need; forecasts come from the cache.
    """
    listed = list(budgets)
    spent = _load_spent(listed, now=now, zone=zone)
    return [load_status(budget, now=now, zone=zone, spent=spent.get(budget.pk)) for budget in listed]


def _load_spent(budgets: Sequence[Budget], *, now: datetime, zone: tzinfo) -> dict[int, Cost]:
    """Return what was spent by budget, of those that share a period and are for teams or for projects."""
    found: dict[int, Cost] = {}
    alike: dict[tuple[GroupBy, Period], list[Budget]] = {}
    for budget in budgets:
        group_by = _GROUPS.get(Budget.Scope(budget.scope))
        if group_by is not None:
            gone = _gone(_period_of(budget, now=now, zone=zone), now)
            alike.setdefault((group_by, gone), []).append(budget)
    for (group_by, gone), group in alike.items():
        if len(group) == 1:  # read by its filter
            continue
        table = load_costs(CostQuery(period=gone, zone=UTC, group_by=group_by), now=now)
        rows = {row.key: row.total for row in table.rows}
        for budget in group:
            key = budget.team_id if group_by is GroupBy.TEAM else budget.project_id
            found[budget.pk] = rows.get(str(key), ZERO)
    return found


_GROUPS = {Budget.Scope.TEAM: GroupBy.TEAM, Budget.Scope.PROJECT: GroupBy.PROJECT}


def _period_of(budget: Budget, *, now: datetime, zone: tzinfo) -> Period:
    return budget_rules.period_of(
        is_monthly=budget.cycle == Budget.Cycle.MONTHLY,
        starts_on=budget.starts_on,
        ends_on=budget.ends_on,
        now=now,
        zone=zone,
    )


def _gone(period: Period, now: datetime) -> Period:
    """Return what of a period is past."""
    return Period(period.start, max(period.start, min(period.end, now)))


def load_status(budget: Budget, *, now: datetime, zone: tzinfo, spent: Cost | None = None) -> Status:
    """Return one budget with its figures; `spent` None = to be read."""
    period = _period_of(budget, now=now, zone=zone)
    filters = filters_of(budget)
    is_current = period.start <= now < period.end
    gone = _gone(period, now)
    if spent is None:
        spent = sum_costs(gone, now=now, filters=filters)
    forecast = (
        load_forecast(user=None, now=now, zone=zone, filters=filters, since=period.start, until=period.end)
        if is_current
        else None
    )
    figures = Figures(
        spent_low=to_nano(spent.low),
        spent_high=to_nano(spent.high),
        forecast=None if forecast is None else forecast.p50,
        nano_usd_per_hour=_burn(budget) if is_current else Decimal(0),
    )
    thresholds = tuple(
        Threshold(row.percent, Basis(row.basis), Action(row.action)) for row in budget.thresholds.all()
    )
    reached = tuple(budget_rules.list_reached(thresholds, figures, nano_usd=budget.nano_usd))
    is_stopping = any(one.action in budget_rules.STOPPING for one in reached)
    return Status(
        budget=budget,
        period=period,
        thresholds=thresholds,
        spent=spent,
        forecast=forecast,
        figures=figures,
        reached=reached if is_current else (),
        following=budget_rules.find_next(thresholds, figures, nano_usd=budget.nano_usd)
        if is_current
        else None,
        hold_reason=_find_hold(budget, gone, figures, now=now) if is_stopping and is_current else "",
        is_current=is_current,
    )


def _burn(budget: Budget) -> Decimal:
    """Return what the scope burns now, nano-dollars per hour, at least."""
    open_now = MeteredInterval.objects.filter(end=None, meter__in=meters_of(budget))
    return Decimal(open_now.aggregate(total=Sum("rate_low"))["total"] or 0)


def _find_hold(budget: Budget, gone: Period, figures: Figures, *, now: datetime) -> str:
    # A confirmation counts for the prices that were there; `list_doubts` leaves those out.
    doubts = list_doubts(filters_of(budget), gone, confirmed_at=budget.prices_confirmed_at, now=now)
    return budget_rules.must_hold(doubts, spent_low=figures.spent_low, confirmed_at=None)


def list_known(budget: Budget, period: Period) -> set[Threshold]:
    """Return the thresholds that were told of in this period."""
    rows = BudgetCrossing.objects.filter(budget=budget, period_start=period.start)
    return {Threshold(row.percent, Basis(row.basis), Action(row.action)) for row in rows}


@transaction.atomic
def note_crossing(
    status: Status, threshold: Threshold, *, outcome: str, detail: str, now: datetime
) -> BudgetCrossing | None:
    """Write that a threshold was reached, once per period; None when it is written already. Audited."""
    amount = status.figures.of(threshold.basis) or Decimal(0)
    crossing, is_new = BudgetCrossing.objects.get_or_create(
        budget=status.budget,
        period_start=status.period.start,
        percent=threshold.percent,
        basis=threshold.basis,
        action=threshold.action,
        defaults={
            "amount_nano_usd": amount.quantize(Decimal("1e-9")),
            "crossed_at": now,
            "outcome": outcome,
            "detail": detail,
        },
    )
    if not is_new:
        return None
    audit.record(
        "budget.crossed",
        actor=audit.Actor.for_process("budgets"),
        target=status.budget,
        detail={"threshold": describe(threshold, status.budget), "outcome": outcome, "detail": detail},
    )
    return crossing


def update_crossing(crossing: BudgetCrossing, *, outcome: str, detail: str) -> None:
    """Write what became of a crossing."""
    BudgetCrossing.objects.filter(pk=crossing.pk).update(outcome=outcome, detail=detail)


def set_hold(budget: Budget, reason: str, *, actor: audit.Actor) -> bool:
    """Let the budget's acts wait for this reason, or no longer (empty); False when nothing changes. Audited."""
    changed = Budget.objects.filter(pk=budget.pk).exclude(paused_reason=reason).update(paused_reason=reason)
    if not changed:
        return False
    was_held = bool(budget.paused_reason)
    budget.paused_reason = reason
    if bool(reason) != was_held:
        audit.record(
            "budget.held" if reason else "budget.resumed",
            actor=actor,
            target=budget,
            detail={"reason": reason},
        )
    return True


@transaction.atomic
def confirm_prices(budget: Budget, *, actor: audit.Actor, now: datetime) -> None:
    """Say that the prices of now are right: acts that waited for that go on."""
    Budget.objects.filter(pk=budget.pk).update(prices_confirmed_at=now, paused_reason="")
    budget.prices_confirmed_at, budget.paused_reason = now, ""
    audit.record("budget.prices_confirmed", actor=actor, target=budget)


@transaction.atomic
def save_budget(
    budget: Budget, *, thresholds: Sequence[Threshold], exempt: Iterable[Meter], actor: audit.Actor
) -> Budget:
    """Write a new or a changed budget with its thresholds and what is exempt. Audited."""
    is_new = budget.pk is None
    budget.save()
    budget.thresholds.all().delete()
    BudgetThreshold.objects.bulk_create(
        BudgetThreshold(budget=budget, percent=one.percent, basis=one.basis, action=one.action)
        for one in dict.fromkeys(thresholds)
    )
    budget.exempt.set(exempt)
    audit.record(
        "budget.added" if is_new else "budget.changed",
        actor=actor,
        target=budget,
        detail={
            "scope": name_scope(budget),
            "amount": money.format_dollars(budget.nano_usd),
            "thresholds": [describe(one, budget) for one in sorted(thresholds)],
        },
    )
    return budget


def set_enabled(budget: Budget, *, is_enabled: bool, actor: audit.Actor) -> None:
    """Switch a budget on or off; its history stays. Audited."""
    if Budget.objects.filter(pk=budget.pk, is_enabled=not is_enabled).update(is_enabled=is_enabled):
        budget.is_enabled = is_enabled
        audit.record("budget.enabled" if is_enabled else "budget.disabled", actor=actor, target=budget)


def list_enabled() -> QuerySet[Budget]:
    """Return the budgets that count."""
    return (
        Budget.objects.filter(is_enabled=True)
        .select_related("team", "project__team")
        .prefetch_related("thresholds")
        .order_by(F("name"))
    )
