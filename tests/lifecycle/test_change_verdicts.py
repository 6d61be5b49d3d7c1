"""Rules of settings, endings, removals, teardowns and makings, one case each."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.lifecycle import verdicts
from dashboard.lifecycle.verdicts import (
    Act,
    Concern,
    Done,
    Escalate,
    Failure,
    Gone,
    Kind,
    Memo,
    Order,
    Part,
    Refused,
    RetryAt,
    Seen,
    SeenDeploy,
    SeenResource,
    SeenSettings,
    SeenTree,
    SeenVolumes,
    Send,
    Sight,
    Superseded,
    Unread,
    Wait,
)
from dashboard.lifecycle.verdicts.settings import find_missing, read_seconds
from dashboard.lifecycle.wants import DeployWant, VolumeWant
from dashboard.together_api.errors import ErrorKind
from tests.factories import NOW

SETTINGS = {"settings": {"scaleDownWindow": "300s", "inactiveTimeout": 30}}
BOUNDS = {"settings": {"minReplicas": 2, "maxReplicas": 3}}
DEPLOY = DeployWant("bot", "blue", "m", "c", min_replicas=1, max_replicas=1, weight=1.0)


def ago(**kwargs: float) -> datetime:
    return NOW - timedelta(**kwargs)


def make_order(kind: Kind, **fields: Any) -> Order:
    at = fields.pop("requested_at", ago(seconds=5))
    return Order(kind=kind, generation="v2", requested_at=at, due_at=at, seed=1, **fields)


def sent(
    kind: Kind, seconds: float, *, act: Act, subject: str = "", answered: bool = True, **fields: Any
) -> Order:
    memo = fields.pop("memo", Memo()).note_send(act, subject)
    return make_order(
        kind,
        requested_at=ago(seconds=seconds + 1),
        sent_at=ago(seconds=seconds),
        last_sent_at=ago(seconds=seconds),
        answered_at=ago(seconds=seconds) if answered else None,
        send_count=fields.pop("send_count", 1),
        memo=memo,
        **fields,
    )


def failure(kind: ErrorKind, *, unknown: bool = False) -> Failure:
    return Failure(kind, "The provider's words.", outcome_unknown=unknown)


def part(name: str, word: str, *, ready: int = 0, most: int = 1) -> Part:
    return Part(name, name, Seen(f"DEPLOYMENT_STATE_{word}", ready_replicas=ready, max_replicas=most))


def step_of(order: Order, sight: Sight) -> verdicts.Step:
    return verdicts.decide(verdicts.note_sight(order, sight, now=NOW), sight, now=NOW)


READY = SeenSettings("DEPLOYMENT_STATE_READY", {"scaleDownWindow": "60s", "inactiveTimeout": 0})
SET = SeenSettings("DEPLOYMENT_STATE_READY", {"scaleDownWindow": "5m", "inactiveTimeout": "30"})
CONFIGURE = {"arguments": SETTINGS, "act": Act.CONFIGURE}


@pytest.mark.parametrize(
    ("order", "sight", "step"),
    [
        pytest.param(make_order(Kind.CONFIGURE, arguments=SETTINGS), READY, Send, id="differs: sent"),
        pytest.param(make_order(Kind.CONFIGURE, arguments=SETTINGS), SET, Done, id="is so, spelt otherwise"),
        pytest.param(sent(Kind.CONFIGURE, 5, **CONFIGURE), SET, Done, id="read back"),
        pytest.param(sent(Kind.CONFIGURE, 5, **CONFIGURE), READY, Wait, id="not yet"),
        pytest.param(sent(Kind.CONFIGURE, 61, **CONFIGURE), READY, Send, id="no effect: again"),
        pytest.param(sent(Kind.CONFIGURE, 61, send_count=3, **CONFIGURE), READY, Refused, id="given up"),
        pytest.param(
            sent(Kind.CONFIGURE, 5, effect_seen_at=ago(seconds=3), **CONFIGURE),
            READY,
            Superseded,
            id="changed again by somebody",
        ),
        pytest.param(
            make_order(Kind.CONFIGURE, arguments=SETTINGS, opposed_at=ago(seconds=1)),
            READY,
            Superseded,
            id="a stop was asked for",
        ),
        pytest.param(
            make_order(Kind.CONFIGURE, arguments=SETTINGS, requested_at=ago(minutes=10)),
            READY,
            Refused,
            id="late",
        ),
        pytest.param(
            make_order(Kind.CONFIGURE, arguments=BOUNDS),
            SeenSettings("DEPLOYMENT_STATE_STOPPED", {"minReplicas": 0, "maxReplicas": 0}),
            Refused,
            id="bounds would start what is stopped",
        ),
        pytest.param(
            make_order(Kind.CONFIGURE, arguments=SETTINGS),
            replace(READY, state="DEPLOYMENT_STATE_STOPPED"),
            Send,
            id="windows of what is stopped",
        ),
        pytest.param(
            make_order(Kind.CONFIGURE, arguments=SETTINGS),
            replace(READY, state="DEPLOYMENT_STATE_FAILED"),
            Refused,
            id="failed",
        ),
        pytest.param(
            make_order(Kind.CONFIGURE, arguments=SETTINGS),
            SeenSettings("STARTED", {}),
            Send,
            id="not told: sent",
        ),
        pytest.param(
            sent(Kind.CONFIGURE, 2, **CONFIGURE), SeenSettings("STARTED", {}), Done, id="not told: accepted"
        ),
        pytest.param(
            make_order(Kind.RESIZE, arguments={"settings": {"num_gpus": 16}}),
            SeenSettings("Ready", {"num_gpus": 8}, kind="cluster"),
            Send,
            id="resize",
        ),
        pytest.param(
            make_order(Kind.RESIZE, arguments={"settings": {"num_gpus": 16}}),
            SeenSettings("Deleting", {"num_gpus": 8}, kind="cluster"),
            Refused,
            id="resize of what goes away",
        ),
        pytest.param(
            make_order(Kind.SPLIT, arguments={"settings": {"trafficSplit": {}}}),
            SeenSettings("", {"trafficSplit": {"dep_1": 1.0}}),
            Send,
            id="empty split",
        ),
        pytest.param(
            make_order(Kind.SPLIT, arguments={"settings": {"trafficSplit": {"dep_1": 1.0}}}),
            SeenSettings("", {"trafficSplit": {"dep_1": 1, "dep_2": 0}}),
            Done,
            id="a weight of 0 is no traffic",
        ),
        pytest.param(
            make_order(Kind.CANCEL, resource_kind="fine-tune"),
            SeenResource("fine-tune", "queued"),
            Send,
            id="cancel",
        ),
        pytest.param(
            sent(Kind.CANCEL, 3, act=Act.CANCEL, resource_kind="fine-tune"),
            SeenResource("fine-tune", "cancel_requested"),
            Wait,
            id="cancel under way",
        ),
        pytest.param(
            make_order(Kind.CANCEL, resource_kind="batch"),
            SeenResource("batch", "EXPIRED"),
            Superseded,
            id="ended otherwise",
        ),
        pytest.param(
            sent(Kind.CANCEL, 61, act=Act.CANCEL, resource_kind="batch", send_count=3),
            SeenResource("batch", "IN_PROGRESS"),
            Refused,
            id="cancel given up",
        ),
        pytest.param(
            sent(Kind.STOP, 61, act=Act.STOP, resource_kind="container", send_count=30),
            SeenResource("container", "Ready", ready_replicas=1),
            Send,
            id="a stop is not given up",
        ),
        pytest.param(
            sent(Kind.STOP, 5, act=Act.STOP, resource_kind="container"),
            SeenResource("container", "ScaledToZero", ready_replicas=1),
            Wait,
            id="a contradiction is no proof",
        ),
        pytest.param(
            make_order(Kind.DELETE, resource_kind="volume"), SeenResource("volume", "available"), Send,
            id="delete",
        ),
        pytest.param(
            sent(Kind.DELETE, 600, act=Act.DELETE, resource_kind="volume"),
            SeenResource("volume", "deleting"),
            Wait,
            id="is going",
        ),
        pytest.param(
            sent(Kind.DELETE, 5, act=Act.DELETE, resource_kind="volume"), Gone(), Wait, id="404 once is no proof"
        ),
        pytest.param(
            sent(Kind.DELETE, 40, act=Act.DELETE, resource_kind="volume", absent_seen_at=ago(seconds=30)),
            Gone(),
            Done,
            id="404 twice",
        ),
        pytest.param(
            make_order(Kind.DELETE, resource_kind="volume", absent_seen_at=ago(seconds=30)),
            Gone(),
            Superseded,
            id="somebody else deleted it",
        ),
        pytest.param(
            sent(Kind.DELETE, 61, act=Act.DELETE, resource_kind="cluster", send_count=9),
            SeenResource("cluster", "Ready"),
            Send,
            id="what bills is not given up",
        ),
        pytest.param(
            sent(Kind.DELETE, 61, act=Act.DELETE, resource_kind="model", send_count=3),
            SeenResource("model", ""),
            Refused,
            id="a model is given up",
        ),
    ],
)  # fmt: skip
def test_one_resource_one_step(order: Order, sight: Sight, step: type) -> None:
    assert type(step_of(order, sight)) is step


TREE = make_order(Kind.DELETE, is_in_order=True, is_whole_endpoint=True)
STOPPED_A, STOPPED_B = part("a", "STOPPED", most=0), part("b", "STOPPED", most=0)


@pytest.mark.parametrize(
    ("order", "tree", "expected"),
    [
        pytest.param(
            TREE, SeenTree((part("a", "READY", ready=1), STOPPED_B), {"a": 1.0}), (Act.STOP, "a"), id="stop"
        ),
        pytest.param(
            TREE, SeenTree((part("a", "STOPPING", ready=1), part("b", "READY", ready=1))), (Act.STOP, "b"),
            id="stop the next while one drains",
        ),
        pytest.param(TREE, SeenTree((part("a", "STOPPING"), STOPPED_B)), Wait, id="wait for STOPPED"),
        pytest.param(
            TREE, SeenTree((part("a", "STOPPED", ready=1, most=0),)), (Act.STOP, "a"),
            id="STOPPED with ready replicas is no rest",
        ),
        pytest.param(
            TREE, SeenTree((STOPPED_A, STOPPED_B), {"x": 1.0}), (Act.LEAVE_TRAFFIC, ""), id="whole split goes"
        ),
        pytest.param(TREE, SeenTree((STOPPED_A, part("b", "FAILED"))), (Act.DELETE, "a"), id="delete parts"),
        pytest.param(TREE, SeenTree(), (Act.DELETE, ""), id="delete the endpoint last"),
        pytest.param(
            make_order(Kind.DELETE, is_in_order=True), SeenTree((STOPPED_A,), {"x": 1.0}), (Act.DELETE, ""),
            id="others keep their traffic",
        ),
        pytest.param(
            make_order(Kind.DELETE, is_in_order=True), SeenTree((STOPPED_A,), {"a": 1.0}),
            (Act.LEAVE_TRAFFIC, ""), id="one leaves the split",
        ),
        pytest.param(
            replace(TREE, memo=Memo(marks=frozenset({"down:a"}))),
            SeenTree((part("a", "PROVISIONING"),)),
            Superseded,
            id="a restart wins",
        ),
        pytest.param(
            sent(
                Kind.DELETE, 5, act=Act.DELETE, subject="a", is_in_order=True, is_whole_endpoint=True
            ),
            SeenTree((STOPPED_A,)),
            Wait,
            id="sent: still listed",
        ),
        pytest.param(
            sent(
                Kind.DELETE, 61, act=Act.DELETE, subject="a", is_in_order=True, is_whole_endpoint=True,
                memo=Memo(sends={"delete:a": 2}),
            ),
            SeenTree((STOPPED_A,)),
            Refused,
            id="given up once nothing bills",
        ),
    ],
)  # fmt: skip
def test_a_teardown_goes_in_order(order: Order, tree: SeenTree, expected: object) -> None:
    step = step_of(order, tree)

    found = (step.act, step.subject) if isinstance(step, Send) else type(step)
    assert found == expected


def test_a_teardown_persists_while_something_may_run() -> None:
    for kind in (ErrorKind.DENIED, ErrorKind.PAYMENT):
        assert isinstance(step_of(TREE, Unread(failure(kind))), Escalate)
        assert isinstance(verdicts.judge_failure(TREE, Act.STOP, failure(kind), now=NOW), Escalate)
        assert isinstance(verdicts.judge_failure(TREE, Act.DELETE, failure(kind), now=NOW), Refused)
    for kind in (ErrorKind.RATE, ErrorKind.SERVER, ErrorKind.CONFLICT):
        late = replace(TREE, requested_at=ago(hours=2), due_at=ago(hours=2))
        assert isinstance(verdicts.judge_failure(late, Act.STOP, failure(kind), now=NOW), RetryAt)


@pytest.mark.parametrize(
    ("order", "concern"),
    [
        (replace(TREE, due_at=ago(minutes=11)), Concern.ESCALATED),
        (make_order(Kind.DELETE, resource_kind="cluster", requested_at=ago(minutes=6)), Concern.UNCONFIRMED),
        (make_order(Kind.DELETE, resource_kind="model", requested_at=ago(minutes=60)), Concern.NONE),
        (make_order(Kind.DEPLOY, requested_at=ago(hours=3)), Concern.NONE),
    ],
)
def test_only_what_ends_cost_worries(order: Order, concern: Concern) -> None:
    assert verdicts.measure_concern(order, now=NOW) is concern


def deploy_order(**fields: Any) -> Order:
    return make_order(Kind.DEPLOY, arguments=DEPLOY.write(), **fields)


REHEARSED = Memo(marks=frozenset({"rehearsed"}))
MADE = Memo(
    ids={"endpoint": "ep", "deployment": "dep"},
    sends={"create_endpoint": 1, "create_deployment": 1},
    marks=frozenset({"rehearsed"}),
)


def deployed(word: str, *, ready: int = 0, weights: dict[str, float] | None = None) -> SeenDeploy:
    return SeenDeploy("ep", True, part("dep", word, ready=ready), weights or {})


@pytest.mark.parametrize(
    ("memo", "sight", "expected"),
    [
        pytest.param(Memo(), SeenDeploy(may_rehearse=True), Act.REHEARSE, id="dry run first"),
        pytest.param(Memo(), SeenDeploy(), Act.CREATE_ENDPOINT, id="no endpoint to rehearse on"),
        pytest.param(REHEARSED, SeenDeploy(may_rehearse=True), Act.CREATE_ENDPOINT, id="endpoint"),
        pytest.param(
            replace(REHEARSED, sends={"create_endpoint": 1}), SeenDeploy("ep", True), Act.CREATE_DEPLOYMENT,
            id="found by its name",
        ),
        pytest.param(
            Memo(sends={"create_endpoint": 1}), SeenDeploy("ep", True), Act.REHEARSE,
            id="dry run on the new endpoint",
        ),
        pytest.param(Memo(), SeenDeploy("ep", True), Refused, id="the name was there before"),
        pytest.param(MADE, deployed("PROVISIONING"), Act.SPLIT, id="nobody served yet: routed at once"),
        pytest.param(
            MADE, deployed("PROVISIONING", weights={"other": 1.0}), Wait, id="others served: routed when ready"
        ),
        pytest.param(MADE, deployed("READY", ready=1, weights={"other": 1.0}), Act.SPLIT, id="routed when ready"),
        pytest.param(MADE, deployed("PROVISIONING", weights={"dep": 1.0}), Wait, id="waits for READY"),
        pytest.param(MADE, deployed("READY", ready=1, weights={"dep": 1.0}), Done, id="done"),
        pytest.param(
            replace(MADE, marks=MADE.marks | {"split"}), deployed("READY", ready=1), Done,
            id="taken out of the split by somebody: left so",
        ),
        pytest.param(MADE, deployed("FAILED"), Refused, id="failed"),
        pytest.param(MADE, deployed("STOPPING"), Superseded, id="stopped by somebody"),
    ],
)  # fmt: skip
def test_a_deploy_sends_the_next_missing_write(memo: Memo, sight: SeenDeploy, expected: object) -> None:
    step = step_of(deploy_order(memo=memo), sight)

    assert (step.act if isinstance(step, Send) else type(step)) == expected


@pytest.mark.parametrize(
    ("memo", "act", "kind", "expected"),
    [
        (Memo(), Act.REHEARSE, ErrorKind.INVALID, Refused),
        (Memo(), Act.REHEARSE, ErrorKind.QUOTA, Refused),
        (Memo(), Act.REHEARSE, ErrorKind.SERVER, RetryAt),
        (Memo(sends={"create_endpoint": 1}), Act.CREATE_ENDPOINT, ErrorKind.CONFLICT, Refused),
        (Memo(sends={"create_endpoint": 2}), Act.CREATE_ENDPOINT, ErrorKind.CONFLICT, RetryAt),
        (MADE, Act.CREATE_DEPLOYMENT, ErrorKind.CONFLICT, RetryAt),
        (MADE, Act.CREATE_DEPLOYMENT, ErrorKind.QUOTA, RetryAt),
        (MADE, Act.CREATE_DEPLOYMENT, ErrorKind.PAYMENT, Refused),
        (MADE, Act.SPLIT, ErrorKind.CONFLICT, RetryAt),
    ],
)
def test_a_deploys_failures(memo: Memo, act: Act, kind: ErrorKind, expected: type) -> None:
    step = verdicts.judge_failure(deploy_order(memo=memo), act, failure(kind), now=NOW)

    assert type(step) is expected


def test_a_volume_is_not_sent_again_after_a_lost_answer() -> None:
    want = VolumeWant("data", 1, "us").write()
    lost = sent(Kind.CREATE, 119, act=Act.CREATE_VOLUME, answered=False, arguments=want)

    assert isinstance(step_of(lost, SeenVolumes()), Wait)
    late = sent(Kind.CREATE, 121, act=Act.CREATE_VOLUME, answered=False, arguments=want)
    assert isinstance(step_of(late, SeenVolumes()), Refused)
    assert isinstance(step_of(late, SeenVolumes(("vol",), "available")), Done)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300s", 300), ("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("", None), ("soon", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert read_seconds(text) == seconds


@given(
    st.dictionaries(
        st.sampled_from(["minReplicas", "maxReplicas", "inactiveTimeout", "num_gpus", "size_tib"]),
        st.integers(0, 500),
    )
)
def test_what_is_set_is_never_missing_also_as_digits(wanted: dict[str, int]) -> None:
    assert find_missing(wanted, {name: str(value) for name, value in wanted.items()}) == ()
    assert set(find_missing(wanted, {name: value + 1 for name, value in wanted.items()})) == set(wanted)
