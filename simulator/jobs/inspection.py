"""What the validation of an uploaded training file finds: format, number of lines, the first mistake."""

import csv
from dataclasses import dataclass
from typing import Any, Final

import orjson

#: Columns that make a format (the SDK's own check names them) -> the format's name in the report.
_FORMATS: Final = (
    (frozenset({"messages"}), "CONVERSATION"),
    (frozenset({"prompt", "completion"}), "INSTRUCTION"),
    (frozenset({"input", "preferred_output", "non_preferred_output"}), "PREFERENCE_OPENAI"),
    (frozenset({"text"}), "GENERAL"),
)
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})


@dataclass(frozen=True)
class Findings:
    """Result of an inspection; `error` None = valid."""

    lines: int
    dataset_format: str | None = None
    error: str | None = None
    has_tools: bool = False
    has_reasoning: bool = False
    is_multimodal: bool = False

    @property
    def valid(self) -> bool:
        return self.error is None


def inspect_training_file(raw: bytes, *, file_type: str) -> Findings:
    """Return what a training file holds. A parquet file is taken as it is: its lines are not counted."""
    if not raw:
        return Findings(0, error="The file is empty.")
    if file_type == "parquet":
        return Findings(0, dataset_format="TOKENIZED")
    if file_type == "csv":
        return _inspect_csv(raw)
    return _inspect_lines(raw)


def _inspect_csv(raw: bytes) -> Findings:
    try:
        rows = list(csv.DictReader(raw.decode().splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        return Findings(0, error=f"The file is not CSV: {error}")
    dataset_format = _format_of(rows[0]) if rows else None
    if dataset_format is None:
        return Findings(len(rows), error="The file lacks the columns of a known format.")
    return Findings(len(rows), dataset_format)


def _inspect_lines(raw: bytes) -> Findings:
    lines = raw.splitlines()
    dataset_format: str | None = None
    tools = reasoning = multimodal = False
    for number, line in enumerate(lines, start=1):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return Findings(len(lines), error=f"Line {number} is not valid JSON.")
        found = _format_of(record) if isinstance(record, dict) else None
        if found is None:
            return Findings(len(lines), error=f"Line {number} lacks the columns of a known format.")
        if dataset_format not in {None, found}:
            return Findings(
                len(lines), error=f"Line {number} is {found}, the lines before are {dataset_format}."
            )
        dataset_format = found
        if found == "CONVERSATION":
            messages = record["messages"]
            if not _are_messages(messages):
                return Findings(len(lines), found, f"Line {number}: messages need a known role and content.")
            tools = tools or "tools" in record or any("tool_calls" in message for message in messages)
            reasoning = reasoning or any("reasoning" in message for message in messages)
            multimodal = multimodal or any(isinstance(message.get("content"), list) for message in messages)
    return Findings(
        len(lines), dataset_format, has_tools=tools, has_reasoning=reasoning, is_multimodal=multimodal
    )


def _format_of(record: dict[str, Any]) -> str | None:
    return next((name for columns, name in _FORMATS if columns <= record.keys()), None)


def _are_messages(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(message, dict)
            and message.get("role") in _ROLES
            and ("content" in message or "tool_calls" in message)
            for message in messages
        )
    )


def inspect_batch_file(raw: bytes) -> Findings:
    """Return the number of requests of a batch input file, or its first mistake."""
    lines = raw.splitlines()
    if not lines:
        return Findings(0, error="The input file is empty.")
    for number, line in enumerate(lines, start=1):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return Findings(len(lines), error=f"Line {number} is not valid JSON.")
        if not isinstance(record, dict) or "custom_id" not in record or "body" not in record:
            return Findings(len(lines), error=f"Line {number} needs custom_id and body.")
    return Findings(len(lines), "BATCH")
