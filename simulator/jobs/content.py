"""What is in a file: the bytes that were uploaded, or lines that a seed makes up."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

_CHUNK_BYTES: Final = 256 * 1024
_WORDS: Final = (
    *("please", "check", "the", "contract", "clause", "about", "termination", "and", "notice", "period"),
    *("customer", "asks", "for", "refund", "of", "invoice", "summary", "meeting", "delivery", "delayed"),
    *("which", "supplier", "offers", "parts", "in", "stock", "answer", "short", "with", "sources"),
)


@dataclass(frozen=True)
class Uploaded:
    """Bytes that a client sent."""

    raw: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.raw)

    def count_lines(self) -> int:
        return len(self.raw.splitlines())

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.raw), _CHUNK_BYTES):
            yield self.raw[start : start + _CHUNK_BYTES]


@dataclass(frozen=True)
class Sample:
    """Made-up JSON lines of an exact number and size, the same for the same seed."""

    shape: str  # conversation | instruction | preference | batch | rows | answers
    lines: int
    size_bytes: int
    seed: str

    def count_lines(self) -> int:
        return self.lines

    def chunks(self) -> Iterator[bytes]:
        length, rest = divmod(self.size_bytes, self.lines)
        parts: list[bytes] = []
        waiting = 0
        for number in range(self.lines):
            line = self._line(number, length + (rest if number == self.lines - 1 else 0))
            parts.append(line)
            waiting += len(line)
            if waiting >= _CHUNK_BYTES:
                yield b"".join(parts)
                parts, waiting = [], 0
        yield b"".join(parts)

    def _line(self, number: int, length: int) -> bytes:
        empty = orjson.dumps(self._record(number, ""))
        room = max(0, length - len(empty) - 1)
        return orjson.dumps(self._record(number, self._text(number, room))) + b"\n"

    def _text(self, number: int, length: int) -> str:
        digest = blake2b(f"{self.seed}/{number}".encode(), digest_size=32).digest()
        phrase = " ".join(_WORDS[byte % len(_WORDS)] for byte in digest)
        return (phrase * (length // len(phrase) + 1))[:length]

    def _record(self, number: int, text: str) -> dict[str, object]:
        asked = {"role": "user", "content": text}
        match self.shape:
            case "conversation":
                return {"messages": [asked, {"role": "assistant", "content": "Understood."}]}
            case "preference":
                kinds = (("preferred_output", "Yes, gladly."), ("non_preferred_output", "No."))
                outputs = {name: [{"role": "assistant", "content": said}] for name, said in kinds}
                return {"input": {"messages": [asked]}, **outputs}
            case "batch":
                return {
                    "custom_id": f"request-{number + 1}",
                    "body": {"messages": [asked], "max_tokens": 256},
                }
            case "answers":
                reply = {"choices": [{"message": {"role": "assistant", "content": text}}]}
                return {"custom_id": f"request-{number + 1}", "response": {"status_code": 200, "body": reply}}
            case "rows":
                return {"row": number + 1, "prompt": text}
            case _:
                return {"prompt": text, "completion": "Understood."}


Content = Uploaded | Sample
