"""Files: the list, the page of one, and who uses it."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.mirror.models import ResourceKind, SyncRun
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


def read(client: Client, address: str = "/files/") -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def list_names(html: str) -> list[str]:
    return re.findall(r'class="ui-t-name" href="/files/\d+/"[^>]*>([^<]+)</a>', html)


@pytest.fixture
def several(desk: Desk) -> Desk:
    desk.resource(ResourceKind.FILE, "train.jsonl", variety="fine-tune", size_bytes=3 * 2**20)
    desk.resource(
        ResourceKind.FILE, "broken.csv", variety="eval", state="INVALID_FORMAT", state_message="line 3 is no JSON",
        size_bytes=512, remote_created_at=NOW - timedelta(days=3),
    )  # fmt: skip
    return desk


def test_anonymous_people_are_sent_to_sign_in():
    assert Client().get("/files/")["Location"].startswith("/sign-in/")


def test_files_show_size_purpose_state_and_why_one_failed(several: Desk, viewer_client: Client):
    text = words(read(viewer_client))

    assert "train.jsonl" in text
    assert "3 MiB" in text
    assert "512 B" in text
    assert "line 3 is no JSON" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?status=failed", ["broken.csv"]),
        ("?variety=fine-tune", ["train.jsonl"]),
        ("?sort=size", ["broken.csv", "train.jsonl"]),
        ("?sort=-size", ["train.jsonl", "broken.csv"]),
        ("?q=JSONL", ["train.jsonl"]),
        ("?kind=batch", ["train.jsonl", "broken.csv"]),
    ],
)
def test_filters_and_order(several: Desk, viewer_client: Client, query: str, names: list[str]):
    assert list_names(read(viewer_client, f"/files/{query}")) == names


def test_a_file_without_a_size_is_not_zero(desk: Desk, viewer_client: Client):
    desk.resource(ResourceKind.FILE, "unknown.jsonl", size_bytes=None)

    html = read(viewer_client)

    assert "not told" in html
    assert ">0 B<" not in html


def test_a_key_without_files_is_told_so(desk: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource="files").update(
        outcome="unavailable", error="403: no files for this key."
    )

    assert "403: no files for this key." in read(viewer_client)


def test_a_file_shows_its_report_and_its_users(several: Desk, viewer_client: Client):
    file = several.resource(
        ResourceKind.FILE, "checked.jsonl", remote_id="file-9", variety="fine-tune", size_bytes=2048,
        payload={"FileType": "jsonl", "validation_report": {"valid": True, "nlines": 1200, "dataset_format": "chat"}},
    )  # fmt: skip
    job = several.resource(ResourceKind.FINE_TUNE, "uses-it", links={"input": "file-9"})
    several.resource(ResourceKind.BATCH, "gone", links={"input": "file-9"}, absent_since=NOW)

    html = read(viewer_client, f"/files/{file.pk}/")

    text = words(html)
    assert "2,048 bytes" in text
    assert "Verdict valid" in text
    assert "1,200" in text
    assert "chat" in text
    assert f'Input of\n    <a class="ui-link" href="/jobs/fine-tune/{job.pk}/">uses-it</a>' in html
    assert "gone" not in text


def test_a_report_of_another_shape_does_no_harm(desk: Desk, viewer_client: Client):
    for report in ("valid", {"valid": "yes", "nlines": "many"}, []):
        file = desk.resource(ResourceKind.FILE, payload={"validation_report": report})

        assert "Validation report" in read(viewer_client, f"/files/{file.pk}/")


def test_users_of_another_team_are_not_named(desk: Desk, viewer_client: Client, other_team):
    file = desk.resource(ResourceKind.FILE, remote_id="file-5")
    theirs = factories.make_project(connection=desk.connection, team=other_team)
    factories.make_resource(project=theirs, name="their-job", links={"input": "file-5"})

    assert "their-job" not in read(viewer_client, f"/files/{file.pk}/")


def test_files_of_another_team_are_not_found(several: Desk, other_operator_client: Client):
    file = several.resource(ResourceKind.FILE)

    assert list_names(read(other_operator_client)) == []
    assert other_operator_client.get(f"/files/{file.pk}/").status_code == 404


def test_what_is_no_file_has_no_page_here(desk: Desk, viewer_client: Client):
    job = desk.resource(ResourceKind.BATCH)

    assert viewer_client.get(f"/files/{job.pk}/").status_code == 404
