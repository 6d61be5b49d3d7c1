"""A simulator in this process, driven over its own HTTP surface with a virtual clock."""

import asyncio
from typing import Any, Self

import httpx

from simulator.app import build_app
from simulator.clock import VirtualClock
from simulator.faults import FaultBook
from simulator.lifecycle import Phase
from simulator.scenarios import SCENARIOS
from simulator.world import LegacyEndpoint, World

MODEL = "openai/gpt-oss-20b"
HARDWARE = "1xnvidia-h100-80gb"


class Sim:
    """One world behind its application; every call is a real request through the fault gate."""

    def __init__(self, scenario: str = "empty", *, speed: float = 1.0, any_id: bool = False) -> None:
        self.clock = VirtualClock()
        self.world = World(self.clock, 7, speed, any_id=any_id, tokens_per_second=0, first_token_seconds=0)
        SCENARIOS[scenario](self.world)
        self.faults = FaultBook(seed=7)
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=build_app(self.world, self.faults))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://simulator")
        self.project = next(iter(self.world.projects.values()))
        self.organization_id = self.project.organization.organization_id
        self.base = f"/v2/projects/{self.project.project_id}/endpoints"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = "sim-key") -> httpx.Response:
        """Send one request and return the raw answer."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self.runner.run(self.client.request(method, path, json=body, headers=headers))

    def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = "sim-key", status: int = 200
    ) -> Any:
        """Send one request and return its JSON; another status than the expected one fails the test."""
        answer = self.ask(method, path, body, key=key)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path: str, **options: Any) -> Any:
        return self.send("GET", path, **options)

    def admin(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        return self.send(method, f"/_admin{path}", body, key=None, status=status)

    def advance(self, seconds: float) -> None:
        self.admin("POST", "/advance", {"seconds": seconds})

    def create_endpoint(self, name: str = "bot") -> str:
        return str(self.send("POST", self.base, {"name": name})["id"])

    def deployment_body(self, name: str = "main", **fields: Any) -> dict[str, Any]:
        model = self.world.catalogue.by_name[MODEL]
        config = self.world.catalogue.config_for(model, HARDWARE)
        return {
            "name": name,
            "model": model.path,
            "config": f"projects/proj_together/configs/{config.config_id}",
            "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
            **fields,
        }

    def create_deployment(self, endpoint_id: str, name: str = "main", **fields: Any) -> str:
        body = self.deployment_body(name, **fields)
        return str(self.send("POST", f"{self.base}/{endpoint_id}/deployments", body)["id"])

    def start_deployment(self, **fields: Any) -> tuple[str, str]:
        """Return (endpoint id, deployment id) of a deployment that is READY and gets the endpoint's traffic."""
        endpoint_id = self.create_endpoint()
        deployment_id = self.create_deployment(endpoint_id, **fields)
        split = [{"deploymentId": deployment_id, "weight": 1}]
        self.send("PATCH", f"{self.base}/{endpoint_id}", {"trafficSplit": split})
        self.advance(600)
        return endpoint_id, deployment_id

    def add_legacy(self, state: str = "READY") -> str:
        """Return the id of a v1 endpoint in that state; nothing calls it."""
        model = self.world.catalogue.by_name[MODEL]
        identifier = f"endpoint-{len(self.world.legacy)}"
        now_ms = self.clock.now_ms()
        workload = self.world.new_workload(identifier, min_replicas=1, max_replicas=1)
        replicas = 1 if state == "READY" else 0
        workload.enter(Phase(now_ms, state, replicas, replicas, replicas, "", ""))
        config = self.world.catalogue.config_for(model, HARDWARE)
        self.world.add_legacy(
            LegacyEndpoint(
                identifier, self.project, f"fernhill/{identifier}", "Bot", model, config, workload, now_ms
            )
        )
        return identifier

    def path(self, endpoint_id: str, deployment_id: str) -> str:
        return f"{self.base}/{endpoint_id}/deployments/{deployment_id}"

    def patch(self, ids: tuple[str, str], body: Any, *, query: str = "", status: int = 200) -> Any:
        return self.send("PATCH", self.path(*ids) + query, body, status=status)

    def stop(self, ids: tuple[str, str], **options: Any) -> Any:
        return self.patch(ids, {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}}, **options)

    def state(self, ids: tuple[str, str]) -> str:
        return str(self.get(self.path(*ids))["status"]["state"]).removeprefix("DEPLOYMENT_STATE_")
