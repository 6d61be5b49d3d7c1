"""A sync tells what it learnt about the key: pages name a refused key without anybody pressing Test."""

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from dashboard.accounts.models import Connection
from dashboard.mirror import sync_catalogue, sync_endpoints
from dashboard.mirror.models import SyncRun
from simulator.testing import SimulatorProcess
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def simulator(settings: Settings) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(scenario="demo") as process:
        settings.TOGETHER_BASE_URL = process.url
        yield process


def test_a_revoked_key_is_named_and_a_key_that_works_again_too(simulator: SimulatorProcess) -> None:
    connection = factories.make_connection(health=Connection.Health.WORKING, health_detail="Sees 4 projects.")
    sync_catalogue.sync_projects(connection)
    simulator.add_fault("revoked_key")

    sync_endpoints.sync_endpoints(connection)

    connection.refresh_from_db()
    assert connection.health == Connection.Health.REFUSED
    assert "401" in connection.health_detail
    simulator.clear_faults()
    sync_endpoints.sync_endpoints(connection)
    connection.refresh_from_db()
    assert connection.health == Connection.Health.WORKING


def test_a_project_that_fails_alone_says_nothing_against_the_key(simulator: SimulatorProcess) -> None:
    connection = factories.make_connection(health=Connection.Health.WORKING, health_detail="Sees 4 projects.")
    sync_catalogue.sync_projects(connection)
    simulator.add_fault("html_error", route="/v1/endpoints*")

    sync_endpoints.sync_endpoints(connection)

    connection.refresh_from_db()
    run = SyncRun.objects.filter(resource=SyncRun.Resource.ENDPOINTS).latest("id")
    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert (connection.health, connection.health_detail) == (Connection.Health.WORKING, "Sees 4 projects.")
