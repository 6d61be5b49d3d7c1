"""One-time links: once, for a while, for one person, and not by looking at them."""

import io
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connections as databases
from django.test import Client
from django.utils import timezone

from dashboard.accounts import links
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, SignInLink, User
from dashboard.accounts.roles import Role
from tests import factories

ACTOR = Actor.for_process("tests")
HOME = "/settings/you/"


def make_path(user: User, *, minutes: int = 30) -> str:
    return links.create_link(user, lifetime=timedelta(minutes=minutes), now=timezone.now(), actor=ACTOR)


def print_link(*arguments: str) -> str:
    out = io.StringIO()
    call_command("signin_link", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.mark.django_db
def test_a_link_signs_in_once(viewer: User):
    path = make_path(viewer)
    first, second = Client(), Client()

    assert first.post(path).status_code == 302
    assert first.get(HOME).status_code == 200

    assert second.post(path).status_code == 410
    assert second.get(HOME).status_code == 302
    assert AuditEvent.objects.filter(action="session.started").count() == 1


@pytest.mark.django_db
def test_looking_at_a_link_does_not_use_it_up(viewer: User):
    path = make_path(viewer)

    for _ in range(3):
        assert b"Sign in as" in Client().get(path).content
        assert Client().head(path).status_code == 200

    assert Client().post(path).status_code == 302


@pytest.mark.django_db
def test_only_the_hash_of_a_link_is_stored(viewer: User):
    token = make_path(viewer).strip("/").split("/")[-1]

    stored = SignInLink.objects.get()

    assert len(token) >= 43
    assert token not in str(stored.__dict__)
    assert not AuditEvent.objects.filter(detail__icontains=token).exists()


@pytest.mark.django_db
def test_an_old_link_does_not_work(viewer: User):
    path = make_path(viewer)
    SignInLink.objects.update(expires_at=timezone.now())

    assert Client().get(path).status_code == 410
    assert Client().post(path).status_code == 410


@pytest.mark.django_db
def test_a_new_link_replaces_the_unused_one(viewer: User):
    old, new = make_path(viewer), make_path(viewer)

    assert Client().post(old).status_code == 410
    assert Client().post(new).status_code == 302


@pytest.mark.django_db
def test_a_deactivated_person_has_no_use_of_a_link(viewer: User):
    path = make_path(viewer)
    User.objects.filter(pk=viewer.pk).update(is_active=False)

    assert Client().post(path).status_code == 410


@pytest.mark.django_db
def test_the_first_link_makes_the_first_admin_without_a_password():
    path = print_link()

    user = User.objects.get()
    assert path.startswith("/sign-in/")
    assert (user.role, user.has_usable_password()) == (Role.ADMIN, False)
    client = Client()
    assert client.post(path)["Location"] == HOME
    assert "You have no password yet" in client.get(HOME).content.decode()


@pytest.mark.django_db
def test_a_second_start_makes_no_second_admin():
    print_link()

    print_link()

    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_link_for_an_unknown_address_is_refused_once_there_are_people(admin: User):
    with pytest.raises(CommandError, match="no active account"):
        print_link("--email", "stranger@example.com")

    assert print_link("--email", admin.email.upper()).startswith("/sign-in/")


@pytest.mark.django_db
def test_setting_a_first_password_replaces_the_need_for_links():
    client, new = Client(), "a brand new long password"
    client.post(print_link())

    response = client.post("/account/password/set/", {"password1": new, "password2": new})

    assert response["Location"] == HOME
    assert "You have no password yet" not in client.get(HOME).content.decode()
    again = Client()
    again.post("/sign-in/", {"login": User.objects.get().email, "password": new, "next": HOME})
    assert again.get(HOME).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_at_the_same_moment_one_wins():
    user = factories.make_viewer()
    token = make_path(user).strip("/").split("/")[-1]
    barrier = threading.Barrier(2)
    winners: list[User | None] = []

    def click() -> None:
        barrier.wait()
        winners.append(links.consume(token, now=timezone.now()))
        databases.close_all()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(winner is not None for winner in winners) == [False, True]
