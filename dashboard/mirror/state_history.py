"""Read the recorded edges of deployments, for timelines."""

from collections.abc import Sequence
from datetime import datetime

from dashboard.mirror.models import StateChange
from dashboard.mirror.timeline import Edge

_COLUMNS = ("deployment_id", "at", "state", "ready_replicas", "source", "not_before")


def load_edges(deployment_ids: Sequence[int], *, since: datetime) -> dict[int, list[Edge]]:
    """Return by deployment its edges from ``since`` on, preceded by the last one before. Two queries."""
    changes = StateChange.objects.filter(deployment_id__in=list(deployment_ids))
    before = (
        changes.filter(at__lt=since)
        .order_by("deployment_id", "-at", "-id")
        .distinct("deployment_id")
        .values_list(*_COLUMNS)
    )
    during = changes.filter(at__gte=since).order_by("at", "id").values_list(*_COLUMNS)
    edges: dict[int, list[Edge]] = {}
    for deployment_id, at, state, ready, source, not_before in (*before, *during):
        edges.setdefault(deployment_id, []).append(
            Edge(at=at, state=state, ready_replicas=ready, source=source, not_before=not_before)
        )
    return edges
