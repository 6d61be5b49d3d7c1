"""What happened, newest first: acts of people and processes merged with the provider's own events.

Each source is asked for one entry more than a page holds, older than a given time, so that a page costs the same
however long the past is.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db.models import F, Q, QuerySet, TextField, Window
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, RowNumber
from django.urls import reverse

from dashboard.accounts.models import AuditEvent, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core import status
from dashboard.mirror.models import Endpoint, EndpointEvent, Generation, ResourceKind, StateChange
from dashboard.mirror.querysets import present, visible_endpoints, visible_projects
from dashboard.mirror.resource_querysets import visible_resources
from dashboard.mirror.store_absence import ABSENT_STATE
from dashboard.web.resources.addresses import address_of

# Endpoints whose newest events are merged on the overview, those that changed last first; entries of each.
RECENT_ENDPOINTS = 12
RECENT_EACH = 6

_ACTS = {
    "requested": "requested by",
    "sent_again": "sent again by",
    "cancelled": "cancelled by",
    "superseded": "replaced by a newer act of",
}
# How an act ended is told by its reason; which of our processes noticed is on the receipt.
_ENDINGS = {
    "observed": "confirmed",
    "refused": "refused by the provider",
    "escalated": "not confirmed in time",
}
_KIND_ICONS = {
    "stop": "stop", "start": "play", "scale": "sliders", "delete": "trash", "configure": "sliders", "split": "sliders",
    "cancel": "x", "resize": "sliders", "create": "plus", "upload": "up-right", "deploy": "play",
}  # fmt: skip
_EVENT_ICONS = {
    "deployment.scaled": "up-right",
    "deployment.created": "plus",
    "endpoint.created": "plus",
    "deployment.deleted": "trash",
    "endpoint.deleted": "trash",
    "deployment.status_updated": "activity",
}
# Of the open set of the provider's types, what a person wants to read without asking; the page of one endpoint
# shows all but debugging.
_TELLING = tuple(_EVENT_ICONS)
_LEVEL_ICONS = {"LEVEL_ERROR": "error", "LEVEL_WARN": "warning"}
_DEBUG = "LEVEL_DEBUG"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One line: `subject` is printed bold, `text` follows; `receipt_url` leads to the act's receipt, or is empty."""

    at: datetime
    icon: str
    subject: str
    text: str
    url: str = ""
    receipt_url: str = ""
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One page of a feed; `older_than` is where the next one begins, None at the end."""

    entries: tuple[FeedEntry, ...]
    older_than: datetime | None


def read_feed(endpoint: Endpoint, *, before: datetime, limit: int) -> FeedPage:
    """Return what happened to one endpoint before a time, newest first. Two queries, three for v1."""
    sources: list[Iterable[FeedEntry]] = [
        [
            describe_act(event)
            for event in AuditEvent.objects.filter(
                target_type="endpoint", target_id=str(endpoint.pk), at__lt=before
            ).order_by("-at")[: limit + 1]
        ],
        [
            describe_event(
                event,
                subject=event.deployment.name if event.deployment and endpoint.deployment_count > 1 else "",
            )
            for event in with_state(EndpointEvent.objects.filter(endpoint=endpoint, at__lt=before))
            .exclude(level=_DEBUG)
            .select_related("deployment")
            .defer("deployment__payload")
            .order_by("-at", "-id")[: limit + 1]
        ],
    ]
    if endpoint.generation == Generation.V1:
        # v1 has no event feed: what our own readings saw stands in for it.
        sources.append(
            [
                describe_change(change)
                for change in StateChange.objects.filter(deployment__endpoint=endpoint, at__lt=before)
                .select_related("deployment")
                .defer("deployment__payload")
                .order_by("-at", "-id")[: limit + 1]
            ]
        )
    merged = list(heapq.merge(*sources, key=attrgetter("at"), reverse=True))
    entries = tuple(merged[:limit])
    return FeedPage(entries, entries[-1].at if len(merged) > limit else None)


def read_recent(user: User, *, limit: int) -> tuple[FeedEntry, ...]:
    """Return what happened last in what the user sees. Two queries.

    Provider events are taken from the endpoints that changed last: a newest-first walk over all events of ten
    thousand deployments would need an index of its own.
    """
    endpoints = visible_endpoints(user)
    acts = filter_acts(AuditEvent.objects.all(), user).order_by("-at", "-id")
    changed = (
        present(endpoints).filter(status_since__isnull=False).order_by("-status_since")[:RECENT_ENDPOINTS]
    )
    events = (
        with_state(EndpointEvent.objects.filter(endpoint_id__in=changed.values("pk"), type__in=_TELLING))
        .exclude(level=_DEBUG)
        .annotate(
            place=Window(
                RowNumber(), partition_by=F("endpoint_id"), order_by=[F("at").desc(), F("id").desc()]
            )
        )
        .filter(place__lte=RECENT_EACH)
        .select_related("endpoint")
        .defer("endpoint__payload")
        .order_by("-at", "-id")
    )
    told = [
        describe_event(event, subject=event.endpoint.display_name, url=_endpoint_url(event.endpoint_id))
        for event in events
        # What passes by itself is no news here; the endpoint's own page tells it.
        if not _is_passing(event)
    ][:limit]
    done = [describe_act(act, with_subject=True) for act in acts[:limit]]
    return tuple(heapq.merge(done, told, key=attrgetter("at"), reverse=True))[:limit]


def filter_acts(events: QuerySet[AuditEvent], user: User) -> QuerySet[AuditEvent]:
    """Return the acts on endpoints and resources that the user sees; what does not exist yet is its project's."""
    acts = events.filter(target_type__in=("endpoint", "resource", "project")).exclude(
        action__startswith="project."
    )
    if user_may(user, Right.SEE_ALL_PROJECTS):
        return acts
    return acts.filter(
        Q(target_type="endpoint", target_id__in=_ids(visible_endpoints(user)))
        | Q(target_type="resource", target_id__in=_ids(visible_resources(user)))
        | Q(target_type="project", target_id__in=_ids(visible_projects(user)))
    )


def _ids(rows: QuerySet[Any]) -> QuerySet[Any, Any]:
    """Return the ids as the audit trail writes them."""
    return rows.order_by().values_list(Cast("pk", TextField()))


def describe_act(event: AuditEvent, *, with_subject: bool = False) -> FeedEntry:
    """Return an audit row about an endpoint or resource as a line that names who acted."""
    kind, _, what = event.action.partition(".")[2].partition("_")
    detail = event.detail
    deployment = detail.get("deployment", "")
    of_deployment = f" of {deployment}" if deployment and deployment not in event.target_label else ""
    if what in _ENDINGS:
        reason = detail.get("reason", "")
        text = f"{kind}{of_deployment} {_ENDINGS[what]}" + (
            f": {reason[:1].lower()}{reason[1:]}" if reason else ""
        )
    elif kind in _KIND_ICONS:
        words = _ACTS.get(what, f"{what.replace('_', ' ')} by")
        text = f"{kind}{of_deployment} {words} {event.actor_label}"
    else:
        text = f"{event.action.partition('.')[2].replace('_', ' ')} by {event.actor_label}"
    action = detail.get("action", "")
    return FeedEntry(
        at=event.at,
        icon=_KIND_ICONS.get(kind, "activity"),
        subject=(detail.get("name") or event.target_label) if with_subject else "",
        text=text if with_subject else text[:1].upper() + text[1:],
        url=_find_url(event) if with_subject else "",
        receipt_url=reverse("action", args=[action]) if action else "",
        receipt=detail.get("number", ""),
    )


def describe_event(event: EndpointEvent, *, subject: str, url: str = "") -> FeedEntry:
    """Return a provider event as a line: its own words, its state in ours. Needs `told_state` (see `with_state`)."""
    text = event.message or event.type.replace(".", " ").replace("_", " ")
    state: str | None = event.told_state  # type: ignore[attr-defined]  # annotated
    if state:
        word = status.read_state(state).word
        rest = text.removeprefix(status.shorten_state(state)).lstrip(": ")
        text = f"{word}: {rest[:1].lower()}{rest[1:]}" if rest else word
    return FeedEntry(
        at=event.at,
        icon=_LEVEL_ICONS.get(event.level) or _EVENT_ICONS.get(event.type, "info"),
        subject=subject,
        text=lower_first(text) if subject else text,
        url=url,
    )


def with_state(events: QuerySet[EndpointEvent]) -> QuerySet[EndpointEvent]:
    """Return the events without their payloads, but with the state that a status event tells."""
    return events.annotate(told_state=KeyTextTransform("status", "payload")).defer("payload")


def _is_passing(event: EndpointEvent) -> bool:
    state: str | None = event.told_state  # type: ignore[attr-defined]  # annotated
    return bool(state) and status.read_state(state or "").is_moving


def lower_first(text: str) -> str:
    """Return the text as the rest of a sentence; words in capitals stay."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def describe_change(change: StateChange) -> FeedEntry:
    """Return a change of state that we saw as a line."""
    is_absent = change.state == ABSENT_STATE
    seen = status.ABSENT if is_absent else status.read_state(change.state)
    how = "seen by polling" if change.source == "poll" else "as the provider told"
    return FeedEntry(
        at=change.at,
        icon="activity",
        subject="",
        text=f"{seen.word} ({status.shorten_state(change.state)}), {how}",
    )


def find_last_stopped(user: User) -> Endpoint | None:
    """Return what stopped last, for the empty overview. One query."""
    stopped = present(visible_endpoints(user)).filter(status=status.STOPPED.value, status_since__isnull=False)
    return stopped.order_by("-status_since").first()


def _find_url(event: AuditEvent) -> str:
    """Return where the thing that an act was on is shown; empty for what has no page."""
    if not event.target_id.isdecimal():
        return ""
    pk = int(event.target_id)
    if event.target_type == "endpoint":
        return _endpoint_url(pk)
    kind = event.action.partition(".")[0]
    return address_of(kind, pk) if event.target_type == "resource" and kind in ResourceKind else ""


def _endpoint_url(endpoint_id: int) -> str:
    return reverse("endpoint", args=[endpoint_id])
