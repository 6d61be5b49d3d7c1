"""Requests per minute as a pure function of (seed, deployment, minute): office hours, nights, weekends, idle stretches.

Nothing here knows whether a replica was there to answer: `Workload` asks only about the minutes it served.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from simulator.clock import MINUTE_MS

_MASK = (1 << 64) - 1
HOURS_PER_WEEK = 168
#: Length of a burst; one in three stretches of this length has traffic.
BURST_MINUTES = 20
#: Hour of the week (0 = Monday 00:00) that every scenario's start is mapped to: Wednesday, 14:00.
START_HOUR_OF_WEEK = 2 * 24 + 14
#: 1970-01-01 was a Thursday.
_EPOCH_HOUR_OF_WEEK = 3 * 24

#: Share of the peak for each hour of a working day: nights are quiet, lunch dips, the afternoon is busiest.
_WORKDAY = (
    *(0.05, 0.04, 0.03, 0.03, 0.03, 0.05, 0.10, 0.28, 0.62, 0.85, 0.96, 0.93),
    *(0.78, 0.88, 1.00, 0.98, 0.90, 0.70, 0.42, 0.26, 0.18, 0.13, 0.09, 0.07),
)
_STEADY_DAY = tuple(0.55 + 0.45 * share for share in _WORKDAY)


class Usage(NamedTuple):
    """Counted traffic: requests (failed ones included), tokens, and failed requests."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failed: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Profile:
    """How busy one deployment is; all of it fixed when the scenario is built."""

    peak_per_minute: float = 0.0
    shape: str = "office"  # office | steady | bursts
    input_tokens: int = 900
    output_tokens: int = 220
    failed_per_mille: float = 1.0
    shift_hours: int = 0  # added to the real hour of the week, so that a demo started at night looks alive
    quiet_after_ms: int | None = None  # no request at or after this instant
    active_from_ms: int | None = None


QUIET = Profile()


@lru_cache(maxsize=8)
def _week_of(shape: str) -> tuple[float, ...]:
    if shape == "steady":
        return _STEADY_DAY * 7
    weekend = tuple(0.12 * share for share in _WORKDAY)
    return _WORKDAY * 5 + weekend * 2


def shift_to_office_hours(start_ms: int) -> int:
    """Return the hours to add so that `start_ms` falls on a Wednesday afternoon."""
    hour_of_week = (start_ms // (60 * MINUTE_MS) + _EPOCH_HOUR_OF_WEEK) % HOURS_PER_WEEK
    return (START_HOUR_OF_WEEK - hour_of_week) % HOURS_PER_WEEK


def mix(key: int, minute: int) -> int:
    """Return 64 well-mixed bits (splitmix64's finaliser)."""
    value = (key ^ (minute * 0x9E3779B97F4A7C15)) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _is_last_burst(profile: Profile, at_ms: int) -> bool:
    """Tell whether the profile is about to go quiet: the last burst ends then, so that "idle since" is known."""
    return profile.quiet_after_ms is not None and at_ms >= profile.quiet_after_ms - BURST_MINUTES * MINUTE_MS


def count_profile_minute(profile: Profile, *, key: int, minute: int) -> Usage:
    """Return what a profile sends within one minute (minutes since 1970)."""
    at_ms = minute * MINUTE_MS
    if profile.peak_per_minute <= 0 or (
        profile.quiet_after_ms is not None and at_ms + MINUTE_MS > profile.quiet_after_ms
    ):
        return NO_USAGE
    if profile.active_from_ms is not None and at_ms < profile.active_from_ms:
        return NO_USAGE
    hours, minute_of_hour = divmod(minute, 60)
    week = _week_of(profile.shape)
    hour = (hours + _EPOCH_HOUR_OF_WEEK + profile.shift_hours) % HOURS_PER_WEEK
    here, there = week[hour], week[(hour + 1) % HOURS_PER_WEEK]
    expected = profile.peak_per_minute * (here + (there - here) * minute_of_hour / 60)
    if (
        profile.shape == "bursts"
        and mix(key, minute // BURST_MINUTES) % 3
        and not _is_last_burst(profile, at_ms)
    ):
        return NO_USAGE
    bits = mix(key, minute)
    requests = int(expected * (0.75 + 0.5 * (bits & 0xFFFF) / 65536) + ((bits >> 16) & 0xFFFF) / 65536)
    if not requests:
        return NO_USAGE
    spread = 0.85 + 0.3 * ((bits >> 32) & 0xFFFF) / 65536
    failed = int(requests * profile.failed_per_mille / 1000 + ((bits >> 48) & 0xFFFF) / 65536)
    return Usage(
        requests,
        int(requests * profile.input_tokens * spread),
        int(requests * profile.output_tokens * spread),
        min(failed, requests) if profile.failed_per_mille else 0,
    )


def _instant(entry: tuple[int, Usage]) -> int:
    return entry[0]


@dataclass(slots=True)
class Traffic:
    """The traffic of one deployment: its profile plus what was really sent or injected."""

    key: int
    profile: Profile = QUIET
    injected: list[tuple[int, Usage]] = field(default_factory=list)  # (at_ms, …), oldest first
    _hours: dict[int, Usage] = field(default_factory=dict)
    _recent: dict[int, int] = field(default_factory=dict)  # the autoscaler sees each minute several times

    def count_minute(self, minute: int) -> Usage:
        """Return what the profile sends in one minute."""
        return count_profile_minute(self.profile, key=self.key, minute=minute)

    def count_all_requests(self, minute: int) -> int:
        """Return the requests of one minute, injected ones included."""
        known = self._recent.get(minute)
        if known is None:
            if len(self._recent) >= 64:
                self._recent.clear()
            known = self._recent[minute] = self.count_minute(minute).requests
        requests = known
        if self.injected:
            requests += self.count_injected(minute * MINUTE_MS, (minute + 1) * MINUTE_MS).requests
        return requests

    def count_injected(self, start_ms: int, end_ms: int) -> Usage:
        """Return what was sent or injected within `[start_ms, end_ms)`, to the millisecond."""
        total = NO_USAGE
        for position in range(bisect_left(self.injected, start_ms, key=_instant), len(self.injected)):
            at_ms, usage = self.injected[position]
            if at_ms >= end_ms:
                break
            total = total.plus(usage)
        return total

    def count_minutes(self, first: int, last: int) -> Usage:
        """Return what the profile sends in minutes `[first, last)`; whole hours are remembered."""
        total = NO_USAGE
        minute = first
        while minute < last:
            if minute % 60 == 0 and minute + 60 <= last:
                total = total.plus(self._count_hour(minute // 60))
                minute += 60
            else:
                total = total.plus(count_profile_minute(self.profile, key=self.key, minute=minute))
                minute += 1
        return total

    def _count_hour(self, hour: int) -> Usage:
        usage = self._hours.get(hour)
        if usage is None:
            usage = NO_USAGE
            for minute in range(hour * 60, hour * 60 + 60):
                usage = usage.plus(count_profile_minute(self.profile, key=self.key, minute=minute))
            self._hours[hour] = usage
        return usage

    def replace_profile(self, profile: Profile) -> None:
        self.profile = profile
        self._hours.clear()
        self._recent.clear()

    def inject(self, at_ms: int, usage: Usage) -> None:
        """Add requests at an instant (a chat completion, or a test)."""
        insort(self.injected, (at_ms, usage), key=_instant)

    def find_last_request(self, *, before_ms: int, not_before_ms: int) -> int | None:
        """Return when the last request was, in milliseconds; None = there was none in the range.

        Of the profile only the minute is known: the end of that minute counts, at most `before_ms`.
        """
        position = bisect_left(self.injected, before_ms, key=_instant) - 1
        last = self.injected[position][0] if position >= 0 else -1
        found = last if last >= not_before_ms else None
        if self.profile.peak_per_minute <= 0:
            return found
        minute = (before_ms - 1) // MINUTE_MS
        if self.profile.quiet_after_ms is not None:
            minute = min(minute, self.profile.quiet_after_ms // MINUTE_MS)
        floor = max(not_before_ms, found or 0) // MINUTE_MS
        while minute >= floor:
            if self.count_minute(minute).requests:
                return max(found or 0, min(before_ms, (minute + 1) * MINUTE_MS))
            minute -= 1
        return found
