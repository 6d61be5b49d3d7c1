"""Filter and order expressions of v2 lists: `name:"support*" AND state = DEPLOYMENT_STATE_READY`."""

import operator
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from simulator.clock import parse_time
from simulator.errors import bad_request

Predicate = Callable[[Mapping[str, Any]], bool]
_TOKEN = re.compile(
    r'\s*(?:(?P<op><=|>=|!=|=|<|>|:)|(?P<paren>[()])|"(?P<quoted>[^"]*)"|(?P<word>[^\s()=<>!:"]+))'
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_TIMES = frozenset({"created_at", "updated_at"})


class _InvalidError(Exception):
    """The expression cannot be read."""


class _Parser:
    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self.fields = fields
        self.tokens = self._split(text)
        self.position = 0

    @staticmethod
    def _split(text: str) -> list[tuple[str, str]]:
        tokens, position = [], 0
        text = text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise _InvalidError
            kind = match.lastgroup or ""
            tokens.append((kind, match.group(kind)))
            position = match.end()
        return tokens

    def take(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise _InvalidError
        token = self.tokens[self.position]
        self.position += 1
        return token

    def sees(self, word: str) -> bool:
        return self.position < len(self.tokens) and self.tokens[self.position] == ("word", word)

    def parse(self) -> Predicate:
        predicate = self.any_of()
        if self.position != len(self.tokens):
            raise _InvalidError
        return predicate

    def any_of(self) -> Predicate:
        parts = [self.all_of()]
        while self.sees("OR"):
            self.take()
            parts.append(self.all_of())
        return lambda row: any(part(row) for part in parts)

    def all_of(self) -> Predicate:
        parts = [self.one()]
        while self.sees("AND"):
            self.take()
            parts.append(self.one())
        return lambda row: all(part(row) for part in parts)

    def one(self) -> Predicate:
        if self.sees("NOT"):
            self.take()
            inner = self.one()
            return lambda row: not inner(row)
        kind, text = self.take()
        if (kind, text) == ("paren", "("):
            group = self.any_of()
            if self.take() != ("paren", ")"):
                raise _InvalidError
            return group
        if kind != "word" or text not in self.fields:
            raise _InvalidError
        return self.comparison(text)

    def comparison(self, field: str) -> Predicate:
        op_kind, op = self.take()
        value_kind, value = self.take()
        if op_kind != "op" or value_kind not in {"word", "quoted"}:
            raise _InvalidError
        if field in _TIMES:
            if value_kind == "word" and self.position < len(self.tokens):
                raise _InvalidError  # an unquoted time would be cut at its colons
            try:
                instant = parse_time(value)
            except ValueError as error:
                raise _InvalidError from error
            if op == ":":
                raise _InvalidError
            return lambda row: _COMPARE[op](row[field], instant)
        if op == ":":
            pattern = value if "*" in value else f"*{value}*"
            return lambda row: fnmatchcase(row[field], pattern)
        if "*" in value and op in {"=", "!="}:
            return lambda row: fnmatchcase(row[field], value) is (op == "=")
        return lambda row: _COMPARE[op](row[field], value)


def parse_filter(text: str | None, *, fields: frozenset[str]) -> Predicate | None:
    """Return a predicate over rows that carry `fields`; None = no filter. Raises 400 `invalid filter expression`."""
    if not text:
        return None
    try:
        return _Parser(text, fields).parse()
    except _InvalidError as error:
        raise bad_request("invalid filter expression", param="filter") from error


def parse_order(text: str | None) -> tuple[str, bool]:
    """Return (field, descending); by default created_at ascending. Raises 400."""
    if not text:
        return "created_at", False
    match = re.fullmatch(r"(created_at|updated_at)(?:\s+(asc|desc))?", text.strip())
    if match is None:
        raise bad_request("invalid orderBy expression", param="orderBy")
    return match.group(1), match.group(2) == "desc"
