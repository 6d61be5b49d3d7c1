"""Time of the simulated world: the machine's clock, or one that stands still until it is told to move."""

import time
from datetime import UTC, datetime
from typing import Protocol

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

#: Where a virtual clock starts when nobody says: a Wednesday in office hours, so that runs repeat exactly.
VIRTUAL_START_MS = int(datetime(2026, 11, 18, 13, 49, tzinfo=UTC).timestamp()) * SECOND_MS


class Clock(Protocol):
    """Tells the time of the simulated world in whole milliseconds since 1970 (UTC)."""

    @property
    def is_virtual(self) -> bool: ...

    def now_ms(self) -> int: ...


class RealClock:
    """Follow the machine's clock."""

    is_virtual = False

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class VirtualClock:
    """Stand still until `advance` is called."""

    is_virtual = True

    def __init__(self, start_ms: int = VIRTUAL_START_MS) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, seconds: float) -> int:
        """Move forward and return the new time in milliseconds. Raises ValueError for a step backwards."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now_ms += round(seconds * SECOND_MS)
        return self._now_ms


def format_time(at_ms: int) -> str:
    """Return RFC 3339 in UTC, with a fraction only where there is one (the API sends both)."""
    moment = datetime.fromtimestamp(at_ms // SECOND_MS, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = at_ms % SECOND_MS
    return f"{moment}.{fraction:03d}Z" if fraction else f"{moment}Z"


def parse_time(text: str) -> int:
    """Return milliseconds since 1970; a time without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * SECOND_MS)
