"""What all payloads share: tolerant field types, lazy pages, content hashes.

The rules of contract 1.1 in one place: unknown fields are kept, unknown enum members stay plain `str`, null and
absent are the same, counts may be digits in a string, optional text may be a number, both casings are read. Only an
identity is ever required.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from dashboard.together_api import page_memory
from dashboard.together_api.redaction import drop_secrets, may_hold_secrets, redact_text

FINGERPRINT_BYTES: Final = 16
"""blake2b-128: collisions are out of reach at our counts, and 16 bytes fit a uuid column."""

RawItem = dict[str, Any]


def fingerprint(raw: Any) -> bytes:
    """Return 16 bytes that are equal exactly when two JSON values are equal, whatever the order of their keys."""
    return hashlib.blake2b(
        orjson.dumps(raw, option=orjson.OPT_SORT_KEYS), digest_size=FINGERPRINT_BYTES
    ).digest()


# --- field types -----------------------------------------------------------------------------------------------

_NO_TIMES: Final = frozenset({"", "0", "0001-01-01T00:00:00Z"})  # the last is Go's zero time


def _none_if_no_time(value: Any) -> Any:
    if value == 0 or (isinstance(value, str) and value in _NO_TIMES):
        return None
    return value


def _as_utc(value: datetime | None) -> datetime | None:
    """Return an aware UTC time; a time without zone is UTC by contract 1.3."""
    if value is None:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Timestamp = Annotated[datetime | None, BeforeValidator(_none_if_no_time), AfterValidator(_as_utc)]
"""RFC 3339 text or epoch seconds, as aware UTC; null, absent, "", 0 and Go's zero time are None."""


def _none_if_unreadable(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


LooseTimestamp = Annotated[Timestamp, WrapValidator(_none_if_unreadable)]
"""A Timestamp where the contract (1.3) does not promise RFC 3339: text that is no time is None, never malformed."""

Text = Annotated[str, Field(coerce_numbers_to_str=False)]
"""A string the contract promises: a number in its place is malformed; the default "" = the body did not say."""

ItemT = TypeVar("ItemT")
Items = tuple[ItemT, ...]
"""A list the contract promises; null and absent are the empty one."""

ValueT = TypeVar("ValueT")
Table = dict[str, ValueT]
"""A JSON object used as a table; null and absent are the empty one."""


class Payload(BaseModel):
    """Base of all parts of a body: frozen, keeps unknown fields, reads camelCase and snake_case."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _treat_null_as_absent(cls, value: Any) -> Any:
        # Real bodies carry null where the contract promises a string or a list; the default then says "unknown".
        if isinstance(value, dict) and None in value.values():
            return {key: item for key, item in value.items() if item is not None}
        return value


# Asked for every entry of every list; pydantic's own takes as long as hashing the entry.
_spell_camel = functools.cache(to_camel)


class Resource(Payload):
    """Base of everything that comes as an item of its own; remembers the body it was read from, secrets dropped.

    A class says where its identity is (`identity_field`, in snake_case) and which parts of a body change with every
    read although nobody is shown them (`unshown_fields`: dotted paths, `*` = each member of a list or table). The
    fingerprint leaves those parts out, so that a mirror writes a row when something changed that somebody can see.
    """

    identity_field: ClassVar[str] = "id"
    unshown_fields: ClassVar[tuple[str, ...]] = ()

    _raw: RawItem = PrivateAttr(default_factory=dict)

    @classmethod
    def identify(cls, raw: Any) -> str | None:
        """Return the identity of an unparsed item in either casing, None when it has none that is text."""
        if not isinstance(raw, dict):
            return None
        value = raw.get(cls.identity_field, raw.get(_spell_camel(cls.identity_field)))
        return value if isinstance(value, str) and value else None

    @classmethod
    def fingerprint_of(cls, raw: Any) -> bytes:
        """Return the content hash (16 bytes) of an unparsed item, without what this class does not show."""
        shown = raw
        for path in cls.unshown_fields:
            shown = _without(shown, path.split("."))
        return fingerprint(shown)

    @classmethod
    def parse(cls, raw: RawItem) -> Self:
        """Return the typed payload of an item of `page.raw_items`; raises pydantic's ValidationError (a ValueError)."""
        parsed = cls.model_validate(raw)
        parsed._raw = raw
        return parsed

    @property
    def raw(self) -> RawItem:
        """The body as received, without secrets; do not change it."""
        return self._raw

    @property
    def fingerprint(self) -> bytes:
        """Content hash (16 bytes) of the body as received, without what this class does not show."""
        return self.fingerprint_of(self._raw)


def _without(value: Any, path: list[str]) -> Any:
    """Return `value` without the field at `path`; the same object when there is nothing to leave out."""
    step, *rest = path
    if step == "*" and isinstance(value, list):
        return [_without(item, rest) for item in value]
    if not isinstance(value, dict):
        return value
    if step == "*":
        return {key: _without(item, rest) for key, item in value.items()}
    names = {step, _spell_camel(step)} & value.keys()
    if not names:
        return value
    if not rest:
        return {key: item for key, item in value.items() if key not in names}
    return {key: _without(item, rest) if key in names else item for key, item in value.items()}


@dataclass(frozen=True, slots=True)
class MalformedItem:
    """An item that could not be read; `id` is None when not even its identity could."""

    raw: Any
    error: str
    id: str | None


ResourceT = TypeVar("ResourceT", bound=Resource)


@dataclass(frozen=True)
class Page(Generic[ResourceT]):
    """One page of a list: raw items at once, typed ones when asked for.

    `entries` is the list as received (secrets dropped), `envelope` the rest of the body, `next_cursor` None at the
    end. `raw_items` are the entries that are JSON objects; parse one with `page.model.parse(raw)`. `key` is what the
    page is remembered under, None: not at all.
    """

    model: type[ResourceT]
    entries: Sequence[Any]
    next_cursor: str | None
    envelope: Mapping[str, Any]
    key: page_memory.Key | None = None

    @cached_property
    def identities(self) -> tuple[str | None, ...]:
        """Who the entries are, in their order; None = without an identity."""
        remembered = page_memory.recall(self.key)
        if remembered is not None:
            return tuple(one.identity for one in remembered.sightings)
        return tuple(self.model.identify(entry) for entry in self.entries)

    @cached_property
    def sightings(self) -> tuple[page_memory.Sighting, ...]:
        """Who the entries are and what they look like; makes the page a remembered one."""
        remembered = page_memory.recall(self.key)
        if remembered is not None:
            return remembered.sightings
        sightings = tuple(
            page_memory.Sighting(identity, self.model.fingerprint_of(entry))
            for identity, entry in zip(self.identities, self.entries, strict=True)
        )
        if self.key is not None:
            page = page_memory.RememberedPage(sightings, self.next_cursor, self.envelope)
            page_memory.remember(self.key, page)
        return sightings

    @cached_property
    def raw_items(self) -> tuple[RawItem, ...]:
        """The entries that are JSON objects, unparsed."""
        return tuple(entry for entry in self.entries if isinstance(entry, dict))

    @property
    def items(self) -> tuple[ResourceT, ...]:
        """The entries that could be read, typed; parsed once, on first use."""
        return self._parsed[0]

    @property
    def malformed(self) -> tuple[MalformedItem, ...]:
        """The entries that could not be read."""
        return self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[tuple[ResourceT, ...], tuple[MalformedItem, ...]]:
        return parse_items(self.model, self.entries)


def parse_items(
    model: type[ResourceT], entries: Iterable[Any]
) -> tuple[tuple[ResourceT, ...], tuple[MalformedItem, ...]]:
    """Return (typed items, malformed items) in order; one bad entry never costs the others."""
    items: list[ResourceT] = []
    malformed: list[MalformedItem] = []
    for entry in entries:
        if not isinstance(entry, dict):
            malformed.append(MalformedItem(raw=entry, error="not a JSON object", id=None))
            continue
        try:
            items.append(model.parse(entry))
        except ValidationError as error:
            malformed.append(MalformedItem(raw=entry, error=describe(error), id=model.identify(entry)))
    return tuple(items), tuple(malformed)


def item_id(raw: Any) -> str | None:
    """Return the `id` of an unparsed item, None when it has none that is text; see also `Resource.identify`."""
    return Resource.identify(raw)


def nano_dollars(dollars: Decimal | None) -> int | None:
    """Return whole nano-dollars (half to even beyond nine decimals), None for None."""
    if dollars is None:
        return None
    return int(dollars.scaleb(9).to_integral_value(rounding=ROUND_HALF_EVEN))


def describe(error: ValidationError) -> str:
    """Return a short sentence naming the first three fields that failed, without their values."""
    parts = [
        f"{'.'.join(str(step) for step in detail['loc']) or 'body'}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_input=False, include_context=False)[:3]
    ]
    return redact_text("; ".join(parts))


def decode_body(body: bytes, *, keeps_texts: bool = False) -> Any:
    """Return the JSON value of `body` without secret-bearing fields; raises ValueError when it is not JSON.

    `keeps_texts` leaves what is written inside other fields as it is (a model's answer).
    """
    value = orjson.loads(body)
    return drop_secrets(value, keeps_texts=keeps_texts) if may_hold_secrets(body) else value
