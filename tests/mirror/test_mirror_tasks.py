"""The periodic work: names, queues, arguments, and that one connection does not cost another its turn."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from celery.signals import before_task_publish

from dashboard.accounts.crypto import CryptoError
from dashboard.celery import app
from dashboard.mirror import prune, tasks
from dashboard.mirror.groups import GROUPS
from dashboard.mirror.models import EndpointEvent, MalformedPayload, SyncRun
from tests import factories
from tests.mirror.conftest import Mirror

BEAT = {name: entry for name, entry in app.conf.beat_schedule.items() if entry["task"].startswith("mirror.")}


def test_every_periodic_task_of_the_mirror_exists_and_has_its_queue():
    app.loader.import_default_modules()
    every_task = {name for name in app.tasks if name.startswith("mirror.")}
    assert {entry["task"] for entry in BEAT.values()} == every_task - {
        "mirror.sync_connection",
        "mirror.open_details",
    }
    for entry in BEAT.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["queue"] == "sync"
        assert entry["options"]["expires"] <= entry["schedule"]
        assert json.loads(json.dumps(entry["kwargs"])) == entry["kwargs"]


def test_every_group_of_resources_is_read_at_least_every_two_minutes():
    read = {name: entry["schedule"] for entry in BEAT.values() for name in entry["kwargs"].get("names", ())}

    assert read.keys() == {group.run.value for group in GROUPS}
    assert max(read.values()) <= 120


def test_what_burns_money_is_looked_at_twice_a_minute_and_what_moves_more_often():
    schedule = {entry["task"]: entry["schedule"] for entry in BEAT.values()}

    assert schedule["mirror.sync_endpoints"] == 30
    assert schedule["mirror.sync_in_transition"] == 5


@pytest.mark.django_db
def test_reading_a_connection_takes_its_id_and_fills_everything(organize: Callable[..., Mirror]):
    mirror = organize(clock="real")
    mirror.connection.save()

    tasks.sync_connection(**json.loads(json.dumps({"connection_id": mirror.connection.pk})))

    runs = SyncRun.objects.values_list("resource", "outcome")
    assert {resource for resource, _ in runs} >= {
        "projects",
        "hardware",
        "endpoints",
        "events",
        "traffic",
    } | {group.run.value for group in GROUPS}
    assert {outcome for _, outcome in runs} == {"complete"}


@pytest.mark.django_db
def test_the_first_pass_over_endpoints_reads_what_it_needs_and_what_explains_it(
    organize: Callable[..., Mirror],
):
    mirror = organize(clock="real")
    mirror.connection.save()
    tasks.sync_events_task()  # the tick of the same moment, which finds nothing
    SyncRun.objects.all().delete()

    tasks.sync_endpoints_task()
    tasks.sync_endpoints_task()

    runs = SyncRun.objects.order_by("pk").values_list("resource", "outcome")
    resources = ("projects", "endpoints", "events", "traffic", "endpoints")
    assert list(runs) == [(resource, "complete") for resource in resources]
    assert EndpointEvent.objects.exists()


@contextmanager
def collect_sent_tasks() -> Iterator[list[tuple[str, Any]]]:
    """Collect (name, body) of what is sent to the real broker inside the block."""
    sent: list[tuple[str, Any]] = []

    def note(sender: str, body: Any, **details: object) -> None:
        sent.append((sender, body))

    before_task_publish.connect(note)
    try:
        yield sent
    finally:
        before_task_publish.disconnect(note)


@pytest.mark.django_db
def test_a_connection_that_cannot_even_be_opened_does_not_keep_the_others_from_their_turn(
    organize: Callable[..., Mirror],
):
    broken = factories.make_connection()
    broken.key_ciphertext = "nonsense"
    broken.save(update_fields=["key_ciphertext"])
    good = organize(clock="real").connection

    with collect_sent_tasks() as sent:
        tasks.sync_projects()

    assert [(name, body[1]) for name, body in sent] == [
        ("mirror.sync_projects", {"connection_id": broken.pk}),
        ("mirror.sync_projects", {"connection_id": good.pk}),
    ]
    with pytest.raises(CryptoError):
        tasks.sync_projects(**sent[0][1][1])
    tasks.sync_projects(**sent[1][1][1])
    runs = dict(SyncRun.objects.values_list("connection", "outcome"))
    assert runs == {broken.pk: "failed", good.pk: "complete"}
    assert "Internal error" in SyncRun.objects.get(connection=broken).error


@pytest.mark.django_db
def test_a_disabled_connection_is_left_alone(organize: Callable[..., Mirror]):
    connection = organize(clock="real").connection
    connection.is_enabled = False
    connection.save(update_fields=["is_enabled"])

    for task in (
        tasks.sync_projects,
        tasks.sync_hardware,
        tasks.sync_endpoints_task,
        tasks.sync_traffic_task,
    ):
        task()

    assert not SyncRun.objects.exists()


@pytest.mark.django_db
def test_pruning_forgets_old_runs_but_the_newest_of_each_kind_and_closes_abandoned_ones():
    connection = factories.make_connection()
    now = factories.NOW
    old = [
        factories.make_sync_run(
            connection=connection,
            started_at=now - timedelta(days=8, minutes=number),
            finished_at=now - timedelta(days=8),
        )
        for number in range(3)
    ]
    abandoned = factories.make_sync_run(
        connection=connection,
        outcome=SyncRun.Outcome.RUNNING,
        started_at=now - timedelta(hours=1),
        finished_at=None,
    )
    running = factories.make_sync_run(
        connection=connection, outcome=SyncRun.Outcome.RUNNING, started_at=now, finished_at=None
    )
    for days, name in ((31, b"old"), (1, b"new")):
        MalformedPayload.objects.create(
            connection=connection,
            resource="endpoints",
            fingerprint=name,
            payload={},
            error="x",
            first_seen_at=now - timedelta(days=days),
            last_seen_at=now - timedelta(days=days),
        )

    prune.prune(now=now)

    abandoned.refresh_from_db()
    assert set(SyncRun.objects.values_list("pk", flat=True)) == {old[0].pk, abandoned.pk, running.pk}
    assert (abandoned.outcome, abandoned.finished_at) == (SyncRun.Outcome.FAILED, now)
    assert abandoned.error
    assert [bytes(one.fingerprint) for one in MalformedPayload.objects.all()] == [b"new"]
