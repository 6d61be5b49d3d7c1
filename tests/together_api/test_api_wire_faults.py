"""Real sockets that misbehave: hangs, one byte per second, cut bodies, closed connections (faults 3 and 4)."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from dashboard.together_api.client import AsyncTogetherClient, TogetherClient
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import (
    CallTimeoutError,
    ConnectionFailedError,
    MalformedResponseError,
    StreamBrokenError,
)

Behaviour = Callable[[socket.socket], None]
BODY = b'{"id":"dep_1"}'
HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class RawServer:
    """Accepts connections, reads a request, then lets `behaviour` do what it likes with the socket."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.closing = threading.Event()
        self.connection_count = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connection_count += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            # Unread bytes would turn our close into a reset, so the whole request is taken in first.
            received = b""
            while not is_whole(received):
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            self._behaviour(connection)

    def close(self) -> None:
        self.closing.set()
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], RawServer]]:
    servers: list[RawServer] = []

    def start(behaviour: Behaviour) -> RawServer:
        servers.append(RawServer(behaviour))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def is_whole(request: bytes) -> bool:
    head, separator, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(separator) and len(body) >= (int(length[1]) if length else 0)


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def drip(data: bytes, *, pause_seconds: float) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause_seconds)

    return behave


def reply(data: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.sendall(data)

    return behave


async def get_once(driver: str, url: str, **settings: float) -> None:
    config = ApiConfig("key", base_url=url, **{"max_retries": 0, **settings})  # type: ignore[arg-type]
    if driver == "sync":
        with TogetherClient(config) as client:
            client.get_deployment("p", "e", "d")
    else:
        async with AsyncTogetherClient(config) as client:
            await client.get_deployment("p", "e", "d")


drivers = pytest.mark.parametrize("driver", ["sync", "async"])

SLOW_ANSWERS = [
    ("hang before the head", hang),
    ("one byte of the head at a time", drip(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 500, pause_seconds=0.05)),
    ("one byte of the body at a time", drip(HEAD % 500 + b"[" * 500, pause_seconds=0.05)),
]


@drivers
@pytest.mark.parametrize(
    "behaviour", [case[1] for case in SLOW_ANSWERS], ids=[case[0] for case in SLOW_ANSWERS]
)
async def test_the_total_deadline_holds_however_slowly_bytes_come(driver, behaviour, serve):
    server = serve(behaviour)
    started = time.monotonic()

    with pytest.raises(CallTimeoutError):
        await get_once(driver, server.url, deadline_seconds=0.6, read_timeout_seconds=5)

    assert 0.5 <= time.monotonic() - started < 2.0


@drivers
async def test_silence_longer_than_the_read_timeout_fails_before_the_deadline(driver, serve):
    server = serve(hang)
    started = time.monotonic()

    with pytest.raises(CallTimeoutError, match="no data for too long"):
        await get_once(driver, server.url, deadline_seconds=20, read_timeout_seconds=0.2)

    assert time.monotonic() - started < 2.0


@drivers
async def test_retries_share_the_one_deadline(driver, serve):
    server = serve(hang)
    started = time.monotonic()

    with pytest.raises(CallTimeoutError):
        await get_once(driver, server.url, deadline_seconds=1.5, read_timeout_seconds=0.2, max_retries=2)

    assert time.monotonic() - started < 2.5
    assert server.connection_count >= 2


@drivers
@pytest.mark.parametrize(
    "data",
    [
        HEAD % 500 + BODY,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n",
        HEAD % 14,
    ],
    ids=["length", "chunked", "no body at all"],
)  # fmt: skip
async def test_cut_bodies_are_malformed_answers(driver, data, serve):
    server = serve(reply(data))

    with pytest.raises(MalformedResponseError, match="cut within the body"):
        await get_once(driver, server.url)


@drivers
async def test_a_cut_read_is_repeated(driver, serve):
    answers = iter([HEAD % 500 + BODY, HEAD % len(BODY) + BODY])
    server = serve(lambda connection: connection.sendall(next(answers)))

    await get_once(driver, server.url, max_retries=2)

    assert server.connection_count == 2


@drivers
@pytest.mark.parametrize("data", [b"", b"not http at all\r\n\r\n"], ids=["closed", "no http"])
async def test_a_connection_closed_before_an_answer_is_a_connection_failure(driver, data, serve):
    server = serve(reply(data))

    with pytest.raises(ConnectionFailedError):
        await get_once(driver, server.url)


@drivers
async def test_a_refused_connection_is_a_connection_failure(driver):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ConnectionFailedError) as caught:
        await get_once(driver, f"http://127.0.0.1:{port}")

    assert not caught.value.outcome_unknown


def test_a_write_into_a_hanging_server_says_that_it_may_have_happened(serve):
    server = serve(hang)
    config = ApiConfig("key", base_url=server.url, read_timeout_seconds=0.2)

    with TogetherClient(config) as client, pytest.raises(CallTimeoutError) as caught:
        client.stop_deployment("p", "e", "d")

    assert caught.value.outcome_unknown
    assert server.connection_count == 1, "never sent twice"


def test_the_blocking_client_works_from_many_threads(serve):
    server = serve(reply(HEAD % len(BODY) + BODY))
    seen: list[str] = []
    with TogetherClient(ApiConfig("key", base_url=server.url, max_retries=0)) as client:

        def read() -> None:
            seen.append(client.get_deployment("p", "e", "d").id)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(seen) == 8


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DELTA = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}\n\n'


async def read_stream(driver: str, url: str, **settings: float) -> list[str]:
    config = ApiConfig("key", base_url=url, **settings)  # type: ignore[arg-type]
    body = {"model": "m", "messages": []}
    if driver == "sync":
        with TogetherClient(config) as client, client.stream_chat(body) as stream:
            return [chunk.content for chunk in stream]
    async with AsyncTogetherClient(config) as client, client.stream_chat(body) as stream:
        return [chunk.content async for chunk in stream]


@drivers
async def test_a_stream_cut_without_its_end_mark_has_failed(driver, serve):
    server = serve(reply(STREAM_HEAD + DELTA))

    with pytest.raises(StreamBrokenError, match="before its end mark"):
        await read_stream(driver, server.url)


@drivers
async def test_a_stream_that_falls_silent_times_out(driver, serve):
    def behave(connection: socket.socket) -> None:
        connection.sendall(STREAM_HEAD + DELTA)
        hang(connection)

    server = serve(behave)

    with pytest.raises(CallTimeoutError):
        await read_stream(driver, server.url, stream_silence_seconds=0.2)


@drivers
async def test_a_dripping_stream_ends_at_its_deadline(driver, serve):
    server = serve(drip(STREAM_HEAD + b": keep-alive\n" * 200, pause_seconds=0.01))
    started = time.monotonic()

    with pytest.raises(CallTimeoutError):
        await read_stream(driver, server.url, stream_deadline_seconds=0.6, stream_silence_seconds=5)

    assert time.monotonic() - started < 2.5


async def test_leaving_a_stream_early_closes_its_connection(serve):
    gone = threading.Event()

    def behave(connection: socket.socket) -> None:
        connection.sendall(STREAM_HEAD + DELTA)
        if connection.recv(1) == b"":
            gone.set()

    server = serve(behave)
    async with AsyncTogetherClient(ApiConfig("key", base_url=server.url)) as client:
        async with client.stream_chat({"model": "m", "messages": []}) as stream:
            async for chunk in stream:
                assert chunk.content == "Hi"
                break

        assert gone.wait(timeout=2)


def test_httpx_still_builds_the_pool_that_we_replace():
    assert hasattr(httpx.HTTPTransport(), "_pool")
