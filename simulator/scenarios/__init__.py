"""Worlds to begin with."""

from collections.abc import Callable

from simulator.scenarios import demo, empty, large
from simulator.world import World

SCENARIOS: dict[str, Callable[[World], None]] = {
    "demo": demo.fill_world,
    "empty": empty.fill_world,
    "large": large.fill_world,
}
