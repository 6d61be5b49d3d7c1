"""Compare what a listing says with what the mirror holds. Pure: data in, data out.

Absence is never concluded from one listing: the diff names candidates, and only what is missing twice, some time
apart, becomes absent (where the provider has a GET by id, it has to answer 404 both times: sync_endpoints.py). An
incomplete listing has no candidates; a suddenly empty one is believed only when it stays empty for long.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

# Between the two looks that make something absent: 30 s by the fault plan (row 6), less the jitter of a pass that
# runs every 30 s.
CONFIRMED_AFTER = timedelta(seconds=25)
# An emptied listing is believed only when it stays empty this long, and then still confirmed one by one (our choice).
EMPTY_BELIEVED_AFTER = timedelta(minutes=10)


class Known(NamedTuple):
    """What the mirror holds of one resource: enough to see that nothing changed.

    `missing_since` is when it was first found missing and not seen again since; None = it was there last time. Tuples,
    these and Items: a pass makes one for everything there is, and a frozen dataclass takes four times as long.
    """

    pk: int
    fingerprint: bytes
    is_present: bool
    missing_since: datetime | None = None


class Item(NamedTuple):
    """One listed resource with the fingerprint of its raw body."""

    remote_id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Diff:
    """What has to be written so that the mirror says what the listing says.

    the bodies of `created` and `updated` are still to be read; `newly_missing` and `absent_candidates` are remote ids
    that a complete listing lacks for the first time, or again after long enough; `is_suspicious` is true when a
    listing is empty although several resources were known.
    """

    created: list[Item] = field(default_factory=list)
    updated: list[Item] = field(default_factory=list)
    unchanged: int = 0
    newly_missing: list[str] = field(default_factory=list)
    absent_candidates: list[str] = field(default_factory=list)
    is_suspicious: bool = False

    @property
    def is_empty(self) -> bool:
        """Return True when nothing has to be written or confirmed."""
        return not (self.created or self.updated or self.newly_missing or self.absent_candidates)


def compare(
    known: Mapping[str, Known],
    listed: Iterable[Item],
    *,
    is_complete: bool,
    now: datetime,
    empty_believed_after: timedelta | None = EMPTY_BELIEVED_AFTER,
) -> Diff:
    """Return the difference between the mirror and a listing.

    An item listed twice counts once, the last one wins (pages may overlap while the provider writes). A known
    item that was absent or missing and is listed again is an update even when its body is the same. `is_complete`
    says that every page was read and every entry had an identity. `empty_believed_after` None: that nothing is listed
    is nothing to wonder at.
    """
    latest = {item.remote_id: item for item in listed}
    created: list[Item] = []
    updated: list[Item] = []
    unchanged = 0
    for remote_id, item in latest.items():
        row = known.get(remote_id)
        if row is None:
            created.append(item)
        elif row.fingerprint != item.fingerprint or not row.is_present or row.missing_since is not None:
            updated.append(item)
        else:
            unchanged += 1
    missing = {
        remote_id: row for remote_id, row in known.items() if row.is_present and remote_id not in latest
    }
    # One that is gone leaves an empty list behind; several gone at once are more likely somebody's fault.
    is_suspicious = empty_believed_after is not None and len(missing) > 1 and not latest
    if not is_complete:
        missing = {}
    since = [row.missing_since for row in missing.values()]
    # An emptied listing has been empty since the last of them went: it is believed of all of them, or of none.
    patience = empty_believed_after or CONFIRMED_AFTER
    if is_suspicious and not all(at is not None and now - at >= patience for at in since):
        believed_before = None
    else:
        believed_before = now - CONFIRMED_AFTER
    return Diff(
        created=created,
        updated=updated,
        unchanged=unchanged,
        newly_missing=sorted(remote_id for remote_id, row in missing.items() if row.missing_since is None),
        absent_candidates=sorted(
            remote_id
            for remote_id, row in missing.items()
            if believed_before and row.missing_since is not None and row.missing_since <= believed_before
        ),
        is_suspicious=is_suspicious,
    )
