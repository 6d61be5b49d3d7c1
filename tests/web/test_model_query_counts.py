"""Golden query counts of the pages about models and of the wizard: the same for a few models as for many.

Recorded in model_query_counts.json; `RECORD_QUERY_COUNTS=1 pytest tests/web/test_model_query_counts.py` records anew.
"""

import json
import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories, model_factories
from tests.conftest import sign_in
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
GOLDEN = Path(__file__).with_name("model_query_counts.json")
PAGES = {
    "models": "/models/",
    "model": "/models/{own}/",
    "model catalogue": "/models/catalogue/",
    "model offered": "/models/catalogue/{offered}/",
    "model deprecations": "/models/deprecations/",
    "model upload": "/models/upload/",
    "deploy choose": "/deploy/",
    "deploy configure": "/deploy/?model=Qwen/Qwen3-32B",
    "endpoint settings": "/endpoints/{endpoint}/settings/",
    "endpoint split": "/endpoints/{endpoint}/split/",
}


def count_queries(client: Client, url: str) -> int:
    client.get(url)  # caches of templates and content types, and the session's first touch
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def add_models(desk: Desk, count: int) -> None:
    """Write models of all sorts, each run by a config, deprecated, made by a job, and served."""
    hardware = factories.make_hardware(connection=desk.connection)
    for _ in range(count):
        base = model_factories.make_catalogue_model(connection=desk.connection)
        model_factories.make_config(model=base, hardware=hardware)
        own = model_factories.make_own_model(project=desk.project, base=base)
        factories.make_resource(kind="upload", project=desk.project, links={"model": own.remote_id})
        model_factories.make_deprecation(base.name, replacement="Qwen/Qwen3-32B")
        desk.endpoint(f"of-{own.pk}", model=base.name)


@pytest.mark.parametrize("who", ["operator", "admin"])
@pytest.mark.parametrize("name", PAGES)
def test_queries_of_a_page_do_not_grow_with_models(
    desk: Desk, name: str, who: str, request: pytest.FixtureRequest
):
    client = sign_in(request.getfixturevalue(who))
    offered = model_factories.make_catalogue_model(connection=desk.connection, name="Qwen/Qwen3-32B")
    own = model_factories.make_own_model(project=desk.project, base=offered)
    endpoint = desk.endpoint("one", model=offered.name)
    add_models(desk, 3)
    url = PAGES[name].format(own=own.pk, offered=offered.pk, endpoint=endpoint.pk)
    first = count_queries(client, url)
    add_models(desk, 20)

    second = count_queries(client, url)

    assert second == first
    key = f"{name}, {who}"
    golden = json.loads(GOLDEN.read_text())
    if os.environ.get("RECORD_QUERY_COUNTS"):
        GOLDEN.write_text(json.dumps(golden | {key: first}, indent=2, sort_keys=True) + "\n")
    else:
        assert first == golden.get(key), "more or fewer queries than recorded: see the module's docstring"
