"""The cost explorer and what lies beneath its numbers."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import Condition, IntervalSource, LedgerEntry, Meter, Use
from dashboard.accounts.models import Team
from dashboard.mirror.models import CatalogueModel, Endpoint, TrafficHalfHour
from tests import cost_factories, factories, model_factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
HTMX = {"HX-Request": "true"}
MONTH = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def other_team(db: None) -> Team:
    return factories.make_team("research")


def run(
    endpoint: Endpoint, *, hours: float = 10, start: datetime = NOW - timedelta(hours=20), **fields: object
) -> Meter:
    """Write a meter of the endpoint's deployment that billed for so long; it is its team's."""
    meter = cost_factories.make_meter(deployment=endpoint.deployments.get())
    cost_factories.make_ownership(meter, team=endpoint.project.team)
    cost_factories.make_interval(meter, start=start, end=start + timedelta(hours=hours), **fields)
    return meter


def read(client: Client, query: str = "", path: str = "/costs/") -> str:
    response = client.get(f"{path}?{query}")
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def chart_of(html: str) -> dict[str, object]:
    found = re.search(r'id="cost-chart-data" type="application/json">(.*?)</script>', html)
    assert found
    return json.loads(found.group(1))


def test_the_table_and_the_strip_say_the_same_total(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("docs-qa"), hours=10)
    run(desk.endpoint("support"), hours=2.5, units=2)

    html = read(finance_client, "group=endpoint")

    # 10 h x 5.40 + 2.5 h x 2 x 5.40
    assert html.count("81.00") >= 2
    assert "docs-qa" in html
    assert "54.00" in html
    assert "27.00" in html
    assert "66.7%" in html


def test_bars_add_up_to_the_rows_and_open_their_intervals(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("docs-qa"), hours=10)

    chart = chart_of(read(finance_client, "group=endpoint"))
    series = chart["series"][0]

    assert sum(value or 0 for value in series["values"]) == pytest.approx(54)
    url = next(url for url, value in zip(series["links"], series["values"], strict=False) if value)
    assert "docs-qa" in read(finance_client, *reversed(url.split("?")))


def test_teams_see_their_own_cost_only(
    desk: Desk, other_team: Team, operator_client: Client, finance_client: Client
) -> None:
    run(desk.endpoint("docs-qa"))
    project = factories.make_project(connection=desk.connection, team=other_team, name="lab")
    run(Desk(desk.connection, project, other_team).endpoint("secret-run"), hours=7)

    mine = read(operator_client, "group=endpoint")

    assert "secret-run" not in mine
    assert "37.80" not in mine
    assert "secret-run" in read(finance_client, "group=endpoint")


def test_a_price_that_nobody_knows_is_counted_and_never_zero(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("docs-qa"), nano_usd_per_hour=None)

    html = read(finance_client)

    assert "price unknown" in html
    assert "10 h 00 min billed at an unknown price" in html


def test_a_range_is_shown_as_one(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("old"), hours=1, rate_low=5_400_000_000, rate_high=16_200_000_000)

    html = read(finance_client)

    assert "5.40–16.20" in html
    assert "v1 range" in html


def test_what_was_paid_while_idle_is_told(desk: Desk, finance_client: Client) -> None:
    meter = run(desk.endpoint("docs-qa"), hours=5)
    cost_factories.make_interval(
        meter, start=NOW - timedelta(hours=15), end=NOW - timedelta(hours=10), use=Use.IDLE
    )

    html = read(finance_client)

    assert "Paid while idle" in html
    assert "$27.00" in html
    assert "50.0% of spend" in html


def test_the_period_before_is_compared_with_and_what_grew_is_marked(
    desk: Desk, finance_client: Client
) -> None:
    meter = run(desk.endpoint("docs-qa"), hours=10)
    start = datetime(2026, 10, 5, tzinfo=UTC)
    cost_factories.make_interval(meter, start=start, end=start + timedelta(hours=5))

    html = read(finance_client)

    assert "1–20 October, 12:00" in html
    assert "+27.00" in html
    assert "+100.0%" in html
    assert 'class="ui-mark"' in html


def test_what_cost_something_only_before_has_a_row_all_the_same(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("gone-now"), start=datetime(2026, 10, 5, tzinfo=UTC))

    html = read(finance_client, "group=endpoint&period=month")

    assert "gone-now" in html
    assert "−54.00" in html


def test_a_row_opens_as_a_filter_and_the_filter_can_be_taken_out(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("docs-qa"))
    html = read(finance_client)
    url = re.search(r'class="ui-cost-name" href="([^"]+)"', html)
    assert url

    narrowed = read(finance_client, url.group(1).replace("&amp;", "&").split("?")[1])

    assert f"Team: {desk.team.name}" in narrowed
    assert "docs-qa" in narrowed
    assert "remove the filter" in narrowed


@pytest.mark.parametrize(
    "query",
    [
        "period=today",
        "period=7d&by=hour",
        "period=last-month&group=sku",
        "period=year&group=meter&sort=label",
    ],
)
def test_every_view_of_it_can_be_read(desk: Desk, finance_client: Client, query: str) -> None:
    run(desk.endpoint("docs-qa"))

    read(finance_client, query)


def test_htmx_gets_the_live_part_alone(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("docs-qa"))

    html = finance_client.get("/costs/", headers=HTMX).content.decode()

    assert html.lstrip().startswith("<div")
    assert "<html" not in html


def test_before_anything_is_metered_the_page_says_so(desk: Desk, finance_client: Client) -> None:
    assert "Metering starts" in read(finance_client)


def test_an_anonymous_request_sees_nothing(client: Client) -> None:
    assert client.get("/costs/").status_code == 302
    assert client.get("/costs/intervals/").status_code == 302


def test_intervals_add_up_to_the_number_that_was_opened(desk: Desk, finance_client: Client) -> None:
    meter = run(desk.endpoint("docs-qa"), hours=10)
    cost_factories.make_interval(meter, start=NOW - timedelta(hours=1), end=None)

    html = read(finance_client, f"meter={meter.pk}", "/costs/intervals/")

    assert "2 intervals, " in html
    assert "$59.40" in html
    assert "54.0000" in html
    assert "5.4000" in html
    assert "provisional" in html


def test_an_interval_shows_formula_edges_postings_and_bill(desk: Desk, finance_client: Client) -> None:
    endpoint = desk.endpoint("docs-qa")
    meter = run(endpoint, hours=10, evidence="event evt_1")
    start = NOW - timedelta(hours=20)
    deployment = endpoint.deployments.get()
    deployment.changes.create(
        at=start, state="DEPLOYMENT_STATE_READY", ready_replicas=1, source="event", event_id="evt_1"
    )
    LedgerEntry.objects.create(
        meter=meter,
        kind=LedgerEntry.Kind.CHARGE,
        key="k",
        start=start,
        end=start + timedelta(hours=10),
        condition=Condition.BILLS,
        source=IntervalSource.EVENT,
        units_high=1,
        nano_usd_per_hour=factories.H100_NANO_USD_PER_HOUR,
    )

    html = read(finance_client, path=reverse("costs_interval", args=[meter.pk, start.isoformat()]))

    assert "$54.0000" in html
    assert "event evt_1" in html
    assert "DEPLOYMENT_STATE_READY" in html
    assert "Charge" in html


def test_the_evidence_of_another_teams_cost_is_not_shown(
    desk: Desk, other_team: Team, operator_client: Client, finance_client: Client
) -> None:
    """Its project may be seen, and the cost is all the same the other team's."""
    meter = cost_factories.make_meter(deployment=desk.endpoint("docs-qa").deployments.get())
    cost_factories.make_ownership(meter, team=other_team)
    start = NOW - timedelta(hours=3)
    cost_factories.make_interval(meter, start=start, end=NOW)
    path = reverse("costs_interval", args=[meter.pk, start.isoformat()])

    assert operator_client.get(path).status_code == 404
    assert finance_client.get(path).status_code == 200


def test_a_filter_does_not_tell_the_name_of_what_is_another_teams(
    desk: Desk, finance_client: Client, operator_client: Client, other_team: Team
) -> None:
    project = factories.make_project(connection=desk.project.connection, team=other_team)
    endpoint = factories.make_endpoint(project=project, display_name="secret-plan")
    factories.make_deployment(endpoint=endpoint, name="secret-deployment")
    meter = run(endpoint)
    query = f"meter={meter.pk}&endpoint={endpoint.pk}&project={endpoint.project_id}&team={other_team.pk}"

    for path in ("/costs/", "/costs/intervals/"):
        seen = read(finance_client, query, path=path)
        assert "Endpoint: secret-plan" in seen
        assert f"Team: {other_team.name}" in seen
        hidden = read(operator_client, query, path=path)
        assert "secret-plan" not in hidden
        assert meter.name not in hidden
        assert f"Team: {other_team.name}" not in hidden


def test_a_charge_of_an_unknown_price_is_no_stretch_of_no_seconds(desk: Desk, finance_client: Client) -> None:
    run(desk.endpoint("reserved"), hours=1 / 3_600_000_000, nano_usd_per_hour=None)

    html = read(finance_client, "group=endpoint")

    assert "a one-time charge of an unknown price" in html
    assert "0 s billed" not in html


@pytest.mark.parametrize("offset", ["+23:59", "-23:59"])
def test_an_offset_that_no_zone_has_is_read_all_the_same(
    desk: Desk, finance_client: Client, offset: str
) -> None:
    meter = run(desk.endpoint("docs-qa"))
    start, end = (f"{NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%S}{offset}" for days in (9, 5))

    found = finance_client.get("/costs/intervals/", {"start": start, "end": end})

    assert found.status_code == 200
    assert finance_client.get(f"/costs/meters/{meter.pk}/at/{start}/").status_code == 404


@pytest.mark.parametrize("path", ["", "intervals/", "export/", "units/", "bill/"])
@pytest.mark.parametrize(
    "query", ["team=%00", "tags=a%3D%00", "endpoint=x", "endpoint=-", "meter=%D9%A3", f"team={'9' * 400}"]
)
def test_what_names_nothing_is_no_error(desk: Desk, finance_client: Client, path: str, query: str) -> None:
    run(desk.endpoint("docs-qa"))

    assert finance_client.get(f"/costs/{path}?{query}").status_code == 200


@pytest.mark.parametrize(
    "moment",
    [
        "x",
        "2026-11-20",
        "2026-11-20T12:00:00",
        "1999-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_a_moment_without_an_interval_is_no_page(desk: Desk, finance_client: Client, moment: str) -> None:
    meter = run(desk.endpoint("docs-qa"))

    assert finance_client.get(f"/costs/meters/{meter.pk}/at/{moment}/").status_code == 404


def test_unit_costs_are_told_busy_and_all_in_beside_serverless(desk: Desk, finance_client: Client) -> None:
    endpoint = desk.endpoint("docs-qa")
    model_factories.make_catalogue_model(
        connection=desk.connection,
        name=endpoint.model,
        origin=CatalogueModel.Origin.SERVERLESS,
        is_serverless=True,
        input_nano_usd=200_000_000,
        output_nano_usd=600_000_000,
    )
    meter = run(endpoint, hours=1, start=NOW - timedelta(hours=2))
    cost_factories.make_interval(meter, start=NOW - timedelta(hours=1), end=NOW, use=Use.IDLE)
    TrafficHalfHour.objects.create(
        endpoint=endpoint,
        start=NOW - timedelta(hours=2),
        requests=900,
        input_tokens=2_000_000,
        output_tokens=1_000_000,
    )

    html = read(finance_client, "period=today", "/costs/units/")

    # $5.40 for 3M tokens while busy, $10.80 all-in; serverless $1.00 for the same 3M.
    assert "1.80" in html
    assert "3.60" in html
    assert "0.33" in html
    assert "Not at this traffic" in html
    # It burns $5.40/h now.
    assert "from 4,860 requests or 16.2M tokens an hour" in html


def test_unit_costs_of_another_team_are_not_shown(
    desk: Desk, other_team: Team, operator_client: Client
) -> None:
    project = factories.make_project(connection=desk.connection, team=other_team, name="lab")
    run(Desk(desk.connection, project, other_team).endpoint("secret-run"))

    assert "secret-run" not in read(operator_client, "", "/costs/units/")


def test_the_numbers_are_compared_for_the_whole_organisation_only(
    desk: Desk, finance_client: Client, operator_client: Client
) -> None:
    run(desk.endpoint("docs-qa"))

    assert "Do the numbers agree?" in read(finance_client)
    assert "Do the numbers agree?" not in read(finance_client, f"team={desk.team.pk}")
    assert "Do the numbers agree?" not in read(operator_client)
