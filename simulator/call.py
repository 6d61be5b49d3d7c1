"""One request as the resource modules see it: who asks, when, with what."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.errors import BAD_KEY, ApiError, BareError, bad_request, not_found
from simulator.jobs.endings import settle_jobs
from simulator.lifecycle import STOP_FAULTS
from simulator.rollout_progress import advance_rollouts
from simulator.world import SDK_TEST_KEY, Endpoint, Identity, Project, World


@dataclass(frozen=True)
class Call:
    """A request that was let in."""

    world: World
    identity: Identity
    now_ms: int
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    request_id: str
    fault_kinds: frozenset[str]

    def project(self) -> Project:
        """Return the project of the path. Raises 404 where the key's organisation has none of that id."""
        project = self.world.projects.get(self.path["project_id"])
        if self.world.any_id:
            return project or self.identity.project
        if project is None or project.organization != self.identity.organization:
            raise not_found("project", self.path["project_id"])
        return project

    def endpoint(self, name: str = "endpoint_id") -> Endpoint:
        """Return the v2 endpoint of the path; any of them in any-id mode."""
        project = self.project()
        endpoint = self.world.endpoints.get(self.path[name])
        if endpoint is not None and endpoint.project == project:
            return endpoint
        if self.world.any_id:
            return next(iter(self.world.endpoints.values()))
        raise not_found("endpoint", self.path[name])

    def check_organization(self, organization_id: str) -> None:
        """Raise 403 for an organisation that is not the key's."""
        if organization_id != self.identity.organization.organization_id and not self.world.any_id:
            raise ApiError(403, "the key has no access to this organization", code="forbidden")

    def stop_behaviour(self) -> str | None:
        """Return what a fault makes of the stop in this request; None = no fault."""
        return next((STOP_FAULTS[kind] for kind in STOP_FAULTS if kind in self.fault_kinds), None)

    def fields(self) -> dict[str, Any]:
        """Return the JSON object that was sent. Raises 400 for anything else."""
        if not isinstance(self.body, dict):
            raise bad_request("request body must be a JSON object")
        return self.body

    def flag(self, name: str) -> bool | None:
        """Return a boolean query parameter; None = not given."""
        text = self.query.get(name)
        return None if text is None else text.lower() in {"true", "1"}

    def whole_number(self, name: str, *, default: int, most: int) -> int:
        """Return a query parameter between 1 and `most`. Raises 400 outside (any-id mode: the default)."""
        text = self.query.get(name)
        if text is None:
            return default
        if text.isdecimal() and 1 <= int(text) <= most:
            return int(text)
        if self.world.any_id:
            return default
        raise bad_request(f"{name} must be between 1 and {most}", param=name)


Handler = Callable[[Call], Response]


def route(path: str, handler: Handler, *methods: str, bare_refusal: bool = False) -> Route:
    """Return a route that checks the key, reads the body and calls `handler`."""

    async def answer(request: Request) -> Response:
        return handler(await read_call(request, bare_refusal=bare_refusal))

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=list(methods or ("GET",)), name=handler.__name__)


def _read_json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        raise bad_request(f"invalid JSON: {error}") from error


async def read_call(
    request: Request, *, bare_refusal: bool = False, read_body: Callable[[bytes], Any] = _read_json
) -> Call:
    """Return the call of a request. Raises ApiError 401 for a bad key and 400 for a broken body.

    `read_body` returns what the journal can write down as JSON.
    """
    world: World = request.app.state.world
    world.registry.refresh(world.now_ms())
    advance_rollouts(world, world.now_ms())
    settle_jobs(world, world.now_ms())
    # Of a write that the journal repeats, the scope says who it was: the key itself is written nowhere.
    identity = request.scope.get("simulator.identity") or find_identity(
        world, request.headers.get("authorization", "")
    )
    if identity is None:
        if bare_refusal:
            raise BareError(401, "Unauthorized")
        raise ApiError(401, BAD_KEY, code="invalid_api_key")
    body = read_body(await request.body())
    call = Call(
        world=world,
        identity=identity,
        now_ms=world.now_ms(),
        path=request.path_params,
        query=request.query_params,
        body=body,
        request_id=request.scope.get("simulator.request_id", ""),
        fault_kinds=frozenset(request.scope.get("simulator.fault_kinds", ())),
    )
    request.scope["simulator.call"] = call
    return call


def find_identity(world: World, authorization: str) -> Identity | None:
    """Return who the bearer key speaks for; None = nobody."""
    match = re.fullmatch(r"(?i:bearer)\s+(.+)", authorization)
    if match is None:
        return None
    key = match.group(1).strip()
    if world.any_id and key == SDK_TEST_KEY:
        return next(iter(world.keys.values()))
    return world.keys.get(key)


def json_answer(payload: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer; bytes are taken as already encoded."""
    content = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return Response(content, status_code=status, media_type="application/json", headers=headers)
