"""Curves of a fine-tune from the provider's metrics: loss over training steps, learning rate. Pure.

Names of metrics are an open set (contract section 6). Those that say "loss" are drawn together, the learning rate
apart; everything else stays in the table of numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.web.charts import Chart, Series

_STEP_NAMES = ("train/global_step", "global_step", "step")
_TRAIN_LOSS = ("train/loss", "loss", "train_loss")
_EVAL_LOSS = ("eval/loss", "eval_loss", "validation/loss")
_LEARNING_RATE = ("train/learning_rate", "learning_rate", "lr")
# A chart shows at most so many points; evaluations always stay.
MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Point:
    """What was logged at one step; None = not logged there."""

    step: int
    train_loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """Everything that the page draws and says. `loss` None = no loss was logged."""

    points: tuple[Point, ...]
    loss: Chart | None
    learning_rate: Chart | None

    @property
    def last(self) -> Point:
        """The newest value of each series, as one point."""
        return Point(
            step=self.points[-1].step,
            train_loss=_last(point.train_loss for point in self.points),
            eval_loss=_last(point.eval_loss for point in self.points),
            learning_rate=_last(point.learning_rate for point in self.points),
        )

    @property
    def best_eval(self) -> Point | None:
        """The point with the lowest evaluation loss, None without evaluations."""
        judged = [point for point in self.points if point.eval_loss is not None]
        return min(judged, key=lambda point: point.eval_loss or 0.0, default=None)


def build_curves(document: object) -> Curves | None:
    """Return the curves of a metrics document (``{"metrics": [{name: value}]}``); None when nothing is drawn of it."""
    rows = document.get("metrics") if isinstance(document, dict) else None
    points = read_points(rows if isinstance(rows, list) else [])
    if not any(point.train_loss is not None or point.eval_loss is not None for point in points):
        return None
    kept = thin(points)
    labels = [f"{point.step:,}" for point in kept]
    series = [Series("Training loss", [point.train_loss for point in kept])]
    if any(point.eval_loss is not None for point in kept):
        series.append(Series("Evaluation loss", [point.eval_loss for point in kept], "c3"))
    rates = [point.learning_rate for point in kept]
    return Curves(
        points=kept,
        loss=Chart("line", labels, series, has_gaps=False),
        learning_rate=Chart("line", labels, [Series("Learning rate", rates, "c2")], has_gaps=False)
        if any(rate is not None for rate in rates)
        else None,
    )


def read_points(rows: Iterable[object]) -> tuple[Point, ...]:
    """Return one point a step in order; rows without a step follow the one before them."""
    points: dict[int, Point] = {}
    step = 0
    for row in rows:
        if not isinstance(row, dict):
            continue
        told = _pick(row, _STEP_NAMES)
        step = int(told) if told is not None else step + 1
        before = points.get(step, Point(step))
        points[step] = Point(
            step,
            train_loss=_first(_pick(row, _TRAIN_LOSS), before.train_loss),
            eval_loss=_first(_pick(row, _EVAL_LOSS), before.eval_loss),
            learning_rate=_first(_pick(row, _LEARNING_RATE), before.learning_rate),
        )
    return tuple(points[step] for step in sorted(points))


def thin(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return at most MOST_POINTS of them, evenly, with both ends, and every one that was evaluated."""
    if len(points) <= MOST_POINTS:
        return tuple(points)
    last = len(points) - 1
    kept = {round(place * last / (MOST_POINTS - 1)) for place in range(MOST_POINTS)}
    return tuple(point for place, point in enumerate(points) if place in kept or point.eval_loss is not None)


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> float | None:
    for name in names:
        value = row.get(name)
        # NaN and infinity are no JSON: together_api lets numbers through only.
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _first(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _last(values: Iterable[float | None]) -> float | None:
    return next((value for value in reversed(list(values)) if value is not None), None)
