"""Times as text. Pure; ``now`` is always an argument. static/js/ticker.js prints the same words in the page.

Durations read ``47 min`` and ``1 h 52 min``, countdowns ``15:29``, ages ``18 s ago``; clocks are UTC.
"""

from datetime import UTC, datetime, timedelta

MINUTE = 60  # seconds
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Ages of mirrored data: the design language, "States". The ticker in the browser reads them from the page.
LATE_AFTER = timedelta(minutes=2)
STALE_AFTER = timedelta(minutes=5)


def format_duration(duration: timedelta) -> str:
    """Return a duration in its two largest units: ``18 s``, ``47 min``, ``6 h 01 min``, ``4 d 3 h``.

    Seconds are dropped from a minute on; negative durations (clocks that disagree) read as ``0 s``.
    """
    seconds = _whole_seconds(duration)
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        hours, rest = divmod(seconds, HOUR)
        return f"{hours} h {rest // MINUTE:02} min"
    days, rest = divmod(seconds, DAY)
    return f"{days} d {rest // HOUR} h" if rest >= HOUR else f"{days} d"


def format_exact(duration: timedelta) -> str:
    """Return a duration with its seconds below an hour: ``8 min 29 s``; above as ``format_duration``."""
    seconds = _whole_seconds(duration)
    if MINUTE <= seconds < HOUR and seconds % MINUTE:
        return f"{seconds // MINUTE} min {seconds % MINUTE} s"
    return format_duration(duration)


def format_age(duration: timedelta) -> str:
    """Return a duration in its largest unit alone: ``18 s``, ``2 min``, ``6 h``, ``15 d``."""
    seconds = _whole_seconds(duration)
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def format_ago(at: datetime, *, now: datetime) -> str:
    """Return how long ago ``at`` was: ``18 s ago``; ``now`` within a second or in the future."""
    age = now - at
    return "now" if age < timedelta(seconds=1) else f"{format_age(age)} ago"


def format_countdown(duration: timedelta) -> str:
    """Return time left as ``15:29`` or ``1:10:29``; ``due`` when nothing is left; days from 24 h on."""
    seconds = _whole_seconds(duration)
    if not seconds:
        return "due"
    if seconds >= DAY:
        return format_duration(duration)
    hours, rest = divmod(seconds, HOUR)
    minutes, seconds = divmod(rest, MINUTE)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def format_clock(at: datetime) -> str:
    """Return the UTC time of day to the second: ``13:49:13``."""
    return f"{at.astimezone(UTC):%H:%M:%S}"


def format_moment(at: datetime, *, now: datetime) -> str:
    """Return a UTC time as said beside ``now``: ``13:02`` today, else ``17 Nov 21:31`` or ``3 Dec 2025``."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    if at.date() == now.date():
        return f"{at:%H:%M}"
    if at.year == now.year:
        return f"{at.day} {at:%b %H:%M}"
    return f"{at.day} {at:%b %Y}"


def format_absolute(at: datetime) -> str:
    """Return the full UTC time, for titles: ``2026-11-18 13:02:07 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _whole_seconds(duration: timedelta) -> int:
    return max(0, int(duration.total_seconds()))
