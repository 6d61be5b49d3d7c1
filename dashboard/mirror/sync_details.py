"""Read what no listing tells: events, checkpoints and curves of jobs, revisions and files of models.

Rows name what changed since their details were read; moving jobs are read again and again. A page that shows a row
whose details were never read brings it forward (`read_details_now`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.core import status
from dashboard.mirror import fetch
from dashboard.mirror.fetch import Answer
from dashboard.mirror.models import Resource, ResourceDocument, ResourceKind, SyncRun
from dashboard.mirror.runs import Tally, record_run
from dashboard.mirror.session import Clock, open_session
from dashboard.mirror.store_details import SeenDetails, SeenResourceEvent, store_details
from dashboard.together_api import payloads
from dashboard.together_api.client import AsyncTogetherClient
from dashboard.together_api.errors import ApiError, NotFoundError
from dashboard.together_api.pagination import Listing

# Resources read per pass, moving ones first, then the newest; two thousand jobs of a first sight take some minutes.
MOST_PER_PASS = 40
# A moving job is read again after this, in four calls: its curve grows while its listing may say the same.
MOVING_AGAIN_AFTER = timedelta(seconds=55)
# Points of a curve: more than a chart of 1,300 pixels can show would only be carried about.
CURVE_POINTS = 400

_MOVING = tuple(one.value for one in status.ALL if one.is_moving)
_KINDS = (
    ResourceKind.FINE_TUNE,
    ResourceKind.EVALUATION,
    ResourceKind.UPLOAD,
    ResourceKind.UPLOAD_V1,
    ResourceKind.MODEL,
)
Name = ResourceDocument.Name
Part = Callable[[], Awaitable[Any]]
# Name of the part within one resource's details; the feed is no document.
EVENTS = "events"


@dataclass(frozen=True, slots=True)
class PartKey:
    """One call of a pass: whose details, and which part of them."""

    pk: int
    name: str


def sync_details(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Read the details of what changed or moves; a run is recorded only when there is something."""
    chosen = _choose(connection, now=clock())
    if not chosen:
        return
    with record_run(connection, SyncRun.Resource.DETAILS, clock=clock) as recorded:
        if recorded is None:
            return
        _, tally = recorded
        _read(connection, chosen, tally, clock=clock)


def read_details_now(resource: Resource, *, clock: Clock = timezone.now) -> None:
    """Read the details of one resource, as a run of its own; another pass under way comes first."""
    with record_run(resource.connection, SyncRun.Resource.DETAILS, clock=clock) as recorded:
        if recorded is not None and resource.kind in _KINDS:
            _read(resource.connection, [resource], recorded[1], clock=clock)


def _choose(connection: Connection, *, now: datetime) -> list[Resource]:
    rows = Resource.objects.filter(connection=connection, absent_since=None, kind__in=_KINDS)
    changed = Q(details_read_at=None) | Q(details_read_at__lt=F("observed_at"))
    moving = Q(status__in=_MOVING) & Q(details_read_at__lt=now - MOVING_AGAIN_AFTER)
    return list(
        rows.filter(changed | moving)
        .select_related("project")
        .annotate(rank=Case(When(status__in=_MOVING, then=Value(0)), default=Value(1)))
        .order_by("rank", F("remote_created_at").desc(nulls_last=True), "pk")[:MOST_PER_PASS]
    )


def _read(connection: Connection, chosen: Sequence[Resource], tally: Tally, *, clock: Clock) -> None:
    with open_session(connection, clock=clock) as session:
        calls = {
            PartKey(row.pk, name): call
            for row in chosen
            for name, call in _describe_calls(session.client, row).items()
        }
        answers = session.run(fetch.gather(calls, clock=clock))
    by_resource: dict[int, dict[str, Answer[Any]]] = {row.pk: {} for row in chosen}
    for key, answer in answers.items():
        by_resource[key.pk][key.name] = answer
    for row in chosen:
        tally.seen += 1
        details = _collect(row, by_resource[row.pk], tally)
        if details is not None:
            tally.updated += store_details(row, details)


def _describe_calls(client: AsyncTogetherClient, row: Resource) -> Mapping[str, Part]:
    """Return the calls that tell everything about one resource, by the name of what they tell."""
    remote_id, project_id = row.remote_id, row.project.remote_id
    if row.kind == ResourceKind.FINE_TUNE:
        return {
            Name.BODY.value: lambda: client.get_fine_tune(remote_id),
            EVENTS: lambda: client.list_fine_tune_events(remote_id),
            Name.CHECKPOINTS.value: lambda: client.list_fine_tune_checkpoints(remote_id),
            Name.METRICS.value: lambda: client.get_fine_tune_metrics(remote_id, resolution=CURVE_POINTS),
        }
    if row.kind == ResourceKind.EVALUATION:
        return {Name.BODY.value: lambda: client.get_evaluation(remote_id)}
    if row.kind == ResourceKind.UPLOAD:
        return {EVENTS: lambda: client.list_upload_events(project_id, remote_id)}
    if row.kind == ResourceKind.UPLOAD_V1:
        return {Name.BODY.value: lambda: client.get_v1_job(remote_id)}
    return {
        Name.REVISIONS.value: lambda: client.list_revisions(project_id, remote_id),
        Name.FILES.value: lambda: client.get_model_files(project_id, remote_id),
    }


def _collect(row: Resource, answers: Mapping[str, Answer[Any]], tally: Tally) -> SeenDetails | None:
    """Return what the answers say, None when one that matters failed: it is then asked for again."""
    documents: dict[str, dict[str, Any]] = {}
    events: list[SeenResourceEvent] = []
    for name, answer in answers.items():
        if answer.value is None:
            if _is_nothing(answer.error):
                continue
            tally.report_error(answer.error)
            return None
        if name == EVENTS:
            events = _read_feed(answer.value)
        else:
            documents[name] = _as_document(answer.value)
            if name == Name.BODY.value:
                events = events or _read_updates(answer.value)
    read_at = min(answer.fetched_at for answer in answers.values())
    return SeenDetails(documents=documents, events=events, read_at=read_at)


def _is_nothing(error: ApiError | None) -> bool:
    """Return whether the answer means "there is none": a job that has not begun has no curve and no checkpoint."""
    return isinstance(error, NotFoundError)


def _as_document(value: Any) -> dict[str, Any]:
    if isinstance(value, Listing):
        return {"data": [dict(one) for one in value.raw_items], "is_complete": value.complete}
    document: dict[str, Any] = value.raw
    return document


def _read_feed(listing: Listing[Any]) -> list[SeenResourceEvent]:
    """Return a feed oldest first: by time where all have one, else as it came."""
    bodies = list(listing.items)
    if all(body.created_at is not None for body in bodies):
        bodies.sort(key=lambda body: body.created_at)
    return [
        SeenResourceEvent(
            key=body.id,
            at=body.created_at,
            type=body.type,
            level=body.level or "",
            message=body.message,
            raw=body.raw,
        )
        for body in bodies
    ]


def _read_updates(body: Any) -> list[SeenResourceEvent]:
    """Return the status updates that evaluations and v1 jobs carry in their bodies, in their order."""
    updates: Sequence[payloads.EvaluationStatusUpdate | payloads.V1JobUpdate] = ()
    if isinstance(body, payloads.Evaluation | payloads.V1Job):
        updates = body.status_updates
    return [
        SeenResourceEvent(
            key=f"{place}/{one.status}",
            at=one.timestamp,
            type=one.status,
            level="",
            message=one.message or "",
            raw={"status": one.status, "message": one.message},
        )
        for place, one in enumerate(updates)
    ]


def open_details(resource_id: int) -> None:
    """Read the details of a resource that somebody looks at, unless they are fresh."""
    row = Resource.objects.select_related("connection", "project").filter(pk=resource_id).first()
    if row is not None and row.absent_since is None and row.details_read_at is None:
        read_details_now(row)
