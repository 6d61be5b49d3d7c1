"""Whole chat answers (contract section 11); streams are in `dashboard.together_api.chat`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.together_api.requests import ApiCall, Flow
from dashboard.together_api.stream import ChatSummary, read_choice, read_usage

CHAT_TEMPLATE = "/v1/chat/completions"


@dataclass(frozen=True)
class ChatAnswer:
    """A whole answer: `summary` for choice 0 (no TTFT), and the body as received."""

    summary: ChatSummary
    raw: Mapping[str, Any]


def chat_call(body: Mapping[str, Any], *, deadline_seconds: float | None) -> ApiCall:
    """Return the call of a chat completion."""
    return ApiCall(
        method="POST", template=CHAT_TEMPLATE, host="inference", body=body, deadline_seconds=deadline_seconds
    )


def complete_chat(body: Mapping[str, Any], *, deadline_seconds: float | None = None) -> Flow[ChatAnswer]:
    """Return a whole answer to `body` (`model`, `messages`, ...). It costs money: never repeated once sent."""
    reply = yield chat_call({**body, "stream": False}, deadline_seconds=deadline_seconds)
    raw = reply.json_object()
    choices = raw.get("choices")
    if not isinstance(choices, list) or not choices:
        raise reply.malformed("the answer has no choices")
    summary = ChatSummary(id=raw.get("id"), model=raw.get("model"))
    for choice in choices:
        if isinstance(choice, dict):
            summary.add(read_choice(choice), at_seconds=reply.elapsed_ms / 1000)
    summary.usage = read_usage(raw.get("usage"))
    summary.ttft_seconds = None
    summary.completed = True
    return ChatAnswer(summary=summary, raw=raw)
