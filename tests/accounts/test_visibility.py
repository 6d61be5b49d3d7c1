"""Who sees which projects, and who may act on them."""

import pytest
from django.contrib.auth.models import AnonymousUser

from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import may_operate, operable_team_ids, project_filter, team_filter
from dashboard.mirror.models import Endpoint, Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def projects(team, other_team) -> dict[str, Project]:
    connection = factories.make_connection()
    return {
        "own": factories.make_project(connection=connection, team=team, name="own"),
        "other": factories.make_project(connection=connection, team=other_team, name="other"),
        "unowned": factories.make_project(connection=connection, name="unowned"),
    }


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("viewer", {"own", "unowned"}),
        ("operator", {"own", "unowned"}),
        ("other_operator", {"other", "unowned"}),
        ("finance", {"own", "other", "unowned"}),
        ("admin", {"own", "other", "unowned"}),
    ],
)
def test_roles_see_projects(request, projects, who: str, seen: set[str]):
    user = request.getfixturevalue(who)
    for project in projects.values():
        factories.make_endpoint(project=project)

    assert set(Project.objects.filter(project_filter(user)).values_list("name", flat=True)) == seen
    found = Endpoint.objects.filter(project_filter(user, path="project__"))
    assert set(found.values_list("project__name", flat=True)) == seen
    assert found.count() == len(seen)


@pytest.mark.parametrize(
    ("who", "operated"),
    [
        ("viewer", set()),
        ("operator", {"own"}),
        ("other_operator", {"other"}),
        ("finance", set()),
        ("admin", {"own", "other", "unowned"}),
    ],
)
def test_roles_act_on_projects(request, projects, who: str, operated: set[str]):
    user = request.getfixturevalue(who)
    allowed = operable_team_ids(user)

    found = {name for name, project in projects.items() if may_operate(user, team_id=project.team_id)}
    at_once = {name for name, project in projects.items() if allowed is None or project.team_id in allowed}

    assert found == at_once == operated


def test_inactive_and_anonymous_people_see_and_do_nothing(projects, team):
    gone = factories.make_admin(is_active=False, teams=(team,))

    assert not Project.objects.filter(project_filter(gone)).exists()
    assert not may_operate(gone, team_id=team.pk)
    assert not any(user_may(AnonymousUser(), right) for right in Right)


def test_the_filter_is_no_query_of_its_own(viewer, django_assert_num_queries):
    with django_assert_num_queries(0):
        project_filter(viewer)
        team_filter(viewer)


def test_a_right_that_does_not_exist_is_an_error(admin):
    with pytest.raises(ValueError, match="fly"):
        user_may(admin, "fly")
