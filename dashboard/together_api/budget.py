"""How many requests one connection may send: free until the API says 429, then careful, then free again.

The management API documents no limit (contract 1.6, 16), so none is invented: requests pass unhindered until the
first 429. From then on a token bucket holds them at a rate found by additive increase and multiplicative decrease,
starting at half of what was being sent, and it is lifted after a quiet spell. Calls with priority "stop" have a small
bucket of their own that ordinary calls cannot drain, and a pause asked for by a 429 does not hold them (fault 1).

Limits: the budget lives in one process. Several workers of one connection each learn on their own; together they
may briefly send more than one of them would. The clock is injected; methods are thread-safe, never sleep and never
block beyond a short lock, so they serve threads and event loops alike.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dashboard.together_api.requests import Priority


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """Numbers of the budget; all our choice, sized for a sync of 1,000 endpoints every 30 s."""

    floor_per_second: float = 0.5
    """Slowest rate that 429s can push us to."""
    decrease_factor: float = 0.5
    increase_per_second: float = 0.5
    """Rate gained per second without a 429."""
    lift_after_seconds: float = 120.0
    """Without a 429 for this long the limit is lifted altogether."""
    burst: float = 5.0
    """Requests that may go at once while limited."""
    settle_seconds: float = 1.0
    """429s within this time of a decrease are echoes of the same overload and do not decrease again."""
    pause_seconds: float = 1.0
    """Pause after a 429 that names none."""
    longest_pause_seconds: float = 60.0
    window_seconds: float = 10.0
    """How far back the rate being sent is measured."""
    stop_burst: float = 5.0
    """Stops that may go at once while limited, whatever else is going on."""
    stop_per_second: float = 0.5


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A look at the budget, for pages and tests; `rate_per_second` is None while nothing limits us."""

    rate_per_second: float | None
    paused_for_seconds: float
    limited_count: int


class _Bucket:
    """Token bucket that lends: a reservation may take it below zero and says how long to wait."""

    def __init__(self, *, burst: float) -> None:
        self.burst = burst
        self.tokens = burst
        self.updated_at = 0.0

    def refill(self, now: float, *, rate_per_second: float) -> None:
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.updated_at) * rate_per_second)
        self.updated_at = max(now, self.updated_at)

    def take(self, now: float, *, rate_per_second: float) -> float:
        self.refill(now, rate_per_second=rate_per_second)
        self.tokens -= 1.0
        return 0.0 if self.tokens >= 0 else -self.tokens / rate_per_second


class RequestBudget:
    """The budget of one connection in this process; `now` is any monotonic clock in seconds."""

    def __init__(self, policy: BudgetPolicy | None = None) -> None:
        self.policy = policy or BudgetPolicy()
        self._lock = threading.Lock()
        self._sent: deque[float] = deque(maxlen=10_000)
        self._rate: float | None = None
        self._changed_at = 0.0
        self._limited_at = 0.0
        self._paused_until = 0.0
        self._limited_count = 0
        self._normal = _Bucket(burst=self.policy.burst)
        self._stops = _Bucket(burst=self.policy.stop_burst)

    def reserve(self, priority: Priority, *, now: float, patience_seconds: float) -> float | None:
        """Take one request and return the seconds to wait before sending it, None when that exceeds the patience.

        A None takes nothing.
        """
        with self._lock:
            self._recover(now)
            if self._rate is None:
                self._sent.append(now)
                return 0.0
            if priority == "stop":
                return self._reserve_stop(now, patience_seconds=patience_seconds)
            return self._reserve_normal(now, rate=self._rate, patience_seconds=patience_seconds)

    def note_success(self, *, now: float) -> None:
        """Tell the budget that an answer other than 429 came; recovery is a matter of time, this keeps it current."""
        with self._lock:
            self._recover(now)

    def note_limited(self, *, now: float, retry_after_seconds: float | None) -> None:
        """Tell the budget about a 429: slow down once per overload, and pause ordinary calls."""
        policy = self.policy
        with self._lock:
            self._recover(now)
            self._limited_count += 1
            pause = policy.pause_seconds if retry_after_seconds is None else retry_after_seconds
            pause = min(max(pause, 0.0), policy.longest_pause_seconds)
            self._paused_until = max(self._paused_until, now + pause)
            is_echo = self._rate is not None and now - self._limited_at < policy.settle_seconds
            if not is_echo:
                current = self._measured_rate(now) if self._rate is None else self._rate
                if self._rate is None:
                    self._normal = _Bucket(burst=policy.burst)
                    self._stops = _Bucket(burst=policy.stop_burst)
                    self._normal.tokens = 0.0
                    self._normal.updated_at = self._stops.updated_at = now
                self._rate = max(policy.floor_per_second, current * policy.decrease_factor)
                self._limited_at = now
            self._changed_at = now

    def look(self, *, now: float) -> BudgetState:
        """Return the state at `now`."""
        with self._lock:
            self._recover(now)
            return BudgetState(
                rate_per_second=self._rate,
                paused_for_seconds=max(0.0, self._paused_until - now),
                limited_count=self._limited_count,
            )

    def _reserve_stop(self, now: float, *, patience_seconds: float) -> float | None:
        wait = self._stops.take(now, rate_per_second=self.policy.stop_per_second)
        if wait > patience_seconds:
            self._stops.tokens += 1.0
            return None
        # The sum of both kinds is what the API sees: ordinary calls pay for stops, never the reverse.
        self._normal.tokens -= 1.0
        self._sent.append(now + wait)
        return wait

    def _reserve_normal(self, now: float, *, rate: float, patience_seconds: float) -> float | None:
        wait = self._normal.take(now, rate_per_second=rate)
        wait = max(wait, self._paused_until - now, 0.0)
        if wait > patience_seconds:
            self._normal.tokens += 1.0
            return None
        self._sent.append(now + wait)
        return wait

    def _recover(self, now: float) -> None:
        if self._rate is None:
            return
        if now - max(self._limited_at, self._paused_until) >= self.policy.lift_after_seconds:
            self._rate = None
            return
        quiet_since = max(self._changed_at, self._paused_until)
        if now > quiet_since:
            # Refill at the old rate first, else the past would be paid at the new one.
            self._normal.refill(now, rate_per_second=self._rate)
            self._rate += (now - quiet_since) * self.policy.increase_per_second
            self._changed_at = now

    def _measured_rate(self, now: float) -> float:
        start = now - self.policy.window_seconds
        recent = [moment for moment in self._sent if moment >= start]
        if not recent:
            return self.policy.floor_per_second
        return len(recent) / max(now - min(recent), 1.0)


_budgets: dict[str, RequestBudget] = {}
_budgets_lock: Final = threading.Lock()


def budget_for(connection_key: str, *, create: Callable[[], RequestBudget] = RequestBudget) -> RequestBudget:
    """Return this process's budget of a connection, so that all its clients share one."""
    with _budgets_lock:
        if connection_key not in _budgets:
            _budgets[connection_key] = create()
        return _budgets[connection_key]
