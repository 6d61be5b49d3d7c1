"""The mirror's periodic work: one task per resource and connection.

A tick without a connection asks for one task per enabled connection, so that a hanging provider delays nobody else's
mirror; with a single connection the tick does the work itself.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from celery import Task, shared_task

from dashboard.accounts.models import Connection
from dashboard.mirror import (
    prune,
    sync_catalogue,
    sync_details,
    sync_endpoints,
    sync_events,
    sync_models,
    sync_regions,
    sync_traffic,
    sync_unit_prices,
)
from dashboard.mirror.groups import GROUPS, Group
from dashboard.mirror.models import Endpoint, Project, Resource
from dashboard.mirror.sync_resources import sync_groups

# A task that waited longer for a worker is dropped: the next tick computes from state anyway. Seconds.
STALE_AFTER_SECONDS = 60


def _spread(
    task: "Task[Any, Any]",
    sync: Callable[[Connection], None],
    connection_id: int | None,
    **arguments: list[str],
) -> None:
    """Run `sync` for the connection, or ask for a task for each that is enabled."""
    enabled = Connection.objects.filter(is_enabled=True).order_by("pk")
    if connection_id is not None:
        enabled = enabled.filter(pk=connection_id)
    connections = list(enabled)
    if len(connections) == 1:
        sync(connections[0])
        return
    for connection in connections:
        task.apply_async(kwargs={"connection_id": connection.pk} | arguments, expires=STALE_AFTER_SECONDS)


def _read_endpoints(connection: Connection) -> None:
    """Read the endpoints; at first the projects that hold them, then at once what says how they are used.

    All ticks of a fresh start come together: the feeds' own found no endpoint yet and would come again in a minute.
    """
    if not Project.objects.filter(connection=connection).exists():
        sync_catalogue.sync_projects(connection)
    endpoints = Endpoint.objects.filter(connection=connection)
    was_empty = not endpoints.exists()
    sync_endpoints.sync_endpoints(connection)
    if was_empty and endpoints.exists():
        sync_events.sync_events(connection)
        sync_traffic.sync_traffic(connection)


def _read_groups(connection: Connection, *, groups: Sequence[Group]) -> None:
    """Read the groups; of a first sight at once what it costs, too, for the same reason."""
    billing = Resource.objects.filter(connection=connection, units__gt=0)
    was_empty = not billing.exists()
    sync_groups(connection, groups)
    if was_empty and billing.exists():
        sync_unit_prices.sync_unit_prices(connection)


@shared_task(name="mirror.sync_projects", bind=True)
def sync_projects(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_catalogue.sync_projects, connection_id)


@shared_task(name="mirror.sync_hardware", bind=True)
def sync_hardware(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_catalogue.sync_hardware, connection_id)


@shared_task(name="mirror.sync_endpoints", bind=True)
def sync_endpoints_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, _read_endpoints, connection_id)


@shared_task(name="mirror.sync_in_transition", bind=True)
def sync_in_transition(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_endpoints.sync_in_transition, connection_id)


@shared_task(name="mirror.sync_events", bind=True)
def sync_events_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_events.sync_events, connection_id)


@shared_task(name="mirror.sync_traffic", bind=True)
def sync_traffic_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_traffic.sync_traffic, connection_id)


@shared_task(name="mirror.sync_groups", bind=True)
def sync_groups_task(self: "Task[Any, Any]", names: list[str], connection_id: int | None = None) -> None:
    """Read groups of resources; `names` are those of their runs (mirror/groups.py)."""
    groups = [group for group in GROUPS if group.run.value in names]
    _spread(self, functools.partial(_read_groups, groups=groups), connection_id, names=names)


@shared_task(name="mirror.sync_details", bind=True)
def sync_details_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_details.sync_details, connection_id)


@shared_task(name="mirror.sync_model_catalogue", bind=True)
def sync_model_catalogue_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_models.sync_model_catalogue, connection_id)


@shared_task(name="mirror.sync_regions", bind=True)
def sync_regions_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_regions.sync_regions, connection_id)


@shared_task(name="mirror.sync_unit_prices", bind=True)
def sync_unit_prices_task(self: "Task[Any, Any]", connection_id: int | None = None) -> None:
    _spread(self, sync_unit_prices.sync_unit_prices, connection_id)


@shared_task(name="mirror.open_details")
def open_details_task(*, resource_id: int) -> None:
    """Read the details of a resource that somebody has just opened."""
    sync_details.open_details(resource_id)


@shared_task(name="mirror.sync_connection")
def sync_connection(*, connection_id: int) -> None:
    """Read everything of one connection now, in the order in which one thing explains the next."""
    connection = Connection.objects.get(pk=connection_id)
    sync_catalogue.sync_projects(connection)
    sync_catalogue.sync_hardware(connection)
    sync_endpoints.sync_endpoints(connection)
    sync_events.sync_events(connection)
    sync_groups(connection, GROUPS)
    sync_traffic.sync_traffic(connection)
    sync_models.sync_model_catalogue(connection)
    sync_regions.sync_regions(connection)
    if Resource.objects.filter(connection=connection).exists():
        sync_details.sync_details(connection)
        sync_unit_prices.sync_unit_prices(connection)


@shared_task(name="mirror.prune")
def prune_task() -> None:
    prune.prune()
