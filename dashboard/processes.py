"""The one table of processes: what runs, on which queues, what it needs, how its health shows.

Pure data. `make up` runs it on one machine (dashboard/embedded/supervisor.py); a compose file can be written from
it. Words in braces are filled in by who starts the row: python, address, port, simulator_port, data_dir.
"""

from dataclasses import dataclass
from enum import StrEnum


class Service(StrEnum):
    """What a process cannot work without."""

    POSTGRES = "postgres"
    REDIS = "redis"
    SIMULATOR = "simulator"


@dataclass(frozen=True)
class Health:
    """How a process proves that it works; a live process alone proves nothing.

    ``heartbeat`` is its row in core_heartbeat; ``http_path`` is asked on its port, and any answer counts.
    """

    heartbeat: str | None = None
    http_path: str | None = None
    max_age_seconds: float = 180.0


@dataclass(frozen=True)
class ProcessSpec:
    """One row: a program and how to treat it."""

    name: str
    argv: tuple[str, ...]
    needs: frozenset[Service]
    health: Health
    queues: tuple[str, ...] = ()
    # From SIGTERM to the hard end. Work that is cut off is taken over by its lease or its next tick.
    grace_seconds: float = 8.0
    first_restart_seconds: float = 1.0
    longest_restart_seconds: float = 30.0
    # The simulator runs only where no TOGETHER_API_KEY is given.
    demonstration_only: bool = False


_BOTH = frozenset({Service.POSTGRES, Service.REDIS})
_CELERY = ("{python}", "-m", "celery", "-A", "dashboard.celery")


def _worker(name: str, queues: tuple[str, ...], *, pool: str, concurrency: int) -> tuple[str, ...]:
    # Gossip and mingle talk to other workers over Redis; nothing here needs that.
    return (
        *(*_CELERY, "worker", "-n", f"{name}@%h", "-Q", ",".join(queues)),
        *("--pool", pool, "--concurrency", str(concurrency)),
        *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    )


STOPS_QUEUES = ("stops",)
SYNC_QUEUES = ("sync", "mail", "default")

PROCESSES: tuple[ProcessSpec, ...] = (
    ProcessSpec(
        name="simulator",
        argv=(
            *("{python}", "-m", "simulator", "--port", "{simulator_port}"),
            *("--scenario", "demo", "--speed", "60", "--seed", "7"),
            # Else each start would build another past, and what somebody stopped would run again.
            *("--journal", "{data_dir}/simulator.journal"),
        ),
        needs=frozenset(),
        health=Health(http_path="/healthz"),
        demonstration_only=True,
    ),
    ProcessSpec(
        name="web",
        argv=(
            *(
                "{python}",
                "-m",
                "uvicorn",
                "dashboard.asgi:application",
                "--host",
                "{address}",
                "--port",
                "{port}",
            ),
            # An open event stream would keep it alive for ever after SIGTERM.
            *("--timeout-graceful-shutdown", "5", "--lifespan", "off", "--ws", "none", "--no-access-log"),
            # Whom to believe about X-Forwarded-For is Django's decision (TRUSTED_PROXY_COUNT).
            "--no-proxy-headers",
        ),
        needs=_BOTH,
        health=Health(http_path="/healthz", max_age_seconds=90.0),
    ),
    ProcessSpec(
        # Alone on its queue: a stop never waits behind a slow sync. Threads, because stops only wait for HTTP.
        name="worker-stops",
        argv=_worker("worker-stops", STOPS_QUEUES, pool="threads", concurrency=4),
        needs=_BOTH,
        health=Health(heartbeat="worker-stops"),
        queues=STOPS_QUEUES,
    ),
    ProcessSpec(
        # Prefork: the only pool whose time limits work.
        name="worker-sync",
        argv=_worker("worker-sync", SYNC_QUEUES, pool="prefork", concurrency=2),
        needs=_BOTH,
        # Longer than others: a first backfill may hold both children for minutes.
        health=Health(heartbeat="worker-sync", max_age_seconds=300.0),
        queues=SYNC_QUEUES,
    ),
    ProcessSpec(
        name="beat",
        argv=(*_CELERY, "beat", "--scheduler", "dashboard.beat:Scheduler", "--loglevel", "WARNING"),
        needs=_BOTH,
        health=Health(heartbeat="beat", max_age_seconds=60.0),
    ),
    ProcessSpec(
        # No Redis in its path: timers fire while the broker is down.
        name="enforcer",
        argv=("{python}", "manage.py", "enforcer"),
        needs=frozenset({Service.POSTGRES}),
        health=Health(heartbeat="enforcer", max_age_seconds=90.0),
    ),
)
