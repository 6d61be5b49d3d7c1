"""Accounts and teams: the last Admin stays, addresses are unique, every change leaves its trace."""

import threading

import pytest
from django.db import connections as databases

from dashboard.accounts import links, people, teams
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, SignInLink, User
from dashboard.accounts.roles import Role
from tests import factories

ACTOR = Actor.for_process("tests")


def demote(user: User) -> None:
    people.change_user(user, name=user.name, role=Role.VIEWER, teams=[], actor=ACTOR)


@pytest.mark.django_db
def test_the_last_admin_can_neither_be_demoted_nor_deactivated(admin: User):
    factories.make_admin(is_active=False)

    with pytest.raises(people.LastAdminError):
        demote(admin)
    with pytest.raises(people.LastAdminError):
        people.deactivate_user(admin, actor=ACTOR)

    admin.refresh_from_db()
    assert (admin.role, admin.is_active) == (Role.ADMIN, True)
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_one_of_two_admins_may_go(admin: User):
    second = factories.make_admin()

    demote(second)

    second.refresh_from_db()
    assert second.role == Role.VIEWER


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_leave_one():
    first, second = factories.make_admin(), factories.make_admin()
    barrier = threading.Barrier(2)
    refused: list[bool] = []

    def demote_in_parallel(user: User) -> None:
        barrier.wait()
        try:
            demote(user)
            refused.append(False)
        except people.LastAdminError:
            refused.append(True)
        finally:
            databases.close_all()

    threads = [threading.Thread(target=demote_in_parallel, args=[user]) for user in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(refused) == [False, True]
    assert User.objects.filter(role=Role.ADMIN).count() == 1


@pytest.mark.django_db
def test_nobody_deactivates_the_own_account(admin: User):
    factories.make_admin()

    with pytest.raises(people.OwnAccountError):
        people.deactivate_user(admin, actor=Actor.for_person(admin))


@pytest.mark.django_db
def test_an_address_in_another_spelling_is_the_same_address(viewer: User):
    with pytest.raises(people.AddressTakenError):
        people.invite_user(viewer.email.upper(), name="", role=Role.VIEWER, teams=[], actor=ACTOR)

    assert User.objects.count() == 1


@pytest.mark.django_db
def test_changing_a_person_records_before_and_after(viewer: User, other_team):
    people.change_user(viewer, name="Vera", role=Role.OPERATOR, teams=[other_team], actor=ACTOR)

    detail = AuditEvent.objects.get(action="person.changed").detail
    assert detail["before"] == {"name": "Vera Viewer", "role": "viewer", "teams": ["Search"]}
    assert detail["after"] == {"name": "Vera", "role": "operator", "teams": ["Legal"]}


@pytest.mark.django_db
def test_deactivating_a_person_takes_unused_links_along(viewer: User):
    links.create_link(viewer, lifetime=links.INVITATION_LIFETIME, now=factories.NOW, actor=ACTOR)

    people.deactivate_user(viewer, actor=ACTOR)

    assert not SignInLink.objects.exists()


@pytest.mark.django_db
def test_a_team_name_is_taken_once(team):
    with pytest.raises(teams.TeamNameTakenError):
        teams.create_team("Search", actor=ACTOR)

    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_deleting_a_team_leaves_its_people_and_projects(team, viewer: User):
    project = factories.make_project(team=team)

    teams.delete_team(team, actor=ACTOR)

    project.refresh_from_db()
    assert project.team is None
    assert AuditEvent.objects.get(action="team.deleted").target_label == "Search"
    assert User.objects.filter(pk=viewer.pk).exists()
