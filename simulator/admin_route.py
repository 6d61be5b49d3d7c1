"""One admin route: loopback only, no key, JSON in and out. Each subject may have a module of them."""

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.errors import ApiError, bad_request, render_error
from simulator.world import World

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost", "testclient"})
Action = Callable[[World, Request, dict[str, Any]], Any]


def admin_route(path: str, action: Action, *methods: str) -> Route:
    """Return a route under /_admin that calls `action` with the world, the request and the JSON that was sent."""

    async def answer(request: Request) -> Response:
        client = request.client
        if client is not None and client.host not in _LOOPBACK:
            return render_error(ApiError(403, "admin routes answer on loopback only"))
        raw = await request.body()
        try:
            fields = orjson.loads(raw) if raw else {}
            return JSONResponse(action(request.app.state.world, request, fields))
        except ApiError as error:
            return render_error(error)
        except (KeyError, TypeError, ValueError) as error:
            return render_error(bad_request(f"{type(error).__name__}: {error}"))

    return Route(f"/_admin{path}", answer, methods=list(methods or ("GET",)), name=action.__name__)
