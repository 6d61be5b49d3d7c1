"""The permission matrix: every URL of the product, asked as everybody, with every method.

The expectation comes from the declared table (accounts/permissions.py) alone; the answer from the real stack.
"""

from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.db import connection as database
from django.shortcuts import resolve_url
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dashboard.accounts.models import AuditEvent
from dashboard.accounts.permissions import RIGHTS, ROUTES, Right, Route, user_may
from dashboard.accounts.roles import Role
from simulator.testing import SimulatorProcess
from tests import factories
from tests.architecture.samples import ADDRESSES, FORMS, World, make_world

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
PEOPLE = ("viewer", "operator", "other_operator", "finance", "admin")
# Signing in keeps its own books: who was last seen when.
UNCOUNTED_TABLES = frozenset({"django_session", "usersessions_usersession"})
# Answers that never end: asked with HEAD here, their content is tested with the pages.
# What is sent while it is made; a download is recorded although it is a GET (tests/web/test_exports.py).
STREAMS = {"live", "costs_export_file", "costs_report_file"}
# The reference page of the design is routed for developers only.
ONLY_WITH_DEBUG = {"reference"}
# Answers of a route that was let through: shown, done, refused for what was posted, gone.
LET_THROUGH = frozenset({200, 204, 302, 400, 404, 409, 410, 422})


def list_patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from list_patterns(entry)
        else:
            yield entry


PATTERNS = list(list_patterns(get_resolver()))
NAMES = sorted({pattern.name for pattern in PATTERNS if pattern.name})
POSTING = [name for name in NAMES if name in ROUTES and "POST" in ROUTES[name].methods]
ACTING = [name for name in NAMES if name in ROUTES and ROUTES[name].audited]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture(scope="session")
def provider() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(key=["sim-key", "second-key"], clock="virtual", seed=7) as process:
        yield process


def build_url(name: str, world: World) -> str:
    pattern = next(pattern for pattern in PATTERNS if pattern.name == name)
    if not pattern.pattern.regex.groups:
        return reverse(name)
    assert name in ADDRESSES, f"{name} has address parts: add it to tests/architecture/samples.py"
    return reverse(name, kwargs=ADDRESSES[name].parts(world))


def read_database() -> dict[str, tuple[int, str | None]]:
    """Return rows and a digest of every table that a page must not change by being looked at."""
    with database.cursor() as cursor:
        tables = sorted(set(database.introspection.table_names(cursor)) - UNCOUNTED_TABLES)
        found = {}
        for table in tables:
            cursor.execute(
                f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" AS t'
            )
            found[table] = cursor.fetchone()
    return found


def is_sign_in_redirect(response) -> bool:
    return response.status_code == 302 and response["Location"].startswith(
        resolve_url(django_settings.LOGIN_URL)
    )


def test_every_url_has_a_name():
    assert [str(pattern.pattern) for pattern in PATTERNS if not pattern.name] == []


def test_the_table_names_exactly_the_urls():
    assert set(NAMES) - ROUTES.keys() == set(), (
        "a route without an entry is refused: add it to permissions.py"
    )
    assert ROUTES.keys() - set(NAMES) == ONLY_WITH_DEBUG, "the table names a route that does not exist"


def test_every_role_has_its_rights_and_admin_all():
    assert RIGHTS.keys() == set(Role)
    assert RIGHTS[Role.ADMIN] == set(Right)
    assert not RIGHTS[Role.FINANCE] & {Right.OPERATE, Right.MANAGE_PEOPLE, Right.MANAGE_CONNECTIONS}
    assert not RIGHTS[Role.VIEWER] - {Right.VIEW}


def test_unsafe_methods_are_declared_with_what_they_record_or_are_public():
    silent = [
        name
        for name, route in ROUTES.items()
        if route.methods & set(UNSAFE_METHODS) and route.right is not None and not route.audited
    ]

    # Typing the password again changes nothing that others see, only the own session; asking what a fine-tune would
    # cost is a question.
    assert silent == ["account_reauthenticate", "job_estimate"]


@pytest.mark.parametrize("name", NAMES)
def test_anonymous_people_reach_public_routes_only(name: str, world: World):
    route, url = ROUTES[name], build_url(name, world)
    before = read_database()

    for method in METHODS:
        response = Client().generic(method, url)
        if route.right is not None:
            assert is_sign_in_redirect(response), (method, response.status_code)
        elif method not in route.methods:
            assert response.status_code == 405, method
        else:
            assert response.status_code in LET_THROUGH, (method, response.status_code)

    assert read_database() == before


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", NAMES)
def test_roles_reach_what_the_table_grants_and_a_refusal_changes_nothing(name: str, who: str, world: World):
    route, url = ROUTES[name], build_url(name, world)
    person, client = world.people[who], world.client(who)
    is_granted = route.right is None or user_may(person, route.right)
    is_hidden = name in ADDRESSES and ADDRESSES[name].is_scoped and who == "other_operator"
    before = read_database()

    for method in METHODS:
        if is_granted and method in route.methods and method in UNSAFE_METHODS:
            continue  # test_acts_are_recorded does these
        if is_granted and method == "GET" and name in STREAMS:
            continue
        response = client.generic(method, url)
        if method not in route.methods:
            assert response.status_code == 405, method
        elif not is_granted:
            assert response.status_code == 403, method
        elif is_hidden:
            assert response.status_code == 404, method
        else:
            assert response.status_code in LET_THROUGH, (method, response.status_code)
            assert not is_sign_in_redirect(response), method

    assert read_database() == before


@pytest.mark.parametrize("name", ACTING)
def test_acts_are_recorded(name: str, world: World, request: pytest.FixtureRequest, settings):
    assert name in FORMS, f"{name} acts: add a valid form to tests/architecture/samples.py"
    act, route = FORMS[name], ROUTES[name]
    if act.needs_provider:
        settings.TOGETHER_BASE_URL = request.getfixturevalue("provider").url
    act.prepare(world)
    client = world.client("admin")

    response = client.post(build_url(name, world), act.form(world))

    assert response.status_code in {200, 204, 302}, response.content.decode()[:2000]
    event = AuditEvent.objects.filter(action__in=route.audited).order_by("-at").first()
    assert event is not None, list(AuditEvent.objects.values_list("action", flat=True))
    assert event.actor == world.people["admin"]
    assert event.actor_role == Role.ADMIN
    assert event.ip == "127.0.0.1"
    assert event.request_id == response["X-Request-ID"]


@pytest.mark.parametrize(
    "name",
    sorted(
        name for name, address in ADDRESSES.items() if address.is_scoped and ROUTES[name].methods & {"POST"}
    ),
)
def test_acts_on_what_another_team_owns_are_not_found_and_do_nothing(name: str, world: World):
    client = world.client("other_operator")
    before = read_database()

    response = client.post(build_url(name, world), FORMS[name].form(world))

    # What only Admins may do is refused before anything is looked for.
    is_granted = user_may(world.people["other_operator"], ROUTES[name].right or Right.VIEW)
    assert response.status_code == (404 if is_granted else 403)
    assert read_database() == before


@pytest.mark.parametrize("name", POSTING)
def test_posts_without_a_csrf_token_are_refused_and_change_nothing(name: str, world: World):
    client = Client(enforce_csrf_checks=True)
    client.cookies = world.client("admin").cookies
    before = read_database()

    response = client.post(build_url(name, world), FORMS[name].form(world) if name in FORMS else {})

    assert response.status_code == 403
    assert b"form has expired" in response.content
    assert read_database() == before


@pytest.mark.parametrize("name", POSTING)
def test_posts_that_another_site_started_are_refused(name: str, world: World):
    client = world.client("admin")
    before = read_database()

    response = client.post(build_url(name, world), {}, headers={"sec-fetch-site": "cross-site"})

    assert response.status_code == 403
    assert read_database() == before


@pytest.mark.parametrize("who", ["anonymous", "admin"])
@pytest.mark.parametrize("name", NAMES)
def test_every_answer_carries_the_security_headers(name: str, who: str, world: World):
    method = "HEAD" if name in STREAMS else "GET"
    response = world.client(who).generic(method, build_url(name, world))

    policy = {part.strip() for part in response["Content-Security-Policy"].split(";")}
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= policy
    assert "unsafe" not in str(policy)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"
    assert "geolocation=()" in response["Permissions-Policy"]
    assert "no-store" in response["Cache-Control"]
    assert len(response["X-Request-ID"]) == 36


def test_a_selection_with_what_another_team_owns_stops_nothing(world: World):
    client = world.client("other_operator")
    before = read_database()

    response = client.post(reverse("endpoints_stop"), FORMS["endpoints_stop"].form(world))

    assert response.status_code == 409
    assert read_database() == before


def test_a_route_missing_from_the_table_is_refused(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(ROUTES, "settings_you")

    assert world.client("admin").get(reverse("settings_you")).status_code == 403


def test_rights_are_read_per_request(world: World):
    client = world.client("admin")
    assert client.get(reverse("settings_users")).status_code == 200

    type(world.subject).objects.filter(pk=world.people["admin"].pk).update(role=Role.VIEWER)

    assert client.get(reverse("settings_users")).status_code == 403


def test_background_requests_are_marked_only_on_reading_routes():
    assert all(not route.methods & set(UNSAFE_METHODS) for route in ROUTES.values() if route.background)


def test_route_rows_are_well_formed():
    assert all(isinstance(route, Route) and route.methods for route in ROUTES.values())
    assert factories.PASSWORD
