"""Real PostgreSQL and Redis for the test run: `-p tests.plugins.services` starts them before Django reads its settings.

One throw-away PostgreSQL serves the whole run (pytest-django makes a database per xdist worker in it); every worker
has a Redis of its own, because queues have no namespace. A given DATABASE_URL or REDIS_URL is used instead. The
servers die with their pytest process, however that ends.

Faults need servers that may be killed: the fixtures `postgres_server` and `redis_server` are private to one worker
and are running again before the next test asks for them.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.embedded.folder import open_data_folder
from dashboard.embedded.postgres import STOP_IMMEDIATELY, UNSAFE_SETTINGS, PostgresServer
from dashboard.embedded.redis import RedisServer
from dashboard.embedded.stores import Place, choose_place, prepare_postgres, prepare_redis

_OWN_REDIS = "DESK_TESTS_OWN_REDIS"  # tells xdist workers that REDIS_URL was not given from outside
_stack = contextlib.ExitStack()


@dataclass(frozen=True)
class ServiceUrls:
    """The addresses that the run uses."""

    database_url: str
    redis_url: str


def provide_services() -> ServiceUrls:
    """Start what the environment does not name and put the addresses into it; a second call changes nothing."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    needs_redis = not os.environ.get("REDIS_URL") or (
        is_worker and os.environ.get(_OWN_REDIS) != str(os.getpid())
    )
    if os.environ.get(_OWN_REDIS) is None and os.environ.get("REDIS_URL"):
        needs_redis = False
    if not os.environ.get("DATABASE_URL") or needs_redis:
        place = _stack.enter_context(throw_away_place())
        if not os.environ.get("DATABASE_URL"):
            postgres = _stack.enter_context(running_postgres(place))
            os.environ["DATABASE_URL"] = postgres.url
        if needs_redis:
            redis = _stack.enter_context(running_redis(place))
            os.environ["REDIS_URL"] = redis.url
            os.environ[_OWN_REDIS] = str(os.getpid())
    return ServiceUrls(os.environ["DATABASE_URL"], os.environ["REDIS_URL"])


@contextlib.contextmanager
def throw_away_place() -> Iterator[Place]:
    """Yield a place for servers in a short temporary folder that is removed after the block."""
    root = Path(tempfile.mkdtemp(prefix="desk-"))
    try:
        yield choose_place(open_data_folder(root), report=lambda line: None)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def running_postgres(place: Place, *, settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    """Yield a started PostgreSQL without durability; it is ended without a checkpoint after the block."""
    server = prepare_postgres(place, settings=UNSAFE_SETTINGS if settings is None else settings)
    try:
        server.start()
        yield server
    finally:
        server.stop(steps=STOP_IMMEDIATELY)


@contextlib.contextmanager
def running_redis(place: Place) -> Iterator[RedisServer]:
    """Yield a started Redis; it is stopped after the block."""
    server = prepare_redis(place)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Iterator[None]:
    # A wrapper, so that it runs before pytest-django's hook of the same name loads the settings.
    if not {"-h", "--help", "-V", "--version"} & set(args):
        atexit.register(_stack.close)
        provide_services()
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    _stack.close()


@pytest.fixture(scope="session")
def _private_postgres() -> Iterator[PostgresServer]:
    # As the product runs it: with fsync, because faults ask what survives.
    with throw_away_place() as place, running_postgres(place, settings={}) as server:
        yield server


@pytest.fixture(scope="session")
def _private_redis() -> Iterator[RedisServer]:
    with throw_away_place() as place, running_redis(place) as server:
        yield server


@pytest.fixture
def postgres_server(_private_postgres: PostgresServer) -> PostgresServer:
    """A PostgreSQL with .url, .admin_url, .restart(), .kill(), .start() and .stop() that nothing else uses."""
    if not _private_postgres.process.is_running:
        _private_postgres.start()
    return _private_postgres


@pytest.fixture
def redis_server(_private_redis: RedisServer) -> RedisServer:
    """A Redis with .url, .admin_url, .restart(), .kill(), .flush(), .start() and .stop() that nothing else uses."""
    if not _private_redis.process.is_running:
        _private_redis.start()
    _private_redis.flush()
    return _private_redis
