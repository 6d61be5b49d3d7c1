"""Tables: one row per situation that an act can meet, and the step that must follow."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.lifecycle import verdicts
from dashboard.lifecycle.verdicts import (
    Act,
    Concern,
    Done,
    Escalate,
    Failure,
    Gone,
    Kind,
    Order,
    Refused,
    RetryAt,
    Seen,
    Send,
    Sight,
    Step,
    Superseded,
    Unread,
    Wait,
)
from dashboard.lifecycle.verdicts.limits import back_off
from dashboard.together_api.errors import ErrorKind

NOW = datetime(2026, 11, 20, 14, 5, tzinfo=UTC)
READY = Seen("DEPLOYMENT_STATE_READY", ready_replicas=2, min_replicas=1, max_replicas=3)
DRAINING = Seen("DEPLOYMENT_STATE_STOPPING", ready_replicas=2, min_replicas=0, max_replicas=0)
STOPPED = Seen("DEPLOYMENT_STATE_STOPPED", ready_replicas=0, min_replicas=0, max_replicas=0)
FAILED = Seen("DEPLOYMENT_STATE_FAILED", ready_replicas=0, message="node did not answer")
PROVISIONING = Seen("DEPLOYMENT_STATE_PROVISIONING", ready_replicas=0, min_replicas=1, max_replicas=3)
V1_STARTED = Seen("STARTED", min_replicas=1, max_replicas=2)
V1_STOPPED = Seen("STOPPED", min_replicas=1, max_replicas=2)


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def make_order(kind: Kind = Kind.STOP, **fields: Any) -> Order:
    asked = fields.pop("requested_at", ago(seconds=1))
    return Order(
        kind=kind, generation="v2", requested_at=asked, due_at=fields.pop("due_at", asked), seed=7, **fields
    )


def sent(seconds: float, kind: Kind = Kind.STOP, *, answered: bool = True, **fields: Any) -> Order:
    """Return an order that was sent so many seconds ago."""
    at = ago(seconds=seconds)
    defaults: dict[str, Any] = {
        "requested_at": at - timedelta(seconds=1),
        "sent_at": at,
        "last_sent_at": at,
        "answered_at": at if answered else None,
        "send_count": 1,
        "state_when_sent": READY.state,
    }
    return make_order(kind, **(defaults | fields))


def failure(kind: ErrorKind, **fields: Any) -> Failure:
    return Failure(kind=kind, sentence=fields.pop("sentence", "It did not work."), **fields)


def step_of(order: Order, sight: Sight) -> Step:
    return verdicts.decide(verdicts.note_sight(order, sight, now=NOW), sight, now=NOW)


@pytest.mark.parametrize(
    ("order", "sight", "step"),
    [
        pytest.param(make_order(), READY, Send, id="running is sent"),
        pytest.param(make_order(), PROVISIONING, Send, id="starting up is sent"),
        pytest.param(
            make_order(), Seen("DEPLOYMENT_STATE_HOVERING"), Send, id="unknown state counts as running"
        ),
        pytest.param(make_order(), Seen(""), Send, id="missing state counts as running"),
        pytest.param(make_order(), STOPPED, Done, id="stopped before sending"),
        pytest.param(make_order(), V1_STOPPED, Done, id="v1 stopped keeps its bounds"),
        pytest.param(
            make_order(), replace(STOPPED, ready_replicas=2), Send, id="stopped with replicas contradicts"
        ),
        pytest.param(make_order(), DRAINING, Wait, id="somebody else stops it"),
        pytest.param(make_order(), FAILED, Superseded, id="failed by itself before sending"),
        pytest.param(sent(5), READY, Wait, id="sent a moment ago"),
        pytest.param(sent(59), READY, Wait, id="answered and patient for a minute"),
        pytest.param(sent(60), READY, Send, id="accepted without effect is sent again"),
        pytest.param(
            sent(60), replace(READY, min_replicas=0, max_replicas=0), Send, id="wish kept, no effect"
        ),
        pytest.param(sent(9, answered=False), READY, Wait, id="answer lost, wait a little"),
        pytest.param(sent(10, answered=False), READY, Send, id="answer lost and no effect, sent again"),
        pytest.param(sent(60), DRAINING, Wait, id="stopping is not disturbed"),
        pytest.param(sent(300), DRAINING, Send, id="endless stopping is sent again"),
        pytest.param(sent(20), STOPPED, Done, id="read back"),
        pytest.param(sent(20), FAILED, Escalate, id="teardown failed is an alarm, no success"),
        pytest.param(sent(20), Gone(), Wait, id="404 once"),
        pytest.param(sent(20, absent_seen_at=ago(seconds=29)), Gone(), Wait, id="404 twice too soon"),
        pytest.param(sent(20, absent_seen_at=ago(seconds=30)), Gone(), Done, id="404 twice, 30 s apart"),
        pytest.param(sent(60, effect_seen_at=ago(seconds=30)), READY, Superseded, id="was down, runs again"),
        pytest.param(
            sent(60, effect_seen_at=ago(seconds=30)), PROVISIONING, Superseded, id="was down, starts"
        ),
        pytest.param(
            sent(60, effect_seen_at=ago(seconds=30)),
            replace(READY, min_replicas=0, max_replicas=0),
            Send,
            id="flickers back with the wish for zero: no restart",
        ),
        pytest.param(
            sent(60), PROVISIONING, Superseded, id="READY when sent, provisioning now: started anew"
        ),
        pytest.param(
            sent(60, state_when_sent=PROVISIONING.state),
            PROVISIONING,
            Send,
            id="still in the start it was sent in",
        ),
        pytest.param(
            sent(90, stopped_since_at=ago(seconds=50)), READY, Superseded, id="events tell of a restart"
        ),
        pytest.param(
            make_order(stopped_since_at=ago(seconds=5)),
            READY,
            Superseded,
            id="restarted before it could be sent",
        ),
        pytest.param(sent(60, opposed_at=ago(seconds=5)), READY, Superseded, id="a start was asked for"),
        pytest.param(make_order(), Unread(failure(ErrorKind.SERVER)), RetryAt, id="unreadable"),
        pytest.param(make_order(), Unread(failure(ErrorKind.MALFORMED)), RetryAt, id="an HTML page"),
        pytest.param(make_order(), Unread(failure(ErrorKind.DENIED)), Escalate, id="revoked key stays open"),
        pytest.param(sent(9000), Unread(failure(ErrorKind.PAYMENT)), Escalate, id="no credit stays open"),
    ],
)
def test_stop(order: Order, sight: Sight, step: type[Step]) -> None:
    assert type(step_of(order, sight)) is step


@pytest.mark.parametrize("kind", list(ErrorKind))
@pytest.mark.parametrize("is_lost", [True, False])
def test_no_failure_ends_a_stop(kind: ErrorKind, is_lost: bool) -> None:
    order = sent(40_000, failures=500)

    step = verdicts.judge_failure(order, Act.STOP, failure(kind, outcome_unknown=is_lost), now=NOW)

    assert isinstance(step, Wait | RetryAt | Escalate)
    at = step.until if isinstance(step, Wait) else step.at
    assert NOW < at <= NOW + timedelta(seconds=30)


def test_retry_after_is_obeyed_up_to_the_cap() -> None:
    limited = failure(ErrorKind.RATE, retry_after_seconds=12)
    endless = failure(ErrorKind.RATE, retry_after_seconds=9000)

    first = verdicts.judge_failure(sent(0, failures=1), Act.STOP, limited, now=NOW)
    second = verdicts.judge_failure(sent(0, failures=1), Act.STOP, endless, now=NOW)

    assert isinstance(first, RetryAt)
    assert first.at == NOW + timedelta(seconds=12)
    assert isinstance(second, RetryAt)
    assert second.at == NOW + timedelta(seconds=30)


def test_back_off_grows_to_thirty_seconds_and_repeats_by_seed() -> None:
    pauses = [back_off(failures, seed=3).total_seconds() for failures in range(1, 40)]

    assert 0.5 <= pauses[0] <= 1
    assert 15 <= pauses[-1] <= 30
    assert max(pauses) <= 30
    assert pauses == [back_off(failures, seed=3).total_seconds() for failures in range(1, 40)]
    assert pauses != [back_off(failures, seed=4).total_seconds() for failures in range(1, 40)]


def test_stale_etags_stop_guarding_after_three_failures() -> None:
    guarded = step_of(make_order(failures=2), READY)
    unguarded = step_of(make_order(failures=3), READY)

    assert isinstance(guarded, Send)
    assert guarded.guarded
    assert isinstance(unguarded, Send)
    assert not unguarded.guarded


@pytest.mark.parametrize(
    ("waited", "concern"),
    [
        (timedelta(seconds=119), Concern.NONE),
        (timedelta(minutes=2), Concern.LATE),
        (timedelta(minutes=5), Concern.UNCONFIRMED),
        (timedelta(minutes=10), Concern.ESCALATED),
    ],
)
def test_concern_grows_from_the_due_time(waited: timedelta, concern: Concern) -> None:
    assert verdicts.measure_concern(make_order(due_at=NOW - waited), now=NOW) is concern
    assert verdicts.measure_concern(make_order(Kind.START, due_at=NOW - waited), now=NOW) is Concern.NONE


BOUNDS = {"min_replicas": 1, "max_replicas": 3}


@pytest.mark.parametrize(
    ("order", "sight", "step"),
    [
        pytest.param(make_order(Kind.START, **BOUNDS), STOPPED, Send, id="stopped is started"),
        pytest.param(make_order(Kind.START, **BOUNDS), READY, Done, id="runs already"),
        pytest.param(make_order(Kind.START, **BOUNDS), DRAINING, Wait, id="waits for the stop"),
        pytest.param(
            make_order(Kind.START, requested_at=ago(minutes=31), **BOUNDS),
            DRAINING,
            Refused,
            id="waits 30 min at most",
        ),
        pytest.param(
            make_order(Kind.START, requested_at=ago(minutes=31), **BOUNDS),
            STOPPED,
            Refused,
            id="never sent late",
        ),
        pytest.param(make_order(Kind.START, **BOUNDS), FAILED, Refused, id="FAILED is final"),
        pytest.param(
            make_order(Kind.START, **BOUNDS), Seen("HOVERING"), Wait, id="unknown state is not started"
        ),
        pytest.param(sent(20, Kind.START, **BOUNDS), PROVISIONING, Wait, id="provisioning"),
        pytest.param(sent(20_000, Kind.START, **BOUNDS), PROVISIONING, Wait, id="provisioning for hours"),
        pytest.param(sent(20, Kind.START, **BOUNDS), READY, Done, id="read back"),
        pytest.param(
            sent(20, Kind.START, **BOUNDS),
            replace(READY, state="DEPLOYMENT_STATE_SCALING"),
            Done,
            id="first replicas",
        ),
        pytest.param(
            sent(20, Kind.START, **BOUNDS),
            Seen("DEPLOYMENT_STATE_SCALING", ready_replicas=0),
            Wait,
            id="scaling without a ready one",
        ),
        pytest.param(sent(20, Kind.START, **BOUNDS), FAILED, Refused, id="ended as failed"),
        pytest.param(sent(20, Kind.START, **BOUNDS), STOPPED, Wait, id="sent, no effect yet"),
        pytest.param(sent(60, Kind.START, **BOUNDS), STOPPED, Send, id="no effect, sent again"),
        pytest.param(
            sent(60, Kind.START, send_count=3, **BOUNDS), STOPPED, Refused, id="three times without effect"
        ),
        pytest.param(
            sent(90, Kind.START, effect_seen_at=ago(seconds=50), **BOUNDS),
            DRAINING,
            Superseded,
            id="stopped by others",
        ),
        pytest.param(
            make_order(Kind.START, opposed_at=ago(seconds=0), **BOUNDS), STOPPED, Superseded, id="a stop came"
        ),
        pytest.param(
            make_order(Kind.START, **BOUNDS),
            Unread(failure(ErrorKind.DENIED)),
            Refused,
            id="key refused is final",
        ),
        pytest.param(
            sent(5, Kind.START, **BOUNDS), Unread(failure(ErrorKind.DENIED)), RetryAt, id="sent: keep looking"
        ),
        pytest.param(
            make_order(Kind.START, requested_at=ago(minutes=10), **BOUNDS),
            Unread(failure(ErrorKind.SERVER)),
            Refused,
            id="unreadable for 10 min",
        ),
        pytest.param(
            make_order(Kind.START, absent_seen_at=ago(seconds=30), **BOUNDS),
            Gone(),
            Refused,
            id="gone is final",
        ),
        pytest.param(make_order(Kind.SCALE, min_replicas=2, max_replicas=4), READY, Send, id="scale: sent"),
        pytest.param(
            make_order(Kind.SCALE, min_replicas=2, max_replicas=4), STOPPED, Refused, id="scale: stopped"
        ),
        pytest.param(
            sent(5, Kind.SCALE, min_replicas=2, max_replicas=4), DRAINING, Superseded, id="scale: stops"
        ),
        pytest.param(sent(5, Kind.SCALE, min_replicas=1, max_replicas=3), READY, Done, id="scale: read back"),
        pytest.param(
            sent(5, Kind.SCALE, min_replicas=3, max_replicas=4),
            replace(READY, min_replicas=3, max_replicas=4),
            Wait,
            id="scale: bounds set, replicas missing",
        ),
        pytest.param(
            sent(601, Kind.SCALE, min_replicas=3, max_replicas=4),
            replace(READY, min_replicas=3, max_replicas=4),
            Done,
            id="scale: bounds set, replicas still missing after 10 min",
        ),
        pytest.param(
            sent(61, Kind.SCALE, min_replicas=2, max_replicas=4, effect_seen_at=ago(seconds=9)),
            READY,
            Superseded,
            id="scale: changed by others",
        ),
        pytest.param(
            sent(60, Kind.SCALE, min_replicas=2, max_replicas=4), READY, Send, id="scale: sent again"
        ),
        pytest.param(
            sent(60, Kind.SCALE, min_replicas=2, max_replicas=4, send_count=3),
            READY,
            Refused,
            id="scale: given up",
        ),
        pytest.param(
            make_order(Kind.SCALE, min_replicas=1, max_replicas=2),
            V1_STARTED,
            Done,
            id="scale: v1 tells bounds only",
        ),
        pytest.param(make_order(Kind.DELETE), READY, Refused, id="delete: running"),
        pytest.param(
            make_order(Kind.DELETE), Seen("HOVERING"), Refused, id="delete: unknown counts as running"
        ),
        pytest.param(make_order(Kind.DELETE), DRAINING, Wait, id="delete: waits for STOPPED"),
        pytest.param(make_order(Kind.DELETE), STOPPED, Send, id="delete: sent"),
        pytest.param(make_order(Kind.DELETE), FAILED, Send, id="delete: what failed may go"),
        pytest.param(sent(5, Kind.DELETE), STOPPED, Wait, id="delete: still there"),
        pytest.param(sent(60, Kind.DELETE), STOPPED, Send, id="delete: sent again"),
        pytest.param(sent(60, Kind.DELETE, send_count=3), STOPPED, Refused, id="delete: given up"),
        pytest.param(sent(2, Kind.DELETE), Gone(), Done, id="delete: accepted and gone"),
        pytest.param(sent(2, Kind.DELETE, answered=False), Gone(), Wait, id="delete: answer lost, 404 once"),
        pytest.param(
            sent(40, Kind.DELETE, answered=False, absent_seen_at=ago(seconds=30)),
            Gone(),
            Done,
            id="delete: 404 twice",
        ),
        pytest.param(
            make_order(Kind.DELETE, is_whole_endpoint=True),
            Seen("", running=("qwen-h100",)),
            Refused,
            id="delete endpoint: something runs",
        ),
        pytest.param(
            make_order(Kind.DELETE, is_whole_endpoint=True), Seen(""), Send, id="delete endpoint: at rest"
        ),
        pytest.param(
            make_order(Kind.DELETE, is_whole_endpoint=True), V1_STARTED, Refused, id="delete v1: running"
        ),
        pytest.param(
            make_order(Kind.DELETE, is_whole_endpoint=True), V1_STOPPED, Send, id="delete v1: stopped"
        ),
    ],
)
def test_start_scale_delete(order: Order, sight: Sight, step: type[Step]) -> None:
    assert type(step_of(order, sight)) is step


def test_delete_leaves_the_traffic_split_first() -> None:
    step = step_of(make_order(Kind.DELETE), replace(STOPPED, is_in_traffic=True))

    assert isinstance(step, Send)
    assert step.act is Act.LEAVE_TRAFFIC


def test_v1_start_is_refused_in_words() -> None:
    refused = failure(ErrorKind.DENIED, status=403, code="endpoints_v1_create_access_disabled")

    step = verdicts.judge_failure(make_order(Kind.START, **BOUNDS), Act.START, refused, now=NOW)

    assert step == Refused(
        "The provider no longer starts v1 endpoints;"
        " deploy the same model on the same hardware as a v2 endpoint instead"
    )


def test_a_start_that_met_a_stop_is_read_again() -> None:
    met = failure(ErrorKind.INVALID, sentence="The deployment must be stopped before it can be restarted.")

    step = verdicts.judge_failure(make_order(Kind.START, **BOUNDS), Act.START, met, now=NOW)

    assert isinstance(step, RetryAt)


@pytest.mark.parametrize("kind", [ErrorKind.INVALID, ErrorKind.DENIED, ErrorKind.PAYMENT])
@pytest.mark.parametrize("what", [Kind.START, Kind.SCALE, Kind.DELETE])
def test_a_final_no_ends_everything_but_a_stop(what: Kind, kind: ErrorKind) -> None:
    assert isinstance(verdicts.judge_failure(make_order(what), Act.DELETE, failure(kind), now=NOW), Refused)


def test_no_capacity_for_ten_minutes_ends_a_start() -> None:
    full = failure(ErrorKind.RATE, sentence="GPU quota exceeded.")

    early = verdicts.judge_failure(make_order(Kind.START, **BOUNDS), Act.START, full, now=NOW)
    late = verdicts.judge_failure(
        make_order(Kind.START, requested_at=ago(minutes=10), **BOUNDS), Act.START, full, now=NOW
    )

    assert isinstance(early, RetryAt)
    assert late == Refused("Not accepted within 10 min: GPU quota exceeded.")


def test_a_read_state_forgets_an_earlier_404() -> None:
    order = verdicts.note_sight(sent(20, absent_seen_at=ago(seconds=25)), READY, now=NOW)

    assert order.absent_seen_at is None


def test_a_failed_read_changes_no_memory() -> None:
    order = sent(20, absent_seen_at=ago(seconds=25), effect_seen_at=ago(seconds=3))

    assert verdicts.note_sight(order, Unread(failure(ErrorKind.SERVER)), now=NOW) == order
