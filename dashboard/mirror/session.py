"""One connection's client and an event loop of its own, for the length of a pass."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from dashboard.accounts.connections import async_api_client
from dashboard.accounts.models import Connection
from dashboard.together_api.client import AsyncTogetherClient

Clock = Callable[[], datetime]
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Session:
    """Calls run in `run`, between them the caller may use the database: no query happens inside the loop."""

    client: AsyncTogetherClient
    clock: Clock
    _loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Drive the coroutine to its result."""
        return self._loop.run_until_complete(work)


@contextmanager
def open_session(connection: Connection, *, clock: Clock) -> Iterator[Session]:
    """Yield a session; its connections are closed at the end. Raises crypto.CryptoError when the key cannot be opened.

    Not asyncio.Runner: that sets a signal handler around each run and (up to Python 3.12) spends 20 ms on the text of
    an exception while it does so, with every result of the pass in it.
    """
    client = async_api_client(connection)
    loop = asyncio.new_event_loop()
    with pause_collection():
        try:
            yield Session(client, clock, loop)
        finally:
            loop.run_until_complete(client.aclose())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


@contextmanager
def pause_collection() -> Iterator[None]:
    """Run the block without the search for cyclic garbage.

    A pass makes hundreds of thousands of dicts and no cycles: searching them costs a tenth of its time. The search
    begins again with what is then still referred to, so a block that drops its results first has nothing to search.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()
