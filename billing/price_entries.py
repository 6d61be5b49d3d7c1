"""Enter and end prices and discounts; sole writer of PriceEntry and Discount.

What is posted at a known price stays as it is: no entry may begin, and none may end, where it would change that.
Where the price was unknown an entry may begin in the past; metering then posts the corrections.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet, TextField, Value
from django.db.models.functions import Lower, Replace

from billing.models import Condition, Discount, MeteredInterval, PriceEntry
from billing.price_book import EVERY_OTHER
from billing.skus import Unit, unify_sku, unit_of
from dashboard.accounts import audit
from dashboard.core.locks import Lock, hold_until_commit

# No billing interval is longer (billing/models/ledger.py).
LONGEST_INTERVAL = timedelta(days=1)


class PriceRefusedError(Exception):
    """The entry would change what is posted, or collides with another; `earliest` = from when on it may hold."""

    retryable = False

    def __init__(self, sentence: str, *, earliest: datetime | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.earliest = earliest


@dataclass(frozen=True, slots=True)
class Validity:
    """What every entry says: of what, from when on, and why."""

    sku: str
    valid_from: datetime
    note: str


@transaction.atomic
def enter_price(validity: Validity, *, nano_usd: int, actor: audit.Actor) -> PriceEntry:
    """Write what a unit costs per hour (tokens: a million of them), until the next entry begins.

    Raises PriceRefusedError.
    """
    until = _make_room(PriceEntry.objects.all(), validity)
    is_tokens = unit_of(validity.sku) is Unit.MILLION_TOKENS
    entry = PriceEntry.objects.create(
        sku=validity.sku,
        unit=PriceEntry.Unit.MILLION_TOKENS if is_tokens else PriceEntry.Unit.HOUR,
        nano_usd=nano_usd,
        valid_from=validity.valid_from,
        valid_until=until,
        note=validity.note,
        entered_by=actor.user,
    )
    detail = _describe(entry) | {"unit": entry.unit, "nano_usd": nano_usd}
    audit.record("price.entered", actor=actor, target=entry, detail=detail)
    return entry


@transaction.atomic
def enter_discount(validity: Validity, *, percent: Decimal, actor: audit.Actor) -> Discount:
    """Write what comes off the list price of a SKU, or of every other, until the next one begins.

    Raises PriceRefusedError.
    """
    until = _make_room(Discount.objects.all(), validity)
    discount = Discount.objects.create(
        sku=validity.sku,
        percent=percent,
        valid_from=validity.valid_from,
        valid_until=until,
        note=validity.note,
        entered_by=actor.user,
    )
    detail = _describe(discount) | {"percent": str(percent)}
    audit.record("discount.entered", actor=actor, target=discount, detail=detail)
    return discount


@transaction.atomic
def end_entry(entry: PriceEntry | Discount, *, at: datetime, actor: audit.Actor) -> None:
    """Let an entry end at `at`; one that has not begun by then is withdrawn. Raises PriceRefusedError."""
    hold_until_commit(Lock.PRICES)
    rows: QuerySet[Any] = type(entry).objects.all()
    row = rows.filter(pk=entry.pk).first()
    if row is None or (row.valid_until is not None and row.valid_until <= at):
        raise PriceRefusedError("It has ended already.")
    _refuse_posted(row.sku, max(at, row.valid_from), row.valid_until)
    detail = _describe(row)
    subject = "price" if isinstance(row, PriceEntry) else "discount"
    if at <= row.valid_from:
        audit.record(f"{subject}.ended", actor=actor, target=row, detail=detail | {"withdrawn": True})
        row.delete()
        return
    rows.filter(pk=row.pk).update(valid_until=at)
    audit.record(f"{subject}.ended", actor=actor, target=row, detail=detail | {"ended_at": at.isoformat()})


def find_posted_until(sku: str, *, start: datetime, end: datetime | None) -> datetime | None:
    """Return until when something is posted at a known price of the SKU within the period; None = nothing is."""
    rows = _posted(sku, start)
    if end is not None:
        rows = rows.filter(start__lt=end)
    found: datetime | None = rows.aggregate(until=Max("end"))["until"]
    return found


def _posted(sku: str, since: datetime) -> "QuerySet[MeteredInterval]":
    rows = MeteredInterval.objects.filter(
        start__gt=since - LONGEST_INTERVAL,
        end__gt=since,
        is_settled=True,
        condition=Condition.BILLS,
        nano_usd_per_hour__isnull=False,
    )
    return rows.exclude(sku="") if sku == EVERY_OTHER else filter_sku(rows, sku)


def filter_sku(rows: "QuerySet[Any]", sku: str) -> "QuerySet[Any]":
    """Return the rows whose `sku` means the same, however it is spelled (skus.unify_sku)."""
    unified = unify_sku(sku)
    if not unified.startswith(("v1/", "v2/")):
        return rows.filter(sku=unified)
    spelled = Replace(Lower("sku"), Value("nvidia-"), Value(""), output_field=TextField())
    return rows.alias(_unified=spelled).filter(_unified=unified)


def _make_room(rows: "QuerySet[Any]", validity: Validity) -> datetime | None:
    """Close the entry that holds at the start; return where the next one begins, None = there is none."""
    hold_until_commit(Lock.PRICES)
    same = filter_sku(rows, validity.sku)
    start = validity.valid_from
    if same.filter(valid_from=start).exists():
        raise PriceRefusedError("One from that very moment on is entered already: end that first.")
    later: datetime | None = (
        same.filter(valid_from__gt=start).order_by("valid_from").values_list("valid_from", flat=True).first()
    )
    _refuse_posted(validity.sku, start, later)
    same.filter(Q(valid_until=None) | Q(valid_until__gt=start), valid_from__lt=start).update(
        valid_until=start
    )
    return later


def _refuse_posted(sku: str, start: datetime, end: datetime | None) -> None:
    until = find_posted_until(sku, start=start, end=end)
    if until is not None:
        raise PriceRefusedError(
            "What ran until then is posted at a known price, and stays as it is.", earliest=until
        )


def _describe(entry: PriceEntry | Discount) -> dict[str, Any]:
    return {
        "sku": entry.sku,
        "valid_from": entry.valid_from.isoformat(),
        "valid_until": entry.valid_until.isoformat() if entry.valid_until else None,
        "note": entry.note,
    }
