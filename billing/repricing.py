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
    groups = unpriced.values_list("meter_id", "sku").annotate(first=Min("start"), last=Max("end"))
    for meter_id, sku, first, last in groups.order_by("meter_id", "sku"):
        for step in book.steps(sku, start=first, end=last):
            rows = unpriced.filter(meter=meter_id, sku=sku, end__gt=step.start, start__lt=step.end)
            start = _find_start(rows) if step.nano is not None else None
            if start is not None:
                found[meter_id] = min(start, found.get(meter_id, start))
                break
    return found


def _find_start(rows: "QuerySet[MeteredInterval]") -> datetime | None:
    start: datetime | None = rows.aggregate(start=Min("start"))["start"]
    return start
