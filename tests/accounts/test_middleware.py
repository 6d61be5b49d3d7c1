"""What holds for every request: address, id, headers, and words when something fails."""

import uuid

import pytest
from django.db import OperationalError, connection
from django.test import Client, RequestFactory

from dashboard.accounts.middleware import find_client_ip
from dashboard.web.views import errors


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "6.6.6.6", "192.0.2.1"),
        (1, "6.6.6.6, 192.0.2.9", "192.0.2.9"),
        (2, "6.6.6.6, 192.0.2.8, 192.0.2.9", "192.0.2.8"),
        (2, "192.0.2.9", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "not an address", None),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_client_address_believes_our_proxies_only(settings, proxies, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", headers={"x-forwarded-for": forwarded})

    assert find_client_ip(request) == expected


def test_a_unix_socket_has_no_address():
    assert find_client_ip(RequestFactory().get("/", REMOTE_ADDR="")) is None


@pytest.mark.parametrize("path", ["/costs/prices/sku/%00/", "/costs/statements/2026-10/gone:%00/"])
@pytest.mark.django_db
def test_a_nul_in_a_path_is_not_found(finance_client: Client, path: str):
    assert finance_client.get(path).status_code == 404


@pytest.mark.django_db
def test_every_answer_has_an_id_of_its_own(viewer_client: Client):
    first, second = viewer_client.get("/settings/you/"), viewer_client.get("/settings/you/")

    assert uuid.UUID(first["X-Request-ID"]) != uuid.UUID(second["X-Request-ID"])


@pytest.mark.django_db
@pytest.mark.parametrize("is_htmx", [False, True])
def test_a_page_that_does_not_exist_says_so(viewer_client: Client, is_htmx: bool):
    headers = {"HX-Request": "true"} if is_htmx else {}

    response = viewer_client.get("/no/such/page/", headers=headers)

    assert response.status_code == 404
    assert b"Nothing is at this address" in response.content
    assert (b"<html" in response.content) is not is_htmx
    assert response["X-Request-ID"].encode() in response.content


@pytest.mark.django_db
def test_a_refusal_names_the_right(viewer_client: Client):
    response = viewer_client.get("/settings/users/")

    assert b"It needs the right to manage people." in response.content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError("gone"), 503, b"The database does not answer"),
        (KeyError("x"), 500, b"This page failed"),
    ],
)
def test_failures_become_pages_that_ask_nothing_of_the_database(
    django_assert_num_queries, error: Exception, status: int, words: bytes
):
    with django_assert_num_queries(0):
        try:
            raise error
        except (OperationalError, KeyError):
            response = errors.server_error(RequestFactory().get("/"))

    assert response.status_code == status
    assert words in response.content
    assert ("Retry-After" in response) is (status == 503)


@pytest.mark.django_db
def test_a_query_that_postgresql_ends_answers_503(admin_client: Client):
    """A statement that runs into a limit raises the same error as a server that went away."""
    admin_client.raise_request_exception = False
    with connection.execute_wrapper(_fail_on_teams):
        response = admin_client.get("/settings/teams/")

    assert response.status_code == 503
    assert response["Retry-After"] == "10"
    assert response["Cache-Control"] == "no-store"


def _fail_on_teams(execute, sql, params, many, context):
    if "accounts_team" in sql:
        raise OperationalError("server closed the connection unexpectedly")
    return execute(sql, params, many, context)
