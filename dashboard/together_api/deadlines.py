"""Total deadlines for blocking sockets.

httpx times out a single read; a server that sends one byte per second never trips that (fault 3). The async side
has `asyncio.timeout`; here the sockets themselves learn when the whole call must be over: the timeout handed to each
read is cut to what is left. Not covered: name resolution, which blocks in the C library for as long as it likes.
"""

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class UntilDeadline(float):
    """A per-phase timeout in seconds that also knows the monotonic time at which the whole call must be over."""

    deadline_at: float

    def __new__(cls, seconds: float, *, deadline_at: float) -> "UntilDeadline":
        value = super().__new__(cls, seconds)
        value.deadline_at = deadline_at
        return value


def _cut(timeout: float | None, *, late: type[Exception]) -> float | None:
    if not isinstance(timeout, UntilDeadline):
        return timeout
    left = timeout.deadline_at - time.monotonic()
    if left <= 0:
        raise late("the deadline of the call has passed")
    return min(float(timeout), left)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_cut(timeout, late=httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_cut(timeout, late=httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = _cut(timeout, late=httpcore.ConnectTimeout)
        return _DeadlineStream(
            self._stream.start_tls(ssl_context, server_hostname=server_hostname, timeout=limit)
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(
            self._backend.connect_tcp(
                host,
                port,
                timeout=_cut(timeout, late=httpcore.ConnectTimeout),
                local_address=local_address,
                socket_options=socket_options,
            )
        )

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport over sockets that obey `UntilDeadline`.

    httpx 0.28 has no public way to pass httpcore's documented `network_backend`, hence the pool is replaced; the
    test of the one-byte-per-second server fails the day that stops working.
    """

    def __init__(self, *, verify: ssl.SSLContext | bool, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, limits=limits, trust_env=False)
        context = verify if isinstance(verify, ssl.SSLContext) else None
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_DeadlineBackend(),
        )
