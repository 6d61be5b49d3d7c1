"""What rides on the deployments of an endpoint: A/B and shadow experiments, rollouts, adapters."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from simulator.identifiers import derive_etag


@dataclass
class Rider:
    """Facts that all of them have. Ids are unique in the world, names within the endpoint."""

    rider_id: str
    endpoint_id: str
    created_by: str
    created_ms: int
    updated_ms: int
    version: int = field(default=1, kw_only=True)

    @property
    def etag(self) -> str:
        return derive_etag(self.rider_id, self.version)

    def touch(self, at_ms: int) -> None:
        """Count a write: new etag, new updatedAt."""
        self.version += 1
        self.updated_ms = at_ms

    def deployment_ids(self) -> set[str]:
        """Return the deployments that cannot be deleted while this exists."""
        return set()


@dataclass
class AbExperiment(Rider):
    """A split of the control's live traffic. Members are (deployment id, role, percent)."""

    name: str
    description: str | None
    members: list[dict[str, Any]]

    def deployment_ids(self) -> set[str]:
        return {member["deploymentId"] for member in self.members}


@dataclass
class ShadowTarget(Rider):
    """A deployment that gets copies of requests."""

    name: str
    description: str | None
    deployment_id: str


@dataclass
class ShadowExperiment(Rider):
    """A sample of the endpoint's requests, copied to its targets."""

    name: str
    description: str | None
    source: dict[str, Any]
    targets: dict[str, ShadowTarget] = field(default_factory=dict)

    def deployment_ids(self) -> set[str]:
        return {target.deployment_id for target in self.targets.values()}


@dataclass
class Rollout(Rider):
    """A move of traffic from one deployment to another, in steps of percent on the target."""

    spec: dict[str, Any]
    steps: list[int]
    interval_ms: int  # between steps, at the speed of the world
    state: str = "PENDING"
    step: int = 0
    started_ms: int | None = None
    next_ms: int = 0  # of the next step, while it runs
    completed_ms: int | None = None
    paused_ms: int | None = None
    pause_reason: str | None = None
    cancel_reason: str | None = None

    @property
    def source_id(self) -> str:
        return str(self.spec["sourceDeploymentId"])

    @property
    def target_id(self) -> str:
        return str(self.spec["targetDeploymentId"])

    @property
    def is_active(self) -> bool:
        return self.state not in {"COMPLETED", "CANCELED"}

    def deployment_ids(self) -> set[str]:
        return {self.source_id, self.target_id} if self.is_active else set()


@dataclass
class Adapter(Rider):
    """A LoRA adapter on a deployment of its base model."""

    deployment_id: str
    project_id: str
    adapter_model_id: str
    revision_id: str


RiderT = TypeVar("RiderT", bound=Rider)


class Shelf(dict[str, RiderT], Generic[RiderT]):
    """Riders of one kind by id."""

    def of(self, endpoint_id: str) -> list[RiderT]:
        """Return those of one endpoint in order of creation."""
        found = [rider for rider in self.values() if rider.endpoint_id == endpoint_id]
        return sorted(found, key=lambda rider: (rider.created_ms, rider.rider_id))


@dataclass
class Experiments:
    """State of everything that rides on endpoints."""

    ab: Shelf[AbExperiment] = field(default_factory=Shelf)
    shadow: Shelf[ShadowExperiment] = field(default_factory=Shelf)
    rollouts: Shelf[Rollout] = field(default_factory=Shelf)
    adapters: Shelf[Adapter] = field(default_factory=Shelf)

    def holds(self, endpoint_id: str, deployment_id: str) -> str | None:
        """Return the id of what a deployment takes part in; None = it is free."""
        for shelf in (self.ab, self.shadow, self.rollouts):
            for rider in shelf.of(endpoint_id):
                if deployment_id in rider.deployment_ids():
                    return rider.rider_id
        return None

    def active_rollout(self, endpoint_id: str) -> Rollout | None:
        return next((rollout for rollout in self.rollouts.of(endpoint_id) if rollout.is_active), None)

    def forget_deployment(self, deployment_id: str) -> None:
        """Drop the adapters of a deployment that is gone."""
        for adapter in [one for one in self.adapters.values() if one.deployment_id == deployment_id]:
            del self.adapters[adapter.rider_id]

    def forget_endpoint(self, endpoint_id: str) -> None:
        for shelf in (self.ab, self.shadow, self.rollouts, self.adapters):
            for rider_id in [rider.rider_id for rider in shelf.of(endpoint_id)]:
                del shelf[rider_id]
