"""What a budget's thresholds did: its crossings, each with the receipts of the acts that it asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from billing import budgets
from billing.budget_rules import STOPPING, Action, Basis, Threshold
from billing.models import Budget, BudgetCrossing
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import project_filter
from dashboard.lifecycle.models import StopAction

MOST_CROSSINGS = 50
MOST_RECEIPTS = 200


@dataclass(frozen=True, slots=True)
class Receipt:
    """An act of the budget, with the address of its receipt."""

    number: str
    title: str
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class CrossingLine:
    """A crossing as the history shows it; `detail` is empty where it would name what the person may not see."""

    crossing: BudgetCrossing
    basis: str
    action: str
    detail: str
    receipts: Sequence[Receipt]


def load_history(budget: Budget, *, user: User) -> list[CrossingLine]:
    """Return the newest crossings. Two queries."""
    receipts = _load_receipts(budget, user=user)
    sees_all = user_may(user, Right.SEE_ALL_PROJECTS)
    lines = []
    for crossing in budget.crossings.all()[:MOST_CROSSINGS]:
        threshold = Threshold(crossing.percent, Basis(crossing.basis), Action(crossing.action))
        names_things = threshold.action in STOPPING and crossing.outcome == BudgetCrossing.Outcome.DONE
        key = f"{crossing.period_start:%Y-%m-%d}:{threshold.percent}:{threshold.basis}:{threshold.action}"
        words = budgets.describe(threshold, budget).partition(": ")[2]
        lines.append(
            CrossingLine(
                crossing=crossing,
                basis="spent" if threshold.basis is Basis.ACTUAL else "forecast",
                action=words[0].upper() + words[1:],
                detail=crossing.detail if sees_all or not names_things else "",
                receipts=receipts.get(key, ()),
            )
        )
    return lines


def _load_receipts(budget: Budget, *, user: User) -> dict[str, list[Receipt]]:
    """Return what the person sees of the budget's acts, by period and threshold as the acts' keys name them."""
    prefix = f"budget:{budget.pk}:"
    acts = (
        StopAction.objects.filter(
            project_filter(user, path="project__"),
            origin=StopAction.Origin.BUDGET,
            idempotency_key__startswith=prefix,
        )
        .select_related("endpoint", "deployment", "resource")
        .defer("endpoint__payload", "deployment__payload", "resource__payload")
        .order_by("-pk")[:MOST_RECEIPTS]
    )
    found: dict[str, list[Receipt]] = {}
    for act in acts:
        key = ":".join(act.idempotency_key.removeprefix(prefix).split(":")[:4])
        receipt = Receipt(
            act.number, act.title, act.get_state_display(), reverse("action", args=[act.public_id])
        )
        found.setdefault(key, []).append(receipt)
    return found
