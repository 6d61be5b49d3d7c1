"""The states a resource went through, newest first, with how long each held and how sure the times are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.core import resource_states, status
from dashboard.mirror.models import Resource, ResourceChange
from dashboard.mirror.store_absence import ABSENT_STATE

MOST_EDGES = 40


@dataclass(frozen=True, slots=True)
class Edge:
    """From `at` on it was in `state`. `lasted` runs to the next edge, for the present state to now.

    `source` says how the time is known; `units` None = not told then.
    """

    at: datetime
    status: status.Status
    state: str
    lasted: timedelta
    units: int | None
    source: str
    is_present: bool


def load_timeline(resource: Resource, *, now: datetime) -> tuple[Edge, ...]:
    """Return the newest edges, newest first. One query."""
    rows = list(resource.changes.order_by("-at", "-id")[:MOST_EDGES])
    return read_timeline(rows, kind=resource.kind, is_gone=resource.absent_since is not None, now=now)


def read_timeline(
    rows: Sequence[ResourceChange], *, kind: str, is_gone: bool, now: datetime
) -> tuple[Edge, ...]:
    """Return edges from rows that stand newest first. No query."""
    edges = []
    end = now
    for place, row in enumerate(rows):
        is_absent = row.state == ABSENT_STATE
        edges.append(
            Edge(
                at=row.at,
                status=status.ABSENT if is_absent else resource_states.read_state(kind, row.state),
                state="" if is_absent else resource_states.shorten(row.state),
                lasted=max(end - row.at, timedelta(0)),
                units=row.units,
                source=str(row.get_source_display()),
                is_present=not place and not is_gone,
            )
        )
        end = row.at
    return tuple(edges)
