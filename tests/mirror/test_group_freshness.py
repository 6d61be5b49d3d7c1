"""How old a page of resources is: its oldest part counts, "not offered" is an answer, a failure keeps the age."""

from datetime import datetime, timedelta

import pytest

from dashboard.accounts.models import Connection, Team, User
from dashboard.core import durations
from dashboard.mirror.group_freshness import AgeLimits, limits_of, load_group_freshness
from dashboard.mirror.models import SyncRun
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
Run, Outcome = SyncRun.Resource, SyncRun.Outcome
JOBS = (Run.FINE_TUNES, Run.BATCHES)


@pytest.fixture
def connection(team: Team) -> Connection:
    made = factories.make_connection(name="Fernhill")
    factories.make_project(connection=made, team=team)
    return made


def run(
    connection: Connection, group: Run, minutes_ago: float, outcome: Outcome = Outcome.COMPLETE, **fields
) -> datetime:
    at = NOW - timedelta(minutes=minutes_ago)
    factories.make_sync_run(
        connection=connection, resource=group, outcome=outcome, started_at=at, finished_at=at, **fields
    )
    return at


def test_the_age_is_that_of_the_oldest_part(connection: Connection, viewer: User):
    run(connection, Run.FINE_TUNES, 1)
    oldest = run(connection, Run.BATCHES, 9)
    run(connection, Run.FILES, 60)

    assert load_group_freshness(viewer, JOBS).synced_at == oldest


def test_a_part_that_was_never_read_leaves_the_page_without_an_age(connection: Connection, viewer: User):
    run(connection, Run.FINE_TUNES, 1)
    run(connection, Run.BATCHES, 1, Outcome.RUNNING)
    run(connection, Run.BATCHES, 2, Outcome.BUSY)

    found = load_group_freshness(viewer, JOBS)

    assert found.synced_at is None
    assert found.failing == ()


def test_a_failure_is_told_and_keeps_the_age_of_the_last_complete_reading(
    connection: Connection, viewer: User
):
    complete = run(connection, Run.FINE_TUNES, 5)
    failed = run(connection, Run.FINE_TUNES, 1, Outcome.FAILED, error="The provider answered 503.")

    found = load_group_freshness(viewer, [Run.FINE_TUNES])

    assert found.synced_at == complete
    assert [(one.error, one.error_at, one.label) for one in found.failing] == [
        ("The provider answered 503.", failed, "Fine-tunes")
    ]


def test_a_complete_reading_ends_the_failure(connection: Connection, viewer: User):
    run(connection, Run.FINE_TUNES, 5, Outcome.PARTIAL, error="half")
    run(connection, Run.FINE_TUNES, 1)

    assert load_group_freshness(viewer, [Run.FINE_TUNES]).failing == ()


def test_not_offered_is_an_answer_with_an_age(connection: Connection, viewer: User):
    at = run(connection, Run.RL, 1, Outcome.UNAVAILABLE, error="403: gated.")

    found = load_group_freshness(viewer, [Run.RL])

    assert found.is_unavailable
    assert found.synced_at == at
    assert found.failing == ()
    assert [one.unavailable for one in found.unavailable] == ["403: gated."]


def test_a_right_that_was_lost_keeps_the_age_of_what_is_shown(connection: Connection, viewer: User):
    complete = run(connection, Run.CONTAINERS, 5)
    run(connection, Run.CONTAINERS, 1, Outcome.UNAVAILABLE, error="403: the key lacks the right.")

    found = load_group_freshness(viewer, [Run.CONTAINERS])

    assert found.synced_at == complete
    assert [one.error for one in found.failing] == ["403: the key lacks the right."]
    assert [one.group for one in found.unavailable] == ["containers"]


def test_a_page_is_unavailable_only_when_all_of_it_is(connection: Connection, viewer: User):
    run(connection, Run.FINE_TUNES, 1)
    run(connection, Run.BATCHES, 1, Outcome.UNAVAILABLE)

    assert not load_group_freshness(viewer, JOBS).is_unavailable
    assert not load_group_freshness(viewer, ()).is_unavailable


def test_an_offer_that_comes_back_is_no_longer_unavailable(connection: Connection, viewer: User):
    run(connection, Run.RL, 5, Outcome.UNAVAILABLE)
    run(connection, Run.RL, 1)

    assert load_group_freshness(viewer, [Run.RL]).unavailable == ()


def test_only_enabled_connections_of_what_is_seen_count(
    connection: Connection, viewer: User, other_team: Team, admin: User
):
    run(connection, Run.RL, 1)
    theirs = factories.make_connection(name="Theirs")
    factories.make_project(connection=theirs, team=other_team)
    factories.make_connection(name="Off", is_enabled=False)

    assert [one.connection for one in load_group_freshness(viewer, [Run.RL]).ages] == ["Fernhill"]
    assert [one.connection for one in load_group_freshness(admin, [Run.RL]).ages] == ["Fernhill", "Theirs"]


@pytest.mark.parametrize(
    ("groups", "late"),
    [((), durations.LATE_AFTER), (JOBS, durations.LATE_AFTER), ((Run.FILES,), timedelta(minutes=5)),
     ((Run.BATCHES, Run.CATALOGUE), timedelta(minutes=40))],
)  # fmt: skip
def test_late_means_later_than_it_is_read(groups: tuple[Run, ...], late: timedelta):
    limits = limits_of(groups)

    assert limits.late == late
    assert limits.stale > limits.late
    assert AgeLimits().stale == durations.STALE_AFTER
