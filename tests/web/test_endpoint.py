"""One endpoint: its facts, its evidence, its days, what happened, and who may look."""

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import User
from dashboard.lifecycle import actions
from dashboard.mirror.models import EndpointEvent, StateChange
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


def read(client: Client, endpoint, path: str = "", **headers: str) -> str:
    response = client.get(f"/endpoints/{endpoint.pk}/{path}", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_anonymous_people_are_sent_to_sign_in(desk: Desk):
    assert Client().get(f"/endpoints/{desk.idle('a').pk}/")["Location"].startswith("/sign-in/")


def test_missing_and_foreign_endpoints_look_the_same(desk: Desk, other_operator_client: Client):
    endpoint = desk.idle("secret")

    assert other_operator_client.get("/endpoints/999999999/").status_code == 404
    for path in ("", "events/", "raw/", "stop/", "start/", "scale/", "delete/"):
        assert other_operator_client.get(f"/endpoints/{endpoint.pk}/{path}").status_code == 404, path


def test_the_price_stands_per_hour_minute_and_month(desk: Desk, viewer_client: Client):
    html = read(viewer_client, desk.endpoint("triage", billable_low=2, billable_high=2))

    assert "$10.80<small>/h" in html
    assert "$0.18 per minute" in html
    assert "$7,884<small>/month" in html


def test_v1_shows_a_range_and_says_why(desk: Desk, viewer_client: Client):
    html = read(viewer_client, factories.make_v1_endpoint(project=desk.project).endpoint)

    assert "$5.40–10.80" in html
    assert "do not tell how many replicas run" in html
    assert "after 60 min" in html
    assert "No traffic signal" in html


def test_the_evidence_sentence_is_printed_in_full(desk: Desk, viewer_client: Client):
    html = read(viewer_client, desk.idle("sleeper"))

    assert "idle 47 min: last request 11:13" in html
    assert 'title="' in html
    assert ">Idle</span>" in html


def test_traffic_is_drawn_and_told_in_numbers(desk: Desk, viewer_client: Client):
    endpoint = desk.endpoint("busy")
    desk.traffic(endpoint, per_minute=10, minutes=120)

    html = read(viewer_client, endpoint)

    assert 'data-chart="traffic-data"' in html
    assert '<dd class="ui-num">1,200</dd>' in html
    assert "not read" in html  # the 22 h before were never read, which is not zero


def test_lanes_show_the_states_of_eight_days(desk: Desk, viewer_client: Client):
    endpoint = desk.endpoint("daily", state_since=NOW - timedelta(hours=2))
    StateChange.objects.create(
        deployment=endpoint.deployments.get(),
        at=NOW - timedelta(hours=26),
        state="DEPLOYMENT_STATE_STOPPED",
        ready_replicas=0,
        source="event",
        event_id="evt-stop",
    )

    html = read(viewer_client, endpoint)

    assert 'aria-label="Today: 2 h 00 min"' in html
    assert 'aria-label="Thu 19: stopped"' in html
    assert 'aria-label="Wed 18: no record"' in html


def test_an_act_under_way_is_shown_until_it_is_observed(desk: Desk, viewer_client: Client, operator: User):
    endpoint = desk.idle("sleeper")
    actions.request_stop_of_endpoint(endpoint, actor=Actor.for_person(operator), idempotency_key="k")

    html = read(viewer_client, endpoint)

    assert "requested, being sent" in html
    assert ">Idle</span>" in html  # not Stopping: nothing was sent yet
    assert "R-0" in html


def test_a_sent_stop_reads_stopping_and_says_what_it_waits_for(
    desk: Desk, viewer_client: Client, operator: User
):
    endpoint = desk.idle("sleeper")
    made = actions.request_stop_of_endpoint(endpoint, actor=Actor.for_person(operator), idempotency_key="k")[
        0
    ]
    type(made.action).objects.update(state="sent", sent_at=NOW - timedelta(seconds=12))

    html = read(viewer_client, endpoint)

    assert ">Stopping</span>" in html
    assert "sent 11:59:48 UTC, waiting for STOPPED" in html
    assert ">12 s</time>" in html
    assert "still <span" in html


@pytest.mark.parametrize("kind", ["stop", "start", "scale", "delete", "configure", "split", "deploy"])
def test_every_kind_of_act_under_way_is_shown(desk: Desk, viewer_client: Client, operator: User, kind: str):
    endpoint = desk.endpoint("docs-qa")
    made = actions.request_stop_of_endpoint(endpoint, actor=Actor.for_person(operator), idempotency_key="k")[
        0
    ]
    type(made.action).objects.update(kind=kind, state="sent", sent_at=NOW - timedelta(seconds=12))

    html = read(viewer_client, endpoint)

    assert made.action.number in html
    assert "waiting for" in html
    assert "the provider's state" not in html


def test_only_people_who_may_act_see_buttons(desk: Desk, viewer_client: Client, operator_client: Client):
    endpoint = desk.idle("sleeper")

    assert f"/endpoints/{endpoint.pk}/stop/" not in read(viewer_client, endpoint)
    assert f"/endpoints/{endpoint.pk}/stop/" in read(operator_client, endpoint)
    assert "Raw payload" not in read(viewer_client, endpoint)


def test_the_raw_payload_is_for_operators(desk: Desk, viewer_client: Client, operator_client: Client):
    endpoint = desk.endpoint("raw")

    assert viewer_client.get(f"/endpoints/{endpoint.pk}/raw/").status_code == 403
    assert endpoint.remote_id in read(operator_client, endpoint, "raw/")


def test_a_vanished_endpoint_keeps_its_page_and_offers_nothing(desk: Desk, operator_client: Client):
    endpoint = desk.endpoint("gone", absent_since=NOW - timedelta(hours=3))

    html = read(operator_client, endpoint)

    assert "The provider no longer lists it" in html
    assert ">Gone</span>" in html
    assert "/stop/" not in html


def test_events_are_paged_without_loss(desk: Desk, viewer_client: Client):
    endpoint = desk.endpoint("chatty")
    EndpointEvent.objects.bulk_create(
        EndpointEvent(
            endpoint=endpoint,
            remote_id=f"evt{n}",
            at=NOW - timedelta(minutes=n + 1),
            type="deployment.scaled",
            message=f"Scaled number {n:02}.",
            payload={},
        )
        for n in range(60)
    )

    first = read(viewer_client, endpoint, "events/")
    older = first[first.index("?before=") :].split('"')[0]
    second = read(viewer_client, endpoint, f"events/{older.replace('&amp;', '&')}")

    told = (
        [n for n in range(60) if f"number {n:02}." in first],
        [n for n in range(60) if f"number {n:02}." in second],
    )
    assert told[0] + told[1] == list(range(60))
    assert 'rel="next"' not in second


def test_a_nonsense_page_of_events_is_the_newest(desk: Desk, viewer_client: Client):
    for before in ("yesterday", "2026-13-45T00:00:00Z", "9" * 40):
        read(viewer_client, desk.endpoint(f"e{len(before)}"), f"events/?before={before}")


def test_debug_events_are_left_out(desk: Desk, viewer_client: Client):
    endpoint = desk.endpoint("noisy")
    EndpointEvent.objects.create(
        endpoint=endpoint,
        remote_id="e",
        at=NOW,
        type="pod.log",
        level="LEVEL_DEBUG",
        message="heartbeat of a pod",
        payload={},
    )

    assert "pod beats" not in read(viewer_client, endpoint, "events/")


def test_the_last_confirmed_stop_is_linked(desk: Desk, viewer_client: Client, operator: User):
    endpoint = desk.idle("sleeper")
    made = actions.request_stop_of_endpoint(endpoint, actor=Actor.for_person(operator), idempotency_key="k")[
        0
    ]
    type(made.action).objects.update(state="observed", sent_at=NOW, finished_at=NOW)

    html = read(viewer_client, endpoint)

    assert "Last stop receipt" in html
    assert f"/actions/{made.action.public_id}/" in html


def test_htmx_gets_the_fragment_alone(desk: Desk, viewer_client: Client):
    html = read(viewer_client, desk.endpoint("a"), **{"HX-Request": "true"})

    assert "<html" not in html
    assert html.strip().startswith('<div class="ui-stack" id="endpoint"')


def test_what_vanished_is_called_gone_in_its_events(desk: Desk, viewer_client: Client):
    deployment = factories.make_v1_endpoint(project=desk.project)
    StateChange.objects.create(deployment=deployment, at=NOW, source="poll", state="ABSENT", ready_replicas=0)

    assert "Gone (ABSENT), seen by polling" in read(viewer_client, deployment.endpoint)
