"""Connections to the provider; sole writer of Connection.

A key enters through a form or the environment, is sealed to its row, and leaves only inside the client made by
`api_client`: it is never rendered, logged or audited. The provider's address comes from the settings, because
an address typed into a form would receive the key.
"""

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db import connection as database
from django.db.models import ProtectedError

from dashboard.accounts import audit, crypto
from dashboard.accounts.connection_check import ConnectionCheck, check_client
from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.together_api.budget import budget_for
from dashboard.together_api.client import AsyncTogetherClient, TogetherClient
from dashboard.together_api.config import ApiConfig

HINT_CHARACTERS = 4


class ConnectionChangeError(Exception):
    """The connection cannot be made or changed so; the message is for people."""

    retryable = False


class NameTakenError(ConnectionChangeError):
    """Another connection has the name."""


class KeyTakenError(ConnectionChangeError):
    """Another connection holds the same key: everything would be counted twice."""


class KeyUnusableError(ConnectionChangeError):
    """The text is no key, or the provider does not accept it."""


class DifferentOrganizationError(ConnectionChangeError):
    """The new key opens another organisation than the one that this connection mirrors."""


class HistoryKeptError(ConnectionChangeError):
    """Receipts hang on what the connection mirrored; they are kept, so it can only be disabled."""


def api_client(connection: Connection) -> TogetherClient:
    """Return a blocking client with the connection's key and its request budget (one per process).

    Use it in a `with` block. Raises crypto.CryptoError when the key cannot be opened.
    """
    return TogetherClient(_build_config(read_key(connection)), budget=budget_for(str(connection.pk)))


def async_api_client(connection: Connection) -> AsyncTogetherClient:
    """Return an async client with the connection's key; shares the request budget with the blocking ones."""
    return AsyncTogetherClient(_build_config(read_key(connection)), budget=budget_for(str(connection.pk)))


def read_key(connection: Connection) -> str:
    """Return the API key in the clear. Raises crypto.CryptoError."""
    return crypto.open_sealed(connection.key_ciphertext, place=_place(connection))


def find_by_key(api_key: str) -> Connection | None:
    """Return the connection that holds the key; opens every stored key, of which there are few."""
    return next((row for row in Connection.objects.order_by("pk") if read_key(row) == api_key), None)


def check_key(api_key: str) -> ConnectionCheck:
    """Ask the provider what the key can see; stores nothing. Raises KeyUnusableError for text that is no key."""
    try:
        config = _build_config(api_key)
    except ValueError as error:
        raise KeyUnusableError(str(error)) from error
    with TogetherClient(config) as client:
        return check_client(client)


def check_connection(connection: Connection) -> ConnectionCheck:
    """Ask the provider what the stored key can see; stores nothing."""
    with api_client(connection) as client:
        return check_client(client)


@transaction.atomic
def create_connection(
    *, name: str, api_key: str, check: ConnectionCheck, now: datetime, actor: audit.Actor
) -> Connection:
    """Store a connection with its sealed key and what `check` found. Raises NameTakenError, KeyTakenError."""
    _lock_table()
    _refuse_known_key(api_key)
    try:
        with transaction.atomic():
            connection = Connection.objects.create(name=name, key_ciphertext="", key_hint="")
    except IntegrityError as error:
        raise NameTakenError(f"There is already a connection {name}") from error
    _seal_key(connection, api_key)
    _store_check(connection, check, now=now)
    audit.record(
        "connection.created", actor=actor, target=connection, detail={"key_hint": connection.key_hint}
    )
    return connection


@transaction.atomic
def rename_connection(connection: Connection, *, name: str, actor: audit.Actor) -> None:
    """Change the name. Raises NameTakenError."""
    before = connection.name
    try:
        with transaction.atomic():
            Connection.objects.filter(pk=connection.pk).update(name=name)
    except IntegrityError as error:
        raise NameTakenError(f"There is already a connection {name}") from error
    connection.name = name
    audit.record(
        "connection.renamed", actor=actor, target=connection, detail={"before": before, "after": name}
    )


@transaction.atomic
def replace_key(
    connection: Connection, *, api_key: str, check: ConnectionCheck, now: datetime, actor: audit.Actor
) -> None:
    """Store another key of the same organisation. Raises KeyTakenError, DifferentOrganizationError."""
    _lock_table()
    _refuse_known_key(api_key, but=connection)
    known = connection.organization_id
    if known and check.organization_id and known != check.organization_id:
        raise DifferentOrganizationError(
            f"This key opens the organisation {check.organization_name or check.organization_id}, but the"
            f" connection mirrors {connection.organization_name or known}: add a connection for it"
        )
    before = connection.key_hint
    _seal_key(connection, api_key)
    _store_check(connection, check, now=now)
    audit.record(
        "connection.key_replaced",
        actor=actor,
        target=connection,
        detail={"before": before, "after": connection.key_hint},
    )


def test_connection(connection: Connection, *, now: datetime, actor: audit.Actor) -> ConnectionCheck:
    """Ask the provider, outside of any transaction, then store and record what it said."""
    check = check_connection(connection)
    with transaction.atomic():
        _store_check(connection, check, now=now)
        audit.record("connection.tested", actor=actor, target=connection, detail={"health": check.health})
    return check


@transaction.atomic
def enable_connection(connection: Connection, *, actor: audit.Actor) -> None:
    """Let the mirror read it again."""
    Connection.objects.filter(pk=connection.pk).update(is_enabled=True)
    audit.record("connection.enabled", actor=actor, target=connection)


@transaction.atomic
def disable_connection(connection: Connection, *, actor: audit.Actor) -> None:
    """Stop mirroring; what was mirrored stays and grows old."""
    Connection.objects.filter(pk=connection.pk).update(is_enabled=False)
    audit.record("connection.disabled", actor=actor, target=connection)


@transaction.atomic
def delete_connection(connection: Connection, *, actor: audit.Actor) -> None:
    """Delete the connection with all that was mirrored through it, in this one transaction.

    Raises HistoryKeptError where receipts of acts hang on it: they are evidence and stay. Not made for millions
    of traffic rows: those make it run into the statement timeout, and then nothing is deleted.
    """
    audit.record("connection.deleted", actor=actor, target=connection)
    try:
        with transaction.atomic():
            connection.delete()
    except ProtectedError as error:
        raise HistoryKeptError(
            f"{len(error.protected_objects)} acts with receipts hang on {connection.name}."
            " They are kept, so the connection can be disabled but not deleted"
        ) from error


def report_health(connection: Connection, *, health: Connection.Health, detail: str, now: datetime) -> bool:
    """Store what a sync learnt about the key; writes (and tells open pages) only when something changed."""
    changed = (
        Connection.objects.filter(pk=connection.pk)
        .exclude(health=health, health_detail=detail)
        .update(health=health, health_detail=detail, health_checked_at=now)
    )
    if changed:
        live.announce(["connections"])
    return bool(changed)


@transaction.atomic
def rotate_keys() -> int:
    """Seal every key that an older key sealed with the newest one; return how many. Raises crypto.CryptoError."""
    newest = crypto.read_keys()[0].id
    rotated = 0
    for connection in Connection.objects.select_for_update().order_by("pk"):
        if crypto.sealing_key_id(connection.key_ciphertext) == newest:
            continue
        _seal_key(connection, read_key(connection))
        rotated += 1
    if rotated:
        actor = audit.Actor.for_process("rotate_keys")
        audit.record("connection.keys_rotated", actor=actor, detail={"key_id": newest, "count": rotated})
    return rotated


def _build_config(api_key: str) -> ApiConfig:
    return ApiConfig(
        api_key=api_key,
        base_url=settings.TOGETHER_BASE_URL,
        inference_url=settings.TOGETHER_INFERENCE_URL or None,
        metrics_url=settings.TOGETHER_METRICS_URL or None,
    )


def _place(connection: Connection) -> crypto.Place:
    return crypto.Place(Connection._meta.db_table, connection.pk, "key_ciphertext")


def _seal_key(connection: Connection, api_key: str) -> None:
    connection.key_ciphertext = crypto.seal(api_key, place=_place(connection))
    connection.key_hint = api_key[-HINT_CHARACTERS:]
    connection.save(update_fields=["key_ciphertext", "key_hint"])


def _store_check(connection: Connection, check: ConnectionCheck, *, now: datetime) -> None:
    connection.health, connection.health_detail = check.health, check.sentence
    connection.health_checked_at = now
    # A key that is refused today still belongs to the organisation it showed yesterday.
    connection.organization_id = check.organization_id or connection.organization_id
    connection.organization_name = check.organization_name or connection.organization_name
    connection.save(
        update_fields=["health", "health_detail", "health_checked_at", "organization_id", "organization_name"]
    )
    live.announce(["connections"])


def _refuse_known_key(api_key: str, *, but: Connection | None = None) -> None:
    known = find_by_key(api_key)
    if known is not None and known != but:
        raise KeyTakenError(f"The connection {known.name} already holds this key")


def _lock_table() -> None:
    """Make writers queue: ciphertexts of one key differ, so no unique index could refuse the second."""
    with database.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_connection IN SHARE ROW EXCLUSIVE MODE")
