"""The one exception tree of the client, and what each error permits.

    ApiError
    |-- ConnectionFailedError     nothing came back: refused, reset, name not found
    |-- CallTimeoutError          a phase timed out, or the total deadline of the call passed
    |-- MalformedResponseError    an answer that is not what it should be: HTML, empty, cut, wrong shape, too large
    |-- StreamBrokenError         a chat stream that ended early, or with an error object in it
    `-- StatusError               an answer with a status other than 2xx
        |-- InvalidRequestError       400, 405, 422
        |-- AuthenticationError       401
        |-- PaymentRequiredError      402
        |-- PermissionDeniedError     403
        |-- NotFoundError             404
        |-- ConflictError             409
        |-- RateLimitedError          429, and "our own budget is used up" (status None)
        |-- QuotaExceededError        429 that speaks of a GPU quota, not of a rate
        |-- ServerError               408 and >= 500
        `-- UnexpectedStatusError     redirects and anything else

Callers ask four questions and never compare status codes: `error.kind`, `is_retryable(error)`, `is_absent(error)`
and `error.outcome_unknown` (a write that may have happened: read before repeating it).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dashboard.together_api.redaction import redact_text


class ErrorKind(StrEnum):
    """Why a call failed, one word per reaction that a caller can have."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    INVALID = "invalid"
    DENIED = "denied"
    PAYMENT = "payment"
    ABSENT = "absent"
    CONFLICT = "conflict"
    RATE = "rate"
    QUOTA = "quota"
    SERVER = "server"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class CallName:
    """Which call failed: method, path, and the path template without ids (for logs and for `is_absent`)."""

    method: str
    path: str
    template: str
    read_only: bool = False

    @property
    def is_write(self) -> bool:
        """True for every method but GET, except for the few POSTs that change nothing."""
        return self.method != "GET" and not self.read_only


class ApiError(Exception):
    """Base of everything the client raises for a call; every text in it is redacted.

    `status`, `code`, `type` and `request_id` are None where no answer carried them. `retry_after_seconds` is what
    the provider asked for, else None. `outcome_unknown` is True when a write may have taken effect.
    """

    kind: ErrorKind = ErrorKind.UNEXPECTED
    retryable: bool = False
    summary: str = "The call failed"

    def __init__(
        self,
        message: str,
        *,
        call: CallName,
        status: int | None = None,
        code: str | None = None,
        error_type: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
        outcome_unknown: bool = False,
        has_error_body: bool = False,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.message = redact_text(message, secrets=secrets)
        self.call = call
        self.status = status
        self.code = redact_text(code, secrets=secrets) if code else None
        self.type = redact_text(error_type, secrets=secrets) if error_type else None
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.outcome_unknown = outcome_unknown
        self.has_error_body = has_error_body
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery's worker sends exceptions between processes; keyword-only arguments need help to be rebuilt.
        return _rebuild, (type(self), self.message, self.__dict__)

    @property
    def sentence(self) -> str:
        """One sentence for people: what happened, the status, and the provider's own words."""
        head = f"{self.summary} ({self.status})" if self.status is not None else self.summary
        text = f"{head}: {self.message}" if self.message else head
        return text if text.endswith((".", "!", "?", "…")) else f"{text}."

    def __str__(self) -> str:
        request = f" [request {self.request_id}]" if self.request_id else ""
        return f"{self.call.method} {self.call.path}: {self.sentence}{request}"


def _rebuild(error_class: type[ApiError], message: str, state: dict[str, Any]) -> ApiError:
    error = error_class.__new__(error_class, message)
    error.__dict__.update(state)
    return error


class ConnectionFailedError(ApiError):
    """No answer came back. Nothing was sent unless `outcome_unknown` says otherwise."""

    kind = ErrorKind.CONNECTION
    retryable = True
    summary = "The API could not be reached"


class CallTimeoutError(ApiError):
    """The answer did not arrive in time; for a write that was sent, `outcome_unknown` is True."""

    kind = ErrorKind.TIMEOUT
    retryable = True
    summary = "The API did not answer in time"


class MalformedResponseError(ApiError):
    """The answer cannot be used: HTML, empty, cut, not JSON, of a wrong shape, too large, or a paging loop.

    Retryable on the next run (a proxy's page goes away), never a reason to write or delete anything.
    """

    kind = ErrorKind.MALFORMED
    retryable = True
    summary = "The API sent an answer that cannot be read"


class StreamBrokenError(ApiError):
    """A chat stream ended without `[DONE]`, or carried an error object; what came before it stands and was billed."""

    kind = ErrorKind.SERVER
    retryable = True
    summary = "The answer broke off"


class StatusError(ApiError):
    """Base of errors that come with a status."""


class InvalidRequestError(StatusError):
    """400, 405, 422: the request or the resource's state does not allow this."""

    kind = ErrorKind.INVALID
    summary = "The API refused the request"


class AuthenticationError(StatusError):
    """401: the key is wrong or revoked. Repeating it is useless until the key changes."""

    kind = ErrorKind.DENIED
    summary = "The key was refused"


class PaymentRequiredError(StatusError):
    """402: credits or the spending limit are used up."""

    kind = ErrorKind.PAYMENT
    summary = "Credits or the spending limit are used up"


class PermissionDeniedError(StatusError):
    """403: the key is valid and lacks this right."""

    kind = ErrorKind.DENIED
    summary = "The key lacks the right for this"


class NotFoundError(StatusError):
    """404. Not yet proof that a resource is gone: ask `is_absent`."""

    kind = ErrorKind.ABSENT
    summary = "The API does not know this"


class ConflictError(StatusError):
    """409: stale etag, name taken, or out of stock. Read again before repeating."""

    kind = ErrorKind.CONFLICT
    summary = "The resource was changed meanwhile or is taken"


class RateLimitedError(StatusError):
    """429 from the API, or (status None) our own request budget could not be met within the deadline."""

    kind = ErrorKind.RATE
    retryable = True
    summary = "Too many requests"


class QuotaExceededError(StatusError):
    """429 "GPU quota exceeded" (contract 1.5): asking more slowly does not help, and no budget slows down for it."""

    kind = ErrorKind.QUOTA
    summary = "A quota is used up"


class ServerError(StatusError):
    """408 and >= 500: the provider's side failed; for a write `outcome_unknown` is True."""

    kind = ErrorKind.SERVER
    retryable = True
    summary = "The API has a problem of its own"


class UnexpectedStatusError(StatusError):
    """A redirect (never followed: it would carry the key elsewhere) or a status nobody documents."""

    summary = "The API gave an unexpected answer"


def status_error_class(status: int, *, message: str = "") -> type[StatusError]:
    """Return the error class of a status outside 2xx; `message` tells a used-up quota from a rate limit."""
    if status == 429 and "quota" in message.lower():
        return QuotaExceededError
    if status == 408 or status >= 500:
        return ServerError
    return _BY_STATUS.get(status, UnexpectedStatusError)


_BY_STATUS: Final[dict[int, type[StatusError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: InvalidRequestError,
    409: ConflictError,
    422: InvalidRequestError,
    429: RateLimitedError,
}


@dataclass(frozen=True, slots=True)
class AbsentCase:
    """One row of "this answer means that resource is gone"; adding a case = one row and one test."""

    template: str
    resource: str
    status: int = 404


# Closed by default: a 404 of any other path (a list of a wrong project, usage of an organisation outside the beta,
# a proxy's 404 page without an error body) proves nothing. Source: contract sections 1.5, 3.1, 4 and 5-10 (404 of an
# unknown id in the default shape; batches answer {"error": "text"}).
ABSENT_CASES: Final = (
    AbsentCase("/v1/endpoints/{endpoint_id}", "endpoint"),
    AbsentCase("/v2/projects/{project_id}/endpoints/{endpoint_id}", "endpoint"),
    AbsentCase("/v2/projects/{project_id}/endpoints/{endpoint_id}/deployments/{deployment_id}", "deployment"),
    AbsentCase("/v1/fine-tunes/{fine_tune_id}", "fine-tune"),
    AbsentCase("/v1/batches/{batch_id}", "batch"),
    AbsentCase("/v1/evaluation/{evaluation_id}", "evaluation"),
    AbsentCase("/v1/files/{file_id}", "file"),
    AbsentCase("/v1/jobs/{job_id}", "upload job"),
    AbsentCase("/v2/projects/{project_id}/models/{model_id}", "model"),
    AbsentCase("/v2/projects/{project_id}/models/uploads/{upload_id}", "upload"),
    AbsentCase("/v1/compute/clusters/{cluster_id}", "cluster"),
    AbsentCase("/v1/compute/clusters/storage/volumes/{volume_id}", "volume"),
    AbsentCase("/v1/deployments/{container_id}", "container"),
    AbsentCase("/v1/rl/model-resources/{resource_id}", "RL resource"),
    AbsentCase("/v1/rl/training-sessions/{session_id}", "RL session"),
)

# A 404 with one of these codes speaks of something else than the resource in the path (contract 1.5).
_CODES_OF_OTHER_THINGS: Final = frozenset({"model_not_available"})

# A 404 that means "not switched on for this organisation" (contract 1.5, 12).
_BETA_TEMPLATES: Final = frozenset({"/v1/billing/usage", "/organizations/{organization_id}/metrics"})


def is_retryable(error: BaseException) -> bool:
    """Tell whether the same call may succeed later without anybody changing anything; unknown errors: no.

    For a write with `outcome_unknown` a True here means "look first, then maybe repeat".
    """
    return isinstance(error, ApiError) and error.retryable


def is_absent(error: BaseException) -> bool:
    """Tell whether `error` says that the resource named by the path is gone; closed by default.

    One such answer is evidence, not proof: the mirror asks twice, 30 s apart (fault plan, rows 6 and 12). Deleting
    an endpoint takes its deployments along, so a deployment's 404 may also mean that its endpoint is gone.
    """
    return absent_resource(error) is not None


def absent_resource(error: BaseException) -> str | None:
    """Return which resource is gone (a `resource` of ABSENT_CASES), None when `error` does not say so."""
    if not isinstance(error, StatusError) or not error.has_error_body or error.code in _CODES_OF_OTHER_THINGS:
        return None
    for case in ABSENT_CASES:
        if error.status == case.status and error.call.template == case.template:
            return case.resource
    return None


def is_not_enabled(error: BaseException) -> bool:
    """Tell whether `error` means that a beta (usage API, metrics) is not switched on for this organisation."""
    return isinstance(error, NotFoundError) and error.call.template in _BETA_TEMPLATES
