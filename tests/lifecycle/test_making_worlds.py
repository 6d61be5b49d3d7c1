"""Acts that make things, in worlds whose answers get lost, late or never: never more than one thing is made.

The runner does what lifecycle/reconcile.py does around the pure rules: it remembers a write before it leaves, takes it
back only when it certainly left nothing behind, and looks again later. Names of endpoints, deployments and models are
unique there (409), those of volumes are not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dashboard.lifecycle import verdicts
from dashboard.lifecycle.verdicts import (
    Act,
    Done,
    Failure,
    Kind,
    Memo,
    Order,
    Part,
    Refused,
    Seen,
    SeenDeploy,
    SeenUpload,
    SeenVolumes,
    Send,
    Sight,
    Superseded,
    Unread,
    Wait,
)
from dashboard.lifecycle.verdicts.deploys import REHEARSED
from dashboard.lifecycle.wants import DeployWant, UploadWant, VolumeWant
from dashboard.together_api.errors import ErrorKind
from tests.factories import NOW

# Seconds after which a lease that nobody gives back is taken over.
LEASE_SECONDS = 41
# What may become of a write: accepted; carried out, answer lost; lost on the way; carried out so many seconds later,
# answer lost; refused for certain; or we die before or after the call.
OUTCOMES = ("ok", "lost", "never", "rate", "crash_before", "crash_after", 5, 45, 90, 400)
READS = ("ok", "ok", "fails", "stale")


@dataclass
class World:
    """What was made, by kind and in order, and what is still on its way to the provider."""

    made: dict[str, list[datetime]] = field(default_factory=dict)
    on_its_way: list[tuple[datetime, str]] = field(default_factory=list)
    unique: frozenset[str] = frozenset({"endpoint", "deployment", "model"})
    has_split: bool = False

    def arrive(self, now: datetime) -> None:
        """Carry out what was delayed until now; a name that is taken by then is refused without anybody knowing."""
        for due_at, thing in [one for one in self.on_its_way if one[0] <= now]:
            self.on_its_way.remove((due_at, thing))
            self.make(thing, due_at)

    def make(self, thing: str, now: datetime) -> bool:
        """Make one; False = the name is taken."""
        if thing == "split":
            self.has_split = True
        elif thing != "rehearsal":
            if thing in self.unique and self.made.get(thing):
                return False
            self.made.setdefault(thing, []).append(now)
        return True

    def count(self, thing: str, *, before: datetime) -> int:
        """Return how many a list shows that ends before a time."""
        return sum(at < before for at in self.made.get(thing, ()))


@dataclass
class Run:
    """One act in one world."""

    order: Order
    world: World
    look: Callable[["Run", datetime], Sight]
    things: dict[Act, str]
    writes: Iterator[str | int]
    reads: Iterator[str]
    now: datetime = NOW
    ending: Done | Refused | Superseded | None = None
    sends: list[Act] = field(default_factory=list)

    def play(self, *, passes: int = 400) -> None:
        """Pass after pass until it ends; what happens runs out, so that in the end everything works."""
        for _ in range(passes):
            self.world.arrive(self.now)
            until = self._pass()
            if self.ending is not None:
                return
            self.now = max(until, self.now + timedelta(seconds=1))
        raise AssertionError(f"no end after {passes} passes: {self.order.memo}")

    def _pass(self) -> datetime:
        read = next(self.reads, "ok")
        if read == "fails":
            sight: Sight = Unread(Failure(ErrorKind.SERVER, "Trouble."))
            self.order = replace(self.order, failures=self.order.failures + 1)
        else:
            # A list may lag behind what was just made.
            sight = self.look(self, self.now - timedelta(seconds=3) if read == "stale" else self.now)
        self.order = verdicts.note_sight(self.order, sight, now=self.now)
        step = verdicts.decide(self.order, sight, now=self.now)
        if isinstance(step, Send):
            return self._send(step)
        return self._follow(step)

    def _follow(self, step: verdicts.Step) -> datetime:
        if isinstance(step, Done | Refused | Superseded):
            self.ending = step
            return self.now
        if isinstance(step, Wait):
            self.order = replace(self.order, failures=0)
            return step.until
        assert not isinstance(step, Send)
        return step.at

    def _send(self, step: Send) -> datetime:
        before = self.order
        self.order = replace(self.order, memo=self.order.memo.note_send(step.act, step.subject))
        self.order = replace(self.order, send_count=max(self.order.memo.sends.values()))
        if not step.act.is_preparation:
            self.order = replace(self.order, sent_at=before.sent_at or self.now, last_sent_at=self.now)
        self.sends.append(step.act)
        outcome, thing = next(self.writes, "ok"), self.things[step.act]
        if outcome == "crash_before":
            return self.now + timedelta(seconds=LEASE_SECONDS)
        if isinstance(outcome, int):
            self.world.on_its_way.append((self.now + timedelta(seconds=outcome), thing))
            return self._fail(step.act, before, Failure(ErrorKind.TIMEOUT, "Lost.", outcome_unknown=True))
        if outcome == "never":
            return self._fail(step.act, before, Failure(ErrorKind.TIMEOUT, "Lost.", outcome_unknown=True))
        if outcome == "rate":
            return self._fail(step.act, before, Failure(ErrorKind.RATE, "Too many."))
        if not self.world.make(thing, self.now):
            return self._fail(step.act, before, Failure(ErrorKind.CONFLICT, "Exists.", status=409))
        if outcome == "crash_after":
            return self.now + timedelta(seconds=LEASE_SECONDS)
        if outcome == "lost":
            return self._fail(step.act, before, Failure(ErrorKind.SERVER, "Lost.", outcome_unknown=True))
        marks = (REHEARSED,) if step.act is Act.REHEARSE else ()
        ids = {} if thing in ("split", "rehearsal") else {thing: f"{thing}-1"}
        memo = self.order.memo.note_made(ids, marks)
        answered = self.order.answered_at if step.act.is_preparation else self.now
        self.order = replace(self.order, memo=memo, answered_at=answered, failures=0)
        return self.now + timedelta(seconds=1)

    def _fail(self, act: Act, before: Order, failure: Failure) -> datetime:
        order = replace(self.order, failures=before.failures + 1)
        step = verdicts.judge_failure(order, act, failure, now=self.now)
        self.order = (
            order
            if failure.outcome_unknown
            else replace(order, memo=before.memo, last_sent_at=before.last_sent_at)
        )
        return self._follow(step)


def make_order(kind: Kind, arguments: dict[str, object]) -> Order:
    return Order(
        kind=kind, generation="", requested_at=NOW, due_at=NOW, seed=1, arguments=arguments, memo=Memo()
    )


def look_at_deploy(run: Run, at: datetime) -> Sight:
    world, ids = run.world, run.order.memo.ids
    # What is known by its id is asked for by it, and such an answer does not lag.
    endpoint = "endpoint" in ids or world.count("endpoint", before=at + timedelta(microseconds=1))
    if not endpoint:
        return SeenDeploy(may_rehearse=True)
    has_part = "deployment" in ids or world.count("deployment", before=at + timedelta(microseconds=1))
    part = None
    if has_part:
        is_ready = run.now - world.made["deployment"][0] >= timedelta(seconds=60)
        word = "DEPLOYMENT_STATE_READY" if is_ready else "DEPLOYMENT_STATE_PROVISIONING"
        part = Part("deployment-1", "blue", Seen(word, ready_replicas=int(is_ready), max_replicas=1))
    weights = {"deployment-1": 1.0} if world.has_split else {}
    return SeenDeploy(endpoint_id="endpoint-1", may_rehearse=True, part=part, weights=weights)


def look_at_volumes(run: Run, at: datetime) -> Sight:
    count = run.world.count("volume", before=at + timedelta(microseconds=1))
    return SeenVolumes(tuple(f"volume-{number}" for number in range(count)), "available" if count else "")


def look_at_upload(run: Run, at: datetime) -> Sight:
    world, ids = run.world, run.order.memo.ids
    shown = at + timedelta(microseconds=1)
    if "model" not in ids and not world.count("model", before=shown):
        return SeenUpload()
    if "upload" not in ids and not world.count("upload", before=shown):
        return SeenUpload(model_id="model-1")
    return SeenUpload("model-1", "upload-1", "REMOTE_UPLOAD_STATUS_SUCCEEDED")


DEPLOY = make_order(
    Kind.DEPLOY,
    DeployWant("bot", "blue-1a2b3c", "m", "c", min_replicas=1, max_replicas=1, weight=1.0).write(),
)
VOLUME = make_order(Kind.CREATE, VolumeWant("data", 2, "us").write())
UPLOAD = make_order(Kind.UPLOAD, UploadWant("tuned", "model", "ml_1", "acme/model").write())
THINGS = {
    Act.REHEARSE: "rehearsal",
    Act.CREATE_ENDPOINT: "endpoint",
    Act.CREATE_DEPLOYMENT: "deployment",
    Act.SPLIT: "split",
    Act.CREATE_VOLUME: "volume",
    Act.CREATE_MODEL: "model",
    Act.UPLOAD: "upload",
}
writes = st.lists(st.sampled_from(OUTCOMES), max_size=12)
reads = st.lists(st.sampled_from(READS), max_size=30)


def play(
    order: Order,
    look: Callable[[Run, datetime], Sight],
    writes: Sequence[str | int],
    reads: Sequence[str],
) -> Run:
    run = Run(order, World(), look, THINGS, iter(writes), iter(reads))
    run.play()
    run.world.arrive(run.now + timedelta(hours=1))
    return run


@given(writes=writes, reads=reads)
def test_a_deploy_makes_at_most_one_endpoint_and_one_deployment(
    writes: list[str | int], reads: list[str]
) -> None:
    run = play(DEPLOY, look_at_deploy, writes, reads)

    assert len(run.world.made.get("endpoint", ())) <= 1
    assert len(run.world.made.get("deployment", ())) <= 1
    # No deployment comes without the provider's dry run before it.
    if Act.CREATE_DEPLOYMENT in run.sends:
        assert run.sends.index(Act.REHEARSE) < run.sends.index(Act.CREATE_DEPLOYMENT)
    if isinstance(run.ending, Done):
        assert run.world.has_split
        assert len(run.world.made["deployment"]) == 1


@given(outcomes=st.lists(st.sampled_from(("ok", "lost", "crash_before", "crash_after", 5)), max_size=2))
def test_a_few_lost_answers_do_not_keep_a_deploy_from_its_end(outcomes: list[str | int]) -> None:
    run = play(DEPLOY, look_at_deploy, outcomes, [])

    assert isinstance(run.ending, Done), run.ending


@given(writes=writes, reads=reads)
def test_a_volume_is_made_at_most_once_whatever_happens(writes: list[str | int], reads: list[str]) -> None:
    run = play(VOLUME, look_at_volumes, writes, reads)

    assert len(run.world.made.get("volume", ())) <= 1
    if isinstance(run.ending, Done):
        assert len(run.world.made["volume"]) == 1


@given(writes=writes, reads=reads)
def test_an_upload_registers_at_most_one_model(writes: list[str | int], reads: list[str]) -> None:
    run = play(UPLOAD, look_at_upload, writes, reads)

    assert len(run.world.made.get("model", ())) <= 1
    if isinstance(run.ending, Done):
        assert len(run.world.made["model"]) == 1


def test_a_failed_import_quotes_the_provider_as_one_sentence() -> None:
    sight = SeenUpload("model-1", "upload-1", "REMOTE_UPLOAD_STATUS_FAILED", "The repository is private.")
    order = replace(UPLOAD, memo=Memo().note_send(Act.CREATE_MODEL, "").note_send(Act.UPLOAD, ""))

    step = verdicts.decide(order, sight, now=NOW)

    assert step == Refused(
        "The import failed: The repository is private. The model tuned is registered and empty"
    )


def test_what_was_there_before_our_first_write_is_never_taken_for_ours() -> None:
    for order, look, thing in (
        (DEPLOY, look_at_deploy, "endpoint"),
        (VOLUME, look_at_volumes, "volume"),
        (UPLOAD, look_at_upload, "model"),
    ):
        world = World(made={thing: [NOW - timedelta(days=1)]})
        run = Run(order, world, look, THINGS, iter(()), iter(()))

        run.play()

        assert isinstance(run.ending, Refused)
        assert "exists already" in run.ending.reason
        assert run.sends == []
