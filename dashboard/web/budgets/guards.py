"""Asking again before a start that goes over a budget: one box per budget; while one is not ticked nothing is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django import forms

from billing.budget_rules import Action, Basis
from billing.budgets import Status
from dashboard.lifecycle.budget_acts import list_reached_guards
from dashboard.mirror.models import Deployment, Endpoint, Project

FIELD = "over_budget"


@dataclass(frozen=True, slots=True)
class Guard:
    """A budget that wants a start confirmed; `standing` says how it stands: `is at 103%`."""

    pk: int
    name: str
    standing: str

    @property
    def words(self) -> str:
        """What the box and the receipt say after the verb."""
        return f"although budget {self.name} {self.standing}"


def find_guards(project: Project, *, endpoint: Endpoint | None = None, now: datetime) -> list[Guard]:
    """Return the budgets over whose threshold a start there goes. Two queries where none wants to be asked."""
    found = list_reached_guards(project, endpoint=endpoint, now=now)
    return [Guard(one.budget.pk, one.budget.name, _describe_standing(one)) for one in found]


def confirm(form: forms.Form, guards: Sequence[Guard], *, verb: str, is_sent: bool) -> bool:
    """Add a box per budget to the form; False, with the field's message, when it was sent without one of them.

    A budget that was reached since the form was opened has no tick yet and is asked about too.
    """
    if not guards:
        return True
    form.fields[FIELD] = forms.MultipleChoiceField(
        required=False,
        label="Over budget",
        choices=[(str(guard.pk), f"{verb} {guard.words}") for guard in guards],
        widget=forms.CheckboxSelectMultiple,
    )
    if not is_sent:
        return True
    ticked = set(form.data.getlist(FIELD))  # type: ignore[attr-defined]  # what a browser sends is a QueryDict
    missing = [guard for guard in guards if str(guard.pk) not in ticked]
    if not missing:
        return True
    names = ", ".join(guard.name for guard in missing)
    form.add_error(FIELD, f"Nothing was sent. Tick it to {verb.lower()} over the budget: {names}.")
    return False


def explain(guards: Sequence[Guard]) -> str:
    """Return what the receipt and the audit say of a confirmed start; empty without a budget."""
    words = "; ".join(guard.words for guard in guards)
    return words[:1].upper() + words[1:]


def is_growth(deployment: Deployment, *, low: int | None, high: int | None) -> bool:
    """Tell whether these bounds let more run than now; None = left as it is."""
    return (low is not None and low > (deployment.min_replicas or 0)) or (
        high is not None and high > (deployment.max_replicas or 0)
    )


def _describe_standing(found: Status) -> str:
    by_spent = any(one.action is Action.CONFIRM_STARTS and one.basis is Basis.ACTUAL for one in found.reached)
    forecast = found.figures.forecast
    if by_spent or forecast is None:
        words = f"is at {int(found.percent):,}%"
    else:
        words = f"is forecast to reach {int(forecast * 100 / found.budget.nano_usd):,}%"
    stops_all = any(one.action is Action.STOP_ALL for one in found.reached) and not found.hold_reason
    # Acts go on while a threshold stays reached: what is started now would be stopped with the next pass.
    return f"{words} and stops all endpoints" if stops_all else words
