"""Everything that has a price or bills, with what it costs now and what uses it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Sum

from billing.costs import visible_meters
from billing.models import Meter, MeterKind
from billing.price_book import EVERY_OTHER, Origin, PriceBook, PriceStep
from billing.prices import load_price_book
from billing.skus import Direction, cluster_sku, deployment_sku, token_sku, unify_sku
from dashboard.accounts.models import User
from dashboard.mirror.models import ResourceKind
from dashboard.mirror.querysets import present, visible_deployments
from dashboard.mirror.resource_querysets import present_resources, visible_resources


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person sees of the use of a SKU: things that are there, and the units of them that bill now."""

    things: int = 0
    units_low: int = 0
    units_high: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.things + other.things, self.units_low + other.units_low, self.units_high + other.units_high
        )


@dataclass(frozen=True, slots=True)
class PricedSku:
    """A SKU with the price that holds now and its use."""

    sku: str
    step: PriceStep
    usage: Usage

    @property
    def is_used(self) -> bool:
        """True when something that is there uses it."""
        return self.usage.things > 0

    @property
    def is_unknown(self) -> bool:
        """True when nobody knows its price."""
        return self.step.origin is Origin.UNKNOWN

    @property
    def burn(self) -> tuple[int, int] | None:
        """Return nano-dollars per hour now, from the least to the most; None when the price is unknown."""
        nano = self.step.nano
        return None if nano is None else (self.usage.units_low * nano, self.usage.units_high * nano)


def load_price_list(user: User, *, now: datetime) -> tuple[list[PricedSku], PriceBook]:
    """Return every SKU that is priced or used, and the book of all prices. Ten queries.

    Prices are everybody's; uses are those of what the person may see.
    """
    book = load_price_book()
    names: dict[str, str] = {}
    uses: dict[str, Usage] = {}
    for sku, usage in _load_uses(user):
        key = unify_sku(sku)
        names.setdefault(key, sku)
        uses[key] = uses.get(key, Usage()) + usage
    for sku in book.skus():
        # The catalogue's spelling goes before that of what runs.
        names[unify_sku(sku)] = sku
    return [
        PricedSku(sku, book.at(sku, now), uses.get(key, Usage())) for key, sku in sorted(names.items())
    ], book


def load_priced_sku(sku: str, *, user: User, now: datetime) -> tuple[PricedSku, PriceBook]:
    """Return one SKU with its present price and use, and the book of its prices. Ten queries."""
    book = load_price_book([sku])
    usage = Usage()
    for used, one in _load_uses(user):
        if unify_sku(used) == unify_sku(sku):
            usage += one
    return PricedSku(sku, book.at(sku, now), usage), book


def is_known(priced: PricedSku, book: PriceBook) -> bool:
    """Tell whether a SKU is used, priced or discounted, or stands for all others."""
    return priced.is_used or priced.sku == EVERY_OTHER or bool(book.skus())


def _load_uses(user: User) -> Iterable[tuple[str, Usage]]:
    deployments = present(visible_deployments(user)).exclude(hardware="")
    for generation, hardware, things, low, high in (
        deployments.values_list("generation", "hardware")
        .annotate(Count("pk"), Sum("billable_low"), Sum("billable_high"))
        .order_by()
    ):
        yield deployment_sku(generation, hardware), Usage(things, low or 0, high or 0)
    resources = present_resources(visible_resources(user)).exclude(sku="").order_by()
    for sku, things, units in resources.values_list("sku").annotate(Count("pk"), Sum("units")):
        yield sku, Usage(things, units or 0, units or 0)
    prepaid = resources.filter(kind=ResourceKind.CLUSTER, payload__num_reserved_gpus__gt=0)
    for gpu, things in prepaid.values_list(F("hardware")).annotate(Count("pk")):
        yield cluster_sku(gpu, is_reserved=True), Usage(things)
    serverless = (
        Meter.objects.filter(visible_meters(user), kind=MeterKind.SERVERLESS).exclude(model="").order_by()
    )
    for model, things in serverless.values_list("model").annotate(Count("pk")):
        for direction in (Direction.INPUT, Direction.OUTPUT):
            yield token_sku(model, direction), Usage(things)
