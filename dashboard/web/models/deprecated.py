"""What is deprecated, which of the visible endpoints serve it, and what they burn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.urls import reverse

from billing.burn import ZERO, Burn, add_burns
from dashboard.accounts.models import User
from dashboard.mirror.deprecation_hints import Candidate, Deprecation, DeprecationList, suggest_replacement
from dashboard.mirror.models import CatalogueModel
from dashboard.mirror.querysets import present, visible_endpoints


@dataclass(frozen=True, slots=True)
class Serving:
    """An endpoint that serves a deprecated model, with what it burns now."""

    name: str
    url: str
    burn: Burn


@dataclass(frozen=True, slots=True)
class DeprecatedRow:
    """A deprecated model. `days_left` negative = gone, None = no date. `suggestion` is ours, empty = none."""

    deprecation: Deprecation
    days_left: int | None
    serving: tuple[Serving, ...]
    suggestion: str = ""

    @property
    def burn(self) -> Burn:
        """Return what the endpoints that serve it burn together."""
        return add_burns(one.burn for one in self.serving) if self.serving else ZERO

    @property
    def is_coming(self) -> bool:
        """True while the removal lies ahead, or no date is told."""
        return self.days_left is None or self.days_left >= 0


def load_serving(user: User, deprecations: DeprecationList) -> dict[str, tuple[Serving, ...]]:
    """Return by deprecated model (its name on the list) the endpoints that the person sees serving it. Two queries."""
    endpoints = present(visible_endpoints(user))
    names = endpoints.exclude(model="").order_by().values_list("model", flat=True).distinct()
    served = [name for name in names if deprecations.find(name) is not None]
    rows = endpoints.filter(model__in=served).order_by("-burn_high", "display_name", "id")
    found: dict[str, list[Serving]] = {}
    for pk, name, model, low, high, unpriced in rows.values_list(
        "pk", "display_name", "model", "burn_low", "burn_high", "unpriced_replicas"
    ):
        known = deprecations.find(model)
        if known is not None:
            serving = Serving(name, reverse("endpoint", args=[pk]), Burn(low, high, unpriced))
            found.setdefault(known.model, []).append(serving)
    return {model: tuple(rows) for model, rows in found.items()}


def build_rows(
    deprecations: DeprecationList, serving: dict[str, tuple[Serving, ...]], *, today: date
) -> list[DeprecatedRow]:
    """Return the rows: those in use first, then those that go next, then what is gone, newest first."""
    rows = [
        DeprecatedRow(one, one.days_left(today), serving.get(one.model, ()))
        for one in deprecations.by_slug.values()
    ]
    return sorted(rows, key=_rank)


def _rank(row: DeprecatedRow) -> tuple[bool, bool, int, str]:
    left = row.days_left
    return (
        not row.serving,
        not row.is_coming,
        abs(left) if left is not None else 100_000,
        row.deprecation.model,
    )


def load_candidates() -> list[Candidate]:
    """Return what could replace a model: dedicated models that are neither hidden nor deprecated. One query."""
    rows = CatalogueModel.objects.filter(
        is_dedicated=True, absent_since=None, support__in=("RECOMMENDED", "SUPPORTED")
    )
    return [
        Candidate(name, publisher, kind, is_recommended=support == "RECOMMENDED")
        for name, publisher, kind, support in rows.values_list("name", "publisher", "type", "support")
    ]


def suggest(deprecation: Deprecation, candidates: Sequence[Candidate]) -> str:
    """Return the nearest model of the same maker where the list names no replacement; empty = none. One query.

    Maker and type are those of the catalogue: what it does not know gets no suggestion.
    """
    if deprecation.replacement:
        return ""
    known = CatalogueModel.objects.filter(name__iexact=deprecation.model).exclude(publisher="")
    facts = known.values_list("publisher", "type").first()
    if facts is None:
        return ""
    found = suggest_replacement(deprecation.model, publisher=facts[0], kind=facts[1], candidates=candidates)
    return found.name if found else ""


def count_in_use(rows: Iterable[DeprecatedRow]) -> int:
    """Return how many of them some visible endpoint serves."""
    return sum(1 for row in rows if row.serving)
