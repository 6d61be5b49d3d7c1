"""The pure core in a small world: a deployment that drains, restarts and vanishes, answers that fail or get lost.

Hypothesis plays schedules of them against a reconciler of twenty lines; time jumps to whatever is due next.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dashboard.lifecycle import verdicts
from dashboard.lifecycle.verdicts import (
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
    Superseded,
    Unread,
    Wait,
)
from dashboard.together_api.errors import ErrorKind

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PREFIX = "DEPLOYMENT_STATE_"
DRAIN = timedelta(seconds=45)
PROVISION = timedelta(minutes=3)
RUNNING = ("READY", "SCALING", "DEGRADED", "HOVERING")


class World:
    """One v2 deployment as the contract describes it (3.5)."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.wants = 0 if state in ("STOPPED", "STOPPING") else 1
        self.since = START
        self.is_gone = False

    def advance(self, now: datetime) -> None:
        if self.state == "STOPPING" and now - self.since >= DRAIN:
            self._enter("STOPPED", self.since + DRAIN)
        if self.state == "PROVISIONING" and now - self.since >= PROVISION:
            self._enter("READY", self.since + PROVISION)

    def stop(self, now: datetime, *, has_effect: bool) -> None:
        self.wants = 0
        if has_effect and self.state not in ("STOPPED", "STOPPING", "FAILED"):
            self._enter("STOPPING", now)

    def start(self, now: datetime) -> None:
        self.wants = 1
        self._enter("PROVISIONING", now)

    def look(self) -> Sight:
        if self.is_gone:
            return Gone()
        ready = 1 if self.state in RUNNING else 0
        return Seen(
            PREFIX + self.state, ready_replicas=ready, min_replicas=self.wants, max_replicas=self.wants
        )

    def _enter(self, state: str, at: datetime) -> None:
        self.state, self.since = state, at


class StopInAnUncertainWorld(RuleBasedStateMachine):
    """Rules are what the world does; `reconcile` is the product."""

    @initialize(
        state=st.sampled_from(["READY", "SCALING", "DEGRADED", "PROVISIONING", "HOVERING", "STOPPED"])
    )
    def request(self, state: str) -> None:
        self.now = START
        self.world = World(state)
        self.order = Order(kind=Kind.STOP, generation="v2", requested_at=START, due_at=START, seed=1)
        self.next_at = START
        self.ending: object = None
        self.sends: list[datetime] = []
        self.restarted_at: datetime | None = None
        self.reads_fail = 0
        self.writes_fail: list[str] = []
        self.event_of_stop: datetime | None = None

    @rule(count=st.integers(1, 4))
    def let_reads_fail(self, count: int) -> None:
        self.reads_fail = count

    @rule(how=st.lists(st.sampled_from(["refused", "stale", "lost", "ignored", "denied"]), max_size=4))
    def let_writes_fail(self, how: list[str]) -> None:
        self.writes_fail = list(how)

    @rule(seconds=st.sampled_from([1, 5, 20, 60, 300]))
    def sleep(self, seconds: int) -> None:
        """The product is down for a while, or nothing is due."""
        self._go_to(self.now + timedelta(seconds=seconds))

    # What was stopped before the request, unknown to us, and restarts before our first read is the confessed limit.
    @precondition(
        lambda self: (
            self.world.state == "STOPPED" and not self.world.is_gone and self.event_of_stop is not None
        )
    )
    @rule()
    def restart_by_a_person(self) -> None:
        self.restarted_at = self.now
        self.world.start(self.now)

    @precondition(lambda self: self.ending is None)
    @rule()
    def delete_by_a_person(self) -> None:
        self.world.is_gone = True

    @precondition(lambda self: self.world.state in ("READY", "STOPPING"))
    @rule()
    def fail(self) -> None:
        self.world.state = "FAILED"

    @precondition(lambda self: self.ending is None)
    @rule(steps=st.integers(1, 5))
    def reconcile(self, steps: int) -> None:
        for _ in range(steps):
            if self.ending is None:
                self._go_to(max(self.now, self.next_at))
                self._take_step()

    def _go_to(self, at: datetime) -> None:
        before = self.world.state
        self.now = at
        self.world.advance(at)
        if before != "STOPPED" and self.world.state == "STOPPED":
            # The event feed tells of it later, whether we looked or not.
            self.event_of_stop = self.world.since

    def _take_step(self) -> None:
        if self.reads_fail:
            self.reads_fail -= 1
            sight: Sight = Unread(Failure(ErrorKind.SERVER, "down."))
            order = replace(self.order, failures=self.order.failures + 1)
        else:
            sight, order = self.world.look(), self.order
        order = verdicts.note_sight(replace(order, stopped_since_at=self.event_of_stop), sight, now=self.now)
        step = verdicts.decide(order, sight, now=self.now)
        self.order = order
        if isinstance(step, Send):
            step = self._send()
        if isinstance(step, Wait):
            self.next_at = step.until
        elif isinstance(step, RetryAt | Escalate):
            self.next_at = step.at
        else:
            self.ending = step
            if isinstance(step, Done) and not self.world.is_gone:
                assert self.world.state == "STOPPED"

    def _send(self) -> object:
        before = self.order
        seen = self.world.look()
        self.sends.append(self.now)
        self.order = replace(
            before,
            sent_at=before.sent_at or self.now,
            last_sent_at=self.now,
            send_count=before.send_count + 1,
            state_when_sent=seen.state if isinstance(seen, Seen) else "",
        )
        how = self.writes_fail.pop(0) if self.writes_fail else "accepted"
        if how in ("refused", "stale", "denied"):
            kind = {"refused": ErrorKind.RATE, "stale": ErrorKind.CONFLICT, "denied": ErrorKind.DENIED}[how]
            self.sends.pop()
            self.order = replace(self.order, failures=before.failures + 1, last_sent_at=before.last_sent_at)
            return verdicts.judge_failure(self.order, verdicts.Act.STOP, Failure(kind, "no."), now=self.now)
        self.world.stop(self.now, has_effect=how != "ignored")
        if how == "lost":
            self.order = replace(self.order, failures=before.failures + 1)
            lost = Failure(ErrorKind.TIMEOUT, "lost.", outcome_unknown=True)
            return verdicts.judge_failure(self.order, verdicts.Act.STOP, lost, now=self.now)
        self.order = replace(self.order, answered_at=self.now, failures=0)
        return Wait(self.now + timedelta(seconds=1), "sent")

    @invariant()
    def never_refused(self) -> None:
        assert not isinstance(getattr(self, "ending", None), Refused)

    @invariant()
    def never_sent_after_a_restart_by_a_person(self) -> None:
        restarted_at = getattr(self, "restarted_at", None)
        if restarted_at is not None:
            assert all(at <= restarted_at for at in self.sends)

    def teardown(self) -> None:
        """Once faults end, every stop ends: observed, superseded by a restart, or a failure told to people."""
        if not hasattr(self, "order"):
            return
        self.reads_fail, self.writes_fail = 0, []
        for _ in range(60):
            if self.ending is not None:
                break
            self._go_to(max(self.now, self.next_at))
            self._take_step()
        if self.world.state == "FAILED" and not self.world.is_gone and self.order.is_sent:
            assert self.ending is None or isinstance(self.ending, Done | Superseded)
        else:
            assert isinstance(self.ending, Done | Superseded)
        if isinstance(self.ending, Superseded) and self.world.state != "FAILED":
            assert self.restarted_at is not None
        self.never_sent_after_a_restart_by_a_person()


StopInAnUncertainWorld.TestCase.settings = settings(max_examples=250, stateful_step_count=25, deadline=None)
TestStopInAnUncertainWorld = StopInAnUncertainWorld.TestCase
