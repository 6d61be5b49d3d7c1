"""Rules of an upload: register the model, start the import, follow it to its end.

Both are found by what the row has carried since before the first call: the model by its name, the import by the
model. A model of the name that was there before our first write is somebody else's and ends the act.
"""

from datetime import datetime

from dashboard.core import status
from dashboard.lifecycle import wants
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import Act, Done, Order, Refused, RetryAt, Send, Step, Wait
from dashboard.lifecycle.verdicts.refusals import FINAL, judge_absence, judge_read
from dashboard.lifecycle.verdicts.sights import Failure, Gone, SeenUpload, Sight, Unread, expect
from dashboard.together_api.errors import ErrorKind


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of an upload."""
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return judge_absence(order, now=now)
    seen = expect(sight, SeenUpload)
    want = wants.UploadWant.read(order.arguments)
    if not seen.model_id:
        return _write(order, Act.CREATE_MODEL, "Register the model", now=now)
    if not order.memo.count(Act.CREATE_MODEL):
        return Refused(f"A model named {want.model_name} exists already; nothing was made")
    if not seen.upload_id:
        return _write(order, Act.UPLOAD, "Start the import", now=now)
    if seen.status is status.COMPLETED:
        return Done(f"Import read back as {seen.state.removeprefix('REMOTE_UPLOAD_STATUS_')}")
    told = f": {seen.message.rstrip('.')}" if seen.message else ""
    if seen.status is status.FAILED:
        return Refused(f"The import failed{told}. The model {want.model_name} is registered and empty")
    return Wait(limits.next_look(order, now=now), f"{seen.status.word}{told}")


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after one of the writes failed."""
    if failure.outcome_unknown:
        return Wait(
            limits.next_look(order, now=now), f"The answer was lost ({failure.sentence}) The list tells"
        )
    at = limits.retry_time(order, failure, now=now)
    if failure.kind is ErrorKind.CONFLICT and act is Act.CREATE_MODEL and order.memo.count(act) == 1:
        return Refused(f"The name is taken: {failure.sentence}")
    if failure.kind in (ErrorKind.CONFLICT, ErrorKind.ABSENT):
        return RetryAt(at, "Changed meanwhile; reading it again")
    if failure.kind in FINAL:
        return Refused(f"{failure.sentence} {_tell_made(order)}")
    if now - order.due_at >= limits.SEND_WITHIN:
        return Refused(f"Not accepted within 10 min: {failure.sentence} {_tell_made(order)}")
    return RetryAt(at, failure.sentence)


def _tell_made(order: Order) -> str:
    return "The model is registered and empty" if "model" in order.memo.ids else "Nothing was made"


def _write(order: Order, act: Act, what: str, *, now: datetime) -> Step:
    count = order.memo.count(act)
    if not limits.may_repeat(order, act, now=now):
        return Wait(limits.next_look(order, now=now), f"{what}: sent; not in the list yet")
    if count >= limits.MAX_SENDS:
        return Refused(f"{what}: sent {count} times without effect. {_tell_made(order)}")
    return Send(act, what if not count else f"{what}: not in the list; sent again")
