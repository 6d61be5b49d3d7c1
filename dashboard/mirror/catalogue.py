"""Hardware, its prices, and the names of models, as the mirror holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import OuterRef, Subquery

from dashboard.accounts.models import Connection
from dashboard.mirror.models import Generation, Hardware, HardwarePrice, ModelName
from dashboard.mirror.readings import find_price_key


@dataclass(frozen=True, slots=True)
class Offer:
    """What one replica costs now (nano-dollars per hour) and holds; None = unknown."""

    nano_usd_per_hour: int | None
    gpu_count: int | None


UNKNOWN_OFFER = Offer(nano_usd_per_hour=None, gpu_count=None)


@dataclass(frozen=True, slots=True)
class PriceList:
    """The present offers of a connection, by generation and by name or id of the hardware."""

    offers: Mapping[str, Mapping[str, Offer]] = field(default_factory=dict)

    def find(self, generation: str, hardware: str) -> Offer:
        """Return the offer that a deployment's `hardware` means; an unknown one has no price, never a zero."""
        offers = self.offers.get(generation, {})
        key = find_price_key(hardware, offered=frozenset(offers))
        return UNKNOWN_OFFER if key is None else offers[key]


def load_prices(connection: Connection) -> PriceList:
    """Return the present price list. One query."""
    offers: dict[str, dict[str, Offer]] = {generation: {} for generation in Generation.values}
    rows = Hardware.objects.filter(connection=connection, absent_since=None).annotate(
        price=Subquery(
            HardwarePrice.objects.filter(hardware=OuterRef("pk"), valid_until=None).values(
                "nano_usd_per_hour"
            )
        )
    )
    for generation, remote_id, name, gpu_count, price in rows.values_list(
        "generation", "remote_id", "name", "gpu_count", "price"
    ):
        offer = Offer(nano_usd_per_hour=price, gpu_count=gpu_count)
        offers[generation].setdefault(remote_id, offer)
        offers[generation][name] = offer
    return PriceList(offers)


def load_model_names(connection: Connection) -> dict[str, str]:
    """Return model id -> name. One query."""
    return dict(ModelName.objects.filter(connection=connection).values_list("remote_id", "name"))
