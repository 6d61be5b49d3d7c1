"""The frame of a resource's page: what every kind shows around its own panels."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from celery import current_app
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from kombu.exceptions import OperationalError

from billing.models import MeterKind
from dashboard.accounts.visibility import may_operate
from dashboard.core import resource_states
from dashboard.mirror.groups import GROUP_OF
from dashboard.mirror.models import Resource, ResourceDocument, ResourceKind, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.owner_lines import load_owner_lines
from dashboard.web.htmx import is_partial, render_page
from dashboard.web.page import group_context
from dashboard.web.resources.acts import find_last_receipt, load_acts
from dashboard.web.resources.feed import newest, read_resource_feed
from dashboard.web.resources.links import LinkLine, list_targets, list_users
from dashboard.web.resources.rows import ResourceRow, build_row, load_upload_names
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.timeline import load_timeline
from dashboard.web.snapshot import Snapshot, take_snapshot

logger = logging.getLogger(__name__)

EVENTS_ON_PAGE = 8
EVENTS_PER_PAGE = 50
ALL_KINDS = tuple(kind.value for kind in ResourceKind)


@dataclass(frozen=True, slots=True)
class Frame:
    """The common part of a page: what resources/_frame.html needs, and what a kind's own panels go on from."""

    context: dict[str, object]
    row: ResourceRow
    targets: tuple[LinkLine, ...]
    users: tuple[LinkLine, ...]
    may_act: bool


def build_frame(
    request: HttpRequest,
    snapshot: Snapshot,
    resource: Resource,
    *,
    parent: tuple[str, str],
    groups: Sequence[SyncRun.Resource] = (),
) -> Frame:
    """Return the common part. `parent` is (label, address) of the list it belongs to.

    The age is that of the resource's own group, and of `groups` where the page shows more. About a dozen queries.
    """
    user, now = snapshot.user, snapshot.now
    own = GROUP_OF[ResourceKind(resource.kind)].run
    context = group_context(request, snapshot, (own, *(one for one in groups if one is not own)))
    names = load_upload_names([resource])
    acts = load_acts([resource], now=now).get(resource.pk, ())
    row = build_row(resource, name=names.get(resource.pk, resource.name), acts=acts, now=now)
    targets, users = list_targets(user, resource), list_users(user, resource)
    may_act = may_operate(user, team_id=resource.project.team_id) and resource.absent_since is None
    context |= {
        "resource": resource,
        "row": row,
        "name": row.name,
        "status": row.status,
        "raw_state": row.raw_state,
        "burn": row.burn,
        "parent_label": parent[0],
        "parent_url": parent[1],
        "topics": f"{resource.kind},actions,projects,endpoints,ownership",
        "feed": read_resource_feed(resource, before=newest(now), limit=EVENTS_ON_PAGE),
        "timeline": load_timeline(resource, now=now),
        "targets": targets,
        "users": users,
        "links": (*targets, *users),
        "unit": resource_states.UNITS.get(resource.kind, ""),
        "owner_lines": load_owner_lines(Q(meter__resource=resource)) if resource.kind in MeterKind else (),
        "acts": acts,
        "last_receipt": find_last_receipt(resource, now=now),
        "may_act": may_act,
    }
    return Frame(context, row, targets, users, may_act)


def ask_for_details(request: HttpRequest, resource: Resource) -> None:
    """Let a worker read events and curves now when they never were; the page shows them as they come.

    Asked when a person opens the page, not by its refreshes. Without Redis the next pass reads them.
    """
    if is_partial(request) or resource.details_read_at is not None or resource.absent_since is not None:
        return
    try:
        current_app.send_task(
            "mirror.open_details", kwargs={"resource_id": resource.pk}, queue="sync", expires=60, retry=False
        )
    except OperationalError as error:
        logger.warning("details of %s wait for the next pass: %s", resource.pk, error)


def load_documents(resource: Resource, *names: str) -> Mapping[str, object]:
    """Return the kept documents of these names that were read, by name. One query."""
    rows = ResourceDocument.objects.filter(resource=resource, name__in=names)
    return dict(rows.values_list("name", "payload"))


def list_events(request: HttpRequest, pk: int) -> HttpResponse:
    """Show all that happened to one resource, page by page into the past."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        resource = find_resource(request, pk, kinds=ALL_KINDS)
        before = _read_before(request) or newest(snapshot.now)
        context = _small_frame(request, snapshot, resource) | {
            "feed": read_resource_feed(resource, before=before, limit=EVENTS_PER_PAGE),
            "is_newest": "before" not in request.GET,
        }
        return render_page(request, "resources/events.html", "resources/_events.html", context)


def show_raw(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the provider said of the resource, word for word, listing and kept documents."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        resource = find_resource(request, pk, kinds=ALL_KINDS)
        payload = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        context = _small_frame(request, snapshot, resource) | {
            "payload_text": json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True),
            "documents": list(resource.documents.order_by("name")),
        }
        return render_page(request, "resources/raw.html", "resources/_raw.html", context)


def _small_frame(request: HttpRequest, snapshot: Snapshot, resource: Resource) -> dict[str, object]:
    own = GROUP_OF[ResourceKind(resource.kind)].run
    names = load_upload_names([resource])
    row = build_row(resource, name=names.get(resource.pk, resource.name), now=snapshot.now)
    return group_context(request, snapshot, (own,)) | {"resource": resource, "row": row, "name": row.name}


def _read_before(request: HttpRequest) -> datetime | None:
    try:
        found = parse_datetime(request.GET.get("before", ""))
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
