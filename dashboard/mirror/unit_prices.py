"""What a unit costs per hour, derived from the provider's own bill. Pure.

No API tells prices of clusters, volumes and containers (contract 14). What holds GPUs is billed in GPU-hours
(contract 10), so its unit price is the price of a GPU and hour, unless the quantity says that the unit is another one.
The unit of storage is not documented: there the cost of a whole hour is divided by units that did not change in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from dashboard.together_api import payloads

HOUR = timedelta(hours=1)
NANO_PER_USD = 1_000_000_000
# Of what was never seen to change, so many hours of equal cost stand for the history before our first sight.
EQUAL_HOURS = 3
# Kinds that the bill counts in GPU-hours.
GPU_KINDS = frozenset({"cluster", "container"})
# Attributes of a usage line that name a resource (contract 10), by the kind of the resource.
ATTRIBUTES: Mapping[str, str] = {
    "cluster": "cluster_id",
    "volume": "volume_id",
    "container": "deployment_id",
}


@dataclass(frozen=True, slots=True)
class Billable:
    """A resource that bills now: its units, the most it can have had, when it was first seen and last seen to change.

    `changed_at` None: it is as it was at our first sight.
    """

    kind: str
    remote_id: str
    sku: str
    units: int
    most_units: int
    first_seen_at: datetime
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DerivedPrice:
    """Nano-dollars per unit and hour, and the sentence that says where it comes from."""

    sku: str
    nano_usd_per_hour: int
    evidence: str


def derive_prices(
    windows: Iterable[payloads.UsageWindow], billables: Iterable[Billable]
) -> dict[str, DerivedPrice]:
    """Return sku -> price for those that the newest whole hours of the bill tell."""
    by_start = {
        one.start_time: one
        for one in windows
        if one.start_time and one.end_time and one.end_time - one.start_time == HOUR
    }
    hours = [by_start[start] for start in sorted(by_start, reverse=True)]
    found: dict[str, DerivedPrice] = {}
    for billable in billables:
        if billable.units <= 0 or not billable.sku or billable.sku in found:
            continue
        price = _derive_one(hours, billable)
        if price is not None:
            found[billable.sku] = price
    return found


def _derive_one(hours: Sequence[payloads.UsageWindow], billable: Billable) -> DerivedPrice | None:
    billed = [(hour, line) for hour in hours if (line := _find_line(hour, billable)) is not None]
    for place, (hour, line) in enumerate(billed):
        per_hour = _read_line(line, billable, hour, [one for _, one in billed[place : place + EQUAL_HOURS]])
        if per_hour is not None and hour.start_time is not None:
            nano = int((per_hour * NANO_PER_USD).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
            evidence = f"billed hour of {hour.start_time:%Y-%m-%d %H:00} UTC, {line.product_name}"
            return DerivedPrice(billable.sku, nano, evidence)
    return None


def _find_line(hour: payloads.UsageWindow, billable: Billable) -> payloads.UsageLine | None:
    """Return the one line of the hour that names the resource; two of them would be two prices."""
    attribute = ATTRIBUTES.get(billable.kind, "")
    lines = [one for one in hour.line_items if one.attributes.get(attribute) == billable.remote_id]
    return lines[0] if len(lines) == 1 else None


def _read_line(
    line: payloads.UsageLine,
    billable: Billable,
    hour: payloads.UsageWindow,
    since: Sequence[payloads.UsageLine],
) -> Decimal | None:
    """Return dollars per unit and hour, None when this hour does not tell."""
    if not line.cost or not line.quantity or line.unit_price is None or hour.start_time is None:
        return None
    if billable.kind in GPU_KINDS:
        return line.unit_price if line.quantity <= billable.most_units else None
    was_unchanged = (billable.changed_at or billable.first_seen_at) <= hour.start_time
    costs_the_same = (
        billable.changed_at is None and len(since) == EQUAL_HOURS and len({one.cost for one in since}) == 1
    )
    return line.cost / billable.units if was_unchanged or costs_the_same else None
