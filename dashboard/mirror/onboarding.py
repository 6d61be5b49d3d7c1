"""From a key to a connection: ask the provider, refuse what adds nothing, store, read for the first time."""

import logging
from datetime import datetime

from kombu.exceptions import OperationalError

from dashboard.accounts import audit, connections
from dashboard.accounts.connection_check import ConnectionCheck
from dashboard.accounts.models import Connection
from dashboard.mirror.ownership import find_redundant_with
from dashboard.mirror.tasks import sync_connection

logger = logging.getLogger(__name__)

# Name of the connection that the environment's key makes; people may rename it.
ENVIRONMENT_NAME = "Together AI"
SIMULATED_NAME = "Simulator"


def connect_key(*, name: str, api_key: str, now: datetime, actor: audit.Actor) -> Connection:
    """Make a connection of a key that works. Asks the provider, outside of any transaction.

    Raises connections.ConnectionChangeError with a sentence for people; then nothing is stored.
    """
    check = _require_working(connections.check_key(api_key))
    _refuse_redundant(check)
    connection = connections.create_connection(name=name, api_key=api_key, check=check, now=now, actor=actor)
    request_first_sync(connection)
    return connection


def adopt_environment_key(
    api_key: str, *, is_simulated: bool, now: datetime, actor: audit.Actor
) -> tuple[Connection, bool]:
    """Return the connection that holds the key, and whether it was made now. Running it again changes nothing.

    Unlike connect_key it stores a key that does not work at the moment: the provider (or the simulator, which
    starts beside us) may be late, and the health says so in words. Raises connections.ConnectionChangeError
    for text that is no key.
    """
    known = connections.find_by_key(api_key)
    if known is not None:
        return known, False
    check = connections.check_key(api_key)
    name = SIMULATED_NAME if is_simulated else ENVIRONMENT_NAME
    if Connection.objects.filter(name=name).exists():
        name = f"{name} (…{api_key[-connections.HINT_CHARACTERS :]})"
    return (
        connections.create_connection(name=name, api_key=api_key, check=check, now=now, actor=actor),
        True,
    )


def request_first_sync(connection: Connection) -> None:
    """Ask a worker to read everything now; without a broker the beat's next ticks do the same, later."""
    try:
        sync_connection.apply_async(kwargs={"connection_id": connection.pk}, retry=False)
    except OperationalError as error:
        logger.warning("the first sync of connection %s waits for the beat: %s", connection.pk, error)


def exchange_key(connection: Connection, *, api_key: str, now: datetime, actor: audit.Actor) -> None:
    """Give the connection another key that works and opens the same organisation.

    Raises connections.ConnectionChangeError with a sentence for people; then the old key stays.
    """
    check = _require_working(connections.check_key(api_key))
    connections.replace_key(connection, api_key=api_key, check=check, now=now, actor=actor)


def _require_working(check: ConnectionCheck) -> ConnectionCheck:
    if not check.is_working:
        raise connections.KeyUnusableError(check.sentence)
    return check


def _refuse_redundant(check: ConnectionCheck) -> None:
    other = find_redundant_with(project.id for project in check.projects)
    if other is not None:
        raise connections.KeyTakenError(
            f"The connection {other.name} already mirrors every project that this key sees"
        )
