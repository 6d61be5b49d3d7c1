"""Geometry of inline SVG: numbers in, attribute values out. Pure; colours come from the style sheet.

Styles in attributes would break the CSP, so bars and lanes are rectangles with x and width, never divs.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

# Lanes are drawn in a box this wide and stretched to the panel (preserveAspectRatio="none").
LANE_WIDTH = 1000


@dataclass(frozen=True)
class Sparkline:
    """The two paths of a sparkline in a box of ``width`` x ``height`` pixels."""

    width: int
    height: int
    line: str
    area: str


@dataclass(frozen=True)
class LaneSpan:
    """A stretch of one state inside a lane: ``role`` is a colour role of core/status.py."""

    x: float
    width: float
    role: str
    title: str


@dataclass(frozen=True)
class StateSpan:
    """What a lane is made from: half-open ``[start, end)`` in one state."""

    start: datetime
    end: datetime
    role: str
    title: str


@dataclass(frozen=True)
class Series:
    """One series: ``colour`` names its token (c1 to c5, band, idle, run, start, fail, ink-3); None is a gap.

    ``links`` are the addresses that a click on each value opens, if any; what they show must be reachable by a
    link of the page too, because a canvas has no keyboard.
    """

    label: str
    values: Sequence[float | None]
    colour: str = "c1"
    links: Sequence[str | None] = ()


@dataclass(frozen=True)
class Chart:
    """What static/js/charts.js draws. ``unit`` "usd" puts a dollar sign before axis values.

    ``has_gaps`` False joins points over values that are None: readings that are not made at every step.
    ``whiskers`` are (low, high) over each bar, None where there is none.
    """

    kind: Literal["bar", "line"]
    labels: Sequence[str]
    series: Sequence[Series]
    unit: Literal["usd", "count"] = "count"
    is_stacked: bool = False
    has_gaps: bool = True
    whiskers: Sequence[tuple[float, float] | None] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what json_script writes into the page."""
        return asdict(self)


def draw_sparkline(
    values: Sequence[float | None], *, width: int = 72, height: int = 22, is_stepped: bool = False
) -> Sparkline | None:
    """Return the paths of ``values`` from zero up; None (unknown) leaves a gap. None when there are no values.

    Two and a half pixels at the top and one and a half at the bottom stay free for the stroke.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    top, bottom = 2.5, height - 1.5
    highest = max(known) or 1
    step = width / max(1, len(values) - 1)
    line: list[str] = []
    area: list[str] = []
    run: list[tuple[float, float]] = []
    for index, value in enumerate([*values, None]):
        if value is not None:
            run.append((index * step, bottom - (bottom - top) * value / highest))
            continue
        if run:
            points = _step(run) if is_stepped else run
            if len(points) == 1:
                points = [points[0], (min(width, points[0][0] + step), points[0][1])]
            path = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
            line.append(f"M{path}")
            area.append(f"M{points[0][0]:.1f},{height} L{path} L{points[-1][0]:.1f},{height}Z")
        run = []
    return Sparkline(width, height, " ".join(line), " ".join(area))


def draw_lane(spans: Sequence[StateSpan], *, start: datetime, end: datetime) -> list[LaneSpan]:
    """Return ``spans`` cut to ``[start, end)`` as rectangles of a box 1000 wide. ValueError if end <= start."""
    length = end - start
    if length <= timedelta(0):
        raise ValueError("a lane needs an end after its start")
    lane = []
    for span in spans:
        first, last = max(span.start, start), min(span.end, end)
        if first >= last:
            continue
        x = (first - start) / length * LANE_WIDTH
        lane.append(
            LaneSpan(round(x, 2), round((last - first) / length * LANE_WIDTH, 2), span.role, span.title)
        )
    return lane


def _step(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return ``points`` with a corner before each, so that a value holds until the next one."""
    stepped = [points[0]]
    for (_, before), (x, y) in itertools.pairwise(points):
        stepped += [(x, before), (x, y)]
    return stepped
