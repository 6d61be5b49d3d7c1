"""Days of an endpoint as lanes: the states of its deployments rolled up, one lane a day, UTC. Pure."""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.core import durations, status
from dashboard.mirror.timeline import Edge, Stretch, lay_out
from dashboard.web.charts import LaneSpan, StateSpan, draw_lane

DAYS = 8
TICKS = ("00", "06", "12", "18", "24")
# Words of a lane without running time, by what took most of it.
_QUIET = {"stop": "stopped", "fail": "failed", "start": "starting", "stale": "unknown"}


@dataclass(frozen=True, slots=True)
class Lane:
    """One day: ``total`` is the time with something billable, or what it was instead."""

    label: str
    spans: list[LaneSpan]
    total: str


@dataclass(frozen=True, slots=True)
class Span:
    """The endpoint was in one status from `start` to `end`."""

    start: datetime
    end: datetime
    status: status.Status


def first_day(now: datetime) -> datetime:
    """Return the midnight UTC at which the lanes begin."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=DAYS - 1)


def build_lanes(
    edges: Mapping[int, Sequence[Edge]], *, ends: Mapping[int, datetime], now: datetime
) -> list[Lane]:
    """Return the lanes of the last eight days, oldest first.

    `edges` by deployment; `ends` says when a deployment vanished. Where nothing is recorded nothing is drawn.
    """
    start = first_day(now)
    lines = [
        lay_out(of_one, start=start, end=min(now, ends.get(deployment_id, now)))
        for deployment_id, of_one in edges.items()
    ]
    spans = roll_up_lines(lines)
    return [_build_lane(spans, day=start + timedelta(days=number), now=now) for number in range(DAYS)]


def roll_up_lines(lines: Sequence[Sequence[Stretch]]) -> list[Span]:
    """Return the spans of an endpoint from the stretches of its deployments; equal neighbours are one span."""
    bounds = sorted({moment for line in lines for one in line for moment in (one.start, one.end) if moment})
    starts = [[one.start for one in line] for line in lines]
    spans: list[Span] = []
    for start, end in itertools.pairwise(bounds):
        present = [
            found for line, begins in zip(lines, starts, strict=True) if (found := _at(line, begins, start))
        ]
        if not present:
            continue
        state = status.roll_up(status.read_state(one.state) for one in present)
        if spans and spans[-1].status == state and spans[-1].end == start:
            spans[-1] = Span(spans[-1].start, end, state)
        else:
            spans.append(Span(start, end, state))
    return spans


def _at(line: Sequence[Stretch], begins: Sequence[datetime], moment: datetime) -> Stretch | None:
    place = bisect_right(begins, moment) - 1
    if place < 0:
        return None
    found = line[place]
    return found if found.end is None or moment < found.end else None


def _build_lane(spans: Iterable[Span], *, day: datetime, now: datetime) -> Lane:
    until = day + timedelta(days=1)
    here = [one for one in spans if one.start < until and one.end > day]
    drawn = draw_lane(
        [StateSpan(one.start, one.end, one.status.role, _describe(one)) for one in here], start=day, end=until
    )
    label = "Today" if day <= now < until else f"{day:%a} {day.day}"
    return Lane(label=label, spans=drawn, total=_sum_up(here, day=day, until=until))


def _sum_up(spans: Sequence[Span], *, day: datetime, until: datetime) -> str:
    lengths: dict[str, timedelta] = {}
    billable = timedelta(0)
    for one in spans:
        length = min(one.end, until) - max(one.start, day)
        lengths[one.status.role] = lengths.get(one.status.role, timedelta(0)) + length
        if one.status.may_bill and one.status is not status.UNKNOWN:
            billable += length
    if billable >= until - day:
        return "24 h"
    if billable:
        return durations.format_duration(billable)
    if not lengths:
        return "no record"
    return _QUIET.get(max(lengths, key=lambda role: lengths[role]), "no record")


def _describe(span: Span) -> str:
    return f"{span.status.word} {span.start:%d %b %H:%M} to {span.end:%d %b %H:%M} UTC"
