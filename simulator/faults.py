"""Faults on demand: which requests they hit, how often, and the gate that applies them in front of the application.

Four families. A *refusal* answers instead of the resource (nothing happened). A *behaviour* is handed to the resource
(a stop that does nothing, a stream that breaks). A *distortion* changes an answer after the effect. A *delay* waits.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.datastructures import Headers, State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.clock import format_time
from simulator.distortions import DISTORTIONS, PageMemory
from simulator.identifiers import derive_id
from simulator.refusals import REFUSALS
from simulator.world import World

BEHAVIOURS = frozenset(
    {"stop_ignored", "stop_endless", "stop_fails", "stream_error", "stream_cut", "stream_stall"}
)
#: Before: the deployment of the path is gone. Timeout: no answer, no effect. Lost: effect, but no answer.
OTHER_KINDS = frozenset({"deleted_meanwhile", "timeout", "reset", "slow", "answer_lost", "cut_body"})
KINDS = frozenset(REFUSALS) | frozenset(DISTORTIONS) | BEHAVIOURS | OTHER_KINDS
_LOGGED_BODY_BYTES = 16_384


@dataclass
class Fault:
    """One fault; `route` is a shell pattern over the path. Without `times` it holds until it is removed."""

    kind: str
    route: str = "*"
    method: str = "*"
    times: int | None = None
    skip: int = 0  # matching requests to let pass first
    probability: float = 1.0
    delay_seconds: float = 0.0
    status: int | None = None
    retry_after: float | None = None
    key: str | None = None  # only requests with this API key: a revoked key among good ones
    fault_id: str = ""
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; known: {', '.join(sorted(KINDS))}")


def parse_fault(text: str) -> Fault:
    """Read `kind=rate_limit,route=/v2/*,method=GET,times=3` of the command line. Raises ValueError."""
    values: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        if not separator:
            name, value = "kind", part
        name = name.strip().replace("-", "_")
        if name in {"times", "skip", "status"}:
            values[name] = int(value)
        elif name in {"probability", "delay_seconds", "retry_after"}:
            values[name] = float(value)
        elif name in {"kind", "route", "method", "key"}:
            values[name] = value
        else:
            raise ValueError(f"unknown property of a fault: {name!r}")
    return Fault(**values)


class FaultBook:
    """The faults that hold now. Chances are drawn from a seeded generator, so a run repeats."""

    def __init__(self, *, seed: int = 0) -> None:
        self.faults: dict[str, Fault] = {}
        self._random = random.Random(seed)
        self._counter = 0
        self.pages = PageMemory()

    def add(self, fault: Fault) -> Fault:
        self._counter += 1
        fault.fault_id = fault.fault_id or derive_id("fault", self._counter)
        self.faults[fault.fault_id] = fault
        return fault

    def describe(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self.faults.values()]

    def clear(self) -> None:
        self.faults.clear()
        self.pages = PageMemory()

    def match(self, *, path: str, method: str, key: str) -> list[Fault]:
        """Return the faults that hit this request, and count them as used."""
        hitting = []
        for fault in tuple(self.faults.values()):
            if not fnmatchcase(path, fault.route) or fault.method not in {"*", method}:
                continue
            if fault.key is not None and fault.key != key:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times == 0 or self._random.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
            fault.hits += 1
            hitting.append(fault)
        return hitting


class _Recorder:
    """Keep an answer back until it is complete, so that it can be distorted or lost."""

    def __init__(self) -> None:
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


class FaultGate:
    """ASGI middleware: logs every request, gives it an id, and applies the faults that match."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state
        self._counter = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith("/_admin") or path == "/healthz":
            await self.app(scope, receive, send)
            return
        world: World = self.state.world
        headers = Headers(scope=scope)
        key = headers.get("authorization", "").partition(" ")[2].strip()
        faults = self.state.faults.match(path=path, method=scope["method"], key=key)
        self._counter += 1
        request_id = f"req-{self._counter:08d}"
        scope["simulator.request_id"] = request_id
        scope["simulator.fault_kinds"] = [fault.kind for fault in faults]
        entry: dict[str, Any] = {
            "id": request_id,
            "at": format_time(world.now_ms()),
            "method": scope["method"],
            "path": path,
            "query": {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()},
            "status": None,
            "body": None,
            "faults": scope["simulator.fault_kinds"],
            "key_suffix": key[-4:],
        }
        world.requests.append(entry)
        await self._apply(
            scope, _log_body(receive, entry), _log_status(send, entry, request_id), send, faults
        )

    async def _apply(
        self, scope: Scope, receive: Receive, send: Send, raw_send: Send, faults: list[Fault]
    ) -> None:
        for fault in faults:
            if fault.delay_seconds and fault.kind not in {"answer_lost", "slow"}:
                await asyncio.sleep(fault.delay_seconds)
            if fault.kind == "deleted_meanwhile":
                _delete_from_path(self.state.world, scope["path"])
            if fault.kind == "timeout":
                if not fault.delay_seconds:
                    await _wait_until_gone(receive)
                await drop_connection(raw_send)
                return
            if fault.kind == "reset":
                await drop_connection(raw_send)
                return
            if fault.kind in REFUSALS:
                response = REFUSALS[fault.kind](fault)
                await response(scope, receive, send)
                return
        late = [fault for fault in faults if fault.kind in DISTORTIONS or fault.kind in OTHER_KINDS]
        late = [fault for fault in late if fault.kind != "deleted_meanwhile"]
        if not late:
            await self.app(scope, receive, send)
            return
        recorder = _Recorder()
        await self.app(scope, receive, recorder)
        await self._send_late(scope, recorder, send, raw_send, late)

    async def _send_late(
        self, scope: Scope, recorder: _Recorder, send: Send, raw_send: Send, late: list[Fault]
    ) -> None:
        start, body = recorder.start, recorder.body
        if start is None:
            await drop_connection(raw_send)
            return
        cut = False
        for fault in late:
            if fault.kind in {"slow", "answer_lost"} and fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)
            if fault.kind == "answer_lost":
                await drop_connection(raw_send)
                return
            cut = cut or fault.kind == "cut_body"
            distort = DISTORTIONS.get(fault.kind)
            if distort is not None and start["status"] == 200 and body[:1] in {b"{", b"["}:
                page_key = f"{scope['path']}"
                body = orjson.dumps(distort(orjson.loads(body), self.state.faults.pages, page_key))
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": start["status"], "headers": headers})
        if cut:
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await drop_connection(raw_send)
            return
        await send({"type": "http.response.body", "body": body})


async def drop_connection(send: Send) -> None:
    """Close the connection without (the rest of) an answer.

    uvicorn's `send` belongs to the object that holds the transport; in-process there is none, so the caller
    sees an error.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the simulator dropped the connection")
    transport.close()
    await asyncio.sleep(0.02)  # let uvicorn learn that the client is gone, else it answers 500


async def _wait_until_gone(receive: Receive) -> None:
    """Return when the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _log_body(receive: Receive, entry: dict[str, Any]) -> Receive:
    pieces: list[bytes] = []

    async def read() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            pieces.append(message.get("body", b""))
            raw = b"".join(pieces)
            if raw and not message.get("more_body") and len(raw) <= _LOGGED_BODY_BYTES:
                try:
                    entry["body"] = orjson.loads(raw)
                except orjson.JSONDecodeError:
                    entry["body"] = raw.decode(errors="replace")
        return message

    return read


def _log_status(send: Send, entry: dict[str, Any], request_id: str) -> Callable[[Message], Awaitable[None]]:
    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry["status"] = message["status"]
            message = {
                **message,
                "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())],
            }
        await send(message)

    return write


def _delete_from_path(world: World, path: str) -> None:
    for part in path.split("/"):
        if part in world.deployments:
            world.remove_deployment(world.deployments[part], at_ms=world.now_ms())
        elif part in world.legacy:
            world.remove_legacy(world.legacy[part], at_ms=world.now_ms())
        elif part in world.jobs.fine_tunes:
            world.jobs.remove_fine_tune(world.jobs.fine_tunes[part], at_ms=world.now_ms())
        elif part in world.jobs.files:
            del world.jobs.files[part]
