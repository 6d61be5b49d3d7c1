"""First and unchanged sync of a large organisation, as ratios to downloading the same JSON.

Two halves: 1,000 endpoints with 10,000 deployments; and all other resources (2,000 jobs, 50 clusters, 200 volumes,
files, models, containers, RL). The targets are those of the whole.

The floor sends exactly the requests that the sync sent, with the product's own httpx client, as many at a time, and
decodes each body with orjson: nothing else. Floor and sync take turns several times in the same run; medians count.
"""

import asyncio
import functools
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson

from bench.figures import Figure, report
from bench.stage import peak_memory_mib, product_stage, reset_peak_memory
from simulator.testing import SimulatorProcess

ROUNDS = 5
MOST_FIRST_RATIO = 2.0
MOST_UNCHANGED_RATIO = 1.3


def main() -> int:
    # A clock that stands still: nothing starts or fails by itself while "unchanged" is measured.
    with product_stage(), SimulatorProcess(scenario="large", clock="virtual") as simulator:
        return report(measure(simulator))


@dataclass
class Turns:
    """Seconds of each turn of one half, of its floors, and the most rows that an unchanged pass wrote."""

    firsts: list[float] = field(default_factory=list)
    first_floors: list[float] = field(default_factory=list)
    unchanged: list[float] = field(default_factory=list)
    unchanged_floors: list[float] = field(default_factory=list)
    written: int = 0


def measure(simulator: SimulatorProcess) -> list[Figure]:
    """Return the figures. Django is set up."""
    from django.conf import settings

    from dashboard.mirror import sync_catalogue
    from dashboard.mirror.groups import GROUPS
    from dashboard.mirror.models import Deployment, Endpoint, Resource
    from dashboard.mirror.sync_endpoints import sync_endpoints
    from dashboard.mirror.sync_resources import sync_groups
    from tests.factories import make_connection

    settings.TOGETHER_BASE_URL = simulator.url
    connection = make_connection()
    sync_catalogue.sync_projects(connection)
    sync_catalogue.sync_hardware(connection)
    reset_peak_memory()
    endpoints = _take_turns(
        simulator,
        connection,
        functools.partial(sync_endpoints, connection),
        ["mirror_statechange", "mirror_deployment", "mirror_endpoint"],
    )
    resources = _take_turns(
        simulator,
        connection,
        functools.partial(sync_groups, connection, GROUPS),
        ["mirror_resourcechange", "mirror_resourcelink", "mirror_resource"],
    )
    counts = f"{Endpoint.objects.count()} endpoints, {Deployment.objects.count()} deployments"
    return [
        *_describe(counts, endpoints),
        *_describe(f"{Resource.objects.count()} other resources", resources),
        Figure(
            "whole organisation, first: ratio to its floor",
            _ratio([endpoints.firsts, resources.firsts], [endpoints.first_floors, resources.first_floors]),
            "",
            MOST_FIRST_RATIO,
        ),
        Figure(
            "whole organisation, unchanged: ratio to its floor",
            _ratio(
                [endpoints.unchanged, resources.unchanged],
                [endpoints.unchanged_floors, resources.unchanged_floors],
            ),
            "",
            MOST_UNCHANGED_RATIO,
        ),
        Figure(
            "rows written by unchanged passes (runs aside)", endpoints.written + resources.written, "rows", 0
        ),
        Figure("peak memory of the process", peak_memory_mib(), "MiB"),
    ]


def _take_turns(
    simulator: SimulatorProcess, connection: object, sync: Callable[..., None], tables: list[str]
) -> Turns:
    """Measure one half: its pass over empty tables, its pass over unchanged ones, and their floors, in turns."""
    turns = Turns()
    # Not measured: the simulator builds and keeps its bodies, imports happen, PostgreSQL makes its files.
    sync()
    for _ in range(ROUNDS):
        _forget(tables)
        simulator.admin("DELETE", "/requests")
        turns.firsts.append(_time(sync))
        turns.first_floors.append(_time_download(connection, _targets(simulator)))
        # One instant for all passes: every pass reads the same rotating share of deployments in full.
        now = datetime.now(UTC)
        for _ in range(2):
            before = _row_versions()
            simulator.admin("DELETE", "/requests")
            turns.unchanged.append(_time(functools.partial(sync, clock=lambda at=now: at)))
            targets = _targets(simulator)
            turns.written = max(turns.written, _count_changed_rows(before))
            turns.unchanged_floors.append(_time_download(connection, targets))
    return turns


def _describe(what: str, turns: Turns) -> list[Figure]:
    return [
        Figure(f"first sync of {what}", statistics.median(turns.firsts), "s"),
        Figure(
            "  floor: the same requests, downloaded and decoded", statistics.median(turns.first_floors), "s"
        ),
        Figure("unchanged sync of them", statistics.median(turns.unchanged), "s"),
        Figure("  floor", statistics.median(turns.unchanged_floors), "s"),
    ]


def _ratio(measured: list[list[float]], floors: list[list[float]]) -> float:
    """Return the sum of the medians over that of the floors."""
    return sum(map(statistics.median, measured)) / sum(map(statistics.median, floors))


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _targets(simulator: SimulatorProcess) -> list[str]:
    """Return path and query of every request the sync sent."""
    return [
        entry["path"] + (f"?{urlencode(entry['query'])}" if entry["query"] else "")
        for entry in simulator.requests()
    ]


def _time_download(connection: object, targets: list[str]) -> float:
    """Return how long the requests take with the product's own httpx client and concurrency, decoded by orjson."""
    from dashboard.accounts.connections import async_api_client
    from dashboard.mirror.fetch import CONCURRENCY

    async def download() -> None:
        client = async_api_client(connection)
        http, base = client.transport._http, client.config.base_url
        gate = asyncio.Semaphore(CONCURRENCY)

        async def read(target: str) -> object:
            async with gate:
                response = await http.get(base + target)
                return orjson.loads(response.content)

        await asyncio.gather(*(read(target) for target in targets))
        await client.aclose()

    return _time(lambda: asyncio.run(download()))


def _forget(tables: list[str]) -> None:
    """Empty the tables, given children first, rewrite their files, and forget the pages: as new as at the first turn.

    No TRUNCATE: its CASCADE reaches the ledger of billing, which refuses it even when empty.
    """
    from django.db import connection as database

    from dashboard.together_api import page_memory

    page_memory.forget_all()
    with database.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")
        for table in tables:
            cursor.execute(f"VACUUM FULL {table}")


def _row_versions() -> Mapping[str, tuple[int, int]]:
    """Return per table of the mirror the count of its rows and the newest transaction that wrote one, runs aside."""
    from django.apps import apps
    from django.db import connection as database

    tables = [model._meta.db_table for model in apps.get_app_config("mirror").get_models()]
    found = {}
    with database.cursor() as cursor:
        for table in tables:
            if table != "mirror_syncrun":
                cursor.execute(f"SELECT count(*), coalesce(max(xmin::text::bigint), 0) FROM {table}")
                found[table] = cursor.fetchone()
    return found


def _count_changed_rows(before: Mapping[str, tuple[int, int]]) -> int:
    """Return how many rows were written or deleted since `before`."""
    from django.db import connection as database

    changed = 0
    with database.cursor() as cursor:
        for table, (count, newest) in before.items():
            cursor.execute(
                f"SELECT count(*), count(*) FILTER (WHERE xmin::text::bigint > %s) FROM {table}", [newest]
            )
            now_count, written = cursor.fetchone()
            changed += written + max(0, count - now_count)
    return changed


if __name__ == "__main__":
    sys.exit(main())
