"""The forms of the endpoint pages: filters of the list, and what an act needs to know."""

import uuid
from collections.abc import Sequence

from django import forms

from dashboard.core import money
from dashboard.mirror.models import Deployment
from dashboard.mirror.querysets import DEFAULT_SORT, SORTS
from dashboard.web.labels import shorten_hardware
from dashboard.web.totals import CHOICE_BY_VALUE

# A typo must not order a hundred machines; what a deployment may have at the provider is checked there.
MOST_REPLICAS = 100


class EndpointFilter(forms.Form):
    """What the list shows. Every field may stay empty; what makes no sense counts as empty."""

    q = forms.CharField(required=False, max_length=200)
    status = forms.ChoiceField(required=False, choices=[("", ""), *((key, key) for key in CHOICE_BY_VALUE)])
    team = forms.CharField(required=False, max_length=20)
    hardware = forms.CharField(required=False, max_length=200)
    sort = forms.ChoiceField(required=False, choices=[("", ""), *((key, key) for key in SORTS)])

    def read(self) -> dict[str, str]:
        """Return the usable values by name; `sort` is never empty."""
        self.is_valid()
        values = {name: self.cleaned_data.get(name) or "" for name in self.fields}
        values["sort"] = values["sort"] or DEFAULT_SORT
        return values


class SearchForm(forms.Form):
    """A search alone; what no text column can hold (a NUL) counts as empty."""

    q = forms.CharField(required=False, max_length=200)

    def read(self) -> str:
        """Return what is sought, or the empty string."""
        return str(self.cleaned_data["q"]) if self.is_valid() else ""


class ActForm(forms.Form):
    """A confirmed act: its key makes a repeated sending the same act."""

    key = forms.UUIDField(widget=forms.HiddenInput)

    @classmethod
    def new_key(cls) -> str:
        """Return the key of a form that was just opened."""
        return str(uuid.uuid4())

    def read_key(self) -> str:
        """Return the idempotency key of the act, once valid."""
        return f"form:{self.cleaned_data['key']}"


class ReplicasForm(ActForm):
    """Which deployment, and between which bounds it may run."""

    deployment = forms.TypedChoiceField(coerce=int, label="Deployment")
    min_replicas = forms.IntegerField(min_value=1, max_value=MOST_REPLICAS, label="At least")
    max_replicas = forms.IntegerField(min_value=1, max_value=MOST_REPLICAS, label="At most")

    def __init__(self, *args: object, deployments: Sequence[Deployment], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        field = self.fields["deployment"]
        assert isinstance(field, forms.TypedChoiceField)  # noqa: S101 - declared above
        field.choices = [(one.pk, _name_deployment(one)) for one in deployments]
        if len(deployments) == 1:
            field.widget = forms.HiddenInput()
        for name in ("min_replicas", "max_replicas"):
            self.fields[name].widget.attrs["inputmode"] = "numeric"

    def clean(self) -> dict[str, object]:
        """Check the bounds against each other."""
        cleaned: dict[str, object] = super().clean() or self.cleaned_data
        low, high = cleaned.get("min_replicas"), cleaned.get("max_replicas")
        if isinstance(low, int) and isinstance(high, int) and high < low:
            self.add_error("max_replicas", f"At least {low}: the upper bound lies below the lower one.")
        return cleaned


def _name_deployment(deployment: Deployment) -> str:
    price = deployment.nano_usd_per_hour
    cost = money.PRICE_UNKNOWN if price is None else f"{money.format_per_hour(price)} per replica"
    return f"{deployment.name}, {shorten_hardware(deployment.hardware)}, {cost}"
