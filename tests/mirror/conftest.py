"""A mirror of a simulated organisation: a real simulator process on a virtual clock, and the passes that read it."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.accounts.models import Connection
from dashboard.mirror import sync_catalogue, sync_endpoints, sync_events, sync_traffic
from dashboard.mirror.groups import GROUPS
from dashboard.mirror.models import Deployment, Endpoint, SyncRun
from dashboard.mirror.sync_resources import sync_groups
from simulator.testing import SimulatorProcess
from tests import factories

Organize = Callable[..., "Mirror"]


@dataclass
class Mirror:
    """A connection, the organisation behind it, and the time that both share."""

    connection: Connection
    simulator: SimulatorProcess
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = parse_time(self.simulator.admin("GET", "/clock")["now"])

    def clock(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass for the organisation and for us."""
        self.now = parse_time(self.simulator.advance(seconds))

    def sync_projects(self) -> SyncRun:
        return self._run(sync_catalogue.sync_projects)

    def sync_hardware(self) -> SyncRun:
        return self._run(sync_catalogue.sync_hardware)

    def sync_endpoints(self) -> SyncRun:
        return self._run(sync_endpoints.sync_endpoints)

    def sync_in_transition(self) -> SyncRun:
        return self._run(sync_endpoints.sync_in_transition)

    def sync_events(self) -> SyncRun:
        return self._run(sync_events.sync_events)

    def sync_traffic(self) -> SyncRun:
        return self._run(sync_traffic.sync_traffic)

    def sync_group(self, name: str) -> SyncRun:
        """Read one group of resources (mirror/groups.py), by the name of its runs."""
        group = next(one for one in GROUPS if one.run == name)
        return self._run(functools.partial(sync_groups, groups=[group]))

    def sync_catalogue(self) -> "Mirror":
        self.sync_projects()
        self.sync_hardware()
        return self

    def sync_all(self) -> "Mirror":
        self.sync_catalogue()
        self.sync_endpoints()
        self.sync_events()
        self.sync_traffic()
        return self

    def _run(self, sync: Callable[..., None]) -> SyncRun:
        sync(self.connection, clock=self.clock)
        return SyncRun.objects.filter(connection=self.connection).latest("pk")

    def endpoint(self, name: str) -> Endpoint:
        return Endpoint.objects.get(connection=self.connection, display_name=name)

    def deployment(self, name: str) -> Deployment:
        """Return the first deployment of the endpoint of that name."""
        return Deployment.objects.filter(
            endpoint__connection=self.connection, endpoint__display_name=name
        ).earliest("remote_created_at", "pk")

    def truth(self, deployment: Deployment) -> Any:
        """Return what the simulator knows of a deployment: present, timeline, ready_ms."""
        return self.simulator.admin("GET", f"/deployments/{deployment.remote_id}")

    def force(self, deployment: Deployment, state: str, **fields: Any) -> None:
        self.simulator.admin("POST", f"/deployments/{deployment.remote_id}/state", state=state, **fields)

    def delete(self, remote_id: str) -> None:
        """Let something vanish as if somebody else had deleted it."""
        self.simulator.admin("DELETE", f"/deployments/{remote_id}")

    def break_with(self, kind: str, **fields: Any) -> None:
        self.simulator.add_fault(kind, **fields)


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def at_ms(milliseconds: int) -> datetime:
    """Return a time of the simulator's own records."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


@pytest.fixture
def organize(settings: Any) -> Iterator[Organize]:
    """Start an organisation (flags of the simulator) and connect to it; the database is the caller's to ask for."""
    running: list[SimulatorProcess] = []

    def start(**flags: Any) -> Mirror:
        simulator = SimulatorProcess(**{"scenario": "demo", "clock": "virtual", **flags})
        simulator.start()
        running.append(simulator)
        settings.TOGETHER_BASE_URL = simulator.url
        organization = simulator.call("GET", "/v3/whoami")["organization"]["id"]
        return Mirror(factories.make_connection(organization_id=organization), simulator)

    yield start
    for simulator in running:
        simulator.stop()


@pytest.fixture
def mirror(db: None, organize: Organize) -> Mirror:
    """The demo organisation, connected, nothing read yet."""
    return organize()


@pytest.fixture
def filled(mirror: Mirror) -> Mirror:
    """The demo organisation with its catalogue and endpoints read once."""
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    return mirror
