"""Mirror the regions that take GPU clusters and volumes: what forms offer."""

from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch
from dashboard.mirror.models import ClusterRegion, SyncRun
from dashboard.mirror.runs import record_run
from dashboard.mirror.session import Clock, open_session
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.mirror.store_regions import store_regions


def sync_regions(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Read the regions and write what changed, as one recorded run."""
    with record_run(connection, SyncRun.Resource.REGIONS, clock=clock) as recorded:
        if recorded is None:
            return
        run, tally = recorded
        with open_session(connection, clock=clock) as session:
            answer = session.run(fetch.gather({"": session.client.list_regions}, clock=clock))[""]
        if answer.value is None:
            tally.report_error(answer.error)
            return
        listing = answer.value
        tally.note_malformed(
            keep_malformed(connection, resource="regions", items=listing.malformed, now=run.started_at)
        )
        tally.seen += len(listing.items)
        known = {
            remote_id: bytes(fingerprint)
            for remote_id, fingerprint in ClusterRegion.objects.filter(
                connection=connection, absent_since=None
            ).values_list("remote_id", "fingerprint")
        }
        changed = [body for body in listing.items if known.get(body.id) != body.fingerprint]
        listed = {body.id for body in listing.items}
        # A catalogue is whole or not there: one listing without a region is believed, but never an empty one.
        is_whole = listing.complete and not listing.malformed and bool(listed)
        lost = sorted(known.keys() - listed) if is_whole else []
        tally.unchanged += len(listed) - len(changed)
        tally.add_written(store_regions(connection, changed, lost=lost, now=run.started_at))
