"""How old the mirror is, per connection: when its endpoints were last read completely, and what failed since."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import DateTimeField, Field, OuterRef, QuerySet, Subquery, TextField

from dashboard.accounts.models import Connection, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.mirror.models import SyncRun
from dashboard.mirror.querysets import visible_projects

_LEFT_OUT = (SyncRun.Outcome.RUNNING, SyncRun.Outcome.BUSY)


@dataclass(frozen=True, slots=True)
class ConnectionAge:
    """What is known of one connection. `synced_at` is the start of the last complete reading: None = never.

    `error` is the sentence of the newest reading when that was not complete, with its time; empty when it was.
    """

    connection_id: int
    name: str
    organization: str
    synced_at: datetime | None
    traffic_read_at: datetime | None
    is_backfilled: bool
    is_running: bool
    error: str
    error_at: datetime | None
    health: str
    health_detail: str

    @property
    def is_refused(self) -> bool:
        """True when the provider no longer takes the key."""
        return self.health == Connection.Health.REFUSED


@dataclass(frozen=True, slots=True)
class Freshness:
    """The connections whose rows a person may see, enabled ones only."""

    connections: tuple[ConnectionAge, ...]

    @property
    def synced_at(self) -> datetime | None:
        """Return the age of a page over all of it: that of its oldest part; None while any part was never read."""
        ages = [one.synced_at for one in self.connections]
        known = [age for age in ages if age is not None]
        return min(known) if known and len(known) == len(ages) else None

    @property
    def failing(self) -> tuple[ConnectionAge, ...]:
        """Return those whose newest reading was not complete."""
        return tuple(one for one in self.connections if one.error)

    @property
    def organization(self) -> str:
        """Return the organisation's name, or those of all, joined; empty when there is none."""
        return ", ".join(sorted({one.organization or one.name for one in self.connections}))


def load_freshness(user: User) -> Freshness:
    """Return the ages of the connections behind what the user may see. One query."""
    connections = Connection.objects.filter(is_enabled=True)
    if not user_may(user, Right.SEE_ALL_PROJECTS):
        connections = connections.filter(pk__in=visible_projects(user).values("connection_id"))
    endpoints = _runs(SyncRun.Resource.ENDPOINTS)
    newest = endpoints.exclude(outcome__in=_LEFT_OUT).order_by("-started_at")
    rows = connections.order_by("name").annotate(
        synced_at=_first(_complete(endpoints), "started_at"),
        traffic_read_at=_first(_complete(_runs(SyncRun.Resource.TRAFFIC)), "started_at"),
        newest_outcome=_first(newest, "outcome"),
        newest_error=_first(newest, "error"),
        newest_at=_first(newest, "started_at"),
        present_outcome=_first(endpoints.order_by("-started_at"), "outcome"),
    )
    return Freshness(tuple(_read_row(row) for row in rows))


def _read_row(row: Connection) -> ConnectionAge:
    newest_outcome: str | None = row.newest_outcome  # type: ignore[attr-defined]  # annotations
    is_bad = newest_outcome in (SyncRun.Outcome.FAILED, SyncRun.Outcome.PARTIAL)
    return ConnectionAge(
        connection_id=row.pk,
        name=row.name,
        organization=row.organization_name,
        synced_at=row.synced_at,  # type: ignore[attr-defined]
        traffic_read_at=row.traffic_read_at,  # type: ignore[attr-defined]
        is_backfilled=row.backfilled_at is not None,
        is_running=row.present_outcome == SyncRun.Outcome.RUNNING,  # type: ignore[attr-defined]
        error=(row.newest_error or "The last reading failed.") if is_bad else "",  # type: ignore[attr-defined]
        error_at=row.newest_at if is_bad else None,  # type: ignore[attr-defined]
        health=row.health,
        health_detail=row.health_detail,
    )


def _runs(resource: SyncRun.Resource) -> QuerySet[SyncRun]:
    return SyncRun.objects.filter(connection=OuterRef("pk"), resource=resource)


def _complete(runs: QuerySet[SyncRun]) -> QuerySet[SyncRun]:
    """Return complete runs, newest end first: the order of the index sync_run_newest_complete."""
    return runs.filter(outcome=SyncRun.Outcome.COMPLETE).order_by("-finished_at")


def _first(runs: QuerySet[SyncRun], column: str) -> Subquery:
    field: Field[Any, Any] = DateTimeField() if column.endswith("_at") else TextField()
    return Subquery(runs.values(column)[:1], output_field=field)
