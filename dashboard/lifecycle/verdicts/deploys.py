"""Rules of a deploy: dry run, endpoint, deployment, traffic split, READY. Nothing is made twice.

Level-triggered: each pass looks for what exists under the names that the row has carried since before the first call,
and sends the one next missing write. A lost answer is found by its name; both names are unique at the provider, so
that a write repeated against a slow one is refused there (409) and found by the next look. What existed before our
first write is somebody else's and ends the act.
Limit, confessed: an endpoint of the same name that somebody makes in the seconds between our look and our own lost
create is taken for ours.
"""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle import wants
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import (
    Act,
    Done,
    Order,
    Refused,
    RetryAt,
    Send,
    Step,
    Superseded,
    Wait,
)
from dashboard.lifecycle.verdicts.refusals import FINAL, judge_absence, judge_read
from dashboard.lifecycle.verdicts.sights import Failure, Gone, Part, SeenDeploy, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind

REHEARSED = "rehearsed"


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a deploy."""
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        verdict = judge_absence(order, now=now)
        return Superseded("Was deleted again by somebody") if isinstance(verdict, Refused) else verdict
    seen = expect(sight, SeenDeploy)
    want = wants.DeployWant.read(order.arguments)
    if order.opposed_at is not None:
        return Superseded("A stop was asked for after this deploy")
    if seen.part is not None:
        return _decide_made(order, want, seen, seen.part, now=now)
    if seen.endpoint_id and not want.endpoint_id and not order.memo.count(Act.CREATE_ENDPOINT):
        return Refused(f"An endpoint named {want.endpoint_name} exists already; nothing was made")
    if REHEARSED not in order.memo.marks and (seen.endpoint_id or seen.may_rehearse):
        return Send(Act.REHEARSE, "Dry run: the provider checks it without making anything")
    if not seen.endpoint_id:
        return _write(order, Act.CREATE_ENDPOINT, "Create the endpoint", now=now)
    return _write(order, Act.CREATE_DEPLOYMENT, "Create the deployment", now=now)


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after one of the writes failed."""
    at = limits.retry_time(order, failure, now=now)
    if act is Act.REHEARSE:
        # A used-up quota too: what is free hours later would start a price that nobody expects any more.
        if failure.kind in FINAL or failure.kind in (ErrorKind.CONFLICT, ErrorKind.QUOTA):
            return Refused(f"The dry run was refused: {failure.sentence} {tell_made(order)}")
        return _retry(order, failure, now=now)
    if failure.outcome_unknown:
        return Wait(
            limits.next_look(order, now=now), f"The answer was lost ({failure.sentence}) The list tells"
        )
    if failure.kind is ErrorKind.CONFLICT and act is Act.CREATE_ENDPOINT:
        if order.memo.count(act) == 1:
            return Refused(f"The name is taken: {failure.sentence} {tell_made(order)}")
        return RetryAt(at, "The name is taken, perhaps by our own lost write; reading it again")
    if failure.kind in (ErrorKind.CONFLICT, ErrorKind.ABSENT):
        return RetryAt(at, "Changed meanwhile; reading it again")
    if failure.kind in FINAL:
        return Refused(f"{failure.sentence} {tell_made(order)}")
    return _retry(order, failure, now=now)


def tell_made(order: Order) -> str:
    """Return a sentence on what exists by now and what it costs."""
    want = wants.DeployWant.read(order.arguments)
    if "deployment" in order.memo.ids:
        return f"The deployment {want.deployment_name} exists; look at its state before you leave it"
    if "endpoint" in order.memo.ids:
        return f"The endpoint {want.endpoint_name} was made and is empty; it costs nothing"
    if order.memo.count(Act.CREATE_ENDPOINT):
        # Sent, and never found: a provider that carries it out later than that is found by the mirror.
        return "Nothing of it is known to exist"
    return "Nothing was made"


def _retry(order: Order, failure: Failure, *, now: datetime) -> Step:
    if now - order.due_at >= limits.SEND_WITHIN:
        return Refused(f"Not accepted within 10 min: {failure.sentence} {tell_made(order)}")
    return RetryAt(limits.retry_time(order, failure, now=now), failure.sentence)


def _write(order: Order, act: Act, what: str, *, now: datetime) -> Step:
    count = order.memo.count(act)
    if not count and now - order.due_at >= limits.DRAIN_WITHIN:
        return Refused(
            f"Could not be sent within 30 min; nobody expects its cost any more. {tell_made(order)}"
        )
    if not limits.may_repeat(order, act, now=now):
        return Wait(limits.next_look(order, now=now), f"{what}: sent; not in the list yet")
    if count >= limits.MAX_SENDS:
        return Refused(f"{what}: sent {count} times without effect. {tell_made(order)}")
    return Send(act, what if not count else f"{what}: not in the list; sent again")


def _decide_made(
    order: Order, want: wants.DeployWant, seen: SeenDeploy, part: Part, *, now: datetime
) -> Step:
    found = part.seen
    if found.status == status.FAILED:
        told = f": {found.message}" if found.message else ""
        return Refused(
            f"Ended as {found.short}{told}. The deployment stays listed as failed and costs nothing"
        )
    if found.is_moving_down:
        return Superseded(f"Was made and is {found.short}: stopped by somebody")
    is_ready = found.status in (status.RUNNING, status.DEGRADED) or (
        found.status == status.SCALING and bool(found.ready_replicas)
    )
    if _needs_split(order, want, seen, part, is_ready=is_ready):
        return _decide_split(order, want, is_ready=is_ready, now=now)
    if not is_ready:
        told = f": {found.message}" if found.message else ""
        return Wait(limits.next_look(order, now=now), f"{found.short}{told}; waiting for READY")
    ready = f", {found.ready_replicas} ready" if found.ready_replicas is not None else ""
    if want.weight is None:
        return Done(f"State read back as {found.short}{ready}; it gets no traffic, as asked for")
    if part.id in seen.weights:
        return Done(
            f"State read back as {found.short}{ready}, weight {seen.weights[part.id]:g} of the traffic"
        )
    return Done(f"State read back as {found.short}{ready}; somebody took it out of the traffic split since")


def _needs_split(
    order: Order, want: wants.DeployWant, seen: SeenDeploy, part: Part, *, is_ready: bool
) -> bool:
    """Tell whether its traffic is due: at once on an endpoint that serves nobody, else only when it can answer."""
    if want.weight is None or part.id in seen.weights or "split" in order.memo.marks:
        return False
    serves_others = any(seen.weights.values())
    return is_ready or not serves_others


def _decide_split(order: Order, want: wants.DeployWant, *, is_ready: bool, now: datetime) -> Step:
    if not limits.may_repeat(order, Act.SPLIT, now=now):
        return Wait(limits.next_look(order, now=now), "Traffic split sent; not read back yet")
    if order.memo.count(Act.SPLIT) >= limits.MAX_SENDS:
        runs = "runs and bills" if is_ready else "is starting"
        return Refused(
            f"{want.deployment_name} {runs}, but the traffic split was accepted"
            f" {limits.MAX_SENDS} times without effect: set it by hand or stop the deployment"
        )
    return Send(Act.SPLIT, f"Set the traffic split: weight {want.weight:g}")
