"""The one model that every export is written from: what a meter cost in a charge period, exactly. Pure."""

import enum
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

from billing.amounts import TICKS_PER_NANO

# A dollar in ticks (nano-dollars per hour x microseconds).
TICKS_PER_DOLLAR = Decimal(TICKS_PER_NANO) * 1_000_000_000
NANO_PER_DOLLAR = Decimal(1_000_000_000)
MICROSECONDS_PER_HOUR = Decimal(3_600_000_000)
# Places of amounts and quantities in files. An amount of time x rate has no end as a decimal number; a row is off by at
# most half of 1e-12 dollars, and the whole ticks stand beside it.
PLACES = Decimal("1e-12")


class Grain(enum.StrEnum):
    """What one line covers. Values stand in addresses and stored schedules."""

    INTERVAL = "interval"
    HOUR = "hour"
    DAY = "day"


class Basis(enum.StrEnum):
    """Whose figures these are; never mixed in one file."""

    ESTIMATE = "estimate"
    BILLED = "billed"


class Line(NamedTuple):
    """One line; a named tuple because a year holds millions of them and the database driver fills it directly.

    Times are UTC, `[start, end)`. `ticks_low` = `ticks_high` where the provider tells what ran. `unit_us_low` is units
    x microseconds that are charged. `list_nano` and `nano` are per unit and hour (of a lump: per charge), None =
    unknown. `unpriced_us` billed at an unknown price, of `unknown_us` nobody knows whether it billed. `tags` is a flat
    JSON object. `told_at` is when it was posted, on corrections only. `quantity`, `unit_price` and `product` are as the
    bill tells them, on billed lines only.
    """

    start: datetime
    end: datetime
    account_id: str
    account_name: str
    kind: str
    remote_id: str
    name: str
    project_id: str
    project_name: str
    endpoint: str
    model: str
    hardware: str
    region: str
    gpu_count: int | None
    team: str
    owner: str
    cost_centre: str
    tags: str
    sku: str
    condition: str
    use: str
    list_nano: int | None
    nano: int | None
    lump_count: int
    unit_us_low: Decimal
    unit_us_high: Decimal
    ticks_low: Decimal
    ticks_high: Decimal
    list_ticks: Decimal
    unpriced_us: Decimal
    unknown_us: Decimal
    told_at: datetime | None
    reason: str
    # Intervals only.
    state: str
    source: str
    evidence: str
    price_source: str
    is_settled: bool | None
    # Billed lines only.
    quantity: Decimal | None
    unit_price: Decimal | None
    product: str
    credit: str


def to_dollars(ticks: Decimal) -> Decimal:
    """Return ticks as dollars, at 12 places."""
    return _divide(ticks, TICKS_PER_DOLLAR)


def to_hours(microseconds: Decimal) -> Decimal:
    """Return microseconds as hours, at 12 places."""
    return _divide(microseconds, MICROSECONDS_PER_HOUR)


@lru_cache(maxsize=4096)
def price_dollars(nano: int | None) -> Decimal | None:
    """Return nano-dollars as dollars, exactly; None stays None."""
    return None if nano is None else nano / NANO_PER_DOLLAR


# Its own, made once: whoever calls may have set another precision, and a row divides seven times.
_EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN)


def _divide(value: Decimal, by: Decimal) -> Decimal:
    return _EXACT.quantize(_EXACT.divide(value, by), PLACES) if value else Decimal(0)


def to_text(number: Decimal | None) -> str:
    """Return a number without exponent and without needless zeros; empty for None."""
    if number is None:
        return ""
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
