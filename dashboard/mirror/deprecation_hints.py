"""Which models are going or gone, what replaces them, and how to say it. Pure.

Two sources, the dated list first: mirror.ModelDeprecation (kept by an Admin) and the status DEPRECATED of the
catalogue, which names neither a date nor a replacement.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date

CATALOGUE_STATUS = "DEPRECATED"
_NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")
# "70B", "8x7b", "0.6B": how large a model says it is.
_SIZE = re.compile(r"(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Deprecation:
    """What is known of a model's end. `removal_on` None = no date told; `replacement` empty = none named.

    `is_dedicated_possible`: whether a dedicated endpoint may still serve it; None = not told.
    """

    model: str
    removal_on: date | None = None
    replacement: str = ""
    is_dedicated_possible: bool | None = None
    source: str = ""

    def days_left(self, today: date) -> int | None:
        """Return whole days until the removal, negative afterwards, None without a date."""
        return None if self.removal_on is None else (self.removal_on - today).days

    def describe(self, today: date) -> str:
        """Return one sentence: what happens to the model when, and what that means for a dedicated endpoint."""
        if self.removal_on is None:
            return f"{self.model} is deprecated in the provider's catalogue; no date is told."
        day = f"{self.removal_on:%-d %b %Y}"
        left = (self.removal_on - today).days
        if left > 0:
            text = f"{self.model} leaves serverless on {day}, in {left} day{'' if left == 1 else 's'}"
        else:
            text = f"{self.model} left serverless on {day}"
        consequence = {
            True: "dedicated endpoints may still serve it",
            False: "the provider may refuse to start it again",
            None: "whether dedicated endpoints may go on serving it is not told",
        }[self.is_dedicated_possible]
        return f"{text}; {consequence}."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could replace another: dedicated, and not deprecated itself."""

    name: str
    publisher: str
    type: str
    is_recommended: bool = False


@dataclass(frozen=True, slots=True)
class DeprecationList:
    """Everything that is deprecated, found by whatever spelling: names here, slugs there (both occur)."""

    by_slug: Mapping[str, Deprecation] = field(default_factory=dict)

    def find(self, model: str) -> Deprecation | None:
        """Return what is known of the model's end, None when it is not deprecated."""
        return find_deprecation(model, listed=self.by_slug)


def make_slug(model: str) -> str:
    """Return ``mistralai-mixtral-8x7b-v0-1`` for ``mistralai/Mixtral-8x7B-v0.1``: the list knows both."""
    return _NOT_IN_A_SLUG.sub("-", model.lower()).strip("-")


def list_deprecations(entries: Iterable[Deprecation], *, marked: AbstractSet[str]) -> DeprecationList:
    """Return the list with the models that the catalogue marks as deprecated (`marked`: their names)."""
    found = {make_slug(name): Deprecation(name, source="the provider's catalogue") for name in sorted(marked)}
    found |= {make_slug(entry.model): entry for entry in entries}
    return DeprecationList(found)


def find_deprecation(model: str, *, listed: Mapping[str, Deprecation]) -> Deprecation | None:
    """Return what is known of the model's end, by any spelling; None when it is not deprecated."""
    return listed.get(make_slug(model)) if model else None


def suggest_replacement(
    model: str, *, publisher: str, kind: str, candidates: Sequence[Candidate]
) -> Candidate | None:
    """Return the candidate of the same maker and type that is nearest in size, recommended ones first on a tie.

    A suggestion of ours for where the provider names nothing; None where the maker offers nothing of that type, or
    the model does not tell its size.
    """
    size = read_size(model)
    if size is None:
        return None
    same = [
        (abs(other - size) / size, not one.is_recommended, one.name, one)
        for one in candidates
        if one.publisher == publisher
        and one.type == kind
        and make_slug(one.name) != make_slug(model)
        and (other := read_size(one.name)) is not None
    ]
    return min(same, key=lambda rank: rank[:3])[3] if same else None


def read_size(model: str) -> float | None:
    """Return the billions of parameters that a model's name tells: 56.0 of ``8x7B``; None = it does not."""
    match = _SIZE.search(model.rsplit("/", 1)[-1])
    return int(match[1] or 1) * float(match[2]) if match else None
