"""The files that can be had, and the one way to write each of them."""

import enum
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from billing.exports import columns, focus
from billing.exports.csv_file import format_cell, format_focus_cell, write_csv
from billing.exports.lines import Basis, Grain, Line
from billing.exports.parquet_file import write_parquet
from billing.exports.stream import Wanted, stream_lines
from dashboard.core.periods import Period


class Format(enum.StrEnum):
    """What a file holds; values stand in addresses and stored schedules."""

    INTERVALS = "intervals"
    DAYS = "days"
    FOCUS_1_2 = "focus-1.2"
    FOCUS_1_4 = "focus-1.4"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def is_focus(self) -> bool:
        return self in _VERSIONS


class FileType(enum.StrEnum):
    """How it is written."""

    CSV = "csv"
    PARQUET = "parquet"


_LABELS = {
    Format.INTERVALS: "Intervals",
    Format.DAYS: "Days",
    Format.FOCUS_1_2: "FOCUS 1.2",
    Format.FOCUS_1_4: "FOCUS 1.4",
}
_VERSIONS = {Format.FOCUS_1_2: focus.FocusVersion.V1_2, Format.FOCUS_1_4: focus.FocusVersion.V1_4}
CONTENT_TYPES = {FileType.CSV: "text/csv; charset=utf-8", FileType.PARQUET: "application/vnd.apache.parquet"}


@dataclass(frozen=True, slots=True)
class Order:
    """A file that somebody wants. Basis and grain are FOCUS's: intervals and days are what the ledger says."""

    wanted: Wanted
    format: Format = Format.INTERVALS
    file_type: FileType = FileType.CSV

    @property
    def file_name(self) -> str:
        """Return a name for the file; days are those in the zone that was asked for."""
        zone = self.wanted.zone
        first = self.wanted.period.start.astimezone(zone).date()
        last = (
            max(self.wanted.period.start, self.wanted.period.end - datetime.resolution)
            .astimezone(zone)
            .date()
        )
        basis = f"-{self.wanted.basis}" if self.format.is_focus else ""
        return f"costs-{self.format}{basis}-{first}-{last}.{self.file_type}"


def write_file(order: Order, *, now: datetime) -> Generator[bytes, None, None]:
    """Yield the file in parts; in memory is never more than one of them. Raises django.db.DatabaseError."""
    wanted = _settle(order, now=now)
    if order.format.is_focus:
        version = _VERSIONS[order.format]
        names = list(focus.COLUMNS[version])
        read: Callable[[Line], Sequence[object]] = partial(focus.map_line, version=version)
        numbers, times, flags = focus.NUMBERS, focus.TIMES, frozenset[str]()
    else:
        names, read = list(columns.COLUMNS), columns.map_line
        numbers, times, flags = columns.NUMBERS, columns.TIMES, columns.FLAGS
    lines = stream_lines(wanted, now=now)
    rows = map(read, filter(focus.is_told, lines) if order.format.is_focus else lines)
    if order.file_type is FileType.PARQUET:
        return write_parquet(names, rows, numbers=numbers, times=times, flags=flags)
    return write_csv(names, rows, write_cell=format_focus_cell if order.format.is_focus else format_cell)


def _settle(order: Order, *, now: datetime) -> Wanted:
    """Return what is wanted with what the format itself decides.

    FOCUS has no parts of seconds, and the hour that runs would be told anew in each file: only hours that are over.
    """
    if order.format is Format.INTERVALS:
        return replace(order.wanted, basis=Basis.ESTIMATE, grain=Grain.INTERVAL, with_corrections=False)
    if order.format is Format.DAYS:
        return replace(order.wanted, basis=Basis.ESTIMATE, grain=Grain.DAY, with_corrections=False)
    grain = Grain.HOUR if order.wanted.grain is Grain.INTERVAL else order.wanted.grain
    period = order.wanted.period
    end = max(period.start, min(period.end, now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)))
    return replace(
        order.wanted, period=Period(period.start, end), grain=grain, with_corrections=True, zone=UTC
    )
