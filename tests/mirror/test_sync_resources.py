"""Resources of every kind, read from a simulated organisation."""

from typing import Any

import psycopg.errors
import pytest
from django.db import connection as database

from dashboard.mirror.groups import GROUPS
from dashboard.mirror.models import MalformedPayload, Resource, ResourceChange, ResourceKind, SyncRun
from dashboard.mirror.sync_resources import sync_groups
from tests.mirror.conftest import Mirror

ALL = [group.run.value for group in GROUPS]


@pytest.fixture
def known(mirror: Mirror) -> Mirror:
    """The demo organisation with its projects, the rest unread."""
    mirror.sync_projects()
    return mirror


def rows(kind: str) -> dict[str, Resource]:
    return {row.remote_id: row for row in Resource.objects.filter(kind=kind)}


def test_every_group_is_read_whole_and_every_kind_has_rows(known: Mirror):
    runs = [known.sync_group(name) for name in ALL]

    assert {run.resource: run.outcome for run in runs} == dict.fromkeys(ALL, "complete")
    assert not MalformedPayload.objects.exists()
    kinds = set(Resource.objects.values_list("kind", flat=True))
    assert kinds >= set(ResourceKind.values) - {ResourceKind.UPLOAD_V1.value}
    assert not Resource.objects.filter(status="unknown").exists()


def test_unchanged_resources_write_nothing(known: Mirror):
    for name in ALL:
        known.sync_group(name)

    again = [known.sync_group(name) for name in ALL]

    assert {run.resource: (run.created, run.updated, run.absent) for run in again} == dict.fromkeys(
        ALL, (0, 0, 0)
    )
    assert sum(run.unchanged for run in again) == Resource.objects.count()


def test_a_group_that_cannot_be_written_costs_no_other_group_of_its_pass(known: Mirror):
    with database.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no volumes'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON mirror_resource
            FOR EACH ROW WHEN (NEW.kind = 'volume') EXECUTE FUNCTION refuse()
            """
        )

    with pytest.raises(psycopg.errors.RaiseException, match="no volumes"):
        sync_groups(known.connection, GROUPS, clock=known.clock)

    runs = SyncRun.objects.filter(resource__in=ALL)
    assert dict(runs.values_list("resource", "outcome")) == dict.fromkeys(ALL, "complete") | {
        "volumes": "failed"
    }
    assert not rows("volume")
    assert rows("cluster")
    assert rows("fine-tune")


def test_every_kind_may_be_read_by_itself_and_says_what_bills(known: Mirror):
    for name in ("clusters", "volumes", "containers", "rl"):
        known.sync_group(name)

    units = {
        kind: sum(row.units for row in rows(kind).values())
        for kind in ("cluster", "volume", "container", "rl-resource")
    }
    assert all(units.values()), units
    assert not Resource.objects.exclude(units=0).filter(sku="").exists()


def test_a_deleted_volume_is_absent_after_a_second_look(known: Mirror):
    known.sync_group("volumes")
    gone = Resource.objects.filter(kind="volume", status="unattached").first()
    assert gone is not None
    known.advance(86_400)
    last_seen = known.sync_group("volumes").started_at
    known.simulator.call("DELETE", f"/v1/compute/clusters/storage/volumes/{gone.remote_id}")
    known.advance(600)

    first = known.sync_group("volumes")
    gone.refresh_from_db()
    assert (first.absent, gone.absent_since) == (0, None)
    known.advance(30)
    known.sync_group("volumes")

    gone.refresh_from_db()
    assert gone.absent_since == gone.missing_since
    edge = ResourceChange.objects.get(resource=gone, state="ABSENT")
    # The bound of the edge is the last look that found it, not the day that its content changed.
    assert (edge.not_before, edge.at) == (last_seen, gone.missing_since)


def test_an_emptied_listing_removes_nothing(known: Mirror):
    known.sync_group("clusters")
    known.break_with("empty_list", route="/v1/compute/clusters")

    run = known.sync_group("clusters")

    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert "came back empty" in run.error
    assert not Resource.objects.filter(kind="cluster").exclude(missing_since=None).exists()


@pytest.mark.parametrize("fault", ["forbidden", "not_found"])
def test_what_is_not_offered_to_the_key_is_an_answer_and_no_error(known: Mirror, fault: str):
    known.break_with(fault, route="/v1/deployments")

    run = known.sync_group("containers")

    assert run.outcome == SyncRun.Outcome.UNAVAILABLE
    assert run.error


def test_an_outage_is_an_error_and_costs_nothing_that_was_known(known: Mirror):
    known.sync_group("batches")
    before = rows("batch")
    known.break_with("server_error", route="/v1/batches")

    run = known.sync_group("batches")

    assert run.outcome == SyncRun.Outcome.PARTIAL
    assert rows("batch").keys() == before.keys()


def test_a_malformed_entry_is_kept_and_the_rest_is_read(known: Mirror):
    known.break_with("malformed_item", route="/v1/compute/clusters")

    run = known.sync_group("clusters")

    assert run.malformed == 1
    assert MalformedPayload.objects.get().resource == "clusters"
    assert rows("cluster")


@pytest.mark.parametrize("kind", ["cluster", "container"])
def test_no_secret_of_a_body_is_stored(known: Mirror, kind: str):
    for name in ("clusters", "containers"):
        known.sync_group(name)

    def find(value: Any, word: str) -> bool:
        if isinstance(value, dict):
            return any(word in key and item for key, item in value.items()) or any(
                find(item, word) for item in value.values()
            )
        return isinstance(value, list) and any(find(item, word) for item in value)

    assert rows(kind)
    for row in rows(kind).values():
        assert not find(row.payload, "kube_config")
        assert not find(row.payload.get("environment_variables", []), "value")
