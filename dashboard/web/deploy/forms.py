"""The form of the deploy wizard. Its values travel in the query until the last step: Back and reload lose nothing."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.validators import RegexValidator

from dashboard.mirror.models import Endpoint, Project
from dashboard.mirror.offers import HardwareOffer
from dashboard.web.deploy.scaling import METRICS, MOST_PERCENT, PERCENTILES
from dashboard.web.forms import MOST_REPLICAS

# Minutes (contract 3.3): 0 = off, else 30 to 1440.
LEAST_TIMEOUT, MOST_TIMEOUT = 30, 1440
# Seconds. The provider names no bounds; a day is longer than anybody means.
MOST_WINDOW = 86_400
# A share needs no more; the provider takes any number that is not negative.
MOST_WEIGHT = 1_000.0
MOST_NAME = 63
# Value of the endpoint's field.
NEW = "new"
_NAME = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    "Letters, digits, dots, dashes and underscores; a letter or digit first.",
)


def check_timeout(minutes: int | None) -> int:
    """Return minutes of the provider's idle timer, 0 = off. Raises ValidationError between the two."""
    minutes = minutes or 0
    if minutes and not LEAST_TIMEOUT <= minutes <= MOST_TIMEOUT:
        raise forms.ValidationError(f"{LEAST_TIMEOUT} to {MOST_TIMEOUT} minutes, or 0 for off.")
    return minutes


class ScalingFields(forms.Form):
    """The advanced part of autoscaling, the same for a new deployment and for one that runs."""

    scale_up_window = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_WINDOW, label="Scale up after, s"
    )
    scale_down_window = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_WINDOW, label="Scale down after, s"
    )
    metric = forms.ChoiceField(
        required=False,
        label="Scale on",
        choices=[("", "the provider's default"), *((one.name, one.label) for one in METRICS.values())],
    )
    metric_target = forms.FloatField(required=False, min_value=0, label="Target")
    metric_percentile = forms.ChoiceField(
        required=False, label="Percentile", choices=[("", "not set"), *((one, one) for one in PERCENTILES)]
    )

    def clean(self) -> dict[str, Any]:
        """Check the metric with its target."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        metric, target = METRICS.get(cleaned.get("metric") or ""), cleaned.get("metric_target")
        if metric and "metric_target" in cleaned:
            if target is None:
                self.add_error("metric_target", f"A target is needed: {metric.unit}.")
            elif metric.unit == "%" and target > MOST_PERCENT:
                self.add_error("metric_target", "A percentage from 0 to 100.")
        if metric and cleaned.get("metric_percentile") and not metric.has_percentile:
            self.add_error("metric_percentile", f"{metric.label} is not measured in percentiles.")
        return cleaned


class DeployForm(ScalingFields):
    """Everything but the model, which has a step of its own."""

    project = forms.TypedChoiceField(coerce=int, label="Project")
    endpoint = forms.ChoiceField(label="Endpoint")
    endpoint_name = forms.CharField(
        max_length=MOST_NAME,
        validators=[_NAME],
        label="Name of the endpoint",
        error_messages={"required": "A new endpoint needs a name: it is what callers write as model."},
    )
    deployment_name = forms.CharField(
        required=False, max_length=MOST_NAME, validators=[_NAME], label="Name of the deployment"
    )
    config = forms.ChoiceField(label="Hardware", error_messages={"required": "Choose the hardware."})
    region = forms.ChoiceField(required=False, label="Region")
    region_required = forms.BooleanField(required=False, label="Only there")
    min_replicas = forms.IntegerField(min_value=1, max_value=MOST_REPLICAS, label="At least")
    max_replicas = forms.IntegerField(min_value=1, max_value=MOST_REPLICAS, label="At most")
    inactive_timeout = forms.IntegerField(min_value=0, label="Stop after, min")
    max_concurrent = forms.IntegerField(required=False, min_value=1, label="Requests at once per replica")
    weight = forms.FloatField(min_value=0, max_value=MOST_WEIGHT, label="Traffic weight")

    def __init__(
        self,
        *args: object,
        projects: Sequence[Project],
        endpoints: Sequence[Endpoint],
        offers: Sequence[HardwareOffer],
        is_name_taken: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        self.is_name_taken = is_name_taken
        self.offers = {offer.key: offer for offer in offers}
        self.endpoints = {str(endpoint.pk): endpoint for endpoint in endpoints}
        self.projects = {project.pk: project for project in projects}
        if self["endpoint"].value() in self.endpoints:
            self.fields["endpoint_name"].required = False
        self._choose("project", [(one.pk, _name_project(one)) for one in projects])
        self._choose(
            "endpoint", [(NEW, "A new endpoint"), *((one.pk, one.display_name) for one in endpoints)]
        )
        self._choose("config", [(key, offer.hardware) for key, offer in self.offers.items()])
        regions = sorted({room.region for offer in offers for room in offer.rooms})
        self._choose("region", [("", "any region"), *((one, one) for one in regions)])
        for name, field in self.fields.items():
            if isinstance(field, forms.IntegerField):
                field.widget.attrs["inputmode"] = (
                    "decimal" if isinstance(field, forms.FloatField) else "numeric"
                )
            if name.endswith("_name"):
                field.widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}

    def _choose(self, name: str, choices: Sequence[tuple[object, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = list(choices)

    def clean_inactive_timeout(self) -> int:
        """Return minutes, 0 = off."""
        return check_timeout(self.cleaned_data["inactive_timeout"])

    def clean(self) -> dict[str, Any]:
        """Check the bounds, the name and the region against each other."""
        cleaned = super().clean()
        low, high = cleaned.get("min_replicas"), cleaned.get("max_replicas")
        if low is not None and high is not None and high < low:
            self.add_error("max_replicas", f"At least {low}: the upper bound lies below the lower one.")
        if cleaned.get("endpoint") == NEW and cleaned.get("endpoint_name") and self.is_name_taken:
            self.add_error(
                "endpoint_name", "An endpoint of this name exists: choose it above, or another name."
            )
        offer = self.offers.get(cleaned.get("config") or "")
        region = cleaned.get("region")
        if offer and region and region not in {room.region for room in offer.rooms}:
            self.add_error("region", f"{offer.hardware} is not offered in {region}.")
        return cleaned


def _name_project(project: Project) -> str:
    return f"{project.name}, {project.team.name}" if project.team else f"{project.name}, no team"
