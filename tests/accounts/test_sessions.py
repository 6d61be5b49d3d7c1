"""How long a sign-in lasts, what ends it, and when the password is asked again."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from dashboard.accounts import people, sessions
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, User
from dashboard.accounts.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db

HOME = "/settings/you/"
START = factories.NOW


def sign_in(user: User, *, password: str = factories.PASSWORD) -> Client:
    client = Client()
    client.post("/sign-in/", {"login": user.email, "password": password, "next": HOME})
    return client


def is_signed_in(client: Client, **headers: str) -> bool:
    return client.get(HOME, headers=headers or None).status_code == 200


@pytest.mark.parametrize(
    ("minutes_between_requests", "requests", "is_alive"),
    [(59, 1, True), (60, 1, False), (50, 14, True), (50, 15, False), (0, 1, True)],
)
def test_a_session_ends_when_idle_or_old(viewer: User, minutes_between_requests, requests, is_alive):
    with time_machine.travel(START, tick=False) as clock:
        client = sign_in(viewer)

        for _ in range(requests):
            clock.shift(timedelta(minutes=minutes_between_requests))
            answer = is_signed_in(client)

        assert answer is is_alive


def test_what_a_page_asks_by_itself_does_not_keep_a_session_alive(viewer: User):
    with time_machine.travel(START, tick=False) as clock:
        client = sign_in(viewer)
        for _ in range(3):
            clock.shift(timedelta(minutes=25))
            answer = is_signed_in(client, **{"X-Background": "1"})

        assert answer is False


def test_the_last_use_is_not_written_at_every_request(viewer: User, django_assert_max_num_queries):
    client = sign_in(viewer)
    client.get(HOME)
    before = client.session[sessions.ACTIVE_AT]

    client.get(HOME)

    assert client.session[sessions.ACTIVE_AT] == before


def test_deactivating_a_person_ends_the_sessions_at_once(viewer: User, admin: User):
    client = sign_in(viewer)

    people.deactivate_user(viewer, actor=Actor.for_person(admin))

    assert not is_signed_in(client)
    people.activate_user(viewer, actor=Actor.for_person(admin))
    assert not is_signed_in(client)


def test_a_stream_notices_that_its_session_ended(viewer: User, admin: User):
    client = sign_in(viewer)
    key = client.session.session_key
    assert sessions.find_user(key, now=timezone.now()) == viewer

    people.deactivate_user(viewer, actor=Actor.for_person(admin))

    assert sessions.find_user(key, now=timezone.now()) is None


def test_a_stream_notices_age_and_a_changed_password(viewer: User):
    with time_machine.travel(START, tick=False):
        key = sign_in(viewer).session.session_key

        assert sessions.find_user(key, now=START + sessions.ABSOLUTE_LIMIT) is None
        viewer.set_password("something else entirely")
        viewer.save(update_fields=["password"])
        assert sessions.find_user(key, now=START) is None
        assert sessions.find_user("no-such-session", now=START) is None


def test_changing_the_password_keeps_this_session_and_ends_the_others(viewer: User):
    here, there = sign_in(viewer), sign_in(viewer)
    new = "a brand new long password"

    here.post("/account/password/", {"oldpassword": factories.PASSWORD, "password1": new, "password2": new})

    assert is_signed_in(here)
    assert not is_signed_in(there)


def test_signing_out_the_others_keeps_this_session(viewer: User):
    here, there = sign_in(viewer), sign_in(viewer)

    here.post("/settings/you/sessions/end/")

    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert AuditEvent.objects.get(action="session.others_ended").detail == {"ended": 1}


def test_sessions_are_listed_with_where_they_come_from(viewer: User):
    here = sign_in(viewer)
    sign_in(viewer)

    page = here.get(HOME).content.decode()

    assert page.count("another session") == 1
    assert page.count("this session") == 1
    assert "127.0.0.1" in page


def test_old_sign_ins_type_the_password_again_before_changing_people(admin: User):
    with time_machine.travel(START, tick=False) as clock:
        client = sign_in(admin)
        assert client.get("/settings/users/invite/").status_code == 200
        clock.shift(sessions.CONFIRMATION_LIMIT)

        asked = client.get("/settings/users/invite/")
        assert asked["Location"] == "/account/confirm/?next=%2Fsettings%2Fusers%2Finvite%2F"
        refused = client.post(asked["Location"], {"password": "wrong wrong wrong"})
        assert refused.status_code == 200
        assert client.get("/settings/users/invite/").status_code == 302
        client.post(asked["Location"], {"password": factories.PASSWORD})
        assert client.get("/settings/users/invite/").status_code == 200


def test_a_form_sent_too_late_is_neither_done_nor_kept(admin: User):
    with time_machine.travel(START, tick=False) as clock:
        client = sign_in(admin)
        clock.shift(sessions.CONFIRMATION_LIMIT)

        response = client.post("/settings/connections/add/", {"name": "X", "api_key": "tgp_v1_canary"})

    assert response["Location"].startswith("/account/confirm/")
    assert "canary" not in str(dict(client.session))
    assert not AuditEvent.objects.filter(action="connection.created").exists()


def test_htmx_is_sent_to_the_sign_in_page_with_the_whole_window():
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/settings/you/?page=2"}

    response = Client().get(HOME, headers=headers)

    assert response.status_code == 204
    assert response["HX-Redirect"] == "/sign-in/?next=%2Fsettings%2Fyou%2F%3Fpage%3D2"


@pytest.mark.parametrize("page", ["https://evil.example/x", "//evil.example", ""])
def test_htmx_is_never_sent_to_an_address_of_another_site(page: str):
    response = Client().get(HOME, headers={"HX-Request": "true", "HX-Current-URL": page})

    assert "evil" not in response["HX-Redirect"]


def test_a_new_role_holds_from_the_next_request(operator: User, admin: User):
    client = sign_in(operator)
    assert client.get("/settings/users/").status_code == 403

    people.change_user(operator, name="Oda", role=Role.ADMIN, teams=[], actor=Actor.for_person(admin))

    assert client.get("/settings/users/").status_code == 200
