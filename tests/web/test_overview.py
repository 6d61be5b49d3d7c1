"""The front page: figures that agree, states of the mirror, who sees what."""

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import User
from dashboard.lifecycle import actions
from dashboard.mirror.models import ResourceKind, SyncRun
from tests import factories
from tests.conftest import sign_in
from tests.factories import H100_NANO_USD_PER_HOUR as H100
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")


def read(client: Client, **headers: str) -> str:
    response = client.get("/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_anonymous_people_are_sent_to_sign_in():
    assert Client().get("/")["Location"].startswith("/sign-in/")


def test_posting_is_refused(viewer_client: Client):
    assert viewer_client.post("/").status_code == 405


def test_the_same_burn_stands_in_strip_meter_and_total(desk: Desk, viewer_client: Client):
    desk.endpoint("triage", billable_low=2, billable_high=2)
    desk.endpoint("embed")

    html = read(viewer_client)

    assert html.count("$16.20") >= 2  # strip and meter (and the top bar of phones)
    assert '<span class="ui-num">16.20</span>' in html
    assert "$0.27</b> per minute" in html


def test_rows_are_sorted_by_cost_and_what_rests_is_left_out(desk: Desk, viewer_client: Client):
    desk.endpoint("cheap")
    desk.endpoint("dear", billable_low=4, billable_high=4)
    desk.stopped("resting")

    html = read(viewer_client)

    table = html[html.index("<tbody>") : html.index("</tbody>")]
    assert table.index(">dear</a>") < table.index(">cheap</a>")
    assert "resting" not in table


def test_idle_waste_counts_only_what_the_evidence_calls_idle(desk: Desk, viewer_client: Client):
    desk.idle("sleeper")
    desk.endpoint("busy")
    desk.endpoint("blind", traffic_read_until=None, last_request_at=None)

    html = read(viewer_client)

    assert "<b>1</b> endpoint, <b>33%</b> of burn" in html
    assert "Review 1 idle" in html
    assert "idle 47 min" in html
    assert "traffic unknown" in html


def test_v1_makes_the_total_a_range(desk: Desk, viewer_client: Client):
    factories.make_v1_endpoint(project=desk.project)

    html = read(viewer_client)

    assert "$5.40–10.80" in html
    assert "v1 tells no number of replicas" in html


def test_an_unknown_price_says_at_least_and_never_zero(desk: Desk, viewer_client: Client):
    desk.endpoint("priced")
    desk.endpoint("unpriced", nano_usd_per_hour=None)

    html = read(viewer_client)

    assert "≥$5.40" in html
    assert "price unknown" in html
    assert "At least: 1 billing unit of unknown price" in html


def test_people_see_their_teams_and_unowned_projects_only(desk: Desk, other_operator_client: Client):
    desk.endpoint("secret-project")
    lonely = factories.make_project(connection=desk.connection)
    factories.make_deployment(endpoint=factories.make_endpoint(project=lonely, display_name="nobodys"))

    html = read(other_operator_client)

    assert "secret-project" not in html
    assert "nobodys" in html
    assert "$5.40" in html
    assert "$10.80" not in html


def test_people_without_right_see_no_acts(desk: Desk, viewer_client: Client, operator_client: Client):
    desk.idle("sleeper")

    assert "Stop now" not in read(viewer_client)
    assert "Stop now" in read(operator_client)


def test_without_a_connection_an_admin_is_led_to_settings(admin_client: Client, viewer_client: Client):
    assert "/settings/connections/" in read(admin_client)
    assert "An Admin adds connections" in read(viewer_client)


def test_before_the_first_reading_nothing_is_claimed(viewer_client: Client, team, admin_client: Client):
    connection = factories.make_connection(name="Fresh")
    factories.make_sync_run(
        connection=connection, outcome=SyncRun.Outcome.RUNNING, finished_at=None, started_at=NOW
    )

    html = read(admin_client)

    assert "endpoints and deployments are being read" in html
    assert "never synced" in html
    assert "No endpoint is running" not in html


def test_when_nothing_runs_the_last_fact_is_told(desk: Desk, viewer_client: Client):
    desk.stopped("voice", status_since=NOW - timedelta(hours=3))

    html = read(viewer_client)

    assert "No endpoint is running" in html
    assert "voice, stopped" in html
    assert "3 h ago" in html


def test_a_stale_mirror_says_was_and_judges_no_idleness(desk: Desk, viewer_client: Client):
    desk.idle("sleeper")
    SyncRun.objects.update(started_at=NOW - timedelta(minutes=8), finished_at=NOW - timedelta(minutes=8))

    html = read(viewer_client)

    assert "Was idle" in html
    assert "not judged" in html
    assert "Figures of Fernhill are 8 min old." in html
    assert "Review 1 idle" not in html
    assert "of which idle" not in html


def test_a_late_mirror_warns_but_still_says_is(desk: Desk, viewer_client: Client):
    desk.endpoint("busy")
    SyncRun.objects.update(started_at=NOW - timedelta(minutes=3), finished_at=NOW - timedelta(minutes=3))

    html = read(viewer_client)

    assert "sync late: 3 min ago" in html
    assert ">Was " not in html


def test_the_last_act_names_who_asked_and_links_its_receipt(
    desk: Desk, viewer_client: Client, operator: User
):
    endpoint = desk.idle("sleeper")
    made = actions.request_stop_of_endpoint(
        endpoint, actor=Actor.for_person(operator), idempotency_key="one"
    )[0]

    html = read(viewer_client)

    assert "by Oda Operator" in html
    assert f"/actions/{made.action.public_id}/" in html
    assert "1 under way" in html


def test_htmx_gets_the_fragment_alone(desk: Desk, viewer_client: Client):
    desk.endpoint("busy")

    html = read(viewer_client, **{"HX-Request": "true"})

    assert "<html" not in html
    assert html.strip().startswith('<div class="ui-stack" id="overview"')


def test_recent_events_merge_people_and_provider_newest_first(
    desk: Desk, admin_client: Client, operator: User
):
    from dashboard.mirror.models import EndpointEvent

    endpoint = desk.idle("sleeper")
    for number, message in enumerate(["Scaled from 0 to 1", "Scaled from 1 to 2"]):
        EndpointEvent.objects.create(
            endpoint=endpoint,
            remote_id=f"evt{number}",
            at=NOW - timedelta(hours=3 - number),
            type="deployment.scaled",
            message=message,
            payload={},
        )
    actions.request_stop_of_endpoint(endpoint, actor=Actor.for_person(operator), idempotency_key="one")

    html = read(admin_client)

    events = html[html.index("Recent events") :]
    first, second, third = (
        events.index("stop of deployment"),
        events.index("scaled from 1 to 2"),
        events.index("scaled from 0 to 1"),
    )
    assert first < second < third
    assert "requested by Oda Operator" in events


def test_a_finance_reviewer_sees_everything_and_no_button(desk: Desk):
    desk.idle("sleeper")

    html = read(sign_in(factories.make_finance()))

    assert "sleeper" in html
    assert "Stop now" not in html
    assert H100 == 5_400_000_000


def test_a_first_reading_waits_for_the_end_of_a_pass_even_if_it_finds_nothing(
    desk: Desk, viewer_client: Client
):
    assert ",sync" not in read(viewer_client)

    SyncRun.objects.all().delete()

    assert 'data-live="endpoints,resources,actions,traffic,projects,connections,sync"' in read(viewer_client)


def test_what_bills_beside_endpoints_is_in_the_burn_and_listed_dearest_first(
    desk: Desk, viewer_client: Client
):
    desk.resource(ResourceKind.CLUSTER, "train", units=8, nano_usd_per_unit_hour=3_000_000_000)
    desk.resource(ResourceKind.VOLUME, "corpus", units=4)
    desk.resource(ResourceKind.FILE, "rows.jsonl")

    html = read(viewer_client)

    panel = html.split("Clusters, volumes, containers</h2>")[1].split("</section>")[0]
    assert panel.index("train") < panel.index("corpus")
    assert "rows.jsonl" not in panel
    assert "24.00" in panel
    assert "price unknown" in panel
    assert html.count("$24.00") >= 2  # strip and meter (and the top bar of phones)
    assert "At least: 4 billing units of unknown price" in html


def test_more_that_bills_than_is_listed_is_said_and_summed(desk: Desk, viewer_client: Client):
    for number in range(9):
        desk.resource(
            ResourceKind.VOLUME, f"volume-{number}", units=1, nano_usd_per_unit_hour=(number + 1) * 10**9
        )

    panel = read(viewer_client).split("Clusters, volumes, containers</h2>")[1].split("</section>")[0]

    assert "the 8 dearest that bill" in panel
    assert "volume-0" not in panel
    assert "with those not listed here" in panel
    assert "45.00" in panel


def test_jobs_under_way_are_listed_and_ended_ones_are_not(desk: Desk, viewer_client: Client):
    desk.resource(ResourceKind.FINE_TUNE, "being-trained", state="running")
    desk.resource(ResourceKind.FINE_TUNE, "trained-before", state="completed")

    html = read(viewer_client)

    assert "being-trained" in html
    assert "trained-before" not in html


def test_what_other_teams_rent_is_neither_shown_nor_counted(desk: Desk, viewer_client: Client):
    foreign = factories.make_project(connection=desk.connection, team=factories.make_team("Legal"))
    price = 1_000_000_000_000
    factories.make_resource(
        kind=ResourceKind.CLUSTER, project=foreign, name="theirs", units=8, nano_usd_per_unit_hour=price
    )

    html = read(viewer_client)

    assert "theirs" not in html
    assert "8,000" not in html
