"""What the blocking and the async transport share around one call: request parts, reply, failure, log line."""

import functools
import logging
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson

from dashboard.together_api.config import ApiConfig
from dashboard.together_api.deadlines import UntilDeadline
from dashboard.together_api.errors import ApiError
from dashboard.together_api.requests import ApiCall, Reply
from dashboard.together_api.retries import DEADLINE_PASSED, Failure, FailureKind

logger = logging.getLogger("dashboard.together_api")

KEEPALIVE_SECONDS: Final = 4.0
"""Short (our choice): a write sent into a connection that the server is just closing has an unknown outcome."""

_KEPT_HEADERS: Final = frozenset(
    {
        "content-type", "date", "retry-after", "retry-after-ms", "x-ratelimit-limit", "x-ratelimit-remaining",
        "x-ratelimit-reset", "x-request-id", "x-should-retry", "x-together-traceid", "x-cluster",
    }
)  # fmt: skip


class BodyTooLargeError(Exception):
    """The decoded body passed the cap."""


class BodyCutError(Exception):
    """The connection broke after the headers of the answer had arrived."""


# Everything that an attempt can raise: transport errors, undecodable bodies, URLs that httpx refuses, ours.
CAUGHT_ERRORS: Final = (httpx.RequestError, httpx.InvalidURL, BodyTooLargeError, BodyCutError)


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """A 2xx answer whose body has not been read; times are monotonic seconds."""

    reply: Reply
    response: httpx.Response
    sent_at: float
    deadline_at: float


@dataclass(slots=True)
class Exchange:
    """One call on its way: what to send, how long ago it began, how often it was sent."""

    call: ApiCall
    config: ApiConfig
    started_at: float = field(default_factory=time.monotonic)
    send_count: int = 0

    def request_parts(self) -> dict[str, Any]:
        """Return the arguments of httpx's `build_request`, timeouts aside."""
        headers = {"Accept": "text/plain" if self.call.host == "metrics" else "application/json"}
        content = None
        if self.call.body is not None:
            content = orjson.dumps(self.call.body)
            headers["Content-Type"] = "application/json"
        url = self.config.url_of(self.call.host) + self.call.target
        return {"method": self.call.method, "url": url, "content": content, "headers": headers}

    def reply(self, response: httpx.Response, body: bytes) -> Reply:
        """Return the answer with the headers worth keeping."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(
            call=self.call,
            status=response.status_code,
            headers={name: headers[name] for name in _KEPT_HEADERS & headers.keys()},
            body=body,
            elapsed_ms=(time.monotonic() - self.started_at) * 1000,
        )

    def log(self, result: Reply | ApiError) -> None:
        """Write the call's one line: reads at debug, writes at info, failures as warnings."""
        failed = isinstance(result, ApiError)
        level = logging.WARNING if failed else logging.INFO if self.call.is_write else logging.DEBUG
        if not logger.isEnabledFor(level):
            return
        milliseconds = round((time.monotonic() - self.started_at) * 1000)
        outcome = result.kind.value if isinstance(result, ApiError) else "ok"
        logger.log(
            level,
            "%s %s %s %s %d ms request %s",
            self.call.method,
            self.call.template,
            result.status or "-",
            outcome,
            milliseconds,
            result.request_id or "-",
            extra={
                "api_method": self.call.method,
                "api_path": self.call.template,
                "api_status": result.status,
                "api_outcome": outcome,
                "api_ms": milliseconds,
                "api_attempts": self.send_count,
                "api_request_id": result.request_id,
            },
        )


class BodyReader:
    """Collects the pieces of a body up to the cap; raises BodyTooLargeError."""

    def __init__(self, *, max_bytes: int) -> None:
        self._pieces: list[bytes] = []
        self._left = max_bytes

    def add(self, piece: bytes) -> None:
        """Keep one more piece."""
        self._left -= len(piece)
        if self._left < 0:
            raise BodyTooLargeError
        self._pieces.append(piece)

    def body(self) -> bytes:
        """Return what was collected."""
        return b"".join(self._pieces)


def classify(error: Exception, *, deadline_passed: bool) -> Failure:
    """Return what an exception of an attempt means; the order matters, httpx's classes overlap."""
    if isinstance(error, BodyTooLargeError):
        return Failure(FailureKind.TOO_LARGE, "the body is larger than we accept")
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Failure(FailureKind.CONNECT_TIMEOUT, "no connection in time")
    if isinstance(error, httpx.TimeoutException):
        if deadline_passed:
            return DEADLINE_PASSED
        return Failure(FailureKind.READ_TIMEOUT, "no data for too long")
    if isinstance(error, httpx.ConnectError):
        return Failure(FailureKind.NOT_CONNECTED, str(error))
    if isinstance(error, BodyCutError):
        return Failure(FailureKind.CUT, "the connection was cut within the body")
    if isinstance(error, httpx.DecodingError):
        return Failure(FailureKind.UNDECODABLE, "the body's compression is broken")
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Failure(FailureKind.REFUSED_LOCALLY, f"the request cannot be sent: {error}")
    return Failure(FailureKind.LOST, str(error) or "the connection was lost")


def build_timeouts(
    config: ApiConfig, *, read_seconds: float, seconds_left: float, deadline_at: float
) -> httpx.Timeout:
    """Return the per-phase timeouts of one attempt, each within what is left of the call."""

    def phase(seconds: float) -> float:
        return UntilDeadline(max(0.001, min(seconds, seconds_left)), deadline_at=deadline_at)

    return httpx.Timeout(
        connect=phase(config.connect_timeout_seconds),
        read=phase(read_seconds),
        write=phase(config.write_timeout_seconds),
        pool=phase(config.pool_timeout_seconds),
    )


def build_limits(config: ApiConfig) -> httpx.Limits:
    """Return the size of the connection pool."""
    return httpx.Limits(
        max_connections=config.max_connections,
        max_keepalive_connections=config.max_connections,
        keepalive_expiry=KEEPALIVE_SECONDS,
    )


def build_client_options(config: ApiConfig) -> dict[str, Any]:
    """Return what both httpx clients are told: the key, no redirects, nothing from the environment."""
    return {
        "headers": {"Authorization": f"Bearer {config.api_key}", "User-Agent": config.user_agent},
        "follow_redirects": False,
        "trust_env": False,
    }


def tls_of(config: ApiConfig) -> ssl.SSLContext | bool:
    """Return the shared TLS context, False when no URL of the connection needs one."""
    hosts = ("management", "inference", "metrics")
    return _tls_context() if any(config.url_of(host).startswith("https:") for host in hosts) else False


@functools.lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds; one context serves all clients of a process.
    return httpx.create_ssl_context(trust_env=False)
