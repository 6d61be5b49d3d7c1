"""What is billed beside dedicated inference: each subject says what it charged in a window, in lines of this shape.

A subject registers one source: `world.charge_sources.append(source)`. The usage API and `/_admin/bill` ask all of
them. Prices and money are exact until they are printed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from simulator.clock import HOUR_MS

#: Shared storage is sold per TiB and month; a month has this many hours (365 days / 12 = 730).
HOURS_PER_MONTH: Final = 730


@dataclass(frozen=True)
class Line:
    """What one resource cost within `[start_ms, end_ms)`; a charge of one instant has both the same.

    `quantity` times `unit_price` (USD) is `cost_usd`. The first of `attributes` is the id of the resource.
    """

    start_ms: int
    end_ms: int
    product_name: str
    quantity: Fraction
    unit_price: Fraction
    cost_usd: Fraction
    pricing_dimensions: dict[str, Any]
    attributes: dict[str, Any]
    project_id: str  # its organisation pays
    name: str = ""  # of the resource, for people who read the bill
    places: int = field(default=9, repr=False)  # decimal places of the printed price; token prices need 12
    credit: str = "PREPAID"  # what paid it; empty = the line does not say

    @property
    def resource_id(self) -> str:
        return str(next(iter(self.attributes.values()), ""))


#: `source(start_ms, end_ms)` yields the lines of the window, cut at its ends. The window lies in the past: a source
#: brings its state up to the world's time first, and what it says of a window must never change afterwards. An
#: instant belongs to the window with `start_ms <= instant < end_ms`, so that windows add up.
Source = Callable[[int, int], Iterator[Line]]


def charge_lines(sources: Iterable[Source], *, start_ms: int, end_ms: int) -> Iterator[Line]:
    """Yield what all sources charged within `[start_ms, end_ms)`, free lines left out."""
    for source in sources:
        for line in source(start_ms, end_ms):
            if line.cost_usd:
                yield line


def unit_hours(unit_ms: int) -> Fraction:
    """Return unit-milliseconds (GPU-milliseconds, say) as unit-hours."""
    return Fraction(unit_ms, HOUR_MS)
