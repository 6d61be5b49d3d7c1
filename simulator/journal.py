"""What clients changed, one JSON line each, so that a restart finds the world as it was left.

The world is a pure function of scenario, seed and start time, so the first line and the accepted writes say all.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.call import Call
from simulator.clock import Clock, RealClock, VirtualClock
from simulator.world import Count, Identity, World

_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})
#: Credentials of an upload and values of secrets: what is repeated later needs to know that there was one, not which.
_SECRETS = frozenset({"token", "hf_token", "value"})
#: A completion changes nothing but the traffic, which the world reports as a Count.
_CHAT_PATH = "/v1/chat/"


class JournalError(ValueError):
    """The journal belongs to another world, or a line of it cannot be read."""


@dataclass(frozen=True)
class Head:
    """First line: what the world was built from. The speed counts too: it decides when a start was over."""

    scenario: str
    seed: int
    speed: float
    start_ms: int


@dataclass(frozen=True)
class Write:
    """A request that changed something. It names the API key by its id, never by its text."""

    at_ms: int
    method: str
    path: str
    query: str
    body: Any
    api_key_id: str
    project_id: str
    ids_given: int  # by the world, after this write
    faults: list[str] = field(default_factory=list)  # they decided what a stop did


class Journal:
    """Append lines; each is with the operating system before the client has its answer."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def append(self, line: Head | Write | Count) -> None:
        self._file.write(orjson.dumps(line) + b"\n")
        self._file.flush()

    def watch(self, app: ASGIApp) -> ASGIApp:
        """Return an application that answers like `app` and notes its accepted writes.

        It belongs behind the fault gate: an answer that a fault loses or distorts had its effect.
        """

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            async def note(message: Message) -> None:
                if message["type"] == "http.response.start" and _is_accepted(message["status"]):
                    self._note_write(scope)
                await send(message)

            await app(scope, receive, note)

        return answer

    def _note_write(self, scope: Scope) -> None:
        call: Call | None = scope.get("simulator.call")  # None: health and admin routes
        if call is None or scope["method"] not in _WRITES or scope["path"].startswith(_CHAT_PATH):
            return
        self.append(
            Write(
                at_ms=call.now_ms,
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode(),
                body=_without_secrets(call.body),
                api_key_id=call.identity.api_key_id,
                project_id=call.identity.project.project_id,
                ids_given=call.world.ids_given,
                faults=sorted(call.fault_kinds),
            )
        )


def _without_secrets(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    return {name: "kept out" if name in _SECRETS and value else value for name, value in body.items()}


def open_journal(
    path: Path,
    *,
    scenario: str,
    seed: int,
    speed: float,
    build_world: Callable[[Clock], World],
    build_api: Callable[[World], ASGIApp],
) -> tuple[World, Journal]:
    """Return the world as the journal left it, or a new one, and the journal to go on with. Raises OSError."""
    head: Head | None = None
    lines: list[Write | Count] = []
    try:
        head, lines = read_journal(path)
        if head is not None and (head.scenario, head.seed, head.speed) != (scenario, seed, speed):
            raise JournalError(f"it is of scenario {head.scenario}, seed {head.seed}, speed {head.speed:g}")
    except JournalError as error:
        os.replace(path, f"{path}.old")
        sys.stderr.write(f"simulator: {path} does not fit and is now {path}.old: {error}\n")
        head = None
    if head is None:
        world = build_world(RealClock())
        path.unlink(missing_ok=True)  # at most a torn first line
        journal = Journal(path)
        journal.append(Head(scenario, seed, speed, world.start_ms))
    else:
        world = build_world(VirtualClock(head.start_ms))
        if refused := asyncio.run(_replay(world, build_api(world), lines)):
            sys.stderr.write(f"simulator: {refused} of {len(lines)} lines of {path} no longer apply\n")
        world.clock = RealClock()
        journal = Journal(path)
    world.note_traffic = journal.append
    return world, journal


def read_journal(path: Path) -> tuple[Head | None, list[Write | Count]]:
    """Return the first line and the others; None = there is no journal. A torn last line is cut off.

    Raises JournalError for a line that cannot be read, and OSError.
    """
    if not path.exists():
        return None, []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    try:
        items = [orjson.loads(line) for line in whole.splitlines()]
        head = Head(**items[0]) if items else None
        lines = [Write(**item) if "method" in item else Count(**item) for item in items[1:]]
    except (orjson.JSONDecodeError, TypeError) as error:
        raise JournalError(f"a line cannot be read ({error})") from error
    if len(whole) < len(raw):
        os.truncate(path, len(whole))
    return head, lines


async def _replay(world: World, api: ASGIApp, lines: Iterable[Write | Count]) -> int:
    """Do it all again at its time; return how many lines did not apply."""
    refused = 0
    for line in lines:
        world.clock = VirtualClock(line.at_ms)
        if isinstance(line, Write):
            refused += not await _repeat_write(world, api, line)
            world.ids_given = line.ids_given  # also after a refusal, so that later ids come out the same
        else:
            refused += not world.count_traffic(line)
    return refused


async def _repeat_write(world: World, api: ASGIApp, write: Write) -> bool:
    """Send a write to its handler; False = it was not accepted this time."""
    project = world.projects.get(write.project_id)
    if project is None:
        return False
    scope = {
        "type": "http",
        "method": write.method,
        "path": write.path,
        "query_string": write.query.encode(),
        "headers": [],
        "simulator.identity": Identity(write.api_key_id, project.organization, project),
        "simulator.fault_kinds": write.faults,
    }
    statuses: list[int] = []

    async def receive() -> Message:
        body = b"" if write.body is None else orjson.dumps(write.body)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await api(scope, receive, send)
    return bool(statuses) and _is_accepted(statuses[0])


def _is_accepted(status: int) -> bool:
    """Tell whether a write had its effect; 302 = go on with the upload there."""
    return 200 <= status < 400
