"""The life of one call without any I/O: budget, attempts, classification, waiting.

`attempt_call` is a generator of steps. A driver performs each step (`Sleep` or `Send`) and sends the outcome back;
the blocking and the async transport are two small drivers of this one generator. Rules: contract 1.6, except that
only reads are repeated after anything was sent, and that a wait longer than the deadline is an error, not a shorter
wait.
"""

import math
import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from dashboard.together_api.budget import RequestBudget
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import (
    ApiError,
    CallTimeoutError,
    ConnectionFailedError,
    MalformedResponseError,
    RateLimitedError,
    StatusError,
    status_error_class,
)
from dashboard.together_api.requests import ApiCall, Reply

INITIAL_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 10.0
LONGEST_RETRY_AFTER_SECONDS: Final = 60.0
"""All three as the official SDK (contract 1.6)."""
_JITTER_SHARE: Final = 0.25

_RETRIED_STATUSES: Final = frozenset({408, 409, 429})


class FailureKind(StrEnum):
    """How an attempt ended without an answer."""

    NOT_CONNECTED = "not_connected"
    CONNECT_TIMEOUT = "connect_timeout"
    LOST = "lost"
    READ_TIMEOUT = "read_timeout"
    DEADLINE = "deadline"
    CUT = "cut"
    TOO_LARGE = "too_large"
    UNDECODABLE = "undecodable"
    REFUSED_LOCALLY = "refused_locally"


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt without a usable answer; `detail` is for the error message."""

    kind: FailureKind
    detail: str

    @property
    def was_sent(self) -> bool:
        """False only when certainly no byte of the request reached the server."""
        return self.kind not in _NEVER_SENT


DEADLINE_PASSED: Final = Failure(FailureKind.DEADLINE, "the deadline of the call has passed")

_NEVER_SENT: Final = frozenset(
    {FailureKind.NOT_CONNECTED, FailureKind.CONNECT_TIMEOUT, FailureKind.REFUSED_LOCALLY}
)
_REPEATED_FAILURES: Final = frozenset(
    {
        FailureKind.NOT_CONNECTED,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.LOST,
        FailureKind.READ_TIMEOUT,
        FailureKind.CUT,
    }
)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this long; the outcome to send back is None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request once, all within `seconds_left`; the outcome is a Reply or a Failure."""

    seconds_left: float


Outcome = Reply | Failure | None
Attempts = Generator[Sleep | Send, Outcome, Reply]


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance as arguments; tests pass their own."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random


def attempt_call(call: ApiCall, *, config: ApiConfig, budget: RequestBudget, clocks: Clocks) -> Attempts:
    """Yield the steps of `call` and return its 2xx reply; raises ApiError."""
    deadline_at = clocks.monotonic() + (call.deadline_seconds or config.deadline_seconds)
    retry_count = 0
    while True:
        now = clocks.monotonic()
        wait = budget.reserve(call.priority, now=now, patience_seconds=max(0.0, deadline_at - now))
        if wait is None:
            raise RateLimitedError(
                "the request budget of this connection is used up after the API asked us to slow down",
                call=call.name,
                retry_after_seconds=budget.look(now=now).paused_for_seconds or None,
            )
        if wait > 0:
            yield Sleep(wait)
        outcome = yield Send(max(0.0, deadline_at - clocks.monotonic()))
        if outcome is None:
            raise TypeError("a driver answers Send with a Reply or a Failure")
        delay_asked = _delay_asked(outcome, clocks=clocks)
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            budget.note_success(now=clocks.monotonic())
            return outcome
        error = build_error(call, outcome, config=config, retry_after_seconds=delay_asked)
        if isinstance(error, RateLimitedError):
            budget.note_limited(now=clocks.monotonic(), retry_after_seconds=delay_asked)
        if retry_count >= config.max_retries or not may_repeat(call, outcome):
            raise error
        delay = _retry_delay(retry_count, delay_asked=delay_asked, jitter=clocks.jitter)
        if clocks.monotonic() + delay >= deadline_at:
            raise error
        yield Sleep(delay)
        retry_count += 1


def may_repeat(call: ApiCall, outcome: Reply | Failure) -> bool:
    """Tell whether the same request may be sent again now: reads on passing trouble, writes only if never sent."""
    if isinstance(outcome, Failure):
        if call.is_write:
            return outcome.kind in {FailureKind.NOT_CONNECTED, FailureKind.CONNECT_TIMEOUT}
        return outcome.kind in _REPEATED_FAILURES
    if call.is_write:
        return False
    asked = outcome.headers.get("x-should-retry")
    if asked in {"true", "false"}:
        return asked == "true"
    if outcome.status == 409 and call.method != "GET":
        return False  # a dry run's "the name is taken" stays true
    return outcome.status in _RETRIED_STATUSES or outcome.status >= 500


def build_error(
    call: ApiCall,
    outcome: Reply | Failure,
    *,
    config: ApiConfig,
    retry_after_seconds: float | None = None,
) -> ApiError:
    """Return the error of an attempt that brought no 2xx answer."""
    if isinstance(outcome, Failure):
        return _failure_error(call, outcome, secrets=(config.api_key,))
    return status_error(call, outcome, retry_after_seconds=retry_after_seconds, secrets=(config.api_key,))


def status_error(
    call: ApiCall,
    reply: Reply,
    *,
    retry_after_seconds: float | None = None,
    secrets: tuple[str, ...] = (),
) -> StatusError:
    """Return the error of an answer with a status other than 2xx, whatever the shape of its body."""
    details = read_error_body(reply.body)
    message = details.message
    if 300 <= reply.status < 400:
        message = "it redirects elsewhere, which is never followed; check the base URL"
    return status_error_class(reply.status, message=message)(
        message,
        call=call.name,
        status=reply.status,
        code=details.code,
        error_type=details.type,
        request_id=reply.request_id,
        retry_after_seconds=retry_after_seconds,
        # A gateway's 5xx says nothing about what happened behind it; 4xx are refusals.
        outcome_unknown=call.is_write and (reply.status >= 500 or reply.status == 408),
        has_error_body=details.is_structured,
        secrets=secrets,
    )


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What an error body says; `is_structured` False = not one of the API's own shapes (HTML, empty)."""

    message: str
    type: str | None = None
    code: str | None = None
    is_structured: bool = False


def read_error_body(body: bytes) -> ErrorDetails:
    """Return what an error body says, for every shape of contract 1.5; never raises."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ErrorDetails(message="" if not body.strip() else "the body is no JSON (a proxy's page?)")
    if not isinstance(value, dict):
        return ErrorDetails(message="the body is no error object")
    error = value.get("error")
    if isinstance(error, dict):
        return _details_of(error)
    if isinstance(error, str):
        return ErrorDetails(message=error, is_structured=True)
    problem = next((item for item in value.get("details") or [] if isinstance(item, dict)), {})
    message = problem.get("detail") or value.get("detail") or value.get("message")
    if not isinstance(message, str):
        return ErrorDetails(message="the body is no error object")
    code = value.get("code")
    return ErrorDetails(message=message, code=None if code is None else str(code), is_structured=True)


def _details_of(error: Mapping[str, Any]) -> ErrorDetails:
    def text(name: str) -> str | None:
        value = error.get(name)
        return None if value is None else str(value)

    return ErrorDetails(
        message=text("message") or text("detail") or "",
        type=text("type"),
        code=text("code"),
        is_structured=True,
    )


def _failure_error(call: ApiCall, failure: Failure, *, secrets: tuple[str, ...]) -> ApiError:
    kinds: dict[FailureKind, type[ApiError]] = {
        FailureKind.CONNECT_TIMEOUT: CallTimeoutError,
        FailureKind.READ_TIMEOUT: CallTimeoutError,
        FailureKind.DEADLINE: CallTimeoutError,
        FailureKind.CUT: MalformedResponseError,
        FailureKind.TOO_LARGE: MalformedResponseError,
        FailureKind.UNDECODABLE: MalformedResponseError,
    }
    return kinds.get(failure.kind, ConnectionFailedError)(
        failure.detail,
        call=call.name,
        outcome_unknown=call.is_write and failure.was_sent,
        secrets=secrets,
    )


def _delay_asked(outcome: Reply | Failure, *, clocks: Clocks) -> float | None:
    """Return the seconds that the answer asks us to wait, None when it does not (or nonsense)."""
    if isinstance(outcome, Failure) or 200 <= outcome.status < 400:
        return None
    headers = outcome.headers
    milliseconds = _positive_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = _positive_number(headers.get("retry-after"))
    if seconds is not None:
        return seconds
    date = headers.get("retry-after")
    if date is not None:
        return _seconds_until(date, answered_at=headers.get("date"), clocks=clocks)
    return _positive_number(headers.get("x-ratelimit-reset"))


def _positive_number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return number if number > 0 and math.isfinite(number) else None


def _seconds_until(date: str, *, answered_at: str | None, clocks: Clocks) -> float | None:
    """Return seconds until an HTTP date, by the server's own clock where it tells it (fault 9)."""
    try:
        until = parsedate_to_datetime(date).timestamp()
        now = parsedate_to_datetime(answered_at).timestamp() if answered_at else clocks.wall()
    except (ValueError, TypeError):
        return None
    return until - now if until > now else None


def _retry_delay(retry_count: int, *, delay_asked: float | None, jitter: Callable[[], float]) -> float:
    if delay_asked is not None:
        # More than the ceiling is no matter for this call: infinity ends it, and the error carries the number.
        return delay_asked if delay_asked <= LONGEST_RETRY_AFTER_SECONDS else math.inf
    delay = min(INITIAL_RETRY_SECONDS * 2**retry_count, LONGEST_RETRY_SECONDS)
    return float(delay * (1 - _JITTER_SHARE * jitter()))
