"""Send a file while it is being written: under ASGI Django collects a plain generator before it sends anything."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

# Bytes that are gathered before they are sent: small parts would go thread, loop, socket one by one.
PART_BYTES = 256 * 1024


async def stream_from_thread(write: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """Yield what `write()` yields, which runs in one thread of its own with its own database connection.

    One part is made while the one before is sent: a reader who is slow holds it up, and one who leaves ends it.
    """
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="export")
    parts = write()
    try:
        following = loop.run_in_executor(executor, _gather, parts)
        while part := await following:
            following = loop.run_in_executor(executor, _gather, parts)
            yield part
    finally:
        # In its own thread and without waiting: the reader may be gone, and so the task that this runs in.
        executor.submit(_finish, parts)
        executor.shutdown(wait=False)


def _gather(parts: Iterator[bytes]) -> bytes:
    gathered, size = [], 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= PART_BYTES:
            break
    return b"".join(gathered)


def _finish(parts: Iterator[bytes]) -> None:
    """End the generator, which frees its cursor, and the connection of this thread."""
    close = getattr(parts, "close", None)
    if close is not None:
        close()
    connection.close()
