"""A desk with one team's endpoints at a frozen moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from dashboard.accounts.models import Connection, Team
from dashboard.mirror import store_traffic
from dashboard.mirror.groups import GROUPS
from dashboard.mirror.models import (
    Deployment,
    Endpoint,
    Project,
    Resource,
    ResourceKind,
    SyncRun,
    TrafficCoverage,
)
from dashboard.together_api.metrics import TrafficIncrease
from tests import factories
from tests.factories import NOW


@pytest.fixture
def frozen(db: None) -> Iterator[None]:
    """Stop the clock of Python (not PostgreSQL's) at factories.NOW."""
    with time_machine.travel(NOW, tick=False):
        yield


@dataclass
class Desk:
    """One connection with a project of a team, read completely 20 s ago, and its processes at work."""

    connection: Connection
    project: Project
    team: Team

    def endpoint(self, name: str, **fields: Any) -> Endpoint:
        """Write an endpoint in use: one deployment, read until a minute ago, last request two minutes ago."""
        deployment_fields = {key: fields.pop(key) for key in list(fields) if key in _OF_DEPLOYMENT}
        defaults = {
            "traffic_read_until": NOW - timedelta(minutes=1),
            "last_request_at": NOW - timedelta(minutes=2),
        }
        endpoint = factories.make_endpoint(project=self.project, display_name=name, **(defaults | fields))
        self.deployment(endpoint, **deployment_fields)
        return endpoint

    def deployment(self, endpoint: Endpoint, **fields: Any) -> Deployment:
        return factories.make_deployment(endpoint=endpoint, **fields)

    def idle(self, name: str, **fields: Any) -> Endpoint:
        """Write an endpoint that is idle for 47 minutes by evidence."""
        return self.endpoint(name, last_request_at=NOW - timedelta(minutes=47), **fields)

    def stopped(self, name: str, **fields: Any) -> Endpoint:
        """Write a stopped endpoint."""
        return self.endpoint(
            name,
            status="stopped",
            state="DEPLOYMENT_STATE_STOPPED",
            ready_replicas=0,
            desired_replicas=0,
            billable_low=0,
            billable_high=0,
            **fields,
        )

    def resource(self, kind: ResourceKind, name: str = "", **fields: Any) -> Resource:
        """Write a resource of the team's project; its groups were read completely 20 s ago."""
        if name:
            fields["name"] = name
        return factories.make_resource(kind=kind, project=self.project, **fields)

    def traffic(self, endpoint: Endpoint, *, per_minute: int, minutes: int = 120) -> None:
        """Write requests for the last minutes, all of them read."""
        deployment = endpoint.deployments.get()
        last = NOW - timedelta(minutes=1)
        store_traffic.add_minutes(
            [
                (deployment.pk, last - timedelta(minutes=n), TrafficIncrease(requests=per_minute))
                for n in range(1, minutes + 1)
            ]
        )
        TrafficCoverage.objects.create(
            deployment=deployment,
            period=(last - timedelta(minutes=minutes), last),
            origin=TrafficCoverage.Origin.METRICS,
        )


_OF_DEPLOYMENT = (
    "state",
    "state_message",
    "billable_low",
    "billable_high",
    "nano_usd_per_hour",
    "min_replicas",
    "max_replicas",
    "ready_replicas",
    "desired_replicas",
    "inactive_timeout_minutes",
    "state_since",
)


@pytest.fixture
def desk(frozen: None, team: Team) -> Desk:
    connection = factories.make_connection(name="Fernhill", backfilled_at=NOW, health="working")
    factories.make_sync_run(connection=connection)
    factories.make_sync_run(connection=connection, resource=SyncRun.Resource.TRAFFIC)
    for group in GROUPS:
        factories.make_sync_run(connection=connection, resource=group.run)
    factories.beat_all()
    return Desk(connection, factories.make_project(connection=connection, team=team, name="search"), team)
