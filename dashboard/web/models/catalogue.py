"""The provider's catalogue as rows: both lists of it merged by name, filtered, sorted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dashboard.accounts.models import Connection
from dashboard.mirror.deprecation_hints import CATALOGUE_STATUS, Deprecation, DeprecationList
from dashboard.mirror.models import CatalogueModel, Resource, ResourceKind

_HIDDEN = "HIDDEN"
DEFAULT_SORT = "name"


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A model of the catalogue; prices in nano-dollars per million tokens, None = not told."""

    pk: int
    name: str
    display_name: str
    publisher: str
    type: str
    context_length: int | None
    is_serverless: bool
    is_dedicated: bool
    is_fine_tunable: bool
    is_recommended: bool
    input_nano_usd: int | None
    output_nano_usd: int | None
    deprecation: Deprecation | None
    is_own: bool = False

    @property
    def uses(self) -> tuple[str, ...]:
        """Return what it can be used for, in words."""
        told = (
            (self.is_serverless, "serverless"),
            (self.is_dedicated, "dedicated"),
            (self.is_fine_tunable, "fine-tuning"),
        )
        return tuple(word for holds, word in told if holds)


Holds = Callable[[CatalogueRow], bool]
CHOICES: dict[str, tuple[str, Holds]] = {
    "dedicated": ("Dedicated", lambda row: row.is_dedicated),
    "serverless": ("Serverless", lambda row: row.is_serverless),
    "fine-tuning": ("Fine-tuning", lambda row: row.is_fine_tunable),
    "deprecated": ("Deprecated", lambda row: row.deprecation is not None),
}
_KEYS: dict[str, Callable[[CatalogueRow], tuple[bool, object]]] = {
    "name": lambda row: (False, row.name.lower()),
    "type": lambda row: (not row.type, row.type),
    "context": lambda row: (row.context_length is None, row.context_length or 0),
    "input": lambda row: (row.input_nano_usd is None, row.input_nano_usd or 0),
    "output": lambda row: (row.output_nano_usd is None, row.output_nano_usd or 0),
}
SORTS = tuple(f"{sign}{key}" for key in _KEYS for sign in ("", "-"))


def load_catalogue(
    connections: Sequence[Connection], text: str, *, deprecations: DeprecationList
) -> list[CatalogueRow]:
    """Return the models on offer whose name, maker or type holds each word; the organisation's own left out.

    Two queries. A model of both lists is one row: the supported list says what it can be used for, the serverless one
    its price where the other tells none.
    """
    own = set(
        Resource.objects.filter(connection__in=connections, kind=ResourceKind.MODEL).values_list(
            "name", flat=True
        )
    )
    rows = (
        CatalogueModel.objects.filter(connection__in=connections, absent_since=None)
        .defer("payload", "fingerprint")
        # "supported" comes after "serverless", and its row is the one that stays.
        .order_by("origin", "pk")
    )
    found = list(rows)
    # What one list hides, the other shows all the same.
    left_out = own | {row.name for row in found if row.support == _HIDDEN}
    merged: dict[str, CatalogueRow] = {}
    for row in found:
        if row.name not in left_out:
            merged[row.name] = _merge(merged.get(row.name), _read(row, deprecations))
    words = text.lower().split()
    return [row for row in merged.values() if _matches(row, words)]


def sort_catalogue(rows: Iterable[CatalogueRow], sort: str) -> list[CatalogueRow]:
    """Return the rows in order; what is not told comes last in both directions."""
    key = _KEYS[sort.removeprefix("-")]
    named = sorted(rows, key=lambda row: row.name.lower())
    ordered = sorted(named, key=lambda row: key(row)[1], reverse=sort.startswith("-"))  # type: ignore[arg-type,return-value]  # one type a key
    return sorted(ordered, key=lambda row: key(row)[0])


def _read(row: CatalogueModel, deprecations: DeprecationList) -> CatalogueRow:
    return CatalogueRow(
        pk=row.pk,
        name=row.name,
        display_name=row.display_name,
        publisher=row.publisher,
        type=row.type,
        context_length=row.context_length,
        is_serverless=row.is_serverless,
        is_dedicated=row.is_dedicated,
        is_fine_tunable=row.is_fine_tunable,
        is_recommended=row.support == "RECOMMENDED",
        input_nano_usd=row.input_nano_usd,
        output_nano_usd=row.output_nano_usd,
        deprecation=deprecations.find(row.name)
        or (Deprecation(row.name) if row.support == CATALOGUE_STATUS else None),
    )


def _merge(known: CatalogueRow | None, row: CatalogueRow) -> CatalogueRow:
    if known is None:
        return row
    return replace(
        row,
        is_serverless=row.is_serverless or known.is_serverless,
        input_nano_usd=known.input_nano_usd if row.input_nano_usd is None else row.input_nano_usd,
        output_nano_usd=known.output_nano_usd if row.output_nano_usd is None else row.output_nano_usd,
        context_length=row.context_length or known.context_length,
        type=row.type or known.type,
    )


def _matches(row: CatalogueRow, words: Sequence[str]) -> bool:
    text = f"{row.name} {row.display_name} {row.publisher} {row.type}".lower()
    return all(word in text for word in words)
