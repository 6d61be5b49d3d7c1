"""The true bill, from the simulator's own states: each READY replica, for exactly as long as it was ready.

Quantities are whole replica-milliseconds; money is exact (`Fraction`) until it is printed to nano-dollars.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from simulator.charges import Line, charge_lines
from simulator.clock import HOUR_MS, MINUTE_MS, format_time
from simulator.world import Deployment, LegacyEndpoint, World

Resource = Deployment | LegacyEndpoint


@dataclass(frozen=True)
class Charge:
    """What one resource cost in one window at one price."""

    resource: Resource
    start_ms: int
    end_ms: int
    ready_ms: int  # replica-milliseconds
    cents_per_hour: Fraction  # of one replica

    @property
    def cost_usd(self) -> Fraction:
        return self.ready_ms * self.cents_per_hour / (HOUR_MS * 100)

    @property
    def gpu_hours(self) -> Fraction:
        return Fraction(self.ready_ms * self.resource.config.hardware.count, HOUR_MS)


def price_steps(resource: Resource) -> list[tuple[int, Fraction]]:
    """Return (from_ms, US cents per replica-hour), oldest first."""
    hardware = resource.config.hardware
    if isinstance(resource, Deployment):
        return [(at_ms, Fraction(str(cents))) for at_ms, cents in hardware.hourly.steps]
    return [(at_ms, Fraction(str(cents)) * 60) for at_ms, cents in hardware.per_minute.steps]


def charge_window(
    resource: Resource, *, start_ms: int, end_ms: int, deleted_ms: int | None = None
) -> Iterator[Charge]:
    """Yield the charges of a window, one per price that held in it."""
    end_ms = end_ms if deleted_ms is None else min(end_ms, deleted_ms)
    steps = price_steps(resource)
    for position, (from_ms, cents) in enumerate(steps):
        until_ms = steps[position + 1][0] if position + 1 < len(steps) else end_ms
        begin = start_ms if position == 0 else max(start_ms, from_ms)
        finish = min(end_ms, until_ms)
        if begin < finish and (ready_ms := resource.workload.count_ready_ms(begin, finish)):
            yield Charge(resource, begin, finish, ready_ms, cents)


def charge_all(world: World, *, start_ms: int, end_ms: int) -> Iterator[Charge]:
    """Yield the charges of everything that ever ran, within one window that lies in the past."""
    now_ms = world.now_ms()
    for resource, deleted_ms in world.meters():
        if deleted_ms is None:
            resource.workload.advance(now_ms)
        yield from charge_window(resource, start_ms=start_ms, end_ms=end_ms, deleted_ms=deleted_ms)


def resource_id(resource: Resource) -> str:
    return resource.deployment_id if isinstance(resource, Deployment) else resource.endpoint_id


def print_decimal(value: Fraction, *, places: int = 9) -> str:
    """Return a plain decimal string, half-even at `places`, without trailing zeros."""
    scaled = round(value * 10**places)
    text = format(Decimal(scaled).scaleb(-places), "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def describe_bill(
    world: World, *, start_ms: int, end_ms: int, width_ms: int | None, resource_id: str | None = None
) -> dict[str, Any]:
    """Return the bill of `[start_ms, end_ms)`: totals per resource, and lines per window if a width is given."""
    now_ms = world.now_ms()
    totals: dict[str, tuple[Resource, int, Fraction]] = {}
    lines: list[dict[str, Any]] = []
    for resource, deleted_ms in world.meters():
        identifier = _identify(resource)
        if resource_id not in {None, identifier}:
            continue
        if deleted_ms is None:
            resource.workload.advance(now_ms)
        begin_ms = max(start_ms, resource.created_ms)
        for charge in charge_window(resource, start_ms=begin_ms, end_ms=end_ms, deleted_ms=deleted_ms):
            _, ready_ms, cost = totals.get(identifier, (resource, 0, Fraction(0)))
            totals[identifier] = (resource, ready_ms + charge.ready_ms, cost + charge.cost_usd)
        if width_ms is not None:
            lines += _lines(resource, begin_ms, end_ms, width_ms, deleted_ms)
    other: dict[str, list[Line]] = {}
    for line in charge_lines(world.charge_sources, start_ms=start_ms, end_ms=end_ms):
        if resource_id in {None, line.resource_id}:
            other.setdefault(line.resource_id, []).append(line)
    if width_ms is not None and other:
        lines += _other_lines(world, start_ms, end_ms, width_ms, resource_id)
    total = sum((cost for _, _, cost in totals.values()), Fraction(0))
    total += sum((line.cost_usd for found in other.values() for line in found), Fraction(0))
    return {
        "from": format_time(start_ms),
        "to": format_time(end_ms),
        "cost_usd": print_decimal(total),
        "resources": [
            {
                "id": identifier,
                "name": resource.name,
                "project_id": resource.project.project_id,
                "hardware": resource.config.hardware.name,
                "ready_ms": ready_ms,
                "ready_minutes": print_decimal(Fraction(ready_ms, MINUTE_MS)),
                "cost_usd": print_decimal(cost),
            }
            for identifier, (resource, ready_ms, cost) in sorted(totals.items())
        ]
        + [_sum_lines(identifier, found) for identifier, found in sorted(other.items())],
        **({"lines": lines} if width_ms is not None else {}),
    }


_identify = resource_id


def _lines(
    resource: Resource, start_ms: int, end_ms: int, width_ms: int, deleted_ms: int | None
) -> Iterator[dict[str, Any]]:
    window_ms = start_ms - start_ms % width_ms
    while window_ms < end_ms:
        begin, finish = max(window_ms, start_ms), min(window_ms + width_ms, end_ms)
        for charge in charge_window(resource, start_ms=begin, end_ms=finish, deleted_ms=deleted_ms):
            yield {
                "id": _identify(resource),
                "start": format_time(charge.start_ms),
                "end": format_time(charge.end_ms),
                "ready_ms": charge.ready_ms,
                "cents_per_hour": print_decimal(charge.cents_per_hour),
                "cost_usd": print_decimal(charge.cost_usd),
            }
        window_ms += width_ms


def _sum_lines(identifier: str, lines: list[Line]) -> dict[str, Any]:
    return {
        "id": identifier,
        "name": lines[0].name,
        "project_id": lines[0].project_id,
        "product_names": sorted({line.product_name for line in lines}),
        "cost_usd": print_decimal(sum((line.cost_usd for line in lines), Fraction(0)), places=12),
    }


def _other_lines(
    world: World, start_ms: int, end_ms: int, width_ms: int, resource_id: str | None
) -> Iterator[dict[str, Any]]:
    """Yield the charges of other subjects per window, beginning with the first that has any."""
    first_ms = min(
        line.start_ms for line in charge_lines(world.charge_sources, start_ms=start_ms, end_ms=end_ms)
    )
    window_ms = first_ms - first_ms % width_ms
    while window_ms < end_ms:
        begin, finish = max(window_ms, start_ms), min(window_ms + width_ms, end_ms)
        for line in charge_lines(world.charge_sources, start_ms=begin, end_ms=finish):
            if resource_id in {None, line.resource_id}:
                yield {
                    "id": line.resource_id,
                    "start": format_time(line.start_ms),
                    "end": format_time(line.end_ms),
                    "product_name": line.product_name,
                    "quantity": print_decimal(line.quantity),
                    "unit_price": print_decimal(line.unit_price, places=12),
                    "cost_usd": print_decimal(line.cost_usd, places=12),
                }
        window_ms += width_ms
