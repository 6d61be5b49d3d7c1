"""Fixtures for all tests: signed-in clients by role, and the one exception a test database needs."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from dashboard.accounts import sessions
from dashboard.accounts.models import Team, User
from tests import factories

# An unchanged tree gives an unchanged verdict: `make test` draws the same examples each time. `make explore` draws
# new ones, many more of them; what it finds becomes a case of its own. No deadline: these machines are noisy.
hypothesis.settings.register_profile("repeat", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", max_examples=3_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> None:
    """Let Django empty the append-only tables between transactional tests, which the product's triggers refuse.

    UPDATE and DELETE stay refused; tests/accounts/test_audit.py switches TRUNCATE's trigger back on.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_refuse_truncate")
        cursor.execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER ledger_refuse_truncate")
        cursor.execute("ALTER TABLE billing_statement DISABLE TRIGGER statement_refuse_truncate")


@pytest.fixture(autouse=True)
def forget_counters(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete this worker's cache entries after tests that touch the database: counters and forecasts must not leak.

    By prefix: cache.clear() would flush the whole Redis, with the queues of a worker test beside it.
    """
    yield
    touches = {"db", "transactional_db"} & set(request.fixturenames) or request.node.get_closest_marker(
        "django_db"
    )
    if touches:
        client = cache._cache.get_client()  # type: ignore[attr-defined]  # the only way to the client
        for key in client.scan_iter(f"{settings.CACHES['default']['KEY_PREFIX']}:*"):
            client.delete(key)


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team("Search")


@pytest.fixture
def other_team(db: None) -> Team:
    return factories.make_team("Legal")


@pytest.fixture
def viewer(team: Team) -> User:
    return factories.make_viewer(teams=(team,), name="Vera Viewer")


@pytest.fixture
def operator(team: Team) -> User:
    return factories.make_operator(teams=(team,), name="Oda Operator")


@pytest.fixture
def other_operator(other_team: Team) -> User:
    return factories.make_operator(teams=(other_team,), name="Otto Other")


@pytest.fixture
def finance(db: None) -> User:
    return factories.make_finance(name="Fina Finance")


@pytest.fixture
def admin(db: None) -> User:
    return factories.make_admin(name="Ada Admin")


def sign_in(user: User) -> Client:
    """Return a client in whose browser the user has just signed in, as with a password."""
    client = Client()
    client.force_login(user)
    session = client.session
    sessions.start_clock(session, now=timezone.now())
    session.save()
    return client


@pytest.fixture
def viewer_client(viewer: User) -> Client:
    return sign_in(viewer)


@pytest.fixture
def operator_client(operator: User) -> Client:
    return sign_in(operator)


@pytest.fixture
def other_operator_client(other_operator: User) -> Client:
    return sign_in(other_operator)


@pytest.fixture
def finance_client(finance: User) -> Client:
    return sign_in(finance)


@pytest.fixture
def admin_client(admin: User) -> Client:
    return sign_in(admin)
