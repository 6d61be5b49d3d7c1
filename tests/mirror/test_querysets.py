"""Reading the mirror for pages: who sees what, what was read and what was not, how old it is."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from dashboard.accounts.models import Team
from dashboard.lifecycle.idleness import idle_filter
from dashboard.mirror import querysets, store_traffic, traffic_history
from dashboard.mirror.freshness import load_freshness
from dashboard.mirror.models import Endpoint, SyncRun, TrafficCoverage
from dashboard.together_api.metrics import TrafficIncrease
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def cover(deployment, start: datetime, end: datetime, origin: str = "metrics") -> None:
    TrafficCoverage.objects.create(deployment=deployment, period=(start, end), origin=origin)


def serve(deployment, minute: datetime, requests: int) -> None:
    store_traffic.add_minutes([(deployment.pk, minute, TrafficIncrease(requests=requests, input_tokens=10))])


def test_groups_sum_to_the_rows_they_count():
    for status, burn in (("running", 2), ("running", 3), ("stopped", 0)):
        factories.make_deployment(
            endpoint=factories.make_endpoint(status=status), billable_low=burn, billable_high=burn
        )

    groups = querysets.group_by_status(Endpoint.objects.all(), idle=idle_filter(NOW))

    assert {(one.status, one.is_idle): (one.count, one.burn_high) for one in groups} == {
        ("running", False): (2, 5 * factories.H100_NANO_USD_PER_HOUR),
        ("stopped", False): (1, 0),
    }
    assert all(isinstance(one.burn_high, int) for one in groups)


def test_rows_whose_evidence_is_null_are_counted_as_not_idle():
    factories.make_endpoint(traffic_read_until=None, last_request_at=None, status_since=None)

    rows = querysets.filter_statuses(
        Endpoint.objects.all(), ["running"], is_idle=False, idle=idle_filter(NOW)
    )

    assert rows.count() == 1


def test_what_was_not_read_is_none_and_what_was_read_is_zero():
    deployment = factories.make_deployment()
    end = NOW
    cover(deployment, end - timedelta(hours=2), end - timedelta(hours=1))
    serve(deployment, end - timedelta(minutes=90), 7)

    day = traffic_history.load_days([deployment.endpoint_id], end=end)[deployment.endpoint_id]

    assert day.requests[-4:] == (0, 7, None, None)
    assert day.requests[:-4] == (None,) * 44
    assert (day.total_requests, day.input_tokens) == (7, 10)


def test_a_stretch_that_the_provider_did_not_tell_stays_unknown():
    deployment = factories.make_deployment()
    cover(deployment, NOW - timedelta(hours=1), NOW, origin="unknown")

    assert traffic_history.load_days([deployment.endpoint_id], end=NOW) == {}


def test_requests_of_all_deployments_are_added_and_others_left_out():
    endpoint = factories.make_endpoint()
    for requests in (3, 4):
        serve(factories.make_deployment(endpoint=endpoint), NOW - timedelta(minutes=5), requests)
    serve(factories.make_deployment(), NOW - timedelta(minutes=5), 1000)
    serve(endpoint.deployments.first(), NOW - timedelta(hours=25), 1000)

    days = traffic_history.load_days([endpoint.pk], end=NOW)

    assert days[endpoint.pk].requests[-1] == 7
    assert days[endpoint.pk].total_requests == 7


def test_the_rate_covers_known_minutes_only():
    endpoint = factories.make_endpoint(traffic_read_until=NOW - timedelta(minutes=3))
    deployment = factories.make_deployment(endpoint=endpoint)
    for minutes, requests in ((2, 999), (4, 30), (13, 20), (14, 999)):
        serve(deployment, NOW - timedelta(minutes=minutes), requests)
    unread = factories.make_endpoint()

    assert traffic_history.load_rates([endpoint.pk, unread.pk]) == {endpoint.pk: 5.0}


@pytest.mark.parametrize(
    ("now", "end"),
    [("11:59:59", "12:00"), ("12:00:00", "12:30"), ("12:29:10", "12:30"), ("12:30:00", "13:00")],
)
def test_half_hours(now: str, end: str):
    moment = datetime.fromisoformat(f"2026-11-20T{now}+00:00")

    assert f"{traffic_history.next_half_hour(moment):%H:%M}" == end
    assert moment.tzinfo == UTC


def test_the_age_is_that_of_the_oldest_connection_and_none_while_one_was_never_read():
    admin = factories.make_admin()
    first, second = factories.make_connection(name="a"), factories.make_connection(name="b")
    factories.make_sync_run(connection=first, started_at=NOW - timedelta(minutes=1), finished_at=NOW)
    assert load_freshness(admin).synced_at is None

    factories.make_sync_run(connection=second, started_at=NOW - timedelta(minutes=9), finished_at=NOW)

    assert load_freshness(admin).synced_at == NOW - timedelta(minutes=9)


def test_only_complete_readings_of_endpoints_count_and_the_newest_error_is_told():
    admin, one = factories.make_admin(), factories.make_connection()
    factories.make_sync_run(connection=one, started_at=NOW - timedelta(minutes=8), finished_at=NOW)
    factories.make_sync_run(connection=one, resource=SyncRun.Resource.TRAFFIC, started_at=NOW)
    factories.make_sync_run(
        connection=one,
        outcome=SyncRun.Outcome.FAILED,
        started_at=NOW,
        finished_at=NOW,
        error="503 for a while.",
    )
    factories.make_sync_run(
        connection=one, outcome=SyncRun.Outcome.BUSY, started_at=NOW + timedelta(seconds=1)
    )

    age = load_freshness(admin).connections[0]

    assert (age.synced_at, age.error) == (NOW - timedelta(minutes=8), "503 for a while.")


def test_people_see_the_ages_of_their_own_connections():
    team = factories.make_team("Docs")
    viewer = factories.make_viewer(teams=(team,))
    mine, foreign = factories.make_connection(name="mine"), factories.make_connection(name="foreign")
    factories.make_project(connection=mine, team=team)
    factories.make_project(connection=foreign, team=Team.objects.create(name="Legal"))

    assert [one.name for one in load_freshness(viewer).connections] == ["mine"]


@pytest.mark.django_db(transaction=True)
def test_one_snapshot_sees_one_state_and_refuses_writes():
    factories.make_endpoint()

    with querysets.one_snapshot():
        first = Endpoint.objects.count()
        _write_elsewhere()
        assert Endpoint.objects.count() == first == 1
        with pytest.raises(Exception, match="read-only transaction"), transaction.atomic():
            Endpoint.objects.update(name="changed")

    assert Endpoint.objects.count() == 0


def _write_elsewhere() -> None:
    """Delete the endpoint on a second connection, committed."""
    import psycopg

    from dashboard.web.live import _conninfo

    with psycopg.connect(_conninfo(), autocommit=True) as other:
        other.execute("DELETE FROM mirror_endpoint")
    assert connection.in_atomic_block


def test_a_window_ends_with_a_half_hour():
    with pytest.raises(ValueError, match="half hour"):
        traffic_history.load_days([1], end=NOW + timedelta(minutes=1))
