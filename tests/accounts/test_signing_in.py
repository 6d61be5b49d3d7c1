"""Signing in and out: passwords, lockout, closed sign-up, redirects, and what is remembered of it."""

import logging

import pytest
from django.core import mail
from django.test import Client
from django.urls import NoReverseMatch, reverse

from dashboard.accounts.models import AuditEvent, User
from tests import factories

pytestmark = pytest.mark.django_db

LOGIN = "/sign-in/"
HOME = "/settings/you/"
HOSTILE_ADDRESSES = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "http:evil.example",
    "javascript:alert(1)",
    "https://testserver.evil.example/",
    " //evil.example/",
]


def try_password(client: Client, email: str, password: str, **headers: str):
    return client.post(LOGIN, {"login": email, "password": password, "next": HOME}, headers=headers or None)


def is_signed_in(client: Client) -> bool:
    return client.get(HOME).status_code == 200


def test_the_right_password_signs_in_and_is_recorded(client: Client, viewer: User):
    response = try_password(client, viewer.email, factories.PASSWORD)

    assert (response.status_code, response["Location"]) == (302, HOME)
    assert is_signed_in(client)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.ip) == ("session.started", viewer, "127.0.0.1")


def test_the_address_is_compared_without_case(client: Client, viewer: User):
    try_password(client, viewer.email.upper(), factories.PASSWORD)

    assert is_signed_in(client)


def test_a_wrong_password_is_refused_and_recorded_against_the_account(client: Client, viewer: User):
    response = try_password(client, viewer.email, "wrong wrong wrong")

    assert response.status_code == 200
    assert not is_signed_in(client)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.target_id) == ("session.refused", None, str(viewer.pk))


def test_an_unknown_address_goes_to_the_log_without_itself(client: Client, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        try_password(client, "my-password-by-mistake@example.com", "x")

    assert "sign-in refused" in caplog.text
    assert "mistake" not in caplog.text
    assert not AuditEvent.objects.exists()


def test_known_and_unknown_addresses_are_refused_in_the_same_words(viewer: User):
    known = try_password(Client(), viewer.email, "wrong wrong wrong").content.decode()
    unknown = try_password(Client(), "nobody@example.com", "wrong wrong wrong").content.decode()

    message = "The email address and/or password you specified are not correct."
    assert message in known
    assert message in unknown


def test_five_wrong_passwords_lock_the_account_and_nobody_else(viewer: User, admin: User):
    for _ in range(5):
        try_password(Client(), viewer.email, "wrong wrong wrong")
    victim, other = Client(), Client()

    response = try_password(victim, viewer.email, factories.PASSWORD)
    try_password(other, admin.email, factories.PASSWORD)

    assert "Too many failed login attempts" in response.content.decode()
    assert not is_signed_in(victim)
    assert is_signed_in(other)


def test_pretending_to_come_from_elsewhere_does_not_unlock(viewer: User):
    for number in range(12):
        try_password(Client(), f"guess{number}@example.com", "x", **{"x-forwarded-for": f"10.0.0.{number}"})
    client = Client()

    try_password(client, viewer.email, factories.PASSWORD, **{"x-forwarded-for": "10.9.9.9"})

    assert not is_signed_in(client)


def test_behind_a_proxy_one_client_does_not_lock_out_the_others(viewer: User, settings):
    settings.TRUSTED_PROXY_COUNT = settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(12):
        try_password(Client(), f"guess{number}@example.com", "x", **{"x-forwarded-for": "10.0.0.1"})
    client = Client()

    try_password(client, viewer.email, factories.PASSWORD, **{"x-forwarded-for": "6.6.6.6, 10.0.0.2"})

    assert is_signed_in(client)
    assert AuditEvent.objects.get(action="session.started").ip == "10.0.0.2"


def test_a_deactivated_account_does_not_open(client: Client, viewer: User):
    User.objects.filter(pk=viewer.pk).update(is_active=False)

    try_password(client, viewer.email, factories.PASSWORD)

    assert not is_signed_in(client)
    assert not AuditEvent.objects.filter(action="session.started").exists()


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_signing_in_never_leads_to_another_site(client: Client, viewer: User, address: str):
    client.get(LOGIN, {"next": address})

    try:
        response = client.post(
            LOGIN, {"login": viewer.email, "password": factories.PASSWORD, "next": address}
        )
    except NoReverseMatch:
        pytest.fail("the front page (overview) is missing")

    assert response.status_code == 302
    assert "evil" not in response["Location"]
    assert not response["Location"].startswith(("javascript:", "http"))


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_confirming_never_leads_to_another_site(admin_client: Client, address: str):
    form = {"password": factories.PASSWORD, "next": address}

    response = admin_client.post(reverse("account_reauthenticate"), form)

    assert response.status_code == 302
    assert "evil" not in response["Location"]


def test_nobody_can_sign_up(client: Client):
    assert client.get("/signup/").status_code == 404
    with pytest.raises(NoReverseMatch):
        reverse("account_signup")


def test_there_is_no_account_before_the_first_one_is_made():
    assert not User.objects.exists()


def test_signing_out_is_recorded_and_takes_a_post(viewer_client: Client, viewer: User):
    viewer_client.get("/sign-out/")
    assert is_signed_in(viewer_client)

    viewer_client.post("/sign-out/", {"next": LOGIN})

    assert not is_signed_in(viewer_client)
    assert AuditEvent.objects.get(action="session.ended").actor == viewer


def test_a_forgotten_password_is_replaced_by_mail_and_ends_every_session(viewer: User):
    signed_in, forgetful = Client(), Client()
    try_password(signed_in, viewer.email, factories.PASSWORD)

    forgetful.post(reverse("account_reset_password"), {"email": viewer.email})
    link = next(word for word in mail.outbox[0].body.split() if "/password/reset/key/" in word)
    form_url = forgetful.get(link)["Location"]
    new = "a brand new long password"
    forgetful.post(form_url, {"password1": new, "password2": new})

    assert not is_signed_in(signed_in)
    assert AuditEvent.objects.get(action="person.password_set").actor == viewer
    try_password(forgetful, viewer.email, new)
    assert is_signed_in(forgetful)


def test_a_stranger_who_forgot_gets_the_same_page_and_no_mail(client: Client, viewer: User):
    known = client.post(reverse("account_reset_password"), {"email": viewer.email})
    sent = len(mail.outbox)
    unknown = client.post(reverse("account_reset_password"), {"email": "stranger@example.com"})

    assert known["Location"] == unknown["Location"]
    assert (sent, len(mail.outbox)) == (1, 1)


@pytest.mark.parametrize("password", ["short", "password1234", "verenaviewer1"])
def test_weak_passwords_are_refused(password: str):
    user = factories.make_viewer(email="verenaviewer@example.com")
    client = Client()
    try_password(client, user.email, factories.PASSWORD)
    form = {"oldpassword": factories.PASSWORD, "password1": password, "password2": password}

    client.post(reverse("account_change_password"), form)

    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)
