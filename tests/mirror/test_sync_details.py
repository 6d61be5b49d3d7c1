"""What only a GET by id tells: events, curves, checkpoints, revisions, read in turn and once."""

from datetime import timedelta

import pytest
from django.db.models import F

from dashboard.mirror import sync_details
from dashboard.mirror.models import Resource, ResourceDocument, ResourceEvent, ResourceKind, SyncRun
from tests.mirror.conftest import Mirror


@pytest.fixture
def listed(mirror: Mirror) -> Mirror:
    """The demo organisation with its jobs and models listed, none of them opened."""
    mirror.sync_projects()
    for name in ("fine_tunes", "evaluations", "uploads", "models", "files"):
        mirror.sync_group(name)
    return mirror


def read_all(mirror: Mirror) -> None:
    """Make passes until nothing is left that was never read."""
    for _ in range(10):
        sync_details.sync_details(mirror.connection, clock=mirror.clock)
        if not Resource.objects.exclude(kind=ResourceKind.FILE).filter(details_read_at=None).exists():
            return
    raise AssertionError("details are left unread")


def test_moving_jobs_come_first_and_a_pass_reads_a_bounded_number(listed: Mirror):
    moving = Resource.objects.filter(status__in=["working", "queued", "finishing", "cancelling"])
    assert 0 < moving.count() < sync_details.MOST_PER_PASS < Resource.objects.count()

    sync_details.sync_details(listed.connection, clock=listed.clock)

    assert not moving.exclude(kind__in=["file", "batch"]).filter(details_read_at=None).exists()
    read = Resource.objects.exclude(details_read_at=None)
    assert read.count() == sync_details.MOST_PER_PASS
    assert SyncRun.objects.latest("pk").outcome == SyncRun.Outcome.COMPLETE


def test_a_fine_tune_gets_its_events_curve_and_checkpoints(listed: Mirror):
    read_all(listed)

    done = Resource.objects.filter(kind="fine-tune", status="completed").first()
    assert done is not None
    documents = dict(done.documents.values_list("name", "payload"))
    assert documents.keys() == {"body", "checkpoints", "metrics"}
    assert documents["checkpoints"]["data"]
    assert len(documents["metrics"]["metrics"]) > 5
    events = list(done.events.order_by("position").values_list("type", "at"))
    assert events[0][0] == "job_pending"
    assert events[-1][0] == "job_complete"
    assert [at for _, at in events] == sorted(at for _, at in events)


def test_a_job_that_has_not_begun_has_no_curve_and_is_no_error(listed: Mirror):
    read_all(listed)

    queued = Resource.objects.get(kind="fine-tune", status="queued")
    curve = queued.documents.filter(name="metrics").first()
    assert curve is None or not curve.payload["metrics"]
    assert queued.events.exists()
    assert not SyncRun.objects.filter(resource="details").exclude(outcome="complete").exists()


def test_uploads_evaluations_and_models_get_what_there_is(listed: Mirror):
    read_all(listed)

    for kind in ("upload", "upload-v1", "evaluation"):
        assert ResourceEvent.objects.filter(resource__kind=kind).exists(), kind
    names = set(ResourceDocument.objects.filter(resource__kind="model").values_list("name", flat=True))
    assert names == {"revisions", "files"}


def test_what_has_not_changed_is_not_read_again(listed: Mirror):
    read_all(listed)
    sync_details.sync_details(listed.connection, clock=listed.clock)
    listed.simulator.admin("DELETE", "/requests")
    before = SyncRun.objects.count()

    sync_details.sync_details(listed.connection, clock=listed.clock)

    assert listed.simulator.requests() == []
    assert SyncRun.objects.count() == before


def test_a_moving_job_is_read_again_and_its_events_are_added_once(listed: Mirror):
    read_all(listed)
    running = Resource.objects.filter(kind="fine-tune", status="working").first()
    assert running is not None
    before = running.events.count()

    listed.advance(1800)
    sync_details.sync_details(listed.connection, clock=listed.clock)
    listed.advance(60)
    sync_details.sync_details(listed.connection, clock=listed.clock)

    running.refresh_from_db()
    assert running.details_read_at == listed.now
    assert running.events.count() > before
    assert running.events.count() == running.events.values("key").distinct().count()


def test_an_answer_that_fails_leaves_the_job_to_the_next_pass(listed: Mirror):
    listed.break_with("server_error", route="/v1/fine-tunes/*/events")

    sync_details.sync_details(listed.connection, clock=listed.clock)

    run = SyncRun.objects.latest("pk")
    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert not Resource.objects.filter(kind="fine-tune").exclude(details_read_at=None).exists()
    assert Resource.objects.filter(kind="evaluation").exclude(details_read_at=None).exists()


def test_what_somebody_opens_is_read_at_once_and_only_while_it_was_never_read(listed: Mirror):
    oldest = Resource.objects.filter(kind="fine-tune").earliest("remote_created_at")

    sync_details.open_details(oldest.pk)
    oldest.refresh_from_db()
    first = oldest.details_read_at
    Resource.objects.filter(pk=oldest.pk).update(observed_at=F("observed_at") - timedelta(hours=1))
    sync_details.open_details(oldest.pk)

    oldest.refresh_from_db()
    assert first is not None
    assert oldest.details_read_at == first
