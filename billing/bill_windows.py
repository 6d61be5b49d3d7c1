"""Windows of the bill as they are stored: checked, in one order, exact to twelve decimals. Pure.

A line that cannot be read costs itself, a window that cannot be read costs itself; both are returned to be kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final

import orjson
from pydantic import ValidationError

from dashboard.together_api import payloads

#: Longest window of each granularity; a window of another length is not what was asked for.
WIDTHS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_STEP: Final = Decimal("1e-12")  # the columns of BilledLine
_LIMIT: Final = Decimal("1e27")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a window; amounts in USD, quantity in the product's own unit, None: not told."""

    product_name: str
    quantity: Decimal | None
    unit_price: Decimal | None
    cost: Decimal
    credit: str
    attributes: dict[str, str]
    dimensions: dict[str, str]

    @property
    def project_id(self) -> str:
        return self.attributes.get("project_id", "")


@dataclass(frozen=True, slots=True)
class Window:
    """The lines of `[start, end)`, in an order that depends on nothing but themselves."""

    start: datetime
    end: datetime
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class WindowsRead:
    """What a page holds: windows by start, oldest first, and what could not be read of it."""

    windows: tuple[Window, ...]
    malformed: tuple[payloads.MalformedItem, ...]
    # Starts of windows that are there and could not be read.
    unread: frozenset[datetime] = frozenset()


def read_windows(entries: Iterable[Any], *, granularity: str) -> WindowsRead:
    """Return the windows of a page; of two with the same start the later one holds."""
    found: dict[datetime, Window] = {}
    malformed: list[payloads.MalformedItem] = []
    unread: set[datetime] = set()
    for entry in entries:
        identity = entry.get("start_time") if isinstance(entry, dict) else None
        name = identity if isinstance(identity, str) else None
        try:
            window, bad = _read_window(entry, granularity=granularity)
        except (ValidationError, ValueError) as error:
            malformed.append(payloads.MalformedItem(raw=entry, error=_describe(error), id=name))
            unread |= _read_start(name)
            continue
        found[window.start] = window
        malformed += bad
    return WindowsRead(tuple(found[start] for start in sorted(found)), tuple(malformed), frozenset(unread))


def _read_start(text: str | None) -> set[datetime]:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return set()
    return {at.astimezone(UTC)} if at.tzinfo else set()


def _read_window(entry: Any, *, granularity: str) -> tuple[Window, list[payloads.MalformedItem]]:
    """Return the window and its unreadable lines. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")
    raw_lines = entry.get("line_items", entry.get("lineItems"))
    head = payloads.UsageWindow.parse({**entry, "line_items": [], "lineItems": []})
    if head.start_time is None or head.end_time is None:
        raise ValueError("a window without start or end")
    if head.end_time - head.start_time != WIDTHS[granularity]:
        raise ValueError(f"a window of {head.end_time - head.start_time} in a bill by the {granularity}")
    if raw_lines is not None and not isinstance(raw_lines, list):
        raise ValueError("line_items is no list")
    lines: list[Line] = []
    malformed: list[payloads.MalformedItem] = []
    for raw in raw_lines or []:
        try:
            lines.append(_read_line(raw))
        except (ValidationError, ValueError) as error:
            kept = {"start_time": head.start_time.isoformat(), "line": raw}
            malformed.append(
                payloads.MalformedItem(raw=kept, error=_describe(error), id=head.start_time.isoformat())
            )
    return Window(head.start_time, head.end_time, order_lines(lines)), malformed


def _read_line(raw: Any) -> Line:
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")
    line = payloads.UsageLine.model_validate(raw)
    if line.cost is None:
        raise ValueError("a line without cost")
    return Line(
        product_name=line.product_name,
        quantity=_fit(line.quantity),
        unit_price=_fit(line.unit_price),
        cost=_fit_cost(line.cost),
        credit=line.applied_credit.type if line.applied_credit else "",
        attributes=dict(line.attributes),
        dimensions=dict(line.pricing_dimensions),
    )


def _fit_cost(value: Decimal) -> Decimal:
    fitted = _fit(value)
    if fitted is None or fitted != value:
        raise ValueError(f"a cost of {value} cannot be kept exactly")
    return fitted


def _fit(value: Decimal | None) -> Decimal | None:
    """Return the value at twelve decimals. Raises ValueError for what no column holds."""
    if value is None:
        return None
    if not value.is_finite() or abs(value) >= _LIMIT:
        raise ValueError(f"{value} is no amount")
    with localcontext(prec=60):
        try:
            return value.quantize(_STEP)
        except InvalidOperation as error:
            raise ValueError(f"{value} is no amount") from error


def order_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines in one order whatever order they came in: the provider promises none."""
    return tuple(sorted(lines, key=sort_key))


def sort_key(line: Line) -> tuple[str, ...]:
    """Return what lines are ordered and compared by: everything in them, as text."""
    return (
        _dump(line.attributes),
        _dump(line.dimensions),
        line.product_name,
        line.credit,
        *(
            "" if value is None else format(value, "f")
            for value in (line.unit_price, line.quantity, line.cost)
        ),
    )


def contents(lines: Sequence[Line]) -> tuple[tuple[str, ...], ...]:
    """Return what makes two windows the same."""
    return tuple(sort_key(line) for line in lines)


def _dump(table: dict[str, str]) -> str:
    return orjson.dumps(table, option=orjson.OPT_SORT_KEYS).decode()


def _describe(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:3]
        )
    return str(error)
