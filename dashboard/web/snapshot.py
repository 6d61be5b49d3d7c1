"""What every mirrored page starts from: one clock reading, the totals and the age of the mirror.

Read once per request, so that sidebar, stat strip and table never disagree.
"""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone

from billing.burn import Burn
from dashboard.accounts.models import User
from dashboard.core import durations
from dashboard.lifecycle.idleness import idle_filter
from dashboard.mirror.freshness import Freshness, load_freshness
from dashboard.mirror.querysets import group_by_status, present, visible_endpoints
from dashboard.mirror.resource_querysets import group_resources, present_resources, visible_resources
from dashboard.web.resources.totals import ResourceTotals
from dashboard.web.totals import Totals


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The common ground of one response."""

    user: User
    now: datetime
    totals: Totals
    resources: ResourceTotals
    freshness: Freshness

    @property
    def burn(self) -> Burn:
        """What everything burns that the person sees: endpoints, clusters, volumes, containers, RL."""
        return self.totals.everything().burn + self.resources.add().burn

    @property
    def is_stale(self) -> bool:
        """True when the mirror is too old to say "is": words become "was" and idleness is not judged."""
        synced_at = self.freshness.synced_at
        return synced_at is not None and self.now - synced_at > durations.STALE_AFTER


def take_snapshot(request: HttpRequest) -> Snapshot:
    """Return the snapshot of this request, read at its first use. Three queries, then none.

    Raises TypeError for an anonymous request.
    """
    known: Snapshot | None = getattr(request, "snapshot", None)
    if known is not None:
        return known
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    now = timezone.now()
    groups = group_by_status(present(visible_endpoints(request.user)), idle=idle_filter(now))
    snapshot = Snapshot(
        user=request.user,
        now=now,
        totals=Totals(groups),
        resources=ResourceTotals(group_resources(present_resources(visible_resources(request.user)))),
        freshness=load_freshness(request.user),
    )
    request.snapshot = snapshot  # type: ignore[attr-defined]  # lives as long as the request
    return snapshot
