"""A running simulator and rows that mirror one deployment of it."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import Connection
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import Deployment, Project, Resource, ResourceKind, StateChange
from simulator.testing import SimulatorProcess
from tests import factories

ACTOR = Actor(user=None, label="Oda Operator")
_numbers = itertools.count(1)
_TIMES = (
    "requested_at", "due_at", "next_try_at", "sent_at", "last_sent_at", "answered_at", "seen_at", "effect_seen_at",
    "absent_seen_at", "lease_until",
)  # fmt: skip


@pytest.fixture
def actor() -> Actor:
    return ACTOR


@dataclass
class Provider:
    """The simulator and what a test does to it behind the product's back."""

    simulator: SimulatorProcess
    connection: Connection

    def v2(self, name: str) -> Deployment:
        """Return rows for the demo deployment behind an endpoint name, READY there and here."""
        for project in self.simulator.call("GET", "/v1/projects")["data"]:
            listing = self.simulator.call("GET", f"/v2/projects/{project['id']}/endpoints")
            for endpoint in listing["data"]:
                if endpoint["name"].endswith(f"/{name}"):
                    summary = endpoint["deployments"][0]
                    self.force(summary["id"], "READY")
                    return self._write_v2(project, endpoint, summary)
        raise LookupError(name)

    def fresh(self) -> Deployment:
        """Return rows for a new endpoint with one deployment, READY there and here; no other test knows it."""
        project = self.project()
        base = f"/v2/projects/{project.remote_id}/endpoints"
        endpoint = self.simulator.call("POST", base, {"name": f"fresh-{next(_numbers)}"})
        body = {
            "name": "blue",
            "autoscaling": {"minReplicas": 1, "maxReplicas": 1, "scaleDownWindow": "300s"},
        }
        made = self.simulator.call("POST", f"{base}/{endpoint['id']}/deployments", {**body, **self.offer()})
        split = {"trafficSplit": [{"deploymentId": made["id"], "weight": 1}]}
        self.simulator.call("PATCH", f"{base}/{endpoint['id']}", split)
        self.force(made["id"], "READY")
        self.simulator.admin("DELETE", "/requests")
        row = factories.make_endpoint(project=project, remote_id=endpoint["id"], name=endpoint["name"])
        return factories.make_deployment(endpoint=row, remote_id=made["id"], name=made["name"])

    def v1(self) -> Deployment:
        """Return rows for a v1 endpoint of the demo, started there and here."""
        remote_id = self.simulator.call("GET", "/v1/endpoints?type=dedicated")["data"][0]["id"]
        self.force(remote_id, "READY")
        project = factories.make_project(connection=self.connection)
        row = factories.make_v1_endpoint(project=project, remote_id=remote_id)
        row.endpoint.remote_id = remote_id
        row.endpoint.save(update_fields=["remote_id"])
        return row

    def _write_v2(
        self, project: dict[str, Any], endpoint: dict[str, Any], summary: dict[str, Any]
    ) -> Deployment:
        known = Project.objects.filter(connection=self.connection, remote_id=project["id"]).first()
        endpoint_row = factories.make_endpoint(
            project=known or factories.make_project(connection=self.connection, remote_id=project["id"]),
            remote_id=endpoint["id"],
            name=endpoint["name"],
        )
        return factories.make_deployment(endpoint=endpoint_row, remote_id=summary["id"], name=summary["name"])

    def project(self, slug: str = "fernhill-docs") -> Project:
        """Return a row for a project of the demo."""
        for project in self.simulator.call("GET", "/v1/projects")["data"]:
            if project["slug"] == slug:
                known = Project.objects.filter(connection=self.connection, remote_id=project["id"]).first()
                return known or factories.make_project(
                    connection=self.connection, remote_id=project["id"], slug=slug, name=slug
                )
        raise LookupError(slug)

    def offer(self) -> dict[str, str]:
        """Return the resource names of a model and a config that fit each other."""
        models = self.simulator.call("GET", "/v2/supported-models?product=PRODUCT_DEDICATED")["data"]
        profile = models[0]["deploymentProfiles"][0]
        return {"model": profile["model"], "config": profile["config"]}

    def endpoints(self, project: Project, name: str) -> list[dict[str, Any]]:
        """Return what exists under an endpoint's name, without the product's client."""
        listing = self.simulator.call("GET", f"/v2/projects/{project.remote_id}/endpoints?limit=500")["data"]
        return [one for one in listing if one["name"].endswith(f"/{name}")]

    def deployments(self, project: Project, endpoint_id: str) -> list[dict[str, Any]]:
        """Return what exists in an endpoint, without the product's client."""
        path = f"/v2/projects/{project.remote_id}/endpoints/{endpoint_id}/deployments"
        return list(self.simulator.call("GET", path)["data"])

    def resource(self, kind: ResourceKind, *, state: str = "") -> Resource:
        """Return a row for one of the demo's resources of that kind, in that state if one is given."""
        path, key, identity = _LISTS[kind]
        answer = self.simulator.call("GET", path)
        for body in answer[key] if key else answer:
            if state and body.get("status") != state:
                continue
            return factories.make_resource(
                kind=kind,
                project=self.project(),
                remote_id=body[identity],
                state=body.get("status", ""),
                payload=body,
            )
        raise LookupError(f"{kind} {state}")

    def force(self, deployment_id: str, state: str, **fields: Any) -> None:
        self.simulator.admin("POST", f"/deployments/{deployment_id}/state", state=state, **fields)

    def tell(self, deployment: Deployment) -> str:
        """Return the state that is true, without the product's client."""
        answer = self.simulator.admin("GET", f"/deployments/{deployment.remote_id}")
        return str(answer["present"]["state"])

    def writes(self, deployment: Deployment | None = None) -> list[dict[str, Any]]:
        """Return the writes that reached the simulator, oldest first; of one deployment or of all."""
        tail = deployment.remote_id if deployment else ""
        return [one for one in self.simulator.requests() if one["method"] != "GET" and tail in one["path"]]


_LISTS = {
    ResourceKind.FINE_TUNE: ("/v1/fine-tunes", "data", "id"),
    ResourceKind.BATCH: ("/v1/batches", "", "id"),
    ResourceKind.CLUSTER: ("/v1/compute/clusters", "clusters", "cluster_id"),
    ResourceKind.VOLUME: ("/v1/compute/clusters/storage/volumes", "volumes", "volume_id"),
    ResourceKind.CONTAINER: ("/v1/deployments", "data", "id"),
    ResourceKind.RL_RESOURCE: ("/v1/rl/model-resources", "data", "id"),
}


@pytest.fixture(scope="module")
def _simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(scenario="demo", speed=600) as simulator:
        yield simulator


@pytest.fixture
def provider(_simulator: SimulatorProcess, transactional_db: None, settings: Any) -> Iterator[Provider]:
    settings.TOGETHER_BASE_URL = _simulator.url
    _simulator.clear_faults()
    _simulator.admin("DELETE", "/requests")
    yield Provider(_simulator, factories.make_connection())
    _simulator.clear_faults()


def let_pass(*, seconds: float) -> None:
    """Make so much time pass, by moving the recorded past of everything."""
    shift = timedelta(seconds=seconds)
    StopAction.objects.update(**{name: F(name) - shift for name in _TIMES})
    StateChange.objects.update(at=F("at") - shift, recorded_at=F("recorded_at") - shift)
    Deployment.objects.update(observed_at=F("observed_at") - shift)


def drive(
    action: StopAction, *, until: Callable[[StopAction], bool], timeout_seconds: float = 15
) -> StopAction:
    """Reconcile as the processes do until the condition holds; fail with the last error otherwise."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        reconcile_once("test/1")
        action = StopAction.objects.get(pk=action.pk)
        if until(action):
            return action
        assert time.monotonic() < deadline, f"{action.state}: {action.last_error} {action.seen_state}"
        let_pass(seconds=1)
        time.sleep(0.05)


def is_ended(action: StopAction) -> bool:
    return not action.is_open
