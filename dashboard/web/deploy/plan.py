"""What a filled form means: the deployment in words, and what it will cost. No query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.burn import Burn, price_replicas
from billing.typical_use import TypicalUse
from dashboard.core import money
from dashboard.mirror.models import Endpoint, Project
from dashboard.mirror.offers import DeployableModel, HardwareOffer, Room
from dashboard.web.deploy.forms import DeployForm
from dashboard.web.deploy.scaling import describe_metrics, read_metric, write_window
from dashboard.web.labels import count_nouns, shorten_hardware, shorten_model

_ENFORCEMENT = {True: "ENFORCEMENT_REQUIRED", False: "ENFORCEMENT_PREFERRED"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment as asked for. `endpoint` None = a new one is made. Weights are the split's, share 0 to 1."""

    model: DeployableModel
    offer: HardwareOffer
    project: Project
    endpoint: Endpoint | None
    endpoint_name: str
    deployment_name: str
    min_replicas: int
    max_replicas: int
    inactive_timeout: int
    max_concurrent: int | None
    region: str
    is_region_required: bool
    weight: float
    share: float | None
    autoscaling: Mapping[str, Any]

    @property
    def burn(self) -> Burn:
        """Return what it burns once ready, from the fewest to the most replicas."""
        return price_replicas(
            low=self.min_replicas, high=self.max_replicas, nano_usd_per_hour=self.offer.nano_usd_per_hour
        )

    @property
    def placement(self) -> dict[str, Any] | None:
        """Return the regions as the provider takes them, None for any."""
        if not self.region:
            return None
        constraint = _ENFORCEMENT[self.is_region_required]
        return {"inline": {"regions": [self.region], "constraint": constraint}}

    @property
    def hardware_label(self) -> str:
        """Return ``2× H100``."""
        return shorten_hardware(self.offer.hardware)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return what will be asked for, as (label, words)."""
        where = f"only in {self.region}" if self.is_region_required else f"in {self.region} if it fits"
        timeout = f"{self.inactive_timeout} min without a request, by the provider's own timer"
        facts = [
            ("Model", self.model.name),
            ("Hardware", f"{self.hardware_label} per replica, {self.offer.hardware}"),
            ("Region", where if self.region else "any, the provider chooses"),
            ("Replicas", describe_bounds(self.min_replicas, self.max_replicas)),
            ("Autoscaling", describe_autoscaling(self.autoscaling)),
            ("Stops after", timeout if self.inactive_timeout else "never by itself"),
            ("Project", str(self.project)),
            ("Endpoint", self.endpoint.display_name if self.endpoint else f"{self.endpoint_name}, new"),
            ("Deployment", self.deployment_name),
            ("Traffic", describe_share(self.weight, self.share)),
        ]
        if self.max_concurrent:
            facts.insert(5, ("Requests at once", f"{self.max_concurrent} per replica"))
        return tuple(facts)


def read_plan(form: DeployForm, *, model: DeployableModel) -> Plan:
    """Return what a valid form asks for."""
    data = form.cleaned_data
    offer, endpoint = form.offers[data["config"]], form.endpoints.get(data["endpoint"])
    return Plan(
        model=model,
        offer=offer,
        project=form.projects[data["project"]],
        endpoint=endpoint,
        endpoint_name="" if endpoint else data["endpoint_name"],
        deployment_name=data["deployment_name"] or propose_deployment(model.name, offer),
        min_replicas=data["min_replicas"],
        max_replicas=data["max_replicas"],
        inactive_timeout=data["inactive_timeout"],
        max_concurrent=data["max_concurrent"],
        region=data["region"],
        is_region_required=data["region_required"],
        weight=data["weight"],
        share=measure_share(data["weight"], beside=read_weights(endpoint) if endpoint else ()),
        autoscaling=read_autoscaling(data),
    )


def read_autoscaling(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the advanced part of a valid form as the provider takes it; only what was set."""
    found: dict[str, Any] = {}
    for name, key in (("scale_up_window", "scaleUpWindow"), ("scale_down_window", "scaleDownWindow")):
        if data.get(name) is not None:
            found[key] = write_window(data[name])
    if data.get("metric"):
        metric = read_metric(
            data["metric"], target=data["metric_target"], percentile=data.get("metric_percentile") or ""
        )
        found["scalingMetrics"] = [metric]
    return found


def read_weights(endpoint: Endpoint) -> tuple[float, ...]:
    """Return the weights in an endpoint's traffic split, as last read. Needs its payload."""
    return tuple(weight for _, weight in read_split(endpoint.payload))


def read_split(payload: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """Return (deployment's remote id, weight) of an endpoint's body; entries that cannot be read are left out."""
    entries = payload.get("trafficSplit") or payload.get("traffic_split") or ()
    found = []
    for entry in entries if isinstance(entries, list) else ():
        weight = entry.get("weight") if isinstance(entry, dict) else None
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            found.append((str(entry.get("deploymentId") or entry.get("deployment_id") or ""), float(weight)))
    return tuple(found)


def measure_share(weight: float, *, beside: Sequence[float]) -> float | None:
    """Return which part of the requests a weight gets beside the others, None when no weight is above zero."""
    total = weight + sum(beside)
    return weight / total if total else None


def propose_deployment(model: str, offer: HardwareOffer) -> str:
    """Return ``qwen3-32b-1xh100``."""
    size = f"{offer.gpu_count or ''}x{offer.gpu_type}" if offer.gpu_type else offer.hardware
    return f"{shorten_model(model)}-{size}".lower().replace(" ", "-")[:50].strip("-._")


def describe_bounds(low: int, high: int) -> str:
    """Return ``2 replicas, always`` or ``1 to 3 replicas, by traffic``."""
    return (
        f"{count_nouns(low, 'replica')}, always" if low == high else f"{low} to {high} replicas, by traffic"
    )


def describe_autoscaling(autoscaling: Mapping[str, Any]) -> str:
    """Return what was set beyond the bounds; "the provider's defaults" for nothing."""
    words = []
    if metrics := describe_metrics(autoscaling):
        words.append(f"on {metrics}")
    if "scaleUpWindow" in autoscaling:
        words.append(f"up after {autoscaling['scaleUpWindow']}")
    if "scaleDownWindow" in autoscaling:
        words.append(f"down after {autoscaling['scaleDownWindow']}")
    return ", ".join(words) or "the provider's defaults"


def describe_share(weight: float, share: float | None) -> str:
    """Return ``50% of the endpoint's requests (weight 1)``."""
    if not weight:
        return "none until its weight is raised"
    return f"{share or 0:.0%} of the endpoint's requests (weight {weight:g})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stop when idle would make of the monthly price, as an assumption; figures in words for a sentence."""

    hours: str
    endpoints: str
    low: money.Nano
    high: money.Nano


def estimate_use(plan: Plan, use: TypicalUse | None) -> Estimate | None:
    """Return the estimate; None without a timer, without a price, or when nothing is known of use."""
    price = plan.offer.nano_usd_per_hour
    if use is None or price is None or not plan.inactive_timeout:
        return None
    return Estimate(
        hours=f"{use.hours_per_day:.1f} h a day",
        endpoints=count_nouns(use.endpoint_count, "endpoint"),
        low=use.price_month(price * plan.min_replicas),
        high=use.price_month(price * plan.max_replicas),
    )


def describe_room(room: Room) -> str:
    """Return how much fits into a region now: ``4 or more fit now``, ``none free now``, ``not told``."""
    if room.replicas is None:
        return "not told"
    if not room.replicas:
        return "0 or more fit now" if room.is_at_least else "none free now"
    fit = "fits" if room.replicas == 1 and not room.is_at_least else "fit"
    return f"{room.replicas}{' or more' if room.is_at_least else ''} {fit} now"
