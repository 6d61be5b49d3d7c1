"""Which prices behind a budget's cost may be wrong: one typing error must not stop an organisation."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from billing import budget_rules
from billing.amounts import to_nano
from billing.budget_rules import PriceDoubt
from billing.costs import CostFilters, CostQuery, GroupBy, load_costs, sum_costs
from billing.models import PriceEntry
from billing.price_book import Origin, PriceBook, PriceStep
from billing.prices import load_price_book
from billing.skus import describe_sku, unify_sku
from dashboard.core import money
from dashboard.core.periods import Period


def list_doubts(
    filters: CostFilters, gone: Period, *, confirmed_at: datetime | None, now: datetime
) -> list[PriceDoubt]:
    """Return what of a scope's cost rests on prices that rose steeply, or became known, lately.

    Those that somebody confirmed after they began are left out.
    """
    if gone.is_empty:
        return []
    by_sku = load_costs(CostQuery(period=gone, zone=UTC, group_by=GroupBy.SKU, filters=filters), now=now)
    skus = [row.key for row in by_sku.rows if row.key and row.total.low]
    if not skus:
        return []
    book = load_price_book(skus)
    entries = _load_entries(since=gone.start - budget_rules.LOOK_BACK)
    return [
        doubt
        for sku in skus
        for period, reason in _find_suspicious(
            sku, book, entries.get(unify_sku(sku), []), gone, now=now, confirmed_at=confirmed_at
        )
        if (doubt := _weigh(sku, period, reason, filters=filters, now=now)).nano_usd
    ]


def _load_entries(*, since: datetime) -> dict[str, list[PriceEntry]]:
    """Return what finance entered since then, by SKU in one spelling. One query."""
    found: dict[str, list[PriceEntry]] = {}
    for entry in PriceEntry.objects.filter(entered_at__gte=since):
        found.setdefault(unify_sku(entry.sku), []).append(entry)
    return found


def _find_suspicious(
    sku: str,
    book: PriceBook,
    entries: Sequence[PriceEntry],
    gone: Period,
    *,
    now: datetime,
    confirmed_at: datetime | None,
) -> Iterator[tuple[Period, str]]:
    """Yield the parts of the period whose price may be wrong, with the reason in words."""
    before: int | None = None
    for step in book.steps(sku, start=gone.start - budget_rules.LOOK_BACK, end=now):
        if step.nano is None or step.start is None or step.end is None:
            continue
        entry = _entry_of(step, entries)
        known_at = step.start if entry is None else max(step.start, entry.entered_at)
        part = Period(step.start, step.end).clip(gone)
        reason = _doubt_price(sku, step.nano, before, is_entered=entry is not None)
        if reason and part is not None and (confirmed_at is None or known_at > confirmed_at):
            yield part, reason
        # A price that fell back is compared with the lower one.
        before = step.nano if before is None else min(before, step.nano)


def _entry_of(step: PriceStep, entries: Sequence[PriceEntry]) -> PriceEntry | None:
    """Return the recent entry of finance that the step's price is; None for any other price."""
    if step.origin is not Origin.FINANCE or step.start is None:
        return None
    for entry in entries:
        if entry.valid_from <= step.start and (entry.valid_until is None or step.start < entry.valid_until):
            return entry
    return None


def _weigh(sku: str, period: Period, reason: str, *, filters: CostFilters, now: datetime) -> PriceDoubt:
    cost = sum_costs(period, now=now, filters=replace(filters, skus=frozenset({sku})))
    return PriceDoubt(to_nano(cost.low), reason)


def _doubt_price(sku: str, nano: int, before: int | None, *, is_entered: bool) -> str:
    """Return why a price may be wrong, in words; empty when it need not be. `is_entered`: by finance, lately."""
    price = money.format_dollars(nano)
    if before is None:
        return f"{describe_sku(sku)} had no known price before {price} was entered" if is_entered else ""
    if Decimal(nano) >= before * budget_rules.SUSPICIOUS_FACTOR:
        return f"{describe_sku(sku)} rose from {money.format_dollars(before)} to {price}"
    return ""
