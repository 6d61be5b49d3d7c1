"""Turn the bytes of a chat stream into typed chunks (contract 11.1), without any I/O.

`ChatDecoder` is fed bytes as they arrive; the drivers are in `chat`. A stream counts as whole only after `[DONE]`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pydantic import ValidationError

from dashboard.together_api.errors import ApiError, CallName, MalformedResponseError, StreamBrokenError
from dashboard.together_api.payloads.base import Payload

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
"""Longest line of a stream (our choice): a chunk is a few hundred bytes, a prompt echo may be large."""

_DONE: Final = "[DONE]"


class PromptTokensDetails(Payload):
    """Recorded in streams (contract 11.1); absent in the SDK's type."""

    cached_tokens: int | None = None


class ChatUsage(Payload):
    """SDK `chat.chat_completion_usage.ChatCompletionUsage`, with what recordings add; tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None

    @property
    def cached_prompt_tokens(self) -> int | None:
        """Prompt tokens served from the cache, wherever the body says it."""
        details = self.prompt_tokens_details
        return details.cached_tokens if details and details.cached_tokens is not None else self.cached_tokens


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call: the first carries id and name, continuations None and a piece of the arguments."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """One step of one choice; `content` and `reasoning` are "" where the step brings none.

    `index` is None for the chunk that only carries `usage`. `is_token` is True when it brings text (TTFT counts it).
    """

    index: int | None
    role: str | None = None
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: ChatUsage | None = None

    @property
    def is_token(self) -> bool:
        """True for the first and every further delta with non-empty content or reasoning."""
        return bool(self.content or self.reasoning)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole tool call; `arguments` is the model's text, usually JSON, not checked here."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass
class ChatSummary:
    """What a stream has brought so far for choice 0. `ttft_seconds` is None until the first token.

    Times are seconds since the request was sent. `completed` is True only after `[DONE]`.
    """

    id: str | None = None
    model: str | None = None
    role: str | None = None
    content: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: ChatUsage | None = None
    ttft_seconds: float | None = None
    elapsed_seconds: float = 0.0
    completed: bool = False
    _tool_calls: dict[int, ToolCall] = field(default_factory=dict)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls joined so far, in the order of their index."""
        return tuple(self._tool_calls[index] for index in sorted(self._tool_calls))

    def add(self, chunk: ChatChunk, *, at_seconds: float) -> None:
        """Take in a chunk that arrived `at_seconds` after the request was sent."""
        self.elapsed_seconds = at_seconds
        if chunk.is_token and self.ttft_seconds is None:
            self.ttft_seconds = at_seconds
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.index not in (0, None):
            return
        self.role = chunk.role or self.role
        self.content += chunk.content
        self.reasoning += chunk.reasoning
        self.finish_reason = chunk.finish_reason or self.finish_reason
        for delta in chunk.tool_calls:
            self._join(delta)

    def _join(self, delta: ToolCallDelta) -> None:
        known = self._tool_calls.get(delta.index) or ToolCall(delta.index, "", "", "")
        self._tool_calls[delta.index] = ToolCall(
            index=delta.index,
            id=known.id or delta.id or "",
            name=known.name or delta.name or "",
            arguments=known.arguments + delta.arguments,
        )


class ChatDecoder:
    """Bytes in, chunks out. Raises StreamBrokenError (error object, no `[DONE]`) and MalformedResponseError."""

    def __init__(self, *, call: CallName, request_id: str | None, secrets: tuple[str, ...] = ()) -> None:
        self.summary = ChatSummary()
        self._call = call
        self._request_id = request_id
        self._secrets = secrets
        self._buffer = bytearray()
        self._data_lines: list[str] = []

    @property
    def done(self) -> bool:
        """True after `[DONE]`; whatever follows is not read."""
        return self.summary.completed

    def feed(self, data: bytes, *, at_seconds: float) -> Iterator[ChatChunk]:
        """Yield the chunks completed by `data`, which arrived `at_seconds` after the request was sent.

        One by one, so that what precedes an error in the same packet still reaches the reader; iterate to the end.
        """
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        if len(rest) > MAX_LINE_BYTES:
            raise self._malformed("a line of the stream is too long")
        for line in lines:
            if self.done:
                return
            for chunk in self._accept_line(line.rstrip(b"\r")):
                self.summary.add(chunk, at_seconds=at_seconds)
                yield chunk

    def finish(self, *, at_seconds: float) -> Iterator[ChatChunk]:
        """Say that the connection ended and yield what was left; raises StreamBrokenError without `[DONE]`."""
        yield from self.feed(b"\n\n", at_seconds=at_seconds)
        if not self.done:
            raise self.broken("the stream ended before its end mark")

    def broken(self, message: str, *, error_type: str | None = None, code: str | None = None) -> ApiError:
        """Return the error for a stream that broke off."""
        return StreamBrokenError(
            message,
            call=self._call,
            code=code,
            error_type=error_type,
            request_id=self._request_id,
            outcome_unknown=True,
            secrets=self._secrets,
        )

    def _malformed(self, message: str) -> ApiError:
        return MalformedResponseError(
            message,
            call=self._call,
            request_id=self._request_id,
            outcome_unknown=True,
            secrets=self._secrets,
        )

    def _accept_line(self, line: bytes | bytearray) -> list[ChatChunk]:
        if line.startswith(b"data:"):
            try:
                text = line[5:].decode("utf-8")
            except UnicodeDecodeError as error:
                raise self._malformed("the stream is not UTF-8 text") from error
            self._data_lines.append(text.removeprefix(" "))
            return []
        if line or not self._data_lines:
            return []  # comments, event: and id: lines carry nothing for us
        data = "\n".join(self._data_lines)
        self._data_lines.clear()
        if data.startswith(_DONE):
            self.summary.completed = True
            return []
        return self._accept_data(data)

    def _accept_data(self, data: str) -> list[ChatChunk]:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._malformed("a chunk of the stream is not JSON") from error
        if not isinstance(value, dict):
            raise self._malformed("a chunk of the stream is no JSON object")
        error_body = value.get("error")
        if error_body:
            raise self._error_in_stream(error_body)
        self.summary.id = value.get("id") or self.summary.id
        self.summary.model = value.get("model") or self.summary.model
        usage = read_usage(value.get("usage"))
        choices = [choice for choice in value.get("choices") or () if isinstance(choice, dict)]
        if not choices:
            return [ChatChunk(index=None, usage=usage)] if usage else []
        chunks = [read_choice(choice) for choice in choices]
        if usage is not None:
            chunks.append(ChatChunk(index=None, usage=usage))
        return chunks

    def _error_in_stream(self, error: Any) -> ApiError:
        if not isinstance(error, dict):
            return self.broken(str(error))

        def text(name: str) -> str | None:
            value = error.get(name)
            return None if value is None else str(value)

        message = text("message") or "the provider sent an error without words"
        return self.broken(message, error_type=text("type"), code=text("code"))


def read_choice(choice: dict[str, Any]) -> ChatChunk:
    """Return the chunk in one entry of `choices`, whether a stream's `delta` or a whole answer's `message`."""
    delta = choice.get("delta") or choice.get("message") or {}
    index = choice.get("index")
    return ChatChunk(
        index=index if isinstance(index, int) else 0,
        role=_text(delta.get("role")) or None,
        content=_text(delta.get("content")),
        reasoning=_text(delta.get("reasoning")) or _text(delta.get("reasoning_content")),
        tool_calls=tuple(
            _read_tool_call(position, raw)
            for position, raw in enumerate(delta.get("tool_calls") or ())
            if isinstance(raw, dict)
        ),
        finish_reason=_text(choice.get("finish_reason")) or None,
    )


def read_usage(raw: Any) -> ChatUsage | None:
    """Return the usage block, None when there is none or it cannot be read: unknown beats a lost answer."""
    if not isinstance(raw, dict):
        return None
    try:
        return ChatUsage.model_validate(raw)
    except ValidationError:
        return None


def _read_tool_call(position: int, raw: dict[str, Any]) -> ToolCallDelta:
    function = raw.get("function") or {}
    index = raw.get("index")
    return ToolCallDelta(
        # The SDK types the index as a float.
        index=int(index) if isinstance(index, int | float) else position,
        id=_text(raw.get("id")) or None,
        name=_text(function.get("name")) or None,
        arguments=_text(function.get("arguments")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
