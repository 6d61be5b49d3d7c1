"""What a call is before and after the wire, free of any HTTP library.

A *flow* is a generator that yields `ApiCall`s, is sent `Reply`s (or has an `ApiError` thrown into it) and returns
its result. The sync and the async client drive the same flows, so nothing about a call is written twice.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import orjson

from dashboard.together_api.errors import CallName, MalformedResponseError
from dashboard.together_api.payloads.base import decode_body

Priority = Literal["normal", "stop"]
Host = Literal["management", "inference", "metrics"]
QueryValue = str | int | bool | datetime | Sequence[str] | None

_UNSAFE_SEGMENTS: Final = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request as a description. None in `query` is left out; `body` is sent as JSON.

    `read_only` marks a POST that changes nothing (contract section 16): it may be repeated like a GET.
    """

    template: str
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"] = "GET"
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, QueryValue] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    host: Host = "management"
    priority: Priority = "normal"
    deadline_seconds: float | None = None
    read_only: bool = False

    @property
    def is_write(self) -> bool:
        """True when repeating it blindly could change something."""
        return self.method != "GET" and not self.read_only

    @property
    def path(self) -> str:
        """The path with ids filled in and quoted; raises ValueError for an id that would change the path."""
        filled = {name: _quote_segment(name, value) for name, value in self.ids.items()}
        return self.template.format_map(filled)

    @property
    def target(self) -> str:
        """Path and query string."""
        query = encode_query(self.query)
        return f"{self.path}?{query}" if query else self.path

    @property
    def name(self) -> CallName:
        """What errors and log lines call this."""
        return CallName(method=self.method, path=self.path, template=self.template, read_only=self.read_only)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body arrived in full; `headers` keys are lower case."""

    call: ApiCall
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: float = 0.0

    @property
    def request_id(self) -> str | None:
        """The provider's id of this request, for support tickets."""
        return self.headers.get("x-request-id")

    def malformed(self, message: str) -> MalformedResponseError:
        """Return the error for an answer of a wrong shape; the outcome of a write stays unknown."""
        return MalformedResponseError(
            message,
            call=self.call.name,
            status=self.status,
            request_id=self.request_id,
            outcome_unknown=self.call.is_write,
        )

    def json(self) -> Any:
        """Return the decoded body without secrets; raises MalformedResponseError."""
        if not self.body.strip():
            raise self.malformed("the body is empty")
        try:
            return decode_body(self.body, keeps_texts=self.call.host == "inference")
        except orjson.JSONDecodeError as error:
            kind = "an HTML page" if self.body.lstrip()[:1] == b"<" else "not valid JSON"
            raise self.malformed(f"the body is {kind} ({len(self.body)} bytes)") from error

    def json_object(self) -> dict[str, Any]:
        """Return the decoded body, which must be a JSON object; raises MalformedResponseError."""
        value = self.json()
        if not isinstance(value, dict):
            raise self.malformed(f"expected a JSON object, got {type(value).__name__}")
        return value

    def text(self) -> str:
        """Return the body as text; raises MalformedResponseError."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.malformed("the body is not UTF-8 text") from error


ResultT = TypeVar("ResultT")
Flow = Generator[ApiCall, Reply, ResultT]


def encode_query(query: Mapping[str, QueryValue]) -> str:
    """Return the query string: arrays comma-joined as the SDK does, booleans lower case, times RFC 3339 UTC."""
    pairs = [(name, _query_text(value)) for name, value in query.items() if value is not None and value != ()]
    return urlencode(pairs, quote_via=quote)


def _query_text(value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, str | int):
        return str(value)
    return ",".join(value or ())


def format_time(moment: datetime) -> str:
    """Return RFC 3339 UTC text; raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError("A time without zone cannot be sent.")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _quote_segment(name: str, value: str) -> str:
    if value in _UNSAFE_SEGMENTS:
        raise ValueError(f"{name} must not be {value!r}.")
    return quote(value, safe="")
