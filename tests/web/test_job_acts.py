"""Cancel a job: the charge is said first, rights are checked, one wish is written, rows say what is under way."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Resource, ResourceKind
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


@pytest.fixture
def job(desk: Desk) -> Resource:
    return desk.resource(
        ResourceKind.FINE_TUNE, "support-tuned", total_nano_usd=6_710_000_000,
        payload={"steps_completed": 120, "total_steps": 300},
    )  # fmt: skip


def url(job: Resource) -> str:
    return f"/jobs/{job.kind}/{job.pk}/cancel/"


def key() -> dict[str, str]:
    return {"key": str(uuid.uuid4())}


def test_the_confirmation_says_what_will_be_charged(job: Resource, operator_client: Client):
    html = operator_client.get(url(job)).content.decode()

    assert "Cancel support-tuned?" in html
    assert "The tokens of the steps that are done when it ends are charged, at least $4.00." in html
    assert "120 of 300 steps are done so far." in html
    assert "Let it run" in html
    assert not StopAction.objects.exists()


def test_a_cancel_is_written_once_and_leads_to_its_receipt(job: Resource, operator_client: Client):
    form = key()

    response = operator_client.post(url(job), form)
    again = operator_client.post(url(job), form)

    action = StopAction.objects.get()
    assert (action.kind, action.resource_id, action.state) == ("cancel", job.pk, "requested")
    assert response["Location"] == again["Location"] == f"/actions/{action.public_id}/"
    page = operator_client.get(response["Location"]).content.decode()
    assert f'href="/jobs/fine-tune/{job.pk}/"' in page
    assert "support-tuned" in page


def test_with_htmx_the_dialog_closes_and_the_page_waits(job: Resource, operator_client: Client):
    response = operator_client.post(
        url(job), key(), headers={"HX-Request": "true", "HX-Target": "dialog#dialog"}
    )

    html = response.content.decode()
    assert "Cancel requested: support-tuned" in html
    assert "groups=fine_tunes" in html
    assert response["HX-Reswap"] == "none"


@pytest.mark.parametrize(
    ("kind", "state", "why"),
    [
        (ResourceKind.FINE_TUNE, "completed", "is completed"),
        (ResourceKind.BATCH, "CANCELLED", "is cancelled"),
        (ResourceKind.EVALUATION, "running", "no call that cancels an evaluation"),
        (ResourceKind.UPLOAD, "REMOTE_UPLOAD_STATUS_RUNNING", "no call that cancels an upload"),
    ],
)
def test_what_cannot_be_cancelled_is_explained_and_nothing_is_written(
    desk: Desk, operator_client: Client, kind: ResourceKind, state: str, why: str
):
    job = desk.resource(kind, state=state)

    shown = operator_client.get(url(job))
    posted = operator_client.post(url(job), key())

    assert why in shown.content.decode()
    assert posted.status_code == 409
    assert not StopAction.objects.exists()


def test_a_form_without_its_key_does_nothing(job: Resource, operator_client: Client):
    response = operator_client.post(url(job), {})

    assert response.status_code == 409
    assert "Nothing was sent." in response.content.decode()
    assert not StopAction.objects.exists()


def test_viewers_and_finance_may_not(job: Resource, viewer_client: Client, finance_client: Client):
    for client in (viewer_client, finance_client):
        assert client.post(url(job), key()).status_code == 403
    assert not StopAction.objects.exists()


def test_operators_of_another_team_find_nothing(job: Resource, other_operator_client: Client):
    assert other_operator_client.post(url(job), key()).status_code == 404
    assert not StopAction.objects.exists()


def test_what_nobody_owns_is_for_admins(desk: Desk, operator_client: Client, admin_client: Client):
    lonely = factories.make_resource(project=factories.make_project(connection=desk.connection))

    assert operator_client.post(url(lonely), key()).status_code == 403
    assert not StopAction.objects.exists()
    assert admin_client.post(url(lonely), key()).status_code == 302


def test_only_people_who_may_act_see_the_button(
    job: Resource, viewer_client: Client, operator_client: Client
):
    page = f"/jobs/fine-tune/{job.pk}/"

    assert url(job) not in viewer_client.get(page).content.decode()
    assert url(job) in operator_client.get(page).content.decode()


def test_a_cancel_under_way_shows_on_the_row_and_the_page(job: Resource, operator_client: Client):
    operator_client.post(url(job), key())
    StopAction.objects.update(state="sent", sent_at=NOW - timedelta(seconds=12))

    page = operator_client.get(f"/jobs/fine-tune/{job.pk}/").content.decode()
    listed = operator_client.get("/jobs/").content.decode()

    for html in (page, listed):
        assert "Cancelling" in html
        assert "12 s" in html
    assert url(job) not in page
    assert "waiting for its end" in page


def test_an_ended_act_leaves_its_receipt_on_the_page(job: Resource, operator_client: Client):
    operator_client.post(url(job), key())
    StopAction.objects.update(
        state="observed", sent_at=NOW, finished_at=NOW + timedelta(seconds=9), outcome="It was cancelled."
    )

    html = operator_client.get(f"/jobs/fine-tune/{job.pk}/").content.decode()

    assert "Last receipt" in html
    assert StopAction.objects.get().number in html


def test_the_feed_of_a_job_tells_who_cancelled_it(job: Resource, operator_client: Client):
    operator_client.post(url(job), key())

    # The trail is dated by PostgreSQL, whose clock is not frozen.
    html = operator_client.get(f"/resources/{job.pk}/events/?before=2100-01-01T00:00:00Z").content.decode()

    assert "Cancel requested by Oda Operator" in html
    assert StopAction.objects.get().number in html
