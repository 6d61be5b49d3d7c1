"""The plain table: one line as people read it, in words of the glossary. Pure."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from billing.exports.lines import Line, price_dollars, to_dollars, to_hours

Value = str | Decimal | datetime | bool | None

COLUMNS: dict[str, Callable[[Line], Value]] = {
    "start": lambda line: line.start,
    "end": lambda line: line.end,
    "kind": lambda line: line.kind,
    "resource": lambda line: line.name,
    "resource_id": lambda line: line.remote_id,
    "endpoint": lambda line: line.endpoint,
    "model": lambda line: line.model,
    "hardware": lambda line: line.hardware,
    "region": lambda line: line.region,
    "project": lambda line: line.project_name,
    "project_id": lambda line: line.project_id,
    "organisation_id": lambda line: line.account_id,
    "team": lambda line: line.team,
    "owner": lambda line: line.owner,
    "cost_centre": lambda line: line.cost_centre,
    "tags": lambda line: "" if line.tags == "{}" else line.tags,
    "sku": lambda line: line.sku,
    "condition": lambda line: line.condition,
    "state": lambda line: line.state,
    "use": lambda line: line.use,
    "unit_hours": lambda line: to_hours(line.unit_us_low),
    "unit_hours_at_most": lambda line: to_hours(line.unit_us_high),
    "list_price_usd": lambda line: price_dollars(line.list_nano),
    "price_usd": lambda line: price_dollars(line.nano),
    "cost_usd": lambda line: to_dollars(line.ticks_low),
    "cost_usd_at_most": lambda line: to_dollars(line.ticks_high),
    "cost_ticks": lambda line: line.ticks_low,
    "price_unknown_hours": lambda line: to_hours(line.unpriced_us),
    "running_unknown_hours": lambda line: to_hours(line.unknown_us),
    "is_settled": lambda line: line.is_settled,
    "source": lambda line: line.source,
    "price_source": lambda line: line.price_source,
    "evidence": lambda line: line.evidence,
}
NUMBERS = frozenset(name for name in COLUMNS if name.endswith(("_hours", "_usd", "_ticks", "_at_most")))
TIMES = frozenset({"start", "end"})
FLAGS = frozenset({"is_settled"})
_READERS = tuple(COLUMNS.values())


def map_line(line: Line) -> list[Value]:
    """Return the line's values in the order of COLUMNS."""
    return [read(line) for read in _READERS]
