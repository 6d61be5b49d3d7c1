"""What metering tests share: a clock's zero, a price book of one SKU, edges by minutes."""

from datetime import UTC, datetime, timedelta

from billing.metering_edges import Edge
from billing.price_book import Origin, PriceBook, PriceRecord

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SKU = "v2/1xnvidia-h100-80gb"
NANO = 5_490_000_000
BOOK = PriceBook([PriceRecord(SKU, NANO, None, None, Origin.CATALOGUE)])
TICKS_PER_MINUTE = NANO * 60_000_000


def at(minutes: float) -> datetime:
    """Return the instant that many minutes after START."""
    return START + timedelta(minutes=minutes)


def event(minutes: float, state: str, ready: int) -> Edge:
    return Edge(at(minutes), state, ready, ready, sku=SKU, name=f"evt_{minutes}")


def poll(minutes: float, state: str, ready: int, *, seen_before: float | None = None) -> Edge:
    """Return what a look saw first; the look before was half a minute earlier unless told."""
    before = minutes - 0.5 if seen_before is None else seen_before
    return Edge(at(minutes), state, ready, ready, "poll", at(before), sku=SKU)
