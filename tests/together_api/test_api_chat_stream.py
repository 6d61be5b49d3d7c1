"""Chat streams as recorded (contract 11.1): order of chunks, joins, usage in both places, errors, TTFT."""

from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api.errors import (
    AuthenticationError,
    CallName,
    MalformedResponseError,
    RateLimitedError,
    StreamBrokenError,
)
from dashboard.together_api.stream import ChatDecoder
from tests.together_api.api_doubles import KEY, answering, async_client_for, client_for, error_answer

CALL = CallName(method="POST", path="/v1/chat/completions", template="/v1/chat/completions")


def sse(*objects: Any, done: bool = True) -> bytes:
    lines = [
        b"data: " + (item if isinstance(item, bytes) else orjson.dumps(item)) + b"\n\n" for item in objects
    ]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "text": "",
        "logprobs": None,
        "finish_reason": finish,
        "delta": {"token_id": None, **fields},
    }
    return {
        "id": "omJK5J1",
        "object": "chat.completion.chunk",
        "model": "m",
        "usage": None,
        "choices": [choice],
    }


USAGE = {
    "prompt_tokens": 75, "total_tokens": 105, "completion_tokens": 30, "reasoning_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 11},
}  # fmt: skip
RECORDED = sse(
    delta(role="assistant", content="", reasoning=None),
    delta(role="assistant", content="", reasoning="Short."),
    delta(role="assistant", content="Hel", reasoning=None),
    delta(role="assistant", content="lo ✓", reasoning=None),
    delta("stop", role="assistant", content="", reasoning=None),
    {"id": "omJK5J1", "object": "chat.completion.chunk", "choices": [], "model": "m", "usage": USAGE},
)


def decode(data: bytes, *, pieces: list[int] | None = None) -> ChatDecoder:
    decoder = ChatDecoder(call=CALL, request_id="req-1", secrets=(KEY,))
    cuts = sorted({0, len(data), *(cut % (len(data) + 1) for cut in pieces or [])})
    for step, (start, end) in enumerate(pairwise(cuts)):
        list(decoder.feed(data[start:end], at_seconds=float(step + 1)))
    list(decoder.finish(at_seconds=99.0))
    return decoder


def test_the_recorded_stream_is_read():
    summary = decode(RECORDED).summary

    assert (summary.content, summary.reasoning, summary.finish_reason) == ("Hello ✓", "Short.", "stop")
    assert (summary.id, summary.model, summary.role, summary.completed) == ("omJK5J1", "m", "assistant", True)
    assert summary.usage is not None
    assert (summary.usage.prompt_tokens, summary.usage.completion_tokens) == (75, 30)
    assert summary.usage.cached_prompt_tokens == 11


@given(st.lists(st.integers(0, 2_000), max_size=40))
def test_where_the_network_cuts_the_bytes_does_not_matter(pieces: list[int]):
    assert decode(RECORDED, pieces=pieces).summary.content == "Hello ✓"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_comments_event_lines_and_line_endings_do_not_matter(newline: bytes):
    data = b": keep-alive\n\nevent: message\nid: 1\n" + RECORDED

    assert decode(data.replace(b"\n", newline)).summary.content == "Hello ✓"


def test_the_role_chunk_is_no_token_and_the_first_text_is():
    decoder = ChatDecoder(call=CALL, request_id=None)
    list(decoder.feed(sse(delta(role="assistant", content="", reasoning=None), done=False), at_seconds=0.2))
    assert decoder.summary.ttft_seconds is None

    list(decoder.feed(sse(delta(content=None, reasoning="Hm"), done=False), at_seconds=0.7))
    list(decoder.feed(sse(delta(content="x"), done=False), at_seconds=0.9))

    assert decoder.summary.ttft_seconds == 0.7
    assert decoder.summary.elapsed_seconds == 0.9


def test_reasoning_content_is_the_same_as_reasoning():
    assert decode(sse(delta(content=None, reasoning_content="Hm"))).summary.reasoning == "Hm"


def test_older_streams_bring_usage_on_the_finish_chunk_and_the_last_usage_wins():
    early = {**delta("stop", content=""), "usage": {**USAGE, "completion_tokens": 1}}

    assert decode(sse(early)).summary.usage.completion_tokens == 1  # type: ignore[union-attr]
    assert decode(sse(early, {"choices": [], "usage": USAGE})).summary.usage.completion_tokens == 30  # type: ignore[union-attr]
    assert decode(sse(delta("stop", content="x"))).summary.usage is None


def test_tool_calls_are_joined_by_index_though_continuations_name_nothing():
    def call(index: float, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
        function = {"name": name, "arguments": arguments}
        return {"index": index, "id": call_id, "type": "function", "function": function}

    data = sse(
        delta(role="assistant", content=None, tool_calls=[call(0, "call_a", "find", "")]),
        delta(content=None, tool_calls=[call(0, None, None, '{"q":')]),
        delta(content=None, tool_calls=[call(1.0, "call_b", "open", "{}")]),
        delta(content=None, tool_calls=[call(0, None, None, ' "x"}')]),
        delta("tool_calls", content=""),
    )

    summary = decode(data).summary

    assert [(c.index, c.id, c.name, c.arguments) for c in summary.tool_calls] == [
        (0, "call_a", "find", '{"q": "x"}'),
        (1, "call_b", "open", "{}"),
    ]
    assert (summary.finish_reason, summary.ttft_seconds) == ("tool_calls", None)


@pytest.mark.parametrize(
    ("error", "message", "error_type", "code"),
    [
        (
            {"message": "overloaded", "type": "server_error", "code": "503"},
            "overloaded",
            "server_error",
            "503",
        ),
        ({"message": None}, "the provider sent an error without words", None, None),
        ("text", "text", None, None),
        ({"message": f"key {KEY}"}, "key [redacted]", None, None),
    ],
)
def test_an_error_object_in_the_stream_is_raised(error, message, error_type, code):
    decoder = ChatDecoder(call=CALL, request_id="req-1", secrets=(KEY,))

    with pytest.raises(StreamBrokenError) as caught:
        list(decoder.feed(sse(delta(content="Hel"), {"error": error}), at_seconds=1.0))

    assert (caught.value.message, caught.value.type, caught.value.code) == (message, error_type, code)
    assert caught.value.request_id == "req-1"
    assert decoder.summary.content == "Hel", "what came before the error stands"
    assert not decoder.summary.completed


def test_chunks_before_an_error_in_the_same_packet_reach_the_reader():
    data = sse(delta(content="Hel"), {"error": {"message": "x"}})
    received = []

    with client_for(answering(stream_answer(data))).stream_chat({"model": "m"}) as stream:
        chunks = iter(stream)
        received.append(next(chunks).content)
        with pytest.raises(StreamBrokenError):
            next(chunks)

    assert received == ["Hel"]


@pytest.mark.parametrize("data", [sse(delta(content="x"), done=False), b"", b"data: {"])
def test_a_stream_without_its_end_mark_has_failed(data: bytes):
    with pytest.raises((StreamBrokenError, MalformedResponseError)):
        decode(data)


@pytest.mark.parametrize("data", [b"data: not json\n\n", b"data: []\n\n", b"data: \xff\xfe\n\n"])
def test_chunks_that_are_no_objects_are_malformed(data: bytes):
    with pytest.raises(MalformedResponseError):
        decode(data)


def test_what_follows_the_end_mark_is_not_read():
    assert decode(RECORDED + b"data: garbage\n\n").summary.completed


@given(
    st.dictionaries(
        st.sampled_from(["choices", "usage", "id", "model", "x"]), st.none() | st.just([]) | st.just({})
    )
)
def test_odd_but_valid_chunks_never_break_a_stream(chunk: dict[str, Any]):
    assert decode(sse(chunk, delta(content="ok"))).summary.content == "ok"


def stream_answer(data: bytes, content_type: str = "text/event-stream;charset=utf-8") -> httpx.Response:
    return httpx.Response(200, headers={"content-type": content_type}, content=data)


def test_the_blocking_stream_sends_stream_true_and_yields_chunks():
    provider = answering(stream_answer(RECORDED))

    with client_for(provider).stream_chat({"model": "m", "messages": []}) as stream:
        chunks = list(stream)

    assert "".join(chunk.content for chunk in chunks) == "Hello ✓"
    assert stream.summary.completed
    (request,) = provider.requests
    assert str(request.url) == "https://api-inference.together.ai/v1/chat/completions"
    assert orjson.loads(request.content)["stream"] is True


async def test_the_async_stream_yields_the_same_chunks():
    async with (
        async_client_for(answering(stream_answer(RECORDED))) as client,
        client.stream_chat({"model": "m", "messages": []}) as stream,
    ):
        chunks = [chunk async for chunk in stream]

    assert "".join(chunk.reasoning for chunk in chunks) == "Short."
    assert stream.summary.ttft_seconds is not None


REFUSALS = pytest.mark.parametrize(
    ("answer", "error_class"),
    [(error_answer(401), AuthenticationError), (error_answer(429), RateLimitedError)],
)


@REFUSALS
def test_refusals_come_before_the_first_chunk_and_are_not_repeated(answer, error_class):
    provider = answering(answer)

    with pytest.raises(error_class), client_for(provider).stream_chat({"model": "m"}):
        pass

    assert len(provider.requests) == 1


@REFUSALS
async def test_async_refusals_are_the_same(answer, error_class):
    provider = answering(answer)

    with pytest.raises(error_class):
        async with async_client_for(provider).stream_chat({"model": "m"}):
            pass

    assert len(provider.requests) == 1


def test_an_answer_that_is_no_event_stream_is_malformed():
    provider = answering(stream_answer(b"<html>", "text/html"))

    with (
        pytest.raises(MalformedResponseError, match="expected an event stream"),
        client_for(provider).stream_chat({"model": "m"}),
    ):
        pass


def test_a_whole_answer_is_read_with_null_seed_and_reasoning():
    message = {"role": "assistant", "content": "Hello", "tool_calls": [], "reasoning": "Think"}
    choice = {"index": 0, "finish_reason": "stop", "seed": None, "logprobs": None, "message": message}
    body = {
        "id": "om",
        "model": "m",
        "prompt": [],
        "choices": [choice],
        "usage": USAGE,
        "metadata": {"v": "1"},
    }
    provider = answering(httpx.Response(200, json=body))

    answer = client_for(provider).complete_chat({"model": "m", "messages": []})

    assert (answer.summary.content, answer.summary.reasoning) == ("Hello", "Think")
    assert answer.summary.usage is not None
    assert answer.summary.ttft_seconds is None
    assert orjson.loads(provider.requests[0].content)["stream"] is False


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": None}])
def test_a_whole_answer_without_choices_is_malformed(body):
    with pytest.raises(MalformedResponseError):
        client_for(answering(httpx.Response(200, json=body))).complete_chat({"model": "m"})
