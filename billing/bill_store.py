"""Write what the bill says: lines by window, their meters, how far it was read. Sole writer of BilledLine, BillReading.

A window's lines are replaced together and only when they differ, so that a bill that does not move writes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Final

from django.db import transaction
from django.db.models import Q

from billing import bill_plan
from billing.bill_matching import Known, Match, match_line
from billing.bill_windows import Line, Window, contents
from billing.meters import ensure_bill_meter
from billing.models import BilledLine, BillReading, Meter, MeterKind
from dashboard.accounts.models import Connection
from dashboard.mirror.models import Project

_BATCH: Final = 2_000


def load_readings(account_id: str) -> dict[date, bill_plan.Reading]:
    """Return how each month was last read, by whichever connection of the organisation. One query."""
    rows = BillReading.objects.filter(connection__organization_id=account_id).order_by("read_at", "pk")
    return {
        row.month: bill_plan.Reading(
            granularity=row.granularity,
            state=row.state,
            read_at=row.read_at,
            succeeded_at=row.succeeded_at,
            whole_at=row.whole_at,
            changed_at=row.changed_at,
            cursor=row.cursor,
        )
        for row in rows
    }


@transaction.atomic
def store_windows(
    connection: Connection,
    windows: Sequence[Window],
    *,
    granularity: str,
    covers: tuple[datetime, datetime],
    keep: Collection[datetime] = (),
    now: datetime,
) -> set[datetime]:
    """Make the lines of `covers` those of `windows`; return the starts of the windows that changed.

    `covers` is the stretch of which the page says everything: a stored window in it that is not among `windows` has
    no lines any more, unless it is one of `keep`: windows that could not be read this time.
    """
    start, end = covers
    stored = BilledLine.objects.filter(
        billing_account_id=connection.organization_id,
        granularity=granularity,
        start__gte=start,
        start__lt=end,
    ).order_by("start", "position")
    present = {
        at: [read_stored(row) for row in rows] for at, rows in groupby(stored, key=lambda row: row.start)
    }
    wanted = {window.start: window for window in windows}
    changed = {
        at
        for at in (present.keys() - set(keep)) | wanted.keys()
        if contents(present.get(at, [])) != contents(wanted[at].lines if at in wanted else ())
    }
    if not changed:
        return set()
    stored.filter(start__in=changed).delete()
    new = [wanted[at] for at in sorted(changed) if at in wanted]
    named = [(line.attributes, line.dimensions) for window in new for line in window.lines]
    meters = find_meters(connection, named)
    BilledLine.objects.bulk_create(
        [
            _describe(connection, window, line, position, meters, granularity=granularity, now=now)
            for window in new
            for position, line in enumerate(window.lines)
        ],
        batch_size=_BATCH,
    )
    return changed


def read_stored(row: BilledLine) -> Line:
    """Return a stored line as it came."""
    return Line(
        product_name=row.product_name,
        quantity=row.quantity,
        unit_price=row.unit_price,
        cost=row.cost,
        credit=row.credit,
        attributes=row.attributes,
        dimensions=row.dimensions,
    )


_Key = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


def _key(attributes: Mapping[str, str], dimensions: Mapping[str, str]) -> _Key:
    return tuple(sorted(attributes.items())), tuple(sorted(dimensions.items()))


def find_meters(
    connection: Connection, named: Iterable[tuple[dict[str, str], dict[str, str]]]
) -> dict[_Key, tuple[Meter, str]]:
    """Return meter and evidence by attributes and dimensions; what has no meter yet gets one. Few queries."""
    account_id = connection.organization_id
    tables = {_key(attributes, dimensions): (attributes, dimensions) for attributes, dimensions in named}
    if not tables:
        return {}
    meters = {
        (meter.kind, meter.remote_id): meter for meter in Meter.objects.filter(billing_account_id=account_id)
    }
    mirrored = frozenset(
        key
        for key, meter in meters.items()
        if meter.deployment_id is not None or meter.resource_id is not None
    )
    known = Known(mirrored, _load_deployments(account_id))
    projects = {one.remote_id: one for one in Project.objects.filter(connection=connection)}
    found: dict[_Key, tuple[Meter, str]] = {}
    for key, (attributes, dimensions) in tables.items():
        match = match_line(attributes, dimensions, known=known)
        if match is None:
            continue
        meter = meters.get((match.kind, match.remote_id))
        if meter is None:
            meter = _make_meter(connection, match, projects.get(match.project_id))
            meters[match.kind, match.remote_id] = meter
        found[key] = (meter, match.how)
    return found


def _make_meter(connection: Connection, match: Match, project: Project | None) -> Meter:
    return ensure_bill_meter(
        connection.organization_id,
        kind=match.kind,
        remote_id=match.remote_id,
        name=match.name,
        connection=connection,
        model=match.model,
        project=project,
    )


def _load_deployments(account_id: str) -> dict[str, tuple[str, ...]]:
    """Return the deployments of each endpoint by remote ids. One query."""
    rows = (
        Meter.objects.filter(billing_account_id=account_id, kind=MeterKind.DEPLOYMENT)
        .exclude(endpoint=None)
        .order_by("endpoint__remote_id", "remote_id")
        .values_list("endpoint__remote_id", "remote_id")
    )
    return {
        endpoint: tuple(remote_id for _, remote_id in pairs)
        for endpoint, pairs in groupby(rows, key=lambda pair: str(pair[0]))
    }


def _describe(
    connection: Connection,
    window: Window,
    line: Line,
    position: int,
    meters: Mapping[_Key, tuple[Meter, str]],
    *,
    granularity: str,
    now: datetime,
) -> BilledLine:
    meter, how = meters.get(_key(line.attributes, line.dimensions), (None, ""))
    return BilledLine(
        billing_account_id=connection.organization_id,
        granularity=granularity,
        start=window.start,
        end=window.end,
        position=position,
        product_name=line.product_name,
        quantity=line.quantity,
        unit_price=line.unit_price,
        cost=line.cost,
        credit=line.credit,
        project_id=line.project_id,
        attributes=line.attributes,
        dimensions=line.dimensions,
        meter=meter,
        match=how,
        observed_at=now,
    )


@transaction.atomic
def match_again(connection: Connection, *, now: datetime) -> set[datetime]:
    """Match lines once more whose meter is not mirrored: the mirror may have learnt of it since.

    Returns the starts of the windows whose lines moved. One query where all is mirrored.
    """
    account_id = connection.organization_id
    loose = BilledLine.objects.filter(
        Q(meter=None) | Q(meter__deployment=None, meter__resource=None), billing_account_id=account_id
    ).exclude(meter__kind__in=[MeterKind.SERVERLESS, MeterKind.BATCH, MeterKind.EVALUATION])
    rows = list(loose.only("attributes", "dimensions", "start", "meter_id", "match"))
    if not rows:
        return set()
    meters = find_meters(connection, [(row.attributes, row.dimensions) for row in rows])
    moved: list[BilledLine] = []
    for row in rows:
        meter, how = meters.get(_key(row.attributes, row.dimensions), (None, ""))
        if meter is not None and meter.pk != row.meter_id:
            row.meter, row.match, row.observed_at = meter, how, now
            moved.append(row)
    BilledLine.objects.bulk_update(moved, ["meter", "match", "observed_at"], batch_size=_BATCH)
    return {row.start for row in moved}


def drop_month(account_id: str, month: date, *, granularity: str) -> None:
    """Delete a month's lines of a granularity: the month is told by the other one now."""
    BilledLine.objects.filter(
        billing_account_id=account_id,
        granularity=granularity,
        start__gte=bill_plan.start_of(month),
        start__lt=bill_plan.end_of(month),
    ).delete()
    BillReading.objects.filter(
        connection__organization_id=account_id, month=month, granularity=granularity
    ).delete()


def save_reading(
    connection: Connection, month: date, *, granularity: str, now: datetime, **fields: object
) -> BillReading:
    """Write how a month was read; fields that are not given keep what they were."""
    row, _ = BillReading.objects.update_or_create(
        connection=connection,
        month=month,
        granularity=granularity,
        defaults={"read_at": now, **fields},
        create_defaults={"read_at": now, **fields},
    )
    return row


def last_window_end(account_id: str, month: date, *, granularity: str) -> datetime | None:
    """Return the end of the newest window of the month that has lines."""
    return (
        BilledLine.objects.filter(
            billing_account_id=account_id,
            granularity=granularity,
            start__gte=bill_plan.start_of(month),
            start__lt=bill_plan.end_of(month),
        )
        .order_by("-start")
        .values_list("end", flat=True)
        .first()
    )
