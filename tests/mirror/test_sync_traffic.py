"""Traffic minutes against what the simulator knows it served."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db.models import Sum

from dashboard.mirror.minutes import floor_minute
from dashboard.mirror.models import (
    CounterReading,
    Deployment,
    Endpoint,
    TrafficCoverage,
    TrafficMinute,
)
from dashboard.mirror.store_traffic import SeenTraffic, store_traffic
from dashboard.mirror.sync_traffic import MOST_ANALYTICS
from tests.mirror.conftest import Mirror, parse_time

NAME = "docs-qa-gpt-oss-120b"


def true_requests(mirror: Mirror, deployment: Deployment, start: datetime, end: datetime) -> int:
    """Return the requests that the simulator served in `[start, end)`, by its own analytics."""
    project, endpoint = deployment.endpoint.project.remote_id, deployment.endpoint.remote_id
    times = f"startTime={start:%Y-%m-%dT%H:%M:%SZ}&endTime={end:%Y-%m-%dT%H:%M:%SZ}"
    body = mirror.simulator.call(
        "GET",
        f"/v2/projects/{project}/endpoints/{endpoint}/analytics?{times}&deploymentId={deployment.remote_id}",
    )
    return int(body["metrics"]["requestMetrics"]["totalRequests"])


def mirrored_requests(deployment: Deployment, start: datetime, end: datetime) -> int:
    rows = TrafficMinute.objects.filter(deployment=deployment, minute__gte=start, minute__lt=end)
    return rows.aggregate(total=Sum("requests"))["total"] or 0


def inject(mirror: Mirror, deployment: Deployment, requests: int) -> None:
    mirror.simulator.admin(
        "POST", f"/deployments/{deployment.remote_id}/traffic", requests=requests, input_tokens=10 * requests
    )


def silence(mirror: Mirror) -> None:
    for deployment in Deployment.objects.filter(generation="v2"):
        mirror.simulator.admin("POST", f"/deployments/{deployment.remote_id}/profile")


@pytest.fixture
def quiet(filled: Mirror) -> Mirror:
    """The demo organisation without any traffic of its own, read once through its metrics."""
    silence(filled)
    filled.sync_traffic()
    return filled


@pytest.fixture
def blind(db: None, organize: Callable[..., Mirror]) -> Mirror:
    """An organisation without the metrics endpoint."""
    mirror = organize(org_without_metrics=True)
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    return mirror


def test_the_first_day_comes_from_analytics_minute_by_minute(filled: Mirror):
    filled.sync_traffic()

    end = floor_minute(filled.now)
    start = end - timedelta(hours=23)
    for deployment in Deployment.objects.filter(generation="v2", billable_high__gt=0):
        begins = max(start, floor_minute(deployment.remote_created_at) + timedelta(minutes=1))
        assert mirrored_requests(deployment, begins, end) == true_requests(filled, deployment, begins, end), (
            deployment.name
        )
    assert TrafficMinute.objects.filter(deployment__endpoint__display_name="support-triage-70b").count() > 300


def test_scrapes_add_up_to_what_was_served(filled: Mirror):
    filled.sync_traffic()
    start = filled.now
    for _ in range(5):
        filled.advance(60)
        filled.sync_traffic()

    assert start == floor_minute(start)
    busy = filled.deployment("support-triage-70b")
    assert mirrored_requests(busy, start, filled.now) == true_requests(filled, busy, start, filled.now) > 0
    assert TrafficCoverage.objects.filter(deployment=busy, origin="metrics").count() == 1
    assert filled.endpoint("support-triage-70b").traffic_read_until == filled.now


def test_a_deployment_met_after_a_reading_does_not_bring_its_past_along(filled: Mirror):
    """The first reading of a start may come before the endpoints are known: its counters belong to nobody."""
    deployment = filled.deployment("search-embed-e5")
    start = floor_minute(filled.now)
    CounterReading.objects.all().delete()
    filled.sync_traffic()
    CounterReading.objects.all().delete()
    filled.advance(60)
    Deployment.objects.update(first_observed_at=filled.now)
    filled.advance(120)

    for _ in range(3):
        filled.sync_traffic()
        filled.advance(60)

    end = start + timedelta(minutes=3)
    served = true_requests(filled, deployment, start, end)
    assert served
    assert abs(mirrored_requests(deployment, start, end) - served) <= served * 0.5


def test_without_metrics_analytics_tell_the_same(blind: Mirror):
    blind.sync_traffic()
    start = blind.now
    for _ in range(5):
        blind.advance(60)
        blind.sync_traffic()

    busy = blind.deployment("support-triage-70b")
    known_until = blind.endpoint("support-triage-70b").traffic_read_until
    assert start + timedelta(minutes=3) <= known_until <= blind.now
    assert mirrored_requests(busy, start, known_until) == true_requests(blind, busy, start, known_until) > 0
    assert set(TrafficCoverage.objects.values_list("origin", flat=True)) == {"analytics"}


def test_a_minute_told_in_two_parts_is_the_sum(quiet: Mirror):
    deployment = quiet.deployment(NAME)
    quiet.advance(20)
    quiet.sync_traffic()
    inject(quiet, deployment, 7)
    quiet.advance(20)
    quiet.sync_traffic()
    inject(quiet, deployment, 5)
    quiet.advance(80)

    quiet.sync_traffic()

    assert mirrored_requests(deployment, quiet.now - timedelta(minutes=2), quiet.now) == 12


def test_idle_is_told_as_known_and_zero(quiet: Mirror):
    deployment = quiet.deployment(NAME)
    start = quiet.now
    for _ in range(3):
        quiet.advance(60)
        quiet.sync_traffic()

    stretch = TrafficCoverage.objects.get(deployment=deployment, origin="metrics")
    assert (stretch.period.lower, stretch.period.upper) == (start, quiet.now)
    assert not TrafficMinute.objects.filter(deployment=deployment, minute__gte=start).exists()


def test_counters_that_stand_still_are_not_written_again(quiet: Mirror):
    inject(quiet, quiet.deployment(NAME), 4)
    quiet.advance(60)
    quiet.sync_traffic()
    before = dict(CounterReading.objects.values_list("pk", "read_at"))
    assert before
    quiet.advance(60)

    quiet.sync_traffic()

    assert dict(CounterReading.objects.values_list("pk", "read_at")) == before


def test_a_counter_that_began_again_counts_from_zero(quiet: Mirror):
    deployment = quiet.deployment(NAME)
    inject(quiet, deployment, 4)
    quiet.advance(60)
    quiet.sync_traffic()
    counters = CounterReading.objects.filter(deployment=deployment, series__startswith="requests|")
    present = counters.aggregate(total=Sum("value"))["total"]
    counters.update(value=10**9)
    quiet.advance(60)

    quiet.sync_traffic()

    # A restarted counter's whole value is new: rather too much traffic than too little.
    assert mirrored_requests(deployment, quiet.now - timedelta(minutes=1), quiet.now) == present > 0


def test_an_outage_of_ours_is_filled_from_analytics_without_counting_twice(quiet: Mirror):
    deployment = quiet.deployment(NAME)
    start = quiet.now
    quiet.advance(600)
    inject(quiet, deployment, 9)
    quiet.advance(600)

    quiet.sync_traffic()
    quiet.advance(60)
    quiet.sync_traffic()
    quiet.advance(60)
    quiet.sync_traffic()

    assert mirrored_requests(deployment, start, quiet.now) == 9
    minute = TrafficMinute.objects.get(deployment=deployment, minute__gte=start, requests__gt=0)
    assert minute.minute == start + timedelta(minutes=10)
    assert quiet.endpoint(NAME).traffic_read_until == quiet.now


def test_a_hole_stops_read_until_although_newer_minutes_are_known(quiet: Mirror):
    deployment = quiet.deployment(NAME)
    quiet.advance(60)
    quiet.sync_traffic()
    before_hole = quiet.now
    quiet.advance(600)
    inject(quiet, deployment, 9)
    quiet.break_with("unavailable", route="*/analytics")
    quiet.advance(60)

    quiet.sync_traffic()
    quiet.advance(60)
    quiet.sync_traffic()

    endpoint = quiet.endpoint(NAME)
    assert endpoint.traffic_read_until == before_hole
    assert endpoint.last_request_at > before_hole
    quiet.simulator.clear_faults()
    quiet.advance(60)
    quiet.sync_traffic()
    assert quiet.endpoint(NAME).traffic_read_until == quiet.now


def test_an_unknown_stretch_lets_knowledge_go_on_and_counts_as_used_until_its_end(blind: Mirror):
    silence(blind)
    blind.sync_traffic()
    deployment, endpoint = blind.deployment(NAME), blind.endpoint(NAME)
    start, end = endpoint.traffic_read_until, endpoint.traffic_read_until + timedelta(hours=2)
    unknown = SeenTraffic(deployment.pk, start, end, is_covered=False, last_request_before=end)

    store_traffic(blind.connection, seen=[unknown], origin=TrafficCoverage.Origin.UNKNOWN)

    endpoint.refresh_from_db()
    assert (endpoint.traffic_read_until, endpoint.last_request_at) == (end, end)


def test_two_gaps_of_one_deployment_in_one_pass_are_both_covered_and_counted_once(blind: Mirror):
    silence(blind)
    deployment = blind.deployment(NAME)
    now = floor_minute(blind.now)
    for hours in (2, 4):
        blind.simulator.admin(
            "POST",
            f"/deployments/{deployment.remote_id}/traffic",
            requests=3,
            at=(now - timedelta(hours=hours, minutes=30)).isoformat(),
        )
    start = now - timedelta(hours=25)
    for begins, ends in (
        (start, now - timedelta(hours=5)),
        (now - timedelta(hours=4), now - timedelta(hours=3)),
    ):
        TrafficCoverage.objects.create(deployment=deployment, period=(begins, ends), origin="analytics")

    for _ in range(3):
        blind.sync_traffic()

    assert mirrored_requests(deployment, now - timedelta(hours=6), now) == 6


def test_all_deployments_get_their_turn_when_there_are_more_than_calls(
    db: None, organize: Callable[..., Mirror]
):
    mirror = organize(scenario="large", speed=1, org_without_metrics=True)
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    keep = list(Deployment.objects.filter(billable_high__gt=0).order_by("pk")[: 2 * MOST_ANALYTICS])
    Deployment.objects.filter(billable_high__gt=0).exclude(pk__in=[row.pk for row in keep]).update(
        billable_high=0, billable_low=0
    )

    mirror.sync_traffic()
    mirror.advance(60)
    mirror.sync_traffic()

    assert set(TrafficCoverage.objects.values_list("deployment", flat=True)) == {row.pk for row in keep}


def test_v1_endpoints_have_no_traffic_signal(filled: Mirror):
    filled.sync_traffic()

    v1 = Endpoint.objects.filter(generation="v1")
    assert set(v1.values_list("traffic_read_until", "last_request_at")) == {(None, None)}


def test_the_last_request_is_never_earlier_than_it_was(quiet: Mirror):
    deployment = quiet.deployment(NAME)
    quiet.advance(60)
    inject(quiet, deployment, 1)
    served_at = quiet.now
    quiet.advance(30)

    quiet.sync_traffic()

    last = quiet.endpoint(NAME).last_request_at
    assert served_at <= last <= quiet.now
    assert parse_time(quiet.simulator.admin("GET", "/clock")["now"]) == quiet.now
