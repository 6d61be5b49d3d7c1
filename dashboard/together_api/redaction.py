"""Keep keys and secrets out of logs, errors and stored bodies.

Two questions are answered here and nowhere else: what may a *text* not contain (error messages, log lines), and
which *fields* of a body are dropped before anybody stores it (contract section 16).
"""

import functools
import re
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any, Final

REDACTED: Final = "[redacted]"

MAX_TEXT_CHARACTERS: Final = 500
"""Longest provider text kept in an error (our choice: one sentence, never a page of HTML)."""

_TEXT_PATTERNS: Final = (
    re.compile(r"(?i)\bbearer\s+[^\s\"',;]+"),
    # Together (tgp_v1_), Hugging Face, OpenAI-like, GitHub and AWS key shapes.
    re.compile(r"\b(?:tgp_v\d+_|hf_|sk-|ghp_|github_pat_|AKIA)[A-Za-z0-9_\-]{8,}"),
    # Older Together keys are 64 hex digits; a digest that looks the same is no loss.
    re.compile(r"\b[0-9a-fA-F]{64}\b"),
    # Presigned URLs: the query is the credential.
    re.compile(r"(?i)(?<=[?&])(?:x-amz-[a-z-]+|signature|sig|token|access_token|key|api_key)=[^&\s\"']+"),
    re.compile(r"(?i)(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)"),
)

# What goes from the values of a stored body. Stricter shapes than in texts for people: a model's digest of 64 hex
# digits and a field name such as `hf_model_revision` must survive here.
_VALUE_PATTERN: Final = re.compile(
    r"\b(?:(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|(?:tgp_v\d+_|github_pat_)[A-Za-z0-9_-]{8,}"
    r"|(?:hf_|ghp_|sk-)[A-Za-z0-9]{16,}"
    r"|AKIA[A-Z0-9]{12,})"
)
_SHORTEST_SECRET: Final = 15  # "Bearer " and eight more
# In a URL: user and password, and the query (of a presigned one it is the credential, and no other matters to us).
_URL_USER: Final = re.compile(r"(?<=://)[^/\s?#@\"'<>]+@")
_URL_QUERY: Final = re.compile(r"(://[^\s?#\"'<>]*)(?:\?|#(?=[^\s\"'<>]*=))[^\s\"'<>]*")

# Compared without case and underscores. Any value is dropped.
_DROPPED_KEYS: Final = frozenset({"kubeconfig", "remoteurl"})
# Dropped when the value is text and the key ends like this (`hf_token`, `external_api_token`, `wandb_api_key`);
# `api_key` is also the name of a harmless object in GET /v3/whoami.
_DROPPED_TEXT_ENDINGS: Final = (
    "token", "apikey", "password", "secret", "secretkey", "accesskey", "privatekey", "secretvalue", "authorization",
    "credential", "credentials",
)  # fmt: skip
# Containers of name/value pairs: names stay, values go (container deployments, contract section 9).
_ENVIRONMENT_KEYS: Final = frozenset(
    {"environmentvariables", "environment", "env", "envvars", "slurmstartupscripts"}
)
# Lists of words that a program is started with; a password is often one of them. Their count stays.
_COMMAND_KEYS: Final = frozenset({"args", "command"})
# Free text written by other people's programs.
_REDACTED_TEXT_KEYS: Final = frozenset({"logexcerpt"})

# Looked for in the lower-cased body; every key and pattern above contains one of these. `\\u` = an escaped spelling.
_SUSPECT_BYTES: Final = (
    b"kube", b"remote", b'token"', b'key"', b'password"', b"secret", b'authorization"', b"credential", b'"env',
    b"scripts", b'"args"', b'"command"', b"excerpt", b"bearer", b"tgp_v", b"github_pat_", b"ghp_", b'hf_', b"sk-",
    b"akia", b"\\u",
)  # fmt: skip
_URL_BYTES: Final = (b"://", rb":\/\/")
_URL_SECRET_BYTES: Final = (b"?", b"#", b"@")

_REPETITIVE_BYTES: Final = 2_000


def redact_text(text: str, *, secrets: Iterable[str] = ()) -> str:
    """Return `text` without the given secrets and without anything shaped like one, at most 500 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    for pattern in _TEXT_PATTERNS:
        text = pattern.sub(REDACTED, text)
    text = " ".join(text.split())
    if len(text) > MAX_TEXT_CHARACTERS:
        return text[: MAX_TEXT_CHARACTERS - 1] + "…"
    return text


def may_hold_secrets(body: bytes) -> bool:
    """Tell whether `body` names any secret-bearing field, so that a list of 10,000 clean items is not walked.

    A JSON body could spell a key with `\\u` escapes; any escape at all therefore counts as suspect.
    """
    lowered = body.lower()
    if len(lowered) >= _REPETITIVE_BYTES:
        # Lists say the same words over and over: what stands between quotes is looked through once.
        lowered = b'"%b"' % b'"'.join(set(lowered.split(b'"')))
    if any(suspect in lowered for suspect in _SUSPECT_BYTES):
        return True
    has_url = any(mark in lowered for mark in _URL_BYTES)
    return has_url and any(mark in lowered for mark in _URL_SECRET_BYTES)


def drop_secrets(value: Any, *, keeps_texts: bool = False) -> Any:
    """Return a copy of a decoded JSON value without secret-bearing fields; environment variables keep their names.

    Keys, tokens and the queries of URLs inside other texts are redacted too, unless `keeps_texts`: a model's answer
    is nobody's stored body and comes as it was written.
    """
    if isinstance(value, str):
        # PostgreSQL stores no NUL, neither in text nor in jsonb: one in a name must not stop the mirror.
        text = value.replace("\0", "\ufffd")
        return text if keeps_texts else _clean_value(text)
    if isinstance(value, list):
        return [drop_secrets(item, keeps_texts=keeps_texts) for item in value]
    if isinstance(value, Mapping):
        return {
            key: _clean_field(kind, item, keeps_texts=keeps_texts)
            for key, item in value.items()
            if not _is_dropped(kind := _judge_key(key), item)
        }
    return value


def _clean_value(text: str) -> str:
    if len(text) < _SHORTEST_SECRET and "://" not in text:
        return text
    if "://" in text:
        text = _URL_QUERY.sub(rf"\1?{REDACTED}", _URL_USER.sub("", text))
    return _VALUE_PATTERN.sub(REDACTED, text)


class _KeyKind(Enum):
    """What a field's name says of its value."""

    PLAIN = auto()
    DROPPED = auto()
    DROPPED_TEXT = auto()
    ENVIRONMENT = auto()
    COMMAND = auto()
    REDACTED_TEXT = auto()


@functools.lru_cache(maxsize=4_096)
def _judge_key(key: str) -> _KeyKind:
    # Remembered: bodies of clusters, which are walked every time, use a few dozen names thousands of times.
    name = key.replace("_", "").replace("-", "").lower()
    if name in _DROPPED_KEYS:
        return _KeyKind.DROPPED
    if name.endswith(_DROPPED_TEXT_ENDINGS):
        return _KeyKind.DROPPED_TEXT
    if name in _ENVIRONMENT_KEYS:
        return _KeyKind.ENVIRONMENT
    if name in _COMMAND_KEYS:
        return _KeyKind.COMMAND
    return _KeyKind.REDACTED_TEXT if name in _REDACTED_TEXT_KEYS else _KeyKind.PLAIN


def _is_dropped(kind: _KeyKind, value: Any) -> bool:
    return kind is _KeyKind.DROPPED or (kind is _KeyKind.DROPPED_TEXT and isinstance(value, str))


def _clean_field(kind: _KeyKind, value: Any, *, keeps_texts: bool) -> Any:
    if kind is _KeyKind.ENVIRONMENT:
        return _names_only(value)
    if kind is _KeyKind.COMMAND and isinstance(value, list):
        return [REDACTED for _ in value]
    if kind is _KeyKind.REDACTED_TEXT and isinstance(value, str):
        return redact_text(value)
    return drop_secrets(value, keeps_texts=keeps_texts)


def _names_only(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, REDACTED)
    if isinstance(value, list):
        return [{"name": item.get("name")} if isinstance(item, Mapping) else REDACTED for item in value]
    return REDACTED
