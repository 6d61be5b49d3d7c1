"""Claims with several real connections at once: one owner, takeover after the lease, late writes hit nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import actions, claims
from dashboard.lifecycle.claims import Claim
from dashboard.lifecycle.models import ActionStep, StopAction
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def make_stop(actor: Actor, **fields: object) -> StopAction:
    deployment = factories.make_deployment()
    action = actions.request_stop(deployment, actor=actor, idempotency_key=f"stop-{deployment.pk}").action
    if fields:
        StopAction.objects.filter(pk=action.pk).update(**fields)
        action.refresh_from_db()
    return action


def expire_lease(action: StopAction) -> None:
    StopAction.objects.filter(pk=action.pk).update(lease_until=Now() - timedelta(seconds=1))


def claim_in_threads(count: int) -> list[Claim]:
    """Claim at the same moment from so many connections; return the claims that were given."""
    gate = threading.Barrier(count)

    def claim(number: int) -> Claim | None:
        try:
            connection.ensure_connection()
            gate.wait()
            return claims.claim_next(f"thread/{number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=count) as pool:
        return [one for one in pool.map(claim, range(count)) if one is not None]


def test_one_row_is_claimed_once(actor: Actor) -> None:
    action = make_stop(actor)

    given = claim_in_threads(6)

    assert [one.action.pk for one in given] == [action.pk]
    action.refresh_from_db()
    assert (action.generation, action.attempts) == (1, 1)


def test_six_rows_go_to_six_owners(actor: Actor) -> None:
    rows = {make_stop(actor).pk for _ in range(6)}

    given = claim_in_threads(6)

    assert {one.action.pk for one in given} == rows
    assert len({one.owner for one in given}) == 6


def test_a_leased_row_is_not_given_and_an_expired_one_is_taken_over(actor: Actor) -> None:
    action = make_stop(actor)
    first = claims.claim_next("enforcer/1")
    assert first is not None
    assert claims.claim_next("enforcer/2") is None

    expire_lease(action)
    second = claims.claim_next("enforcer/2")

    assert second is not None
    assert (second.generation, second.former_owner) == (2, "enforcer/1")


def test_late_write_of_the_former_owner_hits_nothing(actor: Actor, caplog: pytest.LogCaptureFixture) -> None:
    action = make_stop(actor)
    first = claims.claim_next("enforcer/1")
    assert first is not None
    expire_lease(action)
    second = claims.claim_next("enforcer/2")
    assert second is not None

    late = claims.release(
        first,
        {"state": StopAction.State.OBSERVED},
        steps=[ActionStep(action=action, what=ActionStep.What.DONE)],
    )

    assert late is False
    assert "late write" in caplog.text
    action.refresh_from_db()
    assert (action.state, action.lease_owner) == (StopAction.State.REQUESTED, "enforcer/2")
    assert not action.steps.filter(what=ActionStep.What.DONE).exists()
    assert claims.release(second, {"state": StopAction.State.OBSERVED})


def test_cancel_wins_over_a_claim_that_has_not_sent_yet(actor: Actor) -> None:
    action = make_stop(actor)
    claim = claims.claim_next("enforcer/1")
    assert claim is not None

    actions.cancel_action(action, actor=actor)

    assert claims.write(claim, {"state": StopAction.State.SENT}) is False


def test_stops_go_first_then_the_unsent_the_oldest_the_dearest(actor: Actor) -> None:
    now = factories.NOW - timedelta(days=30)
    watched = make_stop(actor, due_at=now - timedelta(hours=1), sent_at=now, state=StopAction.State.SENT)
    cheap = make_stop(actor, due_at=now, burn_high_at_request=1)
    dear = make_stop(actor, due_at=now, burn_high_at_request=2)
    young = make_stop(actor, due_at=now + timedelta(minutes=1), burn_high_at_request=99)
    scale = make_stop(
        actor, due_at=now - timedelta(days=1), kind=StopAction.Kind.SCALE, min_replicas=1, max_replicas=1
    )

    order = []
    while (claim := claims.claim_next("enforcer/1")) is not None:
        order.append(claim.action.pk)

    assert order == [dear.pk, cheap.pk, young.pk, watched.pk, scale.pk]


@pytest.mark.parametrize("field", ["due_at", "next_try_at"])
def test_what_is_not_due_is_left_alone(actor: Actor, field: str) -> None:
    make_stop(actor, **{field: Now() + timedelta(minutes=1)})

    assert claims.claim_next("enforcer/1") is None


def test_ended_acts_are_left_alone(actor: Actor) -> None:
    action = make_stop(actor)
    actions.cancel_action(action, actor=actor)

    assert claims.claim_next("enforcer/1") is None


def test_the_claim_carries_the_clock_of_the_database(actor: Actor) -> None:
    make_stop(actor)
    claim = claims.claim_next("enforcer/1")
    assert claim is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now = cursor.fetchone()[0]

    assert abs(claim.read_clock() - now) < timedelta(seconds=1)
