"""First and unchanged sync of a large organisation, as ratios to downloading the same JSON.

Two halves, each with its own floor: 1,000 endpoints with 10,000 deployments; and all other resources (2,000 jobs, 50
clusters, 200 volumes, files, models, containers, RL).

The floor sends exactly the requests that the sync sent, with the product's own httpx client, as many at a time, and
decodes each body with orjson: nothing else. Floor and sync take turns several times in the same run; medians count.
"""

import asyncio
import functools
import statistics
import sys
import time
from collections.abc import Callable, Mapping
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
        return report([*measure(simulator), *measure_resources(simulator)])


def measure_resources(simulator: SimulatorProcess) -> list[Figure]:
    """Return the figures of everything that is no endpoint, read in one pass."""
    from django.db import connection as database

    from dashboard.accounts.models import Connection
    from dashboard.mirror.groups import GROUPS
    from dashboard.mirror.models import Resource
    from dashboard.mirror.sync_resources import sync_groups

    # That of the endpoints: a second connection to the same organisation would leave the projects to the first.
    connection = Connection.objects.get()

    def sync_all(clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        sync_groups(connection, GROUPS, clock=clock)

    first_floors, firsts, unchanged_floors, unchanged, written = [], [], [], [], 0
    sync_all()
    for _ in range(ROUNDS):
        with database.cursor() as cursor:
            cursor.execute("TRUNCATE mirror_resource CASCADE")
        simulator.admin("DELETE", "/requests")
        firsts.append(_time(sync_all))
        first_floors.append(_time_download(connection, _targets(simulator)))
        for _ in range(2):
            before = _row_versions()
            simulator.admin("DELETE", "/requests")
            unchanged.append(_time(sync_all))
            targets = _targets(simulator)
            written = max(written, _count_changed_rows(before))
            unchanged_floors.append(_time_download(connection, targets))
    return [
        Figure(f"first sync of {Resource.objects.count()} other resources", statistics.median(firsts), "s"),
        Figure("  floor: the same requests, downloaded and decoded", statistics.median(first_floors), "s"),
        Figure("  ratio", _ratio(firsts, first_floors), "", MOST_FIRST_RATIO),
        Figure("unchanged sync of them", statistics.median(unchanged), "s"),
        Figure(
            "  floor: the same requests, downloaded and decoded", statistics.median(unchanged_floors), "s"
        ),
        Figure("  ratio", _ratio(unchanged, unchanged_floors), "", MOST_UNCHANGED_RATIO),
        Figure("  rows written (runs aside)", written, "rows", 0),
    ]


def measure(simulator: SimulatorProcess) -> list[Figure]:
    """Return the figures. Django is set up."""
    from django.conf import settings

    from dashboard.mirror import sync_catalogue
    from dashboard.mirror.models import Deployment, Endpoint
    from dashboard.mirror.sync_endpoints import sync_endpoints
    from tests.factories import make_connection

    settings.TOGETHER_BASE_URL = simulator.url
    connection = make_connection()
    sync_catalogue.sync_projects(connection)
    sync_catalogue.sync_hardware(connection)
    first_floors, firsts, unchanged_floors, unchanged = [], [], [], []
    peaks, written = [], 0
    # Not measured: the simulator builds and keeps its bodies, imports happen, PostgreSQL makes its files.
    sync_endpoints(connection)
    for _ in range(ROUNDS):
        _forget_endpoints()
        simulator.admin("DELETE", "/requests")
        reset_peak_memory()
        firsts.append(_time(lambda: sync_endpoints(connection)))
        peaks.append(peak_memory_mib())
        first_floors.append(_time_download(connection, _targets(simulator)))
        # One instant for all passes: every pass reads the same rotating share of deployments in full.
        now = datetime.now(UTC)
        for _ in range(2):
            before = _row_versions()
            simulator.admin("DELETE", "/requests")
            unchanged.append(_time(functools.partial(sync_endpoints, connection, clock=lambda at=now: at)))
            targets = _targets(simulator)
            written = max(written, _count_changed_rows(before))
            unchanged_floors.append(_time_download(connection, targets))
    counts = f"{Endpoint.objects.count()} endpoints, {Deployment.objects.count()} deployments"
    return [
        Figure(f"first sync ({counts})", statistics.median(firsts), "s"),
        Figure("  floor: the same requests, downloaded and decoded", statistics.median(first_floors), "s"),
        Figure("  ratio", _ratio(firsts, first_floors), "", MOST_FIRST_RATIO),
        Figure("  peak memory of the process", max(peaks), "MiB"),
        Figure("unchanged sync", statistics.median(unchanged), "s"),
        Figure(
            "  floor: the same requests, downloaded and decoded", statistics.median(unchanged_floors), "s"
        ),
        Figure("  ratio", _ratio(unchanged, unchanged_floors), "", MOST_UNCHANGED_RATIO),
        Figure("  rows written (runs aside)", written, "rows", 0),
    ]


def _ratio(measured: list[float], floors: list[float]) -> float:
    return statistics.median(measured) / statistics.median(floors)


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


def _forget_endpoints() -> None:
    from django.db import connection as database

    with database.cursor() as cursor:
        cursor.execute("TRUNCATE mirror_endpoint, mirror_deployment CASCADE")


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
