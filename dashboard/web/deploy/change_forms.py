"""Forms of what changes on a running deployment or endpoint: settings and traffic weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms

from dashboard.mirror.models import Deployment
from dashboard.web.deploy.forms import MOST_WEIGHT, ScalingFields, check_timeout
from dashboard.web.deploy.plan import read_autoscaling
from dashboard.web.deploy.scaling import METRICS, read_window
from dashboard.web.forms import MOST_REPLICAS, ActForm


@dataclass(frozen=True, slots=True)
class Changes:
    """What a form asks to be different; None and empty = left alone."""

    autoscaling: Mapping[str, Any] = field(default_factory=dict)
    inactive_timeout: int | None = None
    max_concurrent: int | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing differs."""
        return not self.autoscaling and self.inactive_timeout is None and self.max_concurrent is None


def propose_settings(deployment: Deployment) -> dict[str, Any]:
    """Return the present settings of a deployment as the form's first values. Reads its payload."""
    payload = Deployment.objects.values_list("payload", flat=True).get(pk=deployment.pk)
    autoscaling = payload.get("autoscaling") or {}
    metric: Mapping[str, Any] = next(iter(autoscaling.get("scalingMetrics") or ()), {})
    limit = str(payload.get("maxConcurrentRequestsPerReplica") or "")
    return {
        "deployment": deployment.pk,
        "min_replicas": max(1, deployment.min_replicas or 1),
        "max_replicas": max(1, deployment.max_replicas or deployment.min_replicas or 1),
        "inactive_timeout": deployment.inactive_timeout_minutes,
        "scale_up_window": read_window(autoscaling.get("scaleUpWindow")),
        "scale_down_window": read_window(autoscaling.get("scaleDownWindow")),
        "metric": metric.get("name") if metric.get("name") in METRICS else "",
        "metric_target": metric.get("target"),
        "metric_percentile": metric.get("percentile") or "",
        "max_concurrent": int(limit) if limit.isdecimal() else None,
        "key": ActForm.new_key(),
    }


class ConfigureForm(ActForm, ScalingFields):
    """Bounds, windows, metric, timer and concurrency of one deployment."""

    deployment = forms.TypedChoiceField(coerce=int, label="Deployment", widget=forms.HiddenInput)
    min_replicas = forms.IntegerField(min_value=1, max_value=MOST_REPLICAS, label="At least")
    max_replicas = forms.IntegerField(min_value=1, max_value=MOST_REPLICAS, label="At most")
    inactive_timeout = forms.IntegerField(required=False, min_value=0, label="Stop after, min")
    max_concurrent = forms.IntegerField(required=False, min_value=1, label="Requests at once per replica")

    def __init__(
        self,
        *args: object,
        deployments: Sequence[Deployment],
        is_v1: bool,
        has_bounds: bool,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        chooser = self.fields["deployment"]
        assert isinstance(chooser, forms.TypedChoiceField)  # noqa: S101 - declared above
        chooser.choices = [(one.pk, one.name) for one in deployments]
        gone = [] if has_bounds else ["min_replicas", "max_replicas"]
        if is_v1:
            # v1 takes bounds and timer only (contract 4).
            gone += [*ScalingFields.base_fields, "max_concurrent"]
        for name in gone:
            self.fields.pop(name, None)

    def clean_inactive_timeout(self) -> int | None:
        """Return minutes, 0 = off, None = left alone."""
        minutes = self.cleaned_data["inactive_timeout"]
        return None if minutes is None else check_timeout(minutes)

    def clean(self) -> dict[str, Any]:
        """Check the bounds against each other."""
        cleaned = super().clean() or self.cleaned_data
        low, high = cleaned.get("min_replicas"), cleaned.get("max_replicas")
        if low is not None and high is not None and high < low:
            self.add_error("max_replicas", f"At least {low}: the upper bound lies below the lower one.")
        return cleaned

    def read_changes(self) -> Changes:
        """Return what differs from the first values; bounds go together, a metric goes whole."""
        data, changed = self.cleaned_data, set(self.changed_data)
        found: dict[str, Any] = {}
        if changed & {"min_replicas", "max_replicas"}:
            found |= {"minReplicas": data["min_replicas"], "maxReplicas": data["max_replicas"]}
        wanted = read_autoscaling(data)
        for names, key in (
            ({"scale_up_window"}, "scaleUpWindow"),
            ({"scale_down_window"}, "scaleDownWindow"),
            ({"metric", "metric_target", "metric_percentile"}, "scalingMetrics"),
        ):
            if changed & names and key in wanted:
                found[key] = wanted[key]
        return Changes(
            autoscaling=found,
            inactive_timeout=data.get("inactive_timeout") if "inactive_timeout" in changed else None,
            max_concurrent=data.get("max_concurrent") if "max_concurrent" in changed else None,
        )


class SplitForm(ActForm):
    """One weight per deployment; what is left empty has none."""

    def __init__(
        self, *args: object, deployments: Sequence[Deployment], present: Mapping[int, float], **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        self.deployments, self.present = deployments, present
        self.initial.setdefault("key", self.new_key())
        for one in deployments:
            name = self.name_of(one)
            self.fields[name] = forms.FloatField(
                required=False, min_value=0, max_value=MOST_WEIGHT, label=f"Weight of {one.name}"
            )
            self.initial[name] = f"{present[one.pk]:g}"

    @staticmethod
    def name_of(deployment: Deployment) -> str:
        """Return the name of a deployment's field."""
        return f"weight_{deployment.pk}"

    def read_weights(self) -> dict[int, float]:
        """Return weight by deployment, those above zero only: the rest is out of the split."""
        weights = {one.pk: self.cleaned_data.get(self.name_of(one)) or 0.0 for one in self.deployments}
        return {pk: weight for pk, weight in weights.items() if weight}

    def current_weights(self) -> dict[int, float]:
        """Return what the form shows, as far as it can be read: what is typed, else what is so now."""
        if not self.is_bound:
            return dict(self.present)
        self.is_valid()
        return {one.pk: self.cleaned_data.get(self.name_of(one)) or 0.0 for one in self.deployments}
