"""The mirror's periodic work: one task per resource, for every enabled connection."""

import logging
from collections.abc import Callable

from celery import shared_task

from dashboard.accounts.models import Connection
from dashboard.mirror import prune, sync_catalogue, sync_endpoints, sync_events, sync_traffic
from dashboard.mirror.models import Endpoint, Project

logger = logging.getLogger(__name__)


def _for_each_connection(sync: Callable[[Connection], None]) -> None:
    """Run `sync` for every enabled connection; one that fails does not keep the others from their turn."""
    failures: list[Exception] = []
    for connection in Connection.objects.filter(is_enabled=True):
        try:
            sync(connection)
        except Exception as error:
            logger.exception("sync failed for connection %s", connection.pk)
            failures.append(error)
    if failures:
        raise failures[0]


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


@shared_task(name="mirror.sync_projects")
def sync_projects() -> None:
    _for_each_connection(sync_catalogue.sync_projects)


@shared_task(name="mirror.sync_hardware")
def sync_hardware() -> None:
    _for_each_connection(sync_catalogue.sync_hardware)


@shared_task(name="mirror.sync_endpoints")
def sync_endpoints_task() -> None:
    _for_each_connection(_read_endpoints)


@shared_task(name="mirror.sync_in_transition")
def sync_in_transition() -> None:
    _for_each_connection(sync_endpoints.sync_in_transition)


@shared_task(name="mirror.sync_events")
def sync_events_task() -> None:
    _for_each_connection(sync_events.sync_events)


@shared_task(name="mirror.sync_traffic")
def sync_traffic_task() -> None:
    _for_each_connection(sync_traffic.sync_traffic)


@shared_task(name="mirror.sync_connection")
def sync_connection(*, connection_id: int) -> None:
    """Read everything of one connection now, in the order in which one thing explains the next."""
    connection = Connection.objects.get(pk=connection_id)
    sync_catalogue.sync_projects(connection)
    sync_catalogue.sync_hardware(connection)
    sync_endpoints.sync_endpoints(connection)
    sync_events.sync_events(connection)
    sync_traffic.sync_traffic(connection)


@shared_task(name="mirror.prune")
def prune_task() -> None:
    prune.prune()
