"""The two lines in a row's evidence column: what is known of its use, or what it waits for. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dashboard.core import durations, status
from dashboard.lifecycle.evidence import Evidence, Verdict
from dashboard.web.labels import format_rate

Tone = Literal["", "amber", "red", "quiet"]


@dataclass(frozen=True, slots=True)
class EvidenceLines:
    """`lead` is printed in `tone`, `rest` follows it on the first line, `sub` stands below."""

    lead: str
    rest: str = ""
    sub: str = ""
    tone: Tone = ""


def describe_evidence(
    evidence: Evidence,
    *,
    state: status.Status,
    status_since: datetime | None,
    last_request_at: datetime | None,
    requests_per_minute: float | None,
    ready: tuple[int | None, int | None],
    failure: str,
    now: datetime,
) -> EvidenceLines:
    """Return the lines of a row; `ready` is (ready, wanted) replicas, `requests_per_minute` None = not known."""
    if state in (
        status.STARTING,
        status.STOPPED,
        status.STOPPING,
        status.FAILED,
        status.EMPTY,
        status.UNKNOWN,
    ):
        return _describe_rest(state, since=status_since, failure=failure, now=now)
    if evidence.verdict is Verdict.IDLE:
        lead, _, rest = evidence.sentence.partition(": ")
        return EvidenceLines(lead, f": {rest}", tone="amber")
    sub = _describe_replicas(state, ready)
    if requests_per_minute:
        return EvidenceLines(format_rate(requests_per_minute), sub=sub)
    if evidence.verdict is Verdict.NO_SIGNAL:
        return EvidenceLines("no traffic signal", sub=sub or "v1 endpoints report no requests", tone="quiet")
    if evidence.verdict is Verdict.BLIND:
        lead, _, rest = evidence.sentence.partition(": ")
        return EvidenceLines(lead, sub=rest.strip() or sub, tone="quiet")
    if last_request_at is not None:
        return EvidenceLines(f"last request {durations.format_ago(last_request_at, now=now)}", sub=sub)
    return EvidenceLines("no request yet", sub=sub, tone="quiet")


def _describe_rest(
    state: status.Status, *, since: datetime | None, failure: str, now: datetime
) -> EvidenceLines:
    if state is status.FAILED:
        when = f"failed {durations.format_ago(since, now=now)}; " if since else ""
        return EvidenceLines(failure or "failed, no reason given", sub=f"{when}not billed", tone="red")
    if state is status.STARTING:
        lead = f"starting for {durations.format_duration(now - since)}" if since else "starting"
        return EvidenceLines(lead, sub="not billed until ready")
    if state is status.STOPPED:
        lead = f"stopped {durations.format_ago(since, now=now)}" if since else "stopped"
        return EvidenceLines(lead, tone="quiet")
    if state is status.STOPPING:
        lead = f"stopping for {durations.format_duration(now - since)}" if since else "stopping"
        return EvidenceLines(lead, sub="ready replicas are billed", tone="quiet")
    return EvidenceLines(state.note, tone="quiet")


def _describe_replicas(state: status.Status, ready: tuple[int | None, int | None]) -> str:
    have, want = ready
    if state in (status.SCALING, status.DEGRADED) and have is not None and want is not None and have != want:
        return f"{have} of {want} replicas ready"
    return ""
