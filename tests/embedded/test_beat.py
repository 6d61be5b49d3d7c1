"""Two schedulers against a real PostgreSQL: one sends, the other follows within seconds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from dashboard.embedded.postgres import PostgresServer
from dashboard.embedded.redis import RedisServer

BASE = Path(__file__).resolve().parents[2]
QUEUE = "beats"
# The product's scheduler under a table of one entry, so that what arrives is countable.
PROGRAM = f"""
import sys
from celery import Celery
import django
django.setup()
from django.conf import settings
app = Celery("two-beats", broker=settings.CELERY_BROKER_URL)
app.conf.broker_transport_options = {{"socket_timeout": 5}}
app.conf.beat_schedule = {{
    "tick": {{"task": sys.argv[1], "schedule": 0.5, "options": {{"queue": "{QUEUE}"}}}},
}}
app.Beat(scheduler_cls="dashboard.beat:Scheduler", loglevel="WARNING").run()
"""


@pytest.fixture
def environment(heartbeat_database: str, redis_server: RedisServer) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": heartbeat_database,
        "REDIS_URL": redis_server.url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }


def start_beat(name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name],
        env=environment,
        cwd=BASE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def count_sent(url: str) -> dict[str, int]:
    with redis.Redis.from_url(url) as client:
        messages = client.lrange(QUEUE, 0, -1)
    return {name: sum(b'"task": "%b"' % name.encode() in m for m in messages) for name in ("first", "second")}


def wait_for_sent(url: str, name: str, *, more_than: int, seconds: float) -> float:
    began_at = time.monotonic()
    while count_sent(url)[name] <= more_than:
        assert time.monotonic() - began_at < seconds, f"{name} sent nothing for {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began_at


def test_one_of_two_sends_and_the_other_takes_over_after_kill_9(
    environment: dict[str, str], redis_server: RedisServer
) -> None:
    first = start_beat("first", environment)
    second = None
    try:
        wait_for_sent(redis_server.url, "first", more_than=0, seconds=20)
        second = start_beat("second", environment)
        wait_for_sent(redis_server.url, "first", more_than=10, seconds=20)
        assert count_sent(redis_server.url)["second"] == 0

        first.kill()
        first.wait()

        assert wait_for_sent(redis_server.url, "second", more_than=0, seconds=10) < 5
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            age = connection.execute(
                "SELECT now() - beat_at FROM core_heartbeat WHERE name = 'beat'"
            ).fetchone()
        assert age is not None
        assert age[0].total_seconds() < 15
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()


def test_a_leader_whose_session_was_ended_leads_again(
    environment: dict[str, str], postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    beat = start_beat("first", environment)
    try:
        wait_for_sent(redis_server.url, "first", more_than=0, seconds=20)

        with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
            ended = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            ).fetchone()
        assert ended == (1,)
        sent = count_sent(redis_server.url)["first"]

        assert wait_for_sent(redis_server.url, "first", more_than=sent + 2, seconds=10) < 5
        assert beat.poll() is None
    finally:
        beat.kill()
        beat.wait()


def test_it_survives_a_restart_of_postgres_and_a_flush_of_redis(
    environment: dict[str, str], postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    beat = start_beat("first", environment)
    try:
        wait_for_sent(redis_server.url, "first", more_than=0, seconds=20)

        postgres_server.restart()
        redis_server.flush()

        wait_for_sent(redis_server.url, "first", more_than=2, seconds=15)
        assert beat.poll() is None
    finally:
        beat.kill()
        beat.wait()
