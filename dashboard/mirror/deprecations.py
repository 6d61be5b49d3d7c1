"""The list of deprecated models that an Admin keeps; sole writer of ModelDeprecation."""

from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError, transaction

from dashboard.accounts import audit
from dashboard.core import live
from dashboard.mirror.deprecation_hints import (
    CATALOGUE_STATUS,
    Deprecation,
    DeprecationList,
    list_deprecations,
)
from dashboard.mirror.models import CatalogueModel, ModelDeprecation


class ListedAlreadyError(Exception):
    """The list has an entry for this model already."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What an Admin says of one model; see ModelDeprecation for the meanings."""

    model: str
    removal_on: date
    replacement: str
    is_dedicated_possible: bool | None
    source: str

    def as_detail(self) -> dict[str, object]:
        """Return it for the audit trail."""
        return {
            "removal_on": self.removal_on.isoformat(),
            "replacement": self.replacement,
            "is_dedicated_possible": self.is_dedicated_possible,
            "source": self.source,
        }


def load_deprecations() -> DeprecationList:
    """Return all that is known to be deprecated, by the list and by the catalogues. Two queries."""
    columns = ("model", "removal_on", "replacement", "is_dedicated_possible", "source")
    entries = [Deprecation(*row) for row in ModelDeprecation.objects.values_list(*columns)]
    marked = CatalogueModel.objects.filter(support=CATALOGUE_STATUS, absent_since=None)
    return list_deprecations(entries, marked=set(marked.values_list("name", flat=True)))


@transaction.atomic
def add_deprecation(entry: Entry, *, actor: audit.Actor) -> ModelDeprecation:
    """Put a model on the list. Raises ListedAlreadyError."""
    try:
        with transaction.atomic():
            row = ModelDeprecation.objects.create(**_columns(entry))
    except IntegrityError as error:
        raise ListedAlreadyError(entry.model) from error
    audit.record("deprecation.added", actor=actor, target=row, detail=entry.as_detail())
    live.announce(["models"])
    return row


@transaction.atomic
def change_deprecation(pk: int, entry: Entry, *, actor: audit.Actor) -> ModelDeprecation:
    """Change what the list says of a model. Raises ModelDeprecation.DoesNotExist, ListedAlreadyError."""
    row = ModelDeprecation.objects.select_for_update().get(pk=pk)
    before = _read_entry(row)
    if before == entry:
        return row
    for name, value in _columns(entry).items():
        setattr(row, name, value)
    try:
        with transaction.atomic():
            row.save(update_fields=list(_columns(entry)))
    except IntegrityError as error:
        raise ListedAlreadyError(entry.model) from error
    detail = {"before": before.as_detail() | {"model": before.model}, "after": entry.as_detail()}
    audit.record("deprecation.changed", actor=actor, target=row, detail=detail)
    live.announce(["models"])
    return row


@transaction.atomic
def remove_deprecation(pk: int, *, actor: audit.Actor) -> None:
    """Take a model off the list. Raises ModelDeprecation.DoesNotExist."""
    row = ModelDeprecation.objects.select_for_update().get(pk=pk)
    audit.record("deprecation.removed", actor=actor, target=row, detail=_read_entry(row).as_detail())
    row.delete()
    live.announce(["models"])


def _read_entry(row: ModelDeprecation) -> Entry:
    return Entry(**{name: getattr(row, name) for name in Entry.__dataclass_fields__})


def _columns(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
