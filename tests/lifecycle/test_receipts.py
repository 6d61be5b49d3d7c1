"""Receipts, open acts of a list, and the red banner."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db.models import Q
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import actions, deploys, receipts
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.verdicts import Concern
from tests import factories

pytestmark = pytest.mark.django_db
What = ActionStep.What
PRICE = factories.H100_NANO_USD_PER_HOUR


def make_stop(actor: Actor, *, due_minutes_ago: float = 0, **columns: object) -> StopAction:
    deployment = factories.make_deployment()
    action = actions.request_stop(
        deployment, actor=actor, idempotency_key=f"stop-{deployment.pk}", reason="not used today"
    ).action
    due_at = action.requested_at - timedelta(minutes=due_minutes_ago)
    StopAction.objects.filter(pk=action.pk).update(requested_at=due_at, due_at=due_at, **columns)
    action.steps.update(at=due_at)
    return StopAction.objects.get(pk=action.pk)


def add_step(action: StopAction, what: str, *, after_seconds: float, **fields: object) -> None:
    at = action.requested_at + timedelta(seconds=after_seconds)
    ActionStep.objects.create(action=action, what=what, at=at, **fields)


def test_receipt_tells_every_state_and_the_time_between(
    actor: Actor, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    action = make_stop(actor)
    add_step(action, What.SENT, after_seconds=1, note="Still READY")
    add_step(action, What.ANSWERED, after_seconds=2, provider_request_id="req-1")
    add_step(action, What.SEEN, after_seconds=4, state="DEPLOYMENT_STATE_STOPPING", ready_replicas=2)
    add_step(action, What.SEEN, after_seconds=16, state="DEPLOYMENT_STATE_STOPPED", ready_replicas=0)
    add_step(action, What.DONE, after_seconds=16, note="State read back from the provider as STOPPED")
    finished_at = action.requested_at + timedelta(seconds=16)
    StopAction.objects.filter(pk=action.pk).update(
        state=StopAction.State.OBSERVED, finished_at=finished_at, send_count=1, outcome="State read back"
    )

    with django_assert_num_queries(2):
        receipt = receipts.read_receipt(action.public_id, now=timezone.now())

    assert receipt.number == f"R-{action.pk:05}"
    assert (receipt.requested_by_label, receipt.reason) == ("Oda Operator", "not used today")
    assert (receipt.burn_low_at_request, receipt.burn_high_at_request) == (PRICE, PRICE)
    assert (receipt.confirmed_at, receipt.lasted) == (finished_at, timedelta(seconds=16))
    assert [(line.what, line.state) for line in receipt.lines] == [
        ("requested", ""),
        ("sent", ""),
        ("answered", ""),
        ("seen", "STOPPING"),
        ("seen", "STOPPED"),
        ("done", ""),
    ]
    assert [line.since_previous.total_seconds() for line in receipt.lines if line.since_previous is not None] == [
        1, 1, 2, 12, 0
    ]  # fmt: skip
    assert receipt.lines[2].request_id == "req-1"
    assert receipt.notes == ()


@pytest.mark.parametrize(
    "state", [StopAction.State.SUPERSEDED, StopAction.State.CANCELLED, StopAction.State.SENT]
)
def test_only_what_was_read_back_is_confirmed(actor: Actor, state: StopAction.State) -> None:
    action = make_stop(actor, state=state, finished_at=timezone.now())

    assert receipts.read_receipt(action.public_id, now=timezone.now()).confirmed_at is None


def test_unconfirmed_stop_says_so(actor: Actor) -> None:
    action = make_stop(
        actor,
        due_minutes_ago=6,
        state=StopAction.State.SENT,
        seen_state="DEPLOYMENT_STATE_READY",
        last_error="The API did not answer.",
        send_count=3,
    )

    receipt = receipts.read_receipt(action.public_id, now=timezone.now())

    assert receipt.concern is Concern.UNCONFIRMED
    assert receipt.notes == (
        "Not confirmed after 5 min: the provider still reports READY",
        "The API did not answer.",
        "Sent 3 times",
    )


def test_receipt_outside_of_what_is_visible_does_not_exist(actor: Actor) -> None:
    action = make_stop(actor)

    with pytest.raises(StopAction.DoesNotExist):
        receipts.read_receipt(
            action.public_id, now=timezone.now(), visible=Q(endpoint__project__team=None, pk=0)
        )


def test_open_actions_of_a_list_take_one_query(
    actor: Actor, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = make_stop(actor, state=StopAction.State.SENT, seen_state="DEPLOYMENT_STATE_STOPPING")
    second = make_stop(actor)
    ended = make_stop(actor, state=StopAction.State.OBSERVED)
    ids = [one.endpoint_id for one in (first, second, ended)]

    with django_assert_num_queries(1):
        found = receipts.open_actions(ids, now=timezone.now())

    assert set(found) == {first.endpoint_id, second.endpoint_id}
    assert found[first.endpoint_id][0].seen_state == "STOPPING"
    assert found[second.endpoint_id][0].concern is Concern.NONE


def test_overdue_lists_late_and_escalated_stops_dearest_first(
    actor: Actor, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_stop(actor)
    late = make_stop(actor, due_minutes_ago=3)
    revoked = make_stop(actor, escalated_at=timezone.now(), last_error="The key was refused.")
    dear = revoked.deployment
    assert dear is not None
    dear.billable_high = dear.billable_low = 4
    dear.save(update_fields=["billable_high", "billable_low"])
    make_stop(actor, due_minutes_ago=60, state=StopAction.State.OBSERVED)

    with django_assert_num_queries(1):
        found = receipts.overdue(now=timezone.now())

    assert [(one.number, one.concern) for one in found] == [
        (revoked.number, Concern.ESCALATED),
        (late.number, Concern.LATE),
    ]
    assert (found[0].burn_high, found[0].last_error) == (4 * PRICE, "The key was refused.")
    assert receipts.overdue(now=timezone.now(), visible=Q(endpoint__pk=0)) == []


def test_what_is_made_shows_its_wishes_its_ids_and_a_way_back(actor: Actor) -> None:
    project = factories.make_project()
    action = deploys.request_deploy(
        project,
        endpoint_name="bot",
        model="projects/p/models/m",
        config="projects/p/configs/c",
        min_replicas=1,
        max_replicas=2,
        inactive_timeout=60,
        model_label="Qwen3.5 9B",
        hardware_label="1x H100",
        actor=actor,
        idempotency_key="deploy",
    ).action

    receipt = receipts.read_receipt(action.public_id, now=timezone.now())
    assert (receipt.title, receipt.endpoint_id, receipt.project_id) == ("bot", None, project.pk)
    assert dict(receipt.wanted) == {
        "Endpoint": "bot",
        "Deployment": f"bot-{action.public_id.hex[:6]}",
        "Model": "Qwen3.5 9B",
        "Hardware": "1x H100",
        "Replicas": "1 to 2",
        "Stop when idle for": "60 min",
        "Traffic": "weight 1",
    }
    assert (receipt.made, receipt.may_be_closed, receipt.may_be_undone) == ((), True, False)
    (pending,) = receipts.open_actions_of_projects(Q(project=project), now=timezone.now())
    assert (pending.title, pending.kind_label) == ("bot", "Deploy")

    StopAction.objects.filter(pk=action.pk).update(
        state=StopAction.State.SENT,
        sent_at=timezone.now(),
        endpoint=factories.make_endpoint(project=project),
        made={"ids": {"endpoint": "ep_1"}, "sends": {"create_endpoint": 1}},
    )
    receipt = receipts.read_receipt(action.public_id, now=timezone.now())
    assert (receipt.made, receipt.may_be_closed, receipt.may_be_undone) == (
        (("Endpoint", "ep_1"),),
        False,
        True,
    )
    assert receipts.open_actions_of_projects(Q(project=project), now=timezone.now()) == []


def test_acts_of_an_older_version_get_the_project_of_their_endpoint(actor: Actor) -> None:
    action = make_stop(actor)
    StopAction.objects.update(project=None)

    import_module("dashboard.lifecycle.migrations.0004_act_projects").fill_projects(apps, None)

    action.refresh_from_db()
    assert action.project == action.endpoint.project  # type: ignore[union-attr]
