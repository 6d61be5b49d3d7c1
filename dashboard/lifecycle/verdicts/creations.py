"""Rules of making a shared volume: names are not unique at the provider, so a create is never sent twice on a doubt.

A volume of the name that was there before our first write is somebody else's and ends the act. After a write whose
outcome is unknown the list is read for two minutes; when nothing of the name appears, the act ends and says so:
asking again is a person's decision, for a volume bills as long as it exists. Limit, confessed: a create that the
provider carries out later than that is found by the mirror, not by this act.
"""

from datetime import datetime, timedelta
from typing import Final

from dashboard.core import resource_states, status
from dashboard.lifecycle import wants
from dashboard.lifecycle.verdicts import limits
from dashboard.lifecycle.verdicts.facts import Act, Done, Order, Refused, Send, Step, Wait
from dashboard.lifecycle.verdicts.refusals import judge_read, judge_write
from dashboard.lifecycle.verdicts.sights import Failure, Gone, SeenVolumes, Sight, Unread, expect

# Time in which a create that was sent shows in the list. Judged: far above the call's own limit of 10 s.
LISTED_WITHIN: Final = timedelta(minutes=2)


def decide(order: Order, sight: Sight, *, now: datetime) -> Step:
    """Return the next step of making a volume."""
    if isinstance(sight, Unread):
        return judge_read(order, sight.failure, now=now)
    seen = expect(sight, SeenVolumes) if not isinstance(sight, Gone) else SeenVolumes()
    want = wants.VolumeWant.read(order.arguments)
    is_ours = bool(order.memo.count(Act.CREATE_VOLUME))
    if seen.ids:
        return _decide_listed(order, want, seen, is_ours=is_ours, now=now)
    if not is_ours:
        if now - order.due_at >= limits.SEND_WITHIN:
            return Refused("Could not be sent within 10 min")
        return Send(Act.CREATE_VOLUME, "No volume has this name")
    if now - (order.last_sent_at or order.due_at) < LISTED_WITHIN:
        return Wait(limits.next_look(order, now=now), "Sent; not in the list yet")
    what = "It was accepted" if order.is_answered else "The answer was lost"
    return Refused(
        f"{what}, but no volume of this name appeared within 2 min; look at the list before you ask again"
    )


def judge_failure(order: Order, act: Act, failure: Failure, *, now: datetime) -> Step:
    """Return the next step after the create was not accepted."""
    return judge_write(order, failure, now=now)


def _decide_listed(
    order: Order, want: wants.VolumeWant, seen: SeenVolumes, *, is_ours: bool, now: datetime
) -> Step:
    if not is_ours:
        return Refused(f"A volume named {want.name} exists already; nothing was made")
    found = resource_states.read_state("volume", seen.state)
    if found is status.FAILED:
        return Refused(f"Made, but it ended as {seen.state}; delete it")
    if found is status.STARTING:
        return Wait(limits.next_look(order, now=now), f"Is {seen.state}; waiting until it is available")
    return Done(f"State read back from the provider as {seen.state or 'listed'}")
