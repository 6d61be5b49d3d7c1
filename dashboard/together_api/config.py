"""Where the API is and how patient the client is: one frozen value per connection."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

DEFAULT_BASE_URL: Final = "https://api.together.ai"
DEFAULT_INFERENCE_URL: Final = "https://api-inference.together.ai"
DEFAULT_METRICS_URL: Final = "https://o11y-de2-metrics.cloud.together.ai"
"""Contract 1.1 and 12."""

CONNECT_TIMEOUT_SECONDS: Final = 5.0
"""As the official SDK (contract 1.6)."""
READ_TIMEOUT_SECONDS: Final = 20.0
"""Longest silence within an answer; shorter than the SDK's 60 s, so that one retry fits into the deadline."""
WRITE_TIMEOUT_SECONDS: Final = 10.0
POOL_TIMEOUT_SECONDS: Final = 10.0
DEADLINE_SECONDS: Final = 45.0
"""A whole call with its waits and retries; below the 60 s lease of a stop (reliability 1.2, fault 3)."""
STREAM_DEADLINE_SECONDS: Final = 600.0
"""A whole chat answer; the provider documents no limit (our choice)."""
STREAM_SILENCE_SECONDS: Final = 60.0
"""Longest silence within a chat stream, the SDK's timeout."""

MAX_RETRIES: Final = 2
"""Of a read, after the first attempt; as the official SDK (contract 1.6)."""
PAGE_SIZE: Final = 500
"""Largest page of the v2 lists (contract 1.4)."""
MAX_PAGES: Final = 400
"""Cap of one listing: 200,000 items at full pages (our choice, against endless cursors)."""
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""Cap of one decoded body (our choice): a page of 500 deployments is about 0.5 MB."""
MAX_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Settings of one connection; `repr` hides the key, durations are seconds.

    With an own `base_url` (a proxy, the simulator) inference and metrics default to the same host, as in the SDK.
    Raises ValueError for an empty key or a URL that is not plain http(s).
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    inference_url: str | None = None
    metrics_url: str | None = None
    connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS
    write_timeout_seconds: float = WRITE_TIMEOUT_SECONDS
    pool_timeout_seconds: float = POOL_TIMEOUT_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS
    stream_deadline_seconds: float = STREAM_DEADLINE_SECONDS
    stream_silence_seconds: float = STREAM_SILENCE_SECONDS
    max_retries: int = MAX_RETRIES
    max_body_bytes: int = MAX_BODY_BYTES
    max_connections: int = MAX_CONNECTIONS
    user_agent: str = "endpoint-desk"

    def __post_init__(self) -> None:
        key = self.api_key.strip()
        if not key:
            raise ValueError("The API key is empty.")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("The API key holds characters that no key has.")
        base = _clean_url(self.base_url)
        is_default = base == DEFAULT_BASE_URL
        inference = self.inference_url or (DEFAULT_INFERENCE_URL if is_default else base)
        metrics = self.metrics_url or (DEFAULT_METRICS_URL if is_default else base)
        set_field = object.__setattr__  # the documented way to complete a frozen dataclass
        set_field(self, "api_key", key)
        set_field(self, "base_url", base)
        set_field(self, "inference_url", _clean_url(inference))
        set_field(self, "metrics_url", _clean_url(metrics))

    def url_of(self, host: str) -> str:
        """Return the base URL of a host name of `ApiCall` (management, inference, metrics)."""
        urls = {"inference": self.inference_url, "metrics": self.metrics_url}
        return urls.get(host) or self.base_url


def _clean_url(url: str) -> str:
    """Return the host root: no trailing slash, no `/v1` (the 2.x SDK's spelling of the same setting)."""
    cleaned = url.strip().rstrip("/").removesuffix("/v1")
    parts = urlsplit(cleaned)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"Not an http(s) URL: {cleaned[:80]!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("A base URL carries no user, password, query or fragment.")
    return cleaned
