"""Which budgets of a person's are held, or were crossed in their present period: what every page says above itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Q, TextField, Value
from django.db.models.functions import Coalesce

from billing import budget_rules
from billing.budget_rules import Action, Basis, Threshold
from billing.budget_sight import visible_budgets
from billing.models import BillingRules, Budget, BudgetCrossing
from dashboard.accounts.models import User


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """A budget with the highest threshold that was reached; amounts are of the moment when it was."""

    pk: int
    name: str
    is_held: bool
    percent: int
    is_spent: bool
    nano_usd: Decimal


def read_alerts(user: User, *, now: datetime) -> list[BudgetAlert]:
    """Return the budgets that somebody should look at, by name. One query.

    A crossing counts while its period lasts, and while the budget was not raised above it since.
    """
    zone_name = Coalesce(
        BillingRules.objects.filter(pk=1).values("reporting_zone")[:1], Value("UTC"), output_field=TextField()
    )
    rows = (
        BudgetCrossing.objects.filter(budget__in=visible_budgets(user), budget__is_enabled=True)
        .filter(_recent(now))
        .annotate(zone_name=zone_name)
        .select_related("budget")
        .order_by("budget__name", "-percent", "basis")
    )
    found: dict[int, BudgetAlert] = {}
    for row in rows:
        budget = row.budget
        if budget.pk not in found and _counts(row, budget, now=now, zone_name=row.zone_name):
            found[budget.pk] = BudgetAlert(
                pk=budget.pk,
                name=budget.name,
                is_held=bool(budget.paused_reason),
                percent=row.percent,
                is_spent=row.basis == Basis.ACTUAL,
                nano_usd=row.amount_nano_usd,
            )
    return list(found.values())


def _recent(now: datetime) -> Q:
    """Return what is surely of no past month; a period of days may have begun at any time."""
    return Q(budget__cycle=Budget.Cycle.CUSTOM) | Q(period_start__gt=now - budget_rules.LONGEST_MONTH)


def _counts(row: BudgetCrossing, budget: Budget, *, now: datetime, zone_name: str) -> bool:
    period = budget_rules.period_of(
        is_monthly=budget.cycle == Budget.Cycle.MONTHLY,
        starts_on=budget.starts_on,
        ends_on=budget.ends_on,
        now=now,
        zone=UTC if zone_name == "UTC" else ZoneInfo(zone_name),
    )
    threshold = Threshold(row.percent, Basis(row.basis), Action(row.action))
    is_present = period.start == row.period_start and period.start <= now < period.end
    return is_present and row.amount_nano_usd >= threshold.amount(budget.nano_usd)
