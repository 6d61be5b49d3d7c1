"""Settings > Health: whether our own processes work, and on what."""

from dataclasses import dataclass
from datetime import datetime

import redis
from django.conf import settings
from django.db import connection as database
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from dashboard.accounts.models import Connection
from dashboard.core.models import Heartbeat
from dashboard.lifecycle.models import StopAction
from dashboard.web.htmx import render_page
from dashboard.web.views.settings.connections import attach_last_runs

# Seconds; a page must not hang on a store that is away.
REDIS_TIMEOUT_SECONDS = 2


@dataclass(frozen=True)
class Store:
    """A server that we stand on; `version` None means that it does not answer, `detail` says why."""

    name: str
    version: str | None
    detail: str = ""


def show_health(request: HttpRequest) -> HttpResponse:
    """Show heartbeats, versions, the oldest open act and the last sync of each resource."""
    connections = attach_last_runs(list(Connection.objects.all()))
    context = {
        "stores": [read_postgresql(), read_redis()],
        "version": settings.VERSION,
        "heartbeats": Heartbeat.objects.order_by("name"),
        "oldest_action": StopAction.objects.filter(
            state__in=[StopAction.State.REQUESTED, StopAction.State.SENT]
        )
        .select_related("endpoint", "deployment")
        .order_by("requested_at")
        .first(),
        "connections": connections,
        "section": "health",
    }
    return render_page(request, "settings/health.html", "settings/_health.html", context)


def read_postgresql() -> Store:
    """Return PostgreSQL's version and how long it has been up."""
    with database.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), pg_postmaster_start_time()")
        version, started_at = cursor.fetchone()
    return Store("PostgreSQL", version.split()[0], _say_since(started_at))


def read_redis() -> Store:
    """Return the version of Redis or Valkey; version None while it is away."""
    client = redis.Redis.from_url(
        str(settings.CACHES["default"]["LOCATION"]),
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
    )
    try:
        info = client.info("server")
    except RedisError as error:
        return Store(
            "Redis", None, f"does not answer ({type(error).__name__}); nothing that matters is kept there"
        )
    finally:
        client.close()
    if "valkey_version" in info:
        return Store("Valkey", info["valkey_version"])
    return Store("Redis", info["redis_version"])


def _say_since(at: datetime) -> str:
    return f"up since {at:%-d %b %H:%M} UTC"
