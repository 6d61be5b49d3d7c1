"""How far a job is, as a share and in words. Pure.

The provider's share and its seconds are taken first; from the pace so far the rest is reckoned, and then the words
say "about". Nothing is made up where neither is known.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.core import durations, status
from dashboard.core.status import Status

# A pace that was measured over less than this share says nothing yet.
LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Told:
    """What is mirrored of a job's progress; `observed_at` is when it was so. None = not told.

    `started_at` and `seconds_remaining` speak of the present stage (contract section 6), `share` of the whole job.
    """

    share: float | None
    seconds_remaining: int | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """`share` (0 to 1) fills the bar, None = no bar. `words` stand beside it, `due` under it."""

    share: float | None
    words: str
    due: str = ""
    title: str = ""
    is_moving: bool = False

    @property
    def percent(self) -> int:
        """The share in whole percent, 0 when there is none; full only when all is done."""
        share = self.share or 0.0
        return 100 if share >= 1 else min(99, int(share * 100))


def describe_progress(told: Told, *, meaning: Status, now: datetime) -> Progress:
    """Return the bar and the words of one job."""
    if not meaning.is_moving:
        return Progress(share=told.share, words=_describe_end(told, meaning))
    due = _describe_deadline(told, now=now)
    if meaning is status.QUEUED:
        since = told.created_at
        words = f"queued for {durations.format_duration(now - since)}" if since else "queued"
        return Progress(share=None, words=words, due=due, is_moving=True)
    end, is_reckoned = _expect_end(told)
    share = told.share if told.share is not None else _share_of_time(told, end, now=now)
    parts = []
    if share is not None:
        shown = Progress(share=share, words="").percent
        parts.append(f"{shown}%" if told.share is not None else f"about {shown}% of this stage")
    if end is not None:
        left = end - now
        parts.append(
            f"about {durations.format_duration(left)} left" if left > timedelta(0) else "longer than expected"
        )
    elif not parts and (since := told.started_at or told.created_at):
        parts.append(f"for {durations.format_duration(now - since)}")
    title = ""
    if end is not None:
        title = "Reckoned from its pace so far" if is_reckoned else "The provider's own estimate"
    return Progress(share=share, words=", ".join(parts) or "under way", due=due, title=title, is_moving=True)


def _expect_end(told: Told) -> tuple[datetime | None, bool]:
    """Return when it should end, and whether that was reckoned rather than told."""
    if told.seconds_remaining is not None:
        return told.observed_at + timedelta(seconds=told.seconds_remaining), False
    start = told.started_at or told.created_at
    if told.share is None or start is None or not LEAST_SHARE <= told.share < 1 or told.observed_at <= start:
        return None, False
    spent = told.observed_at - start
    return start + spent / told.share, True


def _share_of_time(told: Told, end: datetime | None, *, now: datetime) -> float | None:
    start = told.started_at
    if start is None or end is None or end <= start:
        return None
    return min(max((now - start) / (end - start), 0.0), 0.99)


def _describe_deadline(told: Told, *, now: datetime) -> str:
    if told.expires_at is None:
        return ""
    left = told.expires_at - now
    if left <= timedelta(0):
        return f"was due {durations.format_ago(told.expires_at, now=now)}"
    return f"due in {durations.format_duration(left)}"


def _describe_end(told: Told, meaning: Status) -> str:
    start, end = told.created_at or told.started_at, told.finished_at
    if start is None or end is None or end < start:
        return ""
    took = durations.format_duration(end - start)
    return f"took {took}" if meaning is status.COMPLETED else f"after {took}"
