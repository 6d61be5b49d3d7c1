"""The event stream: real NOTIFY in, events out, sessions re-checked, nothing held per page."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient
from django.utils import timezone

from dashboard.accounts import sessions
from dashboard.accounts.models import User
from dashboard.core.live import CHANNEL
from dashboard.web import live
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 5.0  # seconds


def notify(topics: list[str], ids: list[int] | None = None) -> None:
    """Send the notice as another process would: on a connection of its own, committed."""
    with psycopg.connect(live._conninfo(), autocommit=True) as other:
        payload = json.dumps({"topics": topics, "ids": ids or []})
        other.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])


def count_connections() -> int:
    """Return how many backends serve this test's database, ours aside."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


class Stream:
    """An open page as the browser sees it."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self._chunks: AsyncIterator[bytes] = aiter(response.streaming_content)

    async def read(self) -> str:
        return (await asyncio.wait_for(anext(self._chunks), PATIENCE)).decode()

    async def read_to_end(self, before_each: Callable[[], None] = lambda: None) -> bool:
        """Return whether the server ended the stream within 200 events."""
        for _ in range(200):
            before_each()
            try:
                await self.read()
            except StopAsyncIteration:
                return True
            await asyncio.sleep(0.01)
        return False

    async def close(self) -> None:
        # Django wraps the generator; the server's cancellation ends the inner one, so does this.
        await self._chunks.aclose()  # type: ignore[attr-defined]
        await self.response._iterator.aclose()


async def open_stream(user: User) -> Stream:
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.get("/live/")
    assert response.status_code == 200
    return Stream(response)


async def listen(hub: live.Hub) -> None:
    """Wait until the hub's connection listens, seen from the outside."""
    for _ in range(100):
        if await sync_to_async(_is_listening)():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody listens")


def _is_listening() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query = %s AND state = 'idle'",
            [f"LISTEN {CHANNEL}"],
        )
        return cursor.fetchone()[0] > 0


@pytest.fixture
def person() -> User:
    return factories.make_viewer(name="Vera")


@pytest.fixture(autouse=True)
def keep_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the test runner's own signal handlers alone."""
    monkeypatch.setattr(live, "_handles_signals", True)


async def test_the_stream_greets_with_the_servers_time_and_is_not_buffered(person: User):
    stream = await open_stream(person)

    greeting = await stream.read()

    assert "event: hello\n" in greeting
    assert json.loads(greeting.split("data: ")[1])["now"].startswith(str(timezone.now().year))
    assert stream.response["Content-Type"].startswith("text/event-stream")
    assert stream.response["X-Accel-Buffering"] == "no"
    await stream.close()


async def test_a_notice_reaches_every_open_page_without_ids(person: User):
    first, second = await open_stream(person), await open_stream(person)
    await first.read(), await second.read()
    await listen(live.find_hub())

    await sync_to_async(notify)(["endpoints", "actions"], [1, 2, 3])

    for stream in (first, second):
        event = await stream.read()
        assert event.startswith("event: change\n")
        assert json.loads(event.split("data: ")[1]) == {"topics": ["actions", "endpoints"], "ids": []}
        await stream.close()


async def test_a_slow_reader_gets_one_event_for_many_notices(person: User):
    stream = await open_stream(person)
    await stream.read()
    hub = live.find_hub()
    await listen(hub)
    reader = next(iter(hub.readers))

    for number in range(200):
        hub.tell({"endpoints", f"topic{number % 3}"})

    assert len(reader.pending) == 4
    assert '"topics":["endpoints","topic0","topic1","topic2"]' in await stream.read()
    assert not reader.pending
    await stream.close()


async def test_twenty_pages_share_one_database_connection(person: User):
    streams = [await open_stream(person) for _ in range(live.MOST_STREAMS)]
    for stream in streams:
        await stream.read()
    await listen(live.find_hub())

    # One listener; the streams' own threads have let go of theirs.
    assert await sync_to_async(count_connections)() <= 2

    for stream in streams:
        await stream.close()


async def test_one_person_cannot_hold_more_streams_than_allowed(person: User):
    streams = [await open_stream(person) for _ in range(live.MOST_STREAMS)]
    for stream in streams:
        await stream.read()
    client = AsyncClient()
    await client.aforce_login(person)

    refused = await client.get("/live/")
    await streams[0].close()
    again = await client.get("/live/")

    assert refused.status_code == 429
    assert again.status_code == 200
    for stream in streams[1:]:
        await stream.close()


async def test_the_stream_ends_when_the_person_is_deactivated(person: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "RECHECK_SECONDS", 0.2)
    stream = await open_stream(person)
    await stream.read()
    assert "still here" in await stream.read()

    await User.objects.filter(pk=person.pk).aupdate(is_active=False)

    assert await stream.read_to_end()


async def test_the_stream_ends_with_its_session(person: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "RECHECK_SECONDS", 0.2)
    stream = await open_stream(person)
    await stream.read()

    await sync_to_async(sessions.end_sessions)(person)
    # force_login leaves no UserSession row, so the session itself is ended too.
    from django.contrib.sessions.models import Session

    await Session.objects.all().adelete()

    assert await stream.read_to_end()


async def test_busy_streams_are_checked_too(person: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "RECHECK_SECONDS", 0.2)
    stream = await open_stream(person)
    await stream.read()
    await User.objects.filter(pk=person.pk).aupdate(is_active=False)

    assert await stream.read_to_end(lambda: live.find_hub().tell({"endpoints"}))


async def test_missed_notices_are_made_up_for_after_a_lost_connection(person: User):
    stream = await open_stream(person)
    await stream.read()
    await listen(live.find_hub())

    await sync_to_async(_cut_listener)()

    assert '"topics":null' in await stream.read()
    await stream.close()


def _cut_listener() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query = %s",
            [f"LISTEN {CHANNEL}"],
        )


async def test_the_last_page_takes_the_listener_with_it(person: User):
    stream = await open_stream(person)
    await stream.read()
    hub = live.find_hub()
    await listen(hub)

    await stream.close()

    for _ in range(100):
        if not await sync_to_async(_is_listening)():
            break
        await asyncio.sleep(0.05)
    assert not hub.readers
    assert not hub.streams
    assert not await sync_to_async(_is_listening)()


async def test_anonymous_people_get_no_stream():
    response = await AsyncClient().get("/live/")

    assert response.status_code == 302


def test_a_notice_that_makes_no_sense_means_everything():
    assert live._read_topics("no json") == {live.EVERYTHING}
    assert live._read_topics('{"topics": ["a"]}') == {"a"}
    assert timedelta(seconds=live.RECHECK_SECONDS) <= timedelta(seconds=30)
