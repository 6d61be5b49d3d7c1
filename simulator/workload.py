"""One running thing (a v2 deployment or a v1 endpoint) as a timeline that is extended only when somebody looks.

Ten thousand of them cost nothing while nobody asks: `advance` plays what was due since the last look.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from simulator import lifecycle
from simulator.clock import MINUTE_MS
from simulator.lifecycle import Durations, Phase
from simulator.traffic import NO_USAGE, Traffic, Usage

#: The autoscaler looks at traffic this often (milliseconds).
AUTOSCALE_EVERY_MS = 2 * MINUTE_MS
FOREVER_MS = 1 << 62
#: A replica is given up only if the rest could take this much more traffic; else it would come and go.
SCALE_DOWN_MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class Pace:
    """Durations before and after the scenario's start: the past is played at real length, the present at `--speed`."""

    start_ms: int
    past: Durations
    present: Durations

    def at(self, at_ms: int) -> Durations:
        return self.present if at_ms >= self.start_ms else self.past


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch `[start_ms, end_ms)` with a constant number of ready replicas."""

    start_ms: int
    end_ms: int
    ready: int


@dataclass
class Workload:
    """State of one deployment over time, with the settings that drive it."""

    pace: Pace
    traffic: Traffic
    min_replicas: int
    max_replicas: int
    replica_capacity: float = 120.0  # requests per minute that one replica takes
    scale_down_window_ms: int = 5 * MINUTE_MS
    idle_limit_ms: int | None = None  # of inactiveTimeout and scaleToZeroWindow the shorter; None = never
    stop_behaviour: str = lifecycle.STOP_NORMAL
    starts_get_stuck: bool = False
    timeline: list[Phase] = field(default_factory=list)
    pending: deque[Phase] = field(default_factory=deque)
    checked_ms: int = 0  # the autoscaler's last look
    _idle_due: tuple[int, int, int] = (
        -1,
        -1,
        -1,
    )  # (checked_ms, idle_limit_ms) it holds for, and the due time

    @property
    def present(self) -> Phase:
        return self.timeline[-1]

    @property
    def state(self) -> str:
        return self.timeline[-1].state

    def next_change_ms(self) -> int:
        """Return when something happens by itself; FOREVER_MS = never."""
        if self.pending:
            return self.pending[0].at_ms
        if self.state != lifecycle.READY:
            return FOREVER_MS
        due = FOREVER_MS
        if self.max_replicas > self.min_replicas:
            due = self.checked_ms - self.checked_ms % AUTOSCALE_EVERY_MS + AUTOSCALE_EVERY_MS
        if self.idle_limit_ms is not None:
            due = min(due, self._next_idle_check_ms(self.idle_limit_ms))
        return due

    def note_settings(self, at_ms: int) -> None:
        """Let changed settings count from now on: nothing is decided for a time before they were made."""
        self.checked_ms = max(self.checked_ms, at_ms)

    def _next_idle_check_ms(self, limit_ms: int) -> int:
        """Return when to look again; a request in between only postpones the stop at that look."""
        checked_ms, known_limit_ms, due_ms = self._idle_due
        if (checked_ms, known_limit_ms) != (self.checked_ms, limit_ms):
            due_ms = max(self.idle_since_ms(self.checked_ms) + limit_ms, self.checked_ms + 1)
            self._idle_due = (self.checked_ms, limit_ms, due_ms)
        return due_ms

    def advance(self, now_ms: int) -> None:
        """Play everything that was due until `now_ms`."""
        while (due := self.next_change_ms()) <= now_ms:
            if self.pending:
                self.enter(self.pending.popleft())
            else:
                self._decide(due)

    def enter(self, phase: Phase) -> None:
        """Append a phase, which is now the present one."""
        self.timeline.append(phase)
        self.checked_ms = max(self.checked_ms, phase.at_ms)

    def follow(self, plan: Iterable[Phase]) -> None:
        """Drop what was planned and follow a new plan; its first phase holds at once. An empty plan changes nothing."""
        phases = deque(plan)
        if not phases:
            return
        self.pending.clear()
        self.enter(phases.popleft())
        self.pending.extend(phases)

    def start(self, at_ms: int, *, source: str = "api") -> None:
        replicas = max(1, self.min_replicas)
        plan = lifecycle.plan_stuck_start if self.starts_get_stuck else lifecycle.plan_start
        self.follow(plan(at_ms, replicas, self.pace.at(at_ms), source=source))

    def stop(self, at_ms: int, *, source: str = "api", behaviour: str | None = None) -> None:
        """Stop as `behaviour` says; None = as it is set for this workload."""
        behaviour = behaviour or self.stop_behaviour
        durations = self.pace.at(at_ms)
        self.follow(lifecycle.plan_stop(at_ms, self.present, durations, behaviour=behaviour, source=source))

    def apply_bounds(self, at_ms: int, *, source: str = "api") -> None:
        """Scale when the present number of replicas lies outside the bounds."""
        wanted = max(self.min_replicas, min(self.max_replicas, self.present.desired))
        if self.state in lifecycle.RUNNING and wanted != self.present.desired:
            self.scale(at_ms, wanted, source=source)
        elif self.state == lifecycle.PROVISIONING and wanted != self.present.desired:
            remaining = [phase for phase in self.pending if phase.state == lifecycle.READY]
            ready_at = remaining[0].at_ms if remaining else at_ms + self.pace.at(at_ms).provision_ms
            first, *_ = lifecycle.plan_start(at_ms, wanted, self.pace.at(at_ms), source=source)
            *_, last = lifecycle.plan_start(ready_at, wanted, Durations(provision_ms=0))
            self.follow((first, last))

    def scale(self, at_ms: int, desired: int, *, source: str = "autoscaler") -> None:
        self.follow(lifecycle.plan_scale(at_ms, self.present, desired, self.pace.at(at_ms), source=source))

    def idle_since_ms(self, now_ms: int) -> int:
        """Return the later of "became ready" and "end of the last minute with a request"."""
        ready_since = self.ready_since_ms()
        last = self.traffic.find_last_request(before_ms=now_ms, not_before_ms=ready_since)
        return ready_since if last is None else max(ready_since, last)

    def ready_since_ms(self) -> int:
        """Return when the present stretch with at least one ready replica began."""
        since = self.timeline[-1].at_ms
        for phase in reversed(self.timeline):
            if not phase.ready:
                break
            since = phase.at_ms
        return since

    def _decide(self, at_ms: int) -> None:
        self.checked_ms = at_ms
        if self.idle_limit_ms is not None and at_ms >= self.idle_since_ms(at_ms) + self.idle_limit_ms:
            self.min_replicas = self.max_replicas = 0
            self.stop(at_ms, source="inactivity-monitor")
            return
        if self.max_replicas > self.min_replicas and at_ms % AUTOSCALE_EVERY_MS == 0:
            minute = at_ms // MINUTE_MS
            served_from = max(
                self.ready_since_ms() // MINUTE_MS, minute - self.scale_down_window_ms // MINUTE_MS
            )
            counts = [self.traffic.count_all_requests(m) for m in range(served_from, minute)]
            if not counts:
                return
            bounds = {
                "per_replica": self.replica_capacity,
                "min_replicas": self.min_replicas,
                "max_replicas": self.max_replicas,
            }
            up = lifecycle.recommend_replicas(sum(counts[-2:]) / len(counts[-2:]), **bounds)  # type: ignore[arg-type]
            down = lifecycle.recommend_replicas(max(counts) * SCALE_DOWN_MARGIN, **bounds)  # type: ignore[arg-type]
            desired = self.present.desired
            if up > desired:
                self.scale(at_ms, up)
            elif down < desired and len(counts) * MINUTE_MS >= self.scale_down_window_ms:
                self.scale(at_ms, down)

    def spans(self, start_ms: int, end_ms: int) -> Iterator[Span]:
        """Yield the stretches with ready replicas within `[start_ms, end_ms)`; the present phase lasts to the end."""
        timeline = self.timeline
        index = max(0, bisect_right(timeline, start_ms, key=lambda phase: phase.at_ms) - 1)
        for position in range(index, len(timeline)):
            phase = timeline[position]
            if phase.at_ms >= end_ms:
                return
            until = timeline[position + 1].at_ms if position + 1 < len(timeline) else end_ms
            begin, finish = max(start_ms, phase.at_ms), min(until, end_ms)
            if phase.ready and begin < finish:
                yield Span(begin, finish, phase.ready)

    def count_ready_ms(self, start_ms: int, end_ms: int) -> int:
        """Return ready replica-milliseconds within `[start_ms, end_ms)`: what is billed."""
        return sum(span.ready * (span.end_ms - span.start_ms) for span in self.spans(start_ms, end_ms))

    def count_served(self, start_ms: int, end_ms: int) -> Usage:
        """Return the traffic of the minutes that began while a replica was ready.

        Injected requests count at their instant. The minute that contains `end_ms` counts in proportion, so that a
        counter grows smoothly and never falls.
        """
        total = NO_USAGE
        for span_start, span_end in self._serving_stretches(start_ms, end_ms):
            total = total.plus(self.traffic.count_injected(span_start, span_end))
            first = -(-span_start // MINUTE_MS)
            last = -(-span_end // MINUTE_MS)
            if span_end == end_ms and end_ms % MINUTE_MS and last - 1 >= first:
                total = total.plus(self.traffic.count_minutes(first, last - 1))
                partial = self.traffic.count_minute(last - 1)
                elapsed = end_ms % MINUTE_MS
                total = total.plus(Usage(*(amount * elapsed // MINUTE_MS for amount in partial)))
            else:
                total = total.plus(self.traffic.count_minutes(first, last))
        return total

    def _serving_stretches(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
        begin = finish = None
        for span in self.spans(start_ms, end_ms):
            if finish == span.start_ms:
                finish = span.end_ms
                continue
            if begin is not None and finish is not None:
                yield begin, finish
            begin, finish = span.start_ms, span.end_ms
        if begin is not None and finish is not None:
            yield begin, finish
