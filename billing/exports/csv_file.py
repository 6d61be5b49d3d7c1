"""CSV, written a part at a time; no cell of text is taken for a formula by a spreadsheet. Pure."""

import csv
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from billing.exports.lines import to_text

# What a spreadsheet may evaluate (OWASP, "CSV Injection"): names of endpoints and tags are written by anybody.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
ROWS_PER_PART = 500


class _Buffer:
    """What csv.writer writes to: keeps the lines until they are taken."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> int:
        self.lines.append(line)
        return len(line)

    def take(self) -> bytes:
        text = "".join(self.lines)
        self.lines.clear()
        return text.encode()


def neutralise(text: str) -> str:
    """Return text that no spreadsheet evaluates: with an apostrophe before it where it begins like a formula."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def format_cell(value: object) -> str:
    """Return a cell: numbers stay numbers, times are ISO 8601 in UTC, None is empty."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    if isinstance(value, Decimal):
        return to_text(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"a cell cannot hold {type(value).__name__}")


def format_focus_cell(value: object) -> str:
    """Return a cell of a FOCUS file, whose numbers show that they are decimals: `48.0`."""
    text = format_cell(value)
    return f"{text}.0" if isinstance(value, Decimal) and "." not in text else text


def write_csv(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    write_cell: Callable[[object], str] = format_cell,
) -> Generator[bytes, None, None]:
    """Yield the file: its head at once, then parts of some hundred rows."""
    buffer = _Buffer()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    yield buffer.take()
    for row in rows:
        writer.writerow([write_cell(value) for value in row])
        if len(buffer.lines) >= ROWS_PER_PART:
            yield buffer.take()
    if buffer.lines:
        yield buffer.take()
