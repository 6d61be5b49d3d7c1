"""What every mirrored page shows above its content: age, notes, late stops, acts that it waits for."""

from collections.abc import Sequence

from django.http import HttpRequest
from django.urls import reverse

from dashboard.accounts.permissions import Right, user_may
from dashboard.mirror.group_freshness import limits_of, load_group_freshness
from dashboard.mirror.models import SyncRun
from dashboard.web.notices import Notice, describe_groups, find_late_stops, gather_notices
from dashboard.web.snapshot import Snapshot
from dashboard.web.watch import read_watch


def page_context(request: HttpRequest, snapshot: Snapshot) -> dict[str, object]:
    """Return what a page over endpoints shows above its content. Three queries."""
    user, now = snapshot.user, snapshot.now
    watch = read_watch(user, watched=request.GET.get("watch", ""), seen=request.GET.get("seen", ""), now=now)
    return {
        "snapshot": snapshot,
        "now": now,
        "synced_at": snapshot.freshness.synced_at,
        "is_stale": snapshot.is_stale,
        "notices": gather_notices(user, freshness=snapshot.freshness, now=now),
        "late_stops": find_late_stops(user, now=now),
        "watch": watch,
        "notices_url": f"{reverse('notices')}?{watch.query}",
        "may_operate": user_may(user, Right.OPERATE),
        "may_connect": user_may(user, Right.MANAGE_CONNECTIONS),
    }


def group_context(
    request: HttpRequest, snapshot: Snapshot, groups: Sequence[SyncRun.Resource]
) -> dict[str, object]:
    """Return the same for a page over other groups of resources, whose age is its own. Four queries.

    Without groups it is a page over endpoints.
    """
    context = page_context(request, snapshot)
    if not groups:
        return context
    notices: tuple[Notice, ...] = context["notices"]  # type: ignore[assignment]  # of gather_notices
    freshness = load_group_freshness(snapshot.user, groups)
    synced_at = freshness.synced_at
    limits = limits_of(groups)
    names = ".".join(group.value for group in groups)
    return context | {
        "group_freshness": freshness,
        "synced_at": synced_at,
        "age_limits": limits,
        "is_stale": synced_at is not None and snapshot.now - synced_at > limits.stale,
        "notices": (*notices, *describe_groups(freshness)),
        "notices_url": f"{context['notices_url']}&groups={names}",
    }


def read_groups(request: HttpRequest) -> tuple[SyncRun.Resource, ...]:
    """Return the groups that an open page names in the address of its notes; unknown words are left out."""
    words = request.GET.get("groups", "").split(".")
    return tuple(group for group in SyncRun.Resource if group.value in words)
