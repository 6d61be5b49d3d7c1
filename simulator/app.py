"""The ASGI application: routes put together from the resource modules, faults in front of them."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from simulator import admin
from simulator.compute import admin as compute_admin
from simulator.errors import ApiError, render_error
from simulator.faults import FaultBook, FaultGate
from simulator.journal import Journal
from simulator.resources import (
    ab_experiments,
    adapters,
    analytics,
    chat,
    clusters,
    configs,
    container_queue,
    container_secrets,
    container_volumes,
    containers,
    deployments,
    endpoints,
    events,
    hardware,
    identity,
    jobs,
    legacy_endpoints,
    legacy_uploads,
    metrics,
    model_uploads,
    models,
    placement_profiles,
    regions,
    remediations,
    rl,
    rl_sessions,
    rollouts,
    serverless_models,
    shadow_experiments,
    supported_models,
    usage,
    volumes,
)
from simulator.world import World

#: Every resource of the simulated API. A further one is one more module with `ROUTES`.
RESOURCES = (
    identity,
    endpoints,
    deployments,
    events,
    analytics,
    ab_experiments,
    shadow_experiments,
    rollouts,
    adapters,
    placement_profiles,
    hardware,
    model_uploads,  # before models: their path would take "uploads" for an id
    models,
    configs,
    supported_models,
    serverless_models,
    legacy_uploads,
    legacy_endpoints,
    usage,
    metrics,
    chat,
    jobs,
    clusters,
    volumes,
    regions,
    remediations,
    container_secrets,  # before containers: their path would take "secrets" for an id
    container_volumes,
    containers,
    container_queue,
    rl,
    rl_sessions,
    compute_admin,
)


async def answer_health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    if request.url.path.startswith("/v1/chat/"):
        error.request_id = request.scope.get("simulator.request_id")
    return render_error(error)


async def refuse_unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return render_error(ApiError(status, f"no such operation: {request.method} {request.url.path}"))


def build_app(world: World, faults: FaultBook | None = None, journal: Journal | None = None) -> ASGIApp:
    """Return the application of one world: faults in front, then the journal, then the routes."""
    api = build_api(world, faults)
    return FaultGate(journal.watch(api) if journal else api, api.state)


def build_api(world: World, faults: FaultBook | None = None) -> Starlette:
    """Return the routes of one world, without faults in front of them."""
    routes = [Route("/healthz", answer_health), *admin.ROUTES]
    for resource in RESOURCES:
        routes += resource.ROUTES
    book = faults or FaultBook(seed=world.seed)
    app = Starlette(routes=routes, exception_handlers={ApiError: refuse, HTTPException: refuse_unknown})
    app.state.world = world
    app.state.faults = book
    return app
