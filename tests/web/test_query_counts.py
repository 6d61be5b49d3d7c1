"""Golden query counts: a page costs the same number of queries for 5 and for 60 rows.

Recorded in query_counts.json; `RECORD_QUERY_COUNTS=1 pytest tests/web/test_query_counts.py` records anew.
"""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing import budgets
from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import Team
from dashboard.mirror.models import Endpoint, Resource, ResourceKind
from tests import cost_factories, factories
from tests.conftest import sign_in
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
GOLDEN = Path(__file__).with_name("query_counts.json")
PAGES = {
    "overview": "/",
    "overview fragment": "/",
    "overview money": "/overview/money/",
    "endpoints": "/endpoints/",
    "endpoints filtered": "/endpoints/?q=e&status=idle&sort=status",
    "endpoint": "/endpoints/{pk}/",
    "endpoint events": "/endpoints/{pk}/events/",
    "jobs": "/jobs/",
    "jobs filtered": "/jobs/?q=e&kind=fine-tune&status=running&sort=-progress",
    "job": "/jobs/fine-tune/{job}/",
    "job events": "/resources/{job}/events/",
    "job cancel": "/jobs/fine-tune/{job}/cancel/",
    "files": "/files/",
    "file": "/files/{file}/",
    "estimate": "/jobs/estimate/",
    "clusters": "/clusters/",
    "clusters filtered": "/clusters/?q=s&status=running&sort=-gpus",
    "cluster": "/clusters/{cluster}/",
    "cluster scale": "/clusters/{cluster}/scale/",
    "volumes": "/volumes/",
    "volume": "/volumes/{volume}/",
    "containers": "/containers/",
    "container": "/containers/{container}/",
    "container stop": "/containers/{container}/stop/",
    "rl": "/rl/",
    "rl resources": "/rl/resources/{rl_resource}/",
    "rl session": "/rl/sessions/{rl_session}/",
    "rl stop": "/rl/resources/{rl_resource}/stop/",
    "costs": "/costs/",
    "costs by endpoint": "/costs/?group=endpoint&period=7d&by=hour",
    "costs intervals": "/costs/intervals/",
    "costs units": "/costs/units/",
    "unowned": "/costs/unowned/",
    "statements": "/costs/statements/",
    "export": "/costs/export/",
    "prices": "/costs/prices/",
    "prices filtered": "/costs/prices/?q=e&show=used",
    "general discount": "/costs/prices/sku/*/",
    "budgets": "/budgets/",
    "budget": "/budgets/{budget}/",
    "bulk stop": "/endpoints/stop/?endpoint={pk}",
    "notices": "/notices/",
    "meter": "/meter/",
    "find": "/find/?q=e",
}

FRAGMENTS = ("overview fragment", "overview money", "notices", "meter", "find")


def count_queries(client: Client, name: str, **ids: int) -> int:
    headers = {"HX-Request": "true"} if name in FRAGMENTS else {}
    url = PAGES[name].format(**ids)
    client.get(url, headers=headers)  # caches of templates and content types, and the session's first touch
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url, headers=headers).status_code == 200
    return len(captured)


def meter_endpoints(endpoints: list[Endpoint]) -> None:
    """Meter a day of the first deployment of each."""
    for endpoint in endpoints:
        meter = cost_factories.make_meter(deployment=endpoint.deployments.earliest("pk"))
        cost_factories.make_interval(meter, start=factories.NOW - timedelta(days=1), end=factories.NOW)


def make_budget(team: Team) -> Budget:
    """Write a budget of the team that would stop what is idle, and is not reached."""
    budget = Budget(name="Ours", scope=Budget.Scope.TEAM, team=team, nano_usd=10**18)
    drain = Threshold(80, Basis.ACTUAL, Action.DRAIN_IDLE)
    return budgets.save_budget(budget, thresholds=[drain], exempt=(), actor=Actor.for_process("test"))


def make_resources(desk: Desk, count: int) -> dict[str, int]:
    """Write as many of each kind with links, events and edges; return one job and one file that all jobs use."""
    file = Resource.objects.filter(remote_id="file-shared").first() or desk.resource(
        ResourceKind.FILE, remote_id="file-shared", variety="fine-tune"
    )
    made: dict[str, Resource] = {}
    for number in range(count):
        for kind in ResourceKind:
            row = desk.resource(kind, f"some-{number}")
            made.setdefault(kind.value, row)
            factories.make_resource_link(row, relation="input", target=file.remote_id)
            factories.make_resource_event(row, "job_start")
            factories.make_resource_change(row, row.state)
            if kind == ResourceKind.RL_SESSION:
                target = made[ResourceKind.RL_RESOURCE].remote_id
                factories.make_resource_link(row, relation="rl-resource", target=target)
        clusters = Resource.objects.filter(kind=ResourceKind.CLUSTER).exclude(links__relation="volume")
        for row in clusters:
            target = made[ResourceKind.VOLUME].remote_id
            factories.make_resource_link(row, relation="volume", target=target)
    return {"job": made[ResourceKind.FINE_TUNE].pk, "file": file.pk} | {
        kind.replace("-", "_"): row.pk for kind, row in made.items() if kind != ResourceKind.FILE
    }


@pytest.mark.parametrize("who", ["operator", "admin"])
@pytest.mark.parametrize("name", PAGES)
def test_queries_of_a_page_do_not_grow_with_rows(
    desk: Desk, name: str, who: str, request: pytest.FixtureRequest
):
    client = sign_in(request.getfixturevalue(who))
    few = [desk.idle(f"few-{number}") for number in range(5)]
    desk.deployment(few[0])
    meter_endpoints(few)
    ids = {"pk": few[0].pk, "budget": make_budget(desk.team).pk, **make_resources(desk, 5)}
    first = count_queries(client, name, **ids)
    more = [desk.idle(f"more-{number}") for number in range(55)]
    for endpoint in more:
        desk.deployment(endpoint)
    meter_endpoints(more)
    make_resources(desk, 55)

    second = count_queries(client, name, **ids)

    assert second == first
    key = f"{name}, {who}"
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("RECORD_QUERY_COUNTS"):
        GOLDEN.write_text(json.dumps(golden | {key: first}, indent=2, sort_keys=True) + "\n")
    else:
        assert first == golden.get(key), "more or fewer queries than recorded: see the module's docstring"
