"""Decide what a pass over endpoints still has to read and confirm once the listings are there. No query, no call."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dashboard.mirror.diff import Item, Known, compare
from dashboard.mirror.fetch import Answer, DeploymentsAnswer, EndpointListing, EndpointRef, ListKey
from dashboard.mirror.models import Generation
from dashboard.mirror.runs import Tally
from dashboard.together_api import payloads
from dashboard.together_api.pagination import Listing

# Cadence of the beat table; slots are counted in it.
CADENCE_SECONDS = 30
# An endpoint whose listing never changes has its deployments read again this often: 20 x 30 s = 10 min for v2,
# 4 x 30 s = 2 min for v1, whose listing shows neither bounds nor hardware.
SLOTS = {Generation.V2.value: 20, Generation.V1.value: 4}
# Documented number of deployment summaries inside an endpoint body (contract 3.1).
MOST_SUMMARIES = 10


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """An endpoint as the mirror holds it; `has_missing` = a deployment of it waits for its second look."""

    ref: EndpointRef
    row: Known
    deployment_count: int
    has_missing: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """A listed body that the mirror does not hold yet, and the time just before the listing was asked for."""

    item: Item
    raw: payloads.RawItem
    fetched_at: datetime


@dataclass(slots=True)
class Plan:
    """What one pass has learnt and still has to read. `to_confirm` says whether it is the second look."""

    changed: dict[EndpointRef, Changed] = field(default_factory=dict)
    to_read: list[EndpointRef] = field(default_factory=list)
    answered: dict[EndpointRef, DeploymentsAnswer] = field(default_factory=dict)
    to_confirm: dict[EndpointRef, bool] = field(default_factory=dict)
    malformed: list[payloads.MalformedItem] = field(default_factory=list)


def identify(listing: Listing[Any], malformed: list[payloads.MalformedItem]) -> list[Item]:
    """Return the entries of a list that have an identity, unread; the others join `malformed`."""
    malformed += [
        payloads.MalformedItem(raw=raw, error="an item without an id", id=None)
        for raw in listing.anonymous_entries
    ]
    return [Item(*sighting) for sighting in listing.sightings]


def plan_listing(
    key: ListKey,
    answer: Answer[EndpointListing],
    *,
    plan: Plan,
    tally: Tally,
    known: Mapping[str, KnownEndpoint],
    now: datetime,
) -> None:
    """Add to the plan what one listing says; an unreadable listing says nothing and makes the pass partial."""
    generation, project_id = key
    listing = answer.value
    if listing is None:
        tally.report_error(answer.error)
        return
    if listing.incomplete_reason:
        tally.report(listing.incomplete_reason)
    items = identify(listing, plan.malformed)
    mine = {
        remote_id: one
        for remote_id, one in known.items()
        if one.ref.generation == generation
        and (generation == Generation.V1 or one.ref.project_id == project_id)
    }
    diff = compare(
        {remote_id: one.row for remote_id, one in mine.items()}, items, is_complete=listing.complete, now=now
    )
    tally.seen += len(items)
    tally.unchanged += diff.unchanged
    for item in (*diff.created, *diff.updated):
        ref = EndpointRef(generation, project_id, item.remote_id)
        plan.changed[ref] = Changed(item, listing.find(item.remote_id), answer.fetched_at)
        plan.to_read.append(ref)
    if diff.is_suspicious:
        count = sum(one.row.is_present for one in mine.values())
        tally.report(
            f"A listing that had {count} endpoints came back empty; nothing was removed from the mirror."
        )
    for remote_id in diff.newly_missing:
        plan.to_confirm[mine[remote_id].ref] = False
    for remote_id in diff.absent_candidates:
        plan.to_confirm[mine[remote_id].ref] = True


def plan_lost_projects(
    plan: Plan, *, listed_project_ids: Iterable[str], known: Mapping[str, KnownEndpoint], now: datetime
) -> None:
    """Add the endpoints of projects that are no longer listed: only a GET of each can tell whether it is gone."""
    listed = set(listed_project_ids)
    lost = {remote_id: one for remote_id, one in known.items() if one.ref.project_id not in listed}
    diff = compare(
        {remote_id: one.row for remote_id, one in lost.items()},
        [],
        is_complete=True,
        now=now,
        empty_believed_after=None,
    )
    for remote_id in diff.newly_missing:
        plan.to_confirm[lost[remote_id].ref] = False
    for remote_id in diff.absent_candidates:
        plan.to_confirm[lost[remote_id].ref] = True


def choose_rotation(known: Mapping[str, KnownEndpoint], *, now: datetime) -> list[EndpointRef]:
    """Return endpoints whose listing cannot show everything, and this tick's share of all the others."""
    tick = int(now.timestamp()) // CADENCE_SECONDS
    chosen: list[EndpointRef] = []
    for one in known.values():
        if not one.row.is_present or one.row.missing_since is not None:
            continue
        slots = SLOTS[one.ref.generation]
        # crc32, not hash(): every process must come to the same slot.
        is_due = zlib.crc32(one.ref.endpoint_id.encode()) % slots == tick % slots
        if is_due or one.has_missing or one.deployment_count > MOST_SUMMARIES:
            chosen.append(one.ref)
    return chosen


def add_rotation(
    plan: Plan, rotation: Iterable[EndpointRef], *, answers: Mapping[EndpointRef, DeploymentsAnswer]
) -> None:
    """Add what is in rotation and was not planned anyway: with its answer where it was read beside the listings.

    An endpoint that the listing calls changed is read again: its answer may be older than the listing.
    """
    planned = {*plan.to_read, *plan.to_confirm}
    for ref in rotation:
        if ref in planned:
            continue
        if ref in answers:
            plan.answered[ref] = answers[ref]
        else:
            plan.to_read.append(ref)
