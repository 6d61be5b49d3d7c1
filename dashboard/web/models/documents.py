"""Files and revisions of an own model out of what was kept of them. Any part may be missing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.web.resources.bodies import number_of, text_of

# Lines of one panel; a model of many shards has hundreds of files.
MOST_LINES = 200
_PREFIX = "REVISION_VALIDATION_STATUS_"


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file; `size_bytes` None = not told."""

    path: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """One revision with the provider's check of it, empty = not told."""

    revision_id: str
    verdict: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """The files as far as they were read, and the size of all of them; None = not told."""

    lines: tuple[FileLine, ...]
    total_bytes: int | None


def read_files(document: object) -> Files:
    """Return the files of the newest revision."""
    body = document if isinstance(document, dict) else {}
    lines = tuple(
        FileLine(text_of(row, "path"), _count(row, "sizeBytes", "size_bytes")) for row in _rows(body)
    )
    return Files(lines[:MOST_LINES], _count(body, "totalSizeBytes", "total_size_bytes"))


def read_revisions(document: object) -> tuple[RevisionLine, ...]:
    """Return the revisions in the provider's order."""
    body = document if isinstance(document, dict) else {}
    found = []
    for row in _rows(body):
        errors = row.get("validationErrors") or row.get("validation_errors")
        problems = [
            text_of(one, "message", "rule")
            for one in (errors if isinstance(errors, list) else [])
            if isinstance(one, dict)
        ]
        verdict = text_of(row, "validationStatus", "validation_status").removeprefix(_PREFIX).lower()
        found.append(
            RevisionLine(
                text_of(row, "revisionId", "revision_id"), verdict, tuple(one for one in problems if one)
            )
        )
    return tuple(found[:MOST_LINES])


def _rows(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = body.get("data")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _count(body: Mapping[str, Any], *names: str) -> int | None:
    number = number_of(body, *names)
    return None if number is None else int(number)
