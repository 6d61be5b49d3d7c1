"""Prices as the pages print them: in the unit that people quote, with as many decimals as they have."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.price_book import Origin, PriceStep
from billing.skus import Quote, quote_of
from dashboard.core import money

SOURCES = {
    Origin.FINANCE: "Finance",
    Origin.CATALOGUE: "Catalogue",
    Origin.BILL: "Bill",
    Origin.ESTIMATE: "Estimate",
    Origin.UNKNOWN: "Unknown",
}
_CENT = 10_000_000


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One step of a price in words; empty `pays` = price unknown."""

    start: datetime | None
    end: datetime | None
    listed: str
    off: str
    pays: str
    source: str
    sentence: str
    is_estimated: bool = False
    is_now: bool = False


def format_price(nano: int, quote: Quote) -> str:
    """Return a price as quoted, without currency: cents, or four decimals where it has them."""
    total = nano * quote.factor
    # The price of an hour of what is quoted by the month is rounded: no decimals are made of that.
    is_even = quote.factor > 1 or total % _CENT == 0
    return money.format_amount(Decimal(total), places=2 if is_even else 4)


def describe_step(sku: str, step: PriceStep, *, now: datetime) -> PriceLine:
    """Return a step as a line of a table."""
    quote = quote_of(sku)
    is_over = step.end is not None and step.end <= now
    is_to_come = step.start is not None and step.start > now
    return PriceLine(
        start=step.start,
        end=step.end,
        listed="" if step.list_nano is None else format_price(step.list_nano, quote),
        off=f"{step.percent.normalize():f}%" if step.percent else "",
        pays="" if step.nano is None else format_price(step.nano, quote),
        source=SOURCES[step.origin],
        sentence=step.source,
        is_estimated=step.is_estimated,
        is_now=not (is_over or is_to_come),
    )
