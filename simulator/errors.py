"""Refusals in every body shape that the real API is known to send (contract 1.5)."""

from dataclasses import dataclass, field

import orjson
from starlette.responses import Response

BAD_KEY = "Invalid API key provided. You can find your API key at https://api.together.ai/settings/api-keys."
_PROBLEM_TYPE = "type.googleapis.com/common.errors.v1.ProblemDetail"
#: Status -> (gRPC code, title) of the v2 gateway's shape.
_GATEWAY_CODES = {
    400: (3, "Invalid Argument"),
    403: (7, "Permission Denied"),
    404: (5, "Not Found"),
    409: (6, "Already Exists"),
    429: (8, "Resource Exhausted"),
    500: (13, "Internal"),
    503: (14, "Unavailable"),
}


@dataclass
class ApiError(Exception):
    """A refusal in the default shape. `code` and `param` are null where the API documents none."""

    status: int
    message: str
    code: str | None = None
    kind: str = "invalid_request_error"
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    request_id: str | None = None

    def body(self) -> dict[str, object]:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"id": self.request_id, "error": error} if self.request_id else {"error": error}


class GatewayError(ApiError):
    """A refusal in the shape of the gRPC gateway in front of v2."""

    def body(self) -> dict[str, object]:
        code, title = _GATEWAY_CODES.get(self.status, (2, "Unknown"))
        slug = title.lower().replace(" ", "-")
        problem = {
            "@type": _PROBLEM_TYPE,
            "type": f"https://api.together.ai/problems/{slug}",
            "title": title,
            "status": self.status,
            "detail": self.message,
        }
        return {"code": code, "message": title, "details": [problem]}


class BareError(ApiError):
    """A refusal with a message and nothing else, as `GET /v1/models` sends for a bad key."""

    def body(self) -> dict[str, object]:
        return {"error": {"message": self.message}}


class TextError(ApiError):
    """A refusal whose `error` is a plain string, as batches send it."""

    def body(self) -> dict[str, object]:
        return {"error": self.message}


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def not_found(what: str, identifier: str) -> ApiError:
    return ApiError(404, f"{what} {identifier} not found", code="not_found")


def render_error(error: ApiError) -> Response:
    """Return the HTTP answer of a refusal."""
    return Response(
        orjson.dumps(error.body()),
        status_code=error.status,
        media_type="application/json",
        headers=error.headers,
    )
