"""Server-sent events: tell open pages which topics changed, so that they refetch what they show.

One PostgreSQL connection per web process listens; every open page is a set of pending topics and a wake-up, so that
a slow reader costs nothing and misses nothing (topics merge, data is never sent). A page's stream holds no database
connection. The browser's side of the contract is static/js/live.js.
"""

import asyncio
import functools
import json
import logging
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import psycopg
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from dashboard.accounts import sessions
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core.live import CHANNEL

logger = logging.getLogger(__name__)

# Seconds. A comment keeps proxies from closing a silent stream and finds readers that are gone.
HEARTBEAT_SECONDS = 15.0
# Seconds between two looks whether the session still holds and the role still may (reliability-security 3, SSE).
RECHECK_SECONDS = 30.0
# Open streams of one person per web process; browsers open six per site at most.
MOST_STREAMS = 20
# Seconds between attempts to reach PostgreSQL again.
RECONNECT_FIRST_SECONDS, RECONNECT_MOST_SECONDS = 0.5, 10.0
# Milliseconds that a browser waits before its own retry; live.js has a back-off of its own.
RETRY_MS = 3000
# Said instead of topics when some may have been missed: refetch everything.
EVERYTHING = "*"


@dataclass(eq=False)
class Reader:
    """One open page. `pending` is bounded by the number of topics that exist."""

    pending: set[str] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_closed: bool = False

    def tell(self, topics: set[str]) -> None:
        """Add topics to what the page has to hear."""
        self.pending |= topics
        self.wake.set()

    def close(self) -> None:
        """End the stream at its next step."""
        self.is_closed = True
        self.wake.set()

    def take(self) -> set[str]:
        """Return what is pending, and forget it."""
        taken, self.pending = self.pending, set()
        self.wake.clear()
        return taken


class Hub:
    """The listener of one web process and the pages it tells. Lives in one event loop."""

    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self.streams: Counter[int] = Counter()
        self._task: asyncio.Task[None] | None = None

    def join(self, user_id: int) -> Reader:
        """Add a page and start listening with the first one."""
        reader = Reader()
        self.readers.add(reader)
        self.streams[user_id] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name="live-listener")
        return reader

    def leave(self, reader: Reader, user_id: int) -> None:
        """Remove a page; with the last one the connection to PostgreSQL goes too."""
        self.readers.discard(reader)
        self.streams[user_id] -= 1
        if self.streams[user_id] <= 0:
            del self.streams[user_id]
        if not self.readers and self._task is not None:
            self._task.cancel()
            self._task = None

    def is_full(self, user_id: int) -> bool:
        """Tell whether the person has as many streams as one may have here."""
        return self.streams[user_id] >= MOST_STREAMS

    def tell(self, topics: set[str]) -> None:
        """Tell every page."""
        for reader in self.readers:
            reader.tell(topics)

    def close_all(self) -> None:
        """End every stream: the process is asked to stop."""
        for reader in self.readers:
            reader.close()

    async def _listen(self) -> None:
        wait = RECONNECT_FIRST_SECONDS
        is_first = True
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(_conninfo(), autocommit=True) as listener:
                    await listener.execute(f"LISTEN {CHANNEL}")
                    if not is_first:
                        # Notices sent while nobody listened are lost.
                        self.tell({EVERYTHING})
                    is_first, wait = False, RECONNECT_FIRST_SECONDS
                    async for notice in listener.notifies():
                        self.tell(_read_topics(notice.payload))
            except (psycopg.Error, OSError) as error:
                logger.warning("live updates wait for PostgreSQL: %s", error)
            is_first = False
            await asyncio.sleep(wait)
            wait = min(RECONNECT_MOST_SECONDS, wait * 2)


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}
_handles_signals = False


def find_hub() -> Hub:
    """Return the hub of the running event loop: one per web process."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        for closed in [one for one in _hubs if one.is_closed()]:
            del _hubs[closed]
        hub = _hubs[loop] = Hub()
        _end_on_signals()
    return hub


async def stream_changes(request: HttpRequest) -> HttpResponseBase:
    """Stream the topics that change, until the page leaves, the session ends or the process stops."""
    user = await request.auser()
    assert isinstance(user, User)  # noqa: S101 - the permission table lets nobody else in
    session_key = request.session.session_key
    hub = find_hub()
    if session_key is None or hub.is_full(user.pk):
        return HttpResponse("too many streams\n", content_type="text/plain", status=429)
    if request.method == "HEAD":
        return HttpResponse(content_type="text/event-stream; charset=utf-8")
    # Middleware opened it in this request's own thread, which lives as long as the stream does.
    await sync_to_async(_close_connection)()
    response = StreamingHttpResponse(
        _write_stream(hub, user.pk, session_key), content_type="text/event-stream; charset=utf-8"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _write_stream(hub: Hub, user_id: int, session_key: str) -> AsyncIterator[str]:
    reader = hub.join(user_id)
    clock = asyncio.get_running_loop().time
    checked_at = clock()
    try:
        yield f"retry: {RETRY_MS}\n\n{encode_event('hello', {'now': timezone.now().isoformat()})}"
        while not reader.is_closed:
            # Looked at between topics too: a busy stream must not outlive its session.
            if clock() - checked_at >= RECHECK_SECONDS:
                checked_at = clock()
                if not await _may_go_on(session_key, user_id):
                    return
            patience = min(HEARTBEAT_SECONDS, max(0.05, checked_at + RECHECK_SECONDS - clock()))
            try:
                await asyncio.wait_for(reader.wake.wait(), patience)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            topics = reader.take()
            if topics:
                # Ids of endpoints stay here: not everybody sees each of them.
                told = None if EVERYTHING in topics else sorted(topics)
                yield encode_event("change", {"topics": told, "ids": []})
    finally:
        hub.leave(reader, user_id)


def encode_event(name: str, data: dict[str, Any]) -> str:
    """Return one event as it goes over the wire."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


async def _may_go_on(session_key: str, user_id: int) -> bool:
    """Return whether the session is still that person's and the role may look; False while nobody can tell.

    A page whose stream ends asks again, and is shown what its session then allows.
    """
    try:
        return await sync_to_async(_check_session, thread_sensitive=False)(session_key, user_id)
    except DatabaseError as error:
        logger.warning("a stream's session could not be checked: %s", error)
        return False


def _close_connection() -> None:
    """Close this thread's connection, unless a transaction around the request (of a test) still needs it."""
    if not connection.in_atomic_block:
        connection.close()


def _check_session(session_key: str, user_id: int) -> bool:
    """Read session and person anew, on a connection of its own that is closed at once."""
    try:
        user = sessions.find_user(session_key, now=timezone.now())
        return user is not None and user.pk == user_id and user_may(user, Right.VIEW)
    finally:
        connection.close()


def _read_topics(payload: str) -> set[str]:
    try:
        topics = json.loads(payload)["topics"]
        return {str(topic) for topic in topics}
    except (ValueError, KeyError, TypeError):
        return {EVERYTHING}


def _conninfo() -> str:
    """Return the address of Django's own database as libpq reads it."""
    known = connection.get_connection_params()
    allowed = ("host", "port", "user", "password", "dbname", "options", "sslmode", "sslrootcert", "service")
    return make_conninfo(**{key: known[key] for key in allowed if known.get(key) is not None})


def _end_on_signals() -> None:
    """End open streams before the server's own handling of SIGTERM and SIGINT, which waits for them.

    Once per process, and only where Python allows it (the main thread); uvicorn's own limit of five seconds
    stands behind it.
    """
    global _handles_signals
    if _handles_signals or threading.current_thread() is not threading.main_thread():
        return
    _handles_signals = True
    for number in (signal.SIGTERM, signal.SIGINT):
        former = signal.getsignal(number)
        if callable(former):
            signal.signal(number, functools.partial(_end_streams, former))


def _end_streams(former: Callable[[int, Any], Any], number: int, frame: FrameType | None) -> None:
    for loop, hub in _hubs.items():
        if loop.is_running():
            loop.call_soon_threadsafe(hub.close_all)
    former(number, frame)
