"""Forms of prices: one price, one discount, and the rules by which cost is counted."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms

from billing.models import BillingRules
from billing.skus import Quote
from dashboard.core import money

MOST_DOLLARS = 1_000_000
_MOMENT = "%Y-%m-%dT%H:%M"


class MomentField(forms.DateTimeField):
    """A moment in UTC, to the minute; empty = now."""

    def __init__(self, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {
            "required": False,
            "input_formats": [_MOMENT, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
            "widget": forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT),
            "error_messages": {"invalid": "Write a day and time, such as 2026-11-20 09:00."},
        }
        super().__init__(**(defaults | kwargs))

    def clean(self, value: Any) -> datetime | None:
        """Return the moment in UTC, None for an empty field."""
        moment: datetime | None = super().clean(value)
        return None if moment is None else moment.astimezone(UTC)


class PriceForm(forms.Form):
    """What a unit costs from some moment on."""

    amount = forms.DecimalField(
        min_value=0,
        max_value=MOST_DOLLARS,
        decimal_places=6,
        label="Price, $",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    valid_from = MomentField(label="Valid from, UTC", help_text="Empty: from now on.")
    note = forms.CharField(
        max_length=200,
        label="Where it comes from",
        help_text="Contract, invoice or quote: people who ask for evidence read this.",
    )

    def __init__(self, *args: Any, quote: Quote, discount: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.quote = quote
        self.fields["amount"].label = f"Price, $ {quote.words}"
        if discount:
            self.fields["amount"].help_text = f"The list price: the discount of {discount} comes off it."

    def read_nano(self) -> int:
        """Return nano-dollars per unit and hour (tokens: per million), half to even."""
        amount: Decimal = self.cleaned_data["amount"]
        nano = amount * money.NANO_PER_DOLLAR / self.quote.factor
        return int(nano.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


class DiscountForm(forms.Form):
    """Per cent off the list price from some moment on."""

    percent = forms.DecimalField(
        min_value=0,
        max_value=100,
        decimal_places=2,
        label="Discount, %",
        help_text="0 keeps the general discount away.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    valid_from = MomentField(label="Valid from, UTC", help_text="Empty: from now on.")
    note = forms.CharField(
        max_length=200, label="Where it comes from", help_text="Contract or frame agreement."
    )


class RulesForm(forms.Form):
    """How this installation counts."""

    reporting_zone = forms.ChoiceField(
        label="Reporting zone",
        help_text="Days and months of reports, budgets and statements are cut at its midnight. "
        "Nobody’s own view is bound to it.",
    )
    rounding = forms.ChoiceField(
        label="Rounding of a replica’s run",
        choices=BillingRules.Rounding.choices,
        widget=forms.RadioSelect,
        help_text="The provider says that it bills by the minute, and not how a started minute counts. "
        "Exact counts what ran; the others count each run of a replica up. Clusters, volumes and containers "
        "are never rounded.",
    )
    idle_after_minutes = forms.IntegerField(
        min_value=1,
        max_value=24 * 60,
        label="Idle after, minutes",
        help_text="A running stretch without a request this long counts as idle, from its first minute on.",
    )
    unexplained = forms.DecimalField(
        min_value=0,
        max_value=MOST_DOLLARS,
        decimal_places=2,
        label="Alert above, $ a day",
        help_text="A day whose gap to the bill is unexplained by more than this alerts.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["reporting_zone"]
        assert isinstance(zone, forms.ChoiceField)  # noqa: S101 - declared above
        zone.choices = [(name, name) for name in sorted(available_timezones())]
        for name in ("idle_after_minutes", "unexplained"):
            self.fields[name].widget.attrs["inputmode"] = "decimal"

    @staticmethod
    def describe(rules: BillingRules) -> dict[str, Any]:
        """Return the rules as initial values."""
        return {
            "reporting_zone": rules.reporting_zone,
            "rounding": rules.rounding,
            "idle_after_minutes": rules.idle_after_minutes,
            "unexplained": money.round_dollars(rules.unexplained_nano_usd),
        }

    def read_rules(self) -> BillingRules:
        """Return the rules as asked for."""
        data = self.cleaned_data
        return BillingRules(
            pk=1,
            reporting_zone=data["reporting_zone"],
            rounding=data["rounding"],
            idle_after_minutes=data["idle_after_minutes"],
            unexplained_nano_usd=int(data["unexplained"] * money.NANO_PER_DOLLAR),
        )
