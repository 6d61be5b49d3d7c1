"""Connections against the simulated provider: what a key can see in words, and that it is never shown again."""

import io
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.test import Client

from dashboard.accounts import connections
from dashboard.accounts.audit import Actor
from dashboard.accounts.connection_check import ConnectionCheck
from dashboard.accounts.models import AuditEvent, Connection, Team
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Project
from simulator.testing import SimulatorProcess
from tests import factories

pytestmark = pytest.mark.django_db
ACTOR = Actor.for_process("tests")
ADD = "/settings/connections/add/"


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(key=["sim-key", "tgp_v1_canary_key_0001"], clock="virtual", seed=7) as process:
        yield process


@pytest.fixture
def provider(simulator: SimulatorProcess, settings) -> Iterator[SimulatorProcess]:
    settings.TOGETHER_BASE_URL = simulator.url
    yield simulator
    simulator.clear_faults()


def make_check() -> ConnectionCheck:
    return ConnectionCheck(Connection.Health.WORKING, "Sees everything.", organization_id="org_fernhill")


def test_a_working_key_is_told_in_words(provider: SimulatorProcess):
    check = connections.check_key("sim-key")

    assert check.health == Connection.Health.WORKING
    assert check.can_list_endpoints
    assert check.organization_name == "fernhill"
    assert (
        f"Sees organisation fernhill, {len(check.projects)} projects, {check.endpoint_count} endpoints;"
        in check.sentence
    )
    assert check.endpoint_count > 10
    assert check.usage_enabled is True
    assert check.metrics_enabled is True


def test_a_wrong_key_is_refused_in_words(provider: SimulatorProcess):
    check = connections.check_key("tgp_v1_wrong")

    assert check.health == Connection.Health.REFUSED
    assert "wrong or revoked" in check.sentence
    assert "tgp_v1_wrong" not in check.sentence


def test_betas_that_are_off_are_told(provider: SimulatorProcess):
    provider.admin("PATCH", "/world", usage_enabled=False, metrics_enabled=False)

    try:
        check = connections.check_key("sim-key")
    finally:
        provider.admin("PATCH", "/world", usage_enabled=True, metrics_enabled=True)

    assert check.usage_enabled is False
    assert check.metrics_enabled is False
    assert check.sentence.endswith("usage API not enabled; metrics not enabled.")
    assert check.is_working


def test_a_provider_that_is_away_is_told(settings):
    settings.TOGETHER_BASE_URL = "http://127.0.0.1:9"

    check = connections.check_key("sim-key")

    assert check.health == Connection.Health.FAILING
    assert "could not be reached" in check.sentence


@pytest.mark.parametrize("text", ["", "   ", "two words", "schlüssel"])
def test_text_that_is_no_key_is_refused_without_asking_anybody(text: str):
    with pytest.raises(connections.KeyUnusableError):
        connections.check_key(text)


def test_adding_a_connection_tests_the_key_and_never_shows_it_again(
    provider: SimulatorProcess, admin_client: Client, caplog: pytest.LogCaptureFixture
):
    key = "tgp_v1_canary_key_0001"

    response = admin_client.post(ADD, {"name": "Fernhill", "api_key": key}, follow=True)

    connection = Connection.objects.get()
    assert connections.read_key(connection) == key
    assert connection.key_hint == "0001"
    assert connection.health == Connection.Health.WORKING
    assert "Sees organisation fernhill" in response.content.decode()
    for page in ("", f"{connection.pk}/", f"{connection.pk}/key/", f"{connection.pk}/delete/", "add/"):
        content = admin_client.get(f"/settings/connections/{page}").content.decode()
        assert key not in content
        assert connection.key_ciphertext not in content
    assert key not in caplog.text
    event = AuditEvent.objects.get(action="connection.created")
    assert key not in str(event.detail)


def test_a_refused_key_is_not_stored_and_not_shown_in_the_form(
    provider: SimulatorProcess, admin_client: Client
):
    response = admin_client.post(ADD, {"name": "Fernhill", "api_key": "tgp_v1_wrong_key"})

    assert response.status_code == 422
    assert "wrong or revoked" in response.content.decode()
    assert "tgp_v1_wrong_key" not in response.content.decode()
    assert not Connection.objects.exists()
    assert not AuditEvent.objects.filter(action="connection.created").exists()


def test_a_form_that_is_incomplete_says_what_is_missing(admin_client: Client):
    response = admin_client.post(ADD, {"name": "", "api_key": ""})

    assert response.status_code == 422
    assert response.content.decode().count("This field is required.") == 2


def test_the_same_key_twice_is_refused():
    connection = factories.make_connection(name="First", api_key="tgp_v1_one")

    with pytest.raises(connections.KeyTakenError, match="First"):
        connections.create_connection(
            name="Second", api_key="tgp_v1_one", check=make_check(), now=factories.NOW, actor=ACTOR
        )

    assert Connection.objects.get() == connection


def test_a_key_that_sees_nothing_new_is_refused(provider: SimulatorProcess, admin_client: Client):
    first = factories.make_connection(name="First", api_key="tgp_v1_other")
    for project in connections.check_key("sim-key").projects:
        factories.make_project(connection=first, remote_id=project.id)

    response = admin_client.post(ADD, {"name": "Second", "api_key": "sim-key"})

    assert response.status_code == 422
    assert "already mirrors every project" in response.content.decode()


def test_a_key_of_another_organisation_does_not_replace_this_one():
    connection = factories.make_connection(api_key="tgp_v1_one", organization_id="org_other")

    with pytest.raises(connections.DifferentOrganizationError):
        connections.replace_key(
            connection, api_key="tgp_v1_two", check=make_check(), now=factories.NOW, actor=ACTOR
        )

    connection.refresh_from_db()
    assert connections.read_key(connection) == "tgp_v1_one"


def test_testing_stores_what_was_found_and_records_it(provider: SimulatorProcess, admin_client: Client):
    connection = factories.make_connection(api_key="tgp_v1_wrong")

    admin_client.post(f"/settings/connections/{connection.pk}/test/")

    connection.refresh_from_db()
    assert connection.health == Connection.Health.REFUSED
    assert connection.organization_id == "org_fernhill"
    assert AuditEvent.objects.get(action="connection.tested").detail == {"health": "refused"}


def test_health_that_did_not_change_writes_nothing(django_assert_num_queries):
    connection = factories.make_connection()
    working = {"health": Connection.Health.WORKING, "detail": "Fine."}
    assert connections.report_health(connection, **working, now=factories.NOW)

    with django_assert_num_queries(1):
        assert not connections.report_health(connection, **working, now=factories.NOW)


def test_deleting_takes_the_mirror_along(admin_client: Client):
    deployment = factories.make_deployment()
    connection = deployment.connection

    page = admin_client.get(f"/settings/connections/{connection.pk}/delete/").content.decode()
    admin_client.post(f"/settings/connections/{connection.pk}/delete/")

    assert "1 project and 1 endpoint" in page
    assert not Connection.objects.exists()
    assert not Project.objects.exists()
    assert AuditEvent.objects.get(action="connection.deleted").target_label == connection.name


def test_receipts_keep_their_connection(admin_client: Client, admin):
    deployment = factories.make_deployment()
    StopAction.objects.create(
        kind=StopAction.Kind.STOP,
        endpoint=deployment.endpoint,
        deployment=deployment,
        idempotency_key="once",
        origin=StopAction.Origin.PERSON,
        requested_by=admin,
        requested_by_label=str(admin),
    )

    response = admin_client.post(f"/settings/connections/{deployment.connection_id}/delete/")

    assert response.status_code == 409
    assert "can be disabled but not deleted" in response.content.decode()
    assert Connection.objects.exists()
    assert not AuditEvent.objects.filter(action="connection.deleted").exists()


def test_clients_of_one_connection_share_their_request_budget():
    connection = factories.make_connection(api_key="tgp_v1_one")

    with connections.api_client(connection) as first, connections.api_client(connection) as second:
        assert first.transport is not second.transport
        assert "tgp_v1_one" not in repr(first.config)


class TestBootstrap:
    """The first start: a connection of the environment's key, once."""

    @staticmethod
    def run() -> str:
        out = io.StringIO()
        call_command("bootstrap", stdout=out)
        return out.getvalue()

    def test_without_a_key_nothing_is_made(self, settings):
        settings.TOGETHER_API_KEY, settings.SIMULATED = "", False

        assert "no TOGETHER_API_KEY" in self.run()
        assert not Connection.objects.exists()

    def test_the_environments_key_becomes_a_connection_once(self, provider: SimulatorProcess, settings):
        settings.TOGETHER_API_KEY, settings.SIMULATED = "sim-key", False

        assert "Sees organisation fernhill" in self.run()
        assert self.run() == ""

        connection = Connection.objects.get()
        assert connections.read_key(connection) == "sim-key"
        assert not Team.objects.exists()
        assert AuditEvent.objects.get().actor_label == "bootstrap"

    def test_the_simulator_gets_a_team_per_project_and_deleted_teams_stay_deleted(
        self, provider: SimulatorProcess, settings
    ):
        settings.TOGETHER_API_KEY, settings.SIMULATED = "", True

        self.run()

        assert Team.objects.count() == Project.objects.count() == 4
        assert not Project.objects.filter(team=None).exists()
        Team.objects.exclude(pk=Team.objects.first().pk).delete()
        self.run()
        assert Team.objects.count() == 1

    def test_a_provider_that_is_away_does_not_stop_the_start(self, settings):
        settings.TOGETHER_API_KEY, settings.SIMULATED = "tgp_v1_key", False
        settings.TOGETHER_BASE_URL = "http://127.0.0.1:9"

        assert "could not be reached" in self.run()

        assert Connection.objects.get().health == Connection.Health.FAILING
