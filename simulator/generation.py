"""What a simulated model says: deterministic words, JSON that fits a schema, arguments for a tool.

A message `repeat: <text>` is answered with exactly that text, so that a test knows what to expect.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.identifiers import derive_number

_SENTENCES = (
    "The short answer is that it depends on how many requests arrive at the same time.",
    "In most cases one replica is enough until the queue grows.",
    "Measure first, then change one thing, then measure again.",
    "The deployment scales when its requests in flight stay above the target.",
    "Costs follow the replicas that are ready, not the requests that they serve.",
    "A stopped deployment costs nothing and has to be started by hand.",
    "Longer prompts move the time to the first token, longer answers move the total.",
    "Keep the traffic split explicit, because an empty one routes nothing.",
    "If the numbers disagree, trust the one that was measured closest to the bill.",
    "That is why idle hours at night are the first thing to look at.",
)
_REASONING = (
    "The user wants a clear answer.",
    "I should recall what is known and keep it brief.",
    "Two points matter here: load and cost.",
    "I will state the rule and one example.",
)


@dataclass(frozen=True)
class Answer:
    """One choice: pieces of reasoning, then pieces of content, or a tool call."""

    reasoning: tuple[str, ...]
    content: tuple[str, ...]
    tool_name: str | None
    tool_arguments: tuple[str, ...]
    finish_reason: str

    @property
    def tokens(self) -> int:
        return len(self.reasoning) + len(self.content) + len(self.tool_arguments)


def split_pieces(text: str) -> tuple[str, ...]:
    """Return text in word-sized pieces that join to the same text: the simulator's tokens."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


def count_prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """Return about a token per four characters, plus four for each message."""
    return sum(4 + len(_text_of(message)) // 4 for message in messages)


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def compose_answer(body: dict[str, Any], *, reasons: bool, choice: int) -> Answer:
    """Return what the model answers to a chat request, cut at `stop` and `max_tokens`."""
    messages = body["messages"]
    key = derive_number(orjson.dumps(messages), body.get("seed"), choice)
    thoughts = _think(body, key) if _wants_reasoning(body, reasons) else ()
    tool = _choose_tool(body, messages)
    limit = body.get("max_tokens") or 1024
    if tool is not None:
        arguments = orjson.dumps(make_example(tool.get("parameters") or {}, key)).decode()
        pieces = tuple(arguments[start : start + 8] for start in range(0, len(arguments), 8))
        return Answer(thoughts, (), tool["name"], pieces, "tool_calls")
    text = _write(body, messages, key)
    for stop in body.get("stop") or ():
        text = text.split(stop)[0] if stop else text
    thoughts = thoughts[:limit]
    pieces = split_pieces(text)
    room = limit - len(thoughts)
    finish = "length" if len(pieces) > room else "stop"
    return Answer(thoughts, pieces[:room], None, (), finish)


def _wants_reasoning(body: dict[str, Any], reasons: bool) -> bool:
    setting = body.get("reasoning")
    if isinstance(setting, dict) and "enabled" in setting:
        return bool(setting["enabled"])
    return reasons or body.get("reasoning_effort") in {"low", "medium", "high"}


def _think(body: dict[str, Any], key: int) -> tuple[str, ...]:
    count = {"low": 1, "medium": 2, "high": 4}.get(str(body.get("reasoning_effort")), 2)
    return split_pieces(" ".join(_REASONING[(key + step) % len(_REASONING)] for step in range(count)))


def _choose_tool(body: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the function to call: the named one, else the first, unless a tool has just answered."""
    tools = [tool["function"] for tool in body.get("tools") or () if isinstance(tool.get("function"), dict)]
    choice = body.get("tool_choice", "auto")
    if not tools or choice == "none":
        return None
    if isinstance(choice, dict):
        wanted = (choice.get("function") or {}).get("name")
        return next((tool for tool in tools if tool.get("name") == wanted), tools[0])
    if choice != "required" and messages[-1].get("role") == "tool":
        return None
    return tools[0]


def _write(body: dict[str, Any], messages: list[dict[str, Any]], key: int) -> str:
    asked = next((_text_of(m) for m in reversed(messages) if m.get("role") == "user"), "")
    response_format = body.get("response_format") or {}
    kind = response_format.get("type")
    if kind in {"json_schema", "json_object"}:
        described = response_format.get("json_schema") or {}
        schema = described.get("schema") or response_format.get("schema")
        return orjson.dumps(make_example(schema or {"properties": {"answer": {}}}, key)).decode()
    if asked.lower().startswith("repeat:"):
        return asked.partition(":")[2].strip()
    count = 3 + key % 6
    sentences = [_SENTENCES[(key // 7 + step) % len(_SENTENCES)] for step in range(count)]
    topic = " ".join(asked.split()[:12])
    return (f"About “{topic}”: " if topic else "") + " ".join(sentences)


def make_example(schema: Any, key: int) -> Any:
    """Return a value that fits a JSON schema (types, enum, const, required, nesting); an unknown shape gives text."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][key % len(schema["enum"])]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return make_example(schema[name][0], key)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object" or "properties" in schema:
        return {
            name: make_example(inner, key + 1) for name, inner in (schema.get("properties") or {}).items()
        }
    if kind == "array":
        return [make_example(schema.get("items") or {}, key + 2)] * max(1, int(schema.get("minItems", 1)))
    if kind == "integer":
        return int(schema.get("minimum", 0)) + key % 7
    if kind == "number":
        return float(schema.get("minimum", 0)) + (key % 70) / 10
    if kind == "boolean":
        return bool(key % 2)
    return None if kind == "null" else "example"
