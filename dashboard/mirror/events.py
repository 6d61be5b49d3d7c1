"""Read a deployment's edges out of the provider's event feed. Pure.

The feed says when a deployment changed its state, and how many replicas were wanted; how many were ready it says
in words at best (contract 3.6 has no field for it, and messages are not promised). So each edge takes the best
that is there: a count on the event itself, "n/m ready" in its message, what the state implies, else None.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from dashboard.together_api import payloads

STATUS_UPDATED = "deployment.status_updated"
SCALED = "deployment.scaled"
# Event types that edges are read from.
EDGE_TYPES = (STATUS_UPDATED, SCALED)

_READY_IN_WORDS = re.compile(r"\b(\d+)\s*/\s*\d+\s+(?:replicas\s+)?ready\b", re.IGNORECASE)
# What a state implies about ready replicas when nobody counts them (contract section 2, 3.5).
_NONE_READY = frozenset(
    {
        payloads.DeploymentState.PROVISIONING.value,
        payloads.DeploymentState.STOPPED.value,
        payloads.DeploymentState.FAILED.value,
    }
)


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """The parts of an event that edges need; `at` is the provider's time."""

    id: str
    at: datetime
    type: str
    status: str
    new_replicas: int | None
    message: str


@dataclass(frozen=True, slots=True)
class FeedEdge:
    """From `at` on the deployment was in `state`; `ready_replicas` None = the feed does not tell."""

    event_id: str
    at: datetime
    state: str
    ready_replicas: int | None


@dataclass(frozen=True, slots=True)
class Context:
    """What was known before the first event given: replicas wanted; None = unknown."""

    desired_replicas: int | None = None


def derive_edges(events: Iterable[FeedEvent], *, context: Context | None = None) -> list[FeedEdge]:
    """Return the edges of one deployment in order of time, one per status event that says something new."""
    known = context or Context()
    edges: list[FeedEdge] = []
    # A scaling at the same instant belongs before the status that it caused.
    for event in sorted(events, key=lambda one: (one.at, one.type != SCALED, one.id)):
        if event.type == SCALED:
            known = replace(known, desired_replicas=event.new_replicas)
            continue
        if event.type != STATUS_UPDATED or not event.status:
            continue
        edge = FeedEdge(
            event_id=event.id,
            at=event.at,
            state=event.status,
            ready_replicas=_count_ready(event, known),
        )
        if edges and (edges[-1].state, edges[-1].ready_replicas) == (edge.state, edge.ready_replicas):
            continue
        edges.append(edge)
    return edges


def _count_ready(event: FeedEvent, context: Context) -> int | None:
    if event.new_replicas is not None:
        return event.new_replicas
    in_words = _READY_IN_WORDS.search(event.message)
    if in_words:
        return int(in_words.group(1))
    if event.status in _NONE_READY:
        return 0
    if event.status == payloads.DeploymentState.READY:
        return context.desired_replicas
    return None
