"""Counts and burn of a list of resources, from the groups of one query: chips, footers, sidebar. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from billing.burn import Burn
from dashboard.mirror.resource_querysets import ResourceGroup


@dataclass(frozen=True, slots=True)
class StatusChoice:
    """A chip of the list: statuses that people think of as one."""

    value: str
    label: str
    statuses: tuple[str, ...]
    # Shown even when nothing is behind it.
    is_standing: bool = True


@dataclass(frozen=True, slots=True)
class ResourceSum:
    """Count, GPUs, billing units and burn of some resources."""

    count: int
    gpu_count: int
    units: int
    burn: Burn


@dataclass(frozen=True, slots=True)
class ResourceTotals:
    """The groups of what a page is about, or of what a search left."""

    groups: tuple[ResourceGroup, ...]

    def add(self, *, kind: str = "", statuses: Collection[str] = ()) -> ResourceSum:
        """Return the sum over one kind and some statuses; empty = all."""
        chosen = [
            group
            for group in self.groups
            if (not kind or group.kind == kind) and (not statuses or group.status in statuses)
        ]
        burn = sum(group.burn for group in chosen)
        return ResourceSum(
            count=sum(group.count for group in chosen),
            gpu_count=sum(group.gpu_count for group in chosen),
            units=sum(group.units for group in chosen),
            burn=Burn(burn, burn, sum(group.unpriced_units for group in chosen)),
        )
