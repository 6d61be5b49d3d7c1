"""The whole simulated state: who, what exists, and the switches that tests turn."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from simulator import lifecycle
from simulator.catalogue import Catalogue, Config, Model, build_catalogue
from simulator.charges import Source
from simulator.clock import HOUR_MS, Clock, format_time
from simulator.compute.agenda import Tempo
from simulator.compute.state import Compute
from simulator.experiments import Experiments
from simulator.identifiers import derive_etag, derive_id, derive_number, derive_uuid
from simulator.jobs.charges import charge_jobs
from simulator.jobs.store import Jobs
from simulator.lifecycle import Durations
from simulator.registry import Registry
from simulator.traffic import QUIET, Profile, Traffic, Usage
from simulator.workload import Pace, Workload

DEFAULT_KEY = "sim-key"
MOST_GENERATIONS = 1_000
SDK_TEST_KEY = "My API Key"  # the key of the SDK's own generated tests, taken in --any-id mode only


@dataclass(frozen=True)
class Organization:
    organization_id: str
    name: str
    slug: str


@dataclass(frozen=True)
class Project:
    project_id: str
    name: str
    slug: str
    organization: Organization


@dataclass(frozen=True)
class Identity:
    """Who a key speaks for."""

    api_key_id: str
    organization: Organization
    project: Project


@dataclass(frozen=True)
class Action:
    """Something a person or the API did, as it appears in the events feed."""

    at_ms: int
    kind: str
    message: str
    name: str | None = None
    paths: tuple[str, ...] = ()


@dataclass
class Deployment:
    """A v2 deployment: what was asked for; `workload` is what it does."""

    deployment_id: str
    endpoint_id: str
    project: Project
    name: str  # fully qualified
    model: Model
    config: Config
    workload: Workload
    created_ms: int
    updated_ms: int
    autoscaling: dict[str, Any]
    inactive_timeout_minutes: int | None = None
    max_concurrent: int = 63
    placement: dict[str, Any] | None = None
    traffic_mode: str = "TRAFFIC_MODE_LIVE"
    version: int = 1
    actions: list[Action] = field(default_factory=list)

    @property
    def etag(self) -> str:
        return derive_etag(self.deployment_id, self.version)


@dataclass
class Endpoint:
    """A v2 endpoint: a name, a traffic split, and deployments in order of creation."""

    endpoint_id: str
    project: Project
    slug: str
    created_ms: int
    updated_ms: int
    deployments: dict[str, Deployment] = field(default_factory=dict)
    former: list[Deployment] = field(default_factory=list)  # deleted; their events and costs stay
    traffic_split: list[tuple[str, float]] = field(default_factory=list)
    was_routed: bool = False  # had a traffic split that was emptied
    visibility: str = "VISIBILITY_PRIVATE"
    version: int = 1
    actions: list[Action] = field(default_factory=list)
    payload: bytes = b""
    payload_until_ms: int = 0

    @property
    def name(self) -> str:
        return f"{self.project.slug}/{self.slug}"

    @property
    def etag(self) -> str:
        return derive_etag(self.endpoint_id, self.version)

    def touch(self, at_ms: int) -> None:
        """Count a write: new etag, new updatedAt, no cached body."""
        self.version += 1
        self.updated_ms = at_ms
        self.payload_until_ms = 0


@dataclass
class LegacyEndpoint:
    """A v1 endpoint."""

    endpoint_id: str
    project: Project
    name: str
    display_name: str
    model: Model
    config: Config
    workload: Workload
    created_ms: int
    inactive_timeout_minutes: int | None = 60


@dataclass
class Generation:
    """One chat completion while it is produced and afterwards."""

    generation_id: str
    model: str
    started_at: str
    streamed: bool
    state: str = "running"  # running | finished | cancelled | failed
    tokens: int = 0


@dataclass(frozen=True)
class Count:
    """Traffic that a chat completion caused.

    `target` is one id, of what answered; or model, project and API key of a serverless completion.
    """

    at_ms: int
    target: list[str]
    usage: list[int]  # in the order of `Usage`


def _note_nowhere(count: Count) -> None:
    """Keep no record: there is no journal."""


@dataclass
class World:
    """State of one simulator. Handlers run on one event loop, so nothing here needs a lock."""

    clock: Clock
    seed: int
    speed: float
    any_id: bool = False
    usage_enabled: bool = True
    usage_hourly: bool = True  # else the usage API refuses hours
    metrics_enabled: bool = True
    catalogue: Catalogue = field(default_factory=build_catalogue)
    projects: dict[str, Project] = field(default_factory=dict)
    keys: dict[str, Identity] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    by_inference_name: dict[str, Endpoint | Deployment | LegacyEndpoint] = field(default_factory=dict)
    legacy: dict[str, LegacyEndpoint] = field(default_factory=dict)
    deleted_deployments: list[tuple[Deployment, int]] = field(default_factory=list)
    deleted_legacy: list[tuple[LegacyEndpoint, int]] = field(default_factory=list)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=20_000))
    generations: dict[str, Generation] = field(default_factory=dict)
    serverless_tokens: dict[tuple[int, str, str, str], tuple[int, int]] = field(default_factory=dict)
    usage_windows: dict[tuple[str, int, int], list[dict[str, Any]]] = field(default_factory=dict)
    experiments: Experiments = field(default_factory=Experiments)
    gpu_quota: dict[str, int] = field(default_factory=dict)  # GPUs of a type per organisation
    tokens_per_second: float = 120.0
    first_token_seconds: float = 0.15
    charge_sources: list[Source] = field(default_factory=list)
    jobs: Jobs = field(default_factory=Jobs)
    note_traffic: Callable[[Count], None] = _note_nowhere
    ids_given: int = 0

    def __post_init__(self) -> None:
        self.start_ms = self.clock.now_ms()
        durations = Durations()
        self.pace = Pace(self.start_ms, durations, durations.shortened(self.speed))
        self.compute = Compute(Tempo(self.start_ms, self.speed))
        self.charge_sources.append(partial(charge_jobs, self.jobs, self.catalogue))
        self.charge_sources.append(
            lambda start_ms, end_ms: self.compute.charge(start_ms, end_ms, now_ms=self.now_ms())
        )
        self.registry = Registry(self.catalogue, self.seed, self.speed, self.start_ms)

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def new_id(self, prefix: str) -> str:
        """Return an id that no other object of this world has."""
        self.ids_given += 1
        return derive_id(prefix, self.seed, "new", self.ids_given)

    def new_uuid(self) -> str:
        """Return a uuid that no other object of this world has."""
        self.ids_given += 1
        return derive_uuid(self.seed, "new", self.ids_given)

    def add_project(self, organization: Organization, name: str) -> Project:
        slug = f"{organization.slug}-{name.lower().replace(' ', '-')}"
        project = Project(derive_id("proj", self.seed, slug), name, slug, organization)
        self.projects[project.project_id] = project
        return project

    def add_key(self, key: str, project: Project) -> None:
        api_key_id = derive_id("key", self.seed, key)
        self.keys[key] = Identity(api_key_id, project.organization, project)

    def new_workload(
        self,
        identity: str,
        *,
        min_replicas: int,
        max_replicas: int,
        profile: Profile = QUIET,
        replica_capacity: float = 120.0,
    ) -> Workload:
        traffic = Traffic(derive_number(self.seed, identity), profile)
        return Workload(self.pace, traffic, min_replicas, max_replicas, replica_capacity)

    def add_endpoint(
        self, *, project: Project, slug: str, at_ms: int, endpoint_id: str | None = None
    ) -> Endpoint:
        endpoint = Endpoint(
            endpoint_id or derive_id("ep", self.seed, project.project_id, slug), project, slug, at_ms, at_ms
        )
        endpoint.actions.append(Action(at_ms, "endpoint.created", "Endpoint created", name=endpoint.name))
        self.endpoints[endpoint.endpoint_id] = endpoint
        self.by_inference_name[endpoint.name] = endpoint
        return endpoint

    def add_deployment(
        self,
        endpoint: Endpoint,
        *,
        slug: str,
        model: Model,
        config: Config,
        autoscaling: dict[str, Any],
        at_ms: int,
        profile: Profile = QUIET,
        replica_capacity: float = 120.0,
        deployment_id: str | None = None,
    ) -> Deployment:
        """Create a deployment without starting it; the caller plays its first phase.

        The endpoint keeps its etag: the official CLI creates both and then sets the split with the etag it knows.
        """
        deployment_id = deployment_id or derive_id("dep", self.seed, endpoint.endpoint_id, slug)
        workload = self.new_workload(
            deployment_id,
            min_replicas=autoscaling["minReplicas"],
            max_replicas=autoscaling["maxReplicas"],
            profile=profile,
            replica_capacity=replica_capacity,
        )
        deployment = Deployment(
            deployment_id=deployment_id,
            endpoint_id=endpoint.endpoint_id,
            project=endpoint.project,
            name=f"{endpoint.name}/{slug}",
            model=model,
            config=config,
            workload=workload,
            created_ms=at_ms,
            updated_ms=at_ms,
            autoscaling=autoscaling,
        )
        deployment.actions.append(
            Action(at_ms, "deployment.created", "Deployment created", name=deployment.name)
        )
        endpoint.deployments[deployment_id] = deployment
        endpoint.payload_until_ms = 0
        self.deployments[deployment_id] = deployment
        self.by_inference_name[deployment.name] = deployment
        return deployment

    def count_traffic(self, count: Count) -> bool:
        """Count what a chat completion caused; False = what answered it is gone."""
        usage = Usage(*count.usage)
        if len(count.target) > 1:
            model, project_id, api_key_id = count.target
            key = (count.at_ms // HOUR_MS, model, project_id, api_key_id)
            before = self.serverless_tokens.get(key, (0, 0))
            self.serverless_tokens[key] = (before[0] + usage.input_tokens, before[1] + usage.output_tokens)
        else:
            (identifier,) = count.target
            resource = self.deployments.get(identifier) or self.legacy.get(identifier)
            if resource is None:
                return False
            resource.workload.traffic.inject(count.at_ms, usage)
        self.note_traffic(count)
        return True

    def keep_generation(self, generation: Generation) -> None:
        """Remember a chat completion; of many only the latest."""
        self.generations[generation.generation_id] = generation
        if len(self.generations) > MOST_GENERATIONS:
            del self.generations[next(iter(self.generations))]

    def add_legacy(self, legacy: LegacyEndpoint) -> LegacyEndpoint:
        self.legacy[legacy.endpoint_id] = legacy
        self.by_inference_name[legacy.name] = legacy
        return legacy

    def remove_deployment(self, deployment: Deployment, *, at_ms: int) -> None:
        """Let a deployment vanish; what it cost and its events stay known."""
        deployment.workload.advance(at_ms)
        endpoint = self.endpoints[deployment.endpoint_id]
        deployment.actions.append(
            Action(at_ms, "deployment.deleted", "Deployment deleted", name=deployment.name)
        )
        del endpoint.deployments[deployment.deployment_id], self.deployments[deployment.deployment_id]
        self.by_inference_name.pop(deployment.name, None)
        self.experiments.forget_deployment(deployment.deployment_id)
        endpoint.former.append(deployment)
        self.deleted_deployments.append((deployment, at_ms))
        endpoint.payload_until_ms = 0
        remaining = [part for part in endpoint.traffic_split if part[0] != deployment.deployment_id]
        if remaining != endpoint.traffic_split:
            endpoint.traffic_split = remaining
            endpoint.touch(at_ms)

    def remove_endpoint(self, endpoint: Endpoint, *, at_ms: int) -> None:
        for deployment in tuple(endpoint.deployments.values()):
            self.remove_deployment(deployment, at_ms=at_ms)
        del self.endpoints[endpoint.endpoint_id]
        self.experiments.forget_endpoint(endpoint.endpoint_id)
        self.by_inference_name.pop(endpoint.name, None)

    def remove_legacy(self, legacy: LegacyEndpoint, *, at_ms: int) -> None:
        legacy.workload.advance(at_ms)
        del self.legacy[legacy.endpoint_id]
        self.by_inference_name.pop(legacy.name, None)
        self.deleted_legacy.append((legacy, at_ms))

    def meters(self) -> Iterator[tuple[Deployment | LegacyEndpoint, int | None]]:
        """Yield everything that ever ran, with the instant it was deleted (None = exists)."""
        for deployment in self.deployments.values():
            yield deployment, None
        for legacy in self.legacy.values():
            yield legacy, None
        yield from self.deleted_deployments
        yield from self.deleted_legacy

    def describe(self) -> dict[str, Any]:
        """Return a summary for the admin route and for people."""
        now_ms = self.now_ms()
        states = dict.fromkeys(lifecycle.STATES, 0)
        for deployment in self.deployments.values():
            deployment.workload.advance(now_ms)
            states[deployment.workload.state] += 1
        return {
            "seed": self.seed,
            "speed": self.speed,
            "now": format_time(now_ms),
            "started_at": format_time(self.start_ms),
            "endpoints": len(self.endpoints),
            "deployments": len(self.deployments),
            "legacy_endpoints": len(self.legacy),
            "gpu_quota": self.gpu_quota,
            "deployment_states": {state: count for state, count in states.items() if count},
        }
