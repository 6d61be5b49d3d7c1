"""The palette, and the probe."""

from unittest import mock

import pytest
from django.db import DatabaseError
from django.test import Client

from dashboard.mirror.models import ResourceKind
from dashboard.web.views.find import MOST_HITS
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


def read(client: Client, query: str, **headers: str) -> str:
    response = client.get("/find/", {"q": query}, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_anonymous_people_find_nothing():
    assert Client().get("/find/?q=a").status_code == 302


def test_endpoints_deployments_and_pages_are_found(desk: Desk, admin_client: Client):
    endpoint = desk.endpoint("docs-qa")
    desk.deployment(endpoint, name="docs-canary")

    html = read(admin_client, "docs", **{"HX-Request": "true"})

    assert f'href="/endpoints/{endpoint.pk}/"' in html
    assert "docs-canary" in html
    assert "<html" not in html


def test_other_teams_endpoints_are_not_found(desk: Desk, other_operator_client: Client):
    desk.deployment(desk.endpoint("secret-one"), name="secret-two")

    assert 'href="/endpoints/' not in read(other_operator_client, "secret", **{"HX-Request": "true"})


def test_pages_are_offered_by_right(desk: Desk, viewer_client: Client, admin_client: Client):
    assert "/settings/connections/" not in read(viewer_client, "settings", **{"HX-Request": "true"})
    assert "/settings/connections/" in read(admin_client, "settings", **{"HX-Request": "true"})


def test_the_query_is_escaped(desk: Desk, viewer_client: Client):
    assert "<b>x" not in read(viewer_client, "<b>x", **{"HX-Request": "true"})


def test_the_probe_needs_no_sign_in_and_says_nothing_more():
    response = Client().get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")
    assert Client().post("/healthz").status_code == 405


def test_the_probe_fails_while_the_database_is_away():
    with mock.patch("django.db.backends.utils.CursorWrapper.execute", side_effect=DatabaseError("gone")):
        response = Client().get("/healthz")

    assert (response.status_code, response.content) == (503, b"unavailable\n")


def test_a_nul_in_the_query_is_no_error(desk: Desk, admin_client: Client):
    read(admin_client, "a\0b")
    assert admin_client.get("/settings/users/", {"q": "\0"}).status_code == 200


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (ResourceKind.FINE_TUNE, "/jobs/fine-tune/{pk}/"),
        (ResourceKind.BATCH, "/jobs/batch/{pk}/"),
        (ResourceKind.EVALUATION, "/jobs/evaluation/{pk}/"),
        (ResourceKind.UPLOAD_V1, "/jobs/upload-v1/{pk}/"),
        (ResourceKind.FILE, "/files/{pk}/"),
    ],
)
@pytest.mark.parametrize("query", ["nightly run", "x-4711"])
def test_resources_are_found_by_name_and_id(
    desk: Desk, viewer_client: Client, kind: ResourceKind, address: str, query: str
):
    row = desk.resource(kind, "the nightly-run", remote_id="x-4711")

    assert f'href="{address.format(pk=row.pk)}"' in read(viewer_client, query, **{"HX-Request": "true"})


def test_an_upload_is_found_by_the_name_of_its_model(desk: Desk, viewer_client: Client):
    desk.resource(ResourceKind.MODEL, "acme/voice", remote_id="ml_1")
    row = desk.resource(ResourceKind.UPLOAD, "ml_1")

    html = read(viewer_client, "voice", **{"HX-Request": "true"})

    assert f'href="/jobs/upload/{row.pk}/"' in html
    assert "ml_1" not in html


def test_no_kind_crowds_out_another(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.BATCH, "same-word")
    for _ in range(30):
        desk.resource(ResourceKind.FILE, "same-word")

    html = read(viewer_client, "same-word", **{"HX-Request": "true"})

    assert f"/jobs/batch/{job.pk}/" in html
    assert html.count('href="/files/') == MOST_HITS


def test_resources_of_other_teams_and_gone_ones_are_not_found(
    desk: Desk, viewer_client: Client, other_operator_client: Client
):
    desk.resource(ResourceKind.BATCH, "secret-job")
    desk.resource(ResourceKind.BATCH, "vanished-job", absent_since=NOW)

    assert "secret-job" not in read(other_operator_client, "secret", **{"HX-Request": "true"})
    assert "/jobs/batch/" not in read(viewer_client, "vanished", **{"HX-Request": "true"})
