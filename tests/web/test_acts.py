"""Acts: a confirmation that names the cost, one act per form, refusals that do nothing, the receipt."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, User
from dashboard.lifecycle import actions
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Deployment
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
HTMX = {"HX-Request": "true", "HX-Target": "dialog#dialog"}


def new_key() -> str:
    return str(uuid.uuid4())


def read_key(html: str) -> str:
    return re.search(r'name="key" value="([0-9a-f-]{36})"', html)[1]


def test_the_confirmation_names_resource_and_cost_and_writes_nothing(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa", billable_low=2, billable_high=2)

    html = operator_client.get(f"/endpoints/{endpoint.pk}/stop/").content.decode()

    assert "Stop docs-qa?" in html
    assert "<b><span" in html
    assert "$10.80/h" in html
    assert "Last request: 11:13, 47 min ago." in html
    assert "Leave running" in html
    assert not StopAction.objects.exists()


def test_the_dialog_is_the_same_form_without_the_page(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")

    html = operator_client.get(f"/endpoints/{endpoint.pk}/stop/", headers=HTMX).content.decode()

    assert "<html" not in html
    assert html.strip().startswith('<form class="ui-dlg-body"')
    assert "hx-post" in html


def test_a_confirmation_on_a_page_of_its_own_is_sent_by_the_browser(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")

    html = operator_client.get(f"/endpoints/{endpoint.pk}/stop/").content.decode()

    form = html.split('<form class="ui-dlg-body"')[1].split("</form>")[0]
    assert "hx-post" not in form
    assert f'action="/endpoints/{endpoint.pk}/stop/"' in form


def test_confirming_creates_one_act_per_running_deployment(
    desk: Desk, operator_client: Client, operator: User
):
    endpoint = desk.idle("docs-qa")
    desk.deployment(endpoint)
    desk.deployment(endpoint, state="DEPLOYMENT_STATE_STOPPED", billable_low=0, billable_high=0)
    url = f"/endpoints/{endpoint.pk}/stop/"

    response = operator_client.post(url, {"key": read_key(operator_client.get(url).content.decode())})

    assert response.status_code == 302
    assert StopAction.objects.count() == 2
    assert set(StopAction.objects.values_list("kind", "requested_by", "state")) == {
        ("stop", operator.pk, "requested")
    }
    assert AuditEvent.objects.filter(action="endpoint.stop_requested", actor=operator).count() == 2


def test_the_same_form_sent_twice_is_one_act(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")
    form = {"key": new_key()}

    first = operator_client.post(f"/endpoints/{endpoint.pk}/stop/", form)
    second = operator_client.post(f"/endpoints/{endpoint.pk}/stop/", form)

    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert StopAction.objects.count() == 1


def test_htmx_is_told_to_close_and_to_wait_for_the_act(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")

    response = operator_client.post(f"/endpoints/{endpoint.pk}/stop/", {"key": new_key()}, headers=HTMX)

    html = response.content.decode()
    assert response.status_code == 200
    assert "desk:close-dialog" in response["HX-Trigger"]
    assert "Stop requested: docs-qa" in html
    assert f"?watch={StopAction.objects.get().pk}" in html


def test_a_form_without_key_does_nothing(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")

    for key in ("", "not-a-uuid"):
        response = operator_client.post(f"/endpoints/{endpoint.pk}/stop/", {"key": key})
        assert response.status_code == 409

    assert not StopAction.objects.exists()


def test_what_is_stopped_already_cannot_be_stopped(desk: Desk, operator_client: Client):
    endpoint = desk.stopped("voice")

    response = operator_client.post(f"/endpoints/{endpoint.pk}/stop/", {"key": new_key()})

    assert response.status_code == 409
    assert "Nothing of voice runs" in response.content.decode()
    assert not StopAction.objects.exists()


@pytest.mark.parametrize("act", ["stop", "start", "scale", "delete"])
def test_people_without_right_are_refused_and_nothing_happens(
    desk: Desk, act: str, viewer_client: Client, finance_client: Client
):
    endpoint = desk.idle("docs-qa")
    form = {
        "key": new_key(),
        "deployment": endpoint.deployments.get().pk,
        "min_replicas": 1,
        "max_replicas": 1,
    }

    for client in (viewer_client, finance_client):
        assert client.get(f"/endpoints/{endpoint.pk}/{act}/").status_code == 403
        assert client.post(f"/endpoints/{endpoint.pk}/{act}/", form).status_code == 403

    assert not StopAction.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="endpoint.").exists()


@pytest.mark.parametrize("act", ["stop", "start", "scale", "delete"])
def test_operators_act_only_within_their_teams(desk: Desk, act: str, operator_client: Client):
    lonely = factories.make_project(connection=desk.connection)
    deployment = factories.make_deployment(endpoint=factories.make_endpoint(project=lonely))
    url = f"/endpoints/{deployment.endpoint_id}/{act}/"

    assert operator_client.get(f"/endpoints/{deployment.endpoint_id}/").status_code == 200
    assert operator_client.post(url, {"key": new_key()}).status_code == 403
    assert not StopAction.objects.exists()


def test_one_deployment_can_be_chosen(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")
    canary = desk.deployment(endpoint, name="canary")
    url = f"/endpoints/{endpoint.pk}/stop/?deployment={canary.pk}"

    assert "Stop docs-qa, canary?" in operator_client.get(url).content.decode()
    operator_client.post(url, {"key": new_key()})

    assert StopAction.objects.get().deployment == canary


def test_a_deployment_of_another_endpoint_is_not_found(desk: Desk, operator_client: Client):
    endpoint, other = desk.idle("one"), desk.idle("two")
    foreign = other.deployments.get().pk

    for value in (foreign, "999999999", "x"):
        url = f"/endpoints/{endpoint.pk}/stop/?deployment={value}"
        assert operator_client.post(url, {"key": new_key()}).status_code == 404

    assert not StopAction.objects.exists()


def test_a_busy_endpoint_warns_what_would_fail(desk: Desk, operator_client: Client):
    endpoint = desk.endpoint("triage")
    desk.traffic(endpoint, per_minute=212)

    html = operator_client.get(f"/endpoints/{endpoint.pk}/stop/").content.decode()

    assert "It is in use." in html
    assert "212 req/min would fail" in html


def test_stopping_v1_says_that_it_is_for_good(desk: Desk, operator_client: Client):
    endpoint = factories.make_v1_endpoint(project=desk.project).endpoint

    html = operator_client.get(f"/endpoints/{endpoint.pk}/stop/").content.decode()

    assert "v1 cannot be started again." in html
    assert "$5.40–10.80/h" in html


def test_bulk_names_each_and_leaves_out_what_is_not_yours(desk: Desk, operator_client: Client):
    one, two = desk.idle("one"), desk.idle("two")
    foreign = factories.make_deployment().endpoint
    selection = {"endpoint": [one.pk, two.pk, foreign.pk]}

    html = operator_client.get("/endpoints/stop/", selection).content.decode()
    assert "Stop 2 endpoints?" in html
    assert "$10.80/h" in html
    assert "1 of the selected is left out" in html
    operator_client.post("/endpoints/stop/", selection | {"key": read_key(html)})

    assert set(StopAction.objects.values_list("endpoint_id", flat=True)) == {one.pk, two.pk}


def test_bulk_goes_on_past_one_that_stopped_meanwhile(desk: Desk, operator_client: Client):
    running, stopped = desk.idle("running"), desk.stopped("stopped")

    response = operator_client.post(
        "/endpoints/stop/", {"endpoint": [running.pk, stopped.pk], "key": new_key()}, headers=HTMX
    )

    assert "Nothing of stopped runs" in response.content.decode()
    assert StopAction.objects.get().endpoint == running


def test_what_is_stopped_is_not_offered_to_be_stopped(desk: Desk, operator_client: Client):
    running, stopped = desk.idle("running"), desk.stopped("voice")

    single = operator_client.get(f"/endpoints/{stopped.pk}/stop/").content.decode()
    bulk = operator_client.get("/endpoints/stop/", {"endpoint": [running.pk, stopped.pk]}).content.decode()

    assert "Nothing to stop" in single
    assert 'name="key"' not in single
    assert "Stop running?" in bulk
    assert "1 of the selected is left out: stopped already" in bulk
    assert "voice" not in bulk


def test_bulk_of_one_stops_that_one(desk: Desk, operator_client: Client):
    endpoint = desk.idle("only")

    html = operator_client.get("/endpoints/stop/", {"endpoint": [endpoint.pk]}).content.decode()
    (action,) = re.findall(r'<form class="ui-dlg-body" method="post" action="([^"]+)"', html)
    operator_client.post(action, dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html)))

    assert StopAction.objects.get().endpoint == endpoint


def test_bulk_of_nothing_does_nothing(desk: Desk, operator_client: Client):
    assert "Nothing to stop" in operator_client.get("/endpoints/stop/").content.decode()
    operator_client.post("/endpoints/stop/", {"endpoint": ["x", "-1", "9" * 30], "key": new_key()})
    assert not StopAction.objects.exists()


def test_a_start_proposes_the_bounds_from_before_our_stop(
    desk: Desk, operator_client: Client, operator: User
):
    endpoint = desk.idle("docs-qa")
    made = actions.request_stop_of_endpoint(endpoint, actor=Actor.for_person(operator), idempotency_key="k")[
        0
    ]
    StopAction.objects.filter(pk=made.action.pk).update(
        state="observed", finished_at=NOW, autoscaling_before={"minReplicas": 2, "maxReplicas": 5}
    )
    Deployment.objects.filter(endpoint=endpoint).update(
        state="DEPLOYMENT_STATE_STOPPED", min_replicas=0, max_replicas=0
    )

    html = operator_client.get(f"/endpoints/{endpoint.pk}/start/").content.decode()

    assert re.search(r'name="min_replicas" value="2"', html)
    assert re.search(r'name="max_replicas" value="5"', html)
    assert "$5.40/h" in html


def test_starting_asks_for_the_chosen_bounds(desk: Desk, operator_client: Client):
    endpoint = desk.stopped("voice")
    deployment = endpoint.deployments.get()

    operator_client.post(
        f"/endpoints/{endpoint.pk}/start/",
        {"key": new_key(), "deployment": deployment.pk, "min_replicas": 1, "max_replicas": 3},
    )

    action = StopAction.objects.get()
    assert (action.kind, action.min_replicas, action.max_replicas) == ("start", 1, 3)


@pytest.mark.parametrize(
    ("low", "high", "complaint"),
    [
        ("3", "2", "the upper bound lies below"),
        ("0", "2", "greater than or equal to 1"),
        ("1", "101", "less than or equal to 100"),
        ("", "2", "This field is required"),
        ("many", "2", "Enter a whole number"),
    ],
)
def test_bounds_that_make_no_sense_are_marked_in_the_form(
    desk: Desk, operator_client: Client, low: str, high: str, complaint: str
):
    endpoint = desk.endpoint("triage")
    form = {
        "key": new_key(),
        "deployment": endpoint.deployments.get().pk,
        "min_replicas": low,
        "max_replicas": high,
    }

    response = operator_client.post(f"/endpoints/{endpoint.pk}/scale/", form)

    assert response.status_code == 422
    assert complaint in response.content.decode()
    assert 'aria-invalid="true"' in response.content.decode()
    assert not StopAction.objects.exists()


def test_scaling_to_what_it_has_already_is_an_error_of_the_field(desk: Desk, operator_client: Client):
    endpoint = desk.endpoint("triage")
    form = {
        "key": new_key(),
        "deployment": endpoint.deployments.get().pk,
        "min_replicas": 1,
        "max_replicas": 2,
    }

    response = operator_client.post(f"/endpoints/{endpoint.pk}/scale/", form)

    assert response.status_code == 422
    assert "has these bounds already" in response.content.decode()


def test_a_stopped_endpoint_cannot_be_scaled_and_says_so(desk: Desk, operator_client: Client):
    response = operator_client.get(f"/endpoints/{desk.stopped('voice').pk}/scale/")

    assert "Nothing to scale" in response.content.decode()


def test_deleting_what_runs_lists_every_step_and_is_one_act_in_order(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")
    url = f"/endpoints/{endpoint.pk}/delete/"

    html = operator_client.get(url).content.decode()
    operator_client.post(url, {"key": read_key(html), "in_order": "1"})

    action = StopAction.objects.get()
    assert "and wait until it is read back as stopped" in html
    assert "out of the traffic split" in html
    assert "Stop and delete, saves" in html
    assert (action.kind, action.arguments) == ("delete", {"in_order": True})


def test_a_form_that_did_not_say_so_never_stops_what_runs_meanwhile(desk: Desk, operator_client: Client):
    endpoint = desk.idle("docs-qa")

    response = operator_client.post(f"/endpoints/{endpoint.pk}/delete/", {"key": new_key()})

    assert response.status_code == 409
    assert "must be stopped first" in response.content.decode()
    assert not StopAction.objects.exists()


def test_a_v1_start_is_explained_and_leads_to_v2_with_everything_filled_in(
    desk: Desk, operator_client: Client
):
    deployment = factories.make_v1_endpoint(
        project=desk.project, state="STOPPED", billable_low=0, billable_high=0, min_replicas=1, max_replicas=2
    )
    url = f"/endpoints/{deployment.endpoint_id}/start/"

    html = operator_client.get(url).content.decode()
    response = operator_client.post(url, {"key": new_key()})

    assert "v1 endpoints cannot be started again" in html
    assert "hardware=1x_nvidia_h100_80gb_sxm" in html
    assert "low=1&amp;high=2" in html
    assert response.status_code == 409
    assert not StopAction.objects.exists()


def test_deleting_what_is_stopped_asks_for_it(desk: Desk, operator_client: Client):
    endpoint = desk.stopped("voice")
    url = f"/endpoints/{endpoint.pk}/delete/"

    operator_client.post(url, {"key": read_key(operator_client.get(url).content.decode())})

    assert StopAction.objects.get().kind == "delete"


@pytest.fixture
def act(desk: Desk, operator: User) -> StopAction:
    made = actions.request_stop_of_endpoint(
        desk.idle("docs-qa"), actor=Actor.for_person(operator), idempotency_key="k"
    )
    return made[0].action


def test_the_receipt_shows_every_step(act: StopAction, viewer_client: Client):
    html = viewer_client.get(f"/actions/{act.public_id}/").content.decode()

    assert act.number in html
    assert "By Oda Operator" in html
    assert "Done only when the provider" in html


def test_receipts_of_other_teams_are_not_found(act: StopAction, other_operator_client: Client):
    assert other_operator_client.get(f"/actions/{act.public_id}/").status_code == 404
    assert other_operator_client.post(f"/actions/{act.public_id}/cancel/").status_code == 404
    assert StopAction.objects.get().state == "requested"


def test_viewers_see_the_receipt_but_cannot_change_it(act: StopAction, viewer_client: Client):
    assert "Take back" not in viewer_client.get(f"/actions/{act.public_id}/").content.decode()
    assert viewer_client.post(f"/actions/{act.public_id}/cancel/").status_code == 403
    assert viewer_client.post(f"/actions/{act.public_id}/again/").status_code == 403
    assert StopAction.objects.get().state == "requested"


def test_an_act_can_be_taken_back_before_it_is_sent(act: StopAction, operator_client: Client):
    operator_client.post(f"/actions/{act.public_id}/cancel/")

    assert StopAction.objects.get().state == "cancelled"


def test_a_stop_that_ended_as_failed_can_be_closed_from_its_receipt(act: StopAction, operator_client: Client):
    sent = {"state": "sent", "sent_at": NOW}
    StopAction.objects.update(**sent, seen_state="DEPLOYMENT_STATE_READY")
    assert "/cancel/" not in operator_client.get(f"/actions/{act.public_id}/").content.decode()

    StopAction.objects.update(**sent, seen_state="DEPLOYMENT_STATE_FAILED")
    assert "Close it: looked at" in operator_client.get(f"/actions/{act.public_id}/").content.decode()
    operator_client.post(f"/actions/{act.public_id}/cancel/")

    assert StopAction.objects.get().state == "cancelled"


def test_too_late_to_take_back_is_said_and_changes_nothing(act: StopAction, operator_client: Client):
    StopAction.objects.update(state="sent", sent_at=NOW)

    response = operator_client.post(f"/actions/{act.public_id}/cancel/", headers=HTMX)

    assert "Nothing was changed" in response.content.decode()
    assert StopAction.objects.get().state == "sent"


def test_sending_again_brings_the_next_attempt_forward(act: StopAction, operator_client: Client):
    StopAction.objects.update(
        state="sent", last_sent_at=NOW, next_try_at=NOW + timedelta(days=400), failures=3
    )

    operator_client.post(f"/actions/{act.public_id}/again/")

    again = StopAction.objects.get()
    assert (again.failures, again.last_sent_at) == (0, None)
    assert again.next_try_at < NOW + timedelta(days=300)
