"""Cancels, stops, sizes and deletions of what is no endpoint, against the real client and a running simulator."""

from typing import Any

import pytest

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle import receipts, resource_acts
from dashboard.lifecycle.errors import GoneError, InvalidValueError, NotFittingError, UnderWayError
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import Resource, ResourceKind
from simulator.testing import SimulatorError
from tests import factories
from tests.lifecycle.conftest import Provider, drive, is_ended, let_pass

pytestmark = pytest.mark.timeout(90)
State = StopAction.State


def running_job(provider: Provider, kind: ResourceKind = ResourceKind.FINE_TUNE) -> Resource:
    """Return a row for a job that runs there until it is told otherwise."""
    row = provider.resource(kind)
    word = "running" if kind == ResourceKind.FINE_TUNE else "IN_PROGRESS"
    provider.simulator.admin("POST", f"/jobs/{row.remote_id}/state", state=word, stay=True)
    Resource.objects.filter(pk=row.pk).update(state=word)
    row.refresh_from_db()
    provider.simulator.admin("DELETE", "/requests")
    return row


def forced(
    provider: Provider, kind: ResourceKind, path: str, state: str, word: str, **fields: int
) -> Resource:
    """Return a row for one of a kind, put into a state there and here."""
    row = provider.resource(kind)
    provider.simulator.admin("POST", f"/{path}/{row.remote_id}/state", state=state, **fields)
    Resource.objects.filter(pk=row.pk).update(state=word)
    row.refresh_from_db()
    provider.simulator.admin("DELETE", "/requests")
    return row


def ready_container(provider: Provider) -> Resource:
    row = provider.resource(ResourceKind.CONTAINER)
    provider.simulator.call(
        "PATCH", f"/v1/deployments/{row.remote_id}", {"min_replicas": 1, "max_replicas": 1}
    )
    row.delete()
    return forced(provider, ResourceKind.CONTAINER, "containers", "Ready", "Ready", ready=1)


def ready_cluster(provider: Provider) -> Resource:
    return forced(provider, ResourceKind.CLUSTER, "clusters", "Ready", "Ready")


def new_volume(provider: Provider, *, size_tib: int = 2) -> Resource:
    """Return a row for a volume that nothing is attached to."""
    body = {"volume_name": f"scratch-{id(object())}", "size_tib": size_tib, "region": "us-central-8"}
    made = provider.simulator.call("POST", "/v1/compute/clusters/storage/volumes", body)
    provider.simulator.admin("POST", f"/volumes/{made['volume_id']}/state", state="available")
    provider.simulator.admin("DELETE", "/requests")
    return factories.make_resource(
        kind=ResourceKind.VOLUME,
        project=provider.project(),
        remote_id=made["volume_id"],
        name=made["volume_name"],
        state="available",
        payload=made,
        units=size_tib,
        nano_usd_per_unit_hour=100_000_000,
    )


def cancel(resource: Resource, actor: Actor, key: str = "cancel") -> StopAction:
    return resource_acts.request_cancel(resource, actor=actor, idempotency_key=key).action


def delete(resource: Resource, actor: Actor, key: str = "delete") -> StopAction:
    return resource_acts.request_delete_resource(resource, actor=actor, idempotency_key=key).action


def resize(resource: Resource, actor: Actor, key: str = "resize", **size: int) -> StopAction:
    return resource_acts.request_resize(resource, actor=actor, idempotency_key=key, **size).action


@pytest.mark.parametrize("kind", [ResourceKind.FINE_TUNE, ResourceKind.BATCH])
def test_a_cancel_is_done_when_cancelled_is_read_back(
    provider: Provider, actor: Actor, kind: ResourceKind
) -> None:
    job = running_job(provider, kind)

    action = drive(cancel(job, actor), until=is_ended)

    assert (action.state, action.last_error) == (State.OBSERVED, "")
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert [one["path"].rsplit("/", 1)[-1] for one in provider.writes()] == ["cancel"]
    events = AuditEvent.objects.order_by("at").values_list("action", "target_type", "target_id")
    assert list(events) == [
        (f"{kind}.cancel_requested", "resource", str(job.pk)),
        (f"{kind}.cancel_observed", "resource", str(job.pk)),
    ]


def test_completed_before_the_cancel_is_told_and_not_cancelled(provider: Provider, actor: Actor) -> None:
    job = running_job(provider)
    action = cancel(job, actor)
    provider.simulator.admin("POST", f"/jobs/{job.remote_id}/state", state="completed")

    action = drive(action, until=is_ended)

    assert (action.state, action.sent_at) == (State.SUPERSEDED, None)
    assert action.outcome == "Ended as completed before it was sent"
    assert provider.writes() == []


def test_completed_after_the_cancel_was_sent_says_so(provider: Provider, actor: Actor) -> None:
    job = running_job(provider)
    provider.simulator.add_fault("server_error", method="POST", times=1)
    action = drive(cancel(job, actor), until=lambda one: one.sent_at is not None)
    provider.simulator.admin("POST", f"/jobs/{job.remote_id}/state", state="completed")

    action = drive(action, until=is_ended)

    assert (action.state, action.outcome) == (
        State.SUPERSEDED,
        "Ended as completed after it was sent",
    )


def test_a_job_that_stores_its_result_is_not_cancelled(provider: Provider, actor: Actor) -> None:
    job = running_job(provider)
    action = cancel(job, actor)
    provider.simulator.admin("POST", f"/jobs/{job.remote_id}/state", state="uploading", stay=True)

    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert "done and paid" in action.outcome


def test_a_lost_answer_cancels_once(provider: Provider, actor: Actor) -> None:
    job = running_job(provider)
    provider.simulator.add_fault("answer_lost", method="POST", times=1)

    action = drive(cancel(job, actor), until=is_ended)

    assert action.state == State.OBSERVED
    assert len(provider.writes()) == 1


def test_a_container_is_scaled_to_nothing(provider: Provider, actor: Actor) -> None:
    container = ready_container(provider)

    action = resource_acts.request_stop_resource(container, actor=actor, idempotency_key="stop").action
    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    body = provider.simulator.call("GET", f"/v1/deployments/{container.remote_id}")
    assert (body["status"], body["max_replicas"]) == ("ScaledToZero", 0)


def test_rl_resources_are_stopped_with_their_sessions(provider: Provider, actor: Actor) -> None:
    resource = forced(provider, ResourceKind.RL_RESOURCE, "rl", "READY", "MODEL_RESOURCES_STATUS_READY")

    action = resource_acts.request_stop_resource(resource, actor=actor, idempotency_key="stop").action
    action = drive(action, until=is_ended, timeout_seconds=30)

    assert action.state == State.OBSERVED
    resource.refresh_from_db()
    assert resource.status == "stopped"


def test_a_stop_that_is_refused_stays_open_and_is_told(provider: Provider, actor: Actor) -> None:
    container = ready_container(provider)
    provider.simulator.add_fault("forbidden", method="PATCH")

    action = resource_acts.request_stop_resource(container, actor=actor, idempotency_key="stop").action
    reconcile_once("test/1")
    action.refresh_from_db()

    assert action.is_open
    assert action.escalated_at is not None
    provider.simulator.clear_faults()
    assert drive(action, until=is_ended).state == State.OBSERVED


def test_a_volume_grows(provider: Provider, actor: Actor) -> None:
    volume = new_volume(provider)

    action = drive(resize(volume, actor, size_tib=5), until=is_ended)

    assert action.state == State.OBSERVED
    volume.refresh_from_db()
    assert volume.payload["size_tib"] == 5
    assert [one["method"] for one in provider.writes()] == ["PUT"]


def test_a_cluster_takes_whole_nodes(provider: Provider, actor: Actor) -> None:
    cluster = ready_cluster(provider)
    present = cluster.payload["num_gpus"]

    action = drive(resize(cluster, actor, gpus=present + 8), until=is_ended)

    assert action.state == State.OBSERVED
    body = provider.simulator.call("GET", f"/v1/compute/clusters/{cluster.remote_id}")
    assert body["num_gpus"] == present + 8


def test_out_of_stock_ends_after_ten_minutes(provider: Provider, actor: Actor) -> None:
    cluster = ready_cluster(provider)
    provider.simulator.add_fault("conflict", method="PUT")
    action = resize(cluster, actor, gpus=cluster.payload["num_gpus"] + 8)

    reconcile_once("test/1")
    let_pass(seconds=601)
    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert action.outcome.startswith("Not accepted within 10 min")


def test_a_volume_is_deleted_when_it_is_gone_twice(provider: Provider, actor: Actor) -> None:
    volume = new_volume(provider)

    action = drive(delete(volume, actor), until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED
    assert "asked twice 30 s apart" in action.outcome
    volume.refresh_from_db()
    assert volume.absent_since is not None
    with pytest.raises(SimulatorError):
        provider.simulator.call("GET", f"/v1/compute/clusters/storage/volumes/{volume.remote_id}")
    assert (action.burn_low_at_request, action.burn_high_at_request) == (200_000_000, 200_000_000)


def test_a_volume_that_a_cluster_holds_is_refused_in_the_providers_words(
    provider: Provider, actor: Actor
) -> None:
    volume = provider.resource(ResourceKind.VOLUME, state="bound")

    action = drive(delete(volume, actor), until=is_ended)

    assert action.state == State.REFUSED
    assert "attached to a cluster" in action.outcome


def test_a_cluster_is_deleted(provider: Provider, actor: Actor) -> None:
    cluster = ready_cluster(provider)

    action = drive(delete(cluster, actor), until=is_ended, timeout_seconds=60)

    assert action.state == State.OBSERVED
    cluster.refresh_from_db()
    assert cluster.absent_since is not None


def test_an_own_model_is_deleted(provider: Provider, actor: Actor) -> None:
    project = provider.project()
    base = provider.simulator.call("GET", "/v2/supported-models")["data"][0]["id"]
    made = provider.simulator.call(
        "POST",
        f"/v2/projects/{project.remote_id}/models",
        {"name": "short-lived", "baseModelId": base, "type": "model"},
    )
    model = factories.make_resource(
        kind=ResourceKind.MODEL, project=project, remote_id=made["id"], name=made["name"], state=""
    )

    action = drive(delete(model, actor), until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED


def test_trouble_does_not_give_up_what_bills(provider: Provider, actor: Actor) -> None:
    volume = new_volume(provider)
    action = delete(volume, actor)
    provider.simulator.add_fault("server_error", route="/v1/compute/*")

    reconcile_once("test/1")
    let_pass(seconds=601)
    reconcile_once("test/1")
    action.refresh_from_db()
    assert action.is_open
    assert action.escalated_at is not None
    provider.simulator.clear_faults()
    action = drive(action, until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ask", "kind", "state"),
    [
        (cancel, ResourceKind.FINE_TUNE, "completed"),
        (cancel, ResourceKind.FINE_TUNE, "uploading"),
        (cancel, ResourceKind.BATCH, "FAILED"),
        (cancel, ResourceKind.EVALUATION, "running"),
        (delete, ResourceKind.CLUSTER, "Deleting"),
        (delete, ResourceKind.FILE, ""),
    ],
)
def test_what_does_not_fit_is_refused_at_once(actor: Actor, ask: Any, kind: ResourceKind, state: str) -> None:
    with pytest.raises(NotFittingError):
        ask(factories.make_resource(kind=kind, state=state), actor)

    assert not StopAction.objects.exists()


@pytest.mark.django_db
def test_what_is_gone_is_not_acted_on(actor: Actor) -> None:
    with pytest.raises(GoneError):
        delete(factories.make_resource(kind=ResourceKind.VOLUME, absent_since=factories.NOW), actor)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "payload", "size", "field"),
    [
        (ResourceKind.CLUSTER, {"num_gpus": 16, "num_reserved_gpus": 8}, {"gpus": 12}, "gpus"),
        (ResourceKind.CLUSTER, {"num_gpus": 16, "num_reserved_gpus": 16}, {"gpus": 8}, "gpus"),
        (ResourceKind.CLUSTER, {"num_gpus": 16}, {"gpus": 0}, "gpus"),
        (ResourceKind.CLUSTER, {"num_gpus": 16}, {}, "gpus"),
        (ResourceKind.VOLUME, {"size_tib": "10"}, {"size_tib": 10}, "size_tib"),
        (ResourceKind.VOLUME, {"size_tib": 10}, {"size_tib": 4}, "size_tib"),
        (ResourceKind.VOLUME, {}, {"size_tib": 0}, "size_tib"),
    ],
)
def test_a_size_that_cannot_be_names_its_field(
    actor: Actor, kind: ResourceKind, payload: dict[str, Any], size: dict[str, int], field: str
) -> None:
    resource = factories.make_resource(kind=kind, payload=payload)

    with pytest.raises(InvalidValueError) as caught:
        resize(resource, actor, **size)

    assert caught.value.field == field


@pytest.mark.django_db
def test_a_deletion_ends_an_open_change_of_size_and_excludes_another(actor: Actor) -> None:
    volume = factories.make_resource(kind=ResourceKind.VOLUME, payload={"size_tib": 2})
    growing = resize(volume, actor, size_tib=3)
    same = resource_acts.request_resize(volume, size_tib=3, actor=actor, idempotency_key="other")
    assert (same.action, same.created) == (growing, False)

    delete(volume, actor)

    growing.refresh_from_db()
    assert growing.state == State.SUPERSEDED
    with pytest.raises(UnderWayError):
        resize(volume, actor, key="late", size_tib=4)


@pytest.mark.django_db
def test_open_acts_and_receipts_name_the_resource(actor: Actor) -> None:
    volume = factories.make_resource(
        kind=ResourceKind.VOLUME, name="datasets", payload={"size_tib": 2}, units=2
    )
    action = resize(volume, actor, size_tib=3)

    (open_act,) = receipts.open_actions_of_resources([volume.pk], now=action.requested_at)[volume.pk]
    receipt = receipts.read_receipt(action.public_id, now=action.requested_at)

    assert (open_act.title, open_act.kind_label, open_act.endpoint_id) == ("datasets", "Resize", None)
    assert (receipt.title, receipt.resource_kind, receipt.endpoint_id) == ("datasets", "volume", None)
    assert receipt.wanted == (("Size", "3 TiB"),)
    # Unknown price: unknown burn, never zero.
    assert receipt.burn_low_at_request is None
    assert receipts.open_actions([], now=action.requested_at) == {}
