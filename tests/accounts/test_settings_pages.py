"""Settings as people use it: forms, refusals with words, and no side effect where there should be none."""

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.accounts.models import AuditEvent, Team, User
from dashboard.accounts.roles import Role
from dashboard.mirror.models import MalformedPayload, SyncRun
from tests import factories

pytestmark = pytest.mark.django_db


def find_actions() -> list[str]:
    return list(AuditEvent.objects.order_by("at").values_list("action", flat=True))


@pytest.mark.parametrize(
    "route",
    [
        "settings_you",
        "settings_connections",
        "settings_connection_add",
        "settings_users",
        "settings_user_invite",
        "settings_teams",
        "settings_health",
        "activity",
    ],
)
def test_pages_render_for_an_admin_with_and_without_rows(admin_client: Client, route: str):
    assert admin_client.get(reverse(route)).status_code == 200

    connection = factories.make_connection()
    factories.make_sync_run(connection=connection)
    factories.make_deployment(
        endpoint=factories.make_endpoint(project=factories.make_project(connection=connection))
    )
    factories.make_viewer(teams=(factories.make_team(),))

    assert admin_client.get(reverse(route)).status_code == 200


def test_inviting_shows_the_link_once_and_it_works(admin_client: Client, team: Team):
    form = {"email": "New.Person@Example.com", "name": "New Person", "role": "operator", "teams": [team.pk]}

    page = admin_client.post("/settings/users/invite/", form).content.decode()

    user = User.objects.get(email="new.person@example.com")
    assert (user.role, list(user.teams.all())) == (Role.OPERATOR, [team])
    path = page.split('value="http://testserver')[1].split('"')[0]
    invited = Client()
    invited.post(path)
    assert "New Person" in invited.get("/settings/you/").content.decode()
    assert find_actions() == ["person.invited", "person.link_made", "session.started"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"email": "not an address"}, "Enter a valid email address."),
        ({"email": ""}, "This field is required."),
        ({"role": "emperor"}, "Select a valid choice."),
        ({"teams": [999_999]}, "Select a valid choice."),
    ],
)
def test_an_invitation_that_makes_no_sense_is_refused_beside_its_field(
    admin_client: Client, change: dict[str, object], message: str
):
    form = {"email": "new@example.com", "role": "viewer"} | change

    response = admin_client.post("/settings/users/invite/", form)

    assert response.status_code == 422
    assert message in response.content.decode()
    assert "ui-field-error" in response.content.decode()
    assert not User.objects.filter(email__startswith="new").exists()
    assert find_actions() == []


def test_fields_that_the_form_does_not_name_are_ignored(viewer_client: Client, viewer: User):
    viewer_client.post("/settings/you/", {"name": "Vera", "role": "admin", "is_active": "", "email": "x@y.z"})

    before = viewer.email
    viewer.refresh_from_db()
    assert (viewer.name, viewer.role, viewer.is_active, viewer.email) == ("Vera", Role.VIEWER, True, before)


def test_the_last_admin_is_told_why(admin_client: Client, admin: User):
    response = admin_client.post(f"/settings/users/{admin.pk}/", {"name": "Ada", "role": "viewer"})

    assert response.status_code == 422
    assert "last active Admin" in response.content.decode()
    admin.refresh_from_db()
    assert admin.role == Role.ADMIN


def test_a_team_gets_a_name_people_and_projects(admin_client: Client, viewer: User):
    project = factories.make_project()

    admin_client.post("/settings/teams/", {"name": "Research"})
    team = Team.objects.get(name="Research")
    admin_client.post(f"/settings/teams/{team.pk}/", {"name": "Research Lab", "people": [viewer.pk]})
    admin_client.post(f"/settings/projects/{project.pk}/team/", {"team": team.pk})

    team.refresh_from_db()
    project.refresh_from_db()
    assert (team.name, list(team.people.all()), project.team) == ("Research Lab", [viewer], team)
    assert find_actions() == ["team.created", "team.changed", "project.team_assigned"]


def test_a_team_for_each_project_is_made_once(admin_client: Client, team: Team):
    connection = factories.make_connection()
    factories.make_project(connection=connection, name="search")
    factories.make_project(connection=connection, name="Research")

    for _ in range(2):
        admin_client.post("/settings/teams/from-projects/")

    assert sorted(Team.objects.values_list("name", flat=True)) == ["Research", "Search"]
    assert find_actions().count("team.created") == 1
    assert find_actions().count("project.team_assigned") == 2


def test_assigning_the_same_team_again_writes_nothing(admin_client: Client, team: Team):
    project = factories.make_project(team=team)

    admin_client.post(f"/settings/projects/{project.pk}/team/", {"team": team.pk})

    assert find_actions() == []


def test_items_that_could_not_be_read_are_shown_with_their_payload(admin_client: Client):
    connection = factories.make_connection()
    MalformedPayload.objects.create(
        connection=connection,
        resource="endpoints",
        remote_id="ep_broken",
        fingerprint=b"x" * 16,
        payload={"id": "ep_broken", "name": "<script>alert(1)</script>"},
        error="name is missing",
        first_seen_at=factories.NOW,
        last_seen_at=factories.NOW,
    )

    page = admin_client.get(f"/settings/connections/{connection.pk}/").content.decode()

    assert "ep_broken" in page
    assert "name is missing" in page
    assert "<script>alert" not in page


def test_the_last_sync_of_each_resource_is_shown_with_its_error(admin_client: Client):
    connection = factories.make_connection()
    factories.make_sync_run(connection=connection, error="")
    factories.make_sync_run(
        connection=connection,
        resource=SyncRun.Resource.TRAFFIC,
        outcome=SyncRun.Outcome.FAILED,
        error="Too many requests (429).",
    )

    for url in ("/settings/connections/", f"/settings/connections/{connection.pk}/", "/settings/health/"):
        page = admin_client.get(url).content.decode()
        assert "Too many requests (429)." in page
        assert "Endpoints and deployments" in page


def test_health_tells_what_we_stand_on(admin_client: Client):
    page = admin_client.get("/settings/health/").content.decode()

    assert "PostgreSQL" in page
    assert "up since" in page
    assert "Redis" in page or "Valkey" in page
    assert "Nothing is waiting to be done." in page


def test_health_survives_redis_being_away(admin_client: Client, settings):
    settings.CACHES = {
        **settings.CACHES,
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:9"},
    }

    response = admin_client.get("/settings/health/")

    assert response.status_code == 200
    assert "does not answer" in response.content.decode()


@pytest.mark.parametrize(
    ("route", "root"),
    [
        ("settings_connections", 'id="connections"'),
        ("settings_users", 'id="users"'),
        ("activity", 'id="activity"'),
    ],
)
def test_htmx_gets_the_fragment_and_others_the_page(admin_client: Client, route: str, root: str):
    page = admin_client.get(reverse(route)).content.decode()
    fragment = admin_client.get(reverse(route), headers={"HX-Request": "true"}).content.decode()

    assert "<html" in page
    assert root in page
    assert "<html" not in fragment
    assert root in fragment


def test_dialogs_leave_with_the_whole_window(admin_client: Client, team: Team):
    response = admin_client.post(f"/settings/teams/{team.pk}/delete/", headers={"HX-Request": "true"})

    assert (response.status_code, response["HX-Redirect"]) == (204, "/settings/teams/")


@pytest.mark.parametrize(
    ("url", "most"),
    [
        ("/settings/connections/", 12),
        ("/settings/users/", 9),
        ("/settings/teams/", 9),
        ("/settings/health/", 12),
        ("/activity/", 10),
    ],
)
def test_pages_ask_the_same_number_of_queries_whatever_there_is(
    admin_client: Client, url: str, most: int, django_assert_max_num_queries
):
    for _ in range(5):
        connection = factories.make_connection()
        team = factories.make_team()
        factories.make_project(connection=connection, team=team)
        factories.make_viewer(teams=(team,))
        factories.make_sync_run(connection=connection)
    admin_client.get(url)

    with django_assert_max_num_queries(most):
        admin_client.get(url)


@pytest.mark.parametrize(
    "address",
    [
        "connections/{connection}/rename/",
        "connections/{connection}/key/",
        "connections/{connection}/delete/",
        "teams/{team}/delete/",
    ],
)
@pytest.mark.parametrize("is_htmx", [False, True])
def test_dialogs_send_their_form_to_themselves(admin_client: Client, team: Team, address: str, is_htmx: bool):
    url = "/settings/" + address.format(connection=factories.make_connection().pk, team=team.pk)
    headers = {"HX-Request": "true"} if is_htmx else {}

    content = admin_client.get(url, headers=headers).content.decode()

    # On a page of its own the browser sends the form itself, so that the answer is a page.
    sent_by_htmx = f' hx-post="{url}"' if is_htmx else ""
    assert f'method="post" action="{url}"{sent_by_htmx}' in " ".join(content.split())
    assert ("hx-post" in content.split('method="post"')[1].split(">")[0]) is is_htmx
    assert ("<html" in content) is not is_htmx
