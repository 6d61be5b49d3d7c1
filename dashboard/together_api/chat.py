"""Chat streams, driven over the blocking or the async transport.

    async with client.stream_chat({"model": name, "messages": [...]}) as stream:
        async for chunk in stream:
            ...                      # chunk.content, chunk.reasoning, chunk.tool_calls
    stream.summary                   # content, usage, finish_reason, ttft_seconds, tool_calls, completed

Leaving the block closes the response, whatever happened. A chat call costs money: it is never repeated once sent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from dashboard.together_api.calls.chat import chat_call
from dashboard.together_api.errors import ApiError, CallTimeoutError
from dashboard.together_api.exchange import CAUGHT_ERRORS, OpenAnswer, classify
from dashboard.together_api.requests import ApiCall
from dashboard.together_api.retries import FailureKind
from dashboard.together_api.stream import ChatChunk, ChatDecoder, ChatSummary
from dashboard.together_api.transport import AsyncTransport, SyncTransport


class _OpenStream:
    """What both streams share: the decoder, and the clock since the request was sent."""

    def __init__(self, answer: OpenAnswer, *, call: ApiCall, secrets: tuple[str, ...]) -> None:
        self.request_id = answer.reply.request_id
        self._answer = answer
        self._call = call
        self._decoder = ChatDecoder(call=call.name, request_id=self.request_id, secrets=secrets)
        if not answer.reply.headers.get("content-type", "").startswith("text/event-stream"):
            raise answer.reply.malformed("expected an event stream")

    @property
    def summary(self) -> ChatSummary:
        """What has arrived so far."""
        return self._decoder.summary

    def _seconds(self) -> float:
        return time.monotonic() - self._answer.sent_at

    def _broken_by(self, error: Exception) -> ApiError:
        failure = classify(error, deadline_passed=time.monotonic() >= self._answer.deadline_at)
        if failure.kind in {FailureKind.DEADLINE, FailureKind.READ_TIMEOUT}:
            return self._too_slow(failure.detail)
        return self._decoder.broken(failure.detail)

    def _too_slow(self, message: str) -> ApiError:
        return CallTimeoutError(
            message, call=self._call.name, request_id=self.request_id, outcome_unknown=True
        )


class ChatStream(_OpenStream):
    """Iterate to get chunks; ends normally only after `[DONE]`."""

    def __iter__(self) -> Iterator[ChatChunk]:
        try:
            for data in self._answer.response.iter_bytes():
                yield from self._decoder.feed(data, at_seconds=self._seconds())
                if self._decoder.done:
                    return
        except CAUGHT_ERRORS as error:
            raise self._broken_by(error) from error
        yield from self._decoder.finish(at_seconds=self._seconds())


class AsyncChatStream(_OpenStream):
    """Iterate with `async for` to get chunks; ends normally only after `[DONE]`."""

    async def __aiter__(self) -> AsyncIterator[ChatChunk]:
        pieces = self._answer.response.aiter_bytes()
        while True:
            # Around the read only: a timeout across a yield would fire inside the consumer's own code.
            scope = asyncio.timeout(self._answer.deadline_at - time.monotonic())
            try:
                async with scope:
                    data = await anext(pieces, None)
            except TimeoutError as error:
                if not scope.expired():
                    raise
                raise self._too_slow("the deadline of the answer has passed") from error
            except CAUGHT_ERRORS as error:
                raise self._broken_by(error) from error
            if data is None:
                for chunk in self._decoder.finish(at_seconds=self._seconds()):
                    yield chunk
                return
            for chunk in self._decoder.feed(data, at_seconds=self._seconds()):
                yield chunk
            if self._decoder.done:
                return


@contextmanager
def open_chat(
    transport: SyncTransport, body: Mapping[str, Any], *, deadline_seconds: float | None = None
) -> Iterator[ChatStream]:
    """Open a chat stream; raises ApiError before the first chunk for a refusal."""
    seconds = deadline_seconds or transport.config.stream_deadline_seconds
    call = chat_call({**body, "stream": True}, deadline_seconds=seconds)
    with transport.open(call) as answer:
        yield ChatStream(answer, call=call, secrets=(transport.config.api_key,))


@asynccontextmanager
async def open_chat_async(
    transport: AsyncTransport, body: Mapping[str, Any], *, deadline_seconds: float | None = None
) -> AsyncIterator[AsyncChatStream]:
    """Open a chat stream; raises ApiError before the first chunk for a refusal."""
    seconds = deadline_seconds or transport.config.stream_deadline_seconds
    call = chat_call({**body, "stream": True}, deadline_seconds=seconds)
    async with transport.open(call) as answer:
        yield AsyncChatStream(answer, call=call, secrets=(transport.config.api_key,))
