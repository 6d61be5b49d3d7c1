"""When did nobody look at the provider's endpoints; sole writer of SightGap."""

from collections.abc import Iterable
from datetime import datetime

from billing.metering_edges import BLIND_AFTER
from billing.models import MeteringCursor, SightGap
from dashboard.accounts.models import Connection
from dashboard.mirror.models import SyncRun

Gap = tuple[datetime, datetime | None]


def find_gaps(looks: Iterable[datetime], *, looked_until: datetime | None, now: datetime) -> list[Gap]:
    """Return the stretches without a look, longer than the limit: between looks, and from the last one on.

    `looked_until` is the last look before these. Before the first look ever there is no gap: the edges say themselves
    since when something is known. Pure.
    """
    gaps: list[Gap] = []
    last = looked_until
    for look in sorted(looks):
        if last is not None and look - last > BLIND_AFTER:
            gaps.append((last, look))
        last = look if last is None else max(last, look)
    if last is not None and now - last > BLIND_AFTER:
        gaps.append((last, None))
    return gaps


def note_gaps(connection: Connection, cursor: MeteringCursor, *, now: datetime) -> bool:
    """Bring the gaps up to date and move `looked_until` of the cursor (not saved here); True when one has changed."""
    runs = SyncRun.objects.filter(
        connection=connection, resource=SyncRun.Resource.ENDPOINTS, outcome=SyncRun.Outcome.COMPLETE
    )
    if cursor.looked_until is not None:
        runs = runs.filter(started_at__gt=cursor.looked_until)
    looks = list(runs.filter(started_at__lte=now).values_list("started_at", flat=True))
    gaps = find_gaps(looks, looked_until=cursor.looked_until, now=now)
    before = set(SightGap.objects.filter(connection=connection, end=None).values_list("start", "end"))
    if looks:
        cursor.looked_until = max(looks)
    if before == set(gaps):
        return False
    starts = {start for start, _ in gaps}
    # A gap that went on is closed by the next look, which is the end of the gap that begins where it began.
    SightGap.objects.filter(connection=connection, end=None).exclude(start__in=starts).delete()
    SightGap.objects.bulk_create(
        [SightGap(connection=connection, start=start, end=end) for start, end in gaps],
        update_conflicts=True,
        unique_fields=["connection", "start"],
        update_fields=["end"],
    )
    return True


def load_gaps(connection: Connection) -> list[Gap]:
    """Return all gaps of the connection, in order of time."""
    return list(SightGap.objects.filter(connection=connection).order_by("start").values_list("start", "end"))
