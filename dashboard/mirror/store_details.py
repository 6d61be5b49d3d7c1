"""Write events and documents of resources; a part of the mirror's store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from dashboard.core import live
from dashboard.mirror.models import Resource, ResourceDocument, ResourceEvent


@dataclass(frozen=True, slots=True)
class SeenResourceEvent:
    """An entry of a resource's feed; `at` None: its time could not be read."""

    key: str
    at: datetime | None
    type: str
    level: str
    message: str
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SeenDetails:
    """All that was read about one resource, `read_at` just before the first call was sent."""

    read_at: datetime
    documents: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    events: Sequence[SeenResourceEvent] = ()


@transaction.atomic
def store_details(resource: Resource, details: SeenDetails) -> int:
    """Write what is new; return the number of rows that changed. Events are only added, documents replaced."""
    present = dict(ResourceDocument.objects.filter(resource=resource).values_list("name", "payload"))
    changed = [
        ResourceDocument(resource=resource, name=name, payload=payload, read_at=details.read_at)
        for name, payload in details.documents.items()
        if present.get(name) != payload
    ]
    ResourceDocument.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["resource", "name"],
        update_fields=["payload", "read_at"],
    )
    known = set(ResourceEvent.objects.filter(resource=resource).values_list("key", flat=True))
    fresh = [
        ResourceEvent(
            resource=resource,
            key=one.key,
            at=one.at,
            position=place,
            type=one.type,
            level=one.level,
            message=one.message,
            payload=one.raw,
        )
        for place, one in enumerate(details.events)
        if one.key not in known
    ]
    # Two entries of the same content are one.
    ResourceEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    Resource.objects.filter(pk=resource.pk).update(details_read_at=details.read_at)
    if changed or fresh:
        live.announce(["resources", resource.kind])
    return len(changed) + len(fresh)
