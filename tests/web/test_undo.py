"""Taking a deploy back after it was sent: what is said first, who may, and what is asked for."""

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.lifecycle.models import StopAction
from tests import factories
from tests.conftest import sign_in
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


@pytest.fixture
def deploy(desk: Desk) -> StopAction:
    endpoint = desk.endpoint("new-bot", state="DEPLOYMENT_STATE_PROVISIONING", status="starting")
    return factories.make_deploy_act(endpoint=endpoint, user=factories.make_operator(teams=(desk.team,)))


def undo(deploy: StopAction) -> str:
    return reverse("action_undo", args=[deploy.public_id])


def test_the_page_of_a_deploy_under_way_leads_to_its_undoing(deploy: StopAction, admin_client: Client):
    page = admin_client.get(reverse("action", args=[deploy.public_id])).content.decode()

    assert undo(deploy) in page


def test_it_says_what_happens_before_anything_is_asked_for(deploy: StopAction, admin_client: Client):
    page = admin_client.get(undo(deploy)).content.decode()

    assert "Delete what this deploy made?" in page
    assert "new-bot" in page
    assert not StopAction.objects.filter(kind="delete").exists()


def test_it_ends_the_deploy_and_asks_for_the_deletion_in_order_once(deploy: StopAction, admin_client: Client):
    for _ in range(2):
        answer = admin_client.post(undo(deploy), {"key": "b6b9d1f0-0000-4000-8000-000000000001"})
        assert answer.status_code == 302

    deploy.refresh_from_db()
    assert deploy.state == StopAction.State.SUPERSEDED
    made = StopAction.objects.get(kind="delete")
    assert made.endpoint == deploy.endpoint
    assert answer["Location"] == reverse("action", args=[made.public_id])


def test_a_form_without_its_key_asks_for_nothing(deploy: StopAction, admin_client: Client):
    admin_client.post(undo(deploy))

    deploy.refresh_from_db()
    assert deploy.is_open
    assert not StopAction.objects.filter(kind="delete").exists()


def test_what_has_made_nothing_yet_is_refused_with_words(deploy: StopAction, admin_client: Client):
    StopAction.objects.filter(pk=deploy.pk).update(endpoint=None)

    answer = admin_client.post(undo(deploy), {"key": "b6b9d1f0-0000-4000-8000-000000000002"})

    assert answer.status_code == 409
    assert "wait for its next step" in answer.content.decode()


@pytest.mark.parametrize("make", [factories.make_operator, factories.make_viewer])
def test_people_of_other_teams_do_not_find_it(deploy: StopAction, make):
    client = sign_in(make(teams=(factories.make_team("Legal"),)))

    assert client.post(undo(deploy), {"key": "b6b9d1f0-0000-4000-8000-000000000003"}).status_code in (
        403,
        404,
    )
    deploy.refresh_from_db()
    assert deploy.is_open


def test_another_kind_of_act_has_nothing_to_undo(desk: Desk, admin_client: Client):
    assert admin_client.get("/actions/b6b9d1f0-0000-4000-8000-000000000004/undo/").status_code == 404
