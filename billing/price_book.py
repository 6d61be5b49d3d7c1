"""Which price held when: finance's entries first, else what catalogue, bill or estimate told, less the discount. Pure.

Prices are nano-dollars per unit and hour, of token SKUs per million tokens. A price that nobody knows is None.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from billing.skus import unify_sku

EVERY_OTHER = "*"
UNKNOWN = "Price unknown: no catalogue, bill or entry tells it."


class Origin(StrEnum):
    """Who told a price."""

    FINANCE = "finance"
    CATALOGUE = "catalogue"
    BILL = "bill"
    ESTIMATE = "estimate"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """A price as somebody told it, over `[start, end)`; None = for ever on that side.

    `note`: finance's source, the billed hour, the estimate. What comes from the bill is what was paid: no discount
    comes off it any more. `is_alias`: another name of what has a record of its own, not listed.
    """

    sku: str
    nano: int
    start: datetime | None
    end: datetime | None
    origin: Origin
    note: str = ""
    is_alias: bool = False


@dataclass(frozen=True, slots=True)
class DiscountRecord:
    """Per cent off the list price of a SKU over `[start, end)`; EVERY_OTHER = of each SKU without one of its own."""

    sku: str
    percent: Decimal
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class PriceStep:
    """One price over `[start, end)`; None = open. `nano` is list less discount; None = unknown.

    `source` is one sentence. `is_estimated`: the first price ever seen stands for the time before that.
    """

    start: datetime | None
    end: datetime | None
    list_nano: int | None
    nano: int | None
    source: str
    origin: Origin = Origin.UNKNOWN
    percent: Decimal | None = None
    is_estimated: bool = False


@dataclass(slots=True)
class _Known:
    """What is known of one SKU. Of records that overlap the first holds."""

    entries: list[PriceRecord] = field(default_factory=list)
    told: list[PriceRecord] = field(default_factory=list)
    discounts: list[DiscountRecord] = field(default_factory=list)


class PriceBook:
    """Prices of any number of SKUs; of one that it does not hold, the price is unknown."""

    def __init__(self, records: Iterable[PriceRecord] = (), discounts: Iterable[DiscountRecord] = ()) -> None:
        """Take what is known; of records of one SKU and rank that overlap, the first given holds."""
        self._known: dict[str, _Known] = {}
        self._names: dict[str, str] = {}
        self._general: list[DiscountRecord] = []
        self._timelines: dict[str, list[PriceStep]] = {}
        for record in records:
            if not record.is_alias:
                self._names.setdefault(unify_sku(record.sku), record.sku)
            known = self._known.setdefault(unify_sku(record.sku), _Known())
            (known.entries if record.origin is Origin.FINANCE else known.told).append(record)
        for discount in discounts:
            if discount.sku == EVERY_OTHER:
                self._general.append(discount)
            else:
                self._names.setdefault(unify_sku(discount.sku), discount.sku)
                self._known.setdefault(unify_sku(discount.sku), _Known()).discounts.append(discount)

    def skus(self) -> list[str]:
        """Return every SKU that somebody told a price or a discount of, as first spelled."""
        return list(self._names.values())

    def general_percent(self, instant: datetime) -> str:
        """Return the per cent off that holds for every SKU without a discount of its own, empty without one."""
        found = next((one for one in self._general if _covers(one, instant)), None)
        return f"{found.percent.normalize():f}" if found is not None else ""

    def steps(self, sku: str, *, start: datetime, end: datetime) -> list[PriceStep]:
        """Return the prices of `[start, end)` in order and without a hole; nothing for an empty period."""
        if end <= start:
            return []
        timeline = self.timeline(sku)
        starts = [step.start for step in timeline[1:] if step.start is not None]
        first = bisect_right(starts, start)
        found = []
        for step in timeline[first:]:
            if step.start is not None and step.start >= end:
                break
            begin = start if step.start is None else max(start, step.start)
            until = end if step.end is None else min(end, step.end)
            found.append(replace(step, start=begin, end=until))
        return found

    def at(self, sku: str, instant: datetime) -> PriceStep:
        """Return the whole step that holds at an instant."""
        timeline = self.timeline(sku)
        starts = [step.start for step in timeline[1:] if step.start is not None]
        return timeline[bisect_right(starts, instant)]

    def timeline(self, sku: str) -> list[PriceStep]:
        """Return all steps of a SKU, the first open to the past and the last to the future."""
        key = unify_sku(sku)
        if key not in self._timelines:
            self._timelines[key] = _build(self._known.get(key, _Known()), self._general)
        return self._timelines[key]


def _build(known: _Known, general: Sequence[DiscountRecord]) -> list[PriceStep]:
    ranges: list[PriceRecord | DiscountRecord] = [*known.entries, *known.told, *known.discounts, *general]
    cuts = sorted({at for one in ranges for at in (one.start, one.end) if at is not None})
    timeline: list[PriceStep] = []
    for start, end in zip([None, *cuts], [*cuts, None], strict=True):
        step = _price(known, general, start, end)
        last = timeline[-1] if timeline else None
        if last is not None and replace(last, start=None, end=None) == replace(step, start=None, end=None):
            timeline[-1] = replace(last, end=end)
        else:
            timeline.append(step)
    return timeline


def _price(
    known: _Known, general: Sequence[DiscountRecord], start: datetime | None, end: datetime | None
) -> PriceStep:
    """Return the price of a stretch in which nothing changes."""
    record, is_estimated = _find_record(known, start)
    if record is None:
        return PriceStep(start, end, None, None, UNKNOWN)
    percent = None
    if record.origin is not Origin.BILL:
        percent = _find_percent(known, general, start)
    nano = record.nano if percent is None else take_off(record.nano, percent)
    source = _tell_source(record, is_estimated=is_estimated)
    if percent:
        source += f" Less {percent.normalize():f}% discount."
    return PriceStep(start, end, record.nano, nano, source, record.origin, percent, is_estimated)


def _find_record(known: _Known, at: datetime | None) -> tuple[PriceRecord | None, bool]:
    for record in (*known.entries, *known.told):
        if _covers(record, at):
            return record, False
    starts = [record for record in known.told if record.start is not None]
    first = min(starts, key=lambda record: record.start, default=None)  # type: ignore[arg-type,return-value]
    if first is not None and first.start is not None and (at is None or at < first.start):
        return first, True
    return None, False


def _find_percent(known: _Known, general: Sequence[DiscountRecord], at: datetime | None) -> Decimal | None:
    for discount in (*known.discounts, *general):
        if _covers(discount, at):
            return discount.percent
    return None


def _covers(one: PriceRecord | DiscountRecord, at: datetime | None) -> bool:
    """Tell whether a range holds at an instant; None = before everything."""
    if at is None:
        return one.start is None
    return (one.start is None or one.start <= at) and (one.end is None or at < one.end)


def take_off(nano: int, percent: Decimal) -> int:
    """Return a price less a discount, to the nano-dollar, half to even."""
    return int((nano * (100 - percent) / 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _tell_source(record: PriceRecord, *, is_estimated: bool) -> str:
    if record.origin is Origin.FINANCE:
        return f"Entered by finance: {record.note.rstrip('.')}." if record.note else "Entered by finance."
    told = {
        Origin.CATALOGUE: "the catalogue price",
        Origin.BILL: f"the billed price ({record.note})",
        Origin.ESTIMATE: f"the estimate of the provider ({record.note})",
    }[record.origin]
    if record.start is None:
        return f"{told[0].upper()}{told[1:]}."
    seen = f"{record.start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if is_estimated:
        return f"Estimated: {told}, first seen {seen}, stands for the time before."
    return f"{told[0].upper()}{told[1:]}, seen since {seen}."
