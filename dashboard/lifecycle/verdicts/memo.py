"""What an act of several writes remembers between two looks: the column `made`. Frozen data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self


def name_write(act: str, subject: str = "") -> str:
    """Return the name under which a write is remembered: the act, and the part it is about if there are several."""
    return f"{act}:{subject}" if subject else act


@dataclass(frozen=True, slots=True)
class Memo:
    """The writes that may have reached the provider, and what is known to have come of them.

    `ids` are remote ids of what was made (``endpoint``, ``deployment``, ``volume``, ``model``, ``upload``). `sends`
    counts each write (`name_write`), written before the call leaves; a refusal that left nothing behind for certain
    takes it back. `last` is the newest write, the one that Order.last_sent_at and answered_at speak of. `marks` are
    facts seen once: ``validated``, ``split``, ``down:<id>``.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    sends: Mapping[str, int] = field(default_factory=dict)
    last: str = ""
    marks: frozenset[str] = frozenset()

    @classmethod
    def read(cls, made: Mapping[str, Any]) -> Self:
        """Return the memo of a row; {} is the empty one."""
        return cls(
            ids=dict(made.get("ids") or {}),
            sends=dict(made.get("sends") or {}),
            last=made.get("last") or "",
            marks=frozenset(made.get("marks") or ()),
        )

    def write(self) -> dict[str, Any]:
        """Return it as a row keeps it."""
        return {
            "ids": dict(self.ids),
            "sends": dict(self.sends),
            "last": self.last,
            "marks": sorted(self.marks),
        }

    def count(self, act: str, subject: str = "") -> int:
        """Return how often the write may have reached the provider."""
        return self.sends.get(name_write(act, subject), 0)

    def note_send(self, act: str, subject: str = "") -> "Memo":
        """Return it with one more sending of the write."""
        name = name_write(act, subject)
        return replace(self, sends={**self.sends, name: self.sends.get(name, 0) + 1}, last=name)

    def note_made(self, ids: Mapping[str, str], marks: Iterable[str] = ()) -> "Memo":
        """Return it with what an answer or a read told."""
        if not ids and self.marks.issuperset(marks):
            return self
        return replace(self, ids={**self.ids, **ids}, marks=self.marks | set(marks))
