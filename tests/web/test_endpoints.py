"""The list: search, filters with counts, sort, pages, selection."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


def read(client: Client, query: str = "", **headers: str) -> str:
    response = client.get(f"/endpoints/{query}", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def list_names(html: str) -> list[str]:
    return re.findall(r'class="ui-t-name" href="/endpoints/\d+/"[^>]*>([^<]+)</a>', html)


def read_chips(html: str) -> dict[str, int]:
    found = re.findall(r'<a class="ui-chip"[^>]*>([^<]+)<span class="ui-count ui-num">(\d+)</span>', html)
    return {label: int(count) for label, count in found}


@pytest.fixture
def mixed(desk: Desk) -> Desk:
    desk.endpoint("support-triage", billable_low=2, billable_high=2)
    desk.idle("docs-qa")
    desk.endpoint("legal-draft", status="scaling")
    desk.endpoint("evals", status="starting", billable_low=0, billable_high=0, ready_replicas=0)
    desk.stopped("voice")
    desk.endpoint(
        "summary", status="failed", state="DEPLOYMENT_STATE_FAILED", state_message="out of memory",
        billable_low=0, billable_high=0,
    )  # fmt: skip
    return desk


def test_anonymous_people_are_sent_to_sign_in():
    assert Client().get("/endpoints/")["Location"].startswith("/sign-in/")


def test_chips_count_every_endpoint_once(mixed: Desk, viewer_client: Client):
    chips = read_chips(read(viewer_client))

    assert chips == {"All": 6, "Running": 2, "Idle": 1, "Starting": 1, "Failed": 1, "Stopped": 1}
    assert chips["All"] == sum(count for label, count in chips.items() if label != "All")


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ("running", {"support-triage", "legal-draft"}),
        ("idle", {"docs-qa"}),
        ("starting", {"evals"}),
        ("failed", {"summary"}),
        ("stopped", {"voice"}),
        ("no-such-status", {"support-triage", "docs-qa", "legal-draft", "evals", "voice", "summary"}),
    ],
)
def test_a_chip_shows_what_it_counts(mixed: Desk, viewer_client: Client, status: str, names: set[str]):
    assert set(list_names(read(viewer_client, f"?status={status}"))) == names


def test_the_footer_sums_what_is_shown(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?status=running")

    footer = html[html.index("<tfoot>") : html.index("</tfoot>")]
    assert "2 endpoints" in footer
    assert "16.20" in footer


@pytest.mark.parametrize(
    "query", ["triage", "TRIAGE support", "llama triage", "h100 triage", "Search triage"]
)
def test_every_word_must_match_name_model_hardware_or_team(mixed: Desk, viewer_client: Client, query: str):
    assert list_names(read(viewer_client, f"?q={query}")) == ["support-triage"]


def test_percent_and_underscore_are_no_wildcards(mixed: Desk, viewer_client: Client):
    assert list_names(read(viewer_client, "?q=%25")) == []
    assert list_names(read(viewer_client, "?q=support_triage")) == []


def test_no_match_quotes_the_query_and_says_what_hides(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?q=<b>llama</b>&status=idle")

    assert "“&lt;b&gt;llama&lt;/b&gt;”" in html
    assert "6 endpoints are hidden by this search and the Idle filter." in html
    assert 'href="/endpoints/"' in html


def test_team_and_hardware_narrow(mixed: Desk, admin_client: Client):
    lonely = factories.make_project(connection=mixed.connection)
    factories.make_deployment(
        endpoint=factories.make_endpoint(project=lonely, display_name="nobodys"),
        hardware="8xnvidia-h200-140gb",
    )

    assert list_names(read(admin_client, "?team=none")) == ["nobodys"]
    assert "nobodys" not in list_names(read(admin_client, f"?team={mixed.team.pk}"))
    assert list_names(read(admin_client, "?hardware=8xnvidia-h200-140gb")) == ["nobodys"]
    assert list_names(read(admin_client, "?team=drop table")) == []


@pytest.mark.parametrize(
    ("sort", "first"),
    [("-burn", "support-triage"), ("name", "docs-qa"), ("-name", "voice"), ("status", "summary")],
)
def test_sorting(mixed: Desk, viewer_client: Client, sort: str, first: str):
    assert list_names(read(viewer_client, f"?sort={sort}"))[0] == first


def test_sorting_by_last_request_puts_the_longest_silent_first(desk: Desk, viewer_client: Client):
    desk.endpoint("now", last_request_at=NOW)
    desk.endpoint("never", last_request_at=None)
    desk.endpoint("long-ago", last_request_at=NOW - timedelta(days=3))

    assert list_names(read(viewer_client, "?sort=request")) == ["never", "long-ago", "now"]
    assert list_names(read(viewer_client, "?sort=-request")) == ["now", "long-ago", "never"]


def test_pages_are_cut_without_loss_or_repeat(desk: Desk, viewer_client: Client):
    for number in range(53):
        desk.endpoint(f"same-price-{number:02}")

    first, second = list_names(read(viewer_client)), list_names(read(viewer_client, "?page=2"))

    assert (len(first), len(second)) == (50, 3)
    assert len(set(first) | set(second)) == 53
    assert list_names(read(viewer_client, "?page=999")) == second
    assert "1–50 of 53 endpoints" in read(viewer_client)


def test_absent_endpoints_and_other_teams_are_not_listed(
    desk: Desk, viewer_client: Client, other_operator_client
):
    desk.endpoint("here")
    desk.endpoint("gone", absent_since=NOW - timedelta(days=1))

    assert list_names(read(viewer_client)) == ["here"]
    assert list_names(read(other_operator_client)) == []


def test_only_people_who_may_act_can_select(mixed: Desk, viewer_client: Client, operator_client: Client):
    assert 'name="endpoint"' not in read(viewer_client)
    html = read(operator_client)
    assert html.count('name="endpoint"') == 4  # what rests or failed cannot be stopped
    assert 'action="/endpoints/stop/"' in html


def test_operators_see_unowned_endpoints_without_buttons(desk: Desk, operator_client: Client):
    lonely = factories.make_project(connection=desk.connection)
    factories.make_deployment(
        endpoint=factories.make_endpoint(
            project=lonely,
            display_name="nobodys",
            traffic_read_until=NOW,
            last_request_at=NOW - timedelta(hours=2),
        )
    )

    html = read(operator_client)

    assert "idle 2 h" in html
    assert "Stop now" not in html


def test_v1_offers_no_start_because_the_provider_refuses_it(desk: Desk, operator_client: Client):
    deployment = factories.make_v1_endpoint(
        project=desk.project, state="STOPPED", billable_low=0, billable_high=0
    )
    deployment.endpoint.status = "stopped"
    deployment.endpoint.save(update_fields=["status"])
    desk.stopped("v2-one")

    html = read(operator_client)

    assert (
        html.count("/start/") == 2 * 2
    )  # href and hx-get of the button, and of the menu, of the v2 one only


def test_the_rate_is_that_of_the_last_known_minutes(desk: Desk, viewer_client: Client):
    desk.traffic(desk.endpoint("busy"), per_minute=212)

    assert "212 req/min" in read(viewer_client)


def test_the_fragment_brings_the_chips_along(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, "?status=idle", **{"HX-Request": "true"})

    assert "<html" not in html
    assert html.strip().startswith('<form id="endpoints"')
    assert '<hx-partial hx-target="#chips"' in html


def test_names_are_escaped(desk: Desk, operator_client: Client):
    desk.idle("<script>alert(1)</script>")

    assert "<script>alert" not in read(operator_client)
