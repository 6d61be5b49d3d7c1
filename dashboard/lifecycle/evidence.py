"""Say from recorded traffic whether an endpoint is used: active, idle, blind or without a signal. Pure.

Unknown means active: idle needs a fresh read that says zero. `IDLE_*` are also what the SQL twin uses
(lifecycle/idleness.py); a property test holds the two together.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from dashboard.core import durations, status

# Cold start and first minutes after READY are not idleness. Minutes, judged; issue 5 makes them a policy's.
READY_FOR_AT_LEAST: Final = timedelta(minutes=15)
NO_REQUEST_FOR_AT_LEAST: Final = timedelta(minutes=15)
# Traffic read longer ago than this proves nothing about now.
READ_WITHIN: Final = timedelta(minutes=5)
# The one status in which idleness is a question: everything else moves, limps or rests.
IDLE_CANDIDATE_STATUS: Final = "running"
NO_SIGNAL_GENERATION: Final = "v1"


class Verdict(StrEnum):
    """What the evidence says."""

    ACTIVE = "active"
    IDLE = "idle"
    BLIND = "blind"
    NO_SIGNAL = "no_signal"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was recorded of one endpoint; None = never (request), not known (ready), never read (traffic)."""

    status: str
    ready_since: datetime | None
    last_request_at: datetime | None
    traffic_read_until: datetime | None
    generation: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdict, since when it idles (None unless idle), and one sentence without a full stop."""

    verdict: Verdict
    idle_since: datetime | None
    sentence: str


def weigh(facts: Facts, *, now: datetime) -> Evidence:
    """Return the verdict over `facts` at `now`.

    Idle since the later of the last request and of READY; a request before READY says nothing about this run.
    """
    if facts.status in (status.DEGRADED.value, status.SCALING.value):
        return Evidence(
            Verdict.ACTIVE, None, f"{status.read_value(facts.status).word.lower()}: counts as active"
        )
    if facts.status != IDLE_CANDIDATE_STATUS:
        return Evidence(Verdict.ACTIVE, None, "not serving: idleness is no question")
    if facts.generation == NO_SIGNAL_GENERATION:
        return Evidence(Verdict.NO_SIGNAL, None, "no traffic signal: v1 endpoints report no requests")
    if facts.traffic_read_until is None:
        return Evidence(Verdict.BLIND, None, "traffic unknown: never read")
    if now - facts.traffic_read_until > READ_WITHIN:
        read = durations.format_moment(facts.traffic_read_until, now=now)
        return Evidence(Verdict.BLIND, None, f"traffic unknown since {read}: counts as active")
    if facts.ready_since is None:
        return Evidence(Verdict.BLIND, None, "ready since an unknown time: counts as active")
    if now - facts.ready_since < READY_FOR_AT_LEAST:
        ready = durations.format_age(now - facts.ready_since)
        return Evidence(Verdict.ACTIVE, None, f"ready for {ready}: the first 15 min do not count as idle")
    if facts.last_request_at is not None and now - facts.last_request_at < NO_REQUEST_FOR_AT_LEAST:
        request = durations.format_ago(facts.last_request_at, now=now)
        return Evidence(Verdict.ACTIVE, None, f"in use: last request {request}")
    return _describe_idle(facts.ready_since, facts.last_request_at, now=now)


def _describe_idle(ready_since: datetime, last_request_at: datetime | None, *, now: datetime) -> Evidence:
    if last_request_at is None or last_request_at < ready_since:
        since, told = (
            ready_since,
            f"no request since ready at {durations.format_moment(ready_since, now=now)}",
        )
    else:
        since, told = last_request_at, f"last request {durations.format_moment(last_request_at, now=now)}"
    return Evidence(Verdict.IDLE, since, f"idle {durations.format_duration(now - since)}: {told}")
