"""What one unit costs per hour and how that is known: no API tells these prices (contract 14)."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.core import money
from dashboard.mirror.models import Resource, ResourceKind, UnitPrice

_UNITS = {
    ResourceKind.CLUSTER: "GPU",
    ResourceKind.VOLUME: "TiB",
    ResourceKind.CONTAINER: "GPU",
    ResourceKind.RL_RESOURCE: "set",
}
# Of UnitPrice: what volumes are priced by.
VOLUME_SKU = "volume"


@dataclass(frozen=True, slots=True)
class UnitRate:
    """The price of one unit, in nano-dollars per hour, and the sentence that says where it comes from."""

    nano_usd_per_hour: int
    unit: str
    source: str
    is_billed: bool
    evidence: str
    valid_from: datetime

    @property
    def nano_usd_per_month(self) -> int:
        """Return the price of one unit over 730 h."""
        return self.nano_usd_per_hour * money.HOURS_PER_MONTH


def load_rate(connection_id: int, sku: str, *, kind: ResourceKind) -> UnitRate | None:
    """Return the price that holds now, None when nothing tells it. One query."""
    row = UnitPrice.objects.filter(connection_id=connection_id, sku=sku, valid_until=None).first()
    if row is None:
        return None
    return UnitRate(
        nano_usd_per_hour=row.nano_usd_per_hour,
        unit=_UNITS.get(kind, "unit"),
        source=str(row.get_source_display()),
        is_billed=row.source == UnitPrice.PriceSource.BILL,
        evidence=row.evidence,
        valid_from=row.valid_from,
    )


def load_rate_of(resource: Resource) -> UnitRate | None:
    """Return what one unit of this resource costs per hour, None when nothing tells it. One query."""
    return load_rate(resource.connection_id, resource.sku, kind=ResourceKind(resource.kind))
