"""Whether a migration leaves the previous release working: an upgrade has old and new processes on one schema.

Expand and contract: a release may add what the old code does not know; what the old code still reads or writes goes
one release later. Not seen here: what a RunPython does, and how long a statement holds its lock.
"""

import re
from collections.abc import Iterator, Sequence

from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

_BREAKING_SQL = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|FUNCTION)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b|\bALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE\b",
    re.IGNORECASE,
)


def find_breaks(app: str, operations: Sequence[Operation], *, state: ProjectState) -> list[str]:
    """Return what the previous release would stumble over, one phrase each; ``state`` is that before the operations.

    Tables made by these operations are free: no older code knows them. Changes ``state``.
    """
    found: list[str] = []
    fresh: set[str] = set()
    for operation in _flatten(operations):
        if isinstance(operation, ops.CreateModel):
            fresh.add(operation.name.lower())
        elif (
            getattr(operation, "model_name", None) or getattr(operation, "name", "") or ""
        ).lower() not in fresh:
            found += _judge(app, operation, state=state)
        operation.state_forwards(app, state)
    return found


def _flatten(operations: Sequence[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, ops.SeparateDatabaseAndState):
            yield from _flatten(operation.database_operations)
        else:
            yield operation


def _judge(app: str, operation: Operation, *, state: ProjectState) -> list[str]:
    match operation:
        case ops.RemoveField():
            return [f"drops the column {operation.model_name}.{operation.name}"]
        case ops.DeleteModel():
            return [f"drops the table of {operation.name}"]
        case ops.RenameField():
            return [f"renames the column {operation.model_name}.{operation.old_name}"]
        case ops.RenameModel():
            return [f"renames the table of {operation.old_name}"]
        case ops.AlterModelTable():
            return [f"renames the table of {operation.name}"]
        case ops.AddField() if _refuses_old_rows(operation.field):
            return [
                f"adds {operation.model_name}.{operation.name}, which old code does not fill (no db_default)"
            ]
        case ops.AlterField():
            old = state.models[app, operation.model_name.lower()].fields[operation.name]
            return _compare(f"{operation.model_name}.{operation.name}", old=old, new=operation.field)
        case ops.RunSQL():
            return [f"runs {found.group(0)!r}" for found in _BREAKING_SQL.finditer(str(operation.sql))]
    return []


def _refuses_old_rows(field: models.Field) -> bool:
    """Return whether a row without this column is refused: Django drops the default that it adds a column with."""
    return not (field.null or field.has_db_default() or field.many_to_many or field.generated)


def _compare(name: str, *, old: models.Field, new: models.Field) -> list[str]:
    found = []
    if old.get_internal_type() != new.get_internal_type():
        found.append(f"changes the type of {name}")
    if old.null and not new.null:
        found.append(f"refuses null in {name}, which old code may write")
    if (old.max_length or 0) > (new.max_length or float("inf")):
        found.append(f"shortens {name}")
    return found
