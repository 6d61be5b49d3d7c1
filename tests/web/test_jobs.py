"""The list of jobs: one list over all kinds, with chips, progress, prices, and the states of an empty page."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.mirror.models import ResourceKind, SyncRun
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
Run = SyncRun.Resource
JOB_GROUPS = (Run.FINE_TUNES, Run.BATCHES, Run.EVALUATIONS, Run.UPLOADS)


def read(client: Client, query: str = "", **headers: str) -> str:
    response = client.get(f"/jobs/{query}", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def list_names(html: str) -> list[str]:
    return re.findall(r'class="ui-t-name" href="/jobs/[a-z0-9-]+/\d+/"[^>]*>([^<]+)</a>', html)


def read_chips(html: str, group: str) -> dict[str, int]:
    block = html[html.index(f'aria-label="{group}"') :]
    block = block[: block.index("</div>")]
    found = re.findall(r'<a class="ui-chip"[^>]*>([^<]+)<span class="ui-count ui-num">(\d+)</span>', block)
    return {label: int(count) for label, count in found}


@pytest.fixture
def mixed(desk: Desk) -> Desk:
    desk.resource(
        ResourceKind.FINE_TUNE, "support-tuned", model="Qwen/Qwen3-32B", owner="user_anna",
        total_nano_usd=6_710_000_000, seconds_remaining=3600, started_at=NOW - timedelta(hours=1),
        remote_created_at=NOW - timedelta(hours=2),
    )  # fmt: skip
    desk.resource(
        ResourceKind.FINE_TUNE, "legal-tuned", state="error", state_message="out of memory",
        remote_created_at=NOW - timedelta(hours=3),
    )  # fmt: skip
    desk.resource(
        ResourceKind.BATCH, "nightly", progress=0.42, expires_at=NOW + timedelta(hours=20),
        remote_created_at=NOW - timedelta(hours=4),
    )  # fmt: skip
    desk.resource(ResourceKind.EVALUATION, "score-run", remote_created_at=NOW - timedelta(hours=5))
    desk.resource(ResourceKind.UPLOAD, "ml_77", remote_created_at=NOW - timedelta(hours=6))
    desk.resource(
        ResourceKind.UPLOAD_V1, "old-upload", state="Complete", remote_created_at=NOW - timedelta(hours=7)
    )
    return desk


def test_anonymous_people_are_sent_to_sign_in():
    assert Client().get("/jobs/")["Location"].startswith("/sign-in/")


def test_all_kinds_stand_in_one_list_newest_first(mixed: Desk, viewer_client: Client):
    assert list_names(read(viewer_client)) == [
        "support-tuned", "legal-tuned", "nightly", "score-run", "ml_77", "old-upload",
    ]  # fmt: skip


def test_what_is_no_job_is_not_listed(mixed: Desk, viewer_client: Client):
    for kind in (ResourceKind.FILE, ResourceKind.MODEL, ResourceKind.CLUSTER, ResourceKind.VOLUME):
        mixed.resource(kind, f"not-a-job-{kind}")

    assert "not-a-job" not in read(viewer_client)


def test_chips_count_by_kind_and_by_status(mixed: Desk, viewer_client: Client):
    html = read(viewer_client)

    assert read_chips(html, "Kinds") == {
        "All kinds": 6, "Fine-tunes": 2, "Batches": 1, "Evaluations": 1, "Uploads": 1, "Uploads, v1": 1,
    }  # fmt: skip
    assert read_chips(html, "Filters") == {"All": 6, "Running": 3, "Queued": 0, "Failed": 1, "Completed": 2}


def test_chips_of_one_row_count_within_the_other(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?kind=fine-tune&status=failed")

    assert list_names(html) == ["legal-tuned"]
    assert read_chips(html, "Kinds")["All kinds"] == 1
    assert read_chips(html, "Filters") == {"All": 2, "Running": 1, "Queued": 0, "Failed": 1, "Completed": 0}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?kind=batch", {"nightly"}),
        ("?kind=cluster", {"support-tuned", "legal-tuned", "nightly", "score-run", "ml_77", "old-upload"}),
        ("?status=completed", {"score-run", "old-upload"}),
        ("?q=qwen", {"support-tuned"}),
        ("?q=TUNED+anna", {"support-tuned"}),
        ("?owner=user_anna", {"support-tuned"}),
        ("?q=%25", set()),
        ("?team=none", set()),
        ("?q=%00", {"support-tuned", "legal-tuned", "nightly", "score-run", "ml_77", "old-upload"}),
    ],
)
def test_filters_narrow(mixed: Desk, viewer_client: Client, query: str, names: set[str]):
    assert set(list_names(read(viewer_client, query))) == names


def test_an_upload_is_called_and_found_by_the_name_of_its_model(mixed: Desk, viewer_client: Client):
    mixed.resource(ResourceKind.MODEL, "acme/voice-8b", remote_id="ml_77")

    assert "acme/voice-8b" in list_names(read(viewer_client))
    assert list_names(read(viewer_client, "?q=voice")) == ["acme/voice-8b"]


def test_progress_says_the_share_or_the_time_left(mixed: Desk, viewer_client: Client):
    html = read(viewer_client)

    assert "about 50% of this stage, about 1 h 00 min left" in html
    assert 'aria-label="Progress: 42%' in html
    assert "due in 20 h 00 min" in html
    assert "out of memory" in html


def test_a_price_that_is_not_told_is_no_number(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?kind=fine-tune")

    assert "6.71" in html
    assert "The provider tells no price of this job" in html
    assert "0.00" not in html[html.index("<tbody>") : html.index("</tbody>")]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("name", "legal-tuned"), ("-price", "support-tuned"), ("created", "old-upload"), ("status", "legal-tuned"),
     ("-progress", "nightly"), ("no-such-order", "support-tuned")],
)  # fmt: skip
def test_sorting(mixed: Desk, viewer_client: Client, sort: str, first: str):
    assert list_names(read(viewer_client, f"?sort={sort}"))[0] == first


def test_pages_are_cut_without_loss_or_repeat(desk: Desk, viewer_client: Client):
    for number in range(53):
        desk.resource(ResourceKind.BATCH, f"same-time-{number:02}")

    first, second = list_names(read(viewer_client)), list_names(read(viewer_client, "?page=2"))

    assert (len(first), len(second)) == (50, 3)
    assert len(set(first) | set(second)) == 53


def test_absent_jobs_and_those_of_other_teams_are_not_listed(
    mixed: Desk, viewer_client: Client, other_operator_client: Client
):
    mixed.resource(ResourceKind.BATCH, "gone", absent_since=NOW - timedelta(days=1))

    assert "gone" not in list_names(read(viewer_client))
    assert list_names(read(other_operator_client)) == []


def test_no_match_quotes_the_query_and_says_what_hides(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?q=<b>llama</b>&status=failed")

    assert "“&lt;b&gt;llama&lt;/b&gt;”" in html
    assert re.search(r"6\s+jobs are\s+hidden by this search and the\s+Failed filter", html)


def test_an_empty_list_says_so(desk: Desk, viewer_client: Client):
    assert "No job" in read(viewer_client)


def test_before_the_first_reading_nothing_is_called_empty(frozen: None, desk: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource__in=JOB_GROUPS).delete()

    html = read(viewer_client)

    assert "First reading" in html
    assert "never synced" in html
    assert "No job" not in html


def test_what_the_provider_does_not_offer_is_no_error(desk: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource__in=JOB_GROUPS).update(
        outcome=SyncRun.Outcome.UNAVAILABLE, error="403: not enabled for this organisation."
    )

    html = read(viewer_client)

    assert "Not offered to this key" in html
    assert "403: not enabled for this organisation." in html
    assert 'class="ui-note' not in html


def test_one_group_that_is_not_offered_is_named_under_the_rest(mixed: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource=Run.EVALUATIONS).update(outcome=SyncRun.Outcome.UNAVAILABLE)

    html = read(viewer_client)

    assert "Evaluations are not offered to the key of Fernhill." in html
    assert "support-tuned" in html


def test_a_failed_reading_keeps_the_rows_and_says_what_failed(mixed: Desk, viewer_client: Client):
    factories.make_sync_run(
        connection=mixed.connection, resource=Run.BATCHES, outcome=SyncRun.Outcome.FAILED,
        started_at=NOW - timedelta(seconds=5), error="The provider answered 503.",
    )  # fmt: skip

    html = read(viewer_client)

    assert "The last reading of batches of Fernhill was not complete." in html
    assert "The provider answered 503." in html
    assert "nightly" in html


def test_the_age_is_that_of_the_oldest_group_and_old_states_are_past(mixed: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource=Run.BATCHES).update(started_at=NOW - timedelta(minutes=9))

    html = read(viewer_client)

    assert "sync late: 9 min ago" in html
    assert "Was running" in html


def test_the_age_of_an_open_page_stays_its_own(mixed: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource=Run.BATCHES).update(started_at=NOW - timedelta(minutes=9))
    url = re.search(r'hx-get="(/notices/[^"]+)"', read(viewer_client))
    assert url is not None

    html = viewer_client.get(url[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).content.decode()

    assert "sync late: 9 min ago" in html


def test_the_fragment_brings_the_chips_along(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?status=failed", **{"HX-Request": "true"})

    assert "<html" not in html
    assert '<hx-partial hx-target="#chips"' in html
    assert 'data-live="fine-tune,batch,evaluation,upload,upload-v1,actions' in html


def test_names_are_escaped(desk: Desk, viewer_client: Client):
    desk.resource(ResourceKind.FINE_TUNE, "<script>alert(1)</script>", owner="<b>me</b>", model="<i>m</i>")

    html = read(viewer_client)

    assert "<script>alert" not in html
    assert "<b>me" not in html
    assert "<i>m</i>" not in html
