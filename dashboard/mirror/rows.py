"""Write many rows with one statement, as fast as PostgreSQL takes them.

Rows travel as one JSON text that PostgreSQL turns into columns (json_populate_recordset, types from the table
itself). Django's bulk_create compiles every value of every row in Python: 10,000 deployments took ten seconds that way
and take under one this way (bench/sync.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import psycopg
from django.db import connection as database
from django.db.models import Model
from django.db.models.expressions import RawSQL
from psycopg import sql

Row = Mapping[str, Any]

# Rows of one statement, about 1 MB of deployments. What PostgreSQL makes of a larger text does not fit its work_mem.
BATCH_ROWS = 500


def among(texts: Iterable[str]) -> RawSQL:
    """Return the right side of an `__in` over thousands of texts: one array in place of a parameter for each."""
    return RawSQL("SELECT unnest(%s::text[])", [list(texts)])


def insert_rows(model: type[Model], rows: Sequence[Row], *, skips_known: bool = False) -> None:
    """Insert the rows; each has the same columns, those left out take the database's default.

    With `skips_known` rows that a unique constraint refuses are left out.
    """
    if not rows:
        return
    statement = sql.SQL("INSERT INTO {table} ({columns}) {source}{conflict}").format(
        table=sql.Identifier(model._meta.db_table),
        columns=_join(list(rows[0])),
        source=_source(model, list(rows[0])),
        conflict=sql.SQL(" ON CONFLICT DO NOTHING" if skips_known else ""),
    )
    with _open_cursor() as cursor:
        for batch in _encode(rows):
            cursor.execute(statement, [batch])


def upsert_rows(
    model: type[Model],
    rows: Sequence[Row],
    *,
    key: tuple[str, ...],
    insert_only: Sequence[str] = (),
    newest_by: str = "",
) -> dict[str, int]:
    """Insert the rows or update those that have the key; return last key column -> id of what was written.

    No two rows may have the same key. `insert_only` columns (and `first_observed_at`) are left alone by an update.
    With `newest_by` a row whose column is later than the given one stays as it is and is not returned.
    """
    if not rows:
        return {}
    table = sql.Identifier(model._meta.db_table)
    columns = list(rows[0])
    kept = {*key, *insert_only, "first_observed_at"}
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in kept
    )
    guard = (
        sql.SQL(" WHERE {table}.{0} <= excluded.{0}").format(sql.Identifier(newest_by), table=table)
        if newest_by
        else sql.SQL("")
    )
    statement = sql.SQL(
        "INSERT INTO {table} ({columns}) {source} ON CONFLICT ({key}) DO UPDATE SET {changes}{guard}"
        " RETURNING {name}, id"
    ).format(
        table=table,
        columns=_join(columns),
        source=_source(model, columns),
        key=_join(key),
        changes=changes,
        guard=guard,
        name=sql.Identifier(key[-1]),
    )
    written: dict[str, int] = {}
    with _open_cursor() as cursor:
        for batch in _encode(rows):
            cursor.execute(statement, [batch])
            written.update(cursor.fetchall())
    return written


def _open_cursor() -> psycopg.Cursor[Any]:
    """Return a cursor that sends parameters beside the statement: Django's own writes megabytes of text into it."""
    database.ensure_connection()
    return psycopg.Cursor(database.connection)


def _join(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _source(model: type[Model], columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)").format(
        columns=_join(columns), table=sql.Identifier(model._meta.db_table)
    )


def _encode(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the rows as JSON arrays; bytes as PostgreSQL writes a bytea."""
    for start in range(0, len(rows), BATCH_ROWS):
        yield orjson.dumps(rows[start : start + BATCH_ROWS], default=_encode_value).decode()


def _encode_value(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} has no JSON form here")
