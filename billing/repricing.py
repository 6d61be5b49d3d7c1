"""Find what was posted without a price and has one now: metering posts it again."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Max, Min, QuerySet

from billing.models import Condition, MeteredInterval
from billing.price_book import PriceBook


def load_newly_priced(meter_ids: Collection[int], *, book: PriceBook) -> dict[int, datetime]:
    """Return meter id -> start of its first posted interval whose price was unknown and is known now.

    From there on the meter has to be metered again, though nothing of the mirror changed. One query, and one for each
    SKU of a meter found.
    """
    unpriced = MeteredInterval.objects.filter(
        meter__in=list(meter_ids),
        is_settled=True,
        condition=Condition.BILLS,
        nano_usd_per_hour=None,
        lump_nano_usd=0,
    )
    found: dict[int, datetime] = {}
    groups = unpriced.values("meter_id", "sku").annotate(first=Min("start"), last=Max("end"))
    for group in groups.order_by("meter_id", "sku"):
        start = _find_priced(unpriced, group, book)
        if start is not None:
            meter_id = group["meter_id"]
            found[meter_id] = min(start, found.get(meter_id, start))
    return found


def _find_priced(
    unpriced: "QuerySet[MeteredInterval]", group: dict[str, datetime], book: PriceBook
) -> datetime | None:
    """Return the start of the first of a group's intervals that the book prices, in part at least."""
    for step in book.steps(str(group["sku"]), start=group["first"], end=group["last"]):
        if step.nano is None:
            continue
        rows = unpriced.filter(
            meter_id=group["meter_id"], sku=group["sku"], end__gt=step.start, start__lt=step.end
        )
        start: datetime | None = rows.aggregate(start=Min("start"))["start"]
        if start is not None:
            return start
    return None
