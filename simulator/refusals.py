"""Answers that a fault gives instead of the resource: nothing happened behind them."""

from collections.abc import Callable
from typing import Protocol

from starlette.responses import HTMLResponse, Response

from simulator.errors import BAD_KEY, ApiError, GatewayError, TextError, render_error

_PAGE = "<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


class Settings(Protocol):
    """What a refusal reads from its fault."""

    status: int | None
    retry_after: float | None


def _seconds(settings: Settings, default: float = 2.0) -> str:
    return f"{settings.retry_after if settings.retry_after is not None else default:g}"


def _rate_limited(settings: Settings, headers: dict[str, str]) -> Response:
    error = ApiError(429, "Rate limit reached", kind="dynamic_request_limited", headers=headers)
    return render_error(error)


def _html(settings: Settings, *, status: int, title: str) -> Response:
    return HTMLResponse(_PAGE.format(title=title), status_code=settings.status or status)


REFUSALS: dict[str, Callable[[Settings], Response]] = {
    "rate_limit": lambda s: _rate_limited(s, {}),
    "rate_limit_retry_after": lambda s: _rate_limited(s, {"retry-after": _seconds(s)}),
    "rate_limit_reset": lambda s: _rate_limited(s, {"x-ratelimit-reset": _seconds(s)}),
    "gpu_quota": lambda s: render_error(GatewayError(429, "GPU quota exceeded")),
    "server_error": lambda s: render_error(
        ApiError(s.status or 500, "Internal server error", kind="server_error")
    ),
    "unavailable": lambda s: render_error(ApiError(503, "Service overloaded", kind="overloaded_error")),
    "gateway_timeout": lambda s: _html(s, status=504, title="504 Gateway Time-out"),
    "overloaded": lambda s: Response(b"", status_code=s.status or 529),
    "empty_body": lambda s: Response(b"", status_code=s.status or 502),
    "html_error": lambda s: _html(s, status=502, title="502 Bad Gateway"),
    "html_ok": lambda s: _html(s, status=200, title="Maintenance"),
    "grpc_error": lambda s: render_error(GatewayError(s.status or 500, "upstream failed")),
    "text_error": lambda s: render_error(TextError(s.status or 500, "something went wrong")),
    "revoked_key": lambda s: render_error(ApiError(401, BAD_KEY, code="invalid_api_key")),
    "payment_required": lambda s: render_error(
        ApiError(402, "Credit limit exceeded, please add credits", kind="credit_limit")
    ),
    "forbidden": lambda s: render_error(
        ApiError(403, "Unauthorized", code="forbidden", kind="permission_error")
    ),
    "not_found": lambda s: render_error(ApiError(404, "not found", code="not_found")),
    "conflict": lambda s: render_error(ApiError(409, "etag does not match", code="aborted")),
}
