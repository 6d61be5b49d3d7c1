"""Remember what pages of lists said, by the hash of their bodies: most are the same at every pass of the mirror.

Of a page that comes again a reader knows, without decoding it, who is on it, whether they changed, and where the list
goes on. Kept are hashes, identities and what surrounds the entries, no entry. In this process only: another one reads
the page once itself.
"""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

LEAST_BYTES: Final = 4_000
"""Smaller bodies are decoded as fast as they are found again."""
MOST_ENTRIES: Final = 50_000
"""Entries remembered at once, some 200 bytes each; the pages remembered first go first."""

# Who reads it (the same body means something else to another class), and the hash of the body.
Key = tuple[type, bytes]


class Sighting(NamedTuple):
    """An entry of a list without its body; `identity` None: it has none that is text."""

    identity: str | None
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class RememberedPage:
    """What a page said; do not change `envelope`."""

    sightings: tuple[Sighting, ...]
    next_cursor: str | None
    envelope: Mapping[str, Any]


_lock: Final = threading.Lock()
_pages: Final[dict[Key, RememberedPage]] = {}
_entry_count = 0


def key_of(reader: type, body: bytes) -> Key | None:
    """Return what the page is remembered under, None when it is too small for that."""
    if len(body) < LEAST_BYTES:
        return None
    return reader, hashlib.blake2b(body, digest_size=16).digest()


def recall(key: Key | None) -> RememberedPage | None:
    """Return what the page said when it was read before, None when it was not or is forgotten."""
    return None if key is None else _pages.get(key)


def remember(key: Key, page: RememberedPage) -> None:
    """Keep what the page said, and forget the oldest beyond MOST_ENTRIES."""
    global _entry_count
    with _lock:
        if key in _pages:
            return
        _pages[key] = page
        _entry_count += len(page.sightings)
        while _entry_count > MOST_ENTRIES:
            oldest = next(iter(_pages))
            _entry_count -= len(_pages.pop(oldest).sightings)


def forget_all() -> None:
    """Forget every page, as a process that has just begun."""
    global _entry_count
    with _lock:
        _pages.clear()
        _entry_count = 0
