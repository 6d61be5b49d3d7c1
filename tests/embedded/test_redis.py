"""The embedded Redis: what its application user may not do, and what survives a crash."""

import stat
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dashboard.embedded.redis import RedisServer


@pytest.mark.parametrize(
    "command", [("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "dir"), ("SHUTDOWN",), ("ACL", "LIST")]
)
def test_application_user_cannot_flush_or_reconfigure(
    redis_server: RedisServer, command: tuple[str, ...]
) -> None:
    with redis.Redis.from_url(redis_server.url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)

    assert redis_server.is_ready()


def test_strangers_are_refused(redis_server: RedisServer) -> None:
    once = Retry(NoBackoff(), 0)
    client = redis.Redis(unix_socket_path=str(redis_server.socket_path), retry=once)
    with client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()

    assert stat.S_IMODE(redis_server.socket_path.stat().st_mode) == 0o700
    assert stat.S_IMODE(redis_server.socket_path.parent.stat().st_mode) == 0o700


def test_what_the_broker_needs_is_allowed(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.lpush("queue", "message")
        assert client.eval("return redis.call('llen', KEYS[1])", 1, "queue") == 1
        client.publish("channel", "hello")
        assert client.info("server")["redis_version"]


def test_a_second_old_write_survives_a_kill(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("kept", "yes")
    time.sleep(1.5)  # appendfsync everysec

    redis_server.kill()
    redis_server.start()

    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("kept") == b"yes"


def test_a_full_server_refuses_writes_and_evicts_nothing(redis_server: RedisServer) -> None:
    with (
        redis.Redis.from_url(redis_server.admin_url) as admin,
        redis.Redis.from_url(redis_server.url) as client,
    ):
        client.set("kept", "yes")
        admin.config_set("maxmemory", "1")
        try:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                client.set("more", "no")
            assert client.get("kept") == b"yes"
        finally:
            admin.config_set("maxmemory", "0")
