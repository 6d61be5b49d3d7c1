"""Server time of the busiest pages over a large organisation, as ratios to the same pages over a small one.

Both show full pages of equal rows, so what grows is only what the page does not show: 10,000 deployments to 100 (two
an endpoint), and with them 2,000 jobs to 100, 200 volumes and 50 clusters to 50 of each. Rows are written by the
product's own store; time is that of a request through all middleware, without network.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bench.figures import Figure, report
from bench.stage import product_stage

SMALL, LARGE = 100, 10_000
DEPLOYMENTS_PER_ENDPOINT = 2
ROUNDS = 25
WARM_UP = 3
MOST_RATIO = 1.5
HARDWARE = "1xnvidia-h100-80gb"
PAGES = {
    "overview": "/",
    "endpoint list": "/endpoints/",
    "job list": "/jobs/",
    "cluster list": "/clusters/",
    "volume list": "/volumes/",
}
# Kind of resource -> how many a small and a large organisation has.
RESOURCES = {"fine-tune": (100, 2_000), "file": (100, 2_000), "cluster": (50, 50), "volume": (50, 200)}
STATES = (
    "READY",
    "READY",
    "SCALING",
    "READY",
    "STOPPED",
    "FAILED",
    "DEGRADED",
    "READY",
    "PROVISIONING",
    "STOPPED",
)


def main() -> int:
    with product_stage():
        from django.test import override_settings

        # Pages name their files by a manifest that only an installation has.
        storage = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        files = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
        with override_settings(
            STORAGES={"default": files, "staticfiles": storage}, ALLOWED_HOSTS=["testserver"]
        ):
            return report(measure())


def measure() -> list[Figure]:
    """Return the figures. Django is set up."""
    from tests.conftest import sign_in
    from tests.factories import make_admin, make_connection, make_hardware, make_project, make_team

    connection = make_connection()
    make_hardware(connection=connection, name=HARDWARE)
    projects = [make_project(connection=connection, team=make_team()) for _ in range(4)]
    client = sign_in(make_admin())
    found: dict[tuple[str, int], tuple[float, int, int]] = {}
    written = 0
    for place, size in enumerate((SMALL, LARGE)):
        for kind, sizes in RESOURCES.items():
            _write_resources(connection, kind, first=sizes[0] * place, until=sizes[place])
        _write(connection, projects, first=written, count=size - written)
        written = size
        for name, url in PAGES.items():
            found[name, size] = _measure_page(client, url)
    figures = []
    for name in PAGES:
        small, large = found[name, SMALL], found[name, LARGE]
        figures += [
            Figure(f"{name}, small organisation", small[0] * 1_000, "ms"),
            Figure(f"{name}, large organisation", large[0] * 1_000, "ms"),
            Figure("  ratio", large[0] / small[0], "", MOST_RATIO),
            Figure("  queries more than with few", large[1] - small[1], "", 0),
            Figure("  queries", large[1]),
            Figure("  kilobytes of HTML", large[2] / 1_000),
        ]
    return figures


def _measure_page(client: Any, url: str) -> tuple[float, int, int]:
    """Return median seconds, count of queries and size of the page."""
    from django.db import connection as database
    from django.test.utils import CaptureQueriesContext

    for _ in range(WARM_UP):
        client.get(url)
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        response = client.get(url)
        seconds.append(time.perf_counter() - started)
    with CaptureQueriesContext(database) as queries:
        response = client.get(url)
    if response.status_code != 200:
        raise SystemExit(f"{url} answers {response.status_code}")
    return statistics.median(seconds), len(queries), len(response.content)


def _write(connection: Any, projects: list[Any], *, first: int, count: int) -> None:
    """Write deployments with their endpoints, a day of traffic of what runs, and a fresh run."""
    from django.db import connection as database
    from django.utils import timezone

    from dashboard.mirror.models import Deployment, SyncRun, TrafficCoverage
    from dashboard.mirror.observations import Observation
    from dashboard.mirror.store import store_observation
    from dashboard.mirror.store_traffic import SeenTraffic, store_traffic
    from dashboard.together_api.metrics import TrafficIncrease
    from tests.factories import make_sync_run

    now = timezone.now()
    numbers = range(first // DEPLOYMENTS_PER_ENDPOINT, (first + count) // DEPLOYMENTS_PER_ENDPOINT)
    endpoints, deployments = [], []
    for number in numbers:
        endpoints.append(_see_endpoint(number, projects[number % len(projects)], now))
        deployments += _see_deployments(number, now)
    store_observation(
        connection,
        Observation(
            seen_before=now - timedelta(seconds=30),
            observed_at=now,
            endpoints=endpoints,
            deployments=deployments,
        ),
    )
    start = (now - timedelta(hours=24)).replace(second=0, microsecond=0)
    minutes = {start + timedelta(minutes=10 * step): TrafficIncrease(requests=step) for step in range(1, 140)}
    running = Deployment.objects.filter(
        billable_high__gt=0, endpoint__remote_id__in=[one.reading.remote_id for one in endpoints]
    )
    seen = [
        SeenTraffic(pk, start, now, minutes=minutes if pk % 10 == 0 else {}, last_request_before=now)
        for pk in running.values_list("pk", flat=True)
    ]
    store_traffic(connection, seen=seen, origin=TrafficCoverage.Origin.METRICS)
    for resource in SyncRun.Resource:
        make_sync_run(connection=connection, resource=resource, started_at=now, finished_at=now)
    with database.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _write_resources(connection: Any, kind: str, *, first: int, until: int) -> None:
    """Write resources of one kind: every twentieth job runs, every volume and cluster bills."""
    from django.utils import timezone

    from dashboard.mirror.resource_readings import ResourceReading
    from dashboard.mirror.store_resources import ResourceObservation, SeenResource, store_resources

    now = timezone.now()
    seen = []
    for number in range(first, until):
        state = {
            "fine-tune": "completed" if number % 20 else "running",
            "cluster": "Ready",
            "volume": "bound",
        }
        units = {"cluster": 8, "volume": 4}.get(kind, 0)
        reading = ResourceReading(
            kind=kind,
            remote_id=f"{kind}-{number}",
            name=f"{kind}-{number:05d}",
            state=state.get(kind, ""),
            model="Qwen/Qwen3-8B",
            remote_created_at=now - timedelta(minutes=number),
            units=units,
            sku=kind if units else "",
        )
        seen.append(SeenResource(reading, {"id": reading.remote_id}, b"1" * 16, now, now))
    store_resources(connection, ResourceObservation(now - timedelta(seconds=30), now, seen=seen))


def _see_endpoint(number: int, project: Any, now: datetime) -> Any:
    from dashboard.mirror.observations import SeenEndpoint
    from dashboard.mirror.readings import read_v2_endpoint
    from dashboard.together_api import payloads

    body = payloads.Endpoint.parse(
        {
            "id": f"ep_{number}",
            "projectId": project.remote_id,
            "name": f"{project.slug}/service-{number:05d}",
            "createdAt": (now - timedelta(days=30)).isoformat(),
        }
    )
    return SeenEndpoint(read_v2_endpoint(body), "v2", body.raw, body.fingerprint, now)


def _see_deployments(number: int, now: datetime) -> Iterator[Any]:
    from dashboard.mirror.observations import SeenDeployment
    from dashboard.mirror.readings import read_v2_deployment
    from dashboard.together_api import payloads

    for place in range(DEPLOYMENTS_PER_ENDPOINT):
        state = STATES[number % len(STATES)]
        ready = int(state in ("READY", "SCALING", "DEGRADED"))
        body = payloads.Deployment.parse(
            {
                "id": f"dep_{number}_{place}",
                "name": f"service-{number:05d}/replicas-{place}",
                "modelId": f"ml_{number % 20}",
                "hardware": HARDWARE,
                "desiredReplicas": ready,
                "autoscaling": {"minReplicas": 1, "maxReplicas": 2},
                "status": {"state": f"DEPLOYMENT_STATE_{state}", "message": "", "readyReplicas": ready},
                "createdAt": (now - timedelta(days=30)).isoformat(),
            }
        )
        yield SeenDeployment(
            read_v2_deployment(body), f"ep_{number}", "v2", body.raw, body.fingerprint, now, now
        )


if __name__ == "__main__":
    sys.exit(main())
