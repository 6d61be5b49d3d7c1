"""What a benchmark found: figures beside their targets, and the machine they were found on."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Figure:
    """One number; without `at_most` and `at_least` it is only told, not judged."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_missed(self) -> bool:
        is_above = self.at_most is not None and self.value > self.at_most
        return is_above or (self.at_least is not None and self.value < self.at_least)

    def __str__(self) -> str:
        text = f"{self.name:<58}{self.value:>12,.2f} {self.unit:<5}"
        limits = (("<=", self.at_most), (">=", self.at_least))
        told = " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
        return f"{text} target {told}: {'MISSED' if self.is_missed else 'met'}" if told else text.rstrip()


def report(figures: list[Figure]) -> int:
    """Print the figures with date and machine; return the exit code, 1 when a target is missed."""
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {describe_machine()}")
    for figure in figures:
        print(figure, flush=True)
    return 1 if any(figure.is_missed for figure in figures) else 0


def describe_machine() -> str:
    """Return cores, load, system and Python: what a figure depends on."""
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{cores} cores (load {load:.1f}), {system}"
