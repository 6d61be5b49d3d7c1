"""The form of a budget: what it is for, how much, what happens at which per cent, and what no act may stop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q
from django.db.models.functions import Lower

from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget, BudgetThreshold, Meter, MeterKind
from dashboard.accounts.models import Team, User
from dashboard.core import money
from dashboard.mirror.models import Project

MOST_THRESHOLDS = 6
MOST_PERCENT = 1_000
MOST_DOLLARS = Decimal(1_000_000_000)
MOST_EXEMPT = 200
_CENT = Decimal("0.01")
_DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
# What a new budget begins with: it tells people, and stops nothing.
_PROPOSED = (
    Threshold(80, Basis.ACTUAL, Action.NOTIFY),
    Threshold(100, Basis.ACTUAL, Action.NOTIFY),
    Threshold(100, Basis.FORECAST, Action.NOTIFY),
)


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """The three fields of one threshold; `threshold` None while they are empty or wrong."""

    number: int
    percent: forms.BoundField
    basis: forms.BoundField
    action: forms.BoundField
    threshold: Threshold | None


class BudgetForm(forms.Form):
    """A budget with its thresholds."""

    name = forms.CharField(max_length=80, label="Name", help_text="What mails, receipts and pages call it.")
    scope = forms.ChoiceField(choices=Budget.Scope.choices, label="For", initial=Budget.Scope.TEAM)
    team = forms.ModelChoiceField(Team.objects.all(), required=False, label="Team", empty_label="no team")
    project = forms.ModelChoiceField(
        Project.objects.order_by("name"), required=False, label="Project", empty_label="no project"
    )
    tag = forms.CharField(
        required=False, max_length=400, label="Tag", help_text="key=value, as owners put it on things."
    )
    cycle = forms.ChoiceField(choices=Budget.Cycle.choices, label="Period")
    starts_on = forms.DateField(required=False, label="First day", widget=_DAY)
    ends_on = forms.DateField(required=False, label="Last day, included", widget=_DAY)
    amount = forms.DecimalField(
        min_value=_CENT, max_value=MOST_DOLLARS, decimal_places=2, label="Amount per period, $"
    )
    exempt = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea,
        label="Never stop",
        help_text="Endpoints or deployments by name, one a line. What is deployed later has to be added.",
    )

    def __init__(self, *args: Any, budget: Budget | None = None, **kwargs: Any) -> None:
        if budget is not None:
            kwargs.setdefault("initial", _propose(budget))
        super().__init__(*args, **kwargs)
        self._budget = budget
        self._exempt: list[Meter] = []
        for field in ("amount",):
            self.fields[field].widget.attrs["inputmode"] = "decimal"
        present = _PROPOSED if budget is None else tuple(_read_thresholds(budget))
        for number in range(1, MOST_THRESHOLDS + 1):
            self._add_row(number, present[number - 1] if number <= len(present) else None)

    def _add_row(self, number: int, present: Threshold | None) -> None:
        self.fields[f"percent_{number}"] = forms.IntegerField(
            required=False,
            min_value=1,
            max_value=MOST_PERCENT,
            label=f"Threshold {number}, %",
            initial=present.percent if present else None,
            widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
        )
        self.fields[f"basis_{number}"] = forms.ChoiceField(
            choices=BudgetThreshold.Basis.choices,
            label="of what is",
            initial=present.basis.value if present else BudgetThreshold.Basis.ACTUAL,
        )
        self.fields[f"action_{number}"] = forms.ChoiceField(
            choices=BudgetThreshold.Action.choices,
            label="Then",
            initial=present.action.value if present else BudgetThreshold.Action.NOTIFY,
        )

    def rows(self) -> Iterator[ThresholdRow]:
        """Yield the fields of each threshold."""
        for number in range(1, MOST_THRESHOLDS + 1):
            yield ThresholdRow(
                number,
                self[f"percent_{number}"],
                self[f"basis_{number}"],
                self[f"action_{number}"],
                self._read_row(number),
            )

    def clean_name(self) -> str:
        """Return the name, which no other budget has."""
        name = str(self.cleaned_data["name"])
        same = Budget.objects.filter(name=name)
        if self._budget is not None:
            same = same.exclude(pk=self._budget.pk)
        if same.exists():
            raise forms.ValidationError("Another budget has this name.")
        return name

    def clean_tag(self) -> str:
        """Return the tag as key=value, or nothing."""
        text = str(self.cleaned_data["tag"])
        key, separator, value = (part.strip() for part in text.partition("="))
        if text and not (separator and key and value):
            raise forms.ValidationError("Write key=value.")
        return f"{key}={value}" if text else ""

    def clean_exempt(self) -> str:
        """Find what is named. Raises ValidationError for a name that nothing has."""
        text = str(self.cleaned_data["exempt"])
        names = list(dict.fromkeys(line.strip().casefold() for line in text.splitlines() if line.strip()))
        if len(names) > MOST_EXEMPT:
            raise forms.ValidationError(f"At most {MOST_EXEMPT} names.")
        found, missing = _find_meters(names, kept=self._budget)
        if missing:
            raise forms.ValidationError(f"No endpoint or deployment has the name {missing[0]}.")
        self._exempt = found
        return text

    def clean(self) -> dict[str, Any]:
        """Check what belongs together: scope, days, thresholds."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        scope = cleaned.get("scope") or ""
        if scope in ("team", "project", "tag") and not cleaned.get(scope) and scope not in self.errors:
            self.add_error(
                scope, {"team": "Choose the team.", "project": "Choose the project."}.get(scope, "Write it.")
            )
        if cleaned.get("cycle") == Budget.Cycle.CUSTOM:
            self._check_days(cleaned)
        self._check_thresholds()
        return cleaned

    def _check_days(self, cleaned: dict[str, Any]) -> None:
        first, last = cleaned.get("starts_on"), cleaned.get("ends_on")
        for name, day in (("starts_on", first), ("ends_on", last)):
            if day is None and name not in self.errors:
                self.add_error(name, "Choose the day.")
        if first is not None and last is not None and last < first:
            self.add_error("ends_on", "It lies before the first day.")

    def _check_thresholds(self) -> None:
        seen: set[Threshold] = set()
        for number in range(1, MOST_THRESHOLDS + 1):
            found = self._read_row(number)
            if found is None:
                continue
            if found.action is Action.STOP_ALL and found.basis is Basis.FORECAST:
                self.add_error(
                    f"action_{number}",
                    "Stopping all waits for what is spent: a forecast may be wrong. Choose spent, or a milder act.",
                )
            if found in seen:
                self.add_error(f"percent_{number}", "It stands there twice.")
            seen.add(found)

    def _read_row(self, number: int) -> Threshold | None:
        """Return the threshold as it was sent, or, of a form that was just opened, as it is proposed."""
        names = (f"percent_{number}", f"basis_{number}", f"action_{number}")
        if not self.is_bound:
            percent, basis, action = (self.get_initial_for_field(self.fields[name], name) for name in names)
        else:
            percent, basis, action = (getattr(self, "cleaned_data", {}).get(name) for name in names)
        if percent is None or not basis or not action:
            return None
        return Threshold(percent, Basis(basis), Action(action))

    def read_thresholds(self) -> list[Threshold]:
        """Return the thresholds, once valid."""
        return [row.threshold for row in self.rows() if row.threshold is not None]

    def read_exempt(self) -> Sequence[Meter]:
        """Return what no act may stop, once valid."""
        return self._exempt

    def read_budget(self, *, user: User) -> Budget:
        """Return the budget as it was filled in, once valid; not saved."""
        data = self.cleaned_data
        budget = self._budget or Budget(created_by=user)
        budget.name, budget.scope, budget.cycle = data["name"], data["scope"], data["cycle"]
        # What the scope or the period has no use for is not kept.
        budget.team = data["team"] if budget.scope == Budget.Scope.TEAM else None
        budget.project = data["project"] if budget.scope == Budget.Scope.PROJECT else None
        budget.tag = data["tag"] if budget.scope == Budget.Scope.TAG else ""
        is_custom = budget.cycle == Budget.Cycle.CUSTOM
        budget.starts_on = data["starts_on"] if is_custom else None
        budget.ends_on = data["ends_on"] if is_custom else None
        budget.nano_usd = int(data["amount"] * money.NANO_PER_DOLLAR)
        return budget


def _find_meters(names: Sequence[str], *, kept: Budget | None) -> tuple[list[Meter], list[str]]:
    """Return the deployments of these names, their endpoint's or their own, and the names that nothing has."""
    if not names:
        return [], []
    there = Q(deployment__absent_since=None, deployment__isnull=False)
    if kept is not None:
        there |= Q(pk__in=kept.exempt.values("pk"))
    meters = (
        Meter.objects.filter(there, kind=MeterKind.DEPLOYMENT)
        .alias(own=Lower("name"), whole=Lower("endpoint_name"))
        .filter(Q(own__in=[name.rpartition(", ")[2] for name in names]) | Q(whole__in=names))
    )
    found: list[Meter] = []
    hits: set[str] = set()
    for meter in meters:
        own, whole = meter.name.casefold(), meter.endpoint_name.casefold()
        fitting = {own, whole, f"{whole}, {own}"} & set(names)
        if fitting:
            found.append(meter)
            hits |= fitting
    return found, [name for name in names if name not in hits]


def _read_thresholds(budget: Budget) -> Iterator[Threshold]:
    for row in budget.thresholds.all()[:MOST_THRESHOLDS]:
        yield Threshold(row.percent, Basis(row.basis), Action(row.action))


def _propose(budget: Budget) -> dict[str, Any]:
    exempt = budget.exempt.order_by("endpoint_name", "name").values_list("endpoint_name", "name")
    return {
        "name": budget.name,
        "scope": budget.scope,
        "team": budget.team_id,
        "project": budget.project_id,
        "tag": budget.tag,
        "cycle": budget.cycle,
        "starts_on": budget.starts_on,
        "ends_on": budget.ends_on,
        "amount": money.round_dollars(budget.nano_usd),
        "exempt": "\n".join(f"{whole}, {own}" if whole else own for whole, own in exempt),
    }
