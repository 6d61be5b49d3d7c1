"""What a price is of: the names under which things are priced, and their units. Pure.

`v2/1xnvidia-h100-80gb` and `v1/1x_nvidia_h100_80gb_sxm` are a replica of a dedicated endpoint. Resources keep the names
of the mirror (mirror/kinds/): `cluster/<GPU>/ON_DEMAND`, `cluster/<GPU>/RESERVED`, `volume`, `container/<GPU>` and
`rl/<model>/<GPU>/<generators>`. `tokens/<model>/<direction>` are tokens of serverless models.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Storage is quoted per month of 365 x 24 / 12 hours (core/money.py).
HOURS_PER_MONTH: Final = 730
_DEPLOYMENT = ("v1", "v2")
_SIZE = re.compile(r"^(\d+)x[_-]?(?:nvidia[_-])?(.+)$", re.IGNORECASE)


class Direction(StrEnum):
    """Which tokens of a serverless model a price is of."""

    INPUT = "input"
    OUTPUT = "output"
    CACHED = "cached"


class Unit(StrEnum):
    """What one unit of a SKU is; a price is per unit and hour, of tokens per million."""

    REPLICA = "replica"
    GPU = "GPU"
    TIB = "TiB"
    SET = "set"
    MILLION_TOKENS = "million tokens"
    OTHER = "unit"


def deployment_sku(generation: str, hardware: str) -> str:
    """Return the SKU of one replica; empty when the hardware is not told."""
    return f"{generation}/{hardware}" if hardware else ""


def cluster_sku(gpu_type: str, *, is_reserved: bool) -> str:
    """Return the SKU of one GPU and hour of a cluster, paid as it runs or in advance."""
    return f"cluster/{gpu_type}/{'RESERVED' if is_reserved else 'ON_DEMAND'}"


def token_sku(model: str, direction: Direction) -> str:
    """Return the SKU of a million tokens of a serverless model."""
    return f"tokens/{model}/{direction.value}"


def unify_sku(sku: str) -> str:
    """Return one spelling for all that mean the same: hardware is written with and without ``nvidia-``, in any case.

    As mirror/readings.py finds the price of a deployment's hardware; other SKUs have one spelling.
    """
    family, _, rest = sku.partition("/")
    return f"{family}/{rest.lower().replace('nvidia-', '')}" if family in _DEPLOYMENT else sku


def unit_of(sku: str) -> Unit:
    """Return what one unit of the SKU is."""
    family = sku.partition("/")[0]
    known = {
        "v1": Unit.REPLICA,
        "v2": Unit.REPLICA,
        "cluster": Unit.GPU,
        "container": Unit.GPU,
        "volume": Unit.TIB,
        "rl": Unit.SET,
        "tokens": Unit.MILLION_TOKENS,
    }
    return known.get(family, Unit.OTHER)


@dataclass(frozen=True, slots=True)
class Quote:
    """How a price is written for people: ``per TiB and month``; it is the price of a unit times `factor`."""

    words: str
    factor: int = 1


def quote_of(sku: str) -> Quote:
    """Return how prices of the SKU are quoted."""
    unit = unit_of(sku)
    if unit is Unit.MILLION_TOKENS:
        return Quote("per million tokens")
    if unit is Unit.TIB:
        return Quote("per TiB and month", HOURS_PER_MONTH)
    return Quote(f"per {unit.value} and hour")


def describe_sku(sku: str) -> str:
    """Return what people call it: ``v2 endpoint, 1 × H100 80GB``."""
    family, _, rest = sku.partition("/")
    if family in _DEPLOYMENT:
        return f"{family} endpoint, {_describe_size(rest)}"
    if family == "cluster":
        gpu, _, payment = rest.rpartition("/")
        paid = {"ON_DEMAND": "on demand", "RESERVED": "reserved"}.get(payment, payment)
        return f"GPU cluster, {_describe_gpu(gpu)}, {paid}"
    if family == "volume":
        return "Shared volume" + (f", {rest}" if rest else "")
    if family == "container":
        return "Container, CPU only" if rest == "cpu" else f"Container, {_describe_gpu(rest)}"
    if family == "rl":
        return _describe_rl(rest)
    if family == "tokens":
        model, _, direction = rest.rpartition("/")
        words = "cached input" if direction == Direction.CACHED else direction
        return f"{model}, {words} tokens"
    return sku


def _describe_size(hardware: str) -> str:
    found = _SIZE.match(hardware)
    if found is None:
        return hardware
    return f"{found[1]} \N{MULTIPLICATION SIGN} {_describe_gpu(found[2])}"


def _describe_gpu(gpu_type: str) -> str:
    return gpu_type.replace("_", " ").replace("-", " ").upper()


def _describe_rl(rest: str) -> str:
    parts = rest.rsplit("/", 2)
    if len(parts) != 3:
        return f"RL resources, {rest}"
    model, gpu, generators = parts
    count = {"0": "trainer only", "1": "1 generator"}.get(generators, f"{generators} generators")
    return ", ".join(part for part in ("RL resources", model, _describe_gpu(gpu), count) if part)
