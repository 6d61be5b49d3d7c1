"""What a list filters with: chips with counts, and dashed ones that open a menu of values."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter with its count and the address that it leads to."""

    label: str
    url: str
    count: int | None = None
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class FacetMenu:
    """A dashed chip that opens a list of values; `chosen` is the label of the present one, or empty."""

    name: str
    label: str
    chosen: str
    clear_url: str
    chips: tuple[Chip, ...]


def build_query_url(path: str, values: Mapping[str, str], *, leave_out: Mapping[str, str]) -> str:
    """Return ``path`` with those values that are neither empty nor what `leave_out` says goes without saying."""
    query = {name: value for name, value in values.items() if value and leave_out.get(name) != value}
    return f"{path}?{urlencode(query)}" if query else path
