"""Rules of desired settings: autoscaling, idle timeout, traffic split, size of a cluster or volume.

Level-triggered: what the provider holds is compared with what is wanted, setting by setting. Done when it reads back;
once it did, a later difference is somebody else's wish and is left alone.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from dashboard.core import status
from dashboard.lifecycle import wants
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import Act, Done, Kind, Order, Refused, Send, Step, Superseded, Wait
from dashboard.lifecycle.verdicts.refusals import judge_absence, judge_read, judge_write
from dashboard.lifecycle.verdicts.settings import find_missing
from dashboard.lifecycle.verdicts.sights import Failure, Gone, SeenSettings, Sight, Unread, expect

_ACTS: Final = {Kind.CONFIGURE: Act.CONFIGURE, Kind.SPLIT: Act.SPLIT, Kind.RESIZE: Act.RESIZE}
# A change of the bounds of what is down would start it, and what is going away takes none.
_TAKES_NO_BOUNDS: Final = (status.STOPPED, status.STOPPING)
_TAKES_NOTHING: Final = (status.FAILED, status.DELETING)


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of a change of settings."""
    if order.opposed_at is not None:
        return Superseded("A stop was asked for after this change")
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    if isinstance(sight, Gone):
        return judge_absence(order, now=now)
    seen = expect(sight, SeenSettings)
    wanted: Mapping[str, Any] = order.arguments[wants.SETTINGS]
    missing = find_missing(wanted, seen.present)
    if not missing:
        return _decide_set(order, wanted, seen)
    if order.is_sent and order.effect_seen_at is not None:
        return Superseded(f"Was set and was changed again by somebody: {_tell(missing, seen.present)}")
    if seen.status in _TAKES_NOTHING:
        return Refused(f"Is {seen.status.word.lower()}; its settings cannot be changed")
    if seen.status in _TAKES_NO_BOUNDS and wants.MAX_REPLICAS in missing:
        return Refused(f"Is {seen.status.word.lower()}; start it with these bounds instead")
    act = _ACTS[order.kind]
    if not order.is_sent:
        if now - order.due_at >= limits.SEND_WITHIN:
            return Refused("Could not be sent within 10 min")
        return Send(act, f"Is {_tell(missing, seen.present)}")
    if not limits.may_send_again(order, now=now):
        return Wait(limits.next_look(order, now=now), f"Sent; still {_tell(missing, seen.present)}")
    if order.send_count >= limits.MAX_SENDS:
        return Refused(
            f"Accepted {order.send_count} times, but the provider holds {_tell(missing, seen.present)}"
        )
    return Send(act, f"Accepted, but still {_tell(missing, seen.present)}; sent again")


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the change was not accepted; a stale etag is read again."""
    return judge_write(order, failure, now=now)


def _decide_set(order: Order, wanted: Mapping[str, Any], seen: SeenSettings) -> Step:
    untold = [name for name in wanted if name not in seen.present]
    if not untold:
        if order.is_sent:
            return Done("Settings read back from the provider as asked for")
        return Done("Was so already; nothing was sent")
    if order.is_answered:
        return Done("Accepted; the provider does not tell this setting back")
    return Send(_ACTS[order.kind], "The provider does not tell the present setting")


def _tell(names: tuple[str, ...], present: Mapping[str, Any]) -> str:
    held = {name: present[name] for name in names}
    return "; ".join(
        f"{label.lower()} {value}" for label, value in wants.describe("", {wants.SETTINGS: held})
    )
